//! DynamoDB with the template's tables: dynoxide inside this process, or an emulator that is running already.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use dynoxide::Database as Dynoxide;
use dynoxide::errors::DynoxideError;
use hyper::Uri;
use hyper::header::HOST;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::connector::Connector;
use super::{file, tables};
use crate::error::{Error, Result, innermost};
use crate::guard::{self, Guard};
use crate::server;
use crate::template::Table;
use crate::value::is_url;

/// Where the data lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    #[default]
    Memory,
    File(PathBuf),
    /// An emulator that is running already.
    Url(String),
}

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
                let opened = Dynoxide::memory();
                let database = opened.map_err(|error| Error::Database { at: "memory".into(), reason: error.to_string() })?;
                let (url, connector) = embed(database, stop).await?;
                (url, connector, None)
            }
            Store::File(path) => {
                file::check(path, tables)?;
                let lock = file::lock(path)?;
                let (url, connector) = open(path, stop).await?;
                (url, connector, Some(lock))
            }
            Store::Url(url) => (url.trim_end_matches('/').to_owned(), Connector::over_http(), None),
        };
        // An emulator is asked without TLS.
        let uri = url.parse().ok().filter(|uri: &Uri| is_url(&url) && uri.scheme_str() == Some("http"));
        let uri = uri.ok_or_else(|| Error::DatabaseUrl { at: url.clone() })?;
        tables::create(&Client::at(&url)?, tables).await?;
        Ok(Self { url, uri, connector, _lock: lock })
    }

    /// Opens a file that is there and that no other emulator has open.
    pub async fn open_existing(path: &Path, stop: &CancellationToken) -> Result<Self> {
        // Opening would make an empty one.
        std::fs::metadata(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        file::check_all(path, &[])?;
        Self::open(&Store::File(path.to_owned()), &[], stop).await
    }

    /// Opens a copy of a file that another emulator may be writing to, as it is at one instant.
    pub async fn copy_of(path: &Path, stop: &CancellationToken) -> Result<Self> {
        let copy = file::Copy::of(path)?;
        // What has it open goes on reading it when it is deleted, which is here.
        Self::open_existing(&copy.path, stop).await
    }
}

/// Opens the file for its owner alone.
async fn open(path: &Path, stop: &CancellationToken) -> Result<(String, Connector)> {
    file::keep_private(path).map_err(|source| Error::File { path: path.into(), source })?;
    let opened = Dynoxide::new(&path.to_string_lossy()).map_err(|error| match error {
        DynoxideError::SqliteError(error) => file::fault(path, &error),
        other => Error::Database { at: path.display().to_string(), reason: other.to_string() },
    });
    embed(opened?, stop).await
}

/// Serves the database over HTTP, since that is the only protocol that functions speak; returns where, and the shorter way.
async fn embed(database: Dynoxide, stop: &CancellationToken) -> Result<(String, Connector)> {
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
