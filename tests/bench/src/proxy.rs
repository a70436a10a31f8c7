//! What stands for AWS's endpoints: TLS with a certificate of an authority made up on the spot, every call counted, and the local
//! shop behind it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use emulator::consumed_units;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::Result;

/// Where Linux systems keep the roots that they trust: Debian, Fedora and Amazon Linux, Alpine.
const SYSTEM_ROOTS: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

const SYSTEM_BUNDLE: &str = "system.pem";
const OWN_BUNDLE: &str = "own.pem";

/// Calls by operation.
pub type Calls = BTreeMap<String, Tally>;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub calls: u64,
    /// Answers other than 2xx.
    pub failed: u64,
    pub capacity_units: f64,
}

/// Adds calls to calls.
pub fn add(sum: &mut Calls, more: Calls) {
    for (operation, tally) in more {
        let entry = sum.entry(operation).or_default();
        entry.calls += tally.calls;
        entry.failed += tally.failed;
        entry.capacity_units += tally.capacity_units;
    }
}

pub struct Proxy {
    /// Two names for one place, since a client keeps connections to each: DynamoDB is one host, and what else a function asks another,
    /// which is Secrets Manager or EventBridge.
    pub dynamodb: String,
    pub other: String,
    upstream: Arc<Upstream>,
    /// Holds the bundle of roots.
    folder: TempDir,
}

struct Upstream {
    url: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
    calls: Mutex<Calls>,
}

/// Why a connection is dropped without an answer.
type Dropped = Box<dyn std::error::Error + Send + Sync>;

impl Proxy {
    pub async fn start(upstream: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let acceptor = certify(folder.path())?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        // By name, as AWS is: it is looked up and held against the certificate.
        let port = listener.local_addr()?.port();
        let (dynamodb, other) = (format!("https://localhost:{port}"), format!("https://127.0.0.1:{port}"));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let upstream = Arc::new(Upstream { url: upstream.parse()?, client, calls: Mutex::default() });
        tokio::spawn(serve(listener, acceptor, Arc::clone(&upstream)));
        Ok(Self { dynamodb, other, upstream, folder })
    }

    /// The system's roots and the proxy's own: loading them costs what loading the system's costs.
    pub fn system_roots(&self) -> PathBuf {
        self.folder.path().join(SYSTEM_BUNDLE)
    }

    /// The proxy's own root alone: reading one from a file costs no less than the five that the functions come with.
    pub fn own_root(&self) -> PathBuf {
        self.folder.path().join(OWN_BUNDLE)
    }

    /// The calls since the last time.
    pub fn take_calls(&self) -> Calls {
        std::mem::take(&mut *self.upstream.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes an authority and a certificate for this machine, and writes the roots that clients are to trust.
fn certify(folder: &Path) -> Result<TlsAcceptor> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "bench");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let root = authority.self_signed(&authority_key)?;
    let key = KeyPair::generate()?;
    let mut certificate = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    certificate.distinguished_name.push(DnType::CommonName, "localhost");
    let certificate = certificate.signed_by(&key, &Issuer::new(authority, authority_key))?;

    let system = SYSTEM_ROOTS.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    fs::write(folder.join(SYSTEM_BUNDLE), system + &root.pem())?;
    fs::write(folder.join(OWN_BUNDLE), root.pem())?;

    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, upstream: Arc<Upstream>) {
    while let Ok((stream, _)) = listener.accept().await {
        // Only slower without it.
        let _ = stream.set_nodelay(true);
        let (acceptor, upstream) = (acceptor.clone(), Arc::clone(&upstream));
        let service = service_fn(move |request| Arc::clone(&upstream).forward(request));
        tokio::spawn(async move {
            // A handshake or a connection that fails is the function's error, and it will say so.
            if let Ok(stream) = acceptor.accept(stream).await {
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            }
        });
    }
}

impl Upstream {
    async fn forward(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
        let (mut head, body) = request.into_parts();
        let operation = operation(&head.headers);
        let mut target = self.url.clone().into_parts();
        target.path_and_query = head.uri.into_parts().path_and_query;
        head.uri = Uri::from_parts(target)?;
        forget_connection(&mut head.headers);
        let body = Full::new(body.collect().await?.to_bytes());

        let (mut head, body) = self.client.request(Request::from_parts(head, body)).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let tally = Tally { calls: 1, failed: u64::from(!head.status.is_success()), capacity_units: consumed_units(&body) };
        add(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner), Calls::from([(operation, tally)]));
        forget_connection(&mut head.headers);
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

/// `GetItem` of `DynamoDB_20120810.GetItem`. SES alone is spoken to by paths, and is asked for one thing.
fn operation(headers: &HeaderMap) -> String {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or("SendEmail");
    target.rsplit('.').next().unwrap_or(target).to_owned()
}

/// What holds for one connection only; hyper writes it anew for the other.
fn forget_connection(headers: &mut HeaderMap) {
    for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_add_up() {
        let one = |units| Calls::from([("Query".to_owned(), Tally { calls: 1, failed: 0, capacity_units: units })]);
        let mut sum = one(0.5);
        add(&mut sum, one(1.0));
        assert_eq!(sum["Query"], Tally { calls: 2, failed: 0, capacity_units: 1.5 });
    }
}
