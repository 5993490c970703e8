//! GGUF: one file with a model's shape, its tokenizer, its chat template and its weights, usually in blocks of few bits.

mod blocks;
mod header;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use blocks::Packing;
use header::{Entry, Header, Value};

use super::stream::{ShowBlocks, Source};
use super::words::Language;
use crate::Error;
use crate::config::{Config, Parameter};
use crate::rope::RopeScaling;
use crate::weights::Bits;

/// An opened file, its head read and checked.
#[derive(Debug)]
pub(crate) struct Gguf {
    path: PathBuf,
    file: Mutex<File>,
    header: Header,
    config: Config,
    /// Our names, and the file's.
    names: HashMap<String, String>,
    /// Whether the rows of queries and keys stand in another order, as in files of the llama architecture.
    woven: bool,
}

impl Gguf {
    pub(crate) fn open(path: &Path) -> Result<Gguf, Error> {
        let remedy = "give a GGUF file that may be read";
        let failed = |source| Error::File { file: path.to_owned(), source, remedy };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let broken = |why| Error::Format { file: path.to_owned(), format: "GGUF", why };
        let header = Header::read(BufReader::new(&file), length).map_err(broken)?;
        let fields = Fields { path, header: &header };
        let architecture = fields.architecture()?.to_owned();
        let config = fields.config(&architecture)?;
        let names = names(&config);
        Ok(Gguf {
            path: path.to_owned(),
            file: Mutex::new(file),
            config,
            names,
            woven: architecture == "llama",
            header,
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Its tokenizer and chat template, if it has them.
    pub(crate) fn language(&self) -> Result<Option<Language>, Error> {
        words::read(&self.path, &self.header)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.header.tensors.values().map(|entry| entry.bytes).sum()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<Packing> = self.header.tensors.values().map(|entry| entry.packing).collect();
        kinds.sort();
        kinds.dedup();
        kinds.iter().map(|kind| format!("{kind:?}")).collect()
    }

    /// The matrices that may stay in the file's blocks, and how. An embedding that is no head is a table to look tokens up in.
    pub(crate) fn keepable(&self) -> BTreeMap<String, Bits> {
        let matrices = self.config.parameters().into_iter().filter(|p| p.is_turned() || self.is_head(p));
        let kept = |name: String| {
            let bits = self.entry(&name)?.packing.kept()?;
            Some((name, bits))
        };
        matrices.filter_map(|p| kept(p.name)).collect()
    }

    fn is_head(&self, parameter: &Parameter) -> bool {
        self.config.tied && parameter.name == "model.embed_tokens.weight"
    }

    fn entry(&self, tensor: &str) -> Option<&Entry> {
        // A tensor that has no name of ours is asked for by the file's.
        let name = self.names.get(tensor).map_or(tensor, String::as_str);
        self.header.tensors.get(name)
    }

    /// Shows the blocks of a tensor, whole rows (whole heads where these are woven) and about `bytes` at a time.
    fn blocks(
        &self,
        tensor: &str,
        entry: &Entry,
        bytes: usize,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let columns = entry.dims.last().map_or(1, |d| *d as usize);
        let head = self.config.head_dim;
        let woven =
            self.woven && (tensor.contains("self_attn.q_proj") || tensor.contains("self_attn.k_proj"));
        // A vector is one row, but a woven one is woven by its elements.
        let row = match (woven && entry.dims.len() == 1, entry.packing) {
            (true, packing) if packing.numbers() == 1 => packing.bytes(),
            (_, packing) => columns / packing.numbers() * packing.bytes(),
        };
        let unit = if woven { head * row } else { row };
        if unit == 0 || !(entry.bytes as usize).is_multiple_of(unit) {
            let why = format!("{:?} is not made of heads of {head}", entry.dims);
            return Err(Error::Tensor { file: self.path.clone(), tensor: tensor.to_owned(), why });
        }
        let remedy = "the model's weights must be there, whole and readable: fetch the file again";
        let failed = |source| Error::File { file: self.path.clone(), source, remedy };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.header.data + entry.begin)).map_err(failed)?;
        let at_a_time = (bytes / unit).max(1) * unit;
        let (mut left, mut buffer, mut straight) = (entry.bytes as usize, Vec::new(), Vec::new());
        while left > 0 {
            let some = at_a_time.min(left);
            buffer.resize(some, 0);
            file.read_exact(&mut buffer).map_err(failed)?;
            if woven {
                unweave(&buffer, head, row, &mut straight);
                each(&straight)?;
            } else {
                each(&buffer)?;
            }
            left -= some;
        }
        Ok(())
    }
}

/// Rows of heads from the order in which neighbours are turned together to the one where halves are: 0, h/2, 1, h/2 + 1, … becomes 0, 1, ….
fn unweave(rows: &[u8], head: usize, row: usize, straight: &mut Vec<u8>) {
    straight.clear();
    for rows in rows.chunks_exact(head * row) {
        for half in 0..2 {
            let of_half = rows.chunks_exact(row).skip(half).step_by(2);
            of_half.for_each(|row| straight.extend_from_slice(row));
        }
    }
}

impl Source for Gguf {
    fn place(&self, _: &str) -> &Path {
        &self.path
    }

    fn dims(&self, tensor: &str) -> Option<Vec<u64>> {
        self.entry(tensor).map(|entry| entry.dims.clone())
    }

    fn names(&self) -> Vec<&str> {
        let ours: HashMap<&str, &str> =
            self.names.iter().map(|(ours, theirs)| (theirs.as_str(), ours.as_str())).collect();
        self.header.tensors.keys().map(|name| ours.get(name.as_str()).copied().unwrap_or(name)).collect()
    }

    fn read(
        &self,
        tensor: &str,
        _: usize,
        numbers: usize,
        each: &mut dyn FnMut(&[f32]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(entry) = self.entry(tensor) else {
            let (file, tensor) = (self.path.clone(), tensor.to_owned());
            return Err(Error::Tensor { file, tensor, why: "is missing".to_owned() });
        };
        let mut unpacked = Vec::new();
        let bytes = numbers / entry.packing.numbers() * entry.packing.bytes();
        self.blocks(tensor, entry, bytes, &mut |blocks| {
            unpacked.clear();
            entry.packing.unpack(blocks, &mut unpacked);
            if entry.packing.kept().is_some() {
                // One zero, as a packed matrix has it: so the model has one root, packed or not.
                for number in &mut unpacked {
                    *number += 0.0;
                }
            }
            each(&unpacked)
        })
    }

    fn read_blocks(&self, tensor: &str, numbers: usize, each: ShowBlocks<'_>) -> Result<(), Error> {
        let Some(entry) = self.entry(tensor) else { return Ok(()) };
        let bytes = numbers / entry.packing.numbers() * entry.packing.bytes();
        self.blocks(tensor, entry, bytes, &mut |blocks| each(entry.packing, blocks))
    }
}

/// The file's name of each parameter.
fn names(config: &Config) -> HashMap<String, String> {
    let theirs = |name: &str| {
        let Some(rest) = name.strip_prefix("model.layers.") else {
            return match name {
                "model.embed_tokens.weight" => "token_embd.weight".to_owned(),
                "model.norm.weight" => "output_norm.weight".to_owned(),
                _ => "output.weight".to_owned(),
            };
        };
        let (layer, part) = rest.split_once('.').unwrap_or((rest, ""));
        let (part, kind) = part.rsplit_once('.').unwrap_or((part, ""));
        let part = match part {
            "input_layernorm" => "attn_norm",
            "self_attn.q_proj" => "attn_q",
            "self_attn.k_proj" => "attn_k",
            "self_attn.v_proj" => "attn_v",
            "self_attn.o_proj" => "attn_output",
            "self_attn.q_norm" => "attn_q_norm",
            "self_attn.k_norm" => "attn_k_norm",
            "post_attention_layernorm" => "ffn_norm",
            "mlp.gate_proj" => "ffn_gate",
            "mlp.up_proj" => "ffn_up",
            _ => "ffn_down",
        };
        format!("blk.{layer}.{part}.{kind}")
    };
    config.parameters().into_iter().map(|p| (p.name.clone(), theirs(&p.name))).collect()
}

/// The named values of a head, taken out with errors that name file and field.
pub(super) struct Fields<'a> {
    path: &'a Path,
    header: &'a Header,
}

impl Fields<'_> {
    pub(super) fn wrong(&self, field: &str, why: impl Into<String>) -> Error {
        Error::Field { file: self.path.to_owned(), field: field.to_owned(), why: why.into() }
    }

    fn count(&self, field: &str) -> Result<Option<usize>, Error> {
        match self.header.values.get(field) {
            None => Ok(None),
            Some(Value::Count(n)) => Ok(Some(usize::try_from(*n).unwrap_or(usize::MAX))),
            Some(_) => Err(self.wrong(field, "must be a whole number of at least 0")),
        }
    }

    fn needed(&self, field: &str) -> Result<usize, Error> {
        self.count(field)?
            .ok_or_else(|| self.wrong(field, "is missing: without it the model's shape is not known"))
    }

    fn number(&self, field: &str) -> Result<Option<f32>, Error> {
        match self.header.values.get(field) {
            None => Ok(None),
            Some(Value::Number(n)) => Ok(Some(*n as f32)),
            Some(_) => Err(self.wrong(field, "must be a number")),
        }
    }

    pub(super) fn text(&self, field: &str) -> Result<Option<&str>, Error> {
        match self.header.values.get(field) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(field, "must be a text")),
        }
    }

    pub(super) fn texts(&self, field: &str) -> Result<&[String], Error> {
        match self.header.values.get(field) {
            Some(Value::Texts(texts)) => Ok(texts),
            _ => Err(self.wrong(field, "is missing or no list of texts")),
        }
    }

    pub(super) fn flag(&self, field: &str) -> Result<bool, Error> {
        match self.header.values.get(field) {
            None => Ok(false),
            Some(Value::Flag(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(field, "must be true or false")),
        }
    }

    pub(super) fn token(&self, field: &str) -> Result<Option<u32>, Error> {
        self.count(field).map(|token| token.and_then(|t| u32::try_from(t).ok()))
    }

    pub(super) fn numbers(&self, field: &str) -> Result<Option<&[f64]>, Error> {
        match self.header.values.get(field) {
            None => Ok(None),
            Some(Value::Numbers(numbers)) => Ok(Some(numbers)),
            Some(_) => Err(self.wrong(field, "must be a list of numbers")),
        }
    }

    fn architecture(&self) -> Result<&str, Error> {
        let field = "general.architecture";
        let found = self.text(field)?.ok_or_else(|| self.wrong(field, "is missing"))?;
        if ["llama", "qwen2", "qwen3"].contains(&found) {
            return Ok(found);
        }
        Err(self.wrong(field, format!("is {found:?}: only llama, qwen2 and qwen3 can be run")))
    }

    fn rope_scaling(&self, architecture: &str) -> Result<RopeScaling, Error> {
        let field = |name: &str| format!("{architecture}.rope.{name}");
        match self.text(&field("scaling.type"))? {
            None | Some("none") => match self.number(&field("scale_linear"))? {
                None => Ok(RopeScaling::None),
                Some(factor) => Ok(RopeScaling::Linear { factor }),
            },
            Some("linear") => {
                let factor = self.number(&field("scaling.factor"))?;
                let missing = || self.wrong(&field("scaling.factor"), "is missing, and the type is linear");
                Ok(RopeScaling::Linear { factor: factor.ok_or_else(missing)? })
            }
            Some(kind) => {
                let why = format!("is {kind:?}: none and linear can be run");
                Err(self.wrong(&field("scaling.type"), why))
            }
        }
    }

    fn config(&self, architecture: &str) -> Result<Config, Error> {
        let field = |name: &str| format!("{architecture}.{name}");
        let tensor = |name: &str| self.header.tensors.get(name);
        if tensor("rope_freqs.weight").is_some() {
            let why = "is there: positions of Llama 3.1's kind are read from Hugging Face folders only; take the model's folder";
            return Err(self.wrong("rope_freqs.weight", why));
        }
        if self.count(&field("expert_count"))?.is_some_and(|n| n > 0) {
            return Err(self.wrong(&field("expert_count"), "must be 0: mixtures of experts cannot be run"));
        }
        let (width, heads) =
            (self.needed(&field("embedding_length"))?, self.needed(&field("attention.head_count"))?);
        let head_dim = match self.count(&field("attention.key_length"))? {
            Some(given) => given,
            None if heads > 0 && width.is_multiple_of(heads) => width / heads,
            None => return Err(self.wrong(&field("attention.head_count"), "must divide embedding_length")),
        };
        let turned = field("rope.dimension_count");
        if self.count(&turned)?.is_some_and(|n| n != head_dim) {
            return Err(self.wrong(&turned, format!("must be {head_dim}: heads are turned whole")));
        }
        let embedding = tensor("token_embd.weight").filter(|entry| entry.dims.len() == 2);
        let embedding =
            embedding.ok_or_else(|| self.wrong("token_embd.weight", "is missing or no matrix"))?;
        let config = Config {
            vocabulary: usize::try_from(embedding.dims[0]).unwrap_or(usize::MAX),
            width,
            layers: self.needed(&field("block_count"))?,
            heads,
            kv_heads: self.count(&field("attention.head_count_kv"))?.unwrap_or(heads),
            head_dim,
            hidden: self.needed(&field("feed_forward_length"))?,
            context: self.needed(&field("context_length"))?,
            rope_theta: self.number(&field("rope.freq_base"))?.unwrap_or(10_000.0),
            rope_scaling: self.rope_scaling(architecture)?,
            norm_eps: self.number(&field("attention.layer_norm_rms_epsilon"))?.unwrap_or(1e-6),
            tied: tensor("output.weight").is_none(),
            qkv_bias: tensor("blk.0.attn_q.bias").is_some(),
            qk_norm: tensor("blk.0.attn_q_norm.weight").is_some(),
        };
        config.check().map_err(|error| match error {
            Error::Config { field, why } => self.wrong(&format!("{architecture}.* ({field})"), why),
            other => other,
        })?;
        Ok(config)
    }
}

/// Looks at bytes as the head of a file of this length: its tensors' names and shapes, or what is wrong with it.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Vec<(String, Vec<u64>)>, Error> {
    let path = Path::new("model.gguf");
    let broken = |why| Error::Format { file: path.to_owned(), format: "GGUF", why };
    let header = Header::read(bytes, bytes.len() as u64).map_err(broken)?;
    let fields = Fields { path, header: &header };
    fields.config(fields.architecture()?)?;
    words::read(path, &header)?;
    Ok(header.tensors.into_iter().map(|(name, entry)| (name, entry.dims)).collect())
}

#[cfg(test)]
mod tests {
    use super::unweave;

    #[test]
    fn heads_are_unwoven_one_by_one() {
        // Two heads of four rows of two bytes.
        let woven: Vec<u8> = [0, 2, 1, 3, 4, 6, 5, 7].iter().flat_map(|row| [*row, 10 * row]).collect();
        let mut straight = Vec::new();
        unweave(&woven, 4, 2, &mut straight);
        assert_eq!(straight, (0..8).flat_map(|row| [row, 10 * row]).collect::<Vec<u8>>());
    }
}
