//! The functions' way to AWS. Calls to DynamoDB are forwarded as they are, and it is noted which environment made them and what
//! they cost; policies are enforced, and if it is asked to, it puts faults in the way. Secrets Manager answers at the same place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::serve::Listener;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::connector::Connector;
use crate::contention::Model;
use crate::database::Database;
use crate::faults::{self, Fate, Injector};
use crate::guard::{self, Guard};
use crate::ids;
use crate::log::Log;
use crate::rights::{Demand, Rights, Schema};
use crate::secrets::{self, Secrets};

/// The access key that DynamoDB sees from everybody: DynamoDB Local keeps separate data for each key.
pub const SHARED_ACCESS_KEY: &str = "AKIALOCAL";

/// What somebody asked DynamoDB for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    pub operations: Vec<String>,
    /// The X-Ray headers that they carried, without repetitions.
    pub traces: Vec<String>,
    pub read_units: f64,
    pub write_units: f64,
}

/// Every environment, by access key.
#[derive(Default)]
pub struct Ledger(Mutex<HashMap<String, Entry>>);

struct Entry {
    /// Since they were last taken.
    calls: Calls,
    /// The function that runs in it.
    function: String,
    rights: Arc<Rights>,
}

impl Ledger {
    /// Opens an account under an access key of its own.
    pub fn open(self: &Arc<Self>, function: &str, rights: &Arc<Rights>) -> Account {
        let access_key = ids::access_key();
        let entry = Entry { calls: Calls::default(), function: function.to_owned(), rights: Arc::clone(rights) };
        self.lock().insert(access_key.clone(), entry);
        Account { access_key, ledger: Arc::clone(self) }
    }

    /// Whether the key is an environment's.
    fn knows(&self, access_key: &str) -> bool {
        self.lock().contains_key(access_key)
    }

    /// Why AWS would not let a function do this; strangers, who are no functions, may do anything.
    pub fn refusal(&self, access_key: &str, demands: Vec<Demand>) -> Option<String> {
        let (function, rights) = {
            let entries = self.lock();
            let entry = entries.get(access_key)?;
            (entry.function.clone(), Arc::clone(&entry.rights))
        };
        rights.check(demands).err().map(|demand| demand.refusal(&function))
    }

    fn note_trace(&self, access_key: &str, trace: String) {
        if let Some(Entry { calls, .. }) = self.lock().get_mut(access_key)
            && !calls.traces.contains(&trace)
        {
            calls.traces.push(trace);
        }
    }

    fn note(&self, access_key: &str, operation: &str, units: f64) {
        if let Some(Entry { calls, .. }) = self.lock().get_mut(access_key) {
            calls.operations.push(operation.to_owned());
            if reads(operation) {
                calls.read_units += units;
            } else {
                calls.write_units += units;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One environment's account; closed when it is dropped.
pub struct Account {
    access_key: String,
    ledger: Arc<Ledger>,
}

impl Account {
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The calls since the last time.
    pub fn take(&self) -> Calls {
        let mut accounts = self.ledger.lock();
        accounts.get_mut(&self.access_key).map(|entry| std::mem::take(&mut entry.calls)).unwrap_or_default()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.ledger.lock().remove(&self.access_key);
    }
}

pub struct Meter {
    schema: Schema,
    secrets: Arc<Secrets>,
    ledger: Arc<Ledger>,
    injector: Arc<Injector>,
    model: Arc<Model>,
    log: Arc<Log>,
    guard: Guard,
    upstream: Uri,
    client: Client<Connector, Full<Bytes>>,
}

/// Why a connection is dropped without an answer.
type Dropped = Box<dyn std::error::Error + Send + Sync>;

impl Meter {
    pub fn new(
        guard: Guard,
        database: &Database,
        schema: Schema,
        ledger: Arc<Ledger>,
        (secrets, injector, model, log): (Arc<Secrets>, Arc<Injector>, Arc<Model>, Arc<Log>),
    ) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(database.connector.clone());
        Self { schema, secrets, ledger, injector, model, log, guard, upstream: database.uri.clone(), client }
    }

    pub async fn serve(self: Arc<Self>, mut listener: TcpListener, stop: CancellationToken) {
        while let Some((stream, _)) = stop.run_until_cancelled(Listener::accept(&mut listener)).await {
            // Only slower without it.
            let _ = stream.set_nodelay(true);
            let meter = Arc::clone(&self);
            let service = service_fn(move |request| Arc::clone(&meter).forward(request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let stop = stop.clone();
            tokio::spawn(async move {
                // A connection ends in an error when either side drops it, which is theirs to report.
                let _ = stop.run_until_cancelled(connection).await;
            });
        }
    }

    /// When DynamoDB refuses or drops the connection, the error returned here drops the client's too: no status is
    /// invented, and the SDK sees what it would have seen without a meter.
    async fn forward(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
        let (mut head, body) = request.into_parts();
        if let Err(guard::Refusal(status, message)) = self.guard.check(head.version, &head.uri, &head.headers) {
            let mut refused = Response::new(Full::new(Bytes::from_static(message.as_bytes())));
            *refused.status_mut() = status;
            return Ok(refused);
        }
        let body = body.collect().await?.to_bytes();
        match Service::of(&head.headers) {
            Service::DynamoDb => {}
            Service::SecretsManager => return Ok(secrets::answer(&self.secrets, &self.ledger, &head.headers, &body)),
            Service::Other(name) => {
                let message = format!("{name} is not emulated here: only DynamoDB and Secrets Manager are");
                // Not every client shows an answer in a format that it does not expect.
                self.log.line("aws", &message);
                return Ok(faults::unsupported(&message));
            }
        }
        let access_key = share_access_key(&mut head.headers)?;
        let trace = head.headers.get("x-amzn-trace-id").and_then(|trace| trace.to_str().ok()).map(str::to_owned);
        let operation = head
            .headers
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok())
            .and_then(|target| target.rsplit('.').next())
            .unwrap_or("Unknown")
            .to_owned();
        let mut target = self.upstream.clone().into_parts();
        target.path_and_query = head.uri.into_parts().path_and_query;
        head.uri = Uri::from_parts(target)?;
        // The client writes the one that fits the upstream.
        head.headers.remove(HOST);
        let request = Request::from_parts(head, Full::new(body.clone()));

        // Calls of strangers are forwarded, but nobody asks for their cost, and they meet no faults.
        let Some(access_key) = access_key.filter(|access_key| self.ledger.knows(access_key)) else {
            return self.carry_out(request).await.map(|answer| answer.map(Full::new));
        };
        if let Some(trace) = trace {
            self.ledger.note_trace(&access_key, trace);
        }
        if let Some(refusal) = self.ledger.refusal(&access_key, self.schema.demands(&operation, &body)) {
            self.ledger.note(&access_key, &operation, 0.0);
            return Ok(faults::denied(&refusal));
        }
        let fate = match self.injector.draw(&operation, &body) {
            Some(Fate::Refused(answer)) => {
                self.ledger.note(&access_key, &operation, 0.0);
                return Ok(answer);
            }
            fate => fate,
        };
        let pass = match self.model.admit(&operation, &body) {
            Some(Err((at, refusal))) => {
                tokio::time::sleep_until(at.into()).await;
                self.ledger.note(&access_key, &operation, 0.0);
                return Ok(refusal);
            }
            Some(Ok(pass)) => Some(pass),
            None => None,
        };
        let answer = self.carry_out(request).await?;
        let units = consumed(answer.body());
        self.ledger.note(&access_key, &operation, units);
        if let Some(pass) = pass {
            pass.leave(units).await;
        }
        match fate {
            None => {}
            Some(Fate::Belied(instead) | Fate::Refused(instead)) => return Ok(instead),
            Some(Fate::Cut) => return Err("cut on purpose".into()),
            Some(Fate::Late(by)) => tokio::time::sleep(by).await,
        }
        Ok(answer.map(Full::new))
    }

    async fn carry_out(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Dropped> {
        let (mut head, body) = self.client.request(request).await?.into_parts();
        guard::remove_cors(&mut head.headers);
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}

/// The AWS service that a request is for.
#[derive(Debug, PartialEq, Eq)]
enum Service {
    DynamoDb,
    SecretsManager,
    /// Its name, as far as the request says.
    Other(String),
}

impl Service {
    fn of(headers: &HeaderMap) -> Self {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()?.split('.').next());
        match target {
            Some("DynamoDB_20120810") => Self::DynamoDb,
            Some("secretsmanager") => Self::SecretsManager,
            other => {
                // `Credential=<key>/<date>/<region>/<service>/aws4_request`
                let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
                let scope = authorization.and_then(split_credential).and_then(|(_, _, scope)| scope.split('/').nth(3));
                let named = [other, scope].into_iter().flatten().find(|name| !name.is_empty());
                Self::Other(named.unwrap_or("a request that names no service").to_owned())
            }
        }
    }
}

/// Replaces the access key in the request's signature by the shared one and returns it.
fn share_access_key(headers: &mut HeaderMap) -> Result<Option<String>, Dropped> {
    let Some((before, access_key, after)) =
        headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(split_credential)
    else {
        return Ok(None);
    };
    let access_key = access_key.to_owned();
    let shared = HeaderValue::from_str(&format!("{before}{SHARED_ACCESS_KEY}{after}"))?;
    headers.insert(AUTHORIZATION, shared);
    Ok(Some(access_key))
}

/// The access key that a request is signed with.
pub fn access_key(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?;
    split_credential(authorization).map(|(_, access_key, _)| access_key)
}

/// `AWS4-HMAC-SHA256 Credential=<key>/<date>/…` as what stands before the key, the key, and the rest.
fn split_credential(authorization: &str) -> Option<(&str, &str, &str)> {
    const FIELD: &str = "Credential=";
    let start = authorization.find(FIELD)? + FIELD.len();
    let (before, rest) = authorization.split_at(start);
    let end = rest.find('/')?;
    let (access_key, after) = rest.split_at(end);
    Some((before, access_key, after))
}

fn reads(operation: &str) -> bool {
    matches!(operation, "GetItem" | "BatchGetItem" | "TransactGetItems" | "Query" | "Scan")
}

/// The capacity that an answer says was consumed.
fn consumed(body: &[u8]) -> f64 {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        consumed_capacity: Consumed,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Consumed {
        One(Capacity),
        PerTable(Vec<Capacity>),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Capacity {
        capacity_units: f64,
    }
    match serde_json::from_slice(body) {
        Ok(Answer { consumed_capacity: Consumed::One(capacity) }) => capacity.capacity_units,
        Ok(Answer { consumed_capacity: Consumed::PerTable(tables) }) => {
            tables.iter().map(|capacity| capacity.capacity_units).sum()
        }
        // An error, or an operation that costs nothing.
        Err(_) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

    use super::*;

    #[test]
    fn the_access_key_is_found() {
        for (header, expected) in [
            ("AWS4-HMAC-SHA256 Credential=AKIA1/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host", Some("AKIA1")),
            ("AWS4-HMAC-SHA256 Credential=/x", Some("")),
            ("AWS4-HMAC-SHA256 Credential=AKIA1", None),
            ("Bearer token", None),
            ("", None),
        ] {
            assert_eq!(split_credential(header).map(|(_, key, _)| key), expected, "{header}");
        }
    }

    #[test]
    fn the_access_key_is_shared() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("AWS4 Credential=A/1, Signature=b"));
        assert_eq!(share_access_key(&mut headers).unwrap().as_deref(), Some("A"));
        assert_eq!(headers[AUTHORIZATION], "AWS4 Credential=AKIALOCAL/1, Signature=b");
    }

    #[test]
    fn services_are_told_apart() {
        let other = |name: &str| Service::Other(name.to_owned());
        let signed =
            |service: &str| format!("AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/{service}/aws4_request, Signature=0");
        for (target, scope, expected) in [
            (Some("DynamoDB_20120810.GetItem"), "dynamodb", Service::DynamoDb),
            (Some("secretsmanager.GetSecretValue"), "secretsmanager", Service::SecretsManager),
            (Some("DynamoDBStreams_20120810.GetRecords"), "dynamodb", other("DynamoDBStreams_20120810")),
            (Some("AWSEvents.PutEvents"), "events", other("AWSEvents")),
            (Some("AmazonSQS.SendMessage"), "sqs", other("AmazonSQS")),
            (None, "ses", other("ses")),
            (None, "s3", other("s3")),
            (None, "", other("a request that names no service")),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::try_from(signed(scope)).unwrap());
            headers.extend(target.map(|target| (HeaderName::from_static("x-amz-target"), HeaderValue::from_static(target))));
            assert_eq!(Service::of(&headers), expected, "{target:?} {scope}");
        }
        assert_eq!(Service::of(&HeaderMap::new()), other("a request that names no service"));
    }

    #[test]
    fn capacity_is_summed() {
        for (body, expected) in [
            (r#"{"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5}}"#, 0.5),
            (r#"{"ConsumedCapacity": [{"CapacityUnits": 2}, {"CapacityUnits": 4.0}]}"#, 6.0),
            (r#"{"Item": {}}"#, 0.0),
            (r#"{"ConsumedCapacity": null}"#, 0.0),
            ("<html>", 0.0),
        ] {
            assert!((consumed(body.as_bytes()) - expected).abs() < f64::EPSILON, "{body}");
        }
    }

    #[test]
    fn accounts_are_separate_and_end() {
        let ledger = Arc::new(Ledger::default());
        let rights = Arc::default();
        let (one, other) = (ledger.open("One", &rights), ledger.open("Other", &rights));
        ledger.note(one.access_key(), "Query", 0.5);
        ledger.note(one.access_key(), "TransactWriteItems", 6.0);
        ledger.note("stranger", "Query", 1.0);

        let calls = one.take();
        assert_eq!(calls.operations, ["Query", "TransactWriteItems"]);
        assert_eq!((calls.read_units, calls.write_units), (0.5, 6.0));
        assert_eq!(one.take(), Calls::default());
        assert_eq!(other.take(), Calls::default());

        drop((one, other));
        assert!(ledger.lock().is_empty());
    }
}
