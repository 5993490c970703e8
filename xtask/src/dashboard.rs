//! The dashboard: its page, the API's document, and both in a real browser on a real swarm.
//!
//! What it is built and checked with comes from npm, in the versions of `dashboard/package-lock.json`.

use crate::step::{Done, cargo, root, run, step, target};
use crate::{node, python};
use std::path::PathBuf;
use std::process::Command;

/// Writes the API's document, the page's types and the page anew.
pub(crate) fn write() -> Done {
    step("dashboard: the API's document, from the Rust types", || {
        let mut test = cargo(&["test", "--quiet", "-p", "node", "--lib", "--", "api::openapi"]);
        run(test.env("WRITE_OPENAPI", "1"))
    })?;
    install()?;
    step("dashboard: its types and its page, as the program carries it", || build(&[]))
}

/// Proves that the committed page is what its sources give, and runs its unit tests. (That the document is current is a test of `node`.)
pub(crate) fn check() -> Done {
    install()?;
    step("dashboard: the committed page is what the sources give", || build(&["--check"]))?;
    step("dashboard: unit tests", || run(npx("vitest/vitest.mjs").args(["run", "--silent"])))
}

/// Every page in a browser, while a swarm runs; then the API, asked all that its document allows.
pub(crate) fn browse() -> Done {
    install()?;
    let schemathesis = python::with_schemathesis()?;
    step("the command line, built", || {
        run(&mut cargo(&["build", "--quiet", "--workspace", "--bin", "starling"]))
    })?;
    let starling = target().join(format!("debug/starling{}", std::env::consts::EXE_SUFFIX));
    let out = target().join("dashboard");
    step(&format!("dashboard: in Chromium, on a swarm that runs (screenshots in {})", out.display()), || {
        let mut test = Command::new("node");
        test.arg("e2e/run.mjs").arg(starling).arg(&out).current_dir(home());
        run(test.env("SCHEMATHESIS", &schemathesis))
    })
}

/// As [`browse`], on a machine that has Chromium.
pub(crate) fn browse_where_possible() -> Done {
    let named = std::env::var_os("CHROMIUM").is_some();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    if named || ["chromium", "chromium-browser", "google-chrome"].into_iter().any(has) {
        return browse();
    }
    eprintln!(
        "\nNot checked: the dashboard in a browser (`apt install chromium`, or name one with CHROMIUM)."
    );
    Ok(())
}

fn home() -> PathBuf {
    root().join("dashboard")
}

fn build(options: &[&str]) -> Done {
    run(Command::new("node").arg("bin/build.mjs").args(options).current_dir(home()))
}

fn npx(program: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(home().join("node_modules").join(program)).current_dir(home());
    node
}

fn install() -> Done {
    node::locked(&home(), "dashboard: installing what builds and checks it from npm (once; about 100 MB)")
}
