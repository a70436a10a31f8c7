//! Lambda's Runtime API for one process, which asks it for work and answers it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::outcome::{Failure, Outcome};
use crate::error::Result;
use crate::guard::Guard;
use crate::ids;
use crate::server::{self, Unread};

/// What Lambda accepts as an answer.
const RESPONSE_LIMIT: usize = 6_291_556;

/// A request for the process to work on.
pub struct Work {
    pub request_id: String,
    pub payload: Bytes,
    /// The X-Ray trace header.
    pub trace: String,
    /// What the caller says of itself, as JSON.
    pub client_context: Option<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// The process's answer, and when all of it was here.
#[derive(Debug)]
pub struct Answer {
    pub outcome: Outcome,
    pub at: Instant,
}

pub struct RuntimeApi {
    /// Where the process finds it.
    pub address: String,
    state: Arc<RuntimeApiState>,
    /// Since when the process has been waiting for work, if it is.
    waiting: watch::Receiver<Option<Instant>>,
}

impl RuntimeApi {
    /// Listens on a fresh port until `stop`, so that no earlier process can speak to this one.
    pub async fn start(function_arn: &str, stop: CancellationToken) -> Result<Self> {
        let listener = server::listen("the Runtime API", 0).await?;
        let address = server::address(&listener)?.to_string();
        let (sender, waiting) = watch::channel(None);
        let arn = function_arn.to_owned();
        let state = Arc::new(RuntimeApiState { arn, waiting: sender, arrived: Notify::new(), exchange: Mutex::default() });
        tokio::spawn(server::serve(listener, Guard::default().around(router(Arc::clone(&state))), stop));
        Ok(Self { address, state, waiting })
    }

    /// Waits until the process waits for work; tells since when it does.
    pub async fn ready(&mut self) -> Instant {
        let since = self.waiting.wait_for(Option::is_some).await.ok().and_then(|since| *since);
        match since {
            Some(since) => since,
            // Only when the sender were gone, which is in `state`.
            None => std::future::pending().await,
        }
    }

    /// Hands work to the process, which must not have any; the answer will come here.
    pub fn submit(&self, work: Work) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        self.state.lock().pending = Some((work, reply));
        self.state.arrived.notify_one();
        answer
    }

    /// Takes back the work that the process has not seen; tells whether there was any.
    pub fn withdraw(&self) -> bool {
        self.state.lock().pending.take().is_some()
    }

    /// What the process has reported about its own start, if it has.
    pub fn init_error(&self) -> Option<Failure> {
        self.state.lock().init_error.take()
    }
}

/// Where work waits for the process, and the process's answer for whoever asked.
struct RuntimeApiState {
    arn: String,
    waiting: watch::Sender<Option<Instant>>,
    /// Told when work arrives.
    arrived: Notify,
    exchange: Mutex<Exchange>,
}

#[derive(Default)]
struct Exchange {
    pending: Option<(Work, oneshot::Sender<Answer>)>,
    /// The id of the request that the process works on, and who waits for its answer.
    in_progress: Option<(String, oneshot::Sender<Answer>)>,
    init_error: Option<Failure>,
}

impl Exchange {
    fn hand_out(&mut self) -> Option<Work> {
        let (work, reply) = self.pending.take()?;
        self.in_progress = Some((work.request_id.clone(), reply));
        Some(work)
    }
}

impl RuntimeApiState {
    fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request, marked as being worked on.
    async fn next(&self) -> Response {
        self.waiting.send_replace(Some(Instant::now()));
        loop {
            let work = self.lock().hand_out();
            if let Some(work) = work {
                self.waiting.send_replace(None);
                let limit = u64::try_from(work.timeout.as_millis()).unwrap_or(u64::MAX);
                let deadline = ids::now_millis().saturating_add(limit).to_string();
                let headers = [
                    ("content-type", "application/json"),
                    ("lambda-runtime-aws-request-id", &work.request_id),
                    ("lambda-runtime-deadline-ms", &deadline),
                    ("lambda-runtime-invoked-function-arn", &self.arn),
                    ("lambda-runtime-trace-id", &work.trace),
                ];
                let context = work.client_context.map(|context| [("lambda-runtime-client-context", context)]);
                return (headers, context.map(AppendHeaders), work.payload).into_response();
            }
            self.arrived.notified().await;
        }
    }

    fn answer(&self, request_id: &str, outcome: Outcome) -> Response {
        let at = Instant::now();
        let in_progress = self.lock().in_progress.take_if(|(expected, _)| expected == request_id);
        match in_progress {
            Some((_, reply)) => {
                // Nobody waits any more when the time was up.
                let _ = reply.send(Answer { outcome, at });
                accepted()
            }
            None => refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "no such request is being worked on"),
        }
    }
}

fn router(state: Arc<RuntimeApiState>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .with_state(state)
}

async fn next(State(state): State<Arc<RuntimeApiState>>) -> Response {
    state.next().await
}

async fn response(State(state): State<Arc<RuntimeApiState>>, Path(id): Path<String>, body: Body) -> Response {
    match server::read(body, RESPONSE_LIMIT).await {
        Ok(payload) => state.answer(&id, Outcome::Payload(payload)),
        Err(Unread::TooLong) => {
            let message = format!("Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes).");
            let failure = Failure::new("Function.ResponseSizeTooLarge", message.clone());
            state.answer(&id, Outcome::Error(failure));
            refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
        }
        // The process ended while it was answering, and that is what the caller will hear.
        Err(Unread::Broken) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn error(State(state): State<Arc<RuntimeApiState>>, Path(id): Path<String>, body: Bytes) -> Response {
    state.answer(&id, Outcome::Error(reported(&body)))
}

async fn init_error(State(state): State<Arc<RuntimeApiState>>, body: Bytes) -> Response {
    state.lock().init_error = Some(reported(&body));
    accepted()
}

fn accepted() -> Response {
    let body = serde_json::json!({"status": "OK"}).to_string();
    (StatusCode::ACCEPTED, [("content-type", "application/json")], body).into_response()
}

fn refusal(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = serde_json::json!({"errorType": kind, "errorMessage": message}).to_string();
    (status, [("content-type", "application/json")], body).into_response()
}

/// What a process says about itself, in Lambda's error format.
fn reported(body: &[u8]) -> Failure {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Reported {
        #[serde(default)]
        error_message: String,
        error_type: Option<String>,
    }
    match serde_json::from_slice(body) {
        Ok(Reported { error_type: Some(kind), error_message }) => Failure::new(kind, error_message),
        Ok(Reported { error_type: None, error_message }) => Failure::new("Unhandled", error_message),
        Err(_) => Failure::new("Unhandled", String::from_utf8_lossy(body)),
    }
}
