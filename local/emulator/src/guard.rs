//! Who a port answers: this machine's own programs, and no page of another site in one of its browsers.
//!
//! A browser sends requests to `127.0.0.1` for any page, and another site can make its own name lead there, so that its pages are
//! of the same origin as what answers. But a browser always says which host it means to ask and which page asks.

use std::net::IpAddr;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

/// The name under which containers reach the machine that they run on.
const FROM_CONTAINERS: &str = "host.docker.internal";

/// What a port looks at before it reads a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guard {
    containers: bool,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub StatusCode, pub &'static str);

const INVALID_HOST: Refusal = Refusal(StatusCode::BAD_REQUEST, "a request needs one valid Host header\n");
const OTHER_HOST: Refusal =
    Refusal(StatusCode::FORBIDDEN, "this port answers requests whose Host is localhost or an IP address only\n");
const OTHER_ORIGIN: Refusal = Refusal(StatusCode::FORBIDDEN, "this port does not answer pages of another origin\n");

impl Guard {
    /// For what listens at this address: containers come in where not only this machine does.
    pub fn at(address: IpAddr) -> Self {
        Self { containers: !address.is_loopback() }
    }

    /// Lets a request pass if it names this machine and comes from no page of another origin.
    pub fn check(self, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = host(version, uri, headers)?.ok_or(OTHER_HOST)?;
        if !self.names_this_machine(&host) {
            return Err(OTHER_HOST);
        }
        let own = format!("http://{host}");
        let own = |origin: &str| origin.eq_ignore_ascii_case(&own);
        if headers.get_all(ORIGIN).iter().all(|origin| origin.to_str().is_ok_and(own)) { Ok(()) } else { Err(OTHER_ORIGIN) }
    }

    /// Whether it is `localhost` or an address: nobody can make an address lead elsewhere.
    fn names_this_machine(self, authority: &Authority) -> bool {
        let host = authority.host();
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        host.eq_ignore_ascii_case("localhost")
            || address.parse::<IpAddr>().is_ok()
            || self.containers && host.eq_ignore_ascii_case(FROM_CONTAINERS)
    }

    /// All routes of the router, guarded.
    pub fn around<S: Clone + Send + Sync + 'static>(self, router: Router<S>) -> Router<S> {
        router.layer(middleware::from_fn_with_state(self, guard))
    }
}

async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.check(request.version(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

/// Whom a request is for, if it says so: HTTP/1.1 must (RFC 9112, section 3.2).
pub fn host(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<Option<Authority>, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => None,
        (Some(host), None) => Some(host),
        _ => return Err(INVALID_HOST),
    };
    let named = host.map(|host| {
        let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        authority.filter(|authority| !authority.host().is_empty() && !authority.as_str().contains('@')).ok_or(INVALID_HOST)
    });
    // The target of a request to a proxy has the last word.
    Ok(uri.authority().cloned().or(named.transpose()?))
}

/// Refuses what no server should answer.
pub async fn valid(request: Request, next: Next) -> Response {
    match host(request.version(), request.uri(), request.headers()) {
        Ok(_) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

/// What a response says to pages of other origins, removed.
pub fn remove_cors(headers: &mut HeaderMap) {
    let names: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn checked(guard: Guard, lines: &[(&'static str, &'static str)]) -> Result<(), u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        guard.check(Version::HTTP_11, &Uri::from_static("/x"), &headers).map_err(|refusal| refusal.0.as_u16())
    }

    #[test]
    fn only_this_machine_is_asked() {
        for (host, expected) in [
            ("localhost", Ok(())),
            ("LOCALHOST:3000", Ok(())),
            ("127.0.0.1:3000", Ok(())),
            ("[::1]:3000", Ok(())),
            ("192.168.0.7:3000", Ok(())),
            ("rebound.example:3000", Err(403)),
            ("localhost.rebound.example", Err(403)),
            ("127.0.0.1.rebound.example", Err(403)),
            ("host.docker.internal:3002", Err(403)),
            ("localhost:3000@rebound.example", Err(400)),
            ("rebound.example@localhost", Err(400)),
            ("local host", Err(400)),
            (":3000", Err(400)),
            ("", Err(400)),
        ] {
            assert_eq!(checked(Guard::default(), &[("host", host)]), expected, "{host}");
        }
        assert_eq!(checked(Guard::default(), &[]), Err(400));
        assert_eq!(checked(Guard::default(), &[("host", "localhost"), ("host", "localhost")]), Err(400));
    }

    #[test]
    fn containers_are_let_in_where_others_than_this_machine_are() {
        for (address, expected) in [("127.0.0.1", Err(403)), ("::1", Err(403)), ("0.0.0.0", Ok(())), ("192.168.0.7", Ok(()))] {
            let guard = Guard::at(address.parse().unwrap());
            assert_eq!(checked(guard, &[("host", "host.docker.internal:3002")]), expected, "{address}");
            assert_eq!(checked(guard, &[("host", "rebound.example:3002")]), Err(403), "{address}");
        }
    }

    #[test]
    fn only_pages_of_its_own_are_answered() {
        for (origin, expected) in [
            ("http://127.0.0.1:3000", Ok(())),
            ("http://127.0.0.1:3001", Err(403)),
            ("https://127.0.0.1:3000", Err(403)),
            ("http://localhost:3000", Err(403)),
            ("https://app.example", Err(403)),
            ("null", Err(403)),
            ("", Err(403)),
        ] {
            assert_eq!(checked(Guard::default(), &[("host", "127.0.0.1:3000"), ("origin", origin)]), expected, "{origin}");
        }
        let both = [("host", "127.0.0.1:1"), ("origin", "http://127.0.0.1:1"), ("origin", "https://app.example")];
        assert_eq!(checked(Guard::default(), &both), Err(403));
    }

    #[test]
    fn the_target_of_a_request_to_a_proxy_has_the_last_word() {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost"))]);
        let proxied = Uri::from_static("http://rebound.example/x");
        assert_eq!(Guard::default().check(Version::HTTP_11, &proxied, &headers), Err(OTHER_HOST));
        let older = Guard::default().check(Version::HTTP_10, &Uri::from_static("/x"), &HeaderMap::new());
        assert_eq!(older, Err(OTHER_HOST), "HTTP/1.0 need not say whom it asks");
    }
}
