//! What many who want the same thing at one instant get from DynamoDB: a model of it, since the embedded one does everything one
//! by one and refuses nobody.
//!
//! - A transaction has its items in its hands from its start to its end. Another that wants one of them is refused with
//!   `TransactionConflict`, and so is a write of a single item, with `TransactionConflictException`; reads are not.
//! - A partition gives so many units per second, and what it has not given for a while in a burst. Every partition key has a
//!   partition of its own here, and indexes have none that count; of a hot item that is the truth.
//! - Every call takes its time, as one does in the same region.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use serde_json::Value;

use crate::faults::{self, milliseconds};
use crate::template::Table;

/// How long things take, and how much a partition gives.
///
/// Written `transaction=15ms,write=5ms,read=3ms,write_units=1000,read_units=3000,burst=1000ms`; all parts may be left out, and
/// these are what they are then. The units are [DynamoDB's limits of a partition]. The times are those that a client in the
/// same region sees, give or take; put in your own.
///
/// [DynamoDB's limits of a partition]: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contention {
    /// How long a transaction has its items.
    pub transaction: Duration,
    pub write: Duration,
    pub read: Duration,
    /// Per second and partition.
    pub write_units: f64,
    pub read_units: f64,
    /// For how long a partition saves up what nobody wants.
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

/// What has come of it so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contended {
    /// Writes that were let through, of one item or of several.
    pub writes: u64,
    /// Writes that met a transaction.
    pub conflicts: u64,
    /// Calls that a partition had no units for.
    pub throttles: u64,
}

/// All items and partitions that calls are at work on.
pub struct Model {
    /// The names of each table's key attributes, the partition key first.
    keys: BTreeMap<String, Vec<String>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    contention: Option<Contention>,
    held: HashSet<ItemKey>,
    partitions: HashMap<(String, Kind), Bucket>,
    counts: Contended,
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

/// `None` while nobody contends; otherwise a pass, or what the call is answered instead, and when.
pub type Admitted = Option<Result<Pass, (Instant, Response<Full<Bytes>>)>>;

/// A call that was let through, until it has taken its time.
pub struct Pass {
    model: Arc<Model>,
    until: Instant,
    kind: Kind,
    partitions: Vec<String>,
    held: Vec<ItemKey>,
}

impl Model {
    pub fn new(tables: &[Table]) -> Self {
        let names = |table: &Table| {
            let keys = table.create["KeySchema"].as_array().into_iter().flatten();
            keys.filter_map(|key| Some(key["AttributeName"].as_str()?.to_owned())).collect()
        };
        Self { keys: tables.iter().map(|table| (table.name.clone(), names(table))).collect(), state: Mutex::default() }
    }

    /// From now on so; or everything at once and for everybody.
    pub fn set(&self, contention: Option<Contention>) {
        let mut state = self.lock();
        state.contention = contention;
        state.partitions.clear();
    }

    pub fn counts(&self) -> Contended {
        self.lock().counts
    }

    /// Asks for a call to be let through.
    pub fn admit(self: &Arc<Self>, operation: &str, body: &[u8]) -> Admitted {
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
        let refused = |response| Some(Err((now + takes.min(contention.write), response)));

        let mut state = self.lock();
        if kind == Kind::Write {
            let against: Vec<_> = wanted.iter().map(|item| state.held.contains(item)).collect();
            if against.contains(&true) {
                state.counts.conflicts += 1;
                return refused(if is_transaction { faults::conflicting(&against) } else { faults::conflicted() });
            }
        }
        let partitions: Vec<_> = wanted.iter().map(|item| item[..item.len().min(2)].join("\n")).collect();
        let empty: Vec<_> = partitions.iter().map(|name| state.bucket(name, kind, &contention, now).units < 1.0).collect();
        if empty.contains(&true) {
            state.counts.throttles += 1;
            return refused(if is_transaction { faults::throttling(&empty) } else { faults::throttled() });
        }
        if kind == Kind::Write {
            state.counts.writes += 1;
        }
        let held = if is_transaction { wanted } else { Vec::new() };
        state.held.extend(held.iter().cloned());
        drop(state);
        Some(Ok(Pass { model: Arc::clone(self), until: now + takes, kind, partitions, held }))
    }

    /// The items that a call is about.
    fn wanted(&self, operation: &str, body: &Value) -> Option<Vec<ItemKey>> {
        let key = |table: &Value, item: &Value| {
            let table = table.as_str().unwrap_or_default();
            let names = self.keys.get(table).map_or(&[][..], Vec::as_slice);
            let values = names.iter().map(|name| item[name].to_string());
            std::iter::once(table.to_owned()).chain(values).collect::<ItemKey>()
        };
        Some(match operation {
            "GetItem" | "UpdateItem" | "DeleteItem" => vec![key(&body["TableName"], &body["Key"])],
            "PutItem" => vec![key(&body["TableName"], &body["Item"])],
            "BatchGetItem" => {
                let tables = body["RequestItems"].as_object()?.iter();
                let keys = tables.flat_map(|(table, wanted)| {
                    let table = Value::from(table.as_str());
                    wanted["Keys"].as_array().into_iter().flatten().map(move |item| key(&table, item)).collect::<Vec<_>>()
                });
                keys.collect()
            }
            "TransactWriteItems" => {
                let writes = body["TransactItems"].as_array()?.iter().filter_map(|item| item.as_object()?.values().next());
                let item = |write: &Value| if write["Key"].is_null() { write["Item"].clone() } else { write["Key"].clone() };
                writes.map(|write| key(&write["TableName"], &item(write))).collect()
            }
            // Queries take their time; which partition they read is in an expression, and no single one of ours is hot.
            "Query" => Vec::new(),
            _ => return None,
        })
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

impl Pass {
    /// Waits until the call has taken its time and lets go of what it had. `units` is what it has cost in all.
    pub async fn leave(self, units: f64) {
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

impl Drop for Pass {
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

    fn model(contention: &str) -> Arc<Model> {
        let create =
            json!({"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]});
        let model = Arc::new(Model::new(&[Table { name: "t".into(), create, expires: None }]));
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

    async fn body(refused: Admitted) -> Value {
        let Some(Err((_, response))) = refused else { panic!("let through") };
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    fn passes(admitted: Admitted) -> Pass {
        let Some(Ok(pass)) = admitted else { panic!("refused") };
        pass
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
        let first = passes(model.admit("TransactWriteItems", &transaction(&[a.clone(), b.clone()])));

        let refused = body(model.admit("TransactWriteItems", &transaction(&[c.clone(), b.clone()]))).await;
        assert_eq!(refused["CancellationReasons"][0], json!({"Code": "None"}));
        assert_eq!(refused["CancellationReasons"][1]["Code"], "TransactionConflict");
        let refused = body(model.admit("UpdateItem", &single(&a))).await;
        assert!(refused["__type"].as_str().unwrap().ends_with("#TransactionConflictException"));
        passes(model.admit("GetItem", &single(&a)));
        passes(model.admit("TransactWriteItems", &transaction(&[c])));
        assert_eq!(model.counts(), Contended { writes: 2, conflicts: 2, throttles: 0 });

        first.leave(4.0).await;
        passes(model.admit("UpdateItem", &single(&a)));
        passes(model.admit("TransactWriteItems", &transaction(&[b])));
    }

    #[tokio::test]
    async fn a_partition_gives_what_it_has() {
        let model = model("transaction=0ms,write=0ms,write_units=10,burst=400ms");
        let pen = key("pen", "1");
        passes(model.admit("TransactWriteItems", &transaction(&[pen.clone(), key("other", "1")]))).leave(8.0).await;
        let refused = body(model.admit("TransactWriteItems", &transaction(&[key("third", "1"), pen.clone()]))).await;
        assert_eq!(refused["CancellationReasons"][1]["Code"], "ThrottlingError");
        let refused =
            body(model.admit("PutItem", json!({"TableName": "t", "Item": key("pen", "9")}).to_string().as_bytes())).await;
        assert!(refused["__type"].as_str().unwrap().ends_with("#ThrottlingException"), "{refused}");
        passes(model.admit("GetItem", &single(&pen)));

        tokio::time::sleep(Duration::from_millis(150)).await;
        passes(model.admit("UpdateItem", &single(&pen)));
        assert_eq!(model.counts().throttles, 2);
    }

    #[tokio::test]
    async fn without_contention_nothing_is_in_the_way() {
        let model = model("");
        model.set(None);
        assert!(model.admit("TransactWriteItems", &transaction(&[key("a", "1")])).is_none());
    }
}
