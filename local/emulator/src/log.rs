//! What happened lately: requests and the functions' own lines, printed and in memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use console::style;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::exchange::Exchange;
use crate::ids;
use crate::print::{Clock, Printer, Verbosity};
use crate::usage::Usage;

/// How many requests and how many lines are remembered.
const REMEMBERED: usize = 10_000;

/// How long the line may take that a function writes about a request, after its answer; and what a function that ended has written.
const LINE_LIMIT: Duration = Duration::from_secs(1);
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(100);
/// Of how many requests it is remembered what they and their answers said.
const EXCHANGES: usize = 1_000;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestRecord {
    pub request_id: String,
    /// When it came, in milliseconds since 1970.
    pub received_at: u64,
    pub method: String,
    pub path: String,
    /// As it was sent, without secrets.
    pub query: String,
    /// Such as `GET /books/{book_id}`, if there is one.
    pub route: Option<String>,
    /// What the authorizer said of the caller.
    pub caller: Map<String, Value>,
    pub status: u16,
    /// What an answer of 400 or more said, if that was JSON.
    pub problem: Value,
    /// Where the answer said that something is.
    pub location: Option<String>,
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
    /// The faults that were put in the way of those calls, such as `throttle GetItem`.
    pub faults: Vec<String>,
    /// Why the gateway has answered by itself that something failed.
    pub failure: Option<Failed>,
}

/// Which function failed a request, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The binary.
    pub function: String,
    /// `Runtime exited: signal: 9 (SIGKILL)`.
    pub how: String,
}

impl RequestRecord {
    pub fn add(&mut self, invocation: String, usage: Usage) {
        self.invocations.push(invocation);
        self.calls += u32::try_from(usage.operations.len()).unwrap_or(u32::MAX);
        self.operations.extend(usage.operations);
        self.read_units += usage.read_units;
        self.write_units += usage.write_units;
        self.faults.extend(usage.faults);
    }

    fn least(&self) -> Verbosity {
        if self.status < 500 { Verbosity::Everything } else { Verbosity::Failures }
    }

    fn fields(&self) -> serde_json::Value {
        json!({
            "time": ids::timestamp(self.received_at),
            "request_id": self.request_id,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "status": self.status,
            "duration_ms": milliseconds(self.duration),
            "function": self.function,
            "cold": self.cold,
            "calls": self.calls,
            "read_units": self.read_units,
            "write_units": self.write_units,
            "faults": self.faults,
        })
    }
}

/// `10:12:31.042Z POST /books?draft 201  4.2 ms  book-create  warm  2 calls  0.5 RCU  6 WCU  throttle GetItem  JKJaXmPLvHcESHA=`
impl fmt::Display for RequestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status {
            200..400 => style(self.status).green(),
            400..500 => style(self.status).yellow(),
            _ => style(self.status).red(),
        };
        write!(f, "{} {} {}", Clock(self.received_at), self.method, self.path)?;
        if !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        write!(f, " {status}  {}", Millis(self.duration))?;
        if let Some(function) = &self.function {
            write!(f, "  {function}  {}", Start { cold: self.cold })?;
        }
        cost(f, self.calls as usize, self.read_units, self.write_units)?;
        met(f, &self.faults)?;
        write!(f, "  {}", style(&self.request_id).dim())
    }
}

/// One time that a schedule called its function.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledRun {
    /// When it was over, in milliseconds since 1970.
    pub at: u64,
    /// `rate(15 minutes)`.
    pub schedule: String,
    /// The binary.
    pub function: String,
    pub cold: bool,
    pub duration: Duration,
    pub usage: Usage,
}

impl ScheduledRun {
    fn fields(&self) -> serde_json::Value {
        json!({
            "time": ids::timestamp(self.at),
            "schedule": self.schedule,
            "function": self.function,
            "cold": self.cold,
            "duration_ms": milliseconds(self.duration),
            "calls": self.usage.operations.len(),
            "read_units": self.usage.read_units,
            "write_units": self.usage.write_units,
            "faults": self.usage.faults,
        })
    }
}

/// `10:12:31.042Z rate(15 minutes)  loan-expire  cold  12.0 ms  3 calls  1.5 RCU  4 WCU`
impl fmt::Display for ScheduledRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, schedule, function, cold, duration, usage } = self;
        write!(f, "{} {schedule}  {function}  {}  {}", Clock(*at), Start { cold: *cold }, Millis(*duration))?;
        cost(f, usage.operations.len(), usage.read_units, usage.write_units)?;
        met(f, &usage.faults)
    }
}

struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ms", milliseconds(self.0))
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
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

/// The faults, if there were any.
fn met(f: &mut fmt::Formatter<'_>, faults: &[String]) -> fmt::Result {
    if faults.is_empty() { Ok(()) } else { write!(f, "  {}", style(faults.join(", ")).magenta()) }
}

/// A line that a function wrote, or that Lambda wrote about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub time: SystemTime,
    /// The function's binary.
    pub function: String,
    /// The log stream of the environment that wrote it, or that it is about.
    pub stream: Option<String>,
    pub text: String,
}

impl LogLine {
    /// Whether it names the request, or is Lambda's own about one of its invocations.
    fn is_about(&self, record: &RequestRecord) -> bool {
        record.invocations.iter().chain([&record.request_id]).any(|id| self.text.contains(id.as_str()))
    }

    /// What it says about why a request failed.
    fn reason(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Line {
            /// What went wrong.
            error: Option<String>,
            /// What the client was told.
            code: Option<String>,
        }
        let Line { error, code } = serde_json::from_str(&self.text).ok()?;
        error.or(code)
    }
}

/// One by default prints nothing.
#[derive(Default)]
pub struct Log {
    printer: Arc<Printer>,
    requests: Mutex<Ring<RequestRecord>>,
    exchanges: Mutex<Ring<Exchange>>,
    lines: Mutex<Ring<LogLine>>,
    /// Changes with every line.
    arrived: watch::Sender<()>,
}

impl Log {
    pub fn new(printer: Arc<Printer>) -> Self {
        Self { printer, exchanges: Mutex::new(Ring::of(EXCHANGES)), ..Self::default() }
    }

    pub fn request(&self, record: RequestRecord) {
        self.printer.say(record.least(), "request", &record, || record.fields());
        lock(&self.requests).push(record);
    }

    pub fn exchange(&self, exchange: Exchange) {
        lock(&self.exchanges).push(exchange);
    }

    pub fn run(&self, run: &ScheduledRun) {
        self.printer.say(Verbosity::Everything, "run", run, || run.fields());
    }

    pub fn line(&self, function: &str, text: &str) {
        self.output(function, None, text);
    }

    /// A line of one environment's log stream.
    pub fn output(&self, function: &str, stream: Option<&str>, text: &str) {
        if let Some(least) = least(text) {
            self.printer.pass_on(least, function, text);
        }
        let (function, stream, text) = (function.to_owned(), stream.map(str::to_owned), text.to_owned());
        let line = LogLine { time: SystemTime::now(), function, stream, text };
        lock(&self.lines).push(line);
        self.arrived.send_replace(());
    }

    /// Prints why a request was answered that something failed, as soon as that is known.
    pub async fn explain(&self, record: &RequestRecord) {
        if record.status < 500 || !self.printer.prints(Verbosity::Failures) {
            return;
        }
        let limit = if record.failure.is_some() { LAST_WORDS_LIMIT } else { LINE_LIMIT };
        let explains = |line: &LogLine| line.is_about(record) && line.reason().is_some();
        let logged = tokio::time::timeout(limit, self.line_like(explains)).await.ok().flatten();
        let logged = logged.and_then(|line| Some((line.reason()?, line.function)));
        let (reason, function) = match (logged, &record.failure) {
            (Some(logged), _) => logged,
            (None, Some(failure)) => (self.ending(record, failure), failure.function.clone()),
            (None, None) => return,
        };
        let status = record.status;
        let text = format!(
            "{} {} {function}: {reason}  {}",
            Clock(ids::now_millis()),
            style(format!("why {status}:")).red(),
            style(&record.request_id).dim()
        );
        let fields = || json!({"request_id": record.request_id, "status": record.status, "function": function, "reason": reason});
        self.printer.say(Verbosity::Failures, "failure", text, fields);
    }

    /// How a function ended, and what it wrote last.
    fn ending(&self, record: &RequestRecord, Failed { function, how }: &Failed) -> String {
        let since = UNIX_EPOCH + Duration::from_millis(record.received_at);
        let lines = lock(&self.lines);
        let its = lines.items().rev().filter(|line| line.function == *function).take_while(|line| line.time >= since);
        // Lambda's own line says the same, and what a panic notes below its message is no reason.
        let mut words =
            its.filter(|line| !(line.text.is_empty() || line.text.starts_with("RequestId: ") || line.text.starts_with("note: ")));
        words.next().map_or_else(|| how.clone(), |last| format!("{how}, after writing: {}", last.text))
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

    /// What a request and its answer said, if it is one of the latest.
    pub fn exchange_of(&self, request_id: &str) -> Option<Exchange> {
        let exchanges = lock(&self.exchanges);
        exchanges.items.iter().rev().find(|exchange| exchange.request_id == request_id).cloned()
    }

    /// What the latest requests and their answers said, oldest first.
    pub fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.exchanges).items.iter().cloned().collect()
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

    /// The lines that came after the first `seen`, but only the latest `limit` of them, and how many have come in all.
    pub fn lines_after(&self, seen: u64, limit: usize) -> (Vec<LogLine>, u64) {
        lock(&self.lines).after(seen, limit)
    }

    /// The lines about a request: those that name it, and Lambda's own about its invocations.
    pub fn lines_about(&self, record: &RequestRecord) -> Vec<LogLine> {
        lock(&self.lines).items.iter().filter(|line| line.is_about(record)).cloned().collect()
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

/// What the function's line is printed at, if it is: one about a request that went well says the same as the gateway's.
fn least(text: &str) -> Option<Verbosity> {
    #[derive(Deserialize)]
    struct Line {
        level: String,
        request_id: Option<String>,
    }
    match serde_json::from_str(text) {
        Ok(Line { level, request_id: Some(_) }) if level == "INFO" => None,
        Ok(Line { level, .. }) if ["INFO", "DEBUG", "TRACE"].contains(&&*level) => Some(Verbosity::Everything),
        _ => Some(Verbosity::Failures),
    }
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
            request_id: "JKJaXmPLvHcESHA=".into(),
            received_at: 1_700_000_000_042,
            method: "POST".into(),
            path: "/books".into(),
            status: 201,
            duration: Duration::from_micros(4_240),
            ..RequestRecord::default()
        };
        assert_eq!(record.to_string(), "22:13:20.042Z POST /books 201  4.2 ms  JKJaXmPLvHcESHA=");

        record.function = Some("book-create".into());
        record.query = "draft=1".into();
        let operations = vec!["GetItem".into(), "PutItem".into()];
        let faults = vec!["delay GetItem".into(), "lost PutItem".into()];
        record.add("a".into(), Usage { operations, read_units: 0.5, write_units: 6.0, faults, ..Usage::default() });
        assert_eq!(
            record.to_string(),
            "22:13:20.042Z POST /books?draft=1 201  4.2 ms  book-create  warm  2 calls  0.5 RCU  6 WCU  delay GetItem, lost PutItem  \
             JKJaXmPLvHcESHA="
        );
    }

    #[test]
    fn a_run_is_one_line() {
        console::set_colors_enabled(false);
        let usage = Usage { operations: vec!["Query".into(); 3], read_units: 1.5, write_units: 4.0, ..Usage::default() };
        let run = ScheduledRun {
            at: 1_700_000_000_042,
            schedule: "rate(15 minutes)".into(),
            function: "loan-expire".into(),
            cold: true,
            duration: Duration::from_millis(12),
            usage,
        };
        assert_eq!(run.to_string(), "22:13:20.042Z rate(15 minutes)  loan-expire  cold  12.0 ms  3 calls  1.5 RCU  4 WCU");
    }

    #[test]
    fn lines_about_requests_that_went_well_are_not_printed() {
        for (text, expected) in [
            (r#"{"level":"INFO","request_id":"a","status":200}"#, None),
            (r#"{"level":"ERROR","request_id":"a","status":500}"#, Some(Verbosity::Failures)),
            (r#"{"level":"INFO","message":"b"}"#, Some(Verbosity::Everything)),
            ("started", Some(Verbosity::Failures)),
        ] {
            assert_eq!(least(text), expected, "{text}");
        }
    }

    #[test]
    fn a_function_that_ended_is_told_with_its_last_words() {
        let log = Log::default();
        let record = RequestRecord { received_at: ids::now_millis(), ..RequestRecord::default() };
        let failed = Failed { function: "book-get".into(), how: "Runtime exited: exit status: 101".into() };
        assert_eq!(log.ending(&record, &failed), "Runtime exited: exit status: 101");
        log.line("book-get", "thread 'main' panicked at src/main.rs:3:5:");
        log.line("book-get", "no shelf");
        log.line("book-get", "note: run with `RUST_BACKTRACE=1`");
        log.line("book-put", "another's");
        log.line("book-get", "RequestId: 0c1e Error: Runtime exited: exit status: 101");
        assert_eq!(log.ending(&record, &failed), "Runtime exited: exit status: 101, after writing: no shelf");
        let later = RequestRecord { received_at: ids::now_millis() + 60_000, ..RequestRecord::default() };
        assert_eq!(log.ending(&later, &failed), "Runtime exited: exit status: 101", "what it wrote before is no reason");
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
        let log = Log::default();
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
        let log = Log::default();
        log.line("book-get", r#"{"request_id":"abc="}"#);
        log.line("book-get", r#"{"request_id":"other"}"#);
        log.line("book-get", "RequestId: 0c1e Error: Runtime exited: signal: 9");
        let record = RequestRecord { request_id: "abc=".into(), invocations: vec!["0c1e".into()], ..RequestRecord::default() };
        let about: Vec<_> = log.lines_about(&record).into_iter().map(|line| line.text).collect();
        assert_eq!(about, [r#"{"request_id":"abc="}"#, "RequestId: 0c1e Error: Runtime exited: signal: 9"]);
    }
}
