//! The weights of `wren`, inside the program: it needs no file at run time.

use exact::{Device, Limits};

use super::config;
use crate::{Error, Model, Parameter};

/// As `cargo run --release -p lm --example wren -- make --write crates/lm/models/wren` wrote it.
const FILE: &[u8] = include_bytes!("../../models/wren/model.safetensors");

/// The model that ships.
pub fn load(device: &Device, limits: Limits) -> Result<Model, Error> {
    let mut model = Model::new(config(), 0, device, limits)?;
    let header = header().ok_or(BROKEN)?;
    for parameter in model.config().parameters() {
        let count: usize = parameter.dims.iter().product();
        let mut numbers = tensor(&header, &parameter.name).filter(|t| t.len() == count).ok_or(BROKEN)?;
        if turned(&parameter) {
            numbers = transposed(&numbers, parameter.dims[0]);
        }
        model.set_weight(&parameter.name, &numbers)?;
    }
    Ok(model)
}

const BROKEN: Error = Error::Empty { what: "a tensor of the model built into this program" };

/// What the file says it holds, and the bytes that follow.
fn header() -> Option<(serde_json::Value, &'static [u8])> {
    let (length, rest) = FILE.split_first_chunk::<8>()?;
    let (header, data) = rest.split_at_checked(u64::from_le_bytes(*length) as usize)?;
    Some((serde_json::from_slice(header).ok()?, data))
}

fn tensor((header, data): &(serde_json::Value, &[u8]), name: &str) -> Option<Vec<f32>> {
    let entry = &header[name];
    let at = |i: usize| Some(entry["data_offsets"][i].as_u64()? as usize);
    let bytes = data.get(at(0)?..at(1)?)?;
    let number = |b: &[u8]| Some(f32::from_le_bytes(*b.first_chunk()?));
    (entry["dtype"] == "F32").then(|| bytes.chunks_exact(4).map(number).collect())?
}

/// A model's weights as the bytes of a safetensors file, the same on every machine.
pub fn file(model: &Model) -> Result<Vec<u8>, Error> {
    let mut header = "{\"__metadata__\":{\"format\":\"pt\"}".to_owned();
    let mut data = Vec::new();
    for parameter in model.config().parameters() {
        let (name, mut shape) = (&parameter.name, parameter.dims.clone());
        let mut numbers = model.weight(name)?;
        if turned(&parameter) {
            shape.reverse();
            numbers = transposed(&numbers, parameter.dims[1]);
        }
        let begin = data.len();
        data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let end = data.len();
        let place = format!("\"shape\":{shape:?},\"data_offsets\":[{begin},{end}]");
        for part in [",\"", name, "\":{\"dtype\":\"F32\",", &place, "}"] {
            header.push_str(part);
        }
    }
    header.push('}');
    // The data begin at a multiple of eight.
    let length = header.len().next_multiple_of(8);
    let padding = length - header.len();
    let mut bytes = (length as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes().chain(std::iter::repeat_n(b' ', padding)));
    bytes.extend(data);
    Ok(bytes)
}

/// Whether a file has it the other way round: there a matrix is `[out, in]`; the embedding is a table, and stays.
fn turned(parameter: &Parameter) -> bool {
    parameter.dims.len() == 2 && !parameter.name.contains("embed")
}

/// A matrix of this many columns with its axes exchanged.
fn transposed(numbers: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| numbers.iter().skip(column).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_its_model_writes() {
        let model = load(&Device::cpu(1), Limits::default()).unwrap();
        assert!(file(&model).unwrap() == FILE);
    }

    #[test]
    fn its_folder_is_what_it_saves_and_loads_as_any_other() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/wren");
        let model = load(&Device::cpu(1), Limits::default()).unwrap();
        let loaded = crate::Files::open(&folder).unwrap();
        assert_eq!(loaded.config(), model.config());
        let language = loaded.language().unwrap();
        assert_eq!(
            language.tokenizer.encode("r:abc=").unwrap(),
            crate::wren::alphabet().encode("r:abc=").unwrap()
        );
        let loaded = loaded.load(&Device::cpu(1), Limits::default(), &mut |_, _| {}).unwrap();
        assert_eq!(loaded.root().unwrap(), model.root().unwrap());

        let saved = std::env::temp_dir().join(format!("starling-wren-{}", std::process::id()));
        model.save(&saved, Some(&crate::wren::language().unwrap())).unwrap();
        for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
            let [ours, theirs] = [&saved, &folder].map(|at| std::fs::read_to_string(at.join(name)).unwrap());
            assert_eq!(ours, theirs, "{name}");
        }
        std::fs::remove_dir_all(&saved).unwrap();
    }
}
