//! DynamoDB with the template's tables: dynoxide inside this process, or an emulator that is running already.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use dynoxide::Database as Dynoxide;
use hyper::Uri;
use hyper::header::HOST;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::connector::Connector;
use super::tables;
use crate::error::{Error, Result, innermost};
use crate::guard::{self, Guard};
use crate::server;
use crate::template::Table;

/// Where the data lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    #[default]
    Memory,
    File(PathBuf),
    /// An emulator that is running already.
    Url(String),
}

/// The permissions of every file beside the data.
const OWNER_ONLY: u32 = 0o600;
const SWEEP: Duration = Duration::from_mins(1);

pub struct Database {
    /// Where it answers this machine's own programs.
    pub url: String,
    /// The same for an HTTP client, and the connections that it is to use.
    pub uri: Uri,
    pub connector: Connector,
    /// Held for as long as this process uses the file.
    _lock: Option<File>,
}

impl Database {
    pub async fn open(store: &Store, tables: &[Table], stop: &CancellationToken) -> Result<Self> {
        let (url, connector, lock) = match store {
            Store::Memory => {
                let (url, connector) = embed(Dynoxide::memory(), "memory", stop).await?;
                (url, connector, None)
            }
            Store::File(path) => {
                let lock = lock(path)?;
                let (url, connector) = open(path, stop).await?;
                (url, connector, Some(lock))
            }
            Store::Url(url) => (url.trim_end_matches('/').to_owned(), Connector::over_http(), None),
        };
        let uri = url.parse().map_err(|error| Error::Database { at: url.clone(), reason: format!("not a URL: {error}") })?;
        tables::create(&Client::at(&url)?, tables).await?;
        Ok(Self { url, uri, connector, _lock: lock })
    }

    /// Opens a file that is there and that no other emulator has open.
    pub async fn open_existing(path: &Path, stop: &CancellationToken) -> Result<Self> {
        // Opening would make an empty one.
        std::fs::metadata(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        Self::open(&Store::File(path.to_owned()), &[], stop).await
    }
}

/// Refuses a file that another emulator has open: each would miss what the other writes into its caches.
fn lock(path: &Path) -> Result<File> {
    let fault = |source| Error::File { path: path.into(), source };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(fault)?;
    }
    let file = private().write(true).open(path.with_added_extension("lock")).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::DatabaseInUse { path: path.into() }),
        Err(TryLockError::Error(error)) => Err(fault(error)),
    }
}

/// Opens the file, which only its owner may read: it holds whatever users have entered.
async fn open(path: &Path, stop: &CancellationToken) -> Result<(String, Connector)> {
    // SQLite gives the files beside it the permissions of this one.
    keep_private(path).map_err(|source| Error::File { path: path.into(), source })?;
    let at = path.display().to_string();
    embed(Dynoxide::new(&at), &at, stop).await
}

/// Options to open a file that is made for its owner alone if it is not there.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).mode(OWNER_ONLY);
    options
}

fn keep_private(path: &Path) -> io::Result<()> {
    private().write(true).open(path)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::set_permissions(&file, Permissions::from_mode(OWNER_ONLY)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Serves the database over HTTP, since that is the only protocol that functions speak; returns where, and the shorter way.
async fn embed(opened: dynoxide::errors::Result<Dynoxide>, at: &str, stop: &CancellationToken) -> Result<(String, Connector)> {
    let database = opened.map_err(|error| Error::Database { at: at.to_owned(), reason: error.to_string() })?;
    let listener = server::listen("DynamoDB", 0).await?;
    let url = server::url(&listener)?;
    let connector = Connector::Embedded { database: database.clone(), stop: stop.clone() };
    let client = HttpClient::builder(TokioExecutor::new()).build(connector.clone());
    let router = Guard::default().around(Router::new().fallback(pass_on).with_state(client));
    tokio::spawn(server::serve(listener, router, stop.clone()));
    tokio::spawn(sweep(database, stop.clone()));
    Ok((url, connector))
}

async fn pass_on(State(client): State<HttpClient<Connector, Body>>, mut request: Request<Body>) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // The connector needs no address, and the client wants one.
    match format!("http://dynamodb.localhost{path}").parse::<Uri>() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
    request.headers_mut().remove(HOST);
    match client.request(request).await {
        Ok(response) => {
            let mut response = response.into_response();
            guard::remove_cors(response.headers_mut());
            response
        }
        Err(error) => (StatusCode::BAD_GATEWAY, innermost(&error)).into_response(),
    }
}

/// Deletes expired items every minute; DynamoDB itself may take days.
async fn sweep(database: Dynoxide, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
        let database = database.clone();
        // A sweep that fails is made up for by the next one.
        let _ = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
    }
}
