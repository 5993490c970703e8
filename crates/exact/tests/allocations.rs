//! A run allocates nothing: all its memory is taken when the session is made. What is refused allocates next to nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::cases::{KINDS, Size, case};
use common::models::{Sizes, training_step};
use common::play::{ROOMY, devices, write};
use common::wire;
use exact::{DType, Device, Error, Limits, MAX_ENCODED_BYTES, Op, Program, Session, Shape, Type};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
/// Bytes that are allocated now, and the most there have been.
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: everything is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The counts are of the whole process: one test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// How many bytes more than before were held at the most while `f` ran.
fn peak(f: impl FnOnce()) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    f();
    PEAK.load(Ordering::Relaxed) - before
}

/// How often anything was allocated, by any thread, while `f` ran: the least of three times, since the test runner has a
/// thread too.
fn allocations(mut f: impl FnMut()) -> usize {
    let mut once = || {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        f();
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    [once(), once(), once()].into_iter().min().unwrap_or_default()
}

/// A training step on each device, then every operation alone.
#[test]
fn a_run_allocates_nothing() {
    let _turn = TURN.lock();
    let program = training_step(&Sizes::default()).unwrap();
    let mut loss = [0.0f32];
    for (name, device) in devices() {
        let mut session = Session::new(&program, device, ROOMY).unwrap();
        for (i, (state, ty)) in program.states().enumerate() {
            if state.starts_with("parameter") {
                let data = common::values::floats(common::values::Kind::Tame, i as u64, ty.shape.elements());
                write(&mut session, state, ty.dtype, &data).unwrap();
            }
        }
        session.write("lr", &[0.01f32]).unwrap();
        session.write("c1", &[1.0f32]).unwrap();
        session.write("c2", &[1.0f32]).unwrap();
        let tokens: Vec<u32> = (0..18).map(|i| i * 7 % 23).collect();
        session.run().unwrap();
        let count = allocations(|| {
            for _ in 0..3 {
                session.write("tokens", &tokens).unwrap();
                session.write("targets", &tokens).unwrap();
                session.run().unwrap();
                session.read_into("loss", &mut loss).unwrap();
            }
        });
        assert_eq!(count, 0, "on {name}, the loss being {}", loss[0]);
    }

    for kind in KINDS {
        for seed in 0..6 {
            let case = case(kind, if seed == 5 { Size::Large } else { Size::Small }, seed);
            let program = wire::alone(&case.op, &case.operands).unwrap();
            for device in [Device::cpu(1), Device::cpu(2)] {
                let mut session = Session::new(&program, &device, ROOMY).unwrap();
                for (i, (ty, data)) in case.operands.iter().zip(&case.data).enumerate() {
                    write(&mut session, &format!("x{i}"), ty.dtype, data).unwrap();
                }
                // An integer overflow is an error, and errors may allocate.
                if session.run().is_err() {
                    continue;
                }
                let count = allocations(|| session.run().unwrap());
                assert!(
                    count == 0 || falls_back(kind),
                    "{kind}, seed {seed}: {count} allocations on {device:?}"
                );
            }
        }
    }
}

/// Operations that have no kernel of their own yet and run as the spec does.
fn falls_back(kind: &str) -> bool {
    matches!(kind, "im2col" | "ragged_matmul")
}

#[test]
fn what_is_refused_allocates_next_to_nothing() {
    let _turn = TURN.lock();
    let small = 1 << 20;

    // Four tebibytes in every tensor, and more of them than any machine has.
    let ty = Type { dtype: DType::F32, shape: Shape::new(&[1 << 20, 1 << 20]).unwrap() };
    let mut wire = wire::Wire { inputs: vec![("x".into(), ty)], ..wire::Wire::default() };
    wire.operations = (0..1000).map(|i| (Op::Permute { order: vec![1, 0] }, vec![i])).collect();
    wire.outputs = (1..=1000).map(|i| (format!("y{i}"), i)).collect();
    let bytes = wire.bytes();
    for device in [Device::scalar(), Device::cpu(1)] {
        let peak = peak(|| {
            let program = Program::decode(&bytes).unwrap();
            for memory_bytes in [0, 64 << 20, 1 << 50] {
                let refused = Session::new(&program, &device, Limits { memory_bytes, ..Limits::default() });
                assert!(matches!(refused, Err(Error::Memory { .. })));
            }
        });
        assert!(peak < 2 * small, "{peak} bytes to refuse a program of {}", bytes.len());

        // Whose owner allows more than there is.
        let all = Limits { memory_bytes: u64::MAX, ..Limits::default() };
        let error = Session::new(&Program::decode(&bytes).unwrap(), &device, all).unwrap_err();
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }

    // As many bytes as are allowed: lists of nonsense, and lengths that are not there.
    let mut nonsense = wire::MAGIC.to_vec();
    nonsense.extend([0, 0]);
    nonsense.extend([0xff, 0xff, 0x7f]);
    let unit = postcard::to_stdvec(&(Op::Unit, Vec::<u32>::new())).unwrap();
    while nonsense.len() + unit.len() <= MAX_ENCODED_BYTES {
        nonsense.extend(&unit);
    }
    let mut long = wire::MAGIC.to_vec();
    long.extend([0xff; 9]);
    long.push(1);
    let mut name = wire::MAGIC.to_vec();
    name.extend([1, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let mut operands = wire::MAGIC.to_vec();
    operands.extend([0, 0, 1, 4, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    for bytes in [nonsense, long, name, operands] {
        let peak = peak(|| assert!(Program::decode(&bytes).is_err()));
        assert!(peak < 2 * small, "{peak} bytes to refuse {}", bytes.len());
    }
}
