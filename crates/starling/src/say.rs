//! Lines on standard output.

/// Prints a line, or gives why it could not: a reader that has gone away is no reason to panic.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($line)*)?
    }};
}
