//! Short forms of answers: what models write who know only a few characters.
//!
//! Small models know lower-case letters, digits and `:=+-*(),`. Sums are short the wrong way round: their last digit, which is known first, comes first.

/// A text the wrong way round. Of a number: its last digit first.
pub(crate) fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// A decimal number with a comma for its point, the wrong way round.
pub(crate) fn reversed_decimal(number: &str) -> String {
    reversed(&number.replace('.', ","))
}

/// The number of [`reversed_decimal`].
pub(crate) fn decimal(short: &str) -> String {
    reversed(short).replace(',', ".")
}

/// A text in lower case, with a plus before what was a capital. Words keep their order when they are sorted.
pub(crate) fn marked(text: &str) -> String {
    let mut marked = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            marked.push('+');
        }
        marked.push(c.to_ascii_lowercase());
    }
    marked
}

/// The text of [`marked`].
pub(crate) fn unmarked(short: &str) -> String {
    let mut text = String::with_capacity(short.len());
    let mut capital = false;
    for c in short.chars() {
        match c {
            '+' if !capital => capital = true,
            _ => {
                text.push(if capital { c.to_ascii_uppercase() } else { c });
                capital = false;
            }
        }
    }
    text
}

/// Words with a comma and a blank between any two, [`marked`] and without the blanks.
pub(crate) fn listed(words: &str) -> String {
    marked(words).replace(", ", ",")
}

/// The words of [`listed`].
pub(crate) fn unlisted(short: &str) -> String {
    unmarked(short).replace(',', ", ")
}

/// A matrix with commas between numbers and colons between rows.
pub(crate) fn matrix(text: &str) -> String {
    text.replace(' ', ",").replace('\n', ":")
}

/// The matrix of [`matrix`].
pub(crate) fn unshortened_matrix(short: &str) -> String {
    short.replace(',', " ").replace(':', "\n")
}

/// `True` or `False` as one letter.
pub(crate) fn truth(answer: &str) -> String {
    match answer {
        "True" => "y",
        "False" => "n",
        other => other,
    }
    .to_owned()
}

/// The truth of [`truth`].
pub(crate) fn unshortened_truth(short: &str) -> String {
    match short {
        "y" => "True",
        "n" => "False",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_come_back() {
        for text in ["Well, the End", "abc", "ABC", ""] {
            assert_eq!(unmarked(&marked(text)), text);
        }
        assert_eq!(marked("The UN"), "+the +u+n");
        assert_eq!(unshortened_matrix(&matrix("1 2\n3 4")), "1 2\n3 4");
        assert_eq!((reversed("-12"), decimal(&reversed_decimal("-1.25"))), ("21-".into(), "-1.25".into()));
        assert_eq!(
            (unshortened_truth(&truth("True")), unshortened_truth("maybe")),
            ("True".into(), "maybe".into())
        );
    }

    #[test]
    fn marked_words_keep_their_order() {
        let mut words = ["The", "the", "And", "and", "UN", "Un"];
        words.sort_unstable();
        let marks: Vec<String> = words.iter().map(|w| marked(w)).collect();
        assert!(marks.is_sorted(), "{marks:?}");
    }
}
