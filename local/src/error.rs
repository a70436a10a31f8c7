//! Everything that can keep the shop from starting, each in one line that says what to do about.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {reason}", path.display())]
    Yaml { path: PathBuf, reason: String },
    #[error("{}: {place}: {reason}", path.display())]
    Template { path: PathBuf, place: String, reason: String },
    #[error("function {function} has no binary named {binary:?}")]
    MissingBinary { function: String, binary: String },
    #[error("binary {binary:?} belongs to no function of the template")]
    UnknownBinary { binary: String },
    #[error("{what} cannot listen on port {port}: {source}")]
    Port { what: &'static str, port: u16, source: std::io::Error },
    #[error("{}: already in use by another local shop", path.display())]
    DatabaseInUse { path: PathBuf },
    #[error("{}: in use by a running shop; look into it with --dynamodb and the URL that it printed", path.display())]
    DatabaseRunning { path: PathBuf },
    #[error("{at}: {reason}")]
    Database { at: String, reason: String },
    #[error("{}: {reason}", folder.display())]
    Export { folder: PathBuf, reason: String },
    #[error("cannot sort the items: {0}")]
    Sort(#[from] rusqlite::Error),
    #[error("{0:?} is no secret of the template")]
    UnknownSecret(String),
    #[error("cargo: {0}")]
    Cargo(String),
    #[error("seed: {0}")]
    Seed(String),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

pub type Result<T = (), E = Error> = std::result::Result<T, E>;
