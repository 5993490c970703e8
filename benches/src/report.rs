//! What a bench says: a table for people, or one JSON object per line and figure for programs.

use serde_json::json;
use std::io::Write;

/// What is measured, and which way is better.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// Less is better.
    Cost(&'static str),
    /// More is better.
    Rate(&'static str),
}

impl Unit {
    fn name(self) -> &'static str {
        let (Unit::Cost(name) | Unit::Rate(name)) = self;
        name
    }

    /// Above 1: ours is better.
    fn ratio(self, ours: f64, peer: f64) -> f64 {
        match self {
            Unit::Cost(_) => peer / ours,
            Unit::Rate(_) => ours / peer,
        }
    }
}

pub(crate) struct Report {
    json: bool,
    bench: &'static str,
}

impl Report {
    pub(crate) fn new(json: bool) -> Report {
        Report { json, bench: "" }
    }

    /// The figures that follow are of this bench.
    pub(crate) fn open(&mut self, bench: &'static str, what: &str) {
        self.bench = bench;
        if !self.json {
            say(&format!("\n{bench}: {what}"));
            say(&format!("{:<34} {:>12} {:>12} {:>7}  peer is", "", "ours", "peer", "ratio"));
        }
    }

    /// One figure against one peer.
    pub(crate) fn figure(&self, figure: &str, unit: Unit, ours: f64, peer_name: &str, peer: f64) {
        let ratio = unit.ratio(ours, peer);
        if self.json {
            let [bench, figure, name, peer_name] =
                [self.bench, figure, unit.name(), peer_name].map(|s| json!(s));
            say(&format!(
                r#"{{"bench":{bench},"figure":{figure},"unit":{name},"ours":{ours},"peer_name":{peer_name},"peer":{peer},"ratio":{ratio}}}"#
            ));
        } else {
            let number = |x: f64| format!("{} {}", shown(x), unit.name());
            say(&format!("{figure:<34} {:>12} {:>12} {ratio:>7.2}  {peer_name}", number(ours), number(peer)));
        }
    }
}

/// A line on stdout. That nobody reads on (`| head`) is no failure.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Four digits or so.
fn shown(x: f64) -> String {
    let decimals = (3 - x.abs().max(1e-9).log10().floor() as i32).clamp(0, 5);
    format!("{x:.*}", decimals as usize)
}

/// The ratios of many figures against the same peers, and what they come to together.
#[derive(Default)]
pub(crate) struct Together {
    peers: Vec<Peer>,
    lowest: Option<f64>,
}

struct Peer {
    name: String,
    logs: [f64; 2],
    count: usize,
}

impl Together {
    /// Takes one figure of rates: ours and each peer's.
    pub(crate) fn add(&mut self, ours: f64, peers: &[(String, f64)]) {
        for (name, peer) in peers {
            let at = self.peers.iter().position(|p| p.name == *name).unwrap_or_else(|| {
                self.peers.push(Peer { name: name.clone(), logs: [0.0; 2], count: 0 });
                self.peers.len() - 1
            });
            let known = &mut self.peers[at];
            known.logs[0] += ours.ln();
            known.logs[1] += peer.ln();
            known.count += 1;
            let ratio = ours / peer;
            self.lowest = Some(self.lowest.map_or(ratio, |lowest| lowest.min(ratio)));
        }
    }

    /// Reports the geometric means, and the worst ratio against any peer in any figure.
    pub(crate) fn report(&self, report: &Report, of: &str, unit: Unit) {
        for Peer { name, logs, count } in &self.peers {
            let [ours, peer] = logs.map(|log| (log / *count as f64).exp());
            report.figure(&format!("geometric mean, {of}"), unit, ours, name, peer);
        }
        if let Some(lowest) = self.lowest {
            report.figure(
                &format!("lowest ratio, {of}"),
                Unit::Rate("x"),
                lowest,
                "the best peer there",
                1.0,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_one_is_better() {
        assert_eq!(Unit::Cost("ms").ratio(2.0, 3.0), 1.5);
        assert_eq!(Unit::Rate("GF/s").ratio(3.0, 2.0), 1.5);
    }

    #[test]
    fn four_digits() {
        assert_eq!([0.30614, 12.345, 4864.4, 123456.0].map(shown), ["0.3061", "12.35", "4864", "123456"]);
    }
}
