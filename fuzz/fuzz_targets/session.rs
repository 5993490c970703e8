//! A recording of a session from anyone is refused, or read, written back and read the same; then it can be played again.

#![no_main]

use assist::{Helper, Recording, score};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // As a file, and as the lines in it, so that more than the compression is tried.
    let lines = std::str::from_utf8(data).ok().and_then(|text| Recording::from_lines(text).ok());
    for recording in Recording::from_bytes(data).ok().into_iter().chain(lines) {
        let again = Recording::from_lines(&recording.to_lines().expect("what was read can be written"));
        assert_eq!(again.expect("what was written can be read"), recording);
        score(&recording, &mut Helper::Line).expect("a rule of thumb computes nothing that can fail");
    }
});
