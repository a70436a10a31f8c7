//! The emulator as one thing that starts and stops: all ports, all functions and the data behind them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dynamodb::{
    CHECKPOINTS, Client, Commit, CommitLog, Contention, ContentionCounts, ContentionModel, Database, FaultInjector, FaultKind,
    Faults, KeySchema, SECRETS, Store, file,
};
use crate::endpoint::{AwsEndpoint, Services};
use crate::error::{Error, Result};
use crate::eventbus::{EventBuses, EventLog, EventRecord};
use crate::exchange::Exchange;
use crate::gateway::HttpApi;
use crate::guard::Guard;
use crate::iam::{AuthorizationRequest, Principals};
use crate::lambda::{Failure, Host, Invocation, Lambda, api};
use crate::log::{Log, LogLine, RequestRecord};
use crate::logs::Logs;
use crate::mail::{MailRecord, Mailbox};
use crate::names::table_arn;
use crate::print::Printer;
use crate::queues::Queues;
use crate::secrets::Secrets;
use crate::stack::Stack;
use crate::streams::{Checkpoints, Progress, Reader, Surroundings};
use crate::template::Template;
use crate::{ids, scheduler, server};

/// How long the functions and then everything else may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub struct Options {
    pub template: PathBuf,
    /// Where each function's binary is, by its name.
    pub binaries: BTreeMap<String, PathBuf>,
    /// The stack's name, the first part of every physical name.
    pub stack: String,
    /// Values for the template's parameters; the others keep their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Where all three listen.
    pub address: IpAddr,
    /// The gateway's port. Here and below, 0 takes a free one.
    pub port: u16,
    pub invoke_port: u16,
    pub aws_port: u16,
    pub store: Store,
    /// How many environments each function may have.
    pub limit: usize,
    /// What the functions' calls to DynamoDB meet from the start.
    pub faults: Option<Faults>,
    /// How DynamoDB behaves when many want the same thing; `None`: everybody gets it at once.
    pub contention: Option<Contention>,
    /// Whether all that functions write is kept, for [`Emulator::commits`].
    pub keep_commits: bool,
    /// What is printed of requests and log lines; by default nothing.
    pub printer: Arc<Printer>,
    /// Where `GET /` leads if no route of the API wants it.
    pub home: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            template: "template.yaml".into(),
            binaries: BTreeMap::new(),
            stack: "local".into(),
            parameters: BTreeMap::new(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            invoke_port: 0,
            aws_port: 0,
            store: Store::Memory,
            limit: 10,
            faults: None,
            contention: None,
            keep_commits: false,
            printer: Arc::default(),
            home: None,
        }
    }
}

/// A running emulator. It ends, and every process it started with it, when it is stopped or dropped.
pub struct Emulator {
    parts: Arc<Parts>,
    /// Its own, so that it outlives the runtime of the test that started it.
    runtime: Option<Runtime>,
}

/// All that a running emulator is made of.
struct Parts {
    url: String,
    invoke_url: String,
    aws_url: String,
    database: Database,
    lambda: Arc<Lambda>,
    log: Arc<Log>,
    secrets: Arc<Secrets>,
    faults: Arc<FaultInjector>,
    contention: Arc<ContentionModel>,
    commits: Arc<CommitLog>,
    schema: KeySchema,
    tables: Vec<String>,
    queues: Arc<Queues>,
    events: Arc<EventLog>,
    buses: Arc<EventBuses>,
    mailbox: Arc<Mailbox>,
    /// How far each reader of a stream is.
    readers: Vec<Arc<Progress>>,
}

/// What pages beside the API can show.
pub struct Inside {
    pub log: Arc<Log>,
    /// Where DynamoDB itself answers.
    pub dynamodb_url: String,
    /// The tables' physical names.
    pub tables: Vec<String>,
    /// What was put on buses.
    pub events: Arc<EventLog>,
    pub buses: Arc<EventBuses>,
    /// What was sent by mail.
    pub mailbox: Arc<Mailbox>,
}

impl Emulator {
    /// Starts everything. `pages` are answered at the gateway's port, beside the API.
    pub async fn start(options: Options, pages: impl FnOnce(Inside) -> Router + Send + 'static) -> Result<Self> {
        let runtime = Runtime::new().map_err(Error::Runtime)?;
        let started = runtime.spawn(Parts::start(options, pages)).await;
        match started {
            Ok(Ok(parts)) => Ok(Self { parts: Arc::new(parts), runtime: Some(runtime) }),
            Ok(Err(error)) => {
                runtime.shutdown_background();
                Err(error)
            }
            Err(panic) => {
                runtime.shutdown_background();
                Err(Error::Runtime(panic.into()))
            }
        }
    }

    /// Fails with what would keep an emulator from starting, as far as that shows before the functions are built.
    pub async fn check(options: &Options) -> Result<Template> {
        let template = Template::read(&options.template, &options.stack, &options.parameters)?;
        if let Store::File(path) = &options.store {
            file::check_all(path, &template.tables)?;
        }
        Listeners::bind(options).await?;
        Ok(template)
    }

    /// Where the API answers, such as `http://127.0.0.1:3000`.
    pub fn url(&self) -> &str {
        &self.parts.url
    }

    /// Where Lambda's Invoke API answers.
    pub fn invoke_url(&self) -> &str {
        &self.parts.invoke_url
    }

    /// Where AWS's services answer, to functions and to anybody else.
    pub fn aws_url(&self) -> &str {
        &self.parts.aws_url
    }

    /// Where DynamoDB itself answers, past the endpoint that measures calls and puts faults in their way.
    pub fn dynamodb_url(&self) -> &str {
        &self.parts.database.url
    }

    /// The tables' physical names.
    pub fn tables(&self) -> &[String] {
        &self.parts.tables
    }

    /// The current value of a secret, by logical id, name or ARN.
    pub fn secret(&self, name: &str) -> Result<String> {
        self.parts.secrets.value(name)
    }

    /// The latest requests, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.parts.log.requests()
    }

    /// The request that was answered with this `apigw-requestid`.
    pub fn request(&self, request_id: &str) -> Option<RequestRecord> {
        self.parts.log.find(request_id)
    }

    /// What the latest requests and their answers said, oldest first, without passwords and tokens.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.parts.log.exchanges()
    }

    /// The latest lines that functions wrote, oldest first. A line may arrive a moment after its request's answer;
    /// [`Emulator::log_line`] waits for it.
    pub fn logs(&self) -> Vec<LogLine> {
        self.parts.log.lines()
    }

    /// The first line that is wanted, waiting for it no longer than `within`.
    pub async fn log_line(&self, within: Duration, wanted: impl Fn(&LogLine) -> bool) -> Option<LogLine> {
        tokio::time::timeout(within, self.parts.log.line_like(wanted)).await.ok().flatten()
    }

    /// The latest events that were put on buses, oldest first, and where they were sent.
    pub fn events(&self) -> Vec<EventRecord> {
        self.parts.events.after(0, usize::MAX)
    }

    /// The latest mails that were sent, oldest first.
    pub fn mails(&self) -> Vec<MailRecord> {
        self.parts.mailbox.after(0, usize::MAX)
    }

    /// The mails that come after the first `seen`, waiting for one if there is none.
    pub async fn next_mails(&self, seen: u64) -> Vec<MailRecord> {
        self.parts.mailbox.next(seen).await
    }

    /// What services have put into a queue, by logical id, name or ARN.
    pub fn queue(&self, name: &str) -> Vec<Value> {
        self.parts.queues.messages(name)
    }

    /// Waits until all that was written before is read from the streams, and all that was put on buses is sent, has been given up, or
    /// went to a queue.
    pub async fn settled(&self) {
        self.streams_are_read().await;
        self.parts.events.settled().await;
    }

    /// Waits until all that was written before is read from the streams.
    pub async fn streams_are_read(&self) {
        for reader in &self.parts.readers {
            reader.settled().await;
        }
    }

    /// Calls a function directly, by logical id, physical name, binary's name or ARN.
    pub async fn invoke(&self, function: &str, payload: Value) -> Invocation {
        let failed = |failure| Invocation::failed(ids::uuid(), function, failure);
        let (Some(function), Some(runtime)) = (self.parts.lambda.find(function), &self.runtime) else {
            let message = format!("Function not found: {function}");
            return failed(Failure::new("ResourceNotFoundException", message));
        };
        let (parts, function) = (Arc::clone(&self.parts), Arc::clone(function));
        let run = async move { parts.lambda.invoke(&function, payload.to_string().into(), ids::trace()).await };
        let invocation = runtime.spawn(run).await;
        invocation.unwrap_or_else(|_| failed(Failure::exited("stopped")))
    }

    /// Lets the functions' calls to DynamoDB meet these faults from now on, or none.
    pub fn inject(&self, faults: Option<Faults>) {
        self.parts.faults.set(faults);
    }

    /// The functions' next call of this operation meets this fault. One may wait for several calls, and they meet one each.
    ///
    /// Waits until the streams are read, so that it is met by what is asked for from now on, and not by what follows from before.
    pub async fn inject_next(&self, operation: &str, kind: FaultKind) {
        self.streams_are_read().await;
        self.parts.faults.set_next(operation, kind);
    }

    /// How many faults the functions' calls have met.
    pub fn faults(&self) -> BTreeMap<FaultKind, u64> {
        self.parts.faults.counts()
    }

    /// From now on DynamoDB behaves like this when many want the same thing; with `None`, everybody gets it at once.
    pub fn contend(&self, contention: Option<Contention>) {
        self.parts.contention.set(contention);
    }

    /// How often calls have been let through and refused since there is contention.
    pub fn contention_counts(&self) -> ContentionCounts {
        self.parts.contention.counts()
    }

    /// What functions have written, in the order in which it was committed, if that is kept.
    pub async fn commits(&self) -> Vec<Commit> {
        self.parts.commits.commits().await
    }

    /// Why AWS would not let a function call DynamoDB so, if it would not; by logical id, physical name, binary's name or ARN.
    pub fn denial(&self, function: &str, operation: &str, body: &Value) -> Option<String> {
        let Some(function) = self.parts.lambda.find(function) else {
            return Some(format!("Function not found: {function}"));
        };
        let requests = self.parts.schema.authorization_requests(operation, body.to_string().as_bytes());
        let denied = requests.into_iter().find(|request| !function.policy.allows(request));
        denied.map(|request| request.denial(&function.template.name))
    }

    /// What the template allows functions and no call has needed so far, such as `reader: dynamodb:GetItem on … for USER#*`.
    pub fn unused_rights(&self) -> Vec<String> {
        self.parts.lambda.unused_rights()
    }

    /// How many environments are alive.
    pub fn environments(&self) -> usize {
        self.parts.lambda.environments()
    }

    /// Lets functions whose binary has changed on disk start again; returns the names of those binaries.
    pub fn renew(&self) -> Vec<String> {
        self.parts.lambda.renew()
    }

    /// Ends every process and frees every port before it returns.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            let lambda = Arc::clone(&self.parts.lambda);
            // It fails only when the caller's own runtime is being shut down.
            let _ = tokio::task::spawn_blocking(move || shut_down(runtime, &lambda)).await;
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let lambda = Arc::clone(&self.parts.lambda);
            // A thread of its own, because a runtime must not be ended from within another. It has no way to fail.
            let _ = std::thread::spawn(move || shut_down(runtime, &lambda)).join();
        }
    }
}

fn shut_down(runtime: Runtime, lambda: &Lambda) {
    // What has not ended by then ends with the runtime.
    let _ = runtime.block_on(async { tokio::time::timeout(STOP_LIMIT, lambda.stop()).await });
    runtime.shutdown_timeout(STOP_LIMIT);
}

/// The three ports, before anything answers there.
struct Listeners {
    gateway: TcpListener,
    invoke_api: TcpListener,
    aws: TcpListener,
}

impl Listeners {
    async fn bind(options: &Options) -> Result<Self> {
        Ok(Self {
            gateway: server::listen_at("the API", options.address, options.port).await?,
            invoke_api: server::listen_at("Lambda", options.address, options.invoke_port).await?,
            aws: server::listen_at("AWS", options.address, options.aws_port).await?,
        })
    }
}

/// Starts a reader for each function that reads a stream; gives how far each is.
fn read_streams(template: &Template, around: &Arc<Surroundings>, stop: &CancellationToken) -> Result<Vec<Arc<Progress>>> {
    let mut readers = Vec::new();
    for mapping in &template.streams {
        let Some(function) = around.lambda.find(&mapping.function) else { continue };
        // SAM grants these by itself, as far as the boundary lets it.
        let stream = format!("{}/stream/2000-01-01T00:00:00.000", table_arn(&mapping.table));
        let reads =
            ["DescribeStream", "GetRecords", "GetShardIterator"].map(|action| (format!("dynamodb:{action}"), stream.clone()));
        let sends = mapping.failures.iter().map(|queue| ("sqs:SendMessage".to_owned(), queue.clone()));
        for (action, resource) in reads.into_iter().chain(sends) {
            let request = AuthorizationRequest { action, resource, keys: Vec::new() };
            if !function.policy.is_within_boundary(&request) {
                let AuthorizationRequest { action, resource, .. } = request;
                return Err(Error::BeyondBoundary { function: mapping.function.clone(), action, resource });
            }
        }
        if let Some(reader) = Reader::new(mapping.clone(), Arc::clone(around)) {
            readers.push(reader.progress());
            tokio::spawn(stop.clone().run_until_cancelled_owned(reader.run()));
        }
    }
    Ok(readers)
}

/// What the services tell of the template.
struct Described {
    principals: Arc<Principals>,
    logs: Logs,
    stack: Stack,
}

impl Parts {
    async fn start(options: Options, pages: impl FnOnce(Inside) -> Router) -> Result<Self> {
        let mut template = Template::read(&options.template, &options.stack, &options.parameters)?;
        let log = Arc::new(Log::new(Arc::clone(&options.printer)));
        let principals = Arc::new(Principals::default());
        let stop = CancellationToken::new();
        let listeners = Listeners::bind(&options).await?;
        let (url, invoke_url) = (server::url(&listeners.gateway)?, server::url(&listeners.invoke_api)?);
        let aws_url = server::url(&listeners.aws)?;
        template.answer_at(&url);

        let host = Host {
            aws_url: aws_url.clone(),
            principals: Arc::clone(&principals),
            log: Arc::clone(&log),
            processes: TaskTracker::new(),
            stop: stop.clone(),
        };
        let lambda =
            Arc::new(Lambda::new(template.functions.clone(), &options.binaries, &template.binaries, options.limit, host)?);
        let is_kept = matches!(&options.store, Store::File(path) if path.exists());
        let database = Database::open(&options.store, &template.tables, &stop).await?;
        let beside = |extension: &str| match &options.store {
            Store::File(path) => Some(path.with_added_extension(extension)),
            Store::Memory | Store::Url(_) => None,
        };
        let secrets_file = beside(SECRETS);
        let were_there = secrets_file.as_ref().is_some_and(|file| file.exists());
        if let Some(file) = secrets_file.as_ref().filter(|_| is_kept && !were_there) {
            let text = "was missing: all secrets are new, and whatever was made with the old ones is void, every token among it";
            log.line("secrets", &format!("{} {text}", file.display()));
        }
        let secrets = Arc::new(Secrets::open(template.secrets.clone(), secrets_file)?);
        if let (Store::File(path), true) = (&options.store, were_there && !is_kept) {
            let text =
                format!("was missing, and {} was there: everything begins anew", path.with_added_extension(SECRETS).display());
            log.line("data", &format!("{} {text}", path.display()));
        }
        let schema = KeySchema::of(&template.tables);
        let faults = Arc::new(FaultInjector::default());
        faults.set(options.faults);
        let contention = Arc::new(ContentionModel::new(schema.clone()));
        contention.set(options.contention);
        let tables: Vec<_> = template.tables.iter().map(|table| table.name.clone()).collect();
        let (queues, events) = (Arc::new(Queues::new(template.queues.clone(), &aws_url)), Arc::new(EventLog::default()));
        let buses = EventBuses::start(template.buses.clone(), template.rules.clone(), &queues, Arc::clone(&events), &stop);
        let surroundings = Surroundings {
            client: Client::at(&database.url)?,
            lambda: Arc::clone(&lambda),
            queues: Arc::clone(&queues),
            faults: Arc::clone(&faults),
            log: Arc::clone(&log),
            checkpoints: Arc::new(Checkpoints::open(beside(CHECKPOINTS))?),
        };
        let readers = read_streams(&template, &Arc::new(surroundings), &stop)?;
        let parts = Self {
            url,
            invoke_url,
            aws_url,
            database,
            lambda,
            log,
            secrets,
            faults,
            contention,
            commits: Arc::new(CommitLog::new(options.keep_commits)),
            schema,
            tables,
            queues,
            events,
            buses: Arc::new(buses),
            mailbox: Arc::default(),
            readers,
        };

        for schedule in template.schedules.clone() {
            tokio::spawn(scheduler::run(schedule, Arc::clone(&parts.lambda), Arc::clone(&parts.log), stop.clone()));
        }
        let (guard, port) = (Guard::at(options.address), server::address(&listeners.gateway)?.port());
        let described = Described {
            principals,
            logs: Logs::new(Arc::clone(&parts.log), &template.functions),
            stack: Stack::new(template.stack.clone()),
        };
        let api = HttpApi::new(template, Arc::clone(&parts.lambda), Arc::clone(&parts.log), port, options.home);
        parts.serve(listeners, api, described, guard, pages, &stop);
        Ok(parts)
    }

    fn serve(
        &self,
        listeners: Listeners,
        api: HttpApi,
        described: Described,
        guard: Guard,
        pages: impl FnOnce(Inside) -> Router,
        stop: &CancellationToken,
    ) {
        let services = Services {
            schema: self.schema.clone(),
            secrets: Arc::clone(&self.secrets),
            buses: Arc::clone(&self.buses),
            mailbox: Arc::clone(&self.mailbox),
            lambda: Arc::clone(&self.lambda),
            logs: described.logs,
            queues: Arc::clone(&self.queues),
            stack: described.stack,
            principals: described.principals,
            faults: Arc::clone(&self.faults),
            contention: Arc::clone(&self.contention),
            commits: Arc::clone(&self.commits),
            log: Arc::clone(&self.log),
        };
        let aws = AwsEndpoint::new(guard, &self.database, services);
        tokio::spawn(Arc::new(aws).serve(listeners.aws, stop.clone()));

        // The API is for everybody, and for pages as far as the template says; the rest is for this machine's own programs.
        let invoke_api = Guard::default().around(api::router(Arc::clone(&self.lambda)));
        tokio::spawn(server::serve(listeners.invoke_api, invoke_api, stop.clone()));

        let (log, dynamodb_url) = (Arc::clone(&self.log), self.database.url.clone());
        let (events, buses, mailbox) = (Arc::clone(&self.events), Arc::clone(&self.buses), Arc::clone(&self.mailbox));
        let pages = pages(Inside { log, dynamodb_url, tables: self.tables.clone(), events, buses, mailbox });
        tokio::spawn(server::serve(listeners.gateway, api.router().merge(pages), stop.clone()));
    }
}
