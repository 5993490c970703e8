//! What nodes count, as Prometheus reads it.

use std::fmt::Write;

use crate::status::Status;

/// One kind of figure: its name, what it is, and what it is for each node, with the labels that tell such figures apart.
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    of: fn(&Status) -> Vec<(String, f64)>,
}

/// A figure that goes up and down.
const fn gauge(name: &'static str, help: &'static str, of: fn(&Status) -> Vec<(String, f64)>) -> Metric {
    Metric { name, kind: "gauge", help, of }
}

/// One that only grows, until the node is started again.
const fn counter(name: &'static str, help: &'static str, of: fn(&Status) -> Vec<(String, f64)>) -> Metric {
    Metric { name, kind: "counter", help, of }
}

const METRICS: &[Metric] = &[
    gauge("starling_up", "Whether the node has not ended.", |s| one(f64::from(!s.ended))),
    gauge("starling_info", "The node: its swarm and its process.", |s| {
        labelled("swarm", &s.swarm, 1.0, &format!(",process=\"{}\"", s.process))
    }),
    gauge("starling_status_timestamp_seconds", "When all this was so.", |s| one(s.at as f64)),
    gauge("starling_resting", "Whether its owner's limits keep it from beginning rounds.", |s| {
        one(f64::from(s.rests.is_some()))
    }),
    gauge("starling_peers", "Peers connected.", |s| one(s.peers as f64)),
    gauge("starling_complaints", "Things that are the matter.", |s| one(s.complaints.len() as f64)),
    gauge("starling_resident_bytes", "Memory of the process.", |s| one(s.resident_bytes as f64)),
    gauge("starling_round", "The last round it learned in.", |s| one(s.round as f64)),
    gauge("starling_reward", "The mean reward of its own answers in that round.", |s| one(s.reward)),
    gauge("starling_right_ratio", "The share of right answers in its last examination.", |s| {
        s.right.map_or_else(Vec::new, |(_, right)| one(right))
    }),
    counter("starling_rounds_total", "Rounds it learned in.", |s| one(s.counts.rounds as f64)),
    counter("starling_rewards_total", "The mean rewards of these rounds, added up.", |s| {
        one(s.counts.rewards)
    }),
    counter("starling_answers_total", "Answers it learned from, by whose they were.", |s| {
        let of = |from, count: u64| labelled("from", from, count as f64, "");
        [of("itself", s.counts.own), of("others", s.counts.heard)].concat()
    }),
    counter("starling_tokens_total", "Tokens it spoke.", |s| one(s.counts.tokens as f64)),
    counter("starling_compute_seconds_total", "Time it computed, by what for.", |s| {
        let of = |work, ms: u64| labelled("work", work, ms as f64 / 1000.0, "");
        [of("answer", s.counts.answer_ms), of("learn", s.counts.learn_ms)].concat()
    }),
    counter("starling_audits_total", "Peers whose answers it checked bit by bit, by what was found.", |s| {
        let of = |found, count: u64| labelled("found", found, count as f64, "");
        [of("holds", s.counts.audits_held), of("lie", s.counts.audits_failed)].concat()
    }),
    counter(
        "starling_unheard_total",
        "How often it stopped listening to a peer that broke the rules.",
        |s| one(s.counts.unheard as f64),
    ),
    counter("starling_troubles_total", "How often something was the matter.", |s| {
        one(s.counts.troubles as f64)
    }),
    counter("starling_payments_total", "How often it was paid.", |s| one(s.counts.payments as f64)),
    counter("starling_credits_total", "Credits it was paid.", |s| one(s.counts.credits)),
];

/// What these nodes count, in Prometheus' text format; each figure is labelled with its node's peer id.
pub fn render(nodes: &[Status]) -> String {
    let mut text = String::new();
    for Metric { name, kind, help, of } in METRICS {
        // Writing into a text cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for node in nodes {
            for (labels, value) in of(node) {
                let _ = writeln!(text, "{name}{{peer=\"{}\"{labels}}} {value}", escaped(&node.peer));
            }
        }
    }
    text
}

fn one(value: f64) -> Vec<(String, f64)> {
    vec![(String::new(), value)]
}

fn labelled(label: &str, is: &str, value: f64, more: &str) -> Vec<(String, f64)> {
    vec![(format!(",{label}=\"{}\"{more}", escaped(is)), value)]
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;

    fn node(peer: &str) -> Status {
        let mut status = Status::default();
        let learned = |round, reward| Report::Learned {
            round,
            reward,
            own: 12,
            heard: vec![("other".to_owned(), 4), ("third".to_owned(), 5)],
            tokens_per_second: 100.0,
            answer_ms: 1500,
            learn_ms: 250,
            model: String::new(),
            resident_bytes: 1 << 20,
            environments: Vec::new(),
            answer_tokens: 2.0,
            progress: None,
        };
        status.peer = peer.to_owned();
        status.swarm = "a \"strange\"\nname\\".to_owned();
        for report in [
            learned(1, 0.25),
            learned(2, 0.5),
            Report::Examined { round: 2, right: 0.75, asked: 256 },
            Report::Audited {
                round: 1,
                peer: String::new(),
                holds: true,
                finding: String::new(),
                answers: 3,
                took_ms: 5,
            },
            Report::Paid { round: 1, credits: "2.5".to_owned() },
            Report::Paid { round: 2, credits: "1.25".to_owned() },
        ] {
            status.take(&report);
        }
        status
    }

    #[test]
    fn what_is_told_is_counted() {
        let text = render(&[node("p")]);
        for line in [
            "starling_up{peer=\"p\"} 1",
            "starling_info{peer=\"p\",swarm=\"a \\\"strange\\\"\\nname\\\\\",process=\"0\"} 1",
            "starling_round{peer=\"p\"} 2",
            "starling_right_ratio{peer=\"p\"} 0.75",
            "starling_rounds_total{peer=\"p\"} 2",
            "starling_rewards_total{peer=\"p\"} 0.75",
            "starling_answers_total{peer=\"p\",from=\"itself\"} 24",
            "starling_answers_total{peer=\"p\",from=\"others\"} 18",
            "starling_tokens_total{peer=\"p\"} 300",
            "starling_compute_seconds_total{peer=\"p\",work=\"answer\"} 3",
            "starling_audits_total{peer=\"p\",found=\"holds\"} 1",
            "starling_audits_total{peer=\"p\",found=\"lie\"} 0",
            "starling_credits_total{peer=\"p\"} 3.75",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn every_figure_has_its_kind_once_before_it_however_many_nodes() {
        let text = render(&[node("p"), node("q")]);
        let mut kinds = Vec::new();
        let mut figures = Vec::new();
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(!kinds.contains(&name), "{line} comes twice");
                kinds.push(name);
            } else if !line.starts_with('#') {
                let (what, value) = line.rsplit_once(' ').unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
                assert_eq!(what.split('{').next(), kinds.last().copied(), "{line}");
                assert!(!figures.contains(&what), "{line} comes twice");
                figures.push(what);
            }
        }
        assert!(figures.len() > 2 * kinds.len());
    }
}
