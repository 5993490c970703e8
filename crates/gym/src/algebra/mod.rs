//! Families of equations.

mod simple_equations;

pub use simple_equations::SimpleEquations;
