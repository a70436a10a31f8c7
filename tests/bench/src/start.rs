//! Cold and warm starts of every function, on a CPU of its own, over TLS, next to the least that a function can be.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use emulator::Outcome;
use emulator::lambda::{self, RuntimeApi, Work as Invocation};
use emulator::template::Function;
use local::cargo;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::binary::{Binary, INGREDIENTS};
use crate::plot::{Bars, Row};
use crate::process::{self, Process, Program};
use crate::proxy::{self, Calls, Proxy};
use crate::report::{Chapter, SUMMARY, figure, table};
use crate::scene::Scene;
use crate::stats::{Ratio, count, median, quantile};
use crate::work::{Work, Workload};
use crate::{Bench, Result};

/// What ratios refer to.
const HELLO: &str = "floor-hello";
const GET_ITEM: &str = "floor-get-item";
/// A function as it is, and with its connection made before it asks for work (`WarmConnections` in template.yaml).
const CONNECTED: [&str; 2] = ["product-get", "product-get-connected"];
/// Whose instructions are counted.
const COUNTED: [&str; 7] = [HELLO, GET_ITEM, "product-get", "order-create", "authorizer", "auth-me", "auth-refresh"];
/// How many requests a count of instructions is divided by, for a warm one.
const COUNTED_REQUESTS: u64 = 10;
/// How long a function may be silent.
const PATIENCE: Duration = Duration::from_mins(1);

/// How much is measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Effort {
    cold: usize,
    /// Rounds of warm invocations, and how many each function gets in a row.
    warm: usize,
    block: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Figures {
    effort: Effort,
    /// What the functions were built for; `None` for what Rust builds for by itself.
    target: Option<String>,
    /// Whether the functions had a CPU that nothing else here used.
    pinned: bool,
    /// Both floors first.
    pub functions: Vec<Samples>,
    /// By function; `None` without valgrind.
    instructions: Option<BTreeMap<String, Instructions>>,
}

/// As callgrind counts them, which knows no CPU's own instructions for hashes: cryptography weighs more than it does on a CPU.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Instructions {
    /// Until it asks for work.
    init: u64,
    first: u64,
    warm: u64,
}

impl Instructions {
    /// A start and one request.
    fn start(self) -> u64 {
        self.init + self.first
    }
}

/// Times are in milliseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Samples {
    pub name: String,
    pub binary: Binary,
    /// From the start of the process until it asks for work.
    init: Vec<f64>,
    /// From the first event's handing over to its answer.
    first: Vec<f64>,
    /// The sum of both.
    pub total: Vec<f64>,
    init_cpu: Vec<f64>,
    total_cpu: Vec<f64>,
    cold_calls: Calls,
    /// From an event's handing over to its answer, in a process that has worked before.
    warm: Vec<f64>,
    /// Per invocation, the mean of each block.
    pub warm_cpu: Vec<f64>,
    warm_calls: Calls,
    /// The most that a process had at the end, in KiB.
    pub memory: f64,
}

/// What is compared: a function, or something that does a function's work.
pub struct Candidate {
    name: String,
    like: String,
    interpreter: Option<PathBuf>,
    binary: PathBuf,
    more: Option<(&'static str, &'static str)>,
}

impl Candidate {
    /// Does what product-get does, or less.
    pub fn peer(name: impl Into<String>, binary: PathBuf, interpreter: Option<PathBuf>) -> Self {
        Self { name: name.into(), like: CONNECTED[0].to_owned(), interpreter, binary, more: None }
    }

    pub fn function(name: &str, binary: &Path) -> Self {
        Self { name: name.to_owned(), like: name.to_owned(), interpreter: None, binary: binary.into(), more: None }
    }
}

pub async fn measure(bench: &Bench) -> Result<Figures> {
    let functions = bench.functions().await?;
    let mut candidates = floors(bench).await?;
    for (name, binary) in &functions {
        candidates.push(Candidate::function(name, binary));
        if name == CONNECTED[0] {
            let more = Some(("WARM_CONNECTIONS", "true"));
            candidates.push(Candidate { more, ..Candidate::peer(CONNECTED[1], binary.clone(), None) });
        }
    }
    compare(bench, functions, candidates)
}

/// The least that a function can be, with and without a database.
pub async fn floors(bench: &Bench) -> Result<Vec<Candidate>> {
    let mut floors = Vec::new();
    for package in [HELLO, GET_ITEM] {
        let built = cargo::build_alone(&bench.workspace, package, bench.floor_profile(), None).await?;
        floors.extend(built.into_iter().map(|(name, binary)| Candidate::peer(name, binary, None)));
    }
    Ok(floors)
}

/// Starts all of them in turns.
pub fn compare(bench: &Bench, functions: BTreeMap<String, PathBuf>, candidates: Vec<Candidate>) -> Result<Figures> {
    let effort = if bench.quick { Effort { cold: 3, warm: 2, block: 5 } } else { Effort { cold: 40, warm: 8, block: 10 } };

    let division = process::division()?;
    let (cpu, others) = division.map_or((None, Vec::new()), |(cpu, others)| (Some(cpu), others));
    let run = || -> Result<Figures> {
        // The shop and the proxy keep off the CPU of what is measured, and so do all threads and processes that they start.
        if cpu.is_some() {
            process::pin(others)?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let workload = Workload::open(Scene::open(bench, functions, 2).await?).await?;
            let proxy = Proxy::start(workload.scene.shop.aws_url()).await?;
            let mut programs = Vec::new();
            for Candidate { name, like, interpreter, binary, more } in candidates {
                let function = workload.scene.function(&like)?;
                let (arn, mut variables) = (function.arn.clone(), variables(function, &binary, &proxy));
                variables.extend(more.map(|(name, value)| (name.to_owned(), value.into())));
                programs.push(Program { name, like, interpreter, binary, arn, variables });
            }
            let mut field = Field { programs, workload, proxy, cpu };
            let mut samples = field.samples()?;
            field.cold(effort, &mut samples).await?;
            field.warm(effort, &mut samples).await?;
            let instructions = field.instructions(&bench.figures()).await?;
            Ok(Figures { effort, target: bench.target.clone(), pinned: cpu.is_some(), functions: samples, instructions })
        })
    };
    thread::scope(|scope| scope.spawn(run).join().map_err(|_| "the measuring thread panicked")?)
}

/// What Lambda sets, the template's variables, and where AWS is.
fn variables(function: &Function, binary: &Path, proxy: &Proxy) -> BTreeMap<String, OsString> {
    let mut variables = BTreeMap::from([
        ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), OsString::from(&proxy.dynamodb)),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER".to_owned(), OsString::from(&proxy.other)),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE".to_owned(), OsString::from(&proxy.other)),
        ("AWS_ENDPOINT_URL_SESV2".to_owned(), OsString::from(&proxy.other)),
        ("SSL_CERT_FILE".to_owned(), proxy.system_roots().into()),
        ("AWS_CA_BUNDLE".to_owned(), proxy.own_root().into()),
        // Node.js knows the system's by heart.
        ("NODE_EXTRA_CA_CERTS".to_owned(), proxy.own_root().into()),
    ]);
    variables.extend(lambda::variables(function, binary, "AKIABENCH"));
    variables
}

/// All that measuring needs.
struct Field {
    programs: Vec<Program>,
    workload: Workload,
    proxy: Proxy,
    cpu: Option<usize>,
}

impl Field {
    fn samples(&self) -> Result<Vec<Samples>> {
        let of = |program: &Program| {
            Ok(Samples { name: program.name.clone(), binary: Binary::read(&program.binary)?, ..Samples::default() })
        };
        self.programs.iter().map(of).collect()
    }

    /// What each program gets to do, `times` in a row. Made before anything is measured, because it makes the shop work.
    async fn work(&mut self, times: usize) -> Result<Vec<Vec<Work>>> {
        let mut all = Vec::new();
        for program in &self.programs {
            let mut work = Vec::new();
            for _ in 0..times {
                work.push(self.workload.next(&program.like).await?);
            }
            all.push(work);
        }
        Ok(all)
    }

    /// Forwards and backwards in turn, so that a machine that becomes slower does so for all.
    fn order(&self, round: usize) -> Vec<usize> {
        let forwards = 0..self.programs.len();
        if round.is_multiple_of(2) { forwards.collect() } else { forwards.rev().collect() }
    }

    async fn cold(&mut self, effort: Effort, samples: &mut [Samples]) -> Result {
        for round in 0..effort.cold {
            eprintln!("start: cold, {} of {}", round + 1, effort.cold);
            let work = self.work(1).await?;
            for which in self.order(round) {
                let samples = &mut samples[which];
                let program = &self.programs[which];
                self.workload.set_up(&program.like).await?;
                let mut session = Session::start(program, &[], self.cpu).await?;
                let (init, init_cpu) = (ms(session.init), ms(session.process.cpu()?));
                let first = ms(session.invoke(&work[which][0]).await?);
                samples.init.push(init);
                samples.first.push(first);
                samples.total.push(init + first);
                samples.init_cpu.push(init_cpu);
                samples.total_cpu.push(ms(session.process.cpu()?));
                drop(session);
                proxy::add(&mut samples.cold_calls, self.proxy.take_calls());
            }
        }
        Ok(())
    }

    async fn warm(&mut self, effort: Effort, samples: &mut [Samples]) -> Result {
        let warm_up = self.work(3).await?;
        let mut sessions = Vec::new();
        for (program, work) in self.programs.iter().zip(&warm_up) {
            let mut session = Session::start(program, &[], self.cpu).await?;
            for work in work {
                self.workload.set_up(&program.like).await?;
                session.invoke(work).await?;
            }
            session.wait_for_next().await?;
            sessions.push(session);
        }
        self.proxy.take_calls();
        for round in 0..effort.warm {
            eprintln!("start: warm, {} of {}", round + 1, effort.warm);
            let work = self.work(effort.block).await?;
            for which in self.order(round) {
                let (session, samples) = (&mut sessions[which], &mut samples[which]);
                let before = session.process.cpu()?;
                for work in &work[which] {
                    self.workload.set_up(&session.name).await?;
                    samples.warm.push(ms(session.invoke(work).await?));
                }
                // What it does between an answer and the next question belongs to the invocation.
                session.wait_for_next().await?;
                samples.warm_cpu.push(ms(session.process.cpu()?.saturating_sub(before)) / count(effort.block));
                proxy::add(&mut samples.warm_calls, self.proxy.take_calls());
            }
        }
        for (session, samples) in sessions.iter().zip(samples) {
            samples.memory = session.process.peak_memory()?;
        }
        Ok(())
    }

    /// How many instructions starts and requests take, as valgrind counts them.
    async fn instructions(&mut self, folder: &Path) -> Result<Option<BTreeMap<String, Instructions>>> {
        if Command::new("valgrind").arg("--version").output().is_err() {
            eprintln!("start: no valgrind here, no instructions are counted");
            return Ok(None);
        }
        fs::create_dir_all(folder)?;
        let file = folder.join("callgrind.out");
        let mut counts = BTreeMap::new();
        for program in self.programs.iter().filter(|program| COUNTED.contains(&program.name.as_str())) {
            eprintln!("start: instructions of {}", program.name);
            let mut totals = Vec::new();
            for requests in [0, 1, 1 + COUNTED_REQUESTS] {
                let mut work = Vec::new();
                for _ in 0..requests {
                    work.push(self.workload.next(&program.like).await?);
                }
                self.workload.set_up(&program.like).await?;
                totals.push(counted(program, &work, &file, self.cpu).await?);
            }
            let [init, one, many] = totals[..] else { continue };
            let first = one.saturating_sub(init);
            let warm = many.saturating_sub(one) / COUNTED_REQUESTS;
            counts.insert(program.name.clone(), Instructions { init, first, warm });
        }
        fs::remove_file(file)?;
        Ok(Some(counts))
    }
}

/// The instructions of a start and this work after it.
async fn counted(program: &Program, work: &[Work], file: &Path, cpu: Option<usize>) -> Result<u64> {
    let mut option = OsString::from("--callgrind-out-file=");
    option.push(file);
    let wrapper = ["valgrind", "--quiet", "--tool=callgrind"].map(OsStr::new);
    let mut session = Session::start(program, &[&wrapper[..], &[&option]].concat(), cpu).await?;
    for work in work {
        session.invoke(work).await?;
    }
    session.wait_for_next().await?;
    session.process.terminate()?;
    let profile = fs::read_to_string(file)?;
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    total.ok_or_else(|| "callgrind wrote no totals".into())
}

/// A function's process and the Runtime API that it talks to.
struct Session {
    name: String,
    process: Process,
    api: RuntimeApi,
    init: Duration,
    /// How many events it has been handed.
    sent: u64,
    /// Ends the Runtime API.
    _stop: DropGuard,
}

impl Session {
    /// Starts the process and waits until it asks for work.
    async fn start(program: &Program, wrapper: &[&OsStr], cpu: Option<usize>) -> Result<Self> {
        let stop = CancellationToken::new();
        let api = RuntimeApi::start(&program.arn, stop.clone()).await?;
        let process = Process::start(program, wrapper, &api.address, cpu)?;
        let name = program.name.clone();
        let mut session = Self { name, process, api, init: Duration::ZERO, sent: 0, _stop: stop.drop_guard() };
        session.init = session.wait_for_next().await? - session.process.started;
        Ok(session)
    }

    /// Waits until it asks for work; tells when it did.
    async fn wait_for_next(&mut self) -> Result<Instant> {
        let Self { name, process, api, .. } = self;
        patiently(name, process, api.ready()).await
    }

    /// How long it takes from the handing over of an event to the whole answer, which is checked.
    async fn invoke(&mut self, work: &Work) -> Result<Duration> {
        self.wait_for_next().await?;
        self.sent += 1;
        let invocation = Invocation {
            request_id: format!("00000000-0000-4000-8000-{:012}", self.sent),
            payload: work.event.clone(),
            trace: "Root=1-6921a0ae-0123456789abcdef01234567;Sampled=0".to_owned(),
            client_context: None,
            timeout: Duration::from_secs(30),
        };
        let sent = Instant::now();
        let answer = self.api.submit(invocation);
        let answer = patiently(&self.name, &mut self.process, answer).await??;
        let Outcome::Payload(payload) = answer.outcome else {
            return Err(format!("{}: {:?}", self.name, answer.outcome).into());
        };
        work.check(&payload).map_err(|fault| format!("{}: {fault}", self.name))?;
        Ok(answer.at - sent)
    }
}

/// What a process is to do, unless it ends or says nothing for too long.
async fn patiently<T>(name: &str, process: &mut Process, expected: impl Future<Output = T>) -> Result<T> {
    let started = Instant::now();
    let mut expected = pin!(expected);
    loop {
        match timeout(Duration::from_millis(200), &mut expected).await {
            Ok(happened) => return Ok(happened),
            Err(_) if started.elapsed() > PATIENCE => return Err(format!("{name}: says nothing").into()),
            Err(_) => {
                if let Some(status) = process.exited() {
                    return Err(format!("{name}: ended with {status}").into());
                }
            }
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub fn chapter(figures: &Figures) -> Chapter {
    let Figures { effort, target, pinned, functions, instructions } = figures;
    let mut chapter = Chapter { title: "Starts", ..Chapter::default() };
    let find = |name: &str| functions.iter().find(|samples| samples.name == name);
    let (Some(hello), Some(get_item)) = (find(HELLO), find(GET_ITEM)) else {
        return chapter;
    };

    let ratio = |values: &[f64], base: &[f64]| {
        let Ratio { median, quartiles: (low, high) } = Ratio::of(values, base);
        format!("{median:.2} ({low:.2}–{high:.2})")
    };
    let rows = functions.iter().map(|its| {
        vec![
            label(&its.name),
            ratio(&its.init, &hello.init),
            ratio(&its.total, &hello.total),
            ratio(&its.total_cpu, &hello.total_cpu),
            ratio(&its.total, &get_item.total),
        ]
    });
    chapter.ratios = format!(
        "Each function against `hello`, the least that a function on `lambda_runtime` can be, and against `get-item`, the least \
         that one with DynamoDB behind TLS can be. A cold start is a new process, from its start to its first answer. In \
         brackets, the quartiles of the ratios of neighbouring samples.\n\n{}",
        table(&["function", "init ÷ hello", "cold start ÷ hello", "its CPU time ÷ hello", "cold start ÷ get-item"], rows)
    );

    let cold = Bars {
        title: "A cold start, on one CPU and over TLS",
        unit: "ms, medians",
        series: &["from the process's start until it asks for work", "its first request"],
        rows: functions
            .iter()
            .map(|its| {
                let (init, total) = (median(&its.init), median(&its.total));
                Row::new(label(&its.name), [init, total - init])
            })
            .collect(),
    };
    let warm = Bars {
        title: "A warm request: the function's CPU time",
        unit: "ms, medians",
        series: &["CPU time"],
        rows: functions.iter().map(|its| Row::new(label(&its.name), [median(&its.warm_cpu)])).collect(),
    };
    let sizes = Bars {
        title: "The size of a binary",
        unit: "MiB",
        series: &["size"],
        rows: functions.iter().map(|its| Row::new(label(&its.name), [count(its.binary.bytes) / 1024.0 / 1024.0])).collect(),
    };
    let shown = [HELLO, "authorizer", "auth-me", "product-get", "order-create", "auth-refresh", GET_ITEM];
    let shown = shown.into_iter().filter_map(find);
    let summary = Bars {
        title: "From nothing to the first answer, against the least function in Rust",
        unit: "times hello; floor-get-item is what the SDK does by itself",
        series: &["cold start"],
        rows: shown.map(|its| Row::new(label(&its.name), [Ratio::of(&its.total, &hello.total).median])).collect(),
    };
    chapter.pictures = vec![(SUMMARY, summary.svg()), ("cold", cold.svg()), ("warm", warm.svg()), ("sizes", sizes.svg())];
    if let (Some(get), Some(create), Some(authorizer)) = (find("product-get"), find("order-create"), find("authorizer")) {
        let times = |its: &Samples| format!("{:.1}", Ratio::of(&its.total, &hello.total).median);
        chapter.remember = vec![
            format!(
                "A cold start of `GET /products/{{product_id}}`, with DynamoDB behind TLS, takes {} times as long as that of the least \
                 function there can be; `POST /orders` takes {}, and what checks every token {}.",
                times(get),
                times(create),
                times(authorizer)
            ),
            format!(
                "Warm, `GET /products/{{product_id}}` takes {} ms of CPU time, one call to DynamoDB, and {} MiB of memory.",
                figure(median(&get.warm_cpu)),
                figure(get.memory / 1024.0)
            ),
        ];
    }

    let times = functions.iter().map(|its| {
        vec![
            label(&its.name),
            figure(median(&its.init)),
            figure(median(&its.first)),
            figure(median(&its.total)),
            figure(median(&its.total_cpu)),
            figure(median(&its.warm)),
            figure(quantile(&its.warm, 0.99)),
            figure(median(&its.warm_cpu)),
            figure(its.memory / 1024.0),
        ]
    });
    let costs = functions.iter().map(|its| {
        let requests = count(its.warm.len());
        let per_request = |wanted: fn(&str) -> bool| {
            let wanted = its.warm_calls.iter().filter(|(operation, _)| wanted(operation));
            figure(wanted.map(|(_, tally)| tally.capacity_units).sum::<f64>() / requests)
        };
        vec![
            label(&its.name),
            operations(&its.cold_calls, count(its.total.len())),
            operations(&its.warm_calls, requests),
            per_request(reads),
            per_request(|operation| !reads(operation)),
        ]
    });
    let ingredients = functions.iter().map(|its| {
        let has = |(name, _): &(&str, &str)| if its.binary.ingredients.iter().any(|has| has == name) { "×" } else { "" };
        let sized = [label(&its.name), (its.binary.bytes / 1024).to_string()];
        sized.into_iter().chain(INGREDIENTS.iter().map(|ingredient| has(ingredient).to_owned())).collect()
    });
    let instructions = match instructions {
        Some(counts) => {
            let millions = |instructions: u64| figure(count(instructions) / 1e6);
            let rows = functions.iter().filter_map(|its| {
                let of = *counts.get(&its.name)?;
                let ratio = count(of.start()) / count(counts.get(HELLO)?.start());
                let phases = [of.init, of.first, of.warm, of.start()].map(millions);
                Some([label(&its.name)].into_iter().chain(phases).chain([format!("{ratio:.1}")]).collect())
            });
            format!(
                "Millions of instructions, as callgrind counts them, which knows no instructions for hashes: what cryptography takes \
                 is less on a CPU of today.\n\n{}",
                table(
                    &["function", "until it asks for work", "first request", "warm request", "start and one request", "÷ hello"],
                    rows
                )
            )
        }
        None => "Instructions were not counted: there was no valgrind.\n".to_owned(),
    };
    let names: Vec<_> = INGREDIENTS.iter().map(|(name, _)| *name).collect();
    chapter.figures = format!(
        "{} cold starts of each function and {} warm requests, taken in turns; milliseconds, medians, and MiB.\n\n\
         ![Cold starts](benchmarks/cold.svg)\n\n{}\n![CPU time of warm requests](benchmarks/warm.svg)\n\n\
         Calls to DynamoDB and Secrets Manager, and capacity units per warm request:\n\n{}\n{instructions}\n\
         What each binary carries, and its size in KiB:\n\n{}\n![Sizes](benchmarks/sizes.svg)\n",
        effort.cold,
        effort.warm * effort.block,
        table(
            &["function", "init", "first request", "cold start", "its CPU", "warm p50", "warm p99", "warm CPU", "memory"],
            times
        ),
        table(&["function", "first request", "warm request", "read units", "write units"], costs),
        table(&[&["function", "size"], &names[..]].concat(), ingredients),
    );
    let [plain, connected] = CONNECTED;
    chapter.meaning = format!(
        "- The functions are built for {}, and both floors as Rust builds by itself.\n\
         - `init` is what Lambda calls the init phase, without what AWS does around it: from the start of the process until it asks \
         for work. The first request makes the connection and shakes hands; where tokens are checked or made, it reads the signing \
         secret, too.\n\
         - The functions run {}. All answers are checked; what a function uses up is made anew outside of the measured time.\n\
         - The functions trust Amazon's roots and the one of the bench, `get-item` those of the system and the one of the bench, as \
         its library does unless told: a good part of what it takes longer to start. DynamoDB and Secrets Manager are the local shop's, so that a warm request's time is mostly theirs: it compares \
         within one table only, and the CPU time says more about a function.\n\
         - `{connected}` is `{plain}` with `WarmConnections`: the connection is made before it asks for work, at a full CPU on Lambda, and its first \
         request waits for no handshake.\n\
         - Ratios travel to other machines and milliseconds do not. On Lambda, 1,769 MB of memory are one CPU: at 128 MB, the same \
         work takes up to 14 times as long.\n\
         - What a binary carries shows in the text in it: argon2 is only where passwords are.\n",
        target.as_deref().unwrap_or("this machine as well"),
        if *pinned { "on a CPU of their own, which the shop and the bench keep off" } else { "on the only CPU that there is" },
    );
    chapter
}

/// What a warm request of a function costs.
pub struct Cost {
    pub function: String,
    /// CPU time in milliseconds.
    pub cpu: f64,
    /// How often each operation was asked for.
    pub calls: Vec<(String, f64)>,
    pub read_units: f64,
    pub write_units: f64,
}

pub fn costs(figures: &Figures) -> Vec<Cost> {
    let cost = |its: &Samples| {
        let requests = count(its.warm.len());
        let units = |wanted: bool| {
            let wanted = its.warm_calls.iter().filter(|(operation, _)| reads(operation) == wanted);
            wanted.map(|(_, tally)| tally.capacity_units).sum::<f64>() / requests
        };
        Cost {
            function: its.name.clone(),
            cpu: median(&its.warm_cpu),
            calls: its.warm_calls.iter().map(|(operation, tally)| (operation.clone(), count(tally.calls) / requests)).collect(),
            read_units: units(true),
            write_units: units(false),
        }
    };
    figures.functions.iter().map(cost).collect()
}

/// A function as the report calls it.
pub fn label(name: &str) -> String {
    name.strip_prefix("floor-").unwrap_or(name).to_owned()
}

fn reads(operation: &str) -> bool {
    operation.ends_with("GetItem") || operation == "Query"
}

/// Such as `2 Query, TransactWriteItems`; what happens now and then only, with its share.
fn operations(calls: &Calls, requests: f64) -> String {
    if calls.is_empty() {
        return "–".into();
    }
    let named = calls.iter().map(|(operation, tally)| {
        let each = count(tally.calls) / requests;
        if (each - 1.0).abs() < 1e-9 { operation.clone() } else { format!("{} {operation}", figure(each)) }
    });
    named.collect::<Vec<_>>().join(", ")
}
