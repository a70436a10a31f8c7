//! EventBridge's buses: events in, and out to the API destinations whose rules they match, with retries and dead letters.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::innermost;
use crate::iam::AuthorizationRequest;
use crate::ids;
use crate::log::Ring;
use crate::names::{ACCOUNT, REGION, arn};
use crate::pattern::Pattern;
use crate::protocol::{Call, Refusal, page, read};
use crate::queues::Queues;
use crate::template::{EventBus, Rule, Target};

/// What one call may hold.
const MAX_ENTRIES: usize = 10;
const MAX_BYTES: usize = 256 * 1024;

const OPERATIONS: &[&str] =
    &["DescribeEventBus", "DescribeRule", "ListEventBuses", "ListRules", "ListTargetsByRule", "PutEvents", "TestEventPattern"];

/// How many events are remembered.
const REMEMBERED: usize = 50_000;

/// How many buses, rules or targets one answer has.
const PAGE: usize = 100;

/// The bus of whoever names none.
const DEFAULT: &str = "default";

/// How long a destination may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The first pause before an event is sent again, and the longest: EventBridge waits longer.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An event that was put on a bus.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// How many came before it.
    pub number: u64,
    /// In milliseconds since 1970.
    pub at: u64,
    /// As a rule sees it.
    pub event: Value,
    pub deliveries: Vec<Delivery>,
}

/// One attempt to send an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The rule and the URL.
    pub rule: String,
    pub url: String,
    pub at: u64,
    /// The status that was answered, or why there was no answer.
    pub answer: String,
}

/// The latest events, and what became of them.
pub struct EventLog {
    events: Mutex<Ring<EventRecord>>,
    /// Events on their way to a destination.
    under_way: AtomicU64,
    arrived: Notify,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { events: Mutex::new(Ring::of(REMEMBERED)), under_way: AtomicU64::new(0), arrived: Notify::new() }
    }
}

impl EventLog {
    /// The events that came after the first `seen`, oldest first, but only the latest `limit` of them.
    pub fn after(&self, seen: u64, limit: usize) -> Vec<EventRecord> {
        self.lock().after(seen, limit).0
    }

    pub fn find(&self, number: u64) -> Option<EventRecord> {
        self.lock().items().find(|record| record.number == number).cloned()
    }

    /// Waits until nothing is on its way.
    pub async fn settled(&self) {
        loop {
            let arrived = self.arrived.notified();
            if self.under_way.load(Ordering::Acquire) == 0 {
                return;
            }
            arrived.await;
        }
    }

    fn push(&self, event: Value) -> u64 {
        let mut events = self.lock();
        let number = events.total();
        events.push(EventRecord { number, at: ids::now_millis(), event, deliveries: Vec::new() });
        number
    }

    fn add(&self, number: u64, delivery: Delivery) {
        if let Some(record) = self.lock().items_mut().find(|record| record.number == number) {
            record.deliveries.push(delivery);
        }
    }

    fn begin(&self) {
        self.under_way.fetch_add(1, Ordering::AcqRel);
    }

    fn end(&self) {
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        self.arrived.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Ring<EventRecord>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All buses of a template, with the rules on them.
#[derive(Default)]
pub struct EventBuses {
    buses: Vec<EventBus>,
    rules: Vec<ActiveRule>,
    log: Arc<EventLog>,
}

/// A rule, and the way to whoever sends for it.
struct ActiveRule {
    rule: Rule,
    senders: Vec<mpsc::UnboundedSender<Parcel>>,
}

/// An event on its way to one destination.
struct Parcel {
    number: u64,
    event: Value,
}

impl EventBuses {
    pub fn start(
        buses: Vec<EventBus>,
        rules: Vec<Rule>,
        queues: &Arc<Queues>,
        log: Arc<EventLog>,
        stop: &CancellationToken,
    ) -> Self {
        let activate = |rule: Rule| {
            let senders = rule.targets.iter().map(|target| {
                let (sender, parcels) = mpsc::unbounded_channel();
                let sending = Sending {
                    rule: rule.name.clone(),
                    target: target.clone(),
                    client: client(),
                    log: Arc::clone(&log),
                    queues: Arc::clone(queues),
                };
                tokio::spawn(stop.clone().run_until_cancelled_owned(Arc::new(sending).send_all(parcels)));
                sender
            });
            ActiveRule { senders: senders.collect(), rule }
        };
        Self { buses, rules: rules.into_iter().map(activate).collect(), log }
    }

    /// What a call must be allowed to do.
    pub fn authorization_requests(&self, operation: &str, input: &Value) -> Vec<AuthorizationRequest> {
        let bus = |name: &str| self.find(name).map_or_else(|| arn("events", &format!("event-bus/{name}")), |bus| bus.arn.clone());
        let resources: Vec<String> = match operation {
            "PutEvents" => {
                let entries = input["Entries"].as_array().into_iter().flatten();
                entries.map(|entry| bus(entry["EventBusName"].as_str().unwrap_or(DEFAULT))).collect()
            }
            "DescribeEventBus" => vec![bus(input["Name"].as_str().unwrap_or(DEFAULT))],
            "DescribeRule" | "ListTargetsByRule" => {
                let name = input["Name"].as_str().or(input["Rule"].as_str()).unwrap_or_default();
                let rule = self.rules.iter().find(|rule| rule.rule.name == name);
                vec![rule.map_or_else(|| arn("events", &format!("rule/{name}")), |rule| rule.rule.arn.clone())]
            }
            _ => vec!["*".to_owned()],
        };
        let request = |resource| AuthorizationRequest { action: format!("events:{operation}"), resource, keys: Vec::new() };
        resources.into_iter().map(request).collect()
    }

    /// `failing`: decides which of the entries of `PutEvents` are not taken, if some are to fail.
    pub fn answer(&self, call: &Call, input: &Value, failing: Option<u64>) -> Result<Value, Refusal> {
        match call.operation.as_str() {
            "PutEvents" => self.put_events(input, failing),
            "ListEventBuses" => {
                let Listed { name_prefix, next_token, limit } = read(input)?;
                let is_wanted = |bus: &&EventBus| name_prefix.as_ref().is_none_or(|prefix| bus.name.starts_with(prefix.as_str()));
                let buses = self.buses.iter().filter(is_wanted).map(described).collect();
                let (buses, next) = page(buses, next_token.as_deref(), limit.unwrap_or(PAGE))?;
                Ok(json!({"EventBuses": buses, "NextToken": next}))
            }
            "DescribeEventBus" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "PascalCase", deny_unknown_fields)]
                struct Wanted {
                    name: Option<String>,
                }
                let Wanted { name } = read(input)?;
                let name = name.as_deref().unwrap_or(DEFAULT);
                self.find(name).map(described).ok_or_else(|| missing("Event bus", name))
            }
            "ListRules" => {
                let OnBus { event_bus_name, name_prefix, next_token, limit } = read(input)?;
                let is_wanted = |rule: &&Rule| name_prefix.as_ref().is_none_or(|prefix| rule.name.starts_with(prefix.as_str()));
                let rules = self.rules_on(event_bus_name.as_deref())?.filter(is_wanted).map(|rule| self.rule(rule)).collect();
                let (rules, next) = page(rules, next_token.as_deref(), limit.unwrap_or(PAGE))?;
                Ok(json!({"Rules": rules, "NextToken": next}))
            }
            "DescribeRule" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "PascalCase", deny_unknown_fields)]
                struct Wanted {
                    name: String,
                    event_bus_name: Option<String>,
                }
                let Wanted { name, event_bus_name } = read(input)?;
                let rule = self.rules_on(event_bus_name.as_deref())?.find(|rule| rule.name == name);
                rule.map(|rule| self.rule(rule)).ok_or_else(|| missing("Rule", &name))
            }
            "ListTargetsByRule" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "PascalCase", deny_unknown_fields)]
                struct Wanted {
                    rule: String,
                    event_bus_name: Option<String>,
                    next_token: Option<String>,
                    limit: Option<usize>,
                }
                let Wanted { rule: name, event_bus_name, next_token, limit } = read(input)?;
                let rule = self.rules_on(event_bus_name.as_deref())?.find(|rule| rule.name == name);
                let targets = rule.ok_or_else(|| missing("Rule", &name))?.targets.iter().map(target).collect();
                let (targets, next) = page(targets, next_token.as_deref(), limit.unwrap_or(PAGE))?;
                Ok(json!({"Targets": targets, "NextToken": next}))
            }
            "TestEventPattern" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "PascalCase", deny_unknown_fields)]
                struct Wanted {
                    event_pattern: String,
                    event: String,
                }
                let Wanted { event_pattern, event } = read(input)?;
                let parsed = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
                let invalid = |reason| {
                    Refusal::new("InvalidEventPatternException", format!("Event pattern is not valid. Reason: {reason}"))
                };
                let pattern = parsed(&event_pattern).and_then(|pattern| Pattern::new(&pattern)).map_err(invalid)?;
                let event = parsed(&event).map_err(|reason| Refusal::new("ValidationException", reason))?;
                Ok(json!({"Result": pattern.matches(&event)}))
            }
            _ => Err(call.not_served(OPERATIONS)),
        }
    }

    fn put_events(&self, input: &Value, failing: Option<u64>) -> Result<Value, Refusal> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        struct Given {
            entries: Vec<Entry>,
        }
        let call: Given = read(input)?;
        let count = call.entries.len();
        if !(1..=MAX_ENTRIES).contains(&count) {
            let message = format!("Member must have length between 1 and {MAX_ENTRIES}, and has {count}");
            return Err(Refusal::new("ValidationException", message));
        }
        let bytes: usize = call.entries.iter().map(Entry::bytes).sum();
        if bytes > MAX_BYTES {
            let message = format!("Total size of the entries in the request is over the limit: {bytes}");
            return Err(Refusal::new("ValidationException", message));
        }
        let failed = |position: usize| failing.is_some_and(|seed| (seed >> (position % 64)) & 1 == 1);
        let take = |(position, entry)| {
            let refused = |(code, message)| json!({"ErrorCode": code, "ErrorMessage": message});
            if failed(position) {
                refused(("InternalFailure", "Internal failure".to_owned()))
            } else {
                self.take(entry).unwrap_or_else(refused)
            }
        };
        let results: Vec<_> = call.entries.into_iter().enumerate().map(take).collect();
        let failures = results.iter().filter(|result| result["ErrorCode"].is_string()).count();
        Ok(json!({"FailedEntryCount": failures, "Entries": results}))
    }

    /// Puts one event on its bus; the result says under which id.
    fn take(&self, entry: Entry) -> Result<Value, (&'static str, String)> {
        let bus = entry.event_bus_name.as_deref().unwrap_or(DEFAULT);
        let bus = self.find(bus).ok_or_else(|| ("ResourceNotFoundException", format!("Event bus {bus} does not exist.")))?;
        let detail: Value = serde_json::from_str(&entry.detail).unwrap_or_default();
        if !detail.is_object() {
            return Err(("MalformedDetail", "Detail is malformed.".to_owned()));
        }
        let id = ids::uuid();
        let event = json!({
            "version": "0",
            "id": id,
            "detail-type": entry.detail_type,
            "source": entry.source,
            "account": ACCOUNT,
            "time": OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH).format(&Rfc3339).unwrap_or_default(),
            "region": REGION,
            "resources": entry.resources,
            "detail": detail,
        });
        let number = self.log.push(event.clone());
        self.send(bus, number, &event);
        Ok(json!({"EventId": id}))
    }

    /// Sends an event that was put on the bus before once more to wherever it belongs. `false` if it is no longer remembered.
    pub fn send_again(&self, number: u64) -> bool {
        let record = self.log.find(number);
        if let Some(record) = &record {
            self.buses.iter().for_each(|bus| self.send(bus, number, &record.event));
        }
        record.is_some()
    }

    fn send(&self, bus: &EventBus, number: u64, event: &Value) {
        let is_on = |rule: &&ActiveRule| [&bus.name, &bus.arn].into_iter().any(|its| *its == rule.rule.bus);
        for rule in self.rules.iter().filter(is_on).filter(|rule| rule.rule.pattern.matches(event)) {
            for sender in &rule.senders {
                self.log.begin();
                // It fails only when the emulator stops.
                let _ = sender.send(Parcel { number, event: event.clone() });
            }
        }
    }

    /// The rules on a bus: on the default one unless it is named.
    fn rules_on(&self, bus: Option<&str>) -> Result<impl Iterator<Item = &Rule>, Refusal> {
        let bus = bus.unwrap_or(DEFAULT);
        let names = match self.find(bus) {
            Some(bus) => [bus.name.clone(), bus.arn.clone()],
            // There is one on AWS even if no template makes it.
            None if bus == DEFAULT => [DEFAULT.to_owned(), arn("events", "event-bus/default")],
            None => return Err(missing("Event bus", bus)),
        };
        Ok(self.rules.iter().map(|rule| &rule.rule).filter(move |rule| names.contains(&rule.bus)))
    }

    fn rule(&self, rule: &Rule) -> Value {
        json!({
            "Name": rule.name,
            "Arn": rule.arn,
            "EventPattern": rule.pattern.to_string(),
            "State": "ENABLED",
            "EventBusName": self.find(&rule.bus).map_or(&rule.bus, |bus| &bus.name),
        })
    }

    fn find(&self, name: &str) -> Option<&EventBus> {
        self.buses.iter().find(|bus| [&bus.name, &bus.arn].into_iter().any(|its| its == name))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Listed {
    name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct OnBus {
    event_bus_name: Option<String>,
    name_prefix: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

fn described(bus: &EventBus) -> Value {
    json!({"Name": bus.name, "Arn": bus.arn})
}

fn target(target: &Target) -> Value {
    json!({
        "Id": target.id,
        "Arn": target.arn,
        "InputPath": target.input_path,
        "DeadLetterConfig": target.dead_letters.as_ref().map(|queue| json!({"Arn": queue})),
        "RetryPolicy": {"MaximumRetryAttempts": target.retries, "MaximumEventAgeInSeconds": target.max_age.as_secs()},
    })
}

fn missing(what: &str, name: &str) -> Refusal {
    Refusal::new("ResourceNotFoundException", format!("{what} {name} does not exist."))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Entry {
    source: String,
    detail_type: String,
    detail: String,
    event_bus_name: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(rename = "Time")]
    _time: Option<f64>,
    #[serde(rename = "TraceHeader")]
    _trace_header: Option<String>,
}

impl Entry {
    /// As EventBridge counts them.
    fn bytes(&self) -> usize {
        self.source.len() + self.detail_type.len() + self.detail.len() + self.resources.iter().map(String::len).sum::<usize>()
    }
}

fn client() -> reqwest::Client {
    // A proxy that the environment names cannot know this machine's ports. Without TLS: what is sent to here is on this machine.
    reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap_or_default()
}

/// Whoever sends events to one destination of a rule.
struct Sending {
    rule: String,
    target: Target,
    client: reqwest::Client,
    log: Arc<EventLog>,
    queues: Arc<Queues>,
}

impl Sending {
    /// Sends events one after the other; those that are not taken are tried again beside the others, as EventBridge does.
    async fn send_all(self: Arc<Self>, mut parcels: mpsc::UnboundedReceiver<Parcel>) {
        while let Some(parcel) = parcels.recv().await {
            match self.send(&parcel).await {
                Ok(()) => self.log.end(),
                Err(why) => {
                    tokio::spawn(Arc::clone(&self).try_again(parcel, why));
                }
            }
        }
    }

    async fn try_again(self: Arc<Self>, parcel: Parcel, mut why: String) {
        let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
        for _ in 0..self.target.retries {
            if started.elapsed() + pause > self.target.max_age {
                break;
            }
            tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            match self.send(&parcel).await {
                Ok(()) => return self.log.end(),
                Err(again) => why = again,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if let Some(queue) = &self.target.dead_letters {
            let attributes = vec![("ERROR_MESSAGE", why), ("TARGET_ARN", self.target.arn.clone())];
            self.queues.send(queue, parcel.event, attributes);
        }
        self.log.end();
    }

    /// Sends an event, and notes what was answered.
    async fn send(&self, parcel: &Parcel) -> Result<(), String> {
        let pointer = self.target.input_path.as_ref().map(|path| path.trim_start_matches('$').replace('.', "/"));
        let body = pointer.map_or(Some(&parcel.event), |pointer| parcel.event.pointer(&pointer)).cloned().unwrap_or_default();
        let mut request = self.client.post(&self.target.url).header("content-type", "application/json; charset=utf-8");
        request = request.header("user-agent", "Amazon/EventBridge/ApiDestinations");
        for (name, value) in &self.target.headers {
            request = request.header(name, value);
        }
        let outcome = match request.body(body.to_string()).send().await {
            Ok(answer) if answer.status().is_success() => Ok(answer.status().as_u16().to_string()),
            Ok(answer) => Err(answer.status().as_u16().to_string()),
            Err(error) => Err(innermost(&error)),
        };
        let answer = outcome.clone().unwrap_or_else(|why| why);
        let delivery = Delivery { rule: self.rule.clone(), url: self.target.url.clone(), at: ids::now_millis(), answer };
        self.log.add(parcel.number, delivery);
        outcome.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::Router;
    use axum::body::Bytes as Body;
    use axum::extract::State;
    use axum::http::HeaderMap;
    use axum::http::StatusCode;
    use axum::routing::post;

    use super::*;
    use crate::server;
    use crate::template::Queue;

    type Received = Arc<Mutex<Vec<(Option<String>, Value)>>>;

    /// A destination that refuses the first requests of every event.
    async fn destination(refusals: usize, stop: &CancellationToken) -> (String, Received) {
        let received: Received = Arc::default();
        let take = async move |State(received): State<Received>, headers: HeaderMap, body: Body| {
            let key = headers.get("x-api-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
            let mut received = received.lock().unwrap();
            received.push((key, serde_json::from_slice(&body).unwrap()));
            if received.len() > refusals { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
        };
        let listener = server::listen("a destination", 0).await.unwrap();
        let url = server::url(&listener).unwrap();
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&received));
        tokio::spawn(server::serve(listener, router, stop.clone()));
        (format!("{url}/hook"), received)
    }

    struct Setting {
        buses: EventBuses,
        log: Arc<EventLog>,
        queues: Arc<Queues>,
    }

    fn setting(url: &str, retries: u32, stop: &CancellationToken) -> Setting {
        let target = Target {
            id: "hook".into(),
            arn: "destination-arn".into(),
            url: url.into(),
            headers: BTreeMap::from([("x-api-key".to_owned(), "secret".to_owned())]),
            input_path: Some("$.detail".into()),
            dead_letters: Some("queue-arn".into()),
            retries,
            max_age: Duration::from_mins(1),
        };
        let pattern = Pattern::new(&json!({"source": ["shop"]})).unwrap();
        let rule = Rule { name: "rule".into(), arn: "rule-arn".into(), bus: "bus".into(), pattern, targets: vec![target] };
        let bus = EventBus { name: "bus".into(), arn: "bus-arn".into() };
        let queue = Queue { id: "Queue".into(), name: "queue".into(), arn: "queue-arn".into() };
        let (queues, log) = (Arc::new(Queues::new(vec![queue], "")), Arc::new(EventLog::default()));
        let buses = EventBuses::start(vec![bus], vec![rule], &queues, Arc::clone(&log), stop);
        Setting { buses, log, queues }
    }

    fn entry(source: &str, number: u32) -> Value {
        json!({"EventBusName": "bus", "Source": source, "DetailType": "t", "Detail": json!({"n": number}).to_string()})
    }

    fn call(buses: &EventBuses, operation: &str, input: &Value) -> Result<Value, &'static str> {
        let request = hyper::Request::post("/").header("x-amz-target", format!("AWSEvents.{operation}"));
        let call = Call::of(&request.body(()).unwrap().into_parts().0, b"");
        buses.answer(&call, input, None).map_err(|refusal| refusal.code)
    }

    #[tokio::test]
    async fn buses_rules_and_targets_are_told() {
        let stop = CancellationToken::new();
        let Setting { buses, .. } = setting("http://127.0.0.1:9/hook", 2, &stop);
        let ask = |operation, input: Value| call(&buses, operation, &input);
        assert_eq!(ask("ListEventBuses", json!({})).unwrap()["EventBuses"], json!([{"Name": "bus", "Arn": "bus-arn"}]));
        assert_eq!(ask("DescribeEventBus", json!({"Name": "bus-arn"})).unwrap()["Name"], "bus");
        assert_eq!(ask("DescribeEventBus", json!({})), Err("ResourceNotFoundException"));
        assert_eq!(ask("ListRules", json!({})).unwrap()["Rules"], json!([]));
        let rules = ask("ListRules", json!({"EventBusName": "bus"})).unwrap();
        assert_eq!(
            (&rules["Rules"][0]["Name"], &rules["Rules"][0]["EventPattern"]),
            (&json!("rule"), &json!(r#"{"source":["shop"]}"#))
        );
        let targets = ask("ListTargetsByRule", json!({"EventBusName": "bus", "Rule": "rule"})).unwrap();
        assert_eq!(targets["Targets"][0]["RetryPolicy"], json!({"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60}));
        assert_eq!(ask("DescribeRule", json!({"EventBusName": "bus", "Name": "other"})), Err("ResourceNotFoundException"));
        let test = |source: &str| {
            let event = json!({"source": source}).to_string();
            ask("TestEventPattern", json!({"EventPattern": r#"{"source":["shop"]}"#, "Event": event})).unwrap()["Result"].clone()
        };
        assert_eq!((test("shop"), test("else")), (json!(true), json!(false)));
        assert_eq!(ask("PutRule", json!({"Name": "mine"})), Err("NotServedLocally"));
        stop.cancel();
    }

    #[tokio::test]
    async fn events_are_sent_where_their_rules_say() {
        let stop = CancellationToken::new();
        let (url, received) = destination(1, &stop).await;
        let Setting { buses, log, .. } = setting(&url, 5, &stop);
        let entries = json!({"Entries": [entry("shop", 1), entry("else", 2), entry("shop", 3)]});
        let said = buses.put_events(&entries, None).unwrap();
        assert_eq!((&said["FailedEntryCount"], said["Entries"].as_array().unwrap().len()), (&json!(0), 3));
        log.settled().await;
        let got: Vec<_> = received.lock().unwrap().iter().map(|(key, body)| (key.clone(), body["n"].clone())).collect();
        let from = |n: u32| (Some("secret".to_owned()), json!(n));
        assert_eq!(got, [from(1), from(3), from(1)], "the first was refused once, and came again");
        let [first, other, _] = &log.after(0, 10)[..] else { panic!("three events") };
        let answers: Vec<_> = first.deliveries.iter().map(|delivery| delivery.answer.as_str()).collect();
        assert_eq!((answers, other.deliveries.len()), (vec!["503", "200"], 0));

        assert!(buses.send_again(0) && !buses.send_again(7));
        log.settled().await;
        assert_eq!(received.lock().unwrap().last().unwrap().1, json!({"n": 1}));
        stop.cancel();
    }

    #[tokio::test]
    async fn what_is_never_taken_is_put_aside() {
        let stop = CancellationToken::new();
        let Setting { buses, log, queues } = setting("http://127.0.0.1:9/hook", 2, &stop);
        buses.put_events(&json!({"Entries": [entry("shop", 1)]}), None).unwrap();
        log.settled().await;
        assert_eq!(log.find(0).unwrap().deliveries.len(), 3);
        let [message] = &queues.messages("Queue")[..] else { panic!("one message") };
        assert_eq!(message["detail"], json!({"n": 1}));
        stop.cancel();
    }

    #[tokio::test]
    async fn calls_that_eventbridge_refuses_are_refused() {
        let stop = CancellationToken::new();
        let Setting { buses, log, .. } = setting("http://127.0.0.1:9/hook", 0, &stop);
        let put = |entries: Value| buses.put_events(&json!({"Entries": entries}), None).map_err(|refusal| refusal.code);
        assert_eq!(put(json!([])), Err("ValidationException"));
        assert_eq!(put(Value::Array(vec![entry("shop", 1); 11])), Err("ValidationException"));
        let mut large = entry("shop", 1);
        large["Detail"] = json!(json!({"x": "x".repeat(MAX_BYTES)}).to_string());
        assert_eq!(put(json!([large])), Err("ValidationException"));
        let (mut nowhere, mut malformed) = (entry("shop", 1), entry("shop", 2));
        nowhere["EventBusName"] = json!("other");
        malformed["Detail"] = json!("[]");
        let said = put(json!([nowhere, malformed])).unwrap();
        let codes: Vec<_> = said["Entries"].as_array().unwrap().iter().map(|entry| entry["ErrorCode"].clone()).collect();
        assert_eq!(
            (&said["FailedEntryCount"], codes),
            (&json!(2), vec![json!("ResourceNotFoundException"), json!("MalformedDetail")])
        );
        assert!(log.after(0, 10).is_empty());

        let some = json!({"Entries": [entry("else", 1), entry("else", 2)]});
        let said = buses.put_events(&some, Some(0b10)).unwrap();
        assert_eq!((&said["FailedEntryCount"], &said["Entries"][1]["ErrorCode"]), (&json!(1), &json!("InternalFailure")));
        assert_eq!(log.after(0, 10).len(), 1);
        stop.cancel();
    }
}
