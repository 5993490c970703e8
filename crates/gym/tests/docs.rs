//! The table in `docs/environments.md` is what the code says. `UPDATE_DOCS=1 cargo test -p gym --test docs` writes it anew.

use gym::{environment, names, parameters};
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str = "<!-- begin table: written by crates/gym/tests/docs.rs -->\n";
const END: &str = "<!-- end table -->\n";

#[test]
fn the_table_of_environments_is_what_the_code_says() {
    let mut table =
        "| family | level 0 | level 1 | last level | compact question | short answer |\n".to_owned();
    table += "|---|---|---|---|---|---|\n";
    for name in names() {
        let env = environment(name).unwrap();
        let levels = parameters(name).unwrap();
        let defaults = levels.last().unwrap().as_object().unwrap();
        let cell = |level: &serde_json::Value| {
            let all = level.as_object().unwrap().iter();
            // Of the last level, everything; of the others, what they have different.
            let shown = all.filter(|(key, value)| {
                Some(*value) != defaults.get(*key) || level.as_object() == Some(defaults)
            });
            shown.map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join(", ").replace('"', "")
        };
        let middle = if levels.len() > 2 { cell(&levels[1]) } else { String::new() };
        let task = env.task(4, 0);
        let short = env.shorten(&task.answer);
        let (first, last) = (cell(&levels[0]), cell(levels.last().unwrap()));
        let compact = task.compact;
        writeln!(table, "| `{name}` | {first} | {middle} | {last} | `{compact}` | `{short}` |").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/environments.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (had, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, [before, BEGIN, &table, END, after].concat()).unwrap();
    } else {
        assert_eq!(had, table, "UPDATE_DOCS=1 cargo test -p gym --test docs writes the table anew");
    }
}
