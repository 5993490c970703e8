//! The flock as it flies, drawn on a terminal: what each node earns, who hears whom, and what happens.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::thread;
use std::time::Duration;

use ratatui::crossterm::event::{self, KeyCode, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline};
use ratatui::{DefaultTerminal, Frame};
use tokio::sync::mpsc;

use super::board::{Board, Sight};

/// Lines of what happened that are remembered.
const SAID: usize = 200;
/// The longest such line.
const SAID_BYTES: usize = 1024;
/// How long it is waited for a key before it is looked whether anybody still wants one.
const LOOK: Duration = Duration::from_millis(200);
/// Columns of a node's name, and of its figures.
const NAME: u16 = 8;
const FIGURES: u16 = 46;
/// Lines that what happens has at least, its frame and the line above all included.
const BELOW: u16 = 7;

/// The terminal while a flock is drawn on it; what was there before comes back when it is dropped.
pub(crate) struct Screen {
    terminal: DefaultTerminal,
    keys: mpsc::Receiver<()>,
    title: String,
    said: VecDeque<String>,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn open(title: String) -> io::Result<Screen> {
        let terminal = ratatui::try_init()?;
        let (to, keys) = mpsc::channel(1);
        thread::spawn(move || {
            while !to.is_closed() {
                if event::poll(LOOK).unwrap_or(true) {
                    match event::read() {
                        Ok(event) if ends(&event) => {
                            // One that waits says it already.
                            let _ = to.try_send(());
                        }
                        Ok(_) => {}
                        // A terminal that has gone away presses no keys.
                        Err(_) => break,
                    }
                }
            }
        });
        Ok(Screen { terminal, keys, title, said: VecDeque::new() })
    }

    /// Remembers what happened.
    pub(crate) fn say(&mut self, line: &str) {
        if self.said.len() == SAID {
            self.said.pop_front();
        }
        let end = line.floor_char_boundary(SAID_BYTES);
        self.said.push_back(line[..end].to_owned());
    }

    /// Draws it all as it is now.
    pub(crate) fn draw(&mut self, board: &Board) -> io::Result<()> {
        let Screen { terminal, title, said, .. } = self;
        terminal
            .draw(|frame| draw(frame, title, &board.clock(), board.round(), &board.sights(), said))
            .map(drop)
    }

    /// Waits until somebody wants it to end.
    pub(crate) async fn end(&mut self) {
        if self.keys.recv().await.is_none() {
            // No keys will come: other ways to end it remain.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.keys.close();
        ratatui::restore();
    }
}

/// Whether this is the key that ends it: Ctrl-C, which makes no signal while keys come one by one, or q.
fn ends(event: &event::Event) -> bool {
    let Some(key) = event.as_key_press_event() else { return false };
    match key.code {
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        KeyCode::Char('q') => true,
        _ => false,
    }
}

fn draw(frame: &mut Frame, title: &str, clock: &str, round: u64, sights: &[Sight], said: &VecDeque<String>) {
    let area = frame.area();
    let most = area.height.saturating_sub(BELOW + 2).max(1);
    let rows = (sights.len() as u16).min(most);
    let [head, middle, below] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(rows + 3), Constraint::Min(0)])
            .areas(area);
    let parts = [
        Span::from("Starling").bold(),
        Span::from(format!("   {title}   round {round}   {clock}   ")),
        Span::from("q ends it; run it again, and it goes on").dim(),
    ];
    frame.render_widget(Line::from_iter(parts), head);

    // Two columns of each node who is heard, and its own name: beside the curves, if there is room.
    let matrix = NAME + 3 * sights.len() as u16 + 3;
    let beside = area.width >= NAME + FIGURES + 20 + matrix;
    let [left, right] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(if beside { matrix } else { 0 })])
            .areas(middle);
    curves(frame, left, &sights[..rows.into()], sights.len());
    if beside {
        heard(frame, right, &sights[..rows.into()], sights);
    }
    let shown = usize::from(below.height.saturating_sub(2));
    let lines: Vec<Line> =
        said.iter().skip(said.len().saturating_sub(shown)).map(|line| Line::from(line.as_str())).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" what happens ")), below);
}

/// A row for each node: its rewards as a curve, and its figures.
fn curves(frame: &mut Frame, area: Rect, sights: &[Sight], all: usize) {
    let hidden = all - sights.len();
    let title = if hidden > 0 {
        format!(" rewards; {hidden} more nodes do not fit ")
    } else {
        " rewards ".to_owned()
    };
    let block = Block::bordered().title(title);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let width = inside.width.saturating_sub(NAME + FIGURES);
    let head = format!(
        "{:<8}{:width$}{:>8}{:>9}{:>12}{:>9}{:>8}",
        "node",
        "",
        "reward",
        "right",
        "tokens/s",
        "memory",
        "checks",
        width = usize::from(width)
    );
    let mut rows = inside.rows();
    if let Some(row) = rows.next() {
        frame.render_widget(Line::from(head).dim(), row);
    }
    // One scale for all: curves are there to be compared.
    let highest = sights.iter().flat_map(|sight| sight.rewards).copied().fold(0.0, f64::max);
    let scaled = |reward: &f64| (1000.0 * reward.max(0.0)) as u64;
    for (sight, row) in sights.iter().zip(rows) {
        let [name, curve, figures] = Layout::horizontal([
            Constraint::Length(NAME),
            Constraint::Length(width),
            Constraint::Length(FIGURES),
        ])
        .areas(row);
        let dim = sight.gone || sight.rests;
        let style = if dim { Style::new().dim() } else { Style::new() };
        frame.render_widget(Line::from(sight.name).style(style.bold()), name);
        let fits = usize::from(curve.width);
        let data: Vec<u64> =
            sight.rewards.iter().skip(sight.rewards.len().saturating_sub(fits)).map(scaled).collect();
        let colour = if sight.name == "alone" { Color::DarkGray } else { Color::Cyan };
        let line = Sparkline::default().data(&data).max(scaled(&highest).max(1)).style(style.fg(colour));
        frame.render_widget(line, curve);
        let state = match (sight.gone, sight.rests, sight.rewards.back()) {
            (true, ..) => "gone".to_owned(),
            (_, true, _) => "rests".to_owned(),
            (.., Some(reward)) => format!("{reward:.3}"),
            _ => "-".to_owned(),
        };
        let right = sight.right.map_or("-".to_owned(), |right| format!("{:.1} %", 100.0 * right));
        let checks = match sight.audits {
            [held, 0] => format!("{held}"),
            [held, lies] => format!("{held}, {lies}!"),
        };
        let text = format!(
            "{state:>8}{right:>9}{:>12.0}{:>5} MiB{checks:>8}",
            sight.speed,
            sight.memory_bytes >> 20
        );
        frame.render_widget(Line::from(text).style(style), figures);
    }
}

/// Who has heard whom in the last round: a row for each who hears, a column for each who is heard, the number of answers where they meet.
fn heard(frame: &mut Frame, area: Rect, sights: &[Sight], all: &[Sight]) {
    let block = Block::bordered().title(" who hears whom ");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let mut rows = inside.rows();
    let short = |name: &str| name.chars().take(2).collect::<String>();
    if let Some(row) = rows.next() {
        let mut names = String::new();
        for sight in all {
            // A string takes all that is written to it.
            let _ = write!(names, "{:>3}", short(sight.name));
        }
        frame.render_widget(Line::from(format!("{:<8}{names}", "")).dim(), row);
    }
    for ((at, sight), row) in sights.iter().enumerate().zip(rows) {
        let mut spans = vec![Span::from(format!("{:<8}", sight.name)).bold()];
        for other in 0..all.len() {
            let count = sight.heard.iter().find(|(of, _)| *of == other).map_or(0, |(_, count)| *count);
            spans.push(match count {
                _ if at == other => Span::from("  ·").dim(),
                0 => Span::from("   "),
                100.. => Span::from(" ++").cyan(),
                _ => Span::from(format!("{count:>3}")).cyan(),
            });
        }
        frame.render_widget(Line::from(spans), row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use node::{Machine, News, Report};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use std::time::Instant;

    /// Reports as three nodes and one that hears nobody have made them.
    fn flown() -> (Board, VecDeque<String>) {
        let names = ["1", "2", "3", "alone"].map(str::to_owned).to_vec();
        let mut board = Board::new(names, Instant::now());
        let mut said = VecDeque::new();
        let mut tell = |i: usize, report: Report| said.extend(board.take(i, &News::Report(Box::new(report))));
        let peer = |i: usize| format!("peer{i}");
        for i in 0..4 {
            tell(
                i,
                Report::Started {
                    peer: peer(i),
                    process: 1,
                    wallet: String::new(),
                    swarm: String::new(),
                    model: String::new(),
                    resumed: None,
                    resident_bytes: 1,
                    alone: i == 3,
                    machine: Machine::default(),
                    game: "share".to_owned(),
                    environments: Vec::new(),
                },
            );
            tell(i, Report::Examined { round: 0, right: 0.1 * i as f64, asked: 256 });
        }
        for round in 1..=8u64 {
            for i in 0..4 {
                let heard = match i {
                    0 => vec![(peer(1), 12), (peer(2), 120)],
                    1 => vec![(peer(0), 8)],
                    2 => vec![(peer(0), 3), (peer(1), 4)],
                    _ => Vec::new(),
                };
                tell(
                    i,
                    Report::Learned {
                        round,
                        reward: 0.1 * round as f64 / (i + 1) as f64,
                        own: 12,
                        heard,
                        tokens_per_second: 1234.0,
                        answer_ms: 10,
                        learn_ms: 10,
                        model: String::new(),
                        resident_bytes: (90 + i as u64) << 20,
                        environments: Vec::new(),
                        answer_tokens: 5.0,
                        progress: None,
                    },
                );
            }
        }
        let audited = |peer, holds, finding: &str| Report::Audited {
            round: 8,
            peer,
            holds,
            finding: finding.to_owned(),
            answers: 96,
            took_ms: 20,
        };
        tell(0, audited(peer(1), true, ""));
        tell(1, audited(peer(2), false, "a lie"));
        tell(2, Report::Rests { why: "paused".to_owned() });
        board.take(3, &News::Gone);
        (board, said)
    }

    fn drawn(width: u16, height: u16) -> String {
        let (board, said) = flown();
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, "words", "9 s", board.round(), &board.sights(), &said)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(row).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_screen_of_recorded_reports() {
        assert_eq!(drawn(110, 16), include_str!("view.txt").trim_end());
    }

    #[test]
    fn small_screens_show_what_fits() {
        let narrow = drawn(80, 16);
        assert!(narrow.contains("0.800") && !narrow.contains("who hears whom"), "{narrow}");
        let low = drawn(110, 11);
        assert!(low.contains("2 more nodes do not fit") && low.contains("what happens"), "{low}");
        for (width, height) in [(1, 1), (10, 3), (200, 2), (3, 60)] {
            drawn(width, height);
        }
    }
}
