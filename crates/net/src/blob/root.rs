//! The name of a blob.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// The BLAKE3 hash of a blob's bytes, which is its name everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Root([u8; 32]);

impl Root {
    /// The root of bytes that are at hand.
    pub fn of(bytes: &[u8]) -> Root {
        Root(blake3::hash(bytes).into())
    }

    /// A root from its 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Root {
        Root(bytes)
    }

    /// Its 32 bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Sixty-four lower-case hexadecimal digits.
impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Root {
    type Err = Error;

    fn from_str(text: &str) -> Result<Root, Error> {
        let wrong = || Error::NotARoot { text: text.chars().take(80).collect() };
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [pair[0], pair[1]].map(|digit| (digit as char).to_digit(16));
            *byte = (high.ok_or_else(wrong)? << 4 | low.ok_or_else(wrong)?) as u8;
        }
        Ok(Root(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let root = Root::of(b"murmuration");
        assert_eq!(root.to_string().parse::<Root>().unwrap(), root);
        for text in ["", "zz", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32), &"+a".repeat(32)] {
            assert!(text.parse::<Root>().is_err(), "{text}");
        }
    }
}
