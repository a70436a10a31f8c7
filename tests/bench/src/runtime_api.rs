//! The Lambda Runtime API for one function process, with a clock beside it.

use std::convert::Infallible;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::Result;

/// What the function told us, and when its request had arrived whole.
pub enum Signal {
    /// It asked for the next invocation.
    Next(Instant),
    /// It answered an invocation.
    Answer(Instant, Bytes),
    /// It reported an error, of an invocation or of its start.
    Error(String),
}

impl Display for Signal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Next(_) => write!(f, "asked for the next invocation"),
            Self::Answer(_, answer) => write!(f, "answered {}", String::from_utf8_lossy(answer)),
            Self::Error(text) => write!(f, "reported {text}"),
        }
    }
}

/// The invocations to come, numbered.
type Events = mpsc::UnboundedReceiver<(u64, Bytes)>;

struct Desk {
    arn: String,
    signals: mpsc::UnboundedSender<Signal>,
    events: Mutex<Events>,
}

pub struct RuntimeApi {
    pub address: String,
    signals: mpsc::UnboundedReceiver<Signal>,
    events: mpsc::UnboundedSender<(u64, Bytes)>,
    sent: u64,
    /// Ends with this value.
    _server: JoinSet<()>,
}

impl RuntimeApi {
    /// Listens on a fresh port, so that no earlier process can speak to this one.
    pub async fn start(arn: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        let (signal, signals) = mpsc::unbounded_channel();
        let (events, waiting) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk { arn: arn.to_owned(), signals: signal, events: Mutex::new(waiting) });
        let mut server = JoinSet::new();
        server.spawn(serve(listener, desk));
        Ok(Self { address, signals, events, sent: 0, _server: server })
    }

    pub async fn signal(&mut self) -> Signal {
        let ended = || Signal::Error("the Runtime API ended".into());
        self.signals.recv().await.unwrap_or_else(ended)
    }

    /// Hands the event to whoever asks for the next one, or has asked already.
    pub fn send(&mut self, event: Bytes) {
        self.sent += 1;
        // Fails only when the server has ended, and then the next signal says so.
        let _ = self.events.send((self.sent, event));
    }
}

async fn serve(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Only slower without it.
        let _ = stream.set_nodelay(true);
        let desk = Arc::clone(&desk);
        let service = service_fn(move |request| {
            let desk = Arc::clone(&desk);
            async move { Ok::<_, Infallible>(desk.answer(request).await.unwrap_or_default()) }
        });
        connections.spawn(async move {
            // A process that is ended drops its connection, which is no news.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> hyper::http::Result<Response<Full<Bytes>>> {
        let path = request.uri().path().trim_start_matches("/2018-06-01/runtime/").to_owned();
        if request.method() == Method::GET && path == "invocation/next" {
            self.tell(Signal::Next(Instant::now()));
            return match self.events.lock().await.recv().await {
                Some((number, event)) => self.invocation(number, event),
                None => std::future::pending().await,
            };
        }
        let body = request.into_body().collect().await;
        let now = Instant::now();
        let signal = match body {
            Ok(body) if path.ends_with("/response") => Signal::Answer(now, body.to_bytes()),
            Ok(body) => Signal::Error(format!("{path}: {}", String::from_utf8_lossy(&body.to_bytes()))),
            Err(error) => Signal::Error(format!("{path}: {error}")),
        };
        self.tell(signal);
        Response::builder()
            .status(StatusCode::ACCEPTED)
            .header("content-type", "application/json")
            .body(Full::from(r#"{"status":"OK"}"#))
    }

    fn invocation(&self, number: u64, event: Bytes) -> hyper::http::Result<Response<Full<Bytes>>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", format!("00000000-0000-4000-8000-{number:012}"))
            .header("lambda-runtime-deadline-ms", (now + 30_000).to_string())
            .header("lambda-runtime-invoked-function-arn", &self.arn)
            .header("lambda-runtime-trace-id", "Root=1-6921a0ae-0123456789abcdef01234567;Sampled=0")
            .body(Full::new(event))
    }

    fn tell(&self, signal: Signal) {
        // Nobody listens any more when the process is being ended.
        let _ = self.signals.send(signal);
    }
}
