//! Everything that can keep the shop from starting, or an audit from ending, each in one line that says what to do about.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Emulator(emulator::Error),
    #[error("{}: already in use by another local shop", path.display())]
    DatabaseInUse { path: PathBuf },
    #[error("{}: in use by a running shop; look into it with --dynamodb and the URL that it printed", path.display())]
    DatabaseRunning { path: PathBuf },
    #[error("{at}: {reason}")]
    Table { at: String, reason: String },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {reason}", folder.display())]
    Export { folder: PathBuf, reason: String },
    #[error("cannot sort the items: {0}")]
    Sort(#[from] rusqlite::Error),
    #[error("cargo: {0}")]
    Cargo(String),
    #[error("seed: {0}")]
    Seed(String),
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
}

impl From<emulator::Error> for Error {
    fn from(error: emulator::Error) -> Self {
        match error {
            emulator::Error::DatabaseInUse { path } => Self::DatabaseInUse { path },
            other => Self::Emulator(other),
        }
    }
}

pub type Result<T = (), E = Error> = std::result::Result<T, E>;
