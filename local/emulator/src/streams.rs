//! The streams of tables, read as Lambda reads them for a function: in batches, filtered, in order for each item, tried again when the
//! function fails and given up in the end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::dynamodb::{CallError, Client, FaultInjector, ReaderFault, Service};
use crate::error::Result;
use crate::files;
use crate::ids;
use crate::lambda::{Function, Lambda, Outcome};
use crate::log::{Log, ScheduledRun};
use crate::names::table_arn;
use crate::queues::Queues;
use crate::template::StreamMapping;

/// How often a stream is looked at. Lambda does so four times a second.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often it is asked which shards there are.
const LIST_EVERY: Duration = Duration::from_secs(5);

/// The first pause before a batch that failed is tried again, and the longest: Lambda waits longer.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What all readers share.
pub struct Surroundings {
    pub client: Client,
    pub lambda: Arc<Lambda>,
    pub queues: Arc<Queues>,
    pub faults: Arc<FaultInjector>,
    pub log: Arc<Log>,
    pub checkpoints: Arc<Checkpoints>,
}

/// How far each reader has come in each shard, for as long as the data are kept.
pub struct Checkpoints {
    file: Option<PathBuf>,
    /// Sequence numbers by reader and shard.
    reached: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
}

impl Checkpoints {
    pub fn open(file: Option<PathBuf>) -> Result<Self> {
        let reached = file.as_deref().map(files::read).transpose()?;
        Ok(Self { reached: Mutex::new(reached.unwrap_or_default()), file })
    }

    fn get(&self, reader: &str, shard: &str) -> Option<String> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).get(reader)?.get(shard).cloned()
    }

    fn set(&self, reader: &str, shard: &str, sequence_number: &str) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        reached.entry(reader.to_owned()).or_default().insert(shard.to_owned(), sequence_number.to_owned());
        if let Some(path) = &self.file {
            // One that is not written down is handed over again after a restart, as any may be.
            let _ = files::replace(path, &serde_json::to_string(&*reached).unwrap_or_default());
        }
    }
}

/// How far a reader is, for those who wait for it.
pub struct Progress {
    /// Counts its looks.
    begun: AtomicU64,
    /// The last look that found nothing.
    idle: watch::Sender<u64>,
    hurry: Notify,
}

impl Default for Progress {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), idle: watch::Sender::new(0), hurry: Notify::new() }
    }
}

impl Progress {
    /// Waits until all that is in the stream now was handed over, and what that led to as well.
    pub async fn settled(&self) {
        let now = self.begun.load(Ordering::Acquire);
        let mut idle = self.idle.subscribe();
        self.hurry.notify_one();
        // It fails only when the reader is gone, and with it the emulator.
        let _ = idle.wait_for(|look| *look > now).await;
    }
}

/// A record as DynamoDB answers it.
#[derive(Clone, Debug)]
struct Record(Value);

impl Record {
    /// As DynamoDB has it: DynamoDB Local leaves the type of an empty map out.
    fn of(mut record: Value) -> Self {
        for image in ["OldImage", "NewImage"] {
            if let Some(attributes) = record["dynamodb"].get_mut(image).and_then(Value::as_object_mut) {
                attributes.values_mut().for_each(name_empty_maps);
            }
        }
        Self(record)
    }

    fn sequence_number(&self) -> &str {
        self.0["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default()
    }

    /// How old it is.
    fn age(&self) -> Duration {
        let written = self.0["dynamodb"]["ApproximateCreationDateTime"].as_f64().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "the precision of a record's own time")]
        let now = ids::now_millis() as f64 / 1000.0;
        Duration::try_from_secs_f64((now - written).max(0.0)).unwrap_or_default()
    }
}

fn name_empty_maps(value: &mut Value) {
    if value.as_object().is_some_and(serde_json::Map::is_empty) {
        *value = json!({"M": {}});
    } else if let Some(inner) = value.get_mut("M").and_then(Value::as_object_mut) {
        inner.values_mut().for_each(name_empty_maps);
    }
}

/// One function that reads one stream.
pub struct Reader {
    mapping: StreamMapping,
    function: Arc<Function>,
    around: Arc<Surroundings>,
    progress: Arc<Progress>,
}

/// A shard that is being read.
struct Shard {
    id: String,
    /// `None`: it is closed, and all of it was read.
    iterator: Option<String>,
}

/// What came of handing a batch over.
enum Handed {
    Done,
    /// The record at this position is the first that is not done.
    From(usize),
    Failed,
}

impl Reader {
    /// `None` if the template has no such function.
    pub fn new(mapping: StreamMapping, around: Arc<Surroundings>) -> Option<Self> {
        let function = Arc::clone(around.lambda.find(&mapping.function)?);
        Some(Self { mapping, function, around, progress: Arc::default() })
    }

    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    fn name(&self) -> String {
        format!("{}.{}", self.mapping.function, self.mapping.name)
    }

    /// Reads for ever.
    pub async fn run(self) {
        let mut told = String::new();
        loop {
            if let Err(error) = self.read().await {
                let error = error.to_string();
                // The database may be away for a while, or the emulator ends.
                if error != told {
                    self.around.log.line(&self.function.template.binary, &format!("the stream cannot be read: {error}"));
                    told = error;
                }
            }
            tokio::time::sleep(LONGEST_PAUSE).await;
        }
    }

    async fn read(&self) -> Result<(), CallError> {
        let stream = self.stream().await?;
        let mut shards: Vec<Shard> = Vec::new();
        let mut listed: Option<Instant> = None;
        loop {
            let look = self.progress.begun.fetch_add(1, Ordering::AcqRel) + 1;
            if listed.is_none_or(|at| at.elapsed() > LIST_EVERY) || shards.iter().all(|shard| shard.iterator.is_none()) {
                self.list(&stream, &mut shards).await?;
                listed = Some(Instant::now());
            }
            let mut found = false;
            // Parents come before their children, which are not read before their parents are.
            for shard in &mut shards {
                let Some(iterator) = &shard.iterator else { continue };
                let request = json!({"ShardIterator": iterator, "Limit": self.mapping.batch_size});
                let answer = self.around.client.call_service(Service::Streams, "GetRecords", &request).await?;
                let records: Vec<_> = answer["Records"].as_array().into_iter().flatten().cloned().map(Record::of).collect();
                if let Some(last) = records.last().map(|record| record.sequence_number().to_owned()) {
                    found = true;
                    self.take(&stream, &shard.id, records).await;
                    self.around.checkpoints.set(&self.name(), &shard.id, &last);
                }
                shard.iterator = answer["NextShardIterator"].as_str().map(str::to_owned);
            }
            if !found {
                self.progress.idle.send_replace(look);
                tokio::select! {
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                    () = self.progress.hurry.notified() => {}
                }
            }
        }
    }

    /// The ARN of the table's stream.
    async fn stream(&self) -> Result<String, CallError> {
        let described = self.around.client.call("DescribeTable", &json!({"TableName": self.mapping.table})).await?;
        described["Table"]["LatestStreamArn"].as_str().map(str::to_owned).ok_or_else(|| CallError::Refused {
            operation: "DescribeTable".into(),
            kind: "ResourceNotFoundException".into(),
            message: format!("the table {} has no stream", self.mapping.table),
        })
    }

    /// Adds the shards that are new.
    async fn list(&self, stream: &str, shards: &mut Vec<Shard>) -> Result<(), CallError> {
        let described =
            self.around.client.call_service(Service::Streams, "DescribeStream", &json!({"StreamArn": stream})).await?;
        let first_time = shards.is_empty();
        for shard in described["StreamDescription"]["Shards"].as_array().into_iter().flatten() {
            let id = shard["ShardId"].as_str().unwrap_or_default();
            if shards.iter().any(|known| known.id == id) {
                continue;
            }
            let mut request = json!({"StreamArn": stream, "ShardId": id});
            match self.around.checkpoints.get(&self.name(), id) {
                Some(reached) => {
                    request["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER".into();
                    request["SequenceNumber"] = reached.into();
                }
                // What comes later is read from its beginning in any case.
                None if self.mapping.from_the_beginning || !first_time => request["ShardIteratorType"] = "TRIM_HORIZON".into(),
                None => request["ShardIteratorType"] = "LATEST".into(),
            }
            let iterator = self.around.client.call_service(Service::Streams, "GetShardIterator", &request).await?;
            shards.push(Shard { id: id.to_owned(), iterator: iterator["ShardIterator"].as_str().map(str::to_owned) });
        }
        Ok(())
    }

    /// Hands over what the filters let through.
    async fn take(&self, stream: &str, shard: &str, records: Vec<Record>) {
        let wanted = |record: &Record| {
            self.mapping.filters.is_empty() || self.mapping.filters.iter().any(|filter| filter.matches(&record.0))
        };
        let batch: Vec<_> = records.into_iter().filter(wanted).collect();
        if !batch.is_empty() {
            self.deliver(stream, shard, batch).await;
        }
    }

    /// Hands a batch over until it is done or given up.
    async fn deliver(&self, stream: &str, shard: &str, batch: Vec<Record>) {
        // Halves of a batch that failed, the first of them last.
        let mut batches = vec![batch];
        while let Some(mut batch) = batches.pop() {
            let (mut attempts, mut pause) = (0, FIRST_PAUSE);
            loop {
                match self.hand_over(&batch).await {
                    Handed::Done => break,
                    Handed::From(0) | Handed::Failed => {}
                    Handed::From(position) => {
                        batch.drain(..position);
                        (attempts, pause) = (0, FIRST_PAUSE);
                        continue;
                    }
                }
                attempts += 1;
                let is_old = self.mapping.max_age.is_some_and(|age| batch.first().is_some_and(|first| first.age() > age));
                let is_over = is_old || self.mapping.max_retries.is_some_and(|retries| attempts > retries);
                if self.mapping.bisects && batch.len() > 1 {
                    let second = batch.split_off(batch.len() / 2);
                    batches.push(second);
                } else if is_over {
                    let condition = if is_old { "RecordAgeExceeded" } else { "RetryAttemptsExhausted" };
                    self.give_up(stream, shard, &batch, condition, attempts);
                    break;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    async fn hand_over(&self, batch: &[Record]) -> Handed {
        let fault = self.around.faults.draw_for_reader();
        if fault == Some(ReaderFault::Lose) {
            return Handed::Failed;
        }
        if let Some(ReaderFault::Delay(by)) = fault {
            tokio::time::sleep(by).await;
        }
        let source = format!("{}/stream/2000-01-01T00:00:00.000", table_arn(&self.mapping.table));
        let records: Vec<_> = batch
            .iter()
            .map(|Record(record)| {
                let mut record = record.clone();
                record["eventSourceARN"] = source.clone().into();
                record
            })
            .collect();
        let payload = json!({"Records": records}).to_string().into();
        let (lambda, trace) = (&self.around.lambda, ids::trace());
        let invocation = match fault {
            Some(ReaderFault::Kill(after)) => lambda.invoke_and_kill(&self.function, payload, trace, after).await,
            _ => lambda.invoke(&self.function, payload, trace).await,
        };
        let (cold, mut usage) = (invocation.is_cold(), invocation.usage);
        if let Some(fault) = fault {
            usage.add_fault(fault, "batch");
        }
        self.around.log.run(&ScheduledRun {
            at: ids::now_millis(),
            schedule: format!("stream of {}, {} records", self.mapping.table, batch.len()),
            cold,
            function: invocation.function,
            duration: invocation.duration,
            usage,
        });
        match invocation.outcome {
            // It has its effect, and nobody hears of it.
            _ if fault == Some(ReaderFault::Forget) => Handed::Failed,
            Outcome::Payload(answer) if self.mapping.reports_failures => first_failure(&answer, batch),
            Outcome::Payload(_) => Handed::Done,
            Outcome::Error(_) | Outcome::TimedOut => Handed::Failed,
        }
    }

    /// Tells where the records are that nobody took: as on AWS, not what is in them.
    fn give_up(&self, stream: &str, shard: &str, batch: &[Record], condition: &str, attempts: u32) {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return };
        let line = format!("{} records were given up: {condition}", batch.len());
        self.around.log.line(&self.function.template.binary, &line);
        let Some(queue) = &self.mapping.failures else { return };
        let time = |record: &Record| record.0["dynamodb"]["ApproximateCreationDateTime"].clone();
        self.around.queues.send(
            queue,
            json!({
                "version": "1.0",
                "timestamp": OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
                "requestContext": {
                    "requestId": ids::uuid(),
                    "functionArn": self.function.template.arn,
                    "condition": condition,
                    "approximateInvokeCount": attempts,
                },
                "DDBStreamBatchInfo": {
                    "streamArn": stream,
                    "shardId": shard,
                    "startSequenceNumber": first.sequence_number(),
                    "endSequenceNumber": last.sequence_number(),
                    "approximateArrivalOfFirstRecord": time(first),
                    "approximateArrivalOfLastRecord": time(last),
                    "batchSize": batch.len(),
                },
            }),
            Vec::new(),
        );
    }
}

/// Where a function says that it has stopped: at the first record of those that it names. One that names a record that is not in the
/// batch has failed as a whole.
fn first_failure(answer: &[u8], batch: &[Record]) -> Handed {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Report {
        batch_item_failures: Vec<Failure>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure {
        item_identifier: String,
    }
    // `null` is a success, too.
    let Ok(report) = serde_json::from_slice::<Option<Report>>(answer) else { return Handed::Failed };
    let named = report.unwrap_or_default().batch_item_failures;
    if named.is_empty() {
        return Handed::Done;
    }
    let position = |failure: &Failure| batch.iter().position(|record| record.sequence_number() == failure.item_identifier);
    let positions: Option<Vec<_>> = named.iter().map(position).collect();
    positions.and_then(|positions| positions.into_iter().min()).map_or(Handed::Failed, Handed::From)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_says_how_far_it_came() {
        let batch: Vec<_> = ["1", "2", "3"].map(|number| Record(json!({"dynamodb": {"SequenceNumber": number}}))).into();
        let reported = |answer: Value| match first_failure(answer.to_string().as_bytes(), &batch) {
            Handed::Done => "done".to_owned(),
            Handed::From(position) => position.to_string(),
            Handed::Failed => "failed".to_owned(),
        };
        for (answer, expected) in [
            (json!(null), "done"),
            (json!({}), "done"),
            (json!({"batchItemFailures": []}), "done"),
            (json!({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]}), "1"),
            (json!({"batchItemFailures": [{"itemIdentifier": "9"}]}), "failed"),
            (json!({"batchItemFailures": [{"itemIdentifier": null}]}), "failed"),
            (json!("what"), "failed"),
        ] {
            assert_eq!(reported(answer.clone()), expected, "{answer}");
        }
    }

    #[test]
    fn an_empty_map_is_one_whoever_tells_of_it() {
        let of = |map: Value| Record::of(json!({"dynamodb": {"NewImage": {"a": map, "n": {"M": {"b": {}, "c": {"S": ""}}}}}})).0;
        let expected = json!({"dynamodb": {"NewImage": {"a": {"M": {}}, "n": {"M": {"b": {"M": {}}, "c": {"S": ""}}}}}});
        assert_eq!((of(json!({})), of(json!({"M": {}}))), (expected.clone(), expected));
    }

    #[test]
    fn checkpoints_outlive_the_reader() {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("streams.json"));
        let first = Checkpoints::open(file.clone()).unwrap();
        assert_eq!(first.get("F.Stream", "shard"), None);
        first.set("F.Stream", "shard", "7");
        let second = Checkpoints::open(file).unwrap();
        assert_eq!(second.get("F.Stream", "shard").as_deref(), Some("7"));
    }
}
