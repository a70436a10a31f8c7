//! The file of a database, before it is opened: whether it is one, whole, and nobody else's. And what is kept beside it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde::de::IgnoredAny;

use crate::error::{Error, Result};
use crate::template::Table;

/// The permissions of every file beside the data.
const OWNER_ONLY: u32 = 0o600;

/// What is kept beside the data: the secrets, and how far readers of streams are.
pub const SECRETS: &str = "secrets.json";
pub const CHECKPOINTS: &str = "streams.json";

/// Refuses what [`check`] does, and one that is damaged anywhere, for which all of it is read.
pub fn check_all(path: &Path, tables: &[Table]) -> Result {
    match check(path, tables)? {
        None => Ok(()),
        Some(connection) => match damage(&connection).map_err(|error| fault(path, &error))? {
            None => Ok(()),
            Some(reason) => Err(damaged(path, reason)),
        },
    }
}

/// Refuses a file that another emulator has open, one that cannot be written, and one that is something else: to open it would be to
/// write into it. So is one that has tables, and none of these. `None` if there is none yet.
pub fn check(path: &Path, tables: &[Table]) -> Result<Option<Connection>> {
    if is_in_use(path) {
        return Err(Error::DatabaseInUse { path: path.into() });
    }
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::File { path: path.into(), source }),
        Ok(metadata) if metadata.is_dir() => {
            return Err(Error::File { path: path.into(), source: io::ErrorKind::IsADirectory.into() });
        }
        // SQLite takes it for a new one.
        Ok(metadata) if metadata.len() == 0 => return Err(damaged(path, "it is empty")),
        Ok(_) => {}
    }
    // SQLite reads what it may not write, and says so too late.
    OpenOptions::new().write(true).open(path).map_err(|source| Error::File { path: path.into(), source })?;
    let fault = |error| fault(path, &error);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
    if !connection.table_exists(None, "_tables").map_err(fault)? {
        return Err(Error::NotADatabase { path: path.into() });
    }
    let found = texts(&connection, "SELECT table_name FROM _tables ORDER BY table_name").map_err(fault)?;
    let is_there = |table: &Table| found.contains(&table.name);
    if found.is_empty() || tables.is_empty() || tables.iter().any(is_there) {
        return Ok(Some(connection));
    }
    Err(Error::OtherTables { path: path.into(), found: found.join(", ") })
}

/// What is wrong with a database, if anything is.
fn damage(connection: &Connection) -> rusqlite::Result<Option<&'static str>> {
    let pages: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if pages != "ok" {
        return Ok(Some(PAGES));
    }
    // SQLite has no checksums: what was overwritten within a page shows where it is no item any more.
    let holders = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%item_json%'";
    for holder in texts(connection, holders)? {
        let mut items = connection.prepare(&format!("SELECT item_json FROM \"{}\"", holder.replace('"', "\"\"")))?;
        let mut rows = items.query([])?;
        while let Some(row) = rows.next()? {
            let is_item = match row.get_ref(0)? {
                ValueRef::Text(text) => serde_json::from_slice::<IgnoredAny>(text).is_ok() && std::str::from_utf8(text).is_ok(),
                _ => false,
            };
            if !is_item {
                return Ok(Some("items in it cannot be read"));
            }
        }
    }
    Ok(None)
}

fn texts(connection: &Connection, query: &str) -> rusqlite::Result<Vec<String>> {
    connection.prepare(query)?.query_map([], |row| row.get(0))?.collect()
}

const PAGES: &str = "its pages do not fit together";

fn damaged(path: &Path, reason: &str) -> Error {
    Error::Damaged { path: path.into(), reason: reason.into() }
}

/// What SQLite says of a file, in our words.
pub fn fault(path: &Path, error: &rusqlite::Error) -> Error {
    let file = |kind: io::ErrorKind| Error::File { path: path.into(), source: kind.into() };
    match error.sqlite_error_code() {
        // What only we write is beside it.
        Some(ErrorCode::NotADatabase) if [SECRETS, CHECKPOINTS].iter().any(|name| path.with_added_extension(name).exists()) => {
            damaged(path, "it does not begin as a database does")
        }
        Some(ErrorCode::NotADatabase) => Error::NotADatabase { path: path.into() },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::DatabaseInUse { path: path.into() },
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => file(io::ErrorKind::PermissionDenied),
        Some(ErrorCode::ReadOnly) => file(io::ErrorKind::ReadOnlyFilesystem),
        Some(ErrorCode::DiskFull) => file(io::ErrorKind::StorageFull),
        // Where it has no room for the files beside this one, SQLite does not say why.
        Some(ErrorCode::SystemIoFailure) => {
            Error::File { path: path.into(), source: io::Error::other("the disk is full, or fails") }
        }
        Some(ErrorCode::DatabaseCorrupt) => damaged(path, PAGES),
        _ => Error::Database { at: path.display().to_string(), reason: error.to_string() },
    }
}

fn is_in_use(path: &Path) -> bool {
    File::open(lock_file(path)).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Refuses a file that another emulator has open: each would miss what the other writes into its caches.
pub fn lock(path: &Path) -> Result<File> {
    let fault = |source| Error::File { path: path.into(), source };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|source| Error::Folder { path: directory.into(), source })?;
    }
    let file = private().write(true).open(lock_file(path)).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::DatabaseInUse { path: path.into() }),
        Err(TryLockError::Error(error)) => Err(fault(error)),
    }
}

fn lock_file(path: &Path) -> PathBuf {
    path.with_added_extension("lock")
}

/// Options to open a file that is made for its owner alone if it is not there.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).mode(OWNER_ONLY);
    options
}

/// The database's own files.
fn database_files(path: &Path) -> impl Iterator<Item = PathBuf> {
    ["", "-wal", "-shm"].into_iter().map(|suffix| {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        file.into()
    })
}

/// Lets only its owner read it: it holds whatever users have entered. SQLite gives the files beside it the permissions of this one.
pub fn keep_private(path: &Path) -> io::Result<()> {
    private().write(true).open(path)?;
    for file in database_files(path) {
        match std::fs::set_permissions(&file, Permissions::from_mode(OWNER_ONLY)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Deletes a file and all that is kept beside it, unless another emulator has it open; tells which files those were.
pub fn delete(path: &Path) -> Result<Vec<PathBuf>> {
    std::fs::metadata(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    // What is damaged is ours all the same.
    if let Err(error @ Error::NotADatabase { .. }) = check(path, &[]) {
        return Err(error);
    }
    // The lock's own file stays, so that whoever waits for it and whoever comes later mean the same one.
    let _lock = lock(path)?;
    let mut deleted = Vec::new();
    for file in database_files(path).chain([SECRETS, CHECKPOINTS].map(|name| path.with_added_extension(name))) {
        match std::fs::remove_file(&file) {
            Ok(()) => deleted.push(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::File { path: file, source }),
        }
    }
    Ok(deleted)
}

/// A copy of a file that somebody may be writing to, as it is at one instant; in a folder of its own beside it, which is deleted with
/// this.
pub struct Copy {
    folder: PathBuf,
    pub path: PathBuf,
}

impl Copy {
    pub fn of(path: &Path) -> Result<Self> {
        let folder = path.with_added_extension(format!("copy-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).map_err(|source| Error::Folder { path: folder.clone(), source })?;
        let copy = Self { path: folder.join("data.sqlite"), folder };
        let at = copy.path.to_string_lossy().into_owned();
        let read = |connection: Connection| connection.execute("VACUUM INTO ?1", [at]);
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(read)
            .map_err(|error| fault(path, &error))?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What cannot be deleted is seen, and says by its name what it is.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
