//! Listening on a port of this machine until the emulator stops, and reading what comes in.

use std::error::Error as _;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::middleware;
use axum::serve::ListenerExt as _;
use http_body_util::LengthLimitError;
use listeners::{Listener, Protocol, SocketState};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result, reason};
use crate::guard;

/// Listens to this machine alone. Port 0 takes any free one.
pub async fn listen(what: &'static str, port: u16) -> Result<TcpListener> {
    listen_at(what, Ipv4Addr::LOCALHOST.into(), port).await
}

/// Listens to whoever reaches the address.
pub async fn listen_at(what: &'static str, address: IpAddr, port: u16) -> Result<TcpListener> {
    TcpListener::bind((address, port)).await.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => Error::PortTaken { what, port, by: holder(port) },
        ErrorKind::PermissionDenied => Error::Port {
            what,
            address,
            reason: format!("port {port} is one of those below 1024, which are for the administrator"),
        },
        _ => Error::Port { what, address, reason: reason(&source) },
    })
}

/// Who listens to a port, such as `node (process 123)`, as far as this user may know.
fn holder(port: u16) -> Option<String> {
    let all = listeners::get_all().ok()?;
    let holds = |its: &Listener| its.socket.port() == port && its.protocol == Protocol::TCP && its.state == SocketState::Listen;
    let process = all.into_iter().find(holds)?.process;
    Some(format!("{} (process {})", process.name, process.pid))
}

/// The first of so many ports in a row that are free, from this one on; none if the address is the trouble.
pub fn free_ports(address: IpAddr, from: u16, count: u16) -> Option<u16> {
    let is_free = |port: u16| std::net::TcpListener::bind((address, port)).is_ok();
    (from..=u16::MAX - count).take(1000).find(|first| (0..count).all(|distance| is_free(first + distance)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_a_row_are_free_together() {
        let address = Ipv4Addr::LOCALHOST.into();
        let taken = std::net::TcpListener::bind((address, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let found = free_ports(address, port - 2, 3).unwrap();
        assert!(found > port, "{found} to {} would need {port}", found + 2);
        assert_eq!(free_ports("192.0.2.1".parse().unwrap(), 3000, 1), None);
    }

    #[tokio::test]
    async fn who_has_a_port_is_told() {
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = listen("a test", port).await.unwrap_err().to_string();
        let own = format!(" (process {})", std::process::id());
        assert!(error.starts_with(&format!("port {port}, for a test, is taken by ")) && error.ends_with(&own), "{error}");
    }
}
