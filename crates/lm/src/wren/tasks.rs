//! What `wren` is taught: three small tasks, each a pure function of a seed, with a scorer that knows the right answers.

/// A family of questions that can be made without end and scored without doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A word of 3 to 8 letters, to be written backwards: `r:murmur=` is `rumrum`.
    Reverse,
    /// Two numbers of two digits, to be added; the sum's last digit comes first: `a:57+68=` is `521`.
    Add,
    /// Two or three things to do to `x`, to be written as one expression: `e:add3,mul2=` is `(x+3)*2`.
    Express,
}

/// The characters of all questions and answers.
pub const CHARACTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789:=+-*(),";

/// Which of a task's questions: those to learn from, or those kept back for examinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Seven of eight questions, by their hash.
    Lessons,
    /// The others. No lesson ever shows one.
    Exam,
}

impl Task {
    /// All of them.
    pub const ALL: [Task; 3] = [Task::Reverse, Task::Add, Task::Express];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Task::Reverse => "reverse",
            Task::Add => "add",
            Task::Express => "express",
        }
    }

    /// The most tokens its questions have.
    pub fn question_tokens(self) -> usize {
        match self {
            Task::Reverse => 2 + 8 + 1,
            Task::Add => 2 + 5 + 1,
            Task::Express => 2 + 3 * 4 + 2 + 1,
        }
    }

    /// The most tokens its right answers have, the end included.
    pub fn answer_tokens(self) -> usize {
        match self {
            Task::Reverse => 8 + 1,
            Task::Add => 3 + 1,
            Task::Express => 11 + 1,
        }
    }

    /// Question `number` of this seed and part.
    pub fn question(self, part: Part, seed: u64, number: u64) -> String {
        let mut dice = Dice(mix(seed ^ mix(number)) ^ self as u64);
        loop {
            let question = self.draw(&mut dice);
            if part_of(&question) == part {
                return question;
            }
        }
    }

    fn draw(self, dice: &mut Dice) -> String {
        match self {
            Task::Reverse => {
                let length = 3 + dice.roll(6);
                let word: String = (0..length).map(|_| char::from(b'a' + dice.roll(26) as u8)).collect();
                format!("r:{word}=")
            }
            Task::Add => format!("a:{}+{}=", 10 + dice.roll(90), 10 + dice.roll(90)),
            Task::Express => {
                let step = |dice: &mut Dice| {
                    let deed = ["add", "sub", "mul"][dice.roll(3) as usize];
                    format!("{deed}{}", 1 + dice.roll(9))
                };
                let count = 2 + dice.roll(2);
                let steps: Vec<String> = (0..count).map(|_| step(dice)).collect();
                format!("e:{}=", steps.join(","))
            }
        }
    }

    /// The answer to one of its questions that lessons show; nothing if this is none of its questions.
    pub fn answer(self, question: &str) -> Option<String> {
        let body = question.get(2..)?.strip_suffix('=')?;
        match self {
            Task::Reverse => Some(body.chars().rev().collect()),
            Task::Add => {
                let (a, b) = body.split_once('+')?;
                let sum = a.parse::<u32>().ok()?.checked_add(b.parse().ok()?)?;
                Some(sum.to_string().chars().rev().collect())
            }
            Task::Express => {
                let mut text = "x".to_owned();
                // Whether it must be put in brackets before it is multiplied.
                let mut sum = false;
                for (sign, number) in deeds(body)? {
                    if sign == '*' && sum {
                        text = format!("({text})");
                    }
                    sum = sign != '*';
                    text = format!("{text}{sign}{number}");
                }
                Some(text)
            }
        }
    }

    /// Whether an answer is right. An expression is right if it is the same function of `x`, however it is written.
    pub fn is_right(self, question: &str, answer: &str) -> bool {
        let Some(shown) = self.answer(question) else { return false };
        if self != Task::Express || shown == answer {
            return shown == answer;
        }
        // Polynomials of a degree below the number of places at which they agree are the same.
        answer.len() <= MAX_EXPRESSION
            && (0..=MAX_EXPRESSION as i128).all(|x| {
                let value = evaluate(answer, x);
                value.is_some() && value == evaluate(&shown, x)
            })
    }
}

/// What is done to `x`, as a sign and a number each.
fn deeds(body: &str) -> Option<Vec<(char, u8)>> {
    let deed = |text: &str| {
        let sign = match text.get(..3)? {
            "add" => '+',
            "sub" => '-',
            "mul" => '*',
            _ => return None,
        };
        Some((sign, text[3..].parse().ok()?))
    };
    body.split(',').map(deed).collect()
}

/// The longest expression that is read. None of this length has a degree above it.
const MAX_EXPRESSION: usize = 24;

/// The value of an expression of `x`, numbers, `+ - *` and brackets; nothing if it is none, or too large.
fn evaluate(text: &str, x: i128) -> Option<i128> {
    let mut reader = Reader { rest: text.as_bytes(), x };
    let value = reader.sum()?;
    reader.rest.is_empty().then_some(value)
}

/// Reads an expression from left to right. Its depth is bounded by the text's length, which is bounded before.
struct Reader<'a> {
    rest: &'a [u8],
    x: i128,
}

impl Reader<'_> {
    fn take(&mut self, wanted: &[u8]) -> Option<u8> {
        let first = *self.rest.first()?;
        wanted.contains(&first).then(|| {
            self.rest = &self.rest[1..];
            first
        })
    }

    fn sum(&mut self) -> Option<i128> {
        let mut value = self.product()?;
        while let Some(sign) = self.take(b"+-") {
            let next = self.product()?;
            value = if sign == b'+' { value.checked_add(next)? } else { value.checked_sub(next)? };
        }
        Some(value)
    }

    fn product(&mut self) -> Option<i128> {
        let mut value = self.factor()?;
        while self.take(b"*").is_some() {
            value = value.checked_mul(self.factor()?)?;
        }
        Some(value)
    }

    fn factor(&mut self) -> Option<i128> {
        if self.take(b"x").is_some() {
            return Some(self.x);
        }
        if self.take(b"(").is_some() {
            let value = self.sum()?;
            return self.take(b")").map(|_| value);
        }
        let mut value = None;
        while let Some(digit) = self.take(b"0123456789") {
            value = Some(value.unwrap_or(0i128).checked_mul(10)?.checked_add(i128::from(digit - b'0'))?);
        }
        value
    }
}

/// By what a question is, not by when it was drawn: so no lesson shows one of the exam's.
fn part_of(question: &str) -> Part {
    let hash = question.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    if hash >> 61 == 0 { Part::Exam } else { Part::Lessons }
}

/// Numbers by chance, the same from the same beginning.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        (mix(self.0) >> 33) % sides
    }
}

/// Every bit of the result depends on every bit of the number (the finaliser of `SplitMix64`).
pub(crate) fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Alphabet;
    use std::collections::HashSet;

    #[test]
    fn right_answers() {
        for (task, question, answer) in [
            (Task::Reverse, "r:abc=", "cba"),
            (Task::Add, "a:57+68=", "521"),
            (Task::Express, "e:add3,mul2=", "(x+3)*2"),
            (Task::Express, "e:mul2,mul3,sub1=", "x*2*3-1"),
            (Task::Express, "e:add1,sub2,mul9=", "(x+1-2)*9"),
        ] {
            assert_eq!(task.answer(question).unwrap(), answer);
            assert!(task.is_right(question, answer), "{question}");
            assert!(!task.is_right(question, &format!("{answer}1")), "{question}");
            assert!(!task.is_right(question, ""), "{question}");
        }
    }

    #[test]
    fn an_expression_is_what_it_computes() {
        let right = |answer: &str| Task::Express.is_right("e:add3,mul2=", answer);
        assert!(right("2*(x+3)") && right("x*2+6") && right("x+x+3*2") && right("((x+3))*2"));
        assert!(!right("x+3*2") && !right("(x+3)*2*") && !right("(x+3*2") && !right("9999999999999999999*9"));
        assert!(!right(&"(".repeat(10_000)) && !right(&"x*".repeat(12)));
    }

    #[test]
    fn questions_fit_and_keep_apart() {
        let alphabet = Alphabet::new(CHARACTERS);
        for task in Task::ALL {
            let draw = |part| -> HashSet<String> { (0..2000).map(|i| task.question(part, 1, i)).collect() };
            let (lessons, exam) = (draw(Part::Lessons), draw(Part::Exam));
            assert!(lessons.is_disjoint(&exam), "{task:?}");
            assert!(exam.len() > 500, "{task:?}: {}", exam.len());
            for question in lessons.iter().chain(&exam) {
                let answer = task.answer(question).unwrap();
                assert!(alphabet.encode(question).unwrap().len() <= task.question_tokens());
                assert!(alphabet.encode(&answer).unwrap().len() < task.answer_tokens());
            }
            assert_eq!(task.question(Part::Exam, 1, 7), task.question(Part::Exam, 1, 7));
            assert_ne!(task.question(Part::Exam, 1, 7), task.question(Part::Exam, 2, 7));
        }
    }
}
