//! Contention: what DynamoDB does when many callers want the same item at one instant. It is a model, since the embedded database does
//! everything one by one and refuses nobody.
//!
//! - A transaction has its items to itself from its start to its end. Another that wants one of them is refused with
//!   `TransactionConflict`, and so is a write of a single item, with `TransactionConflictException`; reads are not.
//! - A partition gives so many units per second, and what it has not given for a while in a burst. Every partition key has a
//!   partition of its own here, and indexes have none that count, which is true of a hot item.
//! - Every call takes its time, as one does in the same region.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use serde_json::Value;

use super::errors;
use super::request::{KeySchema, Target, targets};
use crate::names::table_arn;
use crate::value::milliseconds;

/// How long things take, and how much a partition gives.
///
/// Written `transaction=15ms,write=5ms,read=3ms,write_units=1000,read_units=3000,burst=1000ms`; all parts may be left out, and
/// these are what they are then. The units are [DynamoDB's limits of a partition]. The times are those that a client in the
/// same region sees, give or take; put in your own.
///
/// [DynamoDB's limits of a partition]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contention {
    /// How long a transaction has its items to itself.
    pub transaction: Duration,
    pub write: Duration,
    pub read: Duration,
    /// Per second and partition.
    pub write_units: f64,
    pub read_units: f64,
    /// For how long a partition saves up the units that nobody uses.
    pub burst: Duration,
}

impl Default for Contention {
    fn default() -> Self {
        Self {
            transaction: Duration::from_millis(15),
            write: Duration::from_millis(5),
            read: Duration::from_millis(3),
            write_units: 1000.0,
            read_units: 3000.0,
            burst: Duration::from_secs(1),
        }
    }
}

impl FromStr for Contention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut contention = Self::default();
        let units = |value: &str| {
            let units = value.parse().ok().filter(|units: &f64| units.is_finite() && *units > 0.0);
            units.ok_or_else(|| format!("{value:?} is no number of units per second"))
        };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("transaction", value)) => contention.transaction = milliseconds(value)?,
                Some(("write", value)) => contention.write = milliseconds(value)?,
                Some(("read", value)) => contention.read = milliseconds(value)?,
                Some(("write_units", value)) => contention.write_units = units(value)?,
                Some(("read_units", value)) => contention.read_units = units(value)?,
                Some(("burst", value)) => contention.burst = milliseconds(value)?,
                _ => return Err(format!("{part:?} is none of transaction, write, read, write_units, read_units, burst")),
            }
        }
        Ok(contention)
    }
}

impl fmt::Display for Contention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transaction, write, read, write_units, read_units, burst } = self;
        write!(f, "transaction={}ms,write={}ms,read={}ms", transaction.as_millis(), write.as_millis(), read.as_millis())?;
        write!(f, ",write_units={write_units},read_units={read_units},burst={}ms", burst.as_millis())
    }
}

/// How often calls have been let through and refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContentionCounts {
    /// Writes that were let through, of one item or of several.
    pub writes: u64,
    /// Writes of items that a transaction had.
    pub conflicts: u64,
    /// Calls that a partition had no units for.
    pub throttles: u64,
}

/// All items and partitions that calls are at work on.
pub struct ContentionModel {
    schema: KeySchema,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    contention: Option<Contention>,
    held: HashSet<ItemKey>,
    partitions: HashMap<(String, Kind), Bucket>,
    counts: ContentionCounts,
}

/// A table and the values of its key.
type ItemKey = Vec<String>;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Read,
    Write,
}

/// The units that a partition has saved up, and when that was counted. May be overdrawn by one call.
struct Bucket {
    units: f64,
    at: Instant,
}

/// What becomes of a call.
pub enum Admission {
    Granted(Permit),
    /// It is answered this, at this time.
    Refused(Instant, Response<Full<Bytes>>),
}

/// A call that was let through, until it has taken its time.
pub struct Permit {
    model: Arc<ContentionModel>,
    until: Instant,
    kind: Kind,
    partitions: Vec<String>,
    held: Vec<ItemKey>,
}

impl ContentionModel {
    pub fn new(schema: KeySchema) -> Self {
        Self { schema, state: Mutex::default() }
    }

    /// From now on like this; with `None`, everybody gets everything at once.
    pub fn set(&self, contention: Option<Contention>) {
        let mut state = self.lock();
        state.contention = contention;
        state.partitions.clear();
    }

    pub fn counts(&self) -> ContentionCounts {
        self.lock().counts
    }

    /// Asks for a call to be let through; `None` while there is no contention, or for a call that takes no part in it.
    pub fn admit(self: &Arc<Self>, operation: &str, body: &[u8]) -> Option<Admission> {
        let contention = self.lock().contention?;
        let wanted = self.wanted(operation, &serde_json::from_slice(body).ok()?)?;
        let now = Instant::now();
        let is_transaction = operation == "TransactWriteItems";
        let (kind, takes) = match operation {
            "TransactWriteItems" => (Kind::Write, contention.transaction),
            "PutItem" | "UpdateItem" | "DeleteItem" => (Kind::Write, contention.write),
            _ => (Kind::Read, contention.read),
        };
        // A refusal comes sooner than a success.
        let refused = |response| Some(Admission::Refused(now + takes.min(contention.write), response));

        let mut state = self.lock();
        if kind == Kind::Write {
            let conflicts: Vec<_> = wanted.iter().map(|item| state.held.contains(item)).collect();
            if conflicts.contains(&true) {
                state.counts.conflicts += 1;
                return refused(if is_transaction {
                    errors::canceled_by_conflict(&conflicts)
                } else {
                    errors::transaction_conflict()
                });
            }
        }
        let partitions: Vec<_> = wanted.iter().map(|item| item[..item.len().min(2)].join("\n")).collect();
        let empty: Vec<_> = partitions.iter().map(|name| state.bucket(name, kind, &contention, now).units < 1.0).collect();
        if empty.contains(&true) {
            state.counts.throttles += 1;
            return refused(if is_transaction { errors::canceled_by_throttling(&empty) } else { errors::throttled() });
        }
        if kind == Kind::Write {
            state.counts.writes += 1;
        }
        let held = if is_transaction { wanted } else { Vec::new() };
        state.held.extend(held.iter().cloned());
        drop(state);
        Some(Admission::Granted(Permit { model: Arc::clone(self), until: now + takes, kind, partitions, held }))
    }

    /// The items that a call is about.
    fn wanted(&self, operation: &str, body: &Value) -> Option<Vec<ItemKey>> {
        let key = |Target { table, item, .. }: Target<'_>| {
            let names = self.schema.attributes(&table_arn(table));
            let values = names.iter().map(|name| item[name].to_string());
            std::iter::once(table.to_owned()).chain(values).collect::<ItemKey>()
        };
        match operation {
            // Queries take their time; the partition that they read is in an expression, and is not looked for.
            "Query" => Some(Vec::new()),
            "BatchWriteItem" => None,
            _ => Some(targets(operation, body)?.into_iter().map(key).collect()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A partition as it is now.
    fn bucket(&mut self, partition: &str, kind: Kind, contention: &Contention, now: Instant) -> &mut Bucket {
        let rate = match kind {
            Kind::Read => contention.read_units,
            Kind::Write => contention.write_units,
        };
        let most = rate * contention.burst.as_secs_f64();
        let bucket = self.partitions.entry((partition.to_owned(), kind)).or_insert(Bucket { units: most, at: now });
        bucket.units = most.min(bucket.units + rate * now.saturating_duration_since(bucket.at).as_secs_f64());
        bucket.at = now;
        bucket
    }
}

impl Permit {
    /// Waits until the call has taken its time and gives up its items. `units` is what it has cost in all.
    pub async fn complete(self, units: f64) {
        tokio::time::sleep_until(self.until.into()).await;
        let now = Instant::now();
        let mut state = self.model.lock();
        if let Some(contention) = state.contention {
            #[expect(clippy::cast_precision_loss, reason = "a transaction has at most a hundred items")]
            let each = units / self.partitions.len().max(1) as f64;
            for partition in &self.partitions {
                state.bucket(partition, self.kind, &contention, now).units -= each;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.model.lock();
        for item in &self.held {
            state.held.remove(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::*;
    use crate::template::Table;

    fn model(contention: &str) -> Arc<ContentionModel> {
        let create =
            json!({"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]});
        let schema = KeySchema::of(&[Table { name: "t".into(), create, expires: None }]);
        let model = Arc::new(ContentionModel::new(schema));
        model.set(Some(contention.parse().unwrap()));
        model
    }

    fn key(pk: &str, sk: &str) -> Value {
        json!({"pk": {"S": pk}, "sk": {"S": sk}})
    }

    fn transaction(items: &[Value]) -> Vec<u8> {
        let writes: Vec<_> = items.iter().map(|key| json!({"Update": {"TableName": "t", "Key": key}})).collect();
        json!({"TransactItems": writes}).to_string().into_bytes()
    }

    fn single(key: &Value) -> Vec<u8> {
        json!({"TableName": "t", "Key": key}).to_string().into_bytes()
    }

    async fn body(refused: Option<Admission>) -> Value {
        let Some(Admission::Refused(_, response)) = refused else { panic!("let through") };
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    fn granted(admission: Option<Admission>) -> Permit {
        let Some(Admission::Granted(permit)) = admission else { panic!("refused") };
        permit
    }

    #[test]
    fn specifications_are_read() {
        let default = "transaction=15ms,write=5ms,read=3ms,write_units=1000,read_units=3000,burst=1000ms";
        assert_eq!("".parse::<Contention>().unwrap().to_string(), default);
        let other = "transaction=20ms,write=5ms,read=3ms,write_units=10,read_units=3000,burst=0ms";
        assert_eq!("transaction=20ms,burst=0ms,write_units=10".parse::<Contention>().unwrap().to_string(), other);
        for bad in ["x", "read=3", "hold=3ms", "write_units=0", "write_units=-1", "read_units=NaN"] {
            assert!(bad.parse::<Contention>().is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn transactions_that_share_an_item_conflict() {
        let model = model("transaction=1ms");
        let (a, b, c) = (key("a", "1"), key("b", "1"), key("a", "2"));
        let first = granted(model.admit("TransactWriteItems", &transaction(&[a.clone(), b.clone()])));

        let refused = body(model.admit("TransactWriteItems", &transaction(&[c.clone(), b.clone()]))).await;
        assert_eq!(refused["CancellationReasons"][0], json!({"Code": "None"}));
        assert_eq!(refused["CancellationReasons"][1]["Code"], "TransactionConflict");
        let refused = body(model.admit("UpdateItem", &single(&a))).await;
        assert!(refused["__type"].as_str().unwrap().ends_with("#TransactionConflictException"));
        granted(model.admit("GetItem", &single(&a)));
        granted(model.admit("TransactWriteItems", &transaction(&[c])));
        assert_eq!(model.counts(), ContentionCounts { writes: 2, conflicts: 2, throttles: 0 });

        first.complete(4.0).await;
        granted(model.admit("UpdateItem", &single(&a)));
        granted(model.admit("TransactWriteItems", &transaction(&[b])));
    }

    #[tokio::test]
    async fn a_partition_gives_what_it_has() {
        let model = model("transaction=0ms,write=0ms,write_units=10,burst=400ms");
        let one = key("one", "1");
        granted(model.admit("TransactWriteItems", &transaction(&[one.clone(), key("other", "1")]))).complete(8.0).await;
        let refused = body(model.admit("TransactWriteItems", &transaction(&[key("third", "1"), one.clone()]))).await;
        assert_eq!(refused["CancellationReasons"][1]["Code"], "ThrottlingError");
        let refused =
            body(model.admit("PutItem", json!({"TableName": "t", "Item": key("one", "9")}).to_string().as_bytes())).await;
        assert!(refused["__type"].as_str().unwrap().ends_with("#ThrottlingException"), "{refused}");
        granted(model.admit("GetItem", &single(&one)));

        tokio::time::sleep(Duration::from_millis(150)).await;
        granted(model.admit("UpdateItem", &single(&one)));
        assert_eq!(model.counts().throttles, 2);
    }

    #[tokio::test]
    async fn without_contention_nothing_is_in_the_way() {
        let model = model("");
        model.set(None);
        assert!(model.admit("TransactWriteItems", &transaction(&[key("a", "1")])).is_none());
    }
}
