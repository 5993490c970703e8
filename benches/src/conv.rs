//! A small 3D convolutional network: forward, and forward with every gradient, on one thread.

use crate::numbers::{agree, fill};
use crate::race::{Contender, race};
use crate::report::Unit;
use crate::{Bench, Result, clock};
use exact::{Builder, Device, Limits, Session, UnaryFn};
use serde_json::json;

const LAYERS: usize = 7;
const CHANNELS: usize = 24;
const SIZE: [usize; 3] = [11, 10, 10];

pub(crate) fn bench(bench: &mut Bench) -> Result {
    bench.report.open("conv", "7 convolutions 3x3x3 of 24 channels with relu on 11x10x10, one thread");
    compare(bench, "forward", false, 8.0)?;
    compare(bench, "forward and backward", true, 25.0)
}

fn compare(bench: &mut Bench, figure: &str, backward: bool, bar_ms: f64) -> Result {
    let (mut session, names) = ours(backward)?;
    session.run()?;
    let mut result = Vec::new();
    for name in &names {
        result.extend(session.read::<f32>(name)?);
    }
    let mut jobs = Vec::new();
    // MKL takes no part in a convolution, so forcing it changes nothing; the memory format does.
    for torch in bench.torch.iter().take(1) {
        for (format, apart) in [("contiguous", ""), ("channels_last_3d", " channels last")] {
            let fields = json!({ "layers": LAYERS, "channels": CHANNELS, "size": SIZE, "format": format, "backward": backward });
            let job = torch.prepare("conv", 1, fields)?;
            agree(figure, &result, "PyTorch", &job.result, 1e-4)?;
            jobs.push((job, apart));
        }
    }
    let mut contenders = vec![Contender::new("ours", |reps| clock::per_call(1, reps, || Ok(session.run()?)))];
    contenders.extend(jobs.iter().map(|(job, apart)| job.contender(apart)));
    let seconds = race(bench, &mut contenders)?;
    let ms = |seconds: f64| 1e3 * seconds;
    for (contender, peer) in contenders.iter().zip(&seconds).skip(1) {
        bench.report.figure(figure, Unit::Cost("ms"), ms(seconds[0]), &contender.name, ms(*peer));
    }
    bench.report.figure(figure, Unit::Cost("ms"), ms(seconds[0]), "the bar", bar_ms);
    Ok(())
}

/// The network as a session, and the names of what it gives.
fn ours(backward: bool) -> Result<(Session, Vec<String>)> {
    let mut b = Builder::new();
    let [depth, height, width] = SIZE;
    let bound = ((27 * CHANNELS) as f64).powf(-0.5);
    let dims = [3, 3, 3, CHANNELS, CHANNELS];
    let x = b.input::<f32>("x", &[1, depth, height, width, CHANNELS])?;
    let mut values = vec![("x".to_owned(), fill(1, depth * height * width * CHANNELS, 1.0))];
    let mut leaves = vec![x];
    let mut h = x;
    for i in 0..LAYERS {
        let name = format!("w{i}");
        let w = b.state::<f32>(&name, &dims)?;
        values.push((name, fill(2 + i as u32, dims.iter().product(), (3.0 * bound) as f32)));
        leaves.push(w);
        h = b.conv3d(h, w, [1, 1, 1])?;
        h = b.unary(UnaryFn::Relu, h)?;
    }
    let mut names = Vec::new();
    if backward {
        let loss = b.sum_all(h)?;
        for ((name, _), gradient) in values.iter().zip(b.gradients(loss, &leaves)?) {
            names.push(format!("d{name}"));
            b.output(&format!("d{name}"), gradient)?;
        }
    } else {
        names.push("y".to_owned());
        b.output("y", h)?;
    }
    let mut session = Session::new(&b.finish()?, &Device::cpu(1), Limits::default())?;
    for (name, values) in &values {
        session.write(name, values)?;
    }
    Ok((session, names))
}
