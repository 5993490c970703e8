//! Conformance vectors as text; `vectors/README.md` describes the format.

use std::fmt::Write as _;

use exact::{DType, Device, Program, Session, Shape, Type};

use super::play::{ROOMY, read, write};

/// A named tensor with its elements' bits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) bits: Vec<u32>,
}

/// One run: what goes in, and what must come out; nothing may come of a run that fails.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Run {
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) fails: bool,
    pub(crate) outputs: Vec<Tensor>,
    /// The states when the run is over.
    pub(crate) left: Vec<Tensor>,
}

/// One program with its runs.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Vector {
    pub(crate) title: String,
    /// The program's bytes.
    pub(crate) program: Vec<u8>,
    pub(crate) hash: String,
    /// What the states are before the first run.
    pub(crate) states: Vec<Tensor>,
    pub(crate) runs: Vec<Run>,
}

impl Vector {
    /// The same with the results that a device gives.
    pub(crate) fn played(&self, device: &Device) -> Result<Vector, String> {
        let said = |e: exact::Error| format!("{}: {e}", self.title);
        let program = Program::decode(&self.program).map_err(said)?;
        let mut session = Session::new(&program, device, ROOMY).map_err(said)?;
        let mut played = Vector { hash: program.hash().to_string(), runs: Vec::new(), ..self.clone() };
        for t in &self.states {
            write(&mut session, &t.name, t.ty.dtype, &t.bits).map_err(said)?;
        }
        for run in &self.runs {
            for t in &run.inputs {
                write(&mut session, &t.name, t.ty.dtype, &t.bits).map_err(said)?;
            }
            let fails = session.run().is_err();
            let get = |(name, ty): (&str, Type)| Tensor {
                name: name.to_owned(),
                ty,
                bits: read(&session, name, ty.dtype),
            };
            let (mut outputs, mut left) = (Vec::new(), Vec::new());
            if !fails {
                outputs.extend(program.outputs().map(get));
                left.extend(program.states().map(get));
            }
            played.runs.push(Run { inputs: run.inputs.clone(), fails, outputs, left });
            if fails {
                break;
            }
        }
        Ok(played)
    }
}

fn line(text: &mut String, keyword: &str, t: &Tensor) {
    let dims: Vec<String> = t.ty.shape.iter().map(|d| d.to_string()).collect();
    let _ = write!(text, "{keyword} {} {}[{}]", t.name, t.ty.dtype, dims.join(","));
    for word in &t.bits {
        let _ = write!(text, " {word:08x}");
    }
    text.push('\n');
}

/// Bytes as two digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The vectors as a file.
pub(crate) fn text_of(vectors: &[Vector]) -> String {
    let mut text = String::from("exact vectors 1\n");
    for v in vectors {
        let _ = writeln!(text, "\ncase {}", v.title);
        let program = Program::decode(&v.program).map_or_else(|e| e.to_string(), |p| p.to_string());
        // For people: what the bytes say.
        for line in program.lines().skip(1) {
            let _ = writeln!(text, "# {}", line.trim());
        }
        let _ = writeln!(text, "program {}\nhash {}", hex(&v.program), v.hash);
        v.states.iter().for_each(|t| line(&mut text, "state", t));
        for run in &v.runs {
            text.push_str("run\n");
            run.inputs.iter().for_each(|t| line(&mut text, "in", t));
            if run.fails {
                text.push_str("fails\n");
            }
            run.outputs.iter().for_each(|t| line(&mut text, "out", t));
            run.left.iter().for_each(|t| line(&mut text, "left", t));
        }
    }
    text
}

/// A file as vectors.
pub(crate) fn vectors_of(text: &str) -> Result<Vec<Vector>, String> {
    let mut lines = text.lines().enumerate();
    if lines.next().is_none_or(|(_, first)| first != "exact vectors 1") {
        return Err("it does not begin with `exact vectors 1`".to_owned());
    }
    let mut vectors: Vec<Vector> = Vec::new();
    for (number, line) in lines {
        let wrong = || format!("line {}: {:.60}", number + 1, line);
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        if keyword == "case" {
            vectors.push(Vector { title: rest.to_owned(), ..Vector::default() });
            continue;
        }
        if keyword.is_empty() || keyword == "#" {
            continue;
        }
        let vector = vectors.last_mut().ok_or_else(wrong)?;
        match keyword {
            "program" => vector.program = bytes_of(rest).ok_or_else(wrong)?,
            "hash" => rest.clone_into(&mut vector.hash),
            "state" => vector.states.push(tensor_of(rest).ok_or_else(wrong)?),
            "run" => vector.runs.push(Run::default()),
            _ => {
                let run = vector.runs.last_mut().ok_or_else(wrong)?;
                match keyword {
                    "in" => run.inputs.push(tensor_of(rest).ok_or_else(wrong)?),
                    "out" => run.outputs.push(tensor_of(rest).ok_or_else(wrong)?),
                    "left" => run.left.push(tensor_of(rest).ok_or_else(wrong)?),
                    "fails" => run.fails = true,
                    _ => return Err(wrong()),
                }
            }
        }
    }
    Ok(vectors)
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.is_ascii() && hex.len().is_multiple_of(2);
    let byte = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok();
    digits.then(|| (0..hex.len() / 2).map(byte).collect()).flatten()
}

/// `name f32[2,3] 3f800000 ..`
fn tensor_of(text: &str) -> Option<Tensor> {
    let mut words = text.split(' ');
    let (name, ty) = (words.next()?, words.next()?);
    let (dtype, dims) = ty.strip_suffix(']')?.split_once('[')?;
    let dtype = match dtype {
        "f32" => DType::F32,
        "u32" => DType::U32,
        _ => return None,
    };
    let dims: Option<Vec<usize>> =
        dims.split(',').filter(|d| !d.is_empty()).map(|d| d.parse().ok()).collect();
    let shape = Shape::new(&dims?).ok()?;
    let bits: Option<Vec<u32>> = words.map(|w| u32::from_str_radix(w, 16).ok()).collect();
    let bits = bits.filter(|bits| bits.len() == shape.elements())?;
    Some(Tensor { name: name.to_owned(), ty: Type { dtype, shape }, bits })
}
