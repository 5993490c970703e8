//! Safetensors: eight bytes that say how long the header is, the header in JSON, and the tensors' bytes one after the other.
//!
//! Files are read by position rather than mapped into memory: a mapped file that someone else shortens meanwhile kills the process that
//! reads it, and a read says so instead. Nothing is believed before it is checked against the file's length.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::json;

use super::json::{self, Place};
use super::number::{from_bf16, from_f16};
use super::stream::{Source, Watch, drain};
use crate::config::Parameter;
use crate::{Error, Model};

/// The longest header: some hundred thousand tensors.
const HEADER_BYTES: u64 = 16 << 20;
/// The most axes of a tensor.
const AXES: usize = 8;
/// The name of the only file of a small model.
const SINGLE: &str = "model.safetensors";
/// The name of the list of a large model's files.
const INDEX: &str = "model.safetensors.index.json";
/// Numbers of a shard that is written, about: 4 GB.
pub(super) const SHARD_NUMBERS: usize = 1 << 30;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    dtype: String,
    dims: Vec<u64>,
    /// Where its bytes begin and end after the header.
    begin: u64,
    end: u64,
}

/// What a file says it holds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Header {
    tensors: Vec<(String, Entry)>,
}

/// All safetensors files of a model.
#[derive(Debug)]
pub(crate) struct Shards {
    files: Vec<Shard>,
    /// Each tensor's file and its place in it.
    tensors: HashMap<String, (usize, Entry)>,
    folder: PathBuf,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: Mutex<File>,
    /// Where the first tensor begins.
    data: u64,
}

impl Shards {
    /// The files of a folder, their headers read and checked.
    pub(crate) fn open(folder: &Path) -> Result<Shards, Error> {
        let mut shards = Shards { files: Vec::new(), tensors: HashMap::new(), folder: folder.join(SINGLE) };
        let index = folder.join(INDEX);
        if !index.exists() || folder.join(SINGLE).exists() {
            for (name, entry) in shards.add(folder.join(SINGLE))? {
                shards.tensors.insert(name, (0, entry));
            }
            return Ok(shards);
        }
        shards.folder.clone_from(&index);
        let listed = json::read(&index, HEADER_BYTES)?;
        let place = Place { file: &index, json: &listed };
        let map = place.object("weight_map")?;
        let mut names: Vec<&str> = Vec::new();
        for (tensor, file) in map {
            let file = file.as_str().filter(|f| is_plain(f));
            let why = "must be the name of a file beside the index";
            let file = file.ok_or_else(|| place.wrong(&format!("weight_map.{tensor}"), why))?;
            names.push(file);
        }
        names.sort_unstable();
        names.dedup();
        for (number, name) in names.iter().enumerate() {
            for (tensor, entry) in shards.add(folder.join(name))? {
                // What the index does not name is no part of the model.
                if map.get(&tensor).and_then(|f| f.as_str()) == Some(name) {
                    shards.tensors.insert(tensor, (number, entry));
                }
            }
        }
        if let Some((tensor, file)) = map.iter().find(|(tensor, _)| !shards.tensors.contains_key(*tensor)) {
            let why = format!("is not in {file}, where {INDEX} says it is");
            return Err(Error::Tensor { file: index.clone(), tensor: tensor.clone(), why });
        }
        Ok(shards)
    }

    /// Opens one file and gives what its header says.
    fn add(&mut self, path: PathBuf) -> Result<Vec<(String, Entry)>, Error> {
        let mut file = File::open(&path).map_err(|source| read_error(&path, source))?;
        let length = file.metadata().map_err(|source| read_error(&path, source))?.len();
        let broken = |why: String| Error::Format { file: path.clone(), format: "safetensors", why };
        if length < 8 {
            return Err(broken(format!("it has {length} bytes, and the length of the header alone takes 8")));
        }
        let mut eight = [0; 8];
        file.read_exact(&mut eight).map_err(|source| read_error(&path, source))?;
        let header = header_length(u64::from_le_bytes(eight), length).map_err(broken)?;
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text).map_err(|source| read_error(&path, source))?;
        let data = 8 + header;
        let header = Header::parse(&text, length - data).map_err(broken)?;
        self.files.push(Shard { path, file: Mutex::new(file), data });
        Ok(header.tensors)
    }

    /// The bytes of all tensors.
    pub(crate) fn bytes(&self) -> u64 {
        self.tensors.values().map(|(_, entry)| entry.end - entry.begin).sum()
    }

    /// The names of the types that the tensors have, each once.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self.tensors.values().map(|(_, entry)| entry.dtype.clone()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

impl Source for Shards {
    fn place(&self, tensor: &str) -> &Path {
        self.tensors.get(tensor).map_or(&self.folder, |(file, _)| &self.files[*file].path)
    }

    fn dims(&self, tensor: &str) -> Option<Vec<u64>> {
        self.tensors.get(tensor).map(|(_, entry)| entry.dims.clone())
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    fn read(
        &self,
        tensor: &str,
        columns: usize,
        numbers: usize,
        each: &mut dyn FnMut(&[f32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let wrong = |why: String| {
            let (file, tensor) = (self.place(tensor).to_owned(), tensor.to_owned());
            Error::Tensor { file, tensor, why }
        };
        let (file, entry) = self.tensors.get(tensor).ok_or_else(|| wrong("is missing".to_owned()))?;
        let shard = &self.files[*file];
        let (size, decode): (usize, fn(&[u8]) -> f32) = match entry.dtype.as_str() {
            "F32" => (4, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            "F16" => (2, |b| from_f16(u16::from_le_bytes([b[0], b[1]]))),
            "BF16" => (2, |b| from_bf16(u16::from_le_bytes([b[0], b[1]]))),
            other => return Err(wrong(format!("is {other}: save the model as F32, F16 or BF16"))),
        };
        let mut file = shard.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(shard.data + entry.begin)).map_err(|e| read_error(&shard.path, e))?;
        let at_a_time = (numbers / columns).max(1) * columns;
        let mut left = (entry.end - entry.begin) as usize / size;
        let (mut bytes, mut decoded) = (Vec::new(), Vec::new());
        while left > 0 {
            let some = at_a_time.min(left);
            bytes.resize(some * size, 0);
            file.read_exact(&mut bytes).map_err(|e| read_error(&shard.path, e))?;
            decoded.clear();
            decoded.extend(bytes.chunks_exact(size).map(decode));
            each(&decoded)?;
            left -= some;
        }
        Ok(())
    }
}

fn read_error(path: &Path, source: std::io::Error) -> Error {
    let remedy = "the model's weights must be there, whole and readable: fetch the file again";
    Error::File { file: path.to_owned(), source, remedy }
}

/// Whether a name stays in its folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
}

/// That a header of this length may be read from a file of that length.
fn header_length(header: u64, file: u64) -> Result<u64, String> {
    if header > HEADER_BYTES {
        return Err(format!("its header would have {header} bytes; at most {HEADER_BYTES} are allowed"));
    }
    if header > file - 8 {
        return Err(format!(
            "its header would have {header} bytes, and the file has {file}: it is cut short"
        ));
    }
    Ok(header)
}

impl Header {
    /// Reads a header and checks that its tensors fill the `data` bytes after it, without a hole or an overlap.
    fn parse(text: &[u8], data: u64) -> Result<Header, String> {
        let header: Header = serde_json::from_slice(text).map_err(|e| format!("its header: {e}"))?;
        let mut order: Vec<&(String, Entry)> = header.tensors.iter().collect();
        order.sort_by_key(|(_, entry)| (entry.begin, entry.end));
        let mut at = 0;
        for (name, entry) in order {
            if entry.begin != at || entry.end < entry.begin {
                return Err(format!(
                    "tensor {name:?} lies at bytes {} to {}, and the one before it ends at {at}",
                    entry.begin, entry.end
                ));
            }
            if entry.dims.len() > AXES {
                return Err(format!(
                    "tensor {name:?} has {} axes; at most {AXES} are allowed",
                    entry.dims.len()
                ));
            }
            let size = bytes_of(&entry.dtype).ok_or_else(|| {
                format!("tensor {name:?} has the type {:?}, which is not known", entry.dtype)
            })?;
            let bytes = entry.dims.iter().try_fold(size, |n, d| n.checked_mul(*d));
            if bytes != Some(entry.end - entry.begin) {
                return Err(format!(
                    "tensor {name:?} of {} {:?} does not take {} bytes",
                    entry.dtype,
                    entry.dims,
                    entry.end - entry.begin
                ));
            }
            at = entry.end;
        }
        if at != data {
            return Err(format!("its tensors take {at} bytes, and {data} follow the header"));
        }
        Ok(header)
    }
}

/// The bytes of one element.
fn bytes_of(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "BOOL" | "U8" | "I8" | "F8_E4M3" | "F8_E5M2" | "F8_E8M0" => 1,
        "U16" | "I16" | "F16" | "BF16" => 2,
        "U32" | "I32" | "F32" => 4,
        "U64" | "I64" | "F64" | "C64" => 8,
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Header, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                let mut seen = std::collections::HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format!("the name {name:?} stands there twice")));
                    }
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        header.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        from.deserialize_map(Names)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Entry, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            dtype: String,
            shape: Vec<u64>,
            data_offsets: [u64; 2],
        }
        let Written { dtype, shape: dims, data_offsets: [begin, end] } = Written::deserialize(from)?;
        Ok(Entry { dtype, dims, begin, end })
    }
}

/// Looks at bytes as a whole file, as [`Shards::open`] does: what it says it holds, or what is wrong with it.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Vec<(String, Vec<u64>)>, String> {
    let (eight, rest) = bytes.split_first_chunk::<8>().ok_or("it has no header")?;
    let header = header_length(u64::from_le_bytes(*eight), bytes.len() as u64)? as usize;
    let header = Header::parse(&rest[..header], (rest.len() - header) as u64)?;
    Ok(header.tensors.into_iter().map(|(name, entry)| (name, entry.dims)).collect())
}

/// Writes a model's weights into a folder in 32 bits, as one file, or as several with an index where it has more than `limit` numbers.
pub(crate) fn save(model: &Model, folder: &Path, limit: usize, watch: Watch<'_>) -> Result<(), Error> {
    let mut shards: Vec<Vec<Parameter>> = vec![Vec::new()];
    let mut numbers = 0;
    for parameter in model.config().parameters() {
        let size: usize = parameter.dims.iter().product();
        if numbers + size > limit && numbers > 0 {
            shards.push(Vec::new());
            numbers = 0;
        }
        numbers += size;
        if let Some(shard) = shards.last_mut() {
            shard.push(parameter);
        }
    }
    let total = 4 * model.config().size() as u64;
    let (mut done, count) = (0, shards.len());
    let mut index = serde_json::Map::new();
    for (i, parameters) in shards.iter().enumerate() {
        let name = if count == 1 {
            SINGLE.to_owned()
        } else {
            format!("model-{:05}-of-{count:05}.safetensors", i + 1)
        };
        index.extend(parameters.iter().map(|p| (p.name.clone(), json!(name))));
        json::replace(&folder.join(&name), |file| {
            write_shard(model, parameters, file, &mut |bytes| {
                done += bytes;
                watch(done, total);
            })
        })?;
    }
    if count > 1 {
        let index = json!({ "metadata": { "total_size": total }, "weight_map": index });
        json::write(&folder.join(INDEX), &index)?;
        json::remove(&folder.join(SINGLE))
    } else {
        json::remove(&folder.join(INDEX))
    }
}

fn write_shard(
    model: &Model,
    parameters: &[Parameter],
    file: &mut BufWriter<File>,
    wrote: &mut dyn FnMut(u64),
) -> Result<(), json::Interrupted> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut at = 0;
    for parameter in parameters {
        let end = at + 4 * parameter.dims.iter().product::<usize>();
        let entry = json!({ "dtype": "F32", "shape": parameter.dims_in_files(), "data_offsets": [at, end] });
        header.insert(parameter.name.clone(), entry);
        at = end;
    }
    let mut text = serde_json::Value::from(header).to_string();
    // The tensors begin at a multiple of eight bytes.
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    file.write_all(&(text.len() as u64).to_le_bytes())?;
    file.write_all(text.as_bytes())?;
    let mut bytes = Vec::new();
    for parameter in parameters {
        let mut failed = None;
        let drained = drain(model, parameter, &mut |numbers| {
            bytes.clear();
            bytes.extend(numbers.iter().flat_map(|n| n.to_bits().to_le_bytes()));
            if failed.is_none() {
                failed = file.write_all(&bytes).err();
            }
            wrote(bytes.len() as u64);
            Ok(())
        });
        drained.map_err(json::Interrupted::Model)?;
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
    Ok(())
}
