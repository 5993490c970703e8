//! A checkpoint's manifest from anyone is refused, or read and written back to the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lm::checkpoint::Manifest;

fuzz_target!(|data: &[u8]| {
    // As it comes; and sealed as if by one who knows how, so that more than the seal is tried.
    for bytes in [data.to_vec(), Manifest::seal(data)] {
        if let Ok(manifest) = Manifest::decode(&bytes) {
            assert_eq!(manifest.encode(), bytes);
        }
    }
});
