//! Small files of JSON: read within a limit, their fields taken out with an error that names file and field; written whole or not at all.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use serde_json::{Map, Value};

use crate::Error;

/// The bytes of a file, if there are at most so many.
pub(crate) fn bytes(file: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let remedy = "a model's folder needs it: fetch the model again, all of its files";
    let failed = |source| Error::File { file: file.to_owned(), source, remedy };
    let opened = File::open(file).map_err(failed)?;
    let mut bytes = Vec::new();
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        let why = format!("it has more than the {limit} bytes that are allowed");
        return Err(Error::Format { file: file.to_owned(), format: "JSON", why });
    }
    Ok(bytes)
}

/// A file's JSON.
pub(crate) fn read(file: &Path, limit: u64) -> Result<Value, Error> {
    parse(file, &bytes(file, limit)?)
}

/// A file's JSON, given its bytes.
pub(crate) fn parse(file: &Path, bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::Format {
        file: file.to_owned(),
        format: "JSON",
        why: e.to_string(),
    })
}

/// Why a file was not written to its end.
pub(crate) enum Interrupted {
    Disk(std::io::Error),
    Model(Error),
}

impl From<std::io::Error> for Interrupted {
    fn from(error: std::io::Error) -> Interrupted {
        Interrupted::Disk(error)
    }
}

/// Writes a file beside its place and moves it there when it is whole and on the disk.
pub(crate) fn replace(
    file: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), Interrupted>,
) -> Result<(), Error> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = file.with_file_name(name);
    let all = || -> Result<(), Interrupted> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&part)?);
        write(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        Ok(std::fs::rename(&part, file)?)
    };
    all().map_err(|interrupted| {
        // What is half done is of no use; if it cannot be removed either, the first error says more.
        let _ = std::fs::remove_file(&part);
        match interrupted {
            Interrupted::Model(error) => error,
            Interrupted::Disk(source) => {
                let remedy = "give a folder that may be written to and has the room";
                Error::File { file: file.to_owned(), source, remedy }
            }
        }
    })
}

/// Writes JSON for people to read.
pub(crate) fn write(file: &Path, json: &Value) -> Result<(), Error> {
    text(file, &format!("{json:#}\n"))
}

/// Writes a text.
pub(crate) fn text(file: &Path, text: &str) -> Result<(), Error> {
    replace(file, |out| Ok(out.write_all(text.as_bytes())?))
}

/// Removes a file if it is there.
pub(crate) fn remove(file: &Path) -> Result<(), Error> {
    match std::fs::remove_file(file) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            let remedy = "it belongs to the model that was in this folder before: remove it";
            Err(Error::File { file: file.to_owned(), source, remedy })
        }
        _ => Ok(()),
    }
}

/// An object of JSON and the file it came from.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a Path,
    pub(crate) json: &'a Value,
}

impl<'a> Place<'a> {
    /// The error that a field is wrong.
    pub(crate) fn wrong(&self, field: &str, why: impl Into<String>) -> Error {
        Error::Field { file: self.file.to_owned(), field: field.to_owned(), why: why.into() }
    }

    /// A field, if it is there and not null.
    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.json.get(field).filter(|value| !value.is_null())
    }

    pub(crate) fn object(&self, field: &str) -> Result<&'a Map<String, Value>, Error> {
        let object = self.get(field).and_then(Value::as_object);
        object.ok_or_else(|| self.wrong(field, "is missing or no object"))
    }

    /// A field that is a string, if it is there.
    pub(crate) fn string(&self, field: &str) -> Result<Option<&'a str>, Error> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => Ok(Some(value.as_str().ok_or_else(|| self.wrong(field, "must be a string"))?)),
        }
    }

    /// A field that is a whole number, if it is there.
    pub(crate) fn count(&self, field: &str) -> Result<Option<usize>, Error> {
        let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
        match self.get(field) {
            None => Ok(None),
            Some(value) => {
                let why = "must be a whole number of at least 0";
                Ok(Some(number(value).ok_or_else(|| self.wrong(field, why))?))
            }
        }
    }

    /// A field that must be there and be a whole number.
    pub(crate) fn needed(&self, field: &str) -> Result<usize, Error> {
        self.count(field)?
            .ok_or_else(|| self.wrong(field, "is missing: without it the model's shape is not known"))
    }

    /// A field that is a number, if it is there.
    pub(crate) fn number(&self, field: &str) -> Result<Option<f32>, Error> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => {
                let number = value.as_f64().ok_or_else(|| self.wrong(field, "must be a number"))?;
                Ok(Some(number as f32))
            }
        }
    }

    /// A field that is true or false; `otherwise` if it is not there.
    pub(crate) fn flag(&self, field: &str, otherwise: bool) -> Result<bool, Error> {
        match self.get(field) {
            None => Ok(otherwise),
            Some(value) => value.as_bool().ok_or_else(|| self.wrong(field, "must be true or false")),
        }
    }

    /// A field that is one token's number or a list of them.
    pub(crate) fn tokens(&self, field: &str) -> Result<Vec<u32>, Error> {
        let wrong = || self.wrong(field, "must be a token's number, or a list of them");
        let token = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(wrong);
        match self.get(field) {
            None => Ok(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(token).collect(),
            Some(value) => Ok(vec![token(value)?]),
        }
    }
}
