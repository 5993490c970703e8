//! Lists, tuples, strings and integers as Python writes them, read without evaluating anything.

use super::number::int_of_any_base;
use num_bigint::BigInt;

/// How deep lists may lie in each other. No reference has more than two.
const MAX_DEPTH: usize = 64;
/// How many parts a list or a string may have. The largest reference has ten thousand.
const MAX_PARTS: usize = 1 << 15;

/// A value that is written out in full.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    /// An integer.
    Int(BigInt),
    /// A string.
    Text(String),
    /// A list or a tuple.
    List(Vec<Literal>),
    /// `True`, `False`, `None` or a float: read, and equal to nothing that is asked for.
    Other,
}

impl Literal {
    /// The value of a text that is one literal; nothing for names, calls, operators, sets and all else.
    pub(crate) fn read(text: &str) -> Option<Literal> {
        let mut reader = Reader { rest: text.trim_start_matches([' ', '\t']) };
        reader.blank_lines();
        let first = reader.value(0)?;
        reader.blanks(false);
        let value = if reader.rest.starts_with(',') { reader.tuple(first, false, 0)? } else { first };
        reader.blanks(true);
        reader.rest.is_empty().then_some(value)
    }

    /// What a loop over it would see; nothing for what has no parts.
    pub(crate) fn parts(self) -> Option<Vec<Literal>> {
        match self {
            Literal::List(parts) => Some(parts),
            Literal::Text(text) if text.len() > MAX_PARTS => None,
            Literal::Text(text) => Some(text.chars().map(|c| Literal::Text(c.to_string())).collect()),
            Literal::Int(_) | Literal::Other => None,
        }
    }

    /// `str()` of an integer or a string.
    pub(crate) fn shown(&self) -> Option<String> {
        match self {
            Literal::Int(n) => Some(n.to_string()),
            Literal::Text(text) => Some(text.clone()),
            Literal::List(_) | Literal::Other => None,
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self, c: char) -> bool {
        let taken = self.rest.strip_prefix(c);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    /// Passes over blanks and comments; over ends of lines only where brackets are open, or at the end.
    fn blanks(&mut self, lines: bool) {
        loop {
            let before = self.rest.len();
            self.rest = self.rest.trim_start_matches(|c| {
                matches!(c, ' ' | '\t' | '\u{c}') || (lines && matches!(c, '\n' | '\r'))
            });
            self.rest = self.rest.strip_prefix("\\\n").unwrap_or(self.rest);
            if self.rest.starts_with('#') {
                self.rest = self.rest.find(['\n', '\r']).map_or("", |end| &self.rest[end..]);
            }
            if self.rest.len() == before {
                return;
            }
        }
    }

    /// Passes over empty lines and lines of comments. What follows may not be indented, and then is not read.
    fn blank_lines(&mut self) {
        while let Some(end) = self.rest.find('\n') {
            let line = self.rest[..end].trim_start_matches([' ', '\t', '\u{c}', '\r']);
            if !line.is_empty() && !line.starts_with('#') {
                return;
            }
            self.rest = &self.rest[end + 1..];
        }
    }

    fn value(&mut self, depth: usize) -> Option<Literal> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.rest.chars().next()? {
            '[' => self.list(depth),
            '(' => self.brackets(depth),
            '\'' | '"' | 'r' | 'R' | 'u' | 'U' => self.strings(depth > 0),
            '+' | '-' => {
                let negative = self.take('-');
                if !negative {
                    self.take('+');
                }
                self.blanks(depth > 0);
                match self.value(depth + 1)? {
                    Literal::Int(n) => Some(Literal::Int(if negative { -n } else { n })),
                    Literal::Other => Some(Literal::Other),
                    Literal::Text(_) | Literal::List(_) => None,
                }
            }
            _ => self.word(),
        }
    }

    fn list(&mut self, depth: usize) -> Option<Literal> {
        self.take('[');
        self.blanks(true);
        if self.take(']') {
            return Some(Literal::List(Vec::new()));
        }
        let first = self.value(depth + 1)?;
        self.blanks(true);
        let list = self.tuple(first, true, depth)?;
        self.take(']').then_some(list)
    }

    fn brackets(&mut self, depth: usize) -> Option<Literal> {
        self.take('(');
        self.blanks(true);
        if self.take(')') {
            return Some(Literal::List(Vec::new()));
        }
        let first = self.value(depth + 1)?;
        self.blanks(true);
        // Brackets around one value are only brackets.
        let value = if self.rest.starts_with(',') { self.tuple(first, true, depth)? } else { first };
        self.take(')').then_some(value)
    }

    /// The values after the first, each after a comma. The last comma need not be followed by one.
    fn tuple(&mut self, first: Literal, lines: bool, depth: usize) -> Option<Literal> {
        let mut values = vec![first];
        while self.take(',') {
            self.blanks(lines);
            if self.rest.is_empty() || self.rest.starts_with([']', ')', '\n', '\r']) {
                break;
            }
            if values.len() == MAX_PARTS {
                return None;
            }
            values.push(self.value(depth + 1)?);
            self.blanks(lines);
        }
        Some(Literal::List(values))
    }

    /// A string, and the strings right behind it, which are part of it.
    fn strings(&mut self, lines: bool) -> Option<Literal> {
        let mut text = String::new();
        loop {
            self.string(&mut text)?;
            self.blanks(lines);
            if !self.rest.starts_with(['\'', '"', 'r', 'R', 'u', 'U']) {
                return Some(Literal::Text(text));
            }
        }
    }

    fn string(&mut self, text: &mut String) -> Option<()> {
        let raw = self.take('r') || self.take('R');
        if !raw {
            let _ = self.take('u') || self.take('U');
        }
        let quote = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let three: String = [quote; 3].iter().collect();
        let long = self.rest.starts_with(&three);
        self.rest = &self.rest[if long { 3 } else { 1 }..];
        loop {
            if long && self.rest.starts_with(&three) {
                self.rest = &self.rest[3..];
                return Some(());
            }
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                _ if c == quote && !long => return Some(()),
                '\n' if !long => return None,
                '\\' => self.escape(raw, text)?,
                _ => text.push(c),
            }
        }
    }

    fn escape(&mut self, raw: bool, text: &mut String) -> Option<()> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        if raw {
            text.extend(['\\', c]);
            return Some(());
        }
        match c {
            '\n' => {}
            '\\' | '\'' | '"' => text.push(c),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'v' => text.push('\u{b}'),
            'x' => text.push(self.code(2)?),
            'u' => text.push(self.code(4)?),
            'U' => text.push(self.code(8)?),
            // Octal numbers and names of characters spell nothing that is asked for.
            '0'..='7' | 'N' => return None,
            _ => text.extend(['\\', c]),
        }
        Some(())
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let code = self.rest.get(..digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.rest = &self.rest[digits..];
        char::from_u32(u32::from_str_radix(code, 16).ok()?)
    }

    /// A number or one of the three names that are values.
    fn word(&mut self) -> Option<Literal> {
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if matches!(word, "True" | "False" | "None") {
            return Some(Literal::Other);
        }
        // Source code has its digits in ASCII; and only there.
        if !word.is_ascii() || !word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        match int_of_any_base(word) {
            Some(n) => Some(Literal::Int(n)),
            None => {
                word.parse::<f64>().ok().filter(|_| word.contains(['.', 'e', 'E'])).map(|_| Literal::Other)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<Vec<String>> {
        Literal::read(text)?.parts()?.iter().map(Literal::shown).collect()
    }

    #[test]
    fn what_is_written_out_is_read() {
        for text in [
            "[1, 2, 3]",
            "(1,2,3)",
            "1, 2, 3",
            "1,2,3,",
            "['1', \"2\", '''3''']",
            "'123'",
            "[\n1,\n2, # two\n3]\n",
            " [1,2,3]",
            "[0x1, 0b10, 3]",
            "[+1, --2, 3]",
            "((1),(2),(3))",
            "'1' '23'",
            "\n# list\n[1,2,3]  # done\n",
            "['\\x31', u'2', r'3']",
            "([1,2,3])",
            "[1,2,3,]",
            "[ -(-1),2,3]",
        ] {
            assert_eq!(shown(text), Some(vec!["1".into(), "2".into(), "3".into()]), "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "",
            "[1 2]",
            "[1,2",
            "1,2]",
            "[1]+[2]",
            "range(3)",
            "[01]",
            "{1,2}",
            "__import__('os')",
            "'a",
            "[1,,2]",
            "[,]",
            "1\n2",
            "\n [1]",
            "[1]\n2",
            "'\n'",
            "[x]",
            "[1if 1 else 2]",
            "b'12'",
            "f'{1}'",
            "lambda:0",
            "['a'+'b']",
            "[１]",
        ] {
            assert_eq!(Literal::read(text), None, "{text:?}");
        }
        assert_eq!(Literal::read(&"[".repeat(100_000)), None);
        assert_eq!(Literal::read(&"-".repeat(100_000)), None);
        assert_eq!(shown("7"), None);
        assert_eq!(shown("[1.0]"), None);
        assert_eq!(Literal::read("[True, None, 1e3]").unwrap().parts().unwrap().len(), 3);
    }
}
