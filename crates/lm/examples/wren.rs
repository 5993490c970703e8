//! The model that ships: made again from nothing, or at practice.
//!
//! ```sh
//! cargo run --release -p lm --example wren -- make --check         # the same model, to the bit?
//! cargo run --release -p lm --example wren -- make --write FOLDER           # a folder that `transformers` loads too
//! cargo run --release -p lm --example wren -- write FOLDER                  # the one that ships, not made anew
//! cargo run --release -p lm --example wren -- practise reverse     # or add, or express
//! ```

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use exact::{Device, Limits};
use lm::wren::{self, Task, WarmStart};
use lm::{Model, Practice, Sampling};

type Done<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Done {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let device = Device::cpu(threads);
    match words.as_slice() {
        ["make", "--check"] => {
            let (made, shipped) = (make(&device)?, wren::load(&device, Limits::default())?);
            if made.root()? != shipped.root()? {
                return Err("this is not the model that ships".into());
            }
            println!("It is the model that ships, to the bit.");
            Ok(())
        }
        ["make", "--write", folder] => write(&make(&device)?, folder.as_ref()),
        ["write", folder] => write(&wren::load(&device, Limits::default())?, folder.as_ref()),
        ["practise", name] => {
            let task = Task::ALL.into_iter().find(|task| task.name() == *name);
            practise(&device, task.ok_or("there are the tasks reverse, add and express")?)
        }
        _ => Err("what to do: make --check, make --write FOLDER, write FOLDER, or practise TASK".into()),
    }
}

/// The model as a folder; the weights as this program has them inside.
fn write(model: &Model, folder: &Path) -> Done {
    model.save(folder, Some(&wren::language()?))?;
    Ok(std::fs::write(folder.join("model.safetensors"), wren::file(model)?)?)
}

/// The recipe, and how it goes.
fn make(device: &Device) -> Done<Model> {
    let recipe = WarmStart::wren();
    let begin = Instant::now();
    let model = recipe.run(device, Limits::default(), |step, model, progress| {
        if step % 50 == 0 || step == recipe.steps {
            let mut line = format!("step {step:4}   loss {:.3}", progress.loss);
            for task in Task::ALL {
                let share = task.exam(model, 256, Sampling::PLAIN, Limits::default())?;
                line = format!("{line}   {} {share:.2}", task.name());
            }
            println!("{line}   {:.0} s", begin.elapsed().as_secs_f32());
        }
        Ok(())
    })?;
    print!("root ");
    model.root()?.iter().for_each(|byte| print!("{byte:02x}"));
    println!();
    Ok(model)
}

fn practise(device: &Device, task: Task) -> Done {
    let limits = Limits::default();
    let model = wren::load(device, limits)?;
    let alphabet = wren::alphabet();
    let drill = task.drill();
    let (prompts, answers) = (drill.prompts, drill.prompts * drill.samples);
    let mut practice = Practice::new(&model, drill, limits)?;
    let exam = |model: &Model| task.exam(model, 512, Sampling::PLAIN, limits);
    println!("before: {:.3} of questions it has never seen", exam(&model)?);
    let begin = Instant::now();
    for round in 0..task.rounds() {
        let texts = task.questions(1, round, prompts);
        let asked = texts.iter().map(|text| alphabet.encode(text)).collect::<Result<Vec<_>, _>>()?;
        let came = practice
            .round(&asked, round * answers as u64, |i, rollout| task.reward(&alphabet, &texts[i], rollout))?;
        if (round + 1) % 10 == 0 {
            let seconds = begin.elapsed().as_secs_f32();
            println!("round {:4}   reward {:.3}   {seconds:.0} s", round + 1, came.reward());
        }
    }
    println!("after: {:.3}", exam(&model)?);
    Ok(())
}
