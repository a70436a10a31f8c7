//! One execution environment: a process of an unmodified binary and the Runtime API that it alone talks to.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use time::OffsetDateTime;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::guard::Guard;
use crate::ids;
use crate::intrinsics::REGION;
use crate::lambda::{self, Failure, Outcome, World};
use crate::log::Log;
use crate::meter::{Account, Calls};
use crate::server::{self, Unread};
use crate::template::Function;

/// What Lambda allows a function between its start and its first question for work.
const INIT_LIMIT: Duration = Duration::from_secs(10);
/// What Lambda accepts as an answer.
const RESPONSE_LIMIT: usize = 6_291_556;

pub struct Environment {
    /// Which build of the binary it runs.
    pub build: u64,
    desk: Arc<Desk>,
    account: Account,
    /// How the process ended, once it has.
    ended: watch::Receiver<Option<String>>,
    /// Ends the process when the environment is dropped.
    _stop: DropGuard,
}

/// How a request to an environment went.
pub enum Verdict {
    Done(Outcome),
    /// The process ended without an answer; `taken` tells whether it had seen the request.
    Ended {
        taken: bool,
        how: String,
    },
    TimedOut,
}

impl Environment {
    /// Starts a process and waits until it asks for work; tells how long that took.
    pub async fn start(
        function: &lambda::Function,
        binary: &Path,
        build: u64,
        world: &World,
    ) -> Result<(Self, Duration), Failure> {
        let started = Instant::now();
        let listener = server::listen("the Runtime API", 0).await.map_err(cannot_start)?;
        let address = server::address(&listener).map_err(cannot_start)?;
        let lambda::Function { template: function, rights, .. } = function;
        let account = world.ledger.open(&function.name, rights);
        let mut child = command(function, binary, world, &address.to_string(), account.access_key())
            .spawn()
            .map_err(|error| Failure::new("Runtime.InvalidEntrypoint", format!("{}: {error}", binary.display())))?;

        let stop = world.stop.child_token();
        let (end, mut ended) = watch::channel(None);
        let (ready, mut asked) = watch::channel(false);
        let desk = Arc::new(Desk { arn: function.arn.clone(), ready, arrived: Notify::new(), state: Mutex::default() });
        if let Some(output) = child.stdout.take() {
            tokio::spawn(pass_on(output, function.binary.clone(), Arc::clone(&world.log)));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(pass_on(output, function.binary.clone(), Arc::clone(&world.log)));
        }
        tokio::spawn(server::serve(listener, Guard::default().around(runtime_api(Arc::clone(&desk))), stop.clone()));
        world.children.spawn(watch_over(child, stop.clone(), end));
        let environment = Self { build, desk, account, ended: ended.clone(), _stop: stop.drop_guard() };

        tokio::select! {
            biased;
            _ = asked.wait_for(|asked| *asked) => Ok((environment, started.elapsed())),
            how = until_ended(&mut ended) => {
                let own_words = environment.desk.lock().failed.take();
                Err(own_words.unwrap_or_else(|| Failure::exited(&how)))
            }
            () = tokio::time::sleep(INIT_LIMIT) => Err(Failure::new(
                "Sandbox.Timedout",
                format!("Task timed out after {:.2} seconds", INIT_LIMIT.as_secs_f64()),
            )),
        }
    }

    pub fn is_alive(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// The calls to DynamoDB since the last time.
    pub fn calls(&self) -> Calls {
        self.account.take()
    }

    /// Has the process work on one request. It is for the caller to drop the environment unless the verdict is
    /// `Done`, and not to ask for a second request meanwhile.
    pub async fn handle(&mut self, id: &str, payload: Bytes, trace: &str, limit: Duration) -> Verdict {
        let (reply, mut answer) = oneshot::channel();
        let work = Work { id: id.to_owned(), payload, trace: trace.to_owned(), limit };
        self.desk.lock().waiting = Some((work, reply));
        self.desk.arrived.notify_one();
        tokio::select! {
            biased;
            Ok(outcome) = &mut answer => Verdict::Done(outcome),
            how = until_ended(&mut self.ended) => match answer.try_recv() {
                Ok(outcome) => Verdict::Done(outcome),
                Err(_) => Verdict::Ended { taken: self.desk.lock().waiting.take().is_none(), how },
            },
            () = tokio::time::sleep(limit) => Verdict::TimedOut,
        }
    }
}

fn cannot_start(error: crate::Error) -> Failure {
    Failure::new("Sandbox.Failure", error.to_string())
}

/// Everything a function sees of the machine it runs on: what Lambda sets, and the template's variables.
fn command(function: &Function, binary: &Path, world: &World, runtime_api: &str, access_key: &str) -> Command {
    let today = OffsetDateTime::now_utc().date();
    let mut command = Command::new(binary);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs([
            ("AWS_LAMBDA_FUNCTION_NAME", function.name.as_str()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_RUNTIME_API", runtime_api),
            ("AWS_REGION", REGION),
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", access_key),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("AWS_SESSION_TOKEN", "local"),
            ("AWS_ENDPOINT_URL", &world.aws),
            ("_HANDLER", "bootstrap"),
            ("LANG", "en_US.UTF-8"),
            ("TZ", "UTC"),
        ])
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory.to_string())
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name))
        .env(
            "AWS_LAMBDA_LOG_STREAM_NAME",
            format!(
                "{:04}/{:02}/{:02}/[$LATEST]{}",
                today.year(),
                u8::from(today.month()),
                today.day(),
                ids::uuid().replace('-', "")
            ),
        )
        .env("LAMBDA_TASK_ROOT", binary.parent().unwrap_or(binary))
        .envs(&function.variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that Ctrl-C reaches this process first and requests under way can end.
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Waits for the process to end, or ends it.
async fn watch_over(mut child: Child, stop: CancellationToken, end: watch::Sender<Option<String>>) {
    let how = tokio::select! {
        status = child.wait() => match status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        },
        () = stop.cancelled() => {
            // It fails only when the process has ended already.
            let _ = child.kill().await;
            "stopped".to_owned()
        }
    };
    end.send_replace(Some(how));
    // The Runtime API has nobody left to talk to.
    stop.cancel();
}

async fn until_ended(ended: &mut watch::Receiver<Option<String>>) -> String {
    match ended.wait_for(Option::is_some).await {
        Ok(how) => how.clone().unwrap_or_default(),
        Err(_) => "stopped".to_owned(),
    }
}

async fn pass_on(output: impl AsyncRead + Unpin, function: String, log: Arc<Log>) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        log.line(&function, String::from_utf8_lossy(&line).trim_end());
    }
}

/// Where a request waits for the process and the process's answer for us.
struct Desk {
    arn: String,
    ready: watch::Sender<bool>,
    arrived: Notify,
    state: Mutex<DeskState>,
}

#[derive(Default)]
struct DeskState {
    waiting: Option<(Work, oneshot::Sender<Outcome>)>,
    /// The id of the request that the process works on, and who waits for its answer.
    working: Option<(String, oneshot::Sender<Outcome>)>,
    /// What the process reported about its own start.
    failed: Option<Failure>,
}

struct Work {
    id: String,
    payload: Bytes,
    trace: String,
    limit: Duration,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, DeskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request, marked as being worked on.
    async fn next(&self) -> Response {
        self.ready.send_replace(true);
        loop {
            let work = self.lock().hand_out();
            if let Some(work) = work {
                let limit = u64::try_from(work.limit.as_millis()).unwrap_or(u64::MAX);
                let deadline = ids::now_millis().saturating_add(limit).to_string();
                let headers = [
                    ("content-type", "application/json"),
                    ("lambda-runtime-aws-request-id", &work.id),
                    ("lambda-runtime-deadline-ms", &deadline),
                    ("lambda-runtime-invoked-function-arn", &self.arn),
                    ("lambda-runtime-trace-id", &work.trace),
                ];
                return (headers, work.payload).into_response();
            }
            self.arrived.notified().await;
        }
    }

    fn answer(&self, id: &str, outcome: Outcome) -> Response {
        let working = self.lock().working.take_if(|(expected, _)| expected == id);
        match working {
            Some((_, reply)) => {
                // Nobody waits any more when the time was up.
                let _ = reply.send(outcome);
                accepted()
            }
            None => refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "no such request is being worked on"),
        }
    }
}

impl DeskState {
    fn hand_out(&mut self) -> Option<Work> {
        let (work, reply) = self.waiting.take()?;
        self.working = Some((work.id.clone(), reply));
        Some(work)
    }
}

fn runtime_api(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .with_state(desk)
}

async fn next(State(desk): State<Arc<Desk>>) -> Response {
    desk.next().await
}

async fn response(State(desk): State<Arc<Desk>>, UrlPath(id): UrlPath<String>, body: Body) -> Response {
    match server::read(body, RESPONSE_LIMIT).await {
        Ok(payload) => desk.answer(&id, Outcome::Payload(payload)),
        Err(Unread::TooLong) => {
            let message = format!("Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes).");
            let failure = Failure::new("Function.ResponseSizeTooLarge", message.clone());
            desk.answer(&id, Outcome::Error(failure));
            refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
        }
        // The process ended while it was answering, and that is what the caller will hear.
        Err(Unread::Broken) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn error(State(desk): State<Arc<Desk>>, UrlPath(id): UrlPath<String>, body: Bytes) -> Response {
    desk.answer(&id, Outcome::Error(reported(&body)))
}

async fn init_error(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    desk.lock().failed = Some(reported(&body));
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
