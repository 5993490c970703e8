//! Strings: what is blank, where lines end, which characters are digits.

/// Characters of a text, as Python counts them.
pub(crate) fn length(text: &str) -> usize {
    text.chars().count()
}

/// Whether Python calls a character blank: Unicode's white space, and the four separators of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.split()`.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `str.splitlines()`, but for empty lines, which no scorer looks at.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c| {
        matches!(
            c,
            '\n' | '\r'
                | '\u{b}'
                | '\u{c}'
                | '\u{1c}'
                | '\u{1d}'
                | '\u{1e}'
                | '\u{85}'
                | '\u{2028}'
                | '\u{2029}'
        )
    };
    text.split(ends).filter(|line| !line.is_empty())
}

/// `str.title()`: the first letter of every run of letters is a capital, the others are not.
pub(crate) fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut within = false;
    for c in text.chars() {
        if within {
            titled.extend(c.to_lowercase());
        } else {
            titled.extend(c.to_uppercase());
        }
        within = c.is_alphabetic();
    }
    titled
}

/// The zeros of all scripts that have decimal digits; the others follow each in order.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// The value of a decimal digit of any script.
pub(crate) fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return c.to_digit(10).map(|d| d as u8);
    }
    let code = u32::from(c);
    let zero = ZEROS[ZEROS.partition_point(|zero| *zero <= code) - 1];
    (code - zero < 10).then_some((code - zero) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_lines_and_titles_are_as_in_python() {
        assert_eq!(strip("\u{1f}\u{a0} a b\u{3000}\n"), "a b");
        assert_eq!(strip("\u{200b}a"), "\u{200b}a");
        assert_eq!(words(" a\u{1c}b\t\tc ").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(lines("a\r\n\u{b}b\u{2028}c").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(title("mONDAY's ſunday 3rd"), "Monday'S Sunday 3Rd");
        assert_eq!(length("é×"), 2);
    }

    #[test]
    fn digits_of_all_scripts_have_values() {
        let digits = [('7', 7), ('٣', 3), ('９', 9), ('\u{1d7ff}', 9), ('\u{1fbf9}', 9)];
        for (c, value) in digits {
            assert_eq!(digit(c), Some(value), "{c}");
        }
        for c in ['a', '²', '½', '\u{66a}', '\u{10ffff}', '/', ':'] {
            assert_eq!(digit(c), None, "{c}");
        }
    }
}
