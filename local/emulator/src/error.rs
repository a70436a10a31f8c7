//! Everything that can keep the emulator from starting, each in one line that says what to do about.

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
    #[error("{}: already in use by another emulator", path.display())]
    DatabaseInUse { path: PathBuf },
    #[error("{at}: {reason}")]
    Database { at: String, reason: String },
    #[error("{0:?} is no secret of the template")]
    UnknownSecret(String),
    #[error("{function} cannot read its stream: its permissions boundary does not allow {action} on {resource}")]
    BeyondBoundary { function: String, action: String, resource: String },
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
}

pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// The cause that the others only wrap, such as `Connection refused (os error 111)`.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
