//! The functions and their environments: started on demand, used again, replaced when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use tokio::sync::Semaphore;

use super::environment::{Completion, Environment, Host};
use super::outcome::{Failure, Invocation, Outcome};
use super::runtime_api::Work;
use crate::error::{Error, Result};
use crate::iam::Policy;
use crate::ids;
use crate::log::Log;
use crate::template;

pub struct Lambda {
    functions: Vec<Arc<Function>>,
    host: Arc<Host>,
}

impl Lambda {
    /// At most `limit` environments run at once for each function; requests beyond that wait for one.
    pub fn new(
        functions: Vec<template::Function>,
        binaries: &BTreeMap<String, PathBuf>,
        named: &BTreeSet<String>,
        limit: usize,
        host: Host,
    ) -> Result<Self> {
        let functions: Vec<_> = functions
            .into_iter()
            .map(|function| match binaries.get(&function.binary) {
                Some(path) => Ok(Arc::new(Function::new(function, path.clone(), limit))),
                None => Err(Error::MissingBinary { function: function.id, binary: function.binary }),
            })
            .collect::<Result<_>>()?;
        if let Some(binary) = binaries.keys().find(|binary| !named.contains(*binary)) {
            return Err(Error::UnknownBinary { binary: binary.clone() });
        }
        Ok(Self { functions, host: Arc::new(host) })
    }

    /// The function that goes by this logical id, physical name, binary's name or ARN, a version behind it or not.
    pub fn find(&self, name: &str) -> Option<&Arc<Function>> {
        let name = match name.split_once(":function:") {
            Some((_, name)) => name,
            None => name,
        };
        let name = name.split(':').next().unwrap_or(name);
        self.functions.iter().find(|function| {
            let function = &function.template;
            [&function.id, &function.name, &function.binary].into_iter().any(|its| its == name)
        })
    }

    pub fn functions(&self) -> &[Arc<Function>] {
        &self.functions
    }

    /// Where functions write to.
    pub fn log(&self) -> &Log {
        &self.host.log
    }

    pub async fn invoke(&self, function: &Arc<Function>, payload: Bytes, trace: String) -> Invocation {
        self.handle(function, Event::new(payload, trace)).await
    }

    /// The same, and kills the environment if it has not answered so long after it was asked.
    pub async fn invoke_and_kill(&self, function: &Arc<Function>, payload: Bytes, trace: String, after: Duration) -> Invocation {
        self.handle(function, Event { killed: Some(after), ..Event::new(payload, trace) }).await
    }

    /// Runs to its end even if the caller loses interest, as a request does that Lambda has accepted.
    pub async fn handle(&self, function: &Arc<Function>, event: Event) -> Invocation {
        let id = ids::uuid();
        let run = Arc::clone(function).run(id.clone(), event, Arc::clone(&self.host));
        let stopped = |_| Invocation::failed(id, &function.template.binary, Failure::exited("stopped"));
        tokio::spawn(run).await.unwrap_or_else(stopped)
    }

    /// What the functions are allowed and have not made use of, each with its binary's name in front.
    pub fn unused_rights(&self) -> Vec<String> {
        let of = |function: &Arc<Function>| {
            let binary = function.template.binary.clone();
            function.policy.unused().into_iter().map(move |right| format!("{binary}: {right}"))
        };
        self.functions.iter().flat_map(of).collect()
    }

    /// How many environments are alive.
    pub fn environments(&self) -> usize {
        self.host.processes.len()
    }

    /// Lets the functions whose binary has changed start again: idle environments now, busy ones after their request.
    /// Returns the names of those binaries.
    pub fn renew(&self) -> Vec<String> {
        self.functions.iter().filter(|function| function.renew()).map(|function| function.template.binary.clone()).collect()
    }

    /// Ends every environment and waits until all are gone.
    pub async fn stop(&self) {
        self.host.stop.cancel();
        self.host.processes.close();
        self.host.processes.wait().await;
    }
}

/// What a function is called with.
pub struct Event {
    pub payload: Bytes,
    /// The X-Ray trace header.
    pub trace: String,
    /// What the caller says of itself, as JSON.
    pub client_context: Option<String>,
    /// When the environment is killed, if it has not answered by then.
    pub killed: Option<Duration>,
}

impl Event {
    pub fn new(payload: Bytes, trace: String) -> Self {
        Self { payload, trace, client_context: None, killed: None }
    }
}

pub struct Function {
    pub template: template::Function,
    pub policy: Arc<Policy>,
    binary: PathBuf,
    /// A permit for each environment that may be at work.
    concurrency: Semaphore,
    pool: Mutex<Pool>,
}

struct Pool {
    /// Counts the builds of the binary.
    build: u64,
    fingerprint: Option<Fingerprint>,
    /// Most recently used last.
    idle: Vec<Environment>,
}

/// Tells one build of a binary from the next.
type Fingerprint = (u64, SystemTime);

impl Function {
    fn new(template: template::Function, binary: PathBuf, limit: usize) -> Self {
        let pool = Pool { build: 0, fingerprint: fingerprint(&binary), idle: Vec::new() };
        let policy = Arc::new(Policy::new(template.statements.clone(), template.boundary.clone()));
        Self { template, policy, binary, concurrency: Semaphore::new(limit.max(1)), pool: Mutex::new(pool) }
    }

    /// Where the code is.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The code's length, and when it was built.
    pub fn code(&self) -> Option<(u64, SystemTime)> {
        fingerprint(&self.binary)
    }

    async fn run(self: Arc<Self>, id: String, event: Event, host: Arc<Host>) -> Invocation {
        let mut invocation = Invocation::failed(id, &self.template.binary, Failure::exited("stopped"));
        let Ok(_permit) = self.concurrency.acquire().await else {
            return invocation;
        };
        loop {
            let (idle, build) = self.take_idle();
            let mut environment = match idle {
                Some(environment) => environment,
                None => match Environment::start(&self.template, &self.policy, &self.binary, build, &host).await {
                    Ok((environment, init)) => {
                        invocation.init = Some(init);
                        environment
                    }
                    Err(failure) => {
                        self.report(&invocation, &failure.error_message, &host);
                        invocation.outcome = Outcome::Error(failure);
                        return invocation;
                    }
                },
            };
            invocation.stream = Some(environment.stream.clone());
            let started = Instant::now();
            let work = Work {
                request_id: invocation.request_id.clone(),
                payload: event.payload.clone(),
                trace: event.trace.clone(),
                client_context: event.client_context.clone(),
                timeout: event.killed.unwrap_or(self.template.timeout),
            };
            let completion = environment.handle(work).await;
            invocation.duration = started.elapsed();
            invocation.usage = environment.take_usage();
            invocation.outcome = match completion {
                Completion::Done(outcome) => {
                    self.give_back(environment);
                    outcome
                }
                // It ended while it was idle and we had not heard of it yet; another one takes the request.
                Completion::ProcessEnded { taken: false, .. } if !invocation.is_cold() => continue,
                Completion::ProcessEnded { how, .. } => {
                    let failure = Failure::exited(&how);
                    self.report(&invocation, &failure.error_message, &host);
                    Outcome::Error(failure)
                }
                // The environment ends here.
                Completion::TimedOut if event.killed.is_some() => Outcome::Error(Failure::exited("signal: 9 (SIGKILL)")),
                Completion::TimedOut => {
                    self.report(&invocation, &Failure::timed_out(self.template.timeout).error_message, &host);
                    Outcome::TimedOut
                }
            };
            return invocation;
        }
    }

    /// Writes into the function's log what the function cannot.
    fn report(&self, invocation: &Invocation, message: &str, host: &Host) {
        let line = format!("RequestId: {} Error: {message}", invocation.request_id);
        host.log.output(&self.template.binary, invocation.stream.as_deref(), &line);
    }

    /// The environment used last, if one is idle, and the build that a new one would run.
    fn take_idle(&self) -> (Option<Environment>, u64) {
        let mut pool = self.lock();
        pool.idle.retain(Environment::is_alive);
        (pool.idle.pop(), pool.build)
    }

    fn give_back(&self, environment: Environment) {
        let mut pool = self.lock();
        if environment.build == pool.build {
            pool.idle.push(environment);
        }
    }

    fn renew(&self) -> bool {
        let latest = fingerprint(&self.binary);
        let mut pool = self.lock();
        let changed = pool.fingerprint != latest;
        if changed {
            pool.fingerprint = latest;
            pool.build += 1;
            pool.idle.clear();
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fingerprint(binary: &Path) -> Option<Fingerprint> {
    let metadata = std::fs::metadata(binary).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}
