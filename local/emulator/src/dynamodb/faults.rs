//! Fault injection: what DynamoDB may answer any call with, made on purpose and in an order that a seed repeats.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::errors;
use super::request::targets;
use super::torn::{Tear, can_tear};
use crate::value::milliseconds;

/// How long a delayed answer takes unless the specification says so.
const DELAY: Duration = Duration::from_millis(100);

/// How much of time a torn read takes in unless the specification says so.
const GAP: Duration = Duration::from_millis(10);

/// What can go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Another transaction has the item. Happens to writes of single items and to transactions, those that only read included.
    Conflict,
    /// More calls than the table has capacity for.
    Throttle,
    /// DynamoDB fails before it has done anything.
    Error,
    /// DynamoDB has done it, and answers that it failed.
    Lost,
    /// DynamoDB has done it, and the connection ends before the answer.
    Drop,
    /// DynamoDB has done it, and answers late.
    Delay,
    /// DynamoDB has done it, and whoever has called is killed before the answer. No function can make up for it, so that a share alone
    /// has none of it.
    Kill,
    /// DynamoDB answers a read of several items with each as it was at another instant, as it may. No failure, so that a call may
    /// meet it with any other.
    Torn,
}

impl FaultKind {
    pub const ALL: [Self; 8] =
        [Self::Conflict, Self::Throttle, Self::Error, Self::Lost, Self::Drop, Self::Delay, Self::Kill, Self::Torn];

    /// What a call can meet only one of.
    fn failures() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| *kind != Self::Torn)
    }

    /// What a share alone is spread over.
    fn of_a_share_alone() -> impl Iterator<Item = Self> {
        Self::failures().filter(|kind| *kind != Self::Kill)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Throttle => "throttle",
            Self::Error => "error",
            Self::Lost => "lost",
            Self::Drop => "drop",
            Self::Delay => "delay",
            Self::Kill => "kill",
            Self::Torn => "torn",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which faults the functions' calls meet, and how many of a hundred.
///
/// Written `seed=7,conflict=2%,throttle=2%,error=2%,lost=2%,drop=1%,delay=1%:50ms,kill=1%,torn=100%:10ms`. All parts may be left out;
/// a share alone, such as `10%`, is spread over all kinds but `kill` and `torn`, and a later part overrides an earlier one. The share
/// of `torn` is one of all reads of several items. Without a seed, chance picks one.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    pub seed: u64,
    /// Percent of all calls. Those of failures are together no more than a hundred: no call meets two.
    shares: BTreeMap<FaultKind, f64>,
    delay: Duration,
    gap: Duration,
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Half as long as it might be, because somebody will have to type it.
        let mut faults = Self { seed: rand::random::<u32>().into(), shares: BTreeMap::new(), delay: DELAY, gap: GAP };
        for part in text.split(',') {
            match part.split_once('=') {
                None => {
                    // Hundredths, so that what is printed can be typed again.
                    let (whole, kinds) = (percent(part)?, FaultKind::of_a_share_alone().map(|_| 1.0).sum::<f64>());
                    let each = (whole / kinds * 100.0).floor() / 100.0;
                    faults.shares = FaultKind::of_a_share_alone().map(|kind| (kind, each)).collect();
                }
                Some(("seed", seed)) => faults.seed = seed.parse().map_err(|_| format!("{seed:?} is no seed: a whole number"))?,
                Some((name, value)) => {
                    let kind = FaultKind::ALL
                        .into_iter()
                        .find(|kind| kind.name() == name)
                        .ok_or_else(|| format!("{name:?} is none of seed, {}", FaultKind::ALL.map(FaultKind::name).join(", ")))?;
                    let (share, length) = match value.split_once(':') {
                        Some((share, length)) if matches!(kind, FaultKind::Delay | FaultKind::Torn) => (share, Some(length)),
                        _ => (value, None),
                    };
                    let time = if kind == FaultKind::Torn { &mut faults.gap } else { &mut faults.delay };
                    *time = length.map_or(Ok(*time), milliseconds)?;
                    faults.shares.insert(kind, percent(share)?);
                }
            }
        }
        if FaultKind::failures().filter_map(|kind| faults.shares.get(&kind)).sum::<f64>() > 100.0 {
            return Err("more than 100% of the calls".to_owned());
        }
        Ok(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed={}", self.seed)?;
        for (kind, share) in &self.shares {
            write!(f, ",{kind}={share}%")?;
            match kind {
                FaultKind::Delay => write!(f, ":{}ms", self.delay.as_millis())?,
                FaultKind::Torn => write!(f, ":{}ms", self.gap.as_millis())?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let share = text.strip_suffix('%').and_then(|number| number.parse().ok()).filter(|share| (0.0..=100.0).contains(share));
    share.ok_or_else(|| format!("{text:?} is no share of all calls, such as 2%"))
}

/// What becomes of a call that has drawn a fault.
#[derive(Debug)]
pub enum Fault {
    /// It does not reach DynamoDB and is answered this.
    Reject(Response<Full<Bytes>>),
    /// It is carried out and answered this, as if it had not been.
    FalseFailure(Response<Full<Bytes>>),
    /// It is carried out, and the connection ends without an answer.
    DropConnection,
    /// It is carried out and answered after so long.
    Delay(Duration),
    /// It is carried out, and whoever has called is killed before the answer.
    Kill,
    /// Some of its parts are carried out; the number decides which.
    Partly(u64),
}

/// What becomes of a batch that a reader of a stream hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReaderFault {
    /// It does not reach the function.
    Lose,
    /// The function has done it, and the reader does not hear so: it comes again.
    Forget,
    /// The function is killed so long after it was handed the batch.
    Kill(Duration),
    /// It comes late.
    Delay(Duration),
}

impl fmt::Display for ReaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lose => "lose",
            Self::Forget => "forget",
            Self::Kill(_) => "kill",
            Self::Delay(_) => "delay",
        })
    }
}

/// Faults with the chance that they are drawn by; torn reads and readers of streams have their own, so that none disturbs the sequence
/// of another.
struct Drawn {
    faults: Faults,
    failures: StdRng,
    tears: StdRng,
    readers: StdRng,
}

impl Drawn {
    /// One of the failures, if chance has it so.
    fn kind(faults: &Faults, random: &mut StdRng) -> Option<FaultKind> {
        let mut drawn = random.random_range(0.0..100.0);
        FaultKind::failures().find(|kind| {
            drawn -= faults.shares.get(kind).copied().unwrap_or_default();
            drawn < 0.0
        })
    }
}

/// Draws the faults, one after the other, and counts them.
#[derive(Default)]
pub struct FaultInjector(Mutex<State>);

#[derive(Default)]
struct State {
    faults: Option<Drawn>,
    /// What the next calls of an operation meet, once, before any of the faults that are drawn.
    next: Vec<(String, FaultKind)>,
    counts: BTreeMap<FaultKind, u64>,
}

impl FaultInjector {
    /// From now on these faults, from the beginning of their sequence; or none. The counts go on.
    pub fn set(&self, faults: Option<Faults>) {
        self.lock().faults = faults.map(|faults| {
            let random = || StdRng::seed_from_u64(faults.seed);
            Drawn { failures: random(), tears: random(), readers: random(), faults }
        });
    }

    /// The next call of this operation meets this fault; asked for twice, so does the one after it.
    pub fn set_next(&self, operation: &str, kind: FaultKind) {
        self.lock().next.push((operation.to_owned(), kind));
    }

    /// How many faults of each kind there have been.
    pub fn counts(&self) -> BTreeMap<FaultKind, u64> {
        self.lock().counts.clone()
    }

    /// What becomes of the next call, if it is to meet a fault, and of which kind that is. The same calls after the same seed meet the
    /// same faults.
    pub fn draw(&self, operation: &str, body: &[u8]) -> Option<(FaultKind, Fault)> {
        let mut state = self.lock();
        if let Some(kind) = state.take_next(operation, |kind| kind != FaultKind::Torn) {
            let delay = state.faults.as_ref().map_or(DELAY, |drawn| drawn.faults.delay);
            let fault = fault(kind, operation, body, 1, delay)?;
            *state.counts.entry(kind).or_default() += 1;
            return Some((kind, fault));
        }
        let Drawn { faults, failures, .. } = state.faults.as_mut()?;
        // Two for each call, whether they are used or not, so that no call changes what the next one draws.
        let kind = Drawn::kind(faults, failures);
        let detail: u64 = failures.random();
        let kind = kind?;
        let fault = fault(kind, operation, body, detail, faults.delay)?;
        *state.counts.entry(kind).or_default() += 1;
        Some((kind, fault))
    }

    /// What becomes of the next batch of a stream, if it is to meet a fault: those of calls, as far as they have a counterpart.
    pub fn draw_for_reader(&self) -> Option<ReaderFault> {
        let mut state = self.lock();
        let Drawn { faults, readers, .. } = state.faults.as_mut()?;
        let kind = Drawn::kind(faults, readers);
        let millis: u64 = readers.random_range(1..40);
        let fault = match kind? {
            FaultKind::Error | FaultKind::Throttle => ReaderFault::Lose,
            FaultKind::Lost => ReaderFault::Forget,
            FaultKind::Drop | FaultKind::Kill => ReaderFault::Kill(Duration::from_millis(millis)),
            FaultKind::Delay => ReaderFault::Delay(faults.delay),
            FaultKind::Conflict | FaultKind::Torn => return None,
        };
        *state.counts.entry(kind?).or_default() += 1;
        Some(fault)
    }

    /// How the next call's answer is torn, if it is to be.
    pub fn tear(&self, operation: &str) -> Option<Tear> {
        if !can_tear(operation) {
            return None;
        }
        let mut state = self.lock();
        let next = state.take_next(operation, |kind| kind == FaultKind::Torn);
        let tear = match (next, state.faults.as_mut()) {
            (Some(_), drawn) => {
                drawn.map_or(Tear { gap: GAP, seed: 1 }, |Drawn { faults, .. }| Tear { gap: faults.gap, seed: faults.seed })
            }
            (None, None) => return None,
            (None, Some(Drawn { faults, tears, .. })) => {
                let (drawn, seed) = (tears.random_range(0.0..100.0), tears.random());
                let share = faults.shares.get(&FaultKind::Torn).copied().unwrap_or_default();
                (drawn < share).then_some(Tear { gap: faults.gap, seed })?
            }
        };
        *state.counts.entry(FaultKind::Torn).or_default() += 1;
        Some(tear)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What the next call of an operation is to meet, if it is of such a kind.
    fn take_next(&mut self, operation: &str, wanted: impl Fn(FaultKind) -> bool) -> Option<FaultKind> {
        let position = self.next.iter().position(|(its, kind)| its == operation && wanted(*kind))?;
        Some(self.next.remove(position).1)
    }
}

/// Nothing for faults that the operation never meets.
fn fault(kind: FaultKind, operation: &str, body: &[u8], detail: u64, delay: Duration) -> Option<Fault> {
    Some(match kind {
        FaultKind::Conflict => Fault::Reject(conflict(operation, body, detail)?),
        // Some of the events are not taken. Bits decide which, and one of the first ten is set.
        FaultKind::Throttle if operation == "PutEvents" => Fault::Partly(detail | 1 << (detail % 10)),
        FaultKind::Throttle => Fault::Reject(throttle(operation, body, detail)?),
        FaultKind::Error => Fault::Reject(errors::internal_error()),
        FaultKind::Lost => Fault::FalseFailure(errors::internal_error()),
        FaultKind::Drop => Fault::DropConnection,
        FaultKind::Delay => Fault::Delay(delay),
        FaultKind::Kill => Fault::Kill,
        // No failure: see `FaultInjector::tear`.
        FaultKind::Torn => return None,
    })
}

/// Nothing for operations that never conflict.
fn conflict(operation: &str, body: &[u8], detail: u64) -> Option<Response<Full<Bytes>>> {
    match operation {
        "TransactWriteItems" | "TransactGetItems" => Some(errors::canceled_by_conflict(&one_of(operation, body, detail))),
        "PutItem" | "UpdateItem" | "DeleteItem" => Some(errors::transaction_conflict()),
        _ => None,
    }
}

fn throttle(operation: &str, body: &[u8], detail: u64) -> Option<Response<Full<Bytes>>> {
    Some(match detail % 3 {
        0 => errors::throughput_exceeded(),
        1 if operation.starts_with("Transact") => errors::canceled_by_throttling(&one_of(operation, body, detail / 3)),
        // A batch that has no capacity for some of its items is a success that leaves them out.
        1 if operation == "BatchGetItem" => unprocessed(body)?,
        _ => errors::throttled(),
    })
}

/// One of a transaction's actions.
fn one_of(operation: &str, body: &[u8], detail: u64) -> Vec<bool> {
    // What is no transaction at all is DynamoDB's to refuse; here it only must not end in a division by zero.
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let actions = targets(operation, &body).map_or(1, |targets| targets.len().max(1));
    let at = usize::try_from(detail % actions as u64).unwrap_or_default();
    (0..actions).map(|position| position == at).collect()
}

/// The answer to a batch of reads of which none was processed.
fn unprocessed(body: &[u8]) -> Option<Response<Full<Bytes>>> {
    let request: Value = serde_json::from_slice(body).ok()?;
    Some(errors::answer(StatusCode::OK, json!({"Responses": {}, "UnprocessedKeys": request.get("RequestItems")?})))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    const TRANSACTION: &[u8] = br#"{"TransactItems": [{"Put": {}}, {"Update": {}}, {"Delete": {}}]}"#;

    #[test]
    fn specifications_are_read() {
        for (text, expected) in [
            (
                "seed=7,conflict=2%,throttle=2%,error=2%,lost=2%,drop=1%,delay=1%:50ms",
                "seed=7,conflict=2%,throttle=2%,error=2%,lost=2%,drop=1%,delay=1%:50ms",
            ),
            ("lost=0.5%,seed=1", "seed=1,lost=0.5%"),
            ("delay=100%,seed=1", "seed=1,delay=100%:100ms"),
            ("seed=1,12%", "seed=1,conflict=2%,throttle=2%,error=2%,lost=2%,drop=2%,delay=2%:100ms"),
            ("seed=1,12%,drop=0%", "seed=1,conflict=2%,throttle=2%,error=2%,lost=2%,drop=0%,delay=2%:100ms"),
            ("seed=1,10%", "seed=1,conflict=1.66%,throttle=1.66%,error=1.66%,lost=1.66%,drop=1.66%,delay=1.66%:100ms"),
            ("seed=1", "seed=1"),
            ("seed=1,kill=0.5%", "seed=1,kill=0.5%"),
            ("seed=1,torn=100%,lost=100%", "seed=1,lost=100%,torn=100%:10ms"),
            ("seed=1,torn=5%:15ms", "seed=1,torn=5%:15ms"),
        ] {
            let faults: Faults = text.parse().unwrap();
            assert_eq!(faults.to_string(), expected, "{text}");
            assert_eq!(expected.parse::<Faults>().unwrap(), faults, "{text}");
        }
        assert!("100%".parse::<Faults>().is_ok());
    }

    #[test]
    fn other_specifications_are_refused() {
        for (text, says) in [
            ("", "share"),
            ("10", "share"),
            ("%", "share"),
            ("lost=2", "share"),
            ("lost=-1%", "share"),
            ("lost=NaN%", "share"),
            ("101%", "share"),
            ("lost=2%:50ms", "share"),
            ("delay=2%:50", "time"),
            ("seed=x,1%", "seed"),
            ("fire=1%", "none of seed, conflict, throttle"),
            ("lost=60%,drop=60%", "more than 100%"),
            ("lost=2%,", "share"),
        ] {
            let reason = text.parse::<Faults>().unwrap_err();
            assert!(reason.contains(says), "{text}: {reason}");
        }
    }

    async fn show(drawn: Option<(FaultKind, Fault)>) -> String {
        let (word, response) = match drawn.map(|(_, fault)| fault) {
            Some(Fault::Reject(response)) => ("rejected", response),
            Some(Fault::FalseFailure(response)) => ("false failure", response),
            other => return format!("{other:?}"),
        };
        let (head, body) = response.into_parts();
        assert_eq!(head.headers["content-type"], "application/x-amz-json-1.0");
        assert_eq!(head.headers["x-amzn-requestid"].len(), 52);
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().into()).unwrap();
        format!("{word} {} {body}", head.status.as_u16())
    }

    fn injector(faults: &str) -> FaultInjector {
        let injector = FaultInjector::default();
        injector.set(Some(faults.parse().unwrap()));
        injector
    }

    #[tokio::test]
    async fn faults_look_like_those_of_dynamodb() {
        for (faults, operation, expected) in [
            (
                "conflict=100%",
                "UpdateItem",
                r#"rejected 400 {"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException","message":"Transaction is ongoing for the item"}"#,
            ),
            ("conflict=100%", "Query", "None"),
            ("conflict=100%", "BatchWriteItem", "None"),
            (
                "error=100%",
                "GetItem",
                r#"rejected 500 {"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"Internal server error"}"#,
            ),
            (
                "lost=100%",
                "PutItem",
                r#"false failure 500 {"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"Internal server error"}"#,
            ),
            ("drop=100%", "PutItem", "Some(DropConnection)"),
            ("delay=100%:50ms", "PutItem", "Some(Delay(50ms))"),
            ("kill=100%", "PutItem", "Some(Kill)"),
            ("lost=0%", "PutItem", "None"),
        ] {
            assert_eq!(show(injector(faults).draw(operation, b"{}")).await, expected, "{faults} {operation}");
        }
    }

    #[tokio::test]
    async fn a_bus_takes_some_events_and_not_others() {
        let injector = injector("throttle=100%,seed=1");
        for _ in 0..100 {
            let Some((FaultKind::Throttle, Fault::Partly(parts))) = injector.draw("PutEvents", b"{}") else { panic!("a part") };
            assert_ne!(parts & 0b11_1111_1111, 0, "one of ten at least");
        }
    }

    #[test]
    fn readers_of_streams_meet_faults_of_their_own() {
        let of_reader = |faults: &str| {
            let injector = injector(faults);
            // What calls meet meanwhile changes nothing for a reader.
            let draw = || {
                let _ = injector.draw("GetItem", b"{}");
                injector.draw_for_reader()
            };
            std::iter::repeat_with(draw).take(100).flatten().collect::<Vec<_>>()
        };
        assert!(of_reader("seed=1").is_empty());
        assert!(of_reader("conflict=100%,seed=1").is_empty(), "a reader has nothing to conflict with");
        assert_eq!(of_reader("error=100%,seed=1"), vec![ReaderFault::Lose; 100]);
        assert_eq!(of_reader("lost=100%,seed=1"), vec![ReaderFault::Forget; 100]);
        assert_eq!(of_reader("delay=100%:7ms,seed=1"), vec![ReaderFault::Delay(Duration::from_millis(7)); 100]);
        let killed = of_reader("drop=100%,seed=1");
        assert!(killed.len() == 100 && killed.iter().all(|fault| matches!(fault, ReaderFault::Kill(_))), "{killed:?}");
        let some = of_reader("seed=7,60%");
        assert!((30..70).contains(&some.len()) && some == of_reader("seed=7,60%"), "{some:?}");
    }

    #[tokio::test]
    async fn a_transaction_is_cancelled_for_one_of_its_actions() {
        let injector = injector("conflict=100%,seed=1");
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            seen.insert(show(injector.draw("TransactWriteItems", TRANSACTION)).await);
        }
        let first = r#"rejected 400 {"CancellationReasons":[{"Code":"None"},{"Code":"None"},{"Code":"TransactionConflict","Message":"Transaction is ongoing for the item"}],"Message":"Transaction cancelled, please refer cancellation reasons for specific reasons [None, None, TransactionConflict]","__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException"}"#;
        assert_eq!((seen.len(), seen.first().map(String::as_str)), (3, Some(first)));
        assert!(show(injector.draw("TransactWriteItems", b"no JSON")).await.contains("[TransactionConflict]"));
    }

    #[tokio::test]
    async fn a_batch_may_come_back_unprocessed() {
        let injector = FaultInjector::default();
        injector.set_next("BatchGetItem", FaultKind::Throttle);
        assert!(injector.draw("GetItem", b"{}").is_none(), "it waits for its operation");
        let answer = show(injector.draw("BatchGetItem", br#"{"RequestItems": {"t": {"Keys": []}}}"#)).await;
        assert_eq!(answer, r#"rejected 200 {"Responses":{},"UnprocessedKeys":{"t":{"Keys":[]}}}"#);
        assert!(injector.draw("BatchGetItem", b"{}").is_none(), "once");
    }

    #[test]
    fn reads_of_several_items_are_torn_whatever_else_they_meet() {
        let injector = injector("torn=50%:15ms,lost=100%,seed=1");
        let torn = (0..1000).filter(|_| injector.tear("Query").is_some()).count();
        assert!((400..600).contains(&torn), "{torn} of 1000 are about 50%");
        assert_eq!(injector.counts()[&FaultKind::Torn], torn as u64);
        assert!((0..100).all(|_| injector.tear("GetItem").is_none()), "one item is of one instant");
        assert!(matches!(injector.draw("Query", b"{}"), Some((FaultKind::Lost, Fault::FalseFailure(_)))));
        injector.set(None);
        assert_eq!(injector.tear("Query"), None);
        injector.set_next("Query", FaultKind::Torn);
        assert!(injector.draw("Query", b"{}").is_none() && injector.tear("BatchGetItem").is_none(), "it waits for its call");
        assert!(injector.tear("Query").is_some() && injector.tear("Query").is_none(), "once");
        injector.set(Some("torn=0%:15ms,seed=7".parse().unwrap()));
        injector.set_next("Query", FaultKind::Torn);
        assert_eq!(injector.tear("Query"), Some(Tear { gap: Duration::from_millis(15), seed: 7 }), "as it was asked for");
    }

    #[tokio::test]
    async fn calls_are_throttled_in_every_way_there_is() {
        let injector = injector("throttle=100%,seed=1");
        for (operation, ways) in [
            ("Query", vec!["#ProvisionedThroughputExceededException", "#ThrottlingException"]),
            (
                "TransactWriteItems",
                vec!["#ProvisionedThroughputExceededException", "#ThrottlingException", "#TransactionCanceledException"],
            ),
        ] {
            let mut seen = Vec::new();
            for _ in 0..100 {
                seen.push(show(injector.draw(operation, TRANSACTION)).await);
            }
            for answer in &seen {
                assert!(answer.starts_with("rejected 400"), "{answer}");
                assert!(ways.iter().any(|way| answer.contains(way)), "{answer}");
            }
            for way in ways {
                assert!(seen.iter().any(|answer| answer.contains(way)), "{operation} {way}");
            }
        }
    }

    #[tokio::test]
    async fn a_seed_repeats_its_faults() {
        let drawn = async |faults: &str| {
            let injector = injector(faults);
            let mut met = Vec::new();
            for _ in 0..200 {
                met.push(show(injector.draw("TransactWriteItems", TRANSACTION)).await);
            }
            (met, injector.counts())
        };
        let (met, counts) = drawn("seed=7,60%").await;
        assert_eq!((met.clone(), counts.clone()), drawn("seed=7,60%").await);
        assert_ne!(met, drawn("seed=8,60%").await.0);

        assert_eq!(counts.len(), 6, "{counts:?}");
        let faulty = met.iter().filter(|fault| *fault != "None").count() as u64;
        assert_eq!(counts.values().sum::<u64>(), faulty);
        assert!((90..150).contains(&faulty), "{faulty} of 200 are about 60%");
    }
}
