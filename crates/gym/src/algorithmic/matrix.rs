//! Matrices of small numbers, and what can be done to them.

use crate::dice::Dice;
use crate::python::Literal;

/// Rows of numbers, all of one length.
pub(crate) type Matrix = Vec<Vec<u32>>;

/// A matrix of digits.
pub(crate) fn digits(dice: &mut Dice, rows: usize, columns: usize) -> Matrix {
    (0..rows).map(|_| (0..columns).map(|_| dice.below(10) as u32).collect()).collect()
}

/// Numbers with blanks between them, each row on a line.
pub(crate) fn written(matrix: &[Vec<u32>]) -> String {
    matrix.iter().map(|row| line(row)).collect::<Vec<_>>().join("\n")
}

/// Numbers with blanks between them.
pub(crate) fn line(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}

/// Rows as columns.
pub(crate) fn transposed(matrix: &[Vec<u32>]) -> Matrix {
    let columns = matrix.first().map_or(0, Vec::len);
    (0..columns).map(|c| matrix.iter().map(|row| row[c]).collect()).collect()
}

/// A quarter turn clockwise.
pub(crate) fn turned(matrix: &[Vec<u32>]) -> Matrix {
    let mut turned = transposed(matrix);
    for row in &mut turned {
        row.reverse();
    }
    turned
}

/// The parts of a list that is written out, with blanks between them, as the package shows what it evaluates.
pub(crate) fn shown_list(list: Literal) -> Option<String> {
    let parts: Option<Vec<String>> = list.parts()?.iter().map(Literal::shown).collect();
    Some(parts?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_turn_clockwise() {
        let matrix = vec![vec![1, 2, 3], vec![4, 5, 6]];
        assert_eq!(written(&turned(&matrix)), "4 1\n5 2\n6 3");
        assert_eq!(written(&transposed(&matrix)), "1 4\n2 5\n3 6");
        assert_eq!(turned(&turned(&turned(&turned(&matrix)))), matrix);
    }
}
