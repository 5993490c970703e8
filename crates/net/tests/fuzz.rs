//! Every decoder of foreign bytes, given what is nearly right, over and over.
//!
//! `FUZZ_SECONDS=600 cargo test -p net --release --test fuzz -- --nocapture` gives each decoder ten minutes of a processor. Without it,
//! each gets a few thousand inputs. `fuzz/` has the same decoders for a fuzzer that looks which code an input reaches.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use net::fuzz::{DECODERS, Decoder};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Counts what this thread holds, and the most it held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: all is done by the system's allocator; beside it, two numbers of this thread change, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Changes bytes a little, in one of the ways that break decoders.
    fn change(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        /// Lengths and counts that are just too small or too large.
        const EDGES: [u64; 8] = [0, 1, 0x7f, 0x80, 0xff, 0xffff, 0xffff_ffff, u64::MAX];
        let at = self.below(bytes.len() + 1);
        match self.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.next() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, self.next() as u8),
            4 => {
                let (edge, width) = (EDGES[self.below(8)].to_le_bytes(), [1, 2, 4, 8][self.below(4)]);
                for (place, byte) in bytes.iter_mut().skip(at).zip(&edge[..width]) {
                    *place = *byte;
                }
            }
            5 => {
                let other = &others[self.below(others.len())];
                let (from, len) = (self.below(other.len() + 1), self.below(32));
                let piece: Vec<u8> = other[from..].iter().copied().take(len).collect();
                bytes.splice(at..at, piece);
            }
            _ => {
                let len = self.below(bytes.len() - at + 1).min(32);
                bytes.drain(at..at + len);
            }
        }
        bytes.truncate(8192);
    }
}

/// Gives a decoder inputs for so long, or so many, and says how many they were.
fn fuzz(decoder: &Decoder, time: Option<Duration>) -> u64 {
    const FEW: u64 = 20_000;
    /// A decoder may hold its own buffers, and what the input's length explains.
    const BOUND: isize = 4 << 20;
    const BOUND_PER_BYTE: isize = 64;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = time.map_or(1, |_| now.as_nanos() as u64);
    let (start, mut random, mut runs) = (Instant::now(), Random(seed), 0);
    let examples = (decoder.examples)();
    assert!(!examples.is_empty(), "{}", decoder.name);
    let mut known = examples.clone();
    while time.map_or(runs < FEW, |time| runs % 64 != 0 || start.elapsed() < time) {
        let mut bytes = known[random.below(known.len())].clone();
        for _ in 0..random.below(4) {
            random.change(&mut bytes, &known);
        }
        let before = HELD.get();
        MOST.set(before);
        let read = std::panic::catch_unwind(|| (decoder.read)(&bytes));
        assert!(read.is_ok(), "{} panics (seed {seed}, run {runs}): {bytes:02x?}", decoder.name);
        let (held, bound) = (MOST.get() - before, BOUND + bytes.len() as isize * BOUND_PER_BYTE);
        assert!(held <= bound, "{} holds {held} bytes (seed {seed}, run {runs}): {bytes:02x?}", decoder.name);
        // Steps away from what is right add up, but always begin there again.
        let place = random.below(64);
        if place < known.len() && place >= examples.len() {
            known[place] = bytes;
        } else if known.len() < 64 {
            known.push(bytes);
        }
        runs += 1;
    }
    runs
}

#[test]
fn no_bytes_break_a_decoder() {
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|seconds| seconds.parse().unwrap());
    let time = seconds.map(Duration::from_secs);
    for decoder in &DECODERS {
        let runs = fuzz(decoder, time);
        println!("{:12} {runs} inputs", decoder.name);
        assert!(runs > 0);
    }
}
