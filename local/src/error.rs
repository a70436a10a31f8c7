//! Everything that can keep the shop from starting, or an audit from ending, each in one line that says what to do about.

use std::io::ErrorKind;
use std::path::PathBuf;

use emulator::reason;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}{}", .0, advice(.0))]
    Emulator(emulator::Error),
    #[error("{taken}: end that, or take other ports with --port {next}")]
    PortTaken { taken: emulator::Error, next: u16 },
    #[error("{}: in use by another local shop: end that, or start this one with --memory, or with another file as --data", path.display())]
    DatabaseInUse { path: PathBuf },
    #[error("{}: in use by a running shop; end that first", path.display())]
    DatabaseRunning { path: PathBuf },
    #[error("{at}: {reason}")]
    Table { at: String, reason: String },
    #[error("{at}: {reason}: start that first, or correct where it is looked for")]
    Unreachable { at: String, reason: String },
    #[error("{0}")]
    Account(String),
    #[error("{}: {}", path.display(), reason(source))]
    File { path: PathBuf, source: std::io::Error },
    #[error("{}: {reason}", folder.display())]
    Export { folder: PathBuf, reason: String },
    #[error("cannot sort the items: {0}")]
    Sort(#[from] rusqlite::Error),
    #[error("{}: there are no functions: begin in the folder of the shop's sources", path.display())]
    NoFunctions { path: PathBuf },
    #[error("{}: a function of the template that is not there: build it first, or begin without --functions", path.display())]
    NoFunction { path: PathBuf },
    #[error("cargo is needed to build the functions, and is not there: https://rustup.rs has it")]
    NoCargo,
    #[error("cargo cannot be run: {}", reason(.0))]
    Cargo(std::io::Error),
    #[error("the functions do not build; what cargo says about it is above")]
    Build,
    #[error("the sources cannot be watched: {0}: begin without --watch")]
    Watch(String),
    #[error("the demonstration data cannot be made: {0}: begin with --no-seed to look into it, or anew after `reset`")]
    Seed(String),
    #[error("nobody can be asked here whether to delete {}: say --yes", path.display())]
    NobodyToAsk { path: PathBuf },
    #[error("cannot wait for signals: {}", reason(.0))]
    Signals(std::io::Error),
}

/// What to do about what the emulator says, in terms of this program's options.
fn advice(error: &emulator::Error) -> String {
    match error {
        emulator::Error::Folder { .. } => ": name another file with --data, or keep nothing with --memory".into(),
        emulator::Error::NotADatabase { .. } | emulator::Error::OtherTables { .. } => ": name another file with --data".into(),
        emulator::Error::File { source, .. } => match source.kind() {
            ErrorKind::StorageFull | ErrorKind::Other => ": make room, and begin again".into(),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                ": let it be written, or name another file with --data".into()
            }
            _ => String::new(),
        },
        emulator::Error::Damaged { .. } => ": restore it from a copy, or begin anew after `reset`".into(),
        emulator::Error::Unreachable { .. } => ": start that first, or correct where it is looked for".into(),
        emulator::Error::MissingBinary { binary, .. } => {
            format!(": write functions/src/bin/{binary}.rs, or take the function out of the template")
        }
        emulator::Error::UnknownBinary { binary } => {
            format!(": give it a function in the template, or remove functions/src/bin/{binary}.rs")
        }
        _ => String::new(),
    }
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
