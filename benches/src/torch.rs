//! PyTorch as a child process; `peers/torch_peer.py` says how to talk to it.

use crate::Result;
use crate::race::Contender;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// One PyTorch, waiting for requests.
pub(crate) struct Torch {
    pub(crate) name: String,
    /// Whether MKL was made to use AVX-512.
    pub(crate) forced: bool,
    pipes: RefCell<Pipes>,
    child: Child,
}

struct Pipes {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// Work that a PyTorch has ready to be timed, and what came out of it.
pub(crate) struct Job<'a> {
    torch: &'a Torch,
    id: u64,
    pub(crate) result: Vec<f32>,
}

/// Every PyTorch that can be had, as `cargo xtask bench` set them up; says so where one cannot.
pub(crate) fn all() -> Vec<Torch> {
    let Some(python) = std::env::var_os("BENCH_PYTHON").map(PathBuf::from) else {
        eprintln!("PyTorch takes no part (`cargo xtask bench` without --no-torch installs it).");
        return Vec::new();
    };
    let shim = std::env::var_os("BENCH_MKL_SHIM").map(PathBuf::from);
    let avx512 = cfg!(target_arch = "x86_64") && exact::Level::best() >= exact::Level::Avx512;
    let mut wanted = vec![None];
    // Without the instructions there is nothing to force.
    wanted.extend(shim.filter(|_| avx512).map(Some));
    wanted
        .into_iter()
        .filter_map(|shim| {
            Torch::start(&python, shim.as_deref())
                .inspect_err(|why| eprintln!("a PyTorch takes no part: {why}"))
                .ok()
        })
        .collect()
}

impl Torch {
    fn start(python: &Path, shim: Option<&Path>) -> Result<Torch> {
        let mut command = peer(python, "torch_peer.py");
        if let Some(shim) = shim {
            command.env("LD_PRELOAD", shim);
        }
        let (mut torch, version) = Torch::of(&mut command)?;
        torch.forced = shim.is_some();
        let how = if torch.forced { "AVX-512 forced" } else { "stock" };
        torch.name = format!("PyTorch {version} {how}");
        Ok(torch)
    }

    /// llama.cpp, which talks as PyTorch does, if it can be had; says so where it cannot.
    pub(crate) fn llama() -> Option<Torch> {
        let Some(python) = std::env::var_os("BENCH_LLAMA_PYTHON").map(PathBuf::from) else {
            eprintln!("llama.cpp takes no part (`cargo xtask bench gguf` installs it).");
            return None;
        };
        let started = Torch::of(&mut peer(&python, "llama_peer.py"));
        let (mut llama, version) =
            started.inspect_err(|why| eprintln!("llama.cpp takes no part: {why}")).ok()?;
        llama.name = format!("llama.cpp, xllamacpp {version}");
        Some(llama)
    }

    /// A peer in a process of its own, and its version.
    fn of(command: &mut Command) -> Result<(Torch, String)> {
        let mut child = command.spawn()?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes to the child".into());
        };
        let pipes = RefCell::new(Pipes { to, from: BufReader::new(from) });
        let torch = Torch { name: String::new(), forced: false, pipes, child };
        let hello = torch.ask(&json!({ "do": "hello" }))?;
        let version =
            hello["version"].as_str().unwrap_or("?").split('+').next().unwrap_or_default().to_owned();
        Ok((torch, version))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn ask(&self, request: &Value) -> Result<Value> {
        let mut pipes = self.pipes.borrow_mut();
        writeln!(pipes.to, "{request}")?;
        pipes.to.flush()?;
        let mut line = String::new();
        if pipes.from.read_line(&mut line)? == 0 {
            return Err(format!("{} ended while it worked on {request}", self.name).into());
        }
        let reply: Value = serde_json::from_str(&line)?;
        match reply["error"].as_str() {
            Some(error) => Err(format!("{} could not do {request}: {error}", self.name).into()),
            None => Ok(reply),
        }
    }

    /// Makes it ready to do `what` (the request's fields) on this many threads, and has it do it once.
    pub(crate) fn prepare(&self, what: &str, threads: usize, mut fields: Value) -> Result<Job<'_>> {
        let out = std::env::temp_dir().join(format!("bench-{}.f32", self.pid()));
        fields["do"] = json!("prepare");
        fields["what"] = json!(what);
        fields["threads"] = json!(threads);
        fields["out"] = json!(out);
        let reply = self.ask(&fields)?;
        let bytes = std::fs::read(&out)?;
        std::fs::remove_file(&out)?;
        let result = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let id = reply["id"].as_u64().ok_or("PyTorch's reply has no id")?;
        Ok(Job { torch: self, id, result })
    }
}

/// A script of `peers/` in an environment's Python.
fn peer(python: &Path, script: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

impl Drop for Torch {
    fn drop(&mut self) {
        // It may have ended by itself; either way it must not outlive us.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'a> Job<'a> {
    /// This work as a contender, under PyTorch's name and what sets this job apart.
    pub(crate) fn contender(&'a self, apart: &str) -> Contender<'a> {
        Contender::new(&format!("{}{apart}", self.torch.name), |reps| {
            let reply = self.torch.ask(&json!({ "do": "time", "id": self.id, "reps": reps }))?;
            reply["seconds"].as_f64().ok_or_else(|| "PyTorch's reply has no seconds".into())
        })
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        // Frees its tensors; if that fails, the next request says why.
        let _ = self.torch.ask(&json!({ "do": "drop", "id": self.id }));
    }
}
