//! What happened lately: a line per request on stdout, the functions' own lines on stderr, and both in memory.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use console::style;
use serde::Deserialize;
use tokio::sync::watch;

use crate::usage::Usage;

/// How many requests and how many lines are remembered.
const REMEMBERED: usize = 10_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestRecord {
    pub request_id: String,
    /// When it came, in milliseconds since 1970.
    pub received_at: u64,
    pub method: String,
    pub path: String,
    pub status: u16,
    /// From the end of the request's head to the start of the answer.
    pub duration: Duration,
    /// The binary that answered, if the request came as far as that.
    pub function: Option<String>,
    /// Whether an environment had to be started for it.
    pub cold: bool,
    /// The ids of its invocations: of the authorizer, unless its answer was cached, and of the function.
    pub invocations: Vec<String>,
    /// What the function and its authorizer asked DynamoDB for.
    pub calls: u32,
    pub operations: Vec<String>,
    pub read_units: f64,
    pub write_units: f64,
}

impl RequestRecord {
    pub fn add(&mut self, invocation: String, usage: Usage) {
        self.invocations.push(invocation);
        self.calls += u32::try_from(usage.operations.len()).unwrap_or(u32::MAX);
        self.operations.extend(usage.operations);
        self.read_units += usage.read_units;
        self.write_units += usage.write_units;
    }
}

/// `POST /books 201  4.2 ms  book-create  warm  2 calls  0.5 RCU  6 WCU`
impl fmt::Display for RequestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            200..400 => style(self.status).green(),
            400..500 => style(self.status).yellow(),
            _ => style(self.status).red(),
        };
        write!(f, "{} {} {status}  {}", self.method, self.path, Millis(self.duration))?;
        if let Some(function) = &self.function {
            write!(f, "  {function}  {}", Start { cold: self.cold })?;
        }
        cost(f, self.calls as usize, self.read_units, self.write_units)
    }
}

/// One time that a schedule called its function.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledRun {
    /// `rate(15 minutes)`.
    pub schedule: String,
    /// The binary.
    pub function: String,
    pub cold: bool,
    pub duration: Duration,
    pub usage: Usage,
}

/// `rate(15 minutes)  loan-expire  cold  12.0 ms  3 calls  1.5 RCU  4 WCU`
impl fmt::Display for ScheduledRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schedule, function, cold, duration, usage } = self;
        write!(f, "{schedule}  {function}  {}  {}", Start { cold: *cold }, Millis(*duration))?;
        cost(f, usage.operations.len(), usage.read_units, usage.write_units)
    }
}

struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", self.0.as_secs_f64() * 1000.0)
    }
}

struct Start {
    cold: bool,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", if self.cold { style("cold").cyan() } else { style("warm").dim() })
    }
}

/// What was asked of DynamoDB; nothing if that was nothing.
fn cost(f: &mut fmt::Formatter<'_>, calls: usize, read_units: f64, write_units: f64) -> fmt::Result {
    match calls {
        0 => {}
        1 => write!(f, "  1 call")?,
        calls => write!(f, "  {calls} calls")?,
    }
    for (units, name) in [(read_units, "RCU"), (write_units, "WCU")] {
        if units > 0.0 {
            write!(f, "  {units} {name}")?;
        }
    }
    Ok(())
}

/// A line that a function wrote, or that Lambda wrote about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub time: SystemTime,
    /// The function's binary.
    pub function: String,
    pub text: String,
}

pub struct Log {
    quiet: bool,
    requests: Mutex<Ring<RequestRecord>>,
    lines: Mutex<Ring<LogLine>>,
    /// Changes with every line.
    arrived: watch::Sender<()>,
}

impl Log {
    /// A quiet log remembers and prints nothing.
    pub fn new(quiet: bool) -> Self {
        Self { quiet, requests: Mutex::default(), lines: Mutex::default(), arrived: watch::Sender::default() }
    }

    pub fn request(&self, record: RequestRecord) {
        if !self.quiet {
            // A closed terminal is no reason to stop serving.
            let _ = writeln!(std::io::stdout(), "{record}");
        }
        lock(&self.requests).push(record);
    }

    pub fn run(&self, run: &ScheduledRun) {
        if !self.quiet {
            let _ = writeln!(std::io::stdout(), "{run}");
        }
    }

    pub fn line(&self, function: &str, text: &str) {
        if !self.quiet && !is_request_line(text) {
            let name = style(format!("[{function}]")).for_stderr().dim();
            let _ = writeln!(std::io::stderr(), "{name} {text}");
        }
        let line = LogLine { time: SystemTime::now(), function: function.to_owned(), text: text.to_owned() };
        lock(&self.lines).push(line);
        self.arrived.send_replace(());
    }

    pub fn requests(&self) -> Vec<RequestRecord> {
        lock(&self.requests).items.iter().cloned().collect()
    }

    /// The requests that came after the first `seen`, but only the latest `limit` of them, and how many have come in all.
    pub fn requests_after(&self, seen: u64, limit: usize) -> (Vec<RequestRecord>, u64) {
        lock(&self.requests).after(seen, limit)
    }

    pub fn find(&self, request_id: &str) -> Option<RequestRecord> {
        let requests = lock(&self.requests);
        requests.items.iter().rev().find(|record| record.request_id == request_id).cloned()
    }

    /// The first line that is wanted, there already or still to come.
    pub async fn line_like(&self, wanted: impl Fn(&LogLine) -> bool) -> Option<LogLine> {
        let mut arrived = self.arrived.subscribe();
        loop {
            let found = lock(&self.lines).items.iter().find(|line| wanted(line)).cloned();
            if found.is_some() {
                return found;
            }
            arrived.changed().await.ok()?;
        }
    }

    pub fn lines(&self) -> Vec<LogLine> {
        lock(&self.lines).items.iter().cloned().collect()
    }

    /// The lines about a request: those that name it, and Lambda's own about its invocations.
    pub fn lines_about(&self, record: &RequestRecord) -> Vec<LogLine> {
        let ids = || record.invocations.iter().chain([&record.request_id]);
        let about = |line: &&LogLine| ids().any(|id| line.text.contains(id.as_str()));
        lock(&self.lines).items.iter().filter(about).cloned().collect()
    }
}

/// The latest of something, oldest first.
pub struct Ring<T> {
    items: VecDeque<T>,
    /// How many there were before those.
    forgotten: u64,
    /// How many are remembered.
    limit: usize,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self::of(REMEMBERED)
    }
}

impl<T> Ring<T> {
    /// One that remembers so many.
    pub fn of(limit: usize) -> Self {
        Self { items: VecDeque::new(), forgotten: 0, limit }
    }

    pub fn items(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.items.iter()
    }

    pub fn items_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut T> {
        self.items.iter_mut()
    }

    pub fn push(&mut self, item: T) {
        if self.items.len() == self.limit {
            self.items.pop_front();
            self.forgotten += 1;
        }
        self.items.push_back(item);
    }

    /// How many there have been in all.
    pub fn total(&self) -> u64 {
        self.forgotten + self.items.len() as u64
    }
}

impl<T: Clone> Ring<T> {
    /// Those that came after the first `seen`, but only the latest `limit` of them, and how many have come in all.
    pub fn after(&self, seen: u64, limit: usize) -> (Vec<T>, u64) {
        let new = usize::try_from(self.total().saturating_sub(seen)).unwrap_or(usize::MAX).min(limit);
        let known = self.items.len().saturating_sub(new);
        (self.items.iter().skip(known).cloned().collect(), self.total())
    }
}

/// Whether it is a function's own line about a request that went well: the gateway's says the same.
fn is_request_line(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Line {
        level: String,
        #[serde(rename = "request_id")]
        _request_id: String,
    }
    serde_json::from_str::<Line>(text).is_ok_and(|line| line.level == "INFO")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can be left half done, so a panic elsewhere does no harm.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line() {
        console::set_colors_enabled(false);
        let mut record = RequestRecord {
            method: "POST".into(),
            path: "/books".into(),
            status: 201,
            duration: Duration::from_micros(4_240),
            ..RequestRecord::default()
        };
        assert_eq!(record.to_string(), "POST /books 201  4.2 ms");

        record.function = Some("book-create".into());
        let operations = vec!["GetItem".into(), "PutItem".into()];
        record.add("a".into(), Usage { operations, read_units: 0.5, write_units: 6.0, ..Usage::default() });
        assert_eq!(record.to_string(), "POST /books 201  4.2 ms  book-create  warm  2 calls  0.5 RCU  6 WCU");
    }

    #[test]
    fn a_run_is_one_line() {
        console::set_colors_enabled(false);
        let usage = Usage { operations: vec!["Query".into(); 3], read_units: 1.5, write_units: 4.0, ..Usage::default() };
        let run = ScheduledRun {
            schedule: "rate(15 minutes)".into(),
            function: "loan-expire".into(),
            cold: true,
            duration: Duration::from_millis(12),
            usage,
        };
        assert_eq!(run.to_string(), "rate(15 minutes)  loan-expire  cold  12.0 ms  3 calls  1.5 RCU  4 WCU");
    }

    #[test]
    fn lines_about_requests_that_went_well_are_not_printed() {
        assert!(is_request_line(r#"{"level":"INFO","request_id":"a","status":200}"#));
        for text in [r#"{"level":"ERROR","request_id":"a","status":500}"#, r#"{"level":"INFO","message":"b"}"#, "started"] {
            assert!(!is_request_line(text), "{text}");
        }
    }

    #[test]
    fn only_the_latest_are_remembered() {
        let mut ring = Ring::default();
        for number in 0..REMEMBERED + 5 {
            ring.push(number);
        }
        assert_eq!((ring.items.len(), ring.items.front()), (REMEMBERED, Some(&5)));
    }

    #[test]
    fn whoever_has_seen_some_requests_is_told_the_others() {
        let log = Log::new(true);
        let after = |seen, limit| {
            let (requests, total) = log.requests_after(seen, limit);
            (requests.into_iter().map(|record| record.request_id).collect::<Vec<_>>().join(" "), total)
        };
        assert_eq!(after(0, 3), (String::new(), 0));
        for number in 0..REMEMBERED + 5 {
            log.request(RequestRecord { request_id: number.to_string(), ..RequestRecord::default() });
        }
        assert_eq!(after(10_003, 3), ("10003 10004".into(), 10_005));
        assert_eq!(after(0, 3), ("10002 10003 10004".into(), 10_005));
        assert_eq!(after(0, usize::MAX).0.split(' ').count(), REMEMBERED);
        assert_eq!(after(10_005, 3), (String::new(), 10_005));
        assert_eq!(after(u64::MAX, 3), (String::new(), 10_005));
    }

    #[test]
    fn lines_are_about_the_request_that_they_name() {
        let log = Log::new(true);
        log.line("book-get", r#"{"request_id":"abc="}"#);
        log.line("book-get", r#"{"request_id":"other"}"#);
        log.line("book-get", "RequestId: 0c1e Error: Runtime exited: signal: 9");
        let record = RequestRecord { request_id: "abc=".into(), invocations: vec!["0c1e".into()], ..RequestRecord::default() };
        let about: Vec<_> = log.lines_about(&record).into_iter().map(|line| line.text).collect();
        assert_eq!(about, [r#"{"request_id":"abc="}"#, "RequestId: 0c1e Error: Runtime exited: signal: 9"]);
    }
}
