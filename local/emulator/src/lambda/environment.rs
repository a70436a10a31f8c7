//! One execution environment: a process of an unmodified binary, and the Runtime API that it alone talks to.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::outcome::{Failure, Outcome};
use super::runtime_api::{RuntimeApi, Work};
use super::variables::{LOG_STREAM, RUNTIME_API, variables};
use crate::iam::{Policy, Principal, Principals};
use crate::log::Log;
use crate::template::Function;
use crate::usage::Usage;

/// What Lambda allows a function between its start and its first question for work.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// What all environments share.
pub struct Host {
    /// Where functions find AWS's services.
    pub aws_url: String,
    pub principals: Arc<Principals>,
    pub log: Arc<Log>,
    /// A task for every process that is alive.
    pub processes: TaskTracker,
    /// Ends them all.
    pub stop: CancellationToken,
}

pub struct Environment {
    /// Which build of the binary it runs.
    pub build: u64,
    /// The log stream that it writes to.
    pub stream: String,
    runtime_api: RuntimeApi,
    principal: Principal,
    /// How the process ended, once it has.
    ended: watch::Receiver<Option<String>>,
    /// Ends the process when the environment is dropped.
    _stop: DropGuard,
}

/// How an environment's work on a request ended.
pub enum Completion {
    Done(Outcome),
    /// The process ended without an answer; `taken` tells whether it had seen the request.
    ProcessEnded {
        taken: bool,
        how: String,
    },
    TimedOut,
}

impl Environment {
    /// Starts a process and waits until it asks for work; tells how long that took.
    pub async fn start(
        function: &Function,
        policy: &Arc<Policy>,
        binary: &Path,
        build: u64,
        host: &Host,
    ) -> Result<(Self, Duration), Failure> {
        let started = Instant::now();
        let stop = host.stop.child_token();
        // Ends the Runtime API too when the process cannot be started.
        let stop_on_drop = stop.clone().drop_guard();
        let runtime_api = RuntimeApi::start(&function.arn, stop.clone()).await;
        let mut runtime_api = runtime_api.map_err(|error| Failure::new("Sandbox.Failure", error.to_string()))?;
        let principal = host.principals.issue(&function.name, policy, stop.clone());
        let variables = variables(function, binary, principal.access_key());
        let stream = variables.get(LOG_STREAM).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut child = command(binary, host, &runtime_api.address, variables)
            .spawn()
            .map_err(|error| Failure::new("Runtime.InvalidEntrypoint", format!("{}: {error}", binary.display())))?;

        let (end, mut ended) = watch::channel(None);
        if let Some(output) = child.stdout.take() {
            tokio::spawn(copy_to_log(output, function.binary.clone(), stream.clone(), Arc::clone(&host.log)));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(copy_to_log(output, function.binary.clone(), stream.clone(), Arc::clone(&host.log)));
        }
        host.processes.spawn(wait_or_kill(child, stop, end));

        tokio::select! {
            biased;
            _ = runtime_api.ready() => {}
            how = until_ended(&mut ended) => {
                return Err(runtime_api.init_error().unwrap_or_else(|| Failure::exited(&how)));
            }
            () = tokio::time::sleep(INIT_LIMIT) => return Err(Failure::timed_out(INIT_LIMIT)),
        }
        Ok((Self { build, stream, runtime_api, principal, ended, _stop: stop_on_drop }, started.elapsed()))
    }

    pub fn is_alive(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// What it has used of DynamoDB since the last time.
    pub fn take_usage(&self) -> Usage {
        self.principal.take_usage()
    }

    /// Has the process work on one request. It is for the caller to drop the environment unless this is `Done`, and not to ask
    /// for a second request meanwhile.
    pub async fn handle(&mut self, work: Work) -> Completion {
        let timeout = work.timeout;
        let mut answer = self.runtime_api.submit(work);
        tokio::select! {
            biased;
            Ok(answer) = &mut answer => Completion::Done(answer.outcome),
            how = until_ended(&mut self.ended) => match answer.try_recv() {
                Ok(answer) => Completion::Done(answer.outcome),
                Err(_) => Completion::ProcessEnded { taken: !self.runtime_api.withdraw(), how },
            },
            () = tokio::time::sleep(timeout) => Completion::TimedOut,
        }
    }
}

/// The process, with everything that it sees of this machine.
fn command(binary: &Path, host: &Host, runtime_api: &str, variables: BTreeMap<String, OsString>) -> Command {
    let mut command = Command::new(binary);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env(RUNTIME_API, runtime_api)
        .env("AWS_ENDPOINT_URL", &host.aws_url)
        .envs(variables)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that Ctrl-C reaches this program first and requests under way can end.
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Waits for the process to end, or ends it.
async fn wait_or_kill(mut child: Child, stop: CancellationToken, end: watch::Sender<Option<String>>) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = stop.cancelled() => {
            // It fails only when the process has ended already.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    end.send_replace(Some(status.map_or_else(|error| error.to_string(), |status| status.to_string())));
    // The Runtime API has nobody left to talk to.
    stop.cancel();
}

async fn until_ended(ended: &mut watch::Receiver<Option<String>>) -> String {
    match ended.wait_for(Option::is_some).await {
        Ok(how) => how.clone().unwrap_or_default(),
        Err(_) => "stopped".to_owned(),
    }
}

async fn copy_to_log(output: impl AsyncRead + Unpin, function: String, stream: String, log: Arc<Log>) {
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        log.output(&function, Some(&stream), String::from_utf8_lossy(&line).trim_end());
    }
}
