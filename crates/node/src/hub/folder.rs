//! This machine's side: folders of models in the hub's layout.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::remote::Remote;
use super::{HubError, LIMIT_FILES, NOTE, is_wanted};

/// What a folder of a model says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulled {
    /// Its name at the hub.
    pub repo: String,
    /// The commit it was fetched at.
    pub commit: String,
    /// Its files as they were then.
    pub files: Vec<Remote>,
}

impl Pulled {
    /// What a folder's model is, if it was pulled.
    pub fn read(folder: &Path) -> Option<Pulled> {
        serde_json::from_slice(&fs::read(folder.join(NOTE)).ok()?).ok()
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), HubError> {
        let path = folder.join(NOTE);
        let bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        crate::home::replace(&path, &bytes).map_err(HubError::file("writing", &path))
    }

    /// Files that are not what they were when they were fetched, or not there.
    pub fn changed(&self, folder: &Path) -> Result<Vec<String>, HubError> {
        let mut changed = Vec::new();
        for file in &self.files {
            let path = folder.join(&file.path);
            if !path.is_file() || !file.is(&path)? {
                changed.push(file.path.clone());
            }
        }
        Ok(changed)
    }
}

/// The models in a folder of models, each in `owner/name` of it, by name.
pub fn list(models: &Path) -> Vec<(PathBuf, Option<Pulled>)> {
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        found.sort();
        found
    };
    let mut models: Vec<PathBuf> = inside(models).iter().flat_map(|owner| inside(owner)).collect();
    models.retain(|model| model.join("config.json").is_file());
    models.into_iter().map(|model| (model.clone(), Pulled::read(&model))).collect()
}

/// Puts a model's files into another folder, each whole or not at all; gives their names and bytes.
pub fn put(model: &Path, to: &Path) -> Result<Vec<(String, u64)>, HubError> {
    let reading = || HubError::file("reading", model);
    let mut names = Vec::new();
    for entry in fs::read_dir(model).map_err(reading())? {
        let name = entry.map_err(reading())?.file_name();
        names.extend(name.to_str().filter(|name| is_wanted(name) && *name != NOTE).map(str::to_owned));
    }
    names.sort();
    names.truncate(LIMIT_FILES);
    let has = |name: &str| names.iter().any(|found| found == name);
    if !has("config.json") || !names.iter().any(|name| name.ends_with(".safetensors")) {
        return Err(HubError::NoModel { repo: model.display().to_string() });
    }
    let foreign = to.is_dir() && !to.join("config.json").is_file();
    if foreign && fs::read_dir(to).map_err(HubError::file("reading", to))?.next().is_some() {
        return Err(HubError::Occupied { path: to.to_owned() });
    }
    fs::create_dir_all(to).map_err(HubError::file("making the folder", to))?;
    let mut put = Vec::new();
    for name in names {
        let (from, into) = (model.join(&name), to.join(&name));
        let part = to.join(format!("{name}.part"));
        let bytes = fs::copy(&from, &part).map_err(HubError::file("copying", &from))?;
        fs::rename(&part, &into).map_err(HubError::file("naming", &into))?;
        put.push((name, bytes));
    }
    Ok(put)
}
