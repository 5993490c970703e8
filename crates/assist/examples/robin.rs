//! Makes and examines `robin`, the assistant that ships.
use assist::*;
use exact::Device;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let device = Device::cpu(1);
    match args[0].as_str() {
        "make" => {
            let steps: u64 = args[1].parse()?;
            let path = args[2].clone();
            let recipe = Recipe { steps, ..Recipe::shipped() };
            let begin = Instant::now();
            let weights = recipe.run(&device, |step, loss| {
                if step % 20 == 0 {
                    println!("{step} {loss:.4} {:.1}s", begin.elapsed().as_secs_f32());
                }
            })?;
            std::fs::write(&path, weights.to_bytes())?;
        }
        "exam" => {
            let weights = Weights::from_bytes(&std::fs::read(&args[1])?)?;
            let players: usize = args[2].parse()?;
            for nerve in args[3..].iter().map(|n| n.parse::<f32>().unwrap()) {
                let nerve = Nerve { build: nerve, show: 0.6 };
                let begin = Instant::now();
                let mut total = vec![Score::default(); 4];
                let mut firsts = vec![vec![]; 4];
                let mut asked = 0;
                for c in repeaters(Part::Exam, 7, players, 4) {
                    let mut a = Assistant::new(&weights, nerve, &device)?;
                    for (i, s) in c.sessions.iter().enumerate() {
                        let sc = score(s, &mut Helper::Assistant(&mut a))?;
                        total[i] = total[i].plus(&sc);
                        firsts[i].push(sc.first_help);
                        asked += sc.acts - sc.saved;
                        a.remember(s);
                    }
                }
                let ms = begin.elapsed().as_secs_f64() * 1e3 / asked as f64;
                for (i, t) in total.iter().enumerate() {
                    firsts[i].sort();
                    println!("nerve {} repeat session {i}: saved {:.1}% wrong {:.1}% of {} (ghosts {:.1}% right of {}) first {} [{ms:.1} ms]", nerve.build, 100.0 * t.saved_share(), 100.0 * t.wrong_share(), t.placed, 100.0 * t.shown_right as f64 / t.shown.max(1) as f64, t.shown, firsts[i][firsts[i].len()/2]);
                }
                let mut t = Score::default();
                let mut a = Assistant::new(&weights, nerve, &device)?;
                for s in one_offs(Part::Exam, 7, players * 2) {
                    t = t.plus(&score(&s, &mut Helper::Assistant(&mut a))?);
                }
                println!("nerve {} one-off: saved {:.1}% wrong {:.1}% of {}", nerve.build, 100.0 * t.saved_share(), 100.0 * t.wrong_share(), t.placed);
            }
            let mut t = Score::default();
            for s in one_offs(Part::Exam, 7, players * 2) {
                t = t.plus(&score(&s, &mut Helper::Line)?);
            }
            println!("line one-off: saved {:.1}% wrong {:.1}% of {} acts {}", 100.0 * t.saved_share(), 100.0 * t.wrong_share(), t.placed, t.acts);
            let mut t = Score::default();
            for c in repeaters(Part::Exam, 7, players, 4) {
                for s in &c.sessions {
                    t = t.plus(&score(s, &mut Helper::Line)?);
                }
            }
            println!("line repeat: saved {:.1}% wrong {:.1}% of {} acts {}", 100.0 * t.saved_share(), 100.0 * t.wrong_share(), t.placed, t.acts);
        }
        "line" => {
            let players = 40;
            let mut t = Score::default();
            for s in one_offs(Part::Exam, 7, players * 2) {
                t = t.plus(&score(&s, &mut Helper::Line)?);
            }
            println!("line one-off: saved {:.1}% wrong {:.1}% of {} acts {}", 100.0 * t.saved_share(), 100.0 * t.wrong_share(), t.placed, t.acts);
            let mut t = Score::default();
            for c in repeaters(Part::Exam, 7, players, 4) {
                for s in &c.sessions {
                    t = t.plus(&score(s, &mut Helper::Line)?);
                }
            }
            println!("line repeat: saved {:.1}% wrong {:.1}% of {} acts {}", 100.0 * t.saved_share(), 100.0 * t.wrong_share(), t.placed, t.acts);
        }
        _ => {}
    }
    Ok(())
}
