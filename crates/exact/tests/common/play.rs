//! Running a program on every device, and finding where two runs part.

use std::fmt::Write as _;
use std::sync::OnceLock;

use exact::{DType, Device, Error, Level, Limits, Program, Session, Type};

/// What one leaf is given: for an input, the elements of each run; for a state, its first value.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) state: bool,
    pub(crate) runs: Vec<Vec<u32>>,
}

/// Every device there is to compare with the scalar one: each level, on one thread and on two.
pub(crate) fn devices() -> &'static [(String, Device)] {
    static DEVICES: OnceLock<Vec<(String, Device)>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let of = |level: Level| [1, 2].map(|n| (format!("{level}, {n} threads"), Device::cpu_at(level, n)));
        Level::available().flat_map(of).collect()
    })
}

pub(crate) fn write(session: &mut Session, name: &str, dtype: DType, bits: &[u32]) -> Result<(), Error> {
    match dtype {
        DType::F32 => session.write(name, &bits.iter().map(|b| f32::from_bits(*b)).collect::<Vec<_>>()),
        DType::U32 => session.write(name, bits),
    }
}

pub(crate) fn read(session: &Session, name: &str, dtype: DType) -> Vec<u32> {
    match dtype {
        DType::F32 => session.read::<f32>(name).unwrap().into_iter().map(f32::to_bits).collect(),
        DType::U32 => session.read::<u32>(name).unwrap(),
    }
}

/// Everything a run shows.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Run {
    /// The results of each operation, if it was watched.
    pub(crate) operations: Vec<Vec<Vec<u32>>>,
    pub(crate) outputs: Vec<Vec<u32>>,
    pub(crate) states: Vec<Vec<u32>>,
    pub(crate) error: Option<Error>,
}

pub(crate) const ROOMY: Limits = Limits { memory_bytes: 1 << 30, work: u64::MAX };

/// Runs a program as often as the feeds have runs, up to the first failure.
pub(crate) fn play(program: &Program, device: &Device, feeds: &[Feed], watched: bool) -> Vec<Run> {
    let mut session = Session::new(program, device, ROOMY).unwrap();
    let runs = feeds.iter().map(|f| f.runs.len()).max().unwrap_or(1);
    let mut played = Vec::new();
    for i in 0..runs {
        for feed in feeds.iter().filter(|f| i == 0 || !f.state) {
            let Some(bits) = feed.runs.get(i) else { continue };
            write(&mut session, &feed.name, feed.ty.dtype, bits).unwrap();
        }
        let mut run = Run::default();
        let done = if watched {
            session.trace(&mut |traced| {
                assert_eq!(traced.index(), run.operations.len(), "an operation was left out");
                let results = (0..traced.types().len()).map(|r| traced.bits(r).to_vec()).collect();
                run.operations.push(results);
            })
        } else {
            session.run()
        };
        if let Err(error) = done {
            run.error = Some(error);
            played.push(run);
            break;
        }
        run.outputs = program.outputs().map(|(name, ty)| read(&session, name, ty.dtype)).collect();
        run.states = program.states().map(|(name, ty)| read(&session, name, ty.dtype)).collect();
        played.push(run);
    }
    played
}

/// Where two plays of a program part first, as a sentence; nothing if they do not.
pub(crate) fn parting(program: &Program, right: &[Run], other: &[Run]) -> Option<String> {
    if right == other {
        return None;
    }
    let first = |a: &[u32], b: &[u32]| {
        let at = a.iter().zip(b).position(|(x, y)| x != y);
        at.map_or("in length".to_owned(), |i| format!("at element {i}: {:#010x} is {:#010x}", a[i], b[i]))
    };
    let text = program.to_string();
    for (i, (a, b)) in right.iter().zip(other).enumerate() {
        for (at, (x, y)) in a.operations.iter().zip(&b.operations).enumerate() {
            for (result, (x, y)) in x.iter().zip(y).enumerate() {
                if x != y {
                    let leaves = program.inputs().count() + program.states().count();
                    let line = text.lines().nth(1 + leaves + at).unwrap_or_default();
                    return Some(format!(
                        "run {i}, operation {at}, result {result}, {}\n{line}\n{text}",
                        first(x, y)
                    ));
                }
            }
        }
        if a.error != b.error {
            return Some(format!("run {i}: {:?} is {:?}\n{text}", a.error, b.error));
        }
        for (what, x, y) in [("output", &a.outputs, &b.outputs), ("state", &a.states, &b.states)] {
            for (n, (x, y)) in x.iter().zip(y).enumerate() {
                if x != y {
                    return Some(format!("run {i}, {what} {n}, {}\n{text}", first(x, y)));
                }
            }
        }
    }
    let mut message = String::from("one stopped earlier\n");
    let _ = write!(message, "{text}");
    Some(message)
}

/// Plays a program on every device and holds it against the scalar one; gives what that one did.
pub(crate) fn same_everywhere(program: &Program, feeds: &[Feed]) -> Result<Vec<Run>, String> {
    let right = play(program, &Device::scalar(), feeds, true);
    for (name, device) in devices() {
        if let Some(parting) = parting(program, &right, &play(program, device, feeds, true)) {
            return Err(format!("{name}: {parting}"));
        }
    }
    Ok(right)
}
