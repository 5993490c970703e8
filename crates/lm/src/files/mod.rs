//! Models as files: Hugging Face folders and GGUF files to load, folders to save.

pub(crate) mod gguf;
mod json;
mod number;
pub(crate) mod safetensors;
pub(crate) mod shape;
mod stream;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use exact::{Device, Limits};

use crate::config::Config;
use crate::weights::Form;
use crate::{Error, Model};
use gguf::Gguf;
use json::Place;
use safetensors::Shards;
use stream::{Source, fill};

pub use words::Language;

/// The longest `config.json`.
const CONFIG_BYTES: u64 = 16 << 20;

/// A model as it lies on a disk: a Hugging Face folder, or a GGUF file. Opening it reads all but the weights.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    config: Config,
    language: Option<Language>,
    weights: Weights,
}

#[derive(Debug)]
enum Weights {
    Shards(Shards),
    Gguf(Gguf),
}

impl Files {
    /// Opens a folder, or a file that ends in `.gguf`, and checks everything in it but the weights' numbers.
    pub fn open(path: impl AsRef<Path>) -> Result<Files, Error> {
        let path = path.as_ref();
        let what = std::fs::metadata(path).map_err(|source| {
            let remedy = "give the folder of a model, or a GGUF file";
            Error::File { file: path.to_owned(), source, remedy }
        })?;
        let files = if what.is_dir() { Files::open_folder(path) } else { Files::open_gguf(path) }?;
        let (tokens, vocabulary) =
            (files.language.as_ref().map_or(0, |l| l.tokenizer.len()), files.config.vocabulary);
        if tokens > vocabulary {
            let why = format!(
                "has tokens up to {}, and the model only {vocabulary}: they do not belong together",
                tokens - 1
            );
            return Err(Error::Tokenizer { name: format!("of {}", path.display()), why });
        }
        Ok(files)
    }

    fn open_folder(folder: &Path) -> Result<Files, Error> {
        let file = folder.join("config.json");
        let json = json::read(&file, CONFIG_BYTES)?;
        let config = shape::read(&file, &json)?;
        let language = words::read(folder, &Place { file: &file, json: &json })?;
        let weights = Weights::Shards(Shards::open(folder)?);
        Ok(Files { path: folder.to_owned(), config, language, weights })
    }

    fn open_gguf(file: &Path) -> Result<Files, Error> {
        let gguf = Gguf::open(file)?;
        let (config, language) = (gguf.config().clone(), gguf.language()?);
        Ok(Files { path: file.to_owned(), config, language, weights: Weights::Gguf(gguf) })
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model's shape.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How texts become tokens; an error if the files do not say.
    pub fn language(&self) -> Result<&Language, Error> {
        self.language.as_ref().ok_or_else(|| Error::File {
            file: self.path.join("tokenizer.json"),
            source: std::io::ErrorKind::NotFound.into(),
            remedy: "the model has no tokenizer, so it takes tokens only: put the one it was made with beside it",
        })
    }

    /// The bytes that the weights have in the files.
    pub fn bytes(&self) -> u64 {
        match &self.weights {
            Weights::Shards(shards) => shards.bytes(),
            Weights::Gguf(gguf) => gguf.bytes(),
        }
    }

    /// How the weights are written, `BF16` say; several where tensors differ.
    pub fn kinds(&self) -> Vec<String> {
        match &self.weights {
            Weights::Shards(shards) => shards.kinds(),
            Weights::Gguf(gguf) => gguf.kinds(),
        }
    }

    /// Loads the weights: tensor by tensor, a few megabytes at a time, so that it takes the model's own size and little more.
    /// `progress` is told how many bytes of the model are there, of how many.
    pub fn load(
        &self,
        device: &Device,
        limits: Limits,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Model, Error> {
        let mut model = Model::empty(Form::plain(self.config.clone()), device, limits)?;
        fill(&mut model, self.source(), progress)?;
        Ok(model)
    }

    /// As [`Files::load`], but matrices that the file has in blocks stay in 4 or 8 bits a number, with 8 bytes for every 32 (or 16) of them.
    ///
    /// Such a model has the same root and says the same to the bit, its matrices in a fifth to two fifths of the memory; it cannot be taught. Of files without
    /// blocks, and of folders, it is what `load` gives.
    pub fn load_packed(
        &self,
        device: &Device,
        limits: Limits,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Model, Error> {
        let packed = match &self.weights {
            Weights::Shards(_) => BTreeMap::new(),
            Weights::Gguf(gguf) => gguf.keepable(),
        };
        let mut model = Model::empty(Form::new(self.config.clone(), packed), device, limits)?;
        fill(&mut model, self.source(), progress)?;
        Ok(model)
    }

    fn source(&self) -> &dyn Source {
        match &self.weights {
            Weights::Shards(shards) => shards,
            Weights::Gguf(gguf) => gguf,
        }
    }
}

impl Model {
    /// Saves it as a Hugging Face folder in 32 bits, which `transformers` loads with the same logits.
    pub fn save(&self, folder: impl AsRef<Path>, language: Option<&Language>) -> Result<(), Error> {
        self.save_in_shards(folder, language, 4 * safetensors::SHARD_NUMBERS as u64, &mut |_, _| {})
    }

    /// As [`Model::save`], the weights in files of about `shard_bytes` each. `progress` is told how many bytes are written, of how many.
    pub fn save_in_shards(
        &self,
        folder: impl AsRef<Path>,
        language: Option<&Language>,
        shard_bytes: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Error> {
        let folder = folder.as_ref();
        let mut config = shape::write(self.config())?;
        std::fs::create_dir_all(folder).map_err(|source| {
            let remedy = "give a folder that may be written to";
            Error::File { file: folder.to_owned(), source, remedy }
        })?;
        safetensors::save(self, folder, (shard_bytes / 4) as usize, progress)?;
        words::write(folder, language, self.config().context, &mut config)?;
        // Last: a folder with a configuration is whole.
        json::write(&folder.join("config.json"), &config)
    }
}
