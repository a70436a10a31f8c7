//! HTTPS to AWS's services, ready sooner than with all the roots of the system.
//!
//! Reading some 140 roots takes a cold start longer than all the rest that it does before its first request, and AWS's services
//! are all under the five of [Amazon Trust Services](https://www.amazontrust.com/repository/). Those are tried first. A server
//! that they do not vouch for is asked again under the system's own, so that a change of AWS's roots, another partition or a
//! proxy costs time and no request.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    connector_metadata::ConnectorMetadata,
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};

/// The five roots of Amazon Trust Services, as Mozilla's programme has them. They end between 2037 and 2040.
const AMAZON: &[u8] = include_bytes!("amazon-roots.pem");

/// What rustls says of a certificate that no root of its vouches for, or that is wrong in another way.
const REFUSED: &str = "invalid peer certificate";

/// A client that trusts Amazon's roots, and the system's when those do not do.
pub(crate) fn client() -> SharedHttpClient {
    let system = TrustStore::default();
    SharedHttpClient::new(Client::new(only(AMAZON), system))
}

/// A client that trusts the roots of one bundle and no others.
pub(crate) fn client_of(bundle: &[u8]) -> SharedHttpClient {
    SharedHttpClient::new(Client::new(only(bundle), only(bundle)))
}

fn only(bundle: &[u8]) -> TrustStore {
    TrustStore::empty().with_pem_certificate(bundle)
}

#[derive(Debug)]
struct Client {
    first: SharedHttpClient,
    then: SharedHttpClient,
    /// Whether a server has shown a certificate that the first roots do not vouch for.
    refused: Arc<AtomicBool>,
}

impl Client {
    fn new(first: TrustStore, then: TrustStore) -> Self {
        Self { first: https(first), then: https(then), refused: Arc::default() }
    }
}

/// Builds nothing yet: roots are read when the first connector is asked for.
fn https(roots: TrustStore) -> SharedHttpClient {
    let context = TlsContext::builder().with_trust_store(roots).build().expect("a context without client certificates is valid");
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https()
}

impl HttpClient for Client {
    /// Asked for every attempt, so that the one after a refusal is made under the other roots.
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        if self.refused.load(Ordering::Relaxed) {
            return self.then.http_connector(settings, components);
        }
        let connector = self.first.http_connector(settings, components);
        SharedHttpConnector::new(Connector { connector, refused: Arc::clone(&self.refused) })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.first.connector_metadata()
    }

    // No `validate_base_client_config`: the inner client's builds a connector, roots and all, only to throw it away.
}

/// Looks out for a refusal. The SDK makes the attempt again by itself, as after every connection that fails.
#[derive(Debug)]
struct Connector {
    connector: SharedHttpConnector,
    refused: Arc<AtomicBool>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = self.connector.call(request);
        let refused = Arc::clone(&self.refused);
        HttpConnectorFuture::new(async move {
            call.await.inspect_err(|error| {
                if is_refusal(error) {
                    refused.store(true, Ordering::Relaxed);
                }
            })
        })
    }
}

fn is_refusal(error: &ConnectorError) -> bool {
    error.is_io() && DisplayErrorContext(error).to_string().contains(REFUSED)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
    };

    use super::*;

    /// A server that has its certificate from an authority that nobody knows, and answers everything with `{}`; and the
    /// authority's root.
    async fn server() -> (String, Vec<u8>) {
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
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = vec![0; 4096];
                while stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                    let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\n\r\n{}";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        (url, authority.pem().into_bytes())
    }

    /// Whether DynamoDB can be asked at this place, by a client with these roots.
    async fn asks(url: &str, first: TrustStore, then: TrustStore) -> bool {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .endpoint_url(url)
            .http_client(SharedHttpClient::new(Client::new(first, then)))
            .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1)));
        aws_sdk_dynamodb::Client::from_conf(config.build()).list_tables().send().await.is_ok()
    }

    #[tokio::test]
    async fn a_server_under_another_root_is_asked_again_under_all_of_them() {
        let (url, root) = server().await;
        assert!(asks(&url, only(AMAZON), only(&root)).await, "after a refusal");
        assert!(asks(&url, only(&root), only(AMAZON)).await, "at once");
        assert!(!asks(&url, only(AMAZON), only(AMAZON)).await, "whom nobody vouches for is not believed");
    }

    #[test]
    fn the_roots_are_amazons() {
        let pem = std::str::from_utf8(AMAZON).unwrap();
        let names: Vec<_> = pem.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        assert_eq!(
            names,
            [
                "Amazon Root CA 1",
                "Amazon Root CA 2",
                "Amazon Root CA 3",
                "Amazon Root CA 4",
                "Starfield Services Root Certificate Authority - G2"
            ]
        );
        assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----").count(), names.len());
    }
}
