//! The functions and their environments: started on demand, used again, replaced when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::environment::{Environment, Verdict};
use crate::error::{Error, Result};
use crate::ids;
use crate::log::Log;
use crate::meter::{Calls, Ledger};
use crate::rights::Rights;
use crate::template;

/// What all environments share.
pub struct World {
    /// Where functions find DynamoDB and Secrets Manager.
    pub aws: String,
    pub ledger: Arc<Ledger>,
    pub log: Arc<Log>,
    /// A task for every process that is alive.
    pub children: TaskTracker,
    pub stop: CancellationToken,
}

/// What came of one invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub request_id: String,
    /// The function's binary.
    pub function: String,
    pub outcome: Outcome,
    /// How long the function worked, its start not included.
    pub duration: Duration,
    /// How long its environment took to start, if one had to be started.
    pub init: Option<Duration>,
    pub calls: Calls,
}

impl Invocation {
    /// One that came to nothing before it reached an environment.
    pub fn failed(request_id: String, function: &str, failure: Failure) -> Self {
        Self {
            request_id,
            function: function.to_owned(),
            outcome: Outcome::Error(failure),
            duration: Duration::ZERO,
            init: None,
            calls: Calls::default(),
        }
    }

    pub fn is_cold(&self) -> bool {
        self.init.is_some()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Payload(Bytes),
    /// The function reported an error, ended without an answer or could not start.
    Error(Failure),
    TimedOut,
}

/// Why a function gave no answer, in Lambda's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub error_type: String,
    pub error_message: String,
}

impl Failure {
    pub fn new(error_type: impl Into<String>, error_message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), error_message: error_message.into() }
    }

    /// `how` is an exit status in words, such as `exit status: 1`.
    pub fn exited(how: &str) -> Self {
        Self::new("Runtime.ExitError", format!("Runtime exited: {how}"))
    }
}

pub struct Lambda {
    functions: Vec<Arc<Function>>,
    world: Arc<World>,
}

impl Lambda {
    /// At most `limit` environments run at once for each function; requests beyond that wait for one.
    pub fn new(
        functions: Vec<template::Function>,
        binaries: &BTreeMap<String, PathBuf>,
        limit: usize,
        world: World,
    ) -> Result<Self> {
        let functions: Vec<_> = functions
            .into_iter()
            .map(|function| match binaries.get(&function.binary) {
                Some(path) => Ok(Arc::new(Function::new(function, path.clone(), limit))),
                None => Err(Error::MissingBinary { function: function.id, binary: function.binary }),
            })
            .collect::<Result<_>>()?;
        let named: BTreeSet<_> = functions.iter().map(|function| &function.template.binary).collect();
        if let Some(binary) = binaries.keys().find(|binary| !named.contains(binary)) {
            return Err(Error::UnknownBinary { binary: binary.clone() });
        }
        Ok(Self { functions, world: Arc::new(world) })
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

    /// Runs to its end even if the caller loses interest, as a request does that Lambda has accepted.
    pub async fn invoke(&self, function: &Arc<Function>, payload: Bytes, trace: String) -> Invocation {
        let id = ids::uuid();
        let run = Arc::clone(function).run(id.clone(), payload, trace, Arc::clone(&self.world));
        let stopped = |_| Invocation::failed(id, &function.template.binary, Failure::exited("stopped"));
        tokio::spawn(run).await.unwrap_or_else(stopped)
    }

    /// What the functions are allowed and have not made use of, each with its binary's name in front.
    pub fn unused_rights(&self) -> Vec<String> {
        let of = |function: &Arc<Function>| {
            let binary = function.template.binary.clone();
            function.rights.unused().into_iter().map(move |right| format!("{binary}: {right}"))
        };
        self.functions.iter().flat_map(of).collect()
    }

    /// How many environments are alive.
    pub fn environments(&self) -> usize {
        self.world.children.len()
    }

    /// Lets the functions whose binary has changed start again: idle environments now, busy ones after their request.
    /// Returns the names of those binaries.
    pub fn renew(&self) -> Vec<String> {
        self.functions.iter().filter(|function| function.renew()).map(|function| function.template.binary.clone()).collect()
    }

    /// Ends every environment and waits until all are gone.
    pub async fn stop(&self) {
        self.world.stop.cancel();
        self.world.children.close();
        self.world.children.wait().await;
    }
}

pub struct Function {
    pub template: template::Function,
    pub rights: Arc<Rights>,
    binary: PathBuf,
    /// A permit for each environment that may be at work.
    room: Semaphore,
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
        let rights = Arc::new(Rights::new(template.statements.clone(), template.boundary.clone()));
        Self { template, rights, binary, room: Semaphore::new(limit.max(1)), pool: Mutex::new(pool) }
    }

    async fn run(self: Arc<Self>, id: String, payload: Bytes, trace: String, world: Arc<World>) -> Invocation {
        let mut invocation = Invocation::failed(id, &self.template.binary, Failure::exited("stopped"));
        let Ok(_permit) = self.room.acquire().await else {
            return invocation;
        };
        loop {
            let (idle, build) = self.take_idle();
            let mut environment = match idle {
                Some(environment) => environment,
                None => match Environment::start(&self, &self.binary, build, &world).await {
                    Ok((environment, init)) => {
                        invocation.init = Some(init);
                        environment
                    }
                    Err(failure) => {
                        self.report(&invocation, &failure.error_message, &world);
                        invocation.outcome = Outcome::Error(failure);
                        return invocation;
                    }
                },
            };
            let started = Instant::now();
            let verdict = environment.handle(&invocation.request_id, payload.clone(), &trace, self.template.timeout).await;
            invocation.duration = started.elapsed();
            invocation.calls = environment.calls();
            invocation.outcome = match verdict {
                Verdict::Done(outcome) => {
                    self.give_back(environment);
                    outcome
                }
                // It ended while it was idle and we had not heard of it yet; another one takes the request.
                Verdict::Ended { taken: false, .. } if !invocation.is_cold() => continue,
                Verdict::Ended { how, .. } => {
                    let failure = Failure::exited(&how);
                    self.report(&invocation, &failure.error_message, &world);
                    Outcome::Error(failure)
                }
                Verdict::TimedOut => {
                    let seconds = self.template.timeout.as_secs_f64();
                    self.report(&invocation, &format!("Task timed out after {seconds:.2} seconds"), &world);
                    Outcome::TimedOut
                }
            };
            return invocation;
        }
    }

    /// Writes into the function's log what the function cannot.
    fn report(&self, invocation: &Invocation, message: &str, world: &World) {
        let line = format!("RequestId: {} Error: {message}", invocation.request_id);
        world.log.line(&self.template.binary, &line);
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

fn fingerprint(binary: &PathBuf) -> Option<Fingerprint> {
    let metadata = std::fs::metadata(binary).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}
