//! A model: its configuration, and its weights on a device.

use exact::{Builder, Device, Limits, Program, Session, UnaryFn, Var};

use crate::Error;
use crate::config::{Config, Parameter, Start};
use crate::decoder::{Memory, decoder};
use crate::weights::{Form, PARTS, Weights};

/// A model on a device. Whoever teaches it or asks it works on these weights; there are no copies.
#[derive(Debug)]
pub struct Model {
    form: Form,
    session: Session,
}

impl Model {
    /// A model that has learned nothing: weights drawn from the seed, the same on every machine.
    pub fn new(config: Config, seed: u64, device: &Device, limits: Limits) -> Result<Model, Error> {
        config.check()?;
        let mut session = Session::new(&first_weights(&config)?, device, limits)?;
        session.write("seed", &[seed as u32, (seed >> 32) as u32])?;
        session.run()?;
        Ok(Model { form: Form::plain(config), session })
    }

    /// A model whose weights are still to come, one by one: zeros until then.
    pub(crate) fn empty(form: Form, device: &Device, limits: Limits) -> Result<Model, Error> {
        form.config().check()?;
        let mut b = Builder::new();
        Weights::declare_in(&mut b, &form)?;
        let session = Session::new(&b.finish()?, device, limits)?;
        Ok(Model { form, session })
    }

    /// Its configuration.
    pub fn config(&self) -> &Config {
        self.form.config()
    }

    /// Whether some of its matrices are kept packed, as a file had them: it speaks and checks, and cannot learn.
    pub fn is_packed(&self) -> bool {
        self.form.is_packed()
    }

    /// One parameter's numbers, in 32 bits whatever they are kept in.
    pub fn weight(&self, name: &str) -> Result<Vec<f32>, Error> {
        let Some(parameter) = self.config().parameters().into_iter().find(|p| p.name == name) else {
            return Ok(self.session.read(name)?);
        };
        let mut numbers = vec![0.0; parameter.dims.iter().product()];
        self.read_part(&parameter, 0, &mut numbers)?;
        Ok(numbers)
    }

    /// Gives one parameter new numbers. Those of a packed matrix stay what they are.
    pub fn set_weight(&mut self, name: &str, numbers: &[f32]) -> Result<(), Error> {
        if self.form.packing(name).is_some() {
            return Err(Error::Packed { what: "given other numbers" });
        }
        Ok(self.session.write(name, numbers)?)
    }

    /// The hash of all weights: names, shapes and every bit. That of a packed model is of the numbers it stands for.
    pub fn root(&self) -> Result<[u8; 32], Error> {
        root(&self.form, &self.session)
    }

    /// Copies a stretch of a parameter's numbers.
    pub(crate) fn read_part(
        &self,
        parameter: &Parameter,
        first: usize,
        numbers: &mut [f32],
    ) -> Result<(), Error> {
        self.form.read_part(&self.session, parameter, first, numbers)
    }

    /// What the model thinks of every next token: after each of these tokens one number for each token there is.
    ///
    /// For looking at a model; `Speaker` answers faster, and learning has its own programs.
    pub fn logits(&self, tokens: &[u32], limits: Limits) -> Result<Vec<f32>, Error> {
        if tokens.is_empty() {
            return Err(Error::Empty { what: "a text to read" });
        }
        let config = self.config();
        if tokens.len() > config.context {
            return Err(Error::TooLong { what: "a text", length: tokens.len(), limit: config.context });
        }
        let mut b = Builder::new();
        let ids = b.input::<u32>("ids", &[1, tokens.len()])?;
        let weights = Weights::declare_in(&mut b, &self.form)?;
        let x = decoder(&mut b, config, &weights, ids, &Memory::Fresh)?;
        let logits = weights.head(&mut b, config, x)?;
        b.output("logits", logits)?;
        let mut session = self.session.share(&b.finish()?, limits)?;
        session.write("ids", tokens)?;
        session.run()?;
        Ok(session.read("logits")?)
    }

    /// The same model on another device.
    pub fn copy_to(&self, device: &Device, limits: Limits) -> Result<Model, Error> {
        let mut copy = Model::empty(self.form.clone(), device, limits)?;
        for name in self.form.states() {
            // The words of packed matrices are whole numbers, all other states are not.
            if name.ends_with(PARTS[0]) {
                copy.session.write(name, &self.session.read::<u32>(name)?)?;
            } else {
                copy.session.write(name, &self.session.read::<f32>(name)?)?;
            }
        }
        Ok(copy)
    }

    pub(crate) fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Where its weights are.
    pub fn device(&self) -> &Device {
        self.session.device()
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn form(&self) -> &Form {
        &self.form
    }
}

/// Numbers that are hashed at a time.
const AT_A_TIME: usize = 1 << 16;

/// The hash of all weights as they are in a session.
fn root(form: &Form, session: &Session) -> Result<[u8; 32], Error> {
    let mut hasher = blake3::Hasher::new_derive_key("starling model weights v1");
    let (mut numbers, mut bytes) = (vec![0.0f32; AT_A_TIME], Vec::new());
    for parameter in form.config().parameters() {
        let mut length = |n: usize| {
            hasher.update(&(n as u64).to_le_bytes());
        };
        length(parameter.name.len());
        length(parameter.dims.len());
        parameter.dims.iter().for_each(|d| length(*d));
        hasher.update(parameter.name.as_bytes());
        // Some at a time: the largest parameter may be a third of the model.
        let elements: usize = parameter.dims.iter().product();
        for first in (0..elements).step_by(AT_A_TIME) {
            let some = &mut numbers[..AT_A_TIME.min(elements - first)];
            form.read_part(session, &parameter, first, some)?;
            bytes.clear();
            bytes.extend(some.iter().flat_map(|number| number.to_bits().to_le_bytes()));
            hasher.update(&bytes);
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

/// The root of weights that may move, worked out once for each time they did.
#[derive(Debug, Default)]
pub(crate) struct Root {
    /// The weights' changes when they were last looked at.
    changes: Option<u64>,
    known: Option<[u8; 32]>,
}

impl Root {
    /// Whether the weights have changed since this was last asked.
    pub(crate) fn moved(&mut self, form: &Form, session: &Session) -> Result<bool, Error> {
        let mut changes = 0;
        for name in form.states() {
            changes += session.changes(name)?;
        }
        let moved = self.changes != Some(changes);
        if moved {
            (self.changes, self.known) = (Some(changes), None);
        }
        Ok(moved)
    }

    /// The root as of when [`Root::moved`] was last asked.
    pub(crate) fn get(&mut self, form: &Form, session: &Session) -> Result<[u8; 32], Error> {
        match self.known {
            Some(root) => Ok(root),
            None => Ok(*self.known.insert(root(form, session)?)),
        }
    }
}

/// The program that draws a model's first weights: normal numbers by Box and Muller from Philox, one stream per parameter.
fn first_weights(config: &Config) -> Result<Program, Error> {
    let mut b = Builder::new();
    let seed = b.input::<u32>("seed", &[2])?;
    let weights = Weights::declare(&mut b, config)?;
    for (stream, (parameter, value)) in weights.all.iter().enumerate() {
        let first = drawn(&mut b, seed, stream as u32, parameter)?;
        b.assign(*value, first)?;
    }
    Ok(b.finish()?)
}

/// How a parameter begins, from its own stream of the seed's random numbers.
pub(crate) fn drawn(
    b: &mut Builder,
    seed: Var<u32>,
    stream: u32,
    parameter: &Parameter,
) -> Result<Var<f32>, Error> {
    let deviation = match parameter.start {
        Start::Constant(number) => return Ok(b.full(&parameter.dims, number)?),
        Start::Normal(deviation) => deviation,
    };
    let n = parameter.dims.iter().product();
    let (stream, position) = (b.full(&[1], stream)?, b.full(&[1], 0u32)?);
    let key = b.concat(&[seed, stream, position], 0)?;
    let key = b.reshape(key, &[1, 4])?;
    let bits = b.philox(key, 2 * n)?;
    let u = b.unit(bits)?;
    let (u, v) = (b.slice(u, 1, 0, n)?, b.slice(u, 1, n, n)?);
    // sqrt(-2 ln u) cos(2 pi v)
    let log = b.unary(UnaryFn::Log, u)?;
    let square = b.scale(log, -2.0)?;
    let radius = b.unary(UnaryFn::Sqrt, square)?;
    let angle = b.scale(v, std::f32::consts::TAU)?;
    let x = b.unary(UnaryFn::Cos, angle)?;
    let x = b.mul(x, radius)?;
    let x = b.scale(x, deviation)?;
    Ok(b.reshape(x, &parameter.dims)?)
}
