//! The shop as one thing that starts and stops: all ports, all functions and the data behind them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::audit::source::{Source, Table};
use crate::audit::{self, Finding, Violation};
use crate::console::Console;
use crate::contention::{Contended, Contention, Model};
use crate::database::{Database, Store};
use crate::error::{Error, Result};
use crate::faults::{FaultKind, Faults, Injector};
use crate::gateway::Gateway;
use crate::guard::Guard;
use crate::lambda::{Failure, Invocation, Lambda, World};
use crate::log::{Log, LogLine, RequestRecord};
use crate::meter::{Ledger, Meter};
use crate::repair::{self, Repair};
use crate::rights::Schema;
use crate::secrets::Secrets;
use crate::server;
use crate::template::Template;
use crate::{console, ids, invoke, schedule};

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
    /// Remember requests and log lines without printing them.
    pub quiet: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            template: "template.yaml".into(),
            binaries: BTreeMap::new(),
            stack: "stockroom".into(),
            parameters: BTreeMap::new(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            invoke_port: 0,
            aws_port: 0,
            store: Store::Memory,
            limit: 10,
            faults: None,
            contention: None,
            quiet: false,
        }
    }
}

/// A running shop. It ends, and every process it started with it, when it is stopped or dropped.
pub struct Shop {
    site: Arc<Site>,
    /// Its own, so that it outlives the runtime of the test that started it.
    runtime: Option<Runtime>,
}

/// All that a running shop is made of.
struct Site {
    url: String,
    invoke_url: String,
    aws_url: String,
    database: Database,
    lambda: Arc<Lambda>,
    log: Arc<Log>,
    secrets: Arc<Secrets>,
    injector: Arc<Injector>,
    model: Arc<Model>,
    schema: Schema,
    /// The physical names.
    tables: Vec<String>,
}

impl Shop {
    pub async fn start(options: Options) -> Result<Self> {
        let runtime = Runtime::new().map_err(Error::Runtime)?;
        let started = runtime.spawn(Site::open(options)).await;
        match started {
            Ok(Ok(site)) => Ok(Self { site: Arc::new(site), runtime: Some(runtime) }),
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

    /// Where the API answers, such as `http://127.0.0.1:3000`.
    pub fn url(&self) -> &str {
        &self.site.url
    }

    /// Where a browser sees what happens here.
    pub fn console_url(&self) -> String {
        format!("{}{}", self.site.url, console::PATH)
    }

    /// Where Lambda's Invoke API answers.
    pub fn invoke_url(&self) -> &str {
        &self.site.invoke_url
    }

    /// Where DynamoDB and Secrets Manager answer, to functions and to anybody else.
    pub fn aws_url(&self) -> &str {
        &self.site.aws_url
    }

    /// Where DynamoDB itself answers, behind everything that meters it or gets in its way.
    pub fn dynamodb_url(&self) -> &str {
        &self.site.database.url
    }

    /// The current value of a secret, by logical id, name or ARN.
    pub fn secret(&self, name: &str) -> Result<String> {
        self.site.secrets.value(name)
    }

    /// Gives a secret a new value, which is returned, as if this had been done `ago`; the old one becomes the previous version.
    pub fn rotate_secret(&self, name: &str, ago: Duration) -> Result<String> {
        self.site.secrets.rotate(name, ago)
    }

    /// The latest requests, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.site.log.requests()
    }

    /// The request that was answered with this `apigw-requestid`.
    pub fn request(&self, request_id: &str) -> Option<RequestRecord> {
        self.site.log.find(request_id)
    }

    /// The latest lines that functions wrote, oldest first. A line may arrive a moment after its request's answer;
    /// [`Shop::log_line`] waits for it.
    pub fn logs(&self) -> Vec<LogLine> {
        self.site.log.lines()
    }

    /// The first line that is wanted, waiting for it no longer than `within`.
    pub async fn log_line(&self, within: Duration, wanted: impl Fn(&LogLine) -> bool) -> Option<LogLine> {
        tokio::time::timeout(within, self.site.log.line_like(wanted)).await.ok().flatten()
    }

    /// Calls a function directly, by logical id, physical name, binary's name or ARN.
    pub async fn invoke(&self, function: &str, payload: serde_json::Value) -> Invocation {
        let failed = |failure| Invocation::failed(ids::uuid(), function, failure);
        let (Some(function), Some(runtime)) = (self.site.lambda.find(function), &self.runtime) else {
            let message = format!("Function not found: {function}");
            return failed(Failure::new("ResourceNotFoundException", message));
        };
        let (site, function) = (Arc::clone(&self.site), Arc::clone(function));
        let run = async move { site.lambda.invoke(&function, payload.to_string().into(), ids::trace()).await };
        let invocation = runtime.spawn(run).await;
        invocation.unwrap_or_else(|_| failed(Failure::exited("stopped")))
    }

    /// Looks at every item there is. What is being written meanwhile may look wrong: ask when nobody is at work.
    pub async fn audit(&self) -> Result<Vec<Violation>> {
        let mut violations = Vec::new();
        for table in &self.site.tables {
            violations.extend(audit::run(self.dynamodb_url(), table).await?);
        }
        Ok(violations)
    }

    /// Like [`Shop::audit`], and with what it takes to put right what is found.
    pub async fn findings(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for table in &self.site.tables {
            let mut tell = |finding| {
                findings.push(finding);
                Ok(())
            };
            audit::look(&Source::at(self.dynamodb_url(), table), &ProgressBar::hidden(), &mut tell).await?;
        }
        Ok(findings)
    }

    /// Puts right what an audit finds; gives what became of it in each table, and what there is to tell.
    pub async fn repair(&self) -> Result<(Vec<Repair>, Vec<String>)> {
        let (mut repairs, mut told) = (Vec::new(), Vec::new());
        for table in &self.site.tables {
            let table = Table::at(self.dynamodb_url(), table);
            let source = Source::Table(table.clone());
            let mut tell = |line: &str| told.push(line.to_owned());
            repairs.push(repair::run(&source, &table, true, &ProgressBar::hidden(), &mut tell).await?);
        }
        Ok((repairs, told))
    }

    /// Lets the functions' calls to DynamoDB meet these faults from now on, or none.
    pub fn inject(&self, faults: Option<Faults>) {
        self.site.injector.set(faults);
    }

    /// The functions' next call of this operation meets this fault. One may wait for several calls, and they meet one each.
    pub fn inject_next(&self, operation: &str, kind: FaultKind) {
        self.site.injector.set_next(operation, kind);
    }

    /// How many faults the functions' calls have met.
    pub fn faults(&self) -> BTreeMap<FaultKind, u64> {
        self.site.injector.counts()
    }

    /// From now on many may get into each other's way so, or not at all.
    pub fn contend(&self, contention: Option<Contention>) {
        self.site.model.set(contention);
    }

    /// How often that has happened.
    pub fn contended(&self) -> Contended {
        self.site.model.counts()
    }

    /// Why AWS would not let a function call DynamoDB so, if it would not; by logical id, physical name, binary's name or ARN.
    pub fn refusal(&self, function: &str, operation: &str, body: &serde_json::Value) -> Option<String> {
        let Some(function) = self.site.lambda.find(function) else {
            return Some(format!("Function not found: {function}"));
        };
        let demands = self.site.schema.demands(operation, body.to_string().as_bytes());
        let refused = demands.into_iter().find(|demand| function.rights.allow(demand).is_none());
        refused.map(|demand| demand.refusal(&function.template.name))
    }

    /// What template.yaml allows functions and no call has needed so far, such as `product-get: dynamodb:GetItem on … for
    /// PRODUCT#*`.
    pub fn unused_rights(&self) -> Vec<String> {
        self.site.lambda.unused_rights()
    }

    /// How many environments are alive.
    pub fn environments(&self) -> usize {
        self.site.lambda.environments()
    }

    /// Lets functions whose binary has changed on disk start again; returns the names of those binaries.
    pub fn renew(&self) -> Vec<String> {
        self.site.lambda.renew()
    }

    /// Ends every process and frees every port before it returns.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            let lambda = Arc::clone(&self.site.lambda);
            // It fails only when the caller's own runtime is being shut down.
            let _ = tokio::task::spawn_blocking(move || shut_down(runtime, &lambda)).await;
        }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let lambda = Arc::clone(&self.site.lambda);
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

impl Site {
    async fn open(options: Options) -> Result<Self> {
        let template = Template::read(&options.template, &options.stack, &options.parameters)?;
        let log = Arc::new(Log::new(options.quiet));
        let ledger = Arc::new(Ledger::default());
        let stop = CancellationToken::new();

        let front = server::listen_at("the gateway", options.address, options.port).await?;
        let side = server::listen_at("the Invoke API", options.address, options.invoke_port).await?;
        let meter = server::listen_at("AWS", options.address, options.aws_port).await?;
        let port = server::address(&front)?.port();
        let (url, invoke_url) = (server::url(&front)?, server::url(&side)?);
        let aws_url = server::url(&meter)?;

        let world = World {
            aws: aws_url.clone(),
            ledger: Arc::clone(&ledger),
            log: Arc::clone(&log),
            children: TaskTracker::new(),
            stop: stop.clone(),
        };
        let lambda = Lambda::new(template.functions.clone(), &options.binaries, options.limit, world)?;
        let lambda = Arc::new(lambda);
        let database = Database::open(&options.store, &template.tables, &stop).await?;
        let secrets_file = match &options.store {
            Store::File(path) => Some(path.with_added_extension("secrets.json")),
            Store::Memory | Store::Url(_) => None,
        };
        let secrets = Arc::new(Secrets::open(template.secrets.clone(), secrets_file)?);
        let injector = Arc::new(Injector::default());
        injector.set(options.faults);
        let model = Arc::new(Model::new(&template.tables));
        model.set(options.contention);
        let tables: Vec<_> = template.tables.iter().map(|table| table.name.clone()).collect();
        for schedule in template.schedules.clone() {
            tokio::spawn(schedule::run(schedule, Arc::clone(&lambda), Arc::clone(&log), stop.clone()));
        }

        let schema = Schema::of(&template.tables);
        let console = Console::new(Arc::clone(&log), database.url.clone(), tables.clone());
        let gateway = Gateway::new(template, Arc::clone(&lambda), Arc::clone(&log), port);
        let parts = (Arc::clone(&secrets), Arc::clone(&injector), Arc::clone(&model), Arc::clone(&log));
        let aws = Meter::new(Guard::at(options.address), &database, schema.clone(), ledger, parts);
        tokio::spawn(Arc::new(aws).serve(meter, stop.clone()));
        // The API is for everybody, and for pages as far as the template says; the rest is for this machine's own programs.
        let guard = Guard::default();
        tokio::spawn(server::serve(side, guard.around(invoke::router(Arc::clone(&lambda))), stop.clone()));
        tokio::spawn(server::serve(front, gateway.router().merge(console.router(guard)), stop));
        Ok(Self { url, invoke_url, aws_url, database, lambda, log, secrets, injector, model, schema, tables })
    }
}
