//! Everything that can keep the emulator from starting, each in one line that says what is wrong.

use std::io::{Error as IoError, ErrorKind};
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {}", path.display(), reason(source))]
    File { path: PathBuf, source: IoError },
    #[error("{}: the folder cannot be made: {}", path.display(), reason(source))]
    Folder { path: PathBuf, source: IoError },
    /// A file that this program has written, and that is something else now.
    #[error("{}: is damaged ({reason})", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{}: is no YAML: {reason}", path.display())]
    Yaml { path: PathBuf, reason: String },
    #[error("{}: {place}: {reason}", path.display())]
    Template { path: PathBuf, place: String, reason: String },
    #[error("function {function} has no binary named {binary:?}")]
    MissingBinary { function: String, binary: String },
    #[error("binary {binary:?} belongs to no function of the template")]
    UnknownBinary { binary: String },
    #[error("port {port}, for {what}, is taken{}", by.as_ref().map_or_else(String::new, |by| format!(" by {by}")))]
    PortTaken { what: &'static str, port: u16, by: Option<String> },
    #[error("{what} cannot listen at {address}: {reason}")]
    Port { what: &'static str, address: IpAddr, reason: String },
    #[error("{}: already in use by another emulator", path.display())]
    DatabaseInUse { path: PathBuf },
    #[error("{}: is not a database that an emulator has made, or is an encrypted one", path.display())]
    NotADatabase { path: PathBuf },
    #[error("{}: is another stack's: what it has is {found}", path.display())]
    OtherTables { path: PathBuf, found: String },
    #[error("{at}: is no URL of an emulator, such as http://127.0.0.1:8000")]
    DatabaseUrl { at: String },
    #[error("{at}: {reason}")]
    Unreachable { at: String, reason: String },
    #[error("{at}: {reason}")]
    Database { at: String, reason: String },
    #[error("{0:?} is no secret of the template")]
    UnknownSecret(String),
    #[error("{function} cannot read its stream: its permissions boundary does not allow {action} on {resource}")]
    BeyondBoundary { function: String, action: String, resource: String },
    #[error("cannot start the runtime: {}", reason(.0))]
    Runtime(IoError),
}

pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// What the system has to say, without its jargon.
pub fn reason(error: &IoError) -> String {
    match error.kind() {
        ErrorKind::NotFound => "does not exist".into(),
        ErrorKind::PermissionDenied => "you have no permission to use it".into(),
        ErrorKind::IsADirectory => "is a folder and not a file".into(),
        ErrorKind::NotADirectory => "a part of the path is a file and not a folder".into(),
        ErrorKind::StorageFull => "the disk is full".into(),
        ErrorKind::ReadOnlyFilesystem => "the disk can only be read".into(),
        ErrorKind::AddrInUse => "the port is taken".into(),
        ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        ErrorKind::ConnectionRefused => "nothing answers there".into(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
            "the connection ended before the answer".into()
        }
        ErrorKind::TimedOut => "no answer came in time".into(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "there is no way to that address".into(),
        _ if error.to_string().starts_with("failed to lookup address") => "there is no host of that name".into(),
        _ => error.to_string(),
    }
}

/// The cause that the others only wrap.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.downcast_ref().map_or_else(|| cause.to_string(), reason)
}
