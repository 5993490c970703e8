//! Conversations as prompts, by a model's own chat template.
//!
//! Templates are Jinja, as `transformers` renders it. A template is a program from a stranger: it can read what it is given and write
//! text, nothing else, and its steps, depth and output are bounded. (What it may hold in variables meanwhile is bounded by its steps alone.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, ErrorKind, Value, context};

use crate::Error;

/// The longest template.
const SOURCE_BYTES: usize = 1 << 20;
/// The longest prompt.
const OUTPUT_BYTES: usize = 16 << 20;
/// The most steps: a long conversation takes some tens of thousands.
const STEPS: u64 = 1_000_000;
/// The stack that a template runs on. Each step may put a value into another one, and the last one that lets go of them goes all the way in.
const STACK_BYTES: usize = 512 << 20;
/// How deep macros and loops may stand in one another.
const DEPTH: usize = 64;

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant` in most templates.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// What someone says.
    pub fn new(role: &str, content: &str) -> Message {
        Message { role: role.to_owned(), content: content.to_owned() }
    }
}

/// A chat template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    name: String,
    source: String,
    /// The special tokens that templates know by name: `bos_token` and its like.
    tokens: Vec<(String, String)>,
}

impl Chat {
    /// A template from its source; `name` is what errors call it. `tokens` are those it may write by name, such as `bos_token`.
    pub fn new(name: &str, source: &str, tokens: &[(&str, &str)]) -> Result<Chat, Error> {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        let chat = Chat {
            name: name.to_owned(),
            source: source.to_owned(),
            tokens: tokens.iter().map(owned).collect(),
        };
        if source.len() > SOURCE_BYTES {
            let why = format!("it has {} bytes; at most {SOURCE_BYTES} are allowed", source.len());
            return Err(Error::Template { name: chat.name, why });
        }
        environment().template_from_named_str(&chat.name, &chat.source).map_err(|e| chat.wrong(&e))?;
        Ok(chat)
    }

    /// Its source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text of a token that it knows by this name.
    pub fn token(&self, name: &str) -> Option<&str> {
        self.tokens.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    /// A conversation as a prompt; with `answer`, the next thing in it is the model's answer.
    pub fn render(&self, messages: &[Message], answer: bool) -> Result<String, Error> {
        let run = || -> Result<String, Error> {
            let environment = environment();
            let template =
                environment.template_from_named_str(&self.name, &self.source).map_err(|e| self.wrong(&e))?;
            let tokens = Value::from_pairs(self.tokens.iter().cloned());
            let turn =
                |m: &Message| Value::from_pairs([("role", m.role.as_str()), ("content", m.content.as_str())]);
            let messages: Vec<Value> = messages.iter().map(turn).collect();
            let given = context! {
                messages, add_generation_prompt => answer, tools => (), documents => (), ..tokens
            };
            template.render(given).map_err(|e| self.wrong(&e))
        };
        let failed = |why: &str| Error::Template { name: self.name.clone(), why: why.to_owned() };
        std::thread::scope(|threads| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(threads, run);
            let thread = thread.map_err(|_| failed("the system gives it no thread to run on"))?;
            thread.join().unwrap_or_else(|_| Err(failed("it broke the template engine")))
        })
    }

    fn wrong(&self, error: &minijinja::Error) -> Error {
        let line = error.line().map_or(String::new(), |line| format!("line {line}: "));
        let detail = match (error.kind(), error.detail()) {
            (ErrorKind::OutOfFuel, _) => format!("it takes more than {STEPS} steps"),
            (_, Some(detail)) => detail.to_owned(),
            (kind, None) => kind.to_string(),
        };
        Error::Template { name: self.name.clone(), why: format!("{line}{detail}") }
    }
}

/// What templates find: the same as in `transformers`, less the clock.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // Lines with nothing but a block on them leave nothing behind. Only delimiters could be wrong, and these are the usual ones.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(STEPS));
    environment.set_recursion_limit(DEPTH);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    let written = Arc::new(AtomicUsize::new(0));
    environment.set_formatter(move |out, _, value| {
        let text = shown(value);
        let before = written.fetch_add(text.len(), Ordering::Relaxed);
        if before + text.len() > OUTPUT_BYTES {
            return Err(refuse(format!("it writes more than {OUTPUT_BYTES} bytes")));
        }
        out.write_str(&text).map_err(|_| refuse("its text could not be written".to_owned()))
    });
    environment.add_function("raise_exception", |message: String| -> Result<Value, minijinja::Error> {
        Err(refuse(format!("it refuses this conversation: {message}")))
    });
    environment.add_filter("tojson", to_json);
    environment
}

fn refuse(why: String) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, why)
}

/// A value as Python prints it.
fn shown(value: &Value) -> String {
    match value.kind() {
        ValueKind::Undefined => String::new(),
        ValueKind::None => "None".to_owned(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        _ => value.to_string(),
    }
}

/// The filter `tojson` with the spaces of Python's `json.dumps`, and its `indent`.
#[allow(clippy::needless_pass_by_value, reason = "this is how filters are called")]
fn to_json(value: &Value, options: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Letters are written as they are and keys in their order, whatever is asked, as in `transformers`.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut text = String::new();
    dump(value, indent.map(|n| n.min(16)), 0, &mut text)?;
    Ok(text)
}

fn dump(
    value: &Value,
    indent: Option<usize>,
    depth: usize,
    text: &mut String,
) -> Result<(), minijinja::Error> {
    if depth > DEPTH || text.len() > OUTPUT_BYTES {
        return Err(refuse("tojson: the value is too large".to_owned()));
    }
    let quoted = |value: &Value| serde_json::Value::from(value.to_string()).to_string();
    let map = match value.kind() {
        ValueKind::Undefined | ValueKind::None => {
            text.push_str("null");
            return Ok(());
        }
        // A truth prints as Python's.
        ValueKind::Bool => {
            text.push_str(if value.is_true() { "true" } else { "false" });
            return Ok(());
        }
        ValueKind::Number => {
            text.push_str(&value.to_string());
            return Ok(());
        }
        ValueKind::Map => true,
        ValueKind::Seq | ValueKind::Iterable => false,
        _ => {
            text.push_str(&quoted(value));
            return Ok(());
        }
    };
    let line = |text: &mut String, depth: usize| {
        if let Some(n) = indent {
            text.push('\n');
            text.push_str(&" ".repeat(n * depth));
        }
    };
    text.push(if map { '{' } else { '[' });
    let mut empty = true;
    for item in value.try_iter()? {
        if !empty {
            text.push_str(if indent.is_some() { "," } else { ", " });
        }
        empty = false;
        line(text, depth + 1);
        if map {
            text.push_str(&quoted(&item));
            text.push_str(": ");
            dump(&value.get_item(&item)?, indent, depth + 1, text)?;
        } else {
            dump(&item, indent, depth + 1, text)?;
        }
    }
    if !empty {
        line(text, depth);
    }
    text.push(if map { '}' } else { ']' });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<String, String> {
        let chat = Chat::new("t", source, &[("bos_token", "<s>")]).map_err(|e| e.to_string())?;
        let messages = [Message::new("system", "Be <brief>."), Message::new("user", " Hi\n")];
        chat.render(&messages, true).map_err(|e| e.to_string())
    }

    #[test]
    fn templates_say_what_they_say_in_python() {
        for (source, says) in [
            (
                "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m['content'] | trim }}{% endfor %}",
                "<s><|system|>Be <brief>.<|user|>Hi",
            ),
            (
                "{%- for m in messages %}\n  {%- if loop.first %}\n    {%- continue %}\n  {%- endif %}\n{{ m.content.strip().upper() }}\n{%- endfor %}",
                "HI",
            ),
            ("{% for m in messages %}\n  {% if m.role == 'user' %}\nU\n  {% endif %}\n{% endfor %}\n", "U\n"),
            (
                "{{ messages | tojson }}",
                r#"[{"role": "system", "content": "Be <brief>."}, {"role": "user", "content": " Hi\n"}]"#,
            ),
            (
                "{{ messages[0] | tojson(indent=2) }}",
                "{\n  \"role\": \"system\",\n  \"content\": \"Be <brief>.\"\n}",
            ),
            ("{{ [true, none, 1.5, 2] | tojson }} {{ false | tojson }}", "[true, null, 1.5, 2] false"),
            (
                "{{ tools }} {{ true }} {{ undefined_thing }}|{{ 1.0 }} {{ messages | length }}",
                "None True |1.0 2",
            ),
            (
                "{% if tools is not none %}no{% endif %}{% if strftime_now is defined %}no{% endif %}yes",
                "yes",
            ),
            (
                "{% set ns = namespace(n=0) %}{% for m in messages[::-1] %}{% set ns.n = ns.n + loop.index %}{% endfor %}{{ ns.n }}",
                "3",
            ),
            ("{% macro f(x) %}[{{ x }}]{% endmacro %}{{ f(messages[0].content.split(' ')[0]) }}", "[Be]"),
            ("{% set x = messages[0].content.startswith('Be') and 'a' in ['a', 'b'] %}{{ x }}", "True"),
            ("{{ 'a' ~ 1 ~ 'b' if add_generation_prompt else '' }}", "a1b"),
        ] {
            assert_eq!(render(source).as_deref(), Ok(says), "{source}");
        }
    }

    #[test]
    fn a_template_that_fails_says_where_and_why() {
        for (source, says) in [
            ("{% if %}", "line 1"),
            ("a\n{{ raise_exception('no roles') }}", "line 2: it refuses this conversation: no roles"),
            ("{{ messages[0].role.nothing.more }}", "line 1"),
            ("{{ strftime_now('%Y') }}", "strftime_now"),
            ("{% include 'secret' %}", ""),
            ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "steps"),
            ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
            ("{% for a in range(9999) %}{{ 'a' * 9999 }}{% endfor %}", "it writes more than"),
            ("{{ 'a' * 99999999999 }}", "too large"),
            (
                "{% set ns = namespace(x=0) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}",
                "too large",
            ),
        ] {
            let error = render(source).unwrap_err();
            assert!(error.starts_with("the chat template t: ") && error.contains(says), "{source}: {error}");
        }
        assert!(Chat::new("t", &" ".repeat(SOURCE_BYTES + 1), &[]).is_err());
    }
}
