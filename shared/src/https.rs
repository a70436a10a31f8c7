//! HTTPS to AWS's services, ready sooner than by the SDK's own client, whose layers serve proxies, HTTP/2 and other runtimes.
//!
//! Reading some 140 roots takes a cold start longer than all the rest that it does before its first request, and AWS's services
//! are all under the five of [Amazon Trust Services](https://www.amazontrust.com/repository/). Those are tried first. A server
//! that they do not vouch for is asked again under the system's own, so that a change of AWS's roots, another partition or a
//! proxy costs time and no request.
//!
//! A request has no timeout here: the attempt that the SDK makes has one, in `app`, and ends whatever it waits for.

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::HttpError,
};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use hyper::{
    Request, Response, Uri,
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderValue},
    http::uri::{InvalidUriParts, PathAndQuery},
};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::{self, cipher_suite},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// The five roots of Amazon Trust Services, as they are published there. They end between 2037 and 2040.
const AMAZON: [&[u8]; 5] = [
    include_bytes!("amazon-roots/AmazonRootCA1.cer"),
    include_bytes!("amazon-roots/AmazonRootCA2.cer"),
    include_bytes!("amazon-roots/AmazonRootCA3.cer"),
    include_bytes!("amazon-roots/AmazonRootCA4.cer"),
    include_bytes!("amazon-roots/SFSRootCAG2.cer"),
];

/// A client of its own, as the SDK takes it, for who is no function.
pub fn client() -> SharedHttpClient {
    Client::new().shared()
}

/// A client for all services, which keeps the connections that it has made.
#[derive(Clone, Debug)]
pub(crate) struct Client(Arc<Connections>);

impl Client {
    /// Trusts Amazon's roots, and the system's when those do not do.
    pub fn new() -> Self {
        Self::trusting(amazon(), Some(system))
    }

    /// Trusts the roots of one bundle in PEM and no others. `None` if there is none that can be read.
    pub fn of(bundle: &[u8]) -> Option<Self> {
        let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bundle).collect();
        let roots = trusting(roots.ok()?);
        if roots.is_empty() { None } else { Some(Self::trusting(roots, None)) }
    }

    fn trusting(roots: RootCertStore, others: Option<fn() -> RootCertStore>) -> Self {
        Self(Arc::new(Connections { first: tls(roots), others, then: OnceLock::new(), idle: Mutex::default() }))
    }

    /// As the SDK takes it.
    pub fn shared(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Makes the connection that the first request to this URL needs. If that fails or takes too long, the request makes one, and tells
    /// why not.
    pub async fn connect_ahead(&self, url: &str) {
        let Some(server) = url.parse().ok().and_then(|url| server(url).ok()) else { return };
        if let Ok(Ok(connection)) = timeout(AHEAD, self.0.connect(&server)).await {
            self.0.keep(server, connection);
        }
    }
}

fn amazon() -> RootCertStore {
    trusting(AMAZON.map(CertificateDer::from_slice))
}

fn system() -> RootCertStore {
    trusting(rustls_native_certs::load_native_certs().certs)
}

fn trusting<'a>(certificates: impl IntoIterator<Item = CertificateDer<'a>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    roots
}

/// AES with 128 bits before that with 256: it comes with SHA-256, for which CPUs have instructions, and AWS's servers prefer it, too.
fn tls(roots: RootCertStore) -> TlsConnector {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != cipher_suite::TLS13_AES_128_GCM_SHA256.suite());
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has what TLS 1.2 and 1.3 need")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

impl HttpClient for Client {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Client {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connections = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move { connections.answer(request).await })
    }
}

/// The longest that a start waits for a connection made ahead.
const AHEAD: Duration = Duration::from_secs(1);

/// For how long a connection without a request is worth a try. Whatever is on its way has forgotten it after that, and says so to
/// nobody.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection that nothing waits for an answer on.
struct Idle {
    /// Scheme, host and port.
    server: Uri,
    connection: SendRequest<SdkBody>,
    since: Instant,
}

struct Connections {
    first: TlsConnector,
    /// The roots that are asked when the first do not vouch for a server, and what they made once they were.
    others: Option<fn() -> RootCertStore>,
    then: OnceLock<TlsConnector>,
    idle: Mutex<Vec<Idle>>,
}

impl Connections {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (server, mut request) = addressed(request)?;
        let (connection, response) = loop {
            let reused = self.idle_to(&server);
            let is_new = reused.is_none();
            let mut connection = match reused {
                Some(connection) => connection,
                None => self.connect(&server).await.map_err(failed)?,
            };
            if connection.ready().await.is_err() && !is_new {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(response) => break (connection, response),
                Err(mut error) => match error.take_message() {
                    // The server has closed the connection before any of it was written, as AWS's do after a while.
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(failed(error.into_error())),
                },
            }
        };
        // Whole, so that the connection is free when the answer is there. The longest are some MB.
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(failed)?.to_bytes();
        // Behind an address there are many servers, and the next attempt should meet another one.
        if !head.status.is_server_error() {
            self.keep(server, connection);
        }
        Response::from_parts(head, SdkBody::from(body))
            .try_into()
            .map_err(|error: HttpError| ConnectorError::other(error.into(), None))
    }

    fn keep(&self, server: Uri, connection: SendRequest<SdkBody>) {
        self.idle().push(Idle { server, connection, since: Instant::now() });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to this server that was used last.
    fn idle_to(&self, server: &Uri) -> Option<SendRequest<SdkBody>> {
        let mut idle = self.idle();
        idle.retain(|idle| !idle.connection.is_closed() && idle.since.elapsed() < PATIENCE);
        let at = idle.iter().rposition(|idle| idle.server == *server)?;
        Some(idle.remove(at).connection)
    }

    async fn connect(&self, server: &Uri) -> io::Result<SendRequest<SdkBody>> {
        if server.scheme_str() == Some("http") {
            return open(tcp(server).await?).await;
        }
        let then = self.then.get();
        match (handshake(then.unwrap_or(&self.first), server).await, self.others) {
            (Err(error), Some(others)) if then.is_none() && is_refusal(&error) => {
                open(handshake(self.then.get_or_init(|| tls(others())), server).await?).await
            }
            (stream, _) => open(stream?).await,
        }
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

/// The SDK makes the attempt again.
fn failed(error: impl Into<BoxError>) -> ConnectorError {
    ConnectorError::io(error.into())
}

/// The server, and the request as it is written to it.
fn addressed(mut request: Request<SdkBody>) -> Result<(Uri, Request<SdkBody>), ConnectorError> {
    let url = std::mem::take(request.uri_mut());
    *request.uri_mut() = url.path_and_query().cloned().map(Uri::from).unwrap_or_default();
    let server = server(url).map_err(|error| ConnectorError::user(error.into()))?;
    // Without the port that the scheme has by itself, as it is signed.
    let name = server.host().unwrap_or_default();
    let host = match server.port_u16().filter(|port| *port != usual_port(&server)) {
        Some(port) => HeaderValue::from_str(&format!("{name}:{port}")),
        None => HeaderValue::from_str(name),
    };
    let host = host.map_err(|error| ConnectorError::user(error.into()))?;
    request.headers_mut().entry(HOST).or_insert(host);
    Ok((server, request))
}

/// Scheme, host and port of a URL.
fn server(url: Uri) -> Result<Uri, InvalidUriParts> {
    let mut parts = url.into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    Uri::from_parts(parts)
}

async fn tcp(server: &Uri) -> io::Result<TcpStream> {
    let port = server.port_u16().unwrap_or_else(|| usual_port(server));
    // Looked up on a thread, which takes a start a little longer: a look-up that blocks this one would keep every timeout from ending it.
    let stream = TcpStream::connect((host(server), port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn usual_port(server: &Uri) -> u16 {
    if server.scheme_str() == Some("http") { 80 } else { 443 }
}

/// As a socket's address has it: an IPv6 address without the brackets that it has in a URL.
fn host(server: &Uri) -> &str {
    server.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

async fn handshake(tls: &TlsConnector, server: &Uri) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host(server).to_owned()).map_err(io::Error::other)?;
    tls.connect(name, tcp(server).await?).await
}

/// Whether no root vouches for the server's certificate, or it is wrong in another way.
fn is_refusal(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}

async fn open(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> io::Result<SendRequest<SdkBody>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Whoever waits for an answer hears what goes wrong.
    tokio::spawn(async move { connection.await.unwrap_or_default() });
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use sha2::{Digest, Sha256};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
    };

    use super::*;

    /// A server that has its certificate from an authority that nobody knows, and answers everything with `{}`: its URL, the
    /// authority's root, and how many connections have been made to it.
    async fn server() -> (String, Vec<u8>, Arc<AtomicUsize>) {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                counter.fetch_add(1, Ordering::Relaxed);
                // As AWS's servers do it after a while.
                let closes_after = 2;
                for _ in 0..closes_after {
                    let mut request = vec![0; 4096];
                    if !stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                        break;
                    }
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        (url, authority.pem().into_bytes(), connections)
    }

    /// Whether DynamoDB can be asked at this place, by a client with these roots.
    async fn asks(url: &str, client: &Client) -> bool {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .endpoint_url(url)
            .http_client(client.shared())
            .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1)));
        aws_sdk_dynamodb::Client::from_conf(config.build()).list_tables().send().await.is_ok()
    }

    #[tokio::test]
    async fn a_server_under_another_root_is_asked_again_under_all_of_them() {
        static ROOT: OnceLock<Vec<u8>> = OnceLock::new();
        let (url, root, _) = server().await;
        let only = || trusting(CertificateDer::pem_slice_iter(ROOT.get().unwrap()).map(Result::unwrap));
        ROOT.set(root).unwrap();
        assert!(asks(&url, &Client::trusting(amazon(), Some(only))).await, "after a refusal");
        assert!(asks(&url, &Client::trusting(only(), Some(amazon))).await, "at once");
        assert!(!asks(&url, &Client::trusting(amazon(), Some(amazon))).await, "whom nobody vouches for is not believed");
        assert!(asks(&url, &Client::of(ROOT.get().unwrap()).unwrap()).await, "a bundle");
        assert!(!asks(&url, &Client::new()).await, "the system does not know the authority");
    }

    #[tokio::test]
    async fn a_connection_is_kept_until_the_server_closes_it() {
        let (url, root, connections) = server().await;
        let client = Client::of(&root).unwrap();
        for (request, so_far) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
            assert!(asks(&url, &client).await, "request {request}");
            assert_eq!(connections.load(Ordering::Relaxed), so_far, "request {request}");
            // The server's end of the connection arrives before the next request, or beside it.
            tokio::time::sleep(Duration::from_millis(request % 2 * 20)).await;
        }
    }

    #[tokio::test]
    async fn a_connection_made_ahead_is_used() {
        let (url, root, connections) = server().await;
        let client = Client::of(&root).unwrap();
        client.connect_ahead(&url).await;
        assert_eq!(client.0.idle().len(), 1);
        assert!(asks(&url, &client).await);
        assert_eq!(connections.load(Ordering::Relaxed), 1);
        // What is silent holds up no start.
        let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let started = Instant::now();
        client.connect_ahead(&format!("https://{}", silent.local_addr().unwrap())).await;
        assert!(started.elapsed() < AHEAD * 2, "{:?}", started.elapsed());
        // What cannot be reached now may be later.
        for nowhere in ["https://localhost:1", "none", ""] {
            client.connect_ahead(nowhere).await;
        }
    }

    #[test]
    fn a_host_is_named_as_it_is_signed() {
        for (url, host, server) in [
            (
                "https://dynamodb.eu-west-1.amazonaws.com/",
                "dynamodb.eu-west-1.amazonaws.com",
                "https://dynamodb.eu-west-1.amazonaws.com/",
            ),
            ("https://vpce.example.com:443", "vpce.example.com", "https://vpce.example.com:443/"),
            ("http://user:secret@localhost:80/?x=1", "localhost", "http://user:secret@localhost:80/"),
            ("http://[::1]:3002/a", "[::1]:3002", "http://[::1]:3002/"),
        ] {
            let (found, request) = addressed(Request::builder().uri(url).body(SdkBody::empty()).unwrap()).unwrap();
            assert_eq!((request.headers()[HOST].to_str().unwrap(), found.to_string().as_str()), (host, server), "{url}");
            assert!(request.uri().host().is_none() && request.uri().path().starts_with('/'), "{}", request.uri());
        }
    }

    #[tokio::test]
    async fn an_attempt_after_a_fault_of_the_server_meets_another() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let met = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&met);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // The first that is met answers every request with a fault, the others with what was asked for.
                let status = if counter.fetch_add(1, Ordering::Relaxed) == 0 { "503 Service Unavailable" } else { "200 OK" };
                tokio::spawn(async move {
                    let mut request = vec![0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\n");
                        stream.write_all(format!("{head}content-length: 2\r\n\r\n{{}}").as_bytes()).await.unwrap();
                    }
                });
            }
        });
        assert!(asks(&url, &Client::new()).await);
        assert_eq!(met.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_bundle_has_roots() {
        for none in ["", "AWS", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(Client::of(none.as_bytes()).is_none(), "{none:?}");
        }
    }

    /// The fingerprints that Amazon Trust Services publishes.
    #[test]
    fn the_roots_are_amazons() {
        let fingerprints =
            AMAZON.map(|root| Sha256::digest(root).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")));
        assert_eq!(
            fingerprints,
            [
                "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
                "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
                "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
                "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
                "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
            ]
        );
        assert_eq!(amazon().len(), AMAZON.len());
    }
}
