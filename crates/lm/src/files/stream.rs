//! Weights on their way between files and a model, a few rows at a time: no tensor is ever held a second time.

use std::path::Path;

use super::gguf::Packing;
use crate::config::Parameter;
use crate::weights::{Bits, PARTS, matrix_dims};
use crate::{Error, Model};

/// Numbers that are held at a time, unless one row has more.
const AT_A_TIME: usize = 1 << 20;
/// Rows and columns of the squares in which a matrix is turned: a square's lines stay in the nearest cache.
const SQUARE: usize = 32;

/// Tells how far a long work is: bytes done, of how many.
pub(crate) type Watch<'a> = &'a mut dyn FnMut(u64, u64);

/// What is shown a tensor's blocks.
pub(crate) type ShowBlocks<'a> = &'a mut dyn FnMut(Packing, &[u8]) -> Result<(), Error>;

/// A file, or several, with named tensors of numbers in rows.
pub(crate) trait Source {
    /// Where the tensor is, to say so if it is wrong.
    fn place(&self, tensor: &str) -> &Path;
    /// The tensor's shape, the slowest axis first, or nothing if it is not there.
    fn dims(&self, tensor: &str) -> Option<Vec<u64>>;
    /// Every tensor's name.
    fn names(&self) -> Vec<&str>;
    /// Shows a tensor's numbers in order, whole rows of `columns` and about `numbers` at a time.
    fn read(
        &self,
        tensor: &str,
        columns: usize,
        numbers: usize,
        each: &mut dyn FnMut(&[f32]) -> Result<(), Error>,
    ) -> Result<(), Error>;
    /// Shows a tensor's blocks in order, whole rows and blocks of about `numbers` numbers at a time; nothing if it has none.
    fn read_blocks(&self, _tensor: &str, _numbers: usize, _each: ShowBlocks<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// Gives every parameter of a model the numbers a source has for it.
pub(crate) fn fill(model: &mut Model, source: &dyn Source, watch: Watch<'_>) -> Result<(), Error> {
    let parameters = model.config().parameters();
    let known = |name: &str| {
        // The frequencies of older files, which follow from the configuration, and the second copy of a tied head.
        let spare =
            name.ends_with("rotary_emb.inv_freq") || (name == "lm_head.weight" && model.config().tied);
        spare || parameters.iter().any(|p| p.name == name)
    };
    if let Some(name) = source.names().into_iter().find(|name| !known(name)) {
        let why =
            "is no part of a model of this configuration, so the model would not be what it was".to_owned();
        return Err(Error::Tensor { file: source.place(name).to_owned(), tensor: name.to_owned(), why });
    }
    for parameter in &parameters {
        check_shape(parameter, source)?;
    }
    let total = 4 * model.config().size() as u64;
    let mut done = 0;
    let mut turned = Vec::new();
    for parameter in &parameters {
        let columns = parameter.dims_in_files().last().copied().unwrap_or(1);
        if let Some(how) = model.form().packing(&parameter.name) {
            fill_packed(model, parameter, how, source)?;
            // The table that tokens are looked up in is there beside the packed head.
            if parameter.is_turned() {
                done += 4 * parameter.dims.iter().product::<usize>() as u64;
                watch(done, total);
                continue;
            }
        }
        let session = model.session_mut();
        let mut row = 0;
        source.read(&parameter.name, columns, AT_A_TIME, &mut |numbers| {
            let rows = numbers.len() / columns;
            if parameter.is_turned() {
                turn(numbers, columns, &mut turned);
                for (column, part) in turned.chunks_exact(rows).enumerate() {
                    session.write_part(&parameter.name, column * parameter.dims[1] + row, part)?;
                }
            } else {
                session.write_part(&parameter.name, row * columns, numbers)?;
            }
            row += rows;
            done += 4 * numbers.len() as u64;
            watch(done, total);
            Ok(())
        })?;
    }
    Ok(())
}

/// Gives a packed matrix the words, scales and shifts that a source's blocks come to.
fn fill_packed(
    model: &mut Model,
    parameter: &Parameter,
    how: Bits,
    source: &dyn Source,
) -> Result<(), Error> {
    let [inputs, outputs] = matrix_dims(parameter);
    let (words, groups) = (inputs / how.per(), inputs / how.group);
    let [words_of, scale_of, shift_of] = PARTS.map(|part| format!("{}{part}", parameter.name));
    let session = model.session_mut();
    let mut column = 0;
    let (mut packed, mut scale, mut shift) = (Vec::new(), Vec::new(), Vec::new());
    let (mut turned, mut turned_scale, mut turned_shift) = (Vec::new(), Vec::new(), Vec::new());
    source.read_blocks(&parameter.name, AT_A_TIME, &mut |packing, blocks| {
        packed.clear();
        scale.clear();
        shift.clear();
        packing.words(blocks, &mut packed, &mut scale, &mut shift);
        let some = packed.len() / words;
        turn(&packed, words, &mut turned);
        for (row, part) in turned.chunks_exact(some).enumerate() {
            session.write_part(&words_of, row * outputs + column, part)?;
        }
        turn(&scale, groups, &mut turned_scale);
        turn(&shift, groups, &mut turned_shift);
        let parts = turned_scale.chunks_exact(some).zip(turned_shift.chunks_exact(some));
        for (group, (scale, shift)) in parts.enumerate() {
            session.write_part(&scale_of, group * outputs + column, scale)?;
            session.write_part(&shift_of, group * outputs + column, shift)?;
        }
        column += some;
        Ok(())
    })
}

/// That the source has the parameter, in its shape.
fn check_shape(parameter: &Parameter, source: &dyn Source) -> Result<(), Error> {
    let wrong = |why: String| {
        let tensor = parameter.name.clone();
        Err(Error::Tensor { file: source.place(&tensor).to_owned(), tensor, why })
    };
    let expected: Vec<u64> = parameter.dims_in_files().iter().map(|d| *d as u64).collect();
    match source.dims(&parameter.name) {
        None => wrong("is missing: fetch the model's other files too, or mend its configuration".to_owned()),
        Some(dims) if dims != expected => wrong(format!(
            "is {dims:?} and the configuration wants {expected:?}: they do not belong together"
        )),
        Some(_) => Ok(()),
    }
}

/// Shows a parameter's numbers as files have them, in order, some rows at a time.
pub(crate) fn drain(
    model: &Model,
    parameter: &Parameter,
    each: &mut dyn FnMut(&[f32]) -> Result<(), Error>,
) -> Result<(), Error> {
    let dims = parameter.dims_in_files();
    let columns = dims.last().copied().unwrap_or(1);
    let rows: usize = dims.iter().product::<usize>() / columns;
    let at_a_time = (AT_A_TIME / columns).max(1);
    let (mut numbers, mut turned) = (Vec::new(), Vec::new());
    for row in (0..rows).step_by(at_a_time) {
        let some = at_a_time.min(rows - row);
        numbers.resize(some * columns, 0.0);
        if parameter.is_turned() {
            for (column, part) in numbers.chunks_exact_mut(some).enumerate() {
                model.read_part(parameter, column * rows + row, part)?;
            }
            turn(&numbers, some, &mut turned);
            each(&turned)?;
        } else {
            model.read_part(parameter, row * columns, &mut numbers)?;
            each(&numbers)?;
        }
    }
    Ok(())
}

/// Rows become columns.
fn turn<T: Copy + Default>(numbers: &[T], columns: usize, turned: &mut Vec<T>) {
    let rows = numbers.len() / columns;
    turned.clear();
    turned.resize(numbers.len(), T::default());
    for top in (0..rows).step_by(SQUARE) {
        for left in (0..columns).step_by(SQUARE) {
            for row in top..(top + SQUARE).min(rows) {
                for column in left..(left + SQUARE).min(columns) {
                    turned[column * rows + row] = numbers[row * columns + column];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::turn;

    #[test]
    fn turning_twice_changes_nothing() {
        for (rows, columns) in [(1, 1), (1, 70), (33, 65), (64, 32), (100, 3)] {
            let numbers: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let (mut once, mut twice) = (Vec::new(), Vec::new());
            turn(&numbers, columns, &mut once);
            assert_eq!(once[rows * (columns - 1)], (columns - 1) as f32);
            turn(&once, rows, &mut twice);
            assert_eq!(twice, numbers);
        }
    }
}
