//! The way to DynamoDB itself: to the embedded one, which listens nowhere, or to one that is running already.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll};

use dynoxide::Database as Dynoxide;
use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// Opens the connections of an HTTP client.
#[derive(Clone)]
pub enum Connector {
    Embedded {
        database: Dynoxide,
        /// Ends the connections.
        stop: CancellationToken,
    },
    /// Connects to where the URI says.
    Http(HttpConnector),
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Connector {
    pub fn over_http() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self::Http(connector)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match self {
            Self::Embedded { .. } => Poll::Ready(Ok(())),
            Self::Http(connector) => connector.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self {
            Self::Embedded { database, stop } => {
                let connected = connect(database.clone(), stop.clone());
                Box::pin(async { Ok(TokioIo::new(connected.await?)) })
            }
            Self::Http(connector) => {
                let connected = connector.call(uri);
                Box::pin(async { Ok(connected.await?) })
            }
        }
    }
}

/// A connection to the embedded database.
///
/// It can only serve a listener, and answers whoever finds that, with headers that invite pages of every origin. So each
/// connection has a listener of its own, which is closed before the connection is used.
async fn connect(database: Dynoxide, stop: CancellationToken) -> io::Result<TcpStream> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut stream = TcpStream::connect(listener.local_addr()?).await?;
    stream.set_nodelay(true)?;
    let server = tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, stop.cancelled_owned()));
    // An answer, which has no body, shows that the connection was accepted; it outlives its listener.
    stream.write_all(b"HEAD / HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    server.abort();
    Ok(stream)
}
