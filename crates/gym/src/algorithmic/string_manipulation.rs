//! `string_manipulation`: a string to be rewritten by rules until nothing changes.

use crate::dice::Dice;
use crate::family::{Family, Problem, Unfit, span};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// Strings of a, b and c, and rules to rewrite them by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StringManipulation {
    /// The fewest letters.
    pub min_string_length: u32,
    /// The most letters.
    pub max_string_length: u32,
    /// The fewest rules.
    pub min_num_rules: u32,
    /// The most rules.
    pub max_num_rules: u32,
}

impl Default for StringManipulation {
    fn default() -> StringManipulation {
        StringManipulation { min_string_length: 5, max_string_length: 20, min_num_rules: 3, max_num_rules: 8 }
    }
}

/// A rule in words, and what it makes of a string it applies to.
type Rule = (&'static str, fn(&str) -> Option<String>);

/// The rules, in the order by which compact questions number them, from 1.
const RULES: [Rule; 20] = [
    ("If it begins with 'ab', that becomes 'ca'.", |s| Some(format!("ca{}", s.strip_prefix("ab")?))),
    ("If it ends with 'ac', that becomes 'cb'.", |s| Some(format!("{}cb", s.strip_suffix("ac")?))),
    ("If it begins with 'bc', that is deleted and 'aa' put at the end.", |s| {
        Some(format!("{}aa", s.strip_prefix("bc")?))
    }),
    ("If it ends with 'bb', that is deleted.", |s| Some(s.strip_suffix("bb")?.to_owned())),
    ("If it begins with 'cb', that becomes 'aa' and the last letter is deleted.", |s| {
        let rest = s.strip_prefix("cb")?;
        Some(format!("aa{}", rest.get(..rest.len().saturating_sub(1))?))
    }),
    ("If it begins with 'ca', that becomes 'bb' and 'c' is put at the end.", |s| {
        Some(format!("bb{}c", s.strip_prefix("ca")?))
    }),
    ("If it ends with 'cc', that becomes 'b' and 'a' is put at the start.", |s| {
        Some(format!("a{}b", s.strip_suffix("cc")?))
    }),
    ("If it begins with 'aa', the first letter is deleted.", |s| {
        s.starts_with("aa").then(|| s[1..].to_owned())
    }),
    ("If it contains 'abc', the first of these becomes 'cab'.", |s| {
        s.contains("abc").then(|| s.replacen("abc", "cab", 1))
    }),
    ("If it contains 'bca', the first of these is deleted.", |s| {
        s.contains("bca").then(|| s.replacen("bca", "", 1))
    }),
    ("If it ends with 'ba', that becomes 'ab'.", |s| Some(format!("{}ab", s.strip_suffix("ba")?))),
    ("If it begins with 'cc', that is deleted.", |s| Some(s.strip_prefix("cc")?.to_owned())),
    ("If it contains 'acb', the first of these becomes 'bca'.", |s| {
        s.contains("acb").then(|| s.replacen("acb", "bca", 1))
    }),
    ("If it ends with 'ca', the last letter is deleted.", |s| {
        s.ends_with("ca").then(|| s[..s.len() - 1].to_owned())
    }),
    ("If it begins with 'bb', the second letter is deleted.", |s| {
        Some(format!("b{}", s.strip_prefix("bb")?))
    }),
    ("If it ends with 'aa', that becomes 'cc'.", |s| Some(format!("{}cc", s.strip_suffix("aa")?))),
    ("If 'ca' comes anywhere behind the first letter, the first such is deleted.", |s| {
        let at = s.get(1..)?.find("ca")? + 1;
        Some(format!("{}{}", &s[..at], &s[at + 2..]))
    }),
    ("If it contains 'b' and the number of 'b's is even, 'ab' is put at the end.", |s| {
        let count = s.matches('b').count();
        (count > 0 && count.is_multiple_of(2)).then(|| format!("{s}ab"))
    }),
    ("If it has more than 15 letters, the middle one is deleted; of two, the second.", |s| {
        let middle = s.len() / 2;
        (s.len() > 15).then(|| format!("{}{}", &s[..middle], &s[middle + 1..]))
    }),
    ("If it begins with 'ac', that becomes 'zz'.", |s| Some(format!("zz{}", s.strip_prefix("ac")?))),
];

/// More states than this, and the string and its rules are thrown away: who would follow them?
const MAX_STATES: usize = 400;

impl Family for StringManipulation {
    const NAME: &'static str = "string_manipulation";

    fn levels() -> Vec<StringManipulation> {
        let all = StringManipulation::default();
        vec![
            StringManipulation { max_string_length: 8, max_num_rules: 3, ..all.clone() },
            StringManipulation { max_string_length: 12, max_num_rules: 5, ..all.clone() },
            all,
        ]
    }

    fn check(&self) -> Result<(), Unfit> {
        let (least, most) = (self.min_string_length, self.max_string_length);
        span(("min_string_length", least), ("max_string_length", most), 5..=200)?;
        span(("min_num_rules", self.min_num_rules), ("max_num_rules", self.max_num_rules), 3..=20)
    }

    fn problem(&self, dice: &mut Dice) -> Problem {
        loop {
            let length = dice.size(self.min_string_length, self.max_string_length);
            let string: String = (0..length).map(|_| dice.one(['a', 'b', 'c'])).collect();
            let count = dice.size(self.min_num_rules, self.max_num_rules);
            let rules = dice.sample(RULES.len(), count);
            // Most strings and rules come to an end, and to one that is not empty.
            let Some(states) = states(&string, &rules) else { continue };
            let Some(last) = states.last().filter(|last| !last.is_empty()).cloned() else { continue };
            return problem(&string, &rules, &states, last);
        }
    }
}

fn problem(string: &str, rules: &[usize], states: &[String], last: String) -> Problem {
    let texts: Vec<&str> = rules.iter().map(|rule| RULES[*rule].0).collect();
    let list: Vec<String> = texts.iter().enumerate().map(|(i, text)| format!("{}. {text}", i + 1)).collect();
    let numbers: Vec<String> = rules.iter().map(|rule| (rule + 1).to_string()).collect();
    Problem {
        question: format!(
            "A string is rewritten step by step. Each step applies the first of these rules that applies to it:\n{}\n\
             It ends when no rule applies, or when a step would lead to a string that was there before: that step is not taken. How \
             does {string} end?",
            list.join("\n")
        ),
        compact: format!("sm:{}:{string}=", numbers.join(",")),
        data: json!({
            "string": string,
            "solution": last,
            "states": states,
            "selected_rules": texts,
            "string_length": string.len(),
            "num_rules": rules.len(),
        }),
        answer: last,
    }
}

/// A string and all it becomes; nothing if that does not end soon.
fn states(string: &str, rules: &[usize]) -> Option<Vec<String>> {
    let mut states = vec![string.to_owned()];
    let mut seen = BTreeSet::from([string.to_owned()]);
    while states.len() <= MAX_STATES {
        let last = states.last()?;
        match rules.iter().find_map(|rule| RULES[*rule].1(last)) {
            Some(next) if seen.insert(next.clone()) => states.push(next),
            _ => return Some(states),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::trial;

    #[test]
    fn tasks_hold() {
        trial::hold::<StringManipulation>(|task| format!("{}a", task.answer));
        trial::refuses::<StringManipulation>(&[
            r#"{"min_string_length":4}"#,
            r#"{"min_num_rules":2}"#,
            r#"{"max_num_rules":21}"#,
        ]);
        let longest =
            r#"{"min_string_length":200,"max_string_length":200,"min_num_rules":20,"max_num_rules":20}"#;
        crate::configured("string_manipulation", longest).unwrap().task(1, 0);
    }

    #[test]
    fn every_rule_does_what_it_says() {
        let cases = [
            ("abc", "cac"),
            ("bac", "bcb"),
            ("bca", "aaa"),
            ("abb", "a"),
            ("cbac", "aaa"),
            ("cab", "bbbc"),
            ("acc", "aab"),
            ("aab", "ab"),
            ("babc", "bcab"),
            ("abcab", "ab"),
            ("cba", "cab"),
            ("ccb", "b"),
            ("bacb", "bbca"),
            ("bca", "bc"),
            ("bba", "ba"),
            ("baa", "bcc"),
            ("cacab", "cab"),
            ("bab", "babab"),
            ("abcabcabcabcabcab", "abcabcabbcabcab"),
            ("acb", "zzb"),
        ];
        for (i, (before, after)) in cases.into_iter().enumerate() {
            let (words, rule) = RULES[i];
            if i != 18 {
                assert_eq!(rule(before).as_deref(), Some(after), "{words}");
            }
            assert_eq!(rule("q"), None, "{words}");
        }
        assert_eq!(RULES[18].1("aaaaaaaabaaaaaaa").as_deref(), Some("aaaaaaaaaaaaaaa"));
        assert_eq!(RULES[4].1("cb").as_deref(), Some("aa"));
    }

    #[test]
    fn rewriting_ends_before_it_repeats() {
        // Rule 11 turns ba into ab, rule 2 has nothing to do; then rule 1 takes over.
        assert_eq!(states("cba", &[10, 1, 0]).unwrap(), ["cba", "cab"]);
        // Rules 1 and 6 lead from ab to ca, to bbc, where rule 15 and 3 go on.
        assert_eq!(states("ab", &[0, 5, 14, 2]).unwrap(), ["ab", "ca", "bbc", "bc", "aa"]);
    }
}
