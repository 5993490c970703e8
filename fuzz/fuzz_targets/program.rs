//! Bytes as a program from a stranger: decoded, planned within a limit, fed and run, twice on two devices. Whatever it is, there is no
//! panic and no allocation beyond the limit, and both devices say the same.

#![no_main]

use std::sync::OnceLock;

use exact::{DType, Device, Limits, Program, Session};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { memory_bytes: 1 << 20, work: 1 << 26 };
/// More operations than that teach nothing, and take long.
const OPERATIONS: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    // The first byte chooses what the leaves are filled with.
    let Some((seed, bytes)) = bytes.split_first() else { return };
    let Ok(program) = Program::decode(bytes) else { return };
    assert_eq!(program.encode(), bytes, "two encodings of one program");
    if program.len() > OPERATIONS {
        return;
    }
    static CPU: OnceLock<Device> = OnceLock::new();
    let devices = [CPU.get_or_init(|| Device::cpu(1)).clone(), Device::scalar()];
    // The scalar device needs more memory than the other: it may refuse what the other takes.
    let ran: Vec<_> = devices.iter().filter_map(|device| run(&program, device, *seed)).collect();
    if let [a, b] = &ran[..] {
        assert_eq!(a, b, "the devices differ");
    }
});

type Outcome = Result<Vec<Vec<u32>>, String>;

/// Two runs of a program and all its outputs, or nothing if it does not fit.
fn run(program: &Program, device: &Device, seed: u8) -> Option<Outcome> {
    let mut session = Session::new(program, device, LIMITS).ok()?;
    for (i, (name, ty)) in program.inputs().chain(program.states()).enumerate() {
        let word = |j: usize| ((i * 31 + j) as u32 ^ u32::from(seed)).wrapping_mul(0x9e37_79b9);
        let n = ty.shape.elements();
        let done = match ty.dtype {
            DType::F32 => session.write(name, &(0..n).map(|j| f32::from_bits(word(j))).collect::<Vec<_>>()),
            // Small, so that some are in range.
            DType::U32 => session.write(name, &(0..n).map(|j| word(j) >> 30).collect::<Vec<_>>()),
        };
        done.unwrap();
    }
    for _ in 0..2 {
        if let Err(error) = session.run() {
            return Some(Err(error.to_string()));
        }
    }
    let read = |(name, ty): (&str, exact::Type)| match ty.dtype {
        DType::F32 => session.read::<f32>(name).unwrap().into_iter().map(f32::to_bits).collect(),
        DType::U32 => session.read::<u32>(name).unwrap(),
    };
    Some(Ok(program.outputs().map(read).collect()))
}
