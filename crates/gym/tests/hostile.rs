//! Scorers read strangers' text: whatever it is, they give a score, and soon.

use gym::{MAX_ANSWER_BYTES, Task, environment, names};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Texts of the kinds that scorers take apart: arbitrary ones, and ones made of what they look for.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "'",
        "\"",
        "\\",
        "/",
        "//",
        "**",
        "×",
        ",",
        ":",
        "-",
        "+",
        "_",
        "#",
        ".",
        "e",
        "0x",
        "0",
        "7",
        "12",
        "999999999999999999999999",
        "1e999999999",
        "٣",
        " ",
        "\n",
        "\t",
        "\u{1c}",
        "True",
        "nan",
        "inf",
        "\\frac{",
        "$",
        "up",
        "left",
        "Move disk 1 from Peg 1 to Peg 2\n",
        "Monday",
        "A#",
        "%",
        "=",
        "é",
        "\u{10ffff}",
    ]);
    prop_oneof![
        any::<String>(),
        prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat()),
        ".{0,20}[0-9 ,+*/()-]{0,60}",
    ]
}

/// Data of tasks that nobody has made: numbers and lists where they do not belong, or far too large.
fn data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
        prop::sample::select(vec!["ascending", "count_days", "*", "#", "O", "(0x1 << 0x1000)", "a"])
            .prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "task",
        "problem",
        "matrix",
        "solution",
        "letters",
        "sorted_words",
        "numbers",
        "target",
        "numerator",
        "num_disks",
        "num_pegs",
        "start_peg",
        "target_peg",
        "solution_length",
        "simplified_numerator",
    ]);
    let tree =
        leaf.prop_recursive(3, 24, 6, |inner| prop::collection::vec(inner, 0..6).prop_map(Value::from));
    prop::collection::vec((keys, tree), 0..15).prop_map(|pairs| {
        Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    })
}

fn scores(name: &str, task: &Task, answer: &str) {
    let Some(environment) = environment(name) else { panic!("{name}") };
    let score = environment.score(task, answer).value();
    assert!((0.0..=1.0).contains(&score), "{name}: {score}");
    assert_eq!(score, environment.score(task, answer).value(), "{name}");
    environment.score(task, &environment.expand(answer));
    environment.shorten(answer);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_answer_gets_a_score(answer in text(), seed: u64, level in 0u8..4) {
        for name in names() {
            scores(name, &environment(name).unwrap().task(seed, level), &answer);
        }
    }

    #[test]
    fn right_answers_with_noise_get_a_score(noise in text(), at: prop::sample::Index, seed in 0u64..500) {
        for name in names() {
            let task = environment(name).unwrap().task(seed, 1);
            let mut answer: Vec<char> = task.answer.chars().collect();
            let at = at.index(answer.len() + 1);
            answer.splice(at..at, noise.chars());
            scores(name, &task, &answer.into_iter().collect::<String>());
        }
    }

    #[test]
    fn tasks_of_strangers_get_a_score(answer in text(), reference in text(), data in data()) {
        let (question, compact) = (String::new(), String::new());
        let task = Task { seed: 0, level: 0, question, compact, answer: reference, data };
        for name in names() {
            scores(name, &task, &answer);
            scores(name, &task, &task.answer);
        }
    }
}

#[test]
fn long_answers_get_a_score() {
    let pieces = [
        "[",
        "(",
        "-",
        "1+",
        "1*",
        "2**",
        "9",
        "0",
        "'",
        "1,",
        "[1,",
        "× ",
        "7 × ",
        "_",
        "up ",
        "up down ",
        "a, ",
        "\n",
        "\\\n",
        "Move disk 1 from Peg 1 to Peg 2\n",
        "{",
        "\\frac{1}",
        "$",
        " ",
        "#",
        "é",
        "1.",
        "0x",
        "\"",
        "1 2 3 4\n",
    ];
    for name in names() {
        let environment = environment(name).unwrap();
        let task = environment.task(0, 0);
        for piece in pieces {
            let answer = piece.repeat(MAX_ANSWER_BYTES / 8 / piece.len());
            assert!((0.0..=1.0).contains(&environment.score(&task, &answer).value()), "{name}: {piece:?}");
            environment.score(&task, &environment.expand(&answer));
        }
        let beyond = format!("{}{}", task.answer, " ".repeat(MAX_ANSWER_BYTES));
        assert_eq!(environment.score(&task, &beyond).value(), 0.0, "{name}");
    }
}

#[test]
fn parameters_of_strangers_are_read_or_refused() {
    for name in names() {
        for parameters in [
            "",
            "[]",
            "null",
            "{\"seed\":1}",
            "{\"min_n\":-1}",
            "{\"length\":1e300}",
            "{\"length\":99999999999}",
        ] {
            assert!(gym::configured(name, parameters).is_err(), "{name}: {parameters}");
        }
        // Every whole number that is a parameter, as large as can be: the task is still of some size, or there is none.
        let defaults = format!("{:?}", gym::configured(name, "{}").unwrap());
        let fields = defaults.split([' ', '{', ',']).filter_map(|word| word.strip_suffix(':'));
        for field in fields {
            for value in [
                json!(0),
                json!(1),
                json!(64),
                json!(4_294_967_295u64),
                json!(u64::MAX),
                json!(-1),
                json!([]),
                json!(null),
            ] {
                if let Ok(environment) = gym::configured(name, &json!({ field: value }).to_string()) {
                    let task = environment.task(1, 0);
                    assert!(environment.score(&task, &task.answer).is_full(), "{name}: {field} {value}");
                    assert!(serde_json::to_string(&task).unwrap().len() < 4 << 20, "{name}: {field} {value}");
                }
            }
        }
    }
}
