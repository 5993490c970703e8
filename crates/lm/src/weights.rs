//! A model's weights as states of programs: numbers of 32 bits, or matrices that stay packed in 4 or 8 bits a number.
//!
//! A packed matrix is what `Builder::packed_matmul` multiplies with: words of whole numbers, and a scale and a shift for each group of a
//! column's numbers. It stands for the numbers `q scale + shift`, rounded once, and computes with them to the bit as if they were
//! there: so a packed model has the root of the model it stands for, and says and checks what that one says. It cannot learn.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use exact::{Builder, Session, Var};

use crate::Error;
use crate::config::{Config, Parameter};

/// How a matrix is kept in few bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits {
    /// 4 or 8.
    pub(crate) bits: u8,
    /// Numbers of a column that share a scale and a shift.
    pub(crate) group: usize,
}

impl Bits {
    /// Numbers to a word.
    pub(crate) fn per(self) -> usize {
        32 / usize::from(self.bits)
    }
}

/// What the states of a packed matrix are called after its name.
pub(crate) const PARTS: [&str; 3] = [".words", ".scale", ".shift"];

/// A model as it is in memory: its shape, and which of its matrices are packed.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    config: Config,
    packed: Arc<BTreeMap<String, Bits>>,
    /// The names of all states.
    states: Arc<[String]>,
}

impl Form {
    /// All of it in 32 bits.
    pub(crate) fn plain(config: Config) -> Form {
        Form::new(config, BTreeMap::new())
    }

    /// These matrices packed, the rest in 32 bits. The embedding may be one of them where it is the head too: tokens are looked up in a
    /// table of 32 bits, and logits come from the packed matrix.
    pub(crate) fn new(config: Config, packed: BTreeMap<String, Bits>) -> Form {
        let mut states = Vec::new();
        for Parameter { name, .. } in config.parameters() {
            if packed.contains_key(&name) {
                states.extend(PARTS.map(|part| format!("{name}{part}")));
            }
            if !packed.contains_key(&name) || is_table(&name) {
                states.push(name);
            }
        }
        Form { config, packed: Arc::new(packed), states: states.into() }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How a parameter is packed, if it is.
    pub(crate) fn packing(&self, name: &str) -> Option<Bits> {
        self.packed.get(name).copied()
    }

    pub(crate) fn is_packed(&self) -> bool {
        !self.packed.is_empty()
    }

    /// The names of all states that hold weights.
    pub(crate) fn states(&self) -> &[String] {
        &self.states
    }

    /// Copies a stretch of a parameter's numbers, in 32 bits whatever they are kept in.
    pub(crate) fn read_part(
        &self,
        session: &Session,
        parameter: &Parameter,
        first: usize,
        numbers: &mut [f32],
    ) -> Result<(), Error> {
        let name = &parameter.name;
        let Some(how) = self.packing(name).filter(|_| !is_table(name)) else {
            return Ok(session.read_part(name, first, numbers)?);
        };
        let columns = parameter.dims[1];
        let [words_of, scale_of, shift_of] = PARTS.map(|part| format!("{name}{part}"));
        let (mut words, mut scale, mut shift) = (Vec::new(), Vec::new(), Vec::new());
        let mut done = 0;
        while done < numbers.len() {
            let (row, column) = ((first + done) / columns, (first + done) % columns);
            let some = (columns - column).min(numbers.len() - done);
            words.resize(some, 0u32);
            scale.resize(some, 0.0f32);
            shift.resize(some, 0.0f32);
            session.read_part(&words_of, row / how.per() * columns + column, &mut words)?;
            let group = row / how.group * columns + column;
            session.read_part(&scale_of, group, &mut scale)?;
            session.read_part(&shift_of, group, &mut shift)?;
            let place = (row % how.per()) as u32 * u32::from(how.bits);
            let mask = (1u32 << how.bits) - 1;
            let here = numbers[done..].iter_mut().zip(&words).zip(scale.iter().zip(&shift));
            for ((number, word), (scale, shift)) in here {
                *number = unpacked(word >> place & mask, *scale, *shift);
            }
            done += some;
        }
        Ok(())
    }
}

/// What a packed number stands for. Scales and shifts are made of halves, which are multiples of 2^-24 and small: in 64 bits product and sum
/// are exact, so there is the one rounding of the definition.
fn unpacked(q: u32, scale: f32, shift: f32) -> f32 {
    let number = (f64::from(q) * f64::from(scale) + f64::from(shift)) as f32;
    if number.is_nan() { f32::from_bits(0x7fc0_0000) } else { number }
}

/// Whether tokens are looked up in a parameter, for which it must be a table of 32 bits.
fn is_table(name: &str) -> bool {
    name == "model.embed_tokens.weight"
}

/// A model's parameters as states of one program.
pub(crate) struct Weights {
    by_name: HashMap<String, Var<f32>>,
    packed: HashMap<String, Matrix>,
    /// Those in 32 bits, in the order of [`Config::parameters`].
    pub(crate) all: Vec<(Parameter, Var<f32>)>,
}

impl Weights {
    /// Declares every parameter of a model in 32 bits as a state of the program.
    pub(crate) fn declare(b: &mut Builder, config: &Config) -> Result<Weights, Error> {
        Weights::declare_in(b, &Form::plain(config.clone()))
    }

    /// Declares every parameter as it is in memory.
    pub(crate) fn declare_in(b: &mut Builder, form: &Form) -> Result<Weights, Error> {
        let (mut all, mut packed) = (Vec::new(), HashMap::new());
        for parameter in form.config.parameters() {
            let how = form.packing(&parameter.name);
            if let Some(how) = how {
                packed.insert(parameter.name.clone(), Matrix::declare(b, &parameter, how)?);
            }
            if how.is_none() || is_table(&parameter.name) {
                let value = b.state::<f32>(&parameter.name, &parameter.dims)?;
                all.push((parameter, value));
            }
        }
        let by_name = all.iter().map(|(p, v)| (p.name.clone(), *v)).collect();
        Ok(Weights { by_name, packed, all })
    }

    /// Puts another value in the place of a parameter, for all that is built from here on.
    pub(crate) fn replace(&mut self, name: &str, value: Var<f32>) {
        self.by_name.insert(name.to_owned(), value);
    }

    /// A parameter that is no matrix to multiply with.
    pub(crate) fn get(&self, name: &str) -> Result<Var<f32>, Error> {
        let missing = || Error::Config { field: "parameters", why: format!("lack {name}") };
        self.by_name.get(name).copied().ok_or_else(missing)
    }

    /// `x w` for a parameter `w[in, out]`, whatever the axes of `x` before the last.
    pub(crate) fn linear(&self, b: &mut Builder, x: Var<f32>, name: &str) -> Result<Var<f32>, Error> {
        match self.packed.get(name) {
            Some(matrix) => matrix.linear(b, x),
            None => Ok(b.linear(x, self.get(name)?)?),
        }
    }

    /// Logits `[rows, vocabulary]` of vectors `[rows, width]`.
    pub(crate) fn head(&self, b: &mut Builder, config: &Config, x: Var<f32>) -> Result<Var<f32>, Error> {
        let name = if config.tied { "model.embed_tokens.weight" } else { "lm_head.weight" };
        if config.tied && !self.packed.contains_key(name) {
            return Ok(b.matmul_t(x, false, self.get(name)?, true)?);
        }
        self.linear(b, x, name)
    }
}

/// A packed matrix `[in, out]` of a program.
struct Matrix {
    how: Bits,
    words: Var<u32>,
    scale: Var<f32>,
    shift: Var<f32>,
}

impl Matrix {
    fn declare(b: &mut Builder, parameter: &Parameter, how: Bits) -> Result<Matrix, Error> {
        // Files have rows of outputs, and so has the table of a tied head.
        let [rows, columns] = matrix_dims(parameter);
        let [words, scale, shift] = PARTS.map(|part| format!("{}{part}", parameter.name));
        Ok(Matrix {
            how,
            words: b.state(&words, &[rows / how.per(), columns])?,
            scale: b.state(&scale, &[rows / how.group, columns])?,
            shift: b.state(&shift, &[rows / how.group, columns])?,
        })
    }

    fn linear(&self, b: &mut Builder, x: Var<f32>) -> Result<Var<f32>, Error> {
        let mut dims = x.shape().to_vec();
        let last = dims.pop().unwrap_or(1);
        let flat = b.reshape(x, &[dims.iter().product(), last])?;
        let y = b.packed_matmul(flat, self.how.bits, self.words, self.scale, self.shift)?;
        dims.push(self.words.dim(1));
        Ok(b.reshape(y, &dims)?)
    }
}

/// Inputs and outputs of a matrix to multiply with.
pub(crate) fn matrix_dims(parameter: &Parameter) -> [usize; 2] {
    let [first, second] = [0, 1].map(|axis| parameter.dims.get(axis).copied().unwrap_or(1));
    if is_table(&parameter.name) { [second, first] } else { [first, second] }
}
