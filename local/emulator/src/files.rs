//! Files beside the data, which only their owner may read.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Replaces a file as a whole, so that a crash leaves either the old one or the new one.
pub fn replace(path: &Path, text: &str) -> Result {
    let write = || {
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(|source| Error::File { path: path.into(), source })
}

/// Reads what a file has as JSON; the default if there is no file.
pub fn read<T: Default + DeserializeOwned>(path: &Path) -> Result<T> {
    match std::fs::read(path) {
        Ok(text) => {
            serde_json::from_slice(&text).map_err(|error| Error::Damaged { path: path.into(), reason: error.to_string() })
        }
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(source) => Err(Error::File { path: path.into(), source }),
    }
}
