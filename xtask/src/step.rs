//! Running one program as a step: a headline, its output as it comes, and how long it took.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a step or a command ends with; the error is a sentence for the person at the terminal.
pub(crate) type Done<T = ()> = Result<T, String>;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where builds go: what cargo was told, else `target/`.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The cargo that runs us, at the root of the repository.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(root());
    command
}

/// Says what comes, runs it, and says how long it took. On stderr, so that stdout stays the program's.
pub(crate) fn step<T>(headline: &str, body: impl FnOnce() -> Done<T>) -> Done<T> {
    let (bold, plain) = if std::io::stderr().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    eprintln!("\n{bold}▶ {headline}{plain}");
    let start = Instant::now();
    let done = body();
    let verdict = if done.is_ok() { "done" } else { "failed" };
    eprintln!("  {verdict} in {:.1} s", start.elapsed().as_secs_f64());
    done
}

/// Runs a command to its end; its failure is ours.
pub(crate) fn run(command: &mut Command) -> Done {
    let status = command.status().map_err(|e| cannot_start(command, &e))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", shown(command))) }
}

/// Runs a command to its end and gives what it wrote on stdout; what it wrote on stderr is dropped.
pub(crate) fn output(command: &mut Command) -> Done<String> {
    let out = command.output().map_err(|e| cannot_start(command, &e))?;
    if !out.status.success() {
        return Err(format!("`{}` failed ({})", shown(command), out.status));
    }
    String::from_utf8(out.stdout).map_err(|e| format!("`{}` wrote what is not UTF-8: {e}", shown(command)))
}

/// As [`run`], showing each line of stdout to `each` on its way to ours.
pub(crate) fn run_watched(command: &mut Command, mut each: impl FnMut(&str)) -> Done {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| cannot_start(command, &e))?;
    if let Some(pipe) = child.stdout.take() {
        let mut stdout = std::io::stdout();
        for line in BufReader::new(pipe).split(b'\n') {
            let line = line.map_err(|e| format!("reading from `{}`: {e}", shown(command)))?;
            let line = String::from_utf8_lossy(&line);
            each(&line);
            // A closed pipe (`cargo xtask test | head`) is the reader's choice, and no failed check.
            let _ = writeln!(stdout, "{line}");
        }
    }
    let status = child.wait().map_err(|e| format!("waiting for `{}`: {e}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", shown(command))) }
}

fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(name).chain(command.get_args());
    words.map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn cannot_start(command: &Command, e: &std::io::Error) -> String {
    format!("`{}` could not be started: {e}", shown(command))
}
