//! Listening on a port of this machine until the emulator stops, and reading what comes in.

use std::error::Error as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::middleware;
use axum::serve::ListenerExt as _;
use http_body_util::LengthLimitError;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::guard;

/// Listens to this machine alone. Port 0 takes any free one.
pub async fn listen(what: &'static str, port: u16) -> Result<TcpListener> {
    listen_at(what, Ipv4Addr::LOCALHOST.into(), port).await
}

/// Listens to whoever reaches the address.
pub async fn listen_at(what: &'static str, address: IpAddr, port: u16) -> Result<TcpListener> {
    TcpListener::bind((address, port)).await.map_err(|source| Error::Port { what, port, source })
}

pub fn address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(Error::Runtime)
}

pub fn url(listener: &TcpListener) -> Result<String> {
    address(listener).map(|address| format!("http://{address}"))
}

/// Serves until `stop`; requests that are under way are answered first. Requests that HTTP forbids are answered 400.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let listener = listener.tap_io(|stream| {
        // Without it an answer may wait 40 ms for an acknowledgement; a socket that refuses is only slower.
        let _ = stream.set_nodelay(true);
    });
    let router = router.layer(middleware::from_fn(guard::valid));
    let service: IntoMakeServiceWithConnectInfo<_, SocketAddr> = router.into_make_service_with_connect_info();
    // axum retries every failure to accept by itself and never returns one.
    let _ = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await;
}

/// Why a body could not be read.
pub enum Unread {
    TooLong,
    /// The other side went away in the middle of it.
    Broken,
}

pub async fn read(body: Body, limit: usize) -> Result<Bytes, Unread> {
    to_bytes(body, limit).await.map_err(|error| {
        let too_long = error.source().is_some_and(<dyn std::error::Error>::is::<LengthLimitError>);
        if too_long { Unread::TooLong } else { Unread::Broken }
    })
}
