//! Tensor programs whose result is the same bits on every machine.
