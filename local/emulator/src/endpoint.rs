//! The endpoint that stands for AWS's services. Calls to DynamoDB are forwarded as they are, with IAM, injected faults and contention
//! in their way, and what they cost is recorded. The services that are emulated answer at the same place, as far as each goes, and
//! everything else is refused by name.

use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::dynamodb::{
    Admission, CommitLog, Connector, ContentionModel, Database, Fault, FaultInjector, FaultKind, KeySchema, SHARED_ACCESS_KEY,
};
use crate::dynamodb::{errors, torn};
use crate::eventbus::EventBuses;
use crate::guard::{self, Guard};
use crate::iam::{AuthorizationRequest, Principals};
use crate::lambda::{Lambda, api};
use crate::log::Log;
use crate::logs::Logs;
use crate::mail::Mailbox;
use crate::names::ACCOUNT;
use crate::protocol::{Call, Refusal, Service};
use crate::queues::Queues;
use crate::secrets::Secrets;
use crate::signature;
use crate::stack::Stack;
use crate::usage::consumed_units;

/// What the endpoint asks about every call, and what answers instead of DynamoDB.
pub struct Services {
    pub schema: KeySchema,
    pub secrets: Arc<Secrets>,
    pub buses: Arc<EventBuses>,
    pub mailbox: Arc<Mailbox>,
    pub lambda: Arc<Lambda>,
    pub logs: Logs,
    pub queues: Arc<Queues>,
    pub stack: Stack,
    pub principals: Arc<Principals>,
    pub faults: Arc<FaultInjector>,
    pub contention: Arc<ContentionModel>,
    pub commits: Arc<CommitLog>,
    pub log: Arc<Log>,
}

pub struct AwsEndpoint {
    services: Services,
    guard: Guard,
    upstream: Uri,
    client: Client<Connector, Full<Bytes>>,
}

/// How long a process that is killed may take to be gone.
const DEATH_LIMIT: Duration = Duration::from_secs(10);

/// Why a connection is dropped without an answer.
type Dropped = Box<dyn std::error::Error + Send + Sync>;

impl AwsEndpoint {
    pub fn new(guard: Guard, database: &Database, services: Services) -> Self {
        let client = Client::builder(TokioExecutor::new()).build(database.connector.clone());
        Self { services, guard, upstream: database.uri.clone(), client }
    }

    pub async fn serve(self: Arc<Self>, mut listener: TcpListener, stop: CancellationToken) {
        while let Some((stream, _)) = stop.run_until_cancelled(Listener::accept(&mut listener)).await {
            // Without it an answer is only slower.
            let _ = stream.set_nodelay(true);
            let endpoint = Arc::clone(&self);
            let service = service_fn(move |request| Arc::clone(&endpoint).answer(request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let stop = stop.clone();
            tokio::spawn(async move {
                // A connection ends in an error when either side drops it, which is theirs to report.
                let _ = stop.run_until_cancelled(connection).await;
            });
        }
    }

    /// When DynamoDB refuses or drops the connection, the error returned here drops the client's too: no status is
    /// invented, and the SDK sees what it would have seen without this endpoint.
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
        let (head, body) = request.into_parts();
        if let Err(guard::Refusal(status, message)) = self.guard.check(head.version, &head.uri, &head.headers) {
            let mut refused = Response::new(Full::new(Bytes::from_static(message.as_bytes())));
            *refused.status_mut() = status;
            return Ok(refused);
        }
        let body = body.collect().await?.to_bytes();
        let call = Call::of(&head, &body);
        match call.service {
            Service::DynamoDb | Service::DynamoDbStreams => self.dynamodb(&call, head, body).await,
            Service::Lambda => {
                let Services { lambda, principals, .. } = &self.services;
                let denial = signature::access_key(&head.headers)
                    .and_then(|access_key| principals.denial(access_key, api::authorization_requests(lambda, &call)));
                match denial {
                    Some(denial) => Ok(call.answer(Err(Refusal::access_denied(denial)))),
                    None => Ok(api::answer(lambda, &call, &head, body).await),
                }
            }
            Service::Other => {
                let refusal = call.not_served(&[]);
                // Not every client shows what it is answered.
                self.services.log.line("aws", &refusal.message);
                Ok(call.answer(Err(refusal)))
            }
            _ => self.emulated(&call, &head, &body).await,
        }
    }

    /// The fault that a call of an environment meets, if it is to meet one; the environment's usage tells so.
    fn draw(&self, access_key: &str, operation: &str, body: &[u8]) -> Option<Fault> {
        let Services { faults, principals, .. } = &self.services;
        let (kind, fault) = faults.draw(operation, body)?;
        principals.record(access_key, |usage| usage.add_fault(kind, operation));
        Some(fault)
    }

    /// Ends the environment that has called, and gives no answer: with the process, its connection ends, and this with it.
    async fn kill(&self, access_key: &str) -> Dropped {
        self.services.principals.end(access_key);
        tokio::time::sleep(DEATH_LIMIT).await;
        "killed on purpose".into()
    }

    /// A service that is emulated here. Only those who are environments meet faults, and only where they change something.
    async fn emulated(&self, call: &Call, head: &Parts, body: &Bytes) -> Result<Response<Full<Bytes>>, Dropped> {
        let Services { principals, .. } = &self.services;
        let input = match call.input(head, body) {
            Ok(input) => input,
            Err(refusal) => return Ok(call.answer(Err(refusal))),
        };
        let access_key = signature::access_key(&head.headers).unwrap_or_default();
        let carry_out = |failing| call.answer(self.carry_out(call, access_key, &input, failing));
        if !principals.contains(access_key) {
            return Ok(carry_out(None));
        }
        let operation = call.operation.as_str();
        let is_metered = matches!(operation, "PutEvents" | "SendEmail");
        if is_metered {
            principals.record(access_key, |usage| usage.add_call(operation, 0.0));
        }
        if let Some(denial) = principals.denial(access_key, self.authorization_requests(call, &input)) {
            return Ok(call.answer(Err(Refusal::access_denied(denial))));
        }
        let fault = if is_metered { self.draw(access_key, operation, body) } else { None };
        match fault {
            None => Ok(carry_out(None)),
            Some(Fault::Reject(instead)) => Ok(instead),
            Some(Fault::Partly(parts)) => Ok(carry_out(Some(parts))),
            Some(Fault::FalseFailure(instead)) => {
                carry_out(None);
                Ok(instead)
            }
            Some(Fault::DropConnection) => {
                carry_out(None);
                Err("dropped on purpose".into())
            }
            Some(Fault::Delay(by)) => {
                let answer = carry_out(None);
                tokio::time::sleep(by).await;
                Ok(answer)
            }
            Some(Fault::Kill) => {
                carry_out(None);
                Err(self.kill(access_key).await)
            }
        }
    }

    fn carry_out(&self, call: &Call, access_key: &str, input: &Value, failing: Option<u64>) -> Result<Value, Refusal> {
        let Services { secrets, buses, mailbox, logs, stack, queues, principals, .. } = &self.services;
        match call.service {
            Service::CloudFormation => stack.answer(call, input),
            Service::EventBridge => buses.answer(call, input, failing),
            Service::Logs => logs.answer(call, input),
            Service::SecretsManager => secrets.answer(call, input),
            Service::Ses => mailbox.answer(call, input),
            Service::Sqs => queues.answer(call, input),
            Service::Sts if call.operation == "GetCallerIdentity" => {
                let (arn, id) = principals.identity(access_key);
                Ok(json!({"Account": ACCOUNT, "Arn": arn, "UserId": id}))
            }
            Service::Sts => Err(call.not_served(&["GetCallerIdentity"])),
            Service::DynamoDb | Service::DynamoDbStreams | Service::Lambda | Service::Other => Err(call.not_served(&[])),
        }
    }

    fn authorization_requests(&self, call: &Call, input: &Value) -> Vec<AuthorizationRequest> {
        let Services { secrets, buses, stack, queues, .. } = &self.services;
        let operation = call.operation.as_str();
        match call.service {
            Service::CloudFormation => stack.authorization_requests(operation, input),
            Service::EventBridge => buses.authorization_requests(operation, input),
            Service::Logs => Logs::authorization_requests(operation, input),
            Service::SecretsManager => secrets.authorization_requests(operation, input),
            Service::Ses => Mailbox::authorization_requests(operation, input),
            Service::Sqs => queues.authorization_requests(operation, input),
            // Everybody may ask who they are.
            _ => Vec::new(),
        }
    }

    async fn dynamodb(&self, call: &Call, mut head: Parts, body: Bytes) -> Result<Response<Full<Bytes>>, Dropped> {
        let principals = &self.services.principals;
        let access_key = signature::replace_access_key(&mut head.headers, SHARED_ACCESS_KEY)?;
        let trace = head.headers.get("x-amzn-trace-id").and_then(|trace| trace.to_str().ok()).map(str::to_owned);
        let operation = call.operation.as_str();
        let mut target = self.upstream.clone().into_parts();
        target.path_and_query = head.uri.into_parts().path_and_query;
        head.uri = Uri::from_parts(target)?;
        // The client writes the one that fits the upstream.
        head.headers.remove(HOST);
        let request = Request::from_parts(head, Full::new(body.clone()));

        // Calls of those who are no environments are forwarded, but nobody asks for their cost, and they meet no faults.
        let Some(access_key) = access_key.filter(|access_key| principals.contains(access_key)) else {
            let answer = self.forward(request).await?;
            // The databases for one machine have no backups, for example, and say no more than a name of it.
            if answer.status() == StatusCode::BAD_REQUEST && is_unknown_operation(answer.body()) {
                return Ok(call.answer(Err(call.not_served_because("the database here has no such operation"))));
            }
            return Ok(answer.map(Full::new));
        };
        let record = |units: f64| principals.record(&access_key, |usage| usage.add_call(operation, units));
        if let Some(trace) = trace {
            principals.record(&access_key, |usage| usage.add_trace(trace));
        }
        let wanted = match call.service {
            Service::DynamoDb => self.services.schema.authorization_requests(operation, &body),
            _ => stream_requests(operation, &body),
        };
        if let Some(denial) = principals.denial(&access_key, wanted) {
            record(0.0);
            return Ok(errors::access_denied(&denial));
        }
        let fault = match self.draw(&access_key, operation, &body) {
            Some(Fault::Reject(answer)) => {
                record(0.0);
                return Ok(answer);
            }
            fault => fault,
        };
        let permit = match self.services.contention.admit(operation, &body) {
            Some(Admission::Refused(at, answer)) => {
                tokio::time::sleep_until(at.into()).await;
                record(0.0);
                return Ok(answer);
            }
            Some(Admission::Granted(permit)) => Some(permit),
            None => None,
        };
        let answer = match self.services.faults.tear(operation) {
            Some(tear) => {
                principals.record(&access_key, |usage| usage.add_fault(FaultKind::Torn, operation));
                self.forward_torn(request, operation, body, tear).await?
            }
            None => self.services.commits.around(operation, &body, forward(self.client.clone(), request)).await?,
        };
        let units = consumed_units(answer.body());
        record(units);
        if let Some(permit) = permit {
            permit.complete(units).await;
        }
        match fault {
            // Only EventBridge does a part of what it is asked for.
            None | Some(Fault::Partly(_)) => {}
            Some(Fault::FalseFailure(instead) | Fault::Reject(instead)) => return Ok(instead),
            Some(Fault::DropConnection) => return Err("dropped on purpose".into()),
            Some(Fault::Delay(by)) => tokio::time::sleep(by).await,
            Some(Fault::Kill) => return Err(self.kill(&access_key).await),
        }
        Ok(answer.map(Full::new))
    }

    /// Asks twice, and answers some of one answer and some of the other.
    async fn forward_torn(
        &self,
        request: Request<Full<Bytes>>,
        operation: &str,
        body: Bytes,
        tear: torn::Tear,
    ) -> Result<Response<Bytes>, Dropped> {
        let Some(looks) = torn::split(operation, &body, tear) else { return self.forward(request).await };
        let head = request.into_parts().0;
        let again = |look: &Bytes| {
            let mut head = head.clone();
            head.headers.remove(CONTENT_LENGTH);
            Request::from_parts(head, Full::new(look.clone()))
        };
        let first = self.forward(again(&looks.first)).await?;
        tokio::time::sleep(tear.gap).await;
        let second = self.forward(again(&looks.second)).await?;
        let keys = self.services.schema.keys(&body);
        match torn::merge(operation, &body, [first.body(), second.body()], &keys, tear) {
            Some(torn) if first.status().is_success() && second.status().is_success() => {
                let (mut head, _) = first.into_parts();
                // The client gets those of the new body.
                head.headers.remove(CONTENT_LENGTH);
                head.headers.remove("x-amz-crc32");
                Ok(Response::from_parts(head, torn.to_string().into()))
            }
            _ => Ok(second),
        }
    }

    async fn forward(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Dropped> {
        forward(self.client.clone(), request).await
    }
}

async fn forward(client: Client<Connector, Full<Bytes>>, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Dropped> {
    let (mut head, body) = client.request(request).await?.into_parts();
    guard::remove_cors(&mut head.headers);
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}

fn is_unknown_operation(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["__type"].as_str().is_some_and(|kind| kind.ends_with("UnknownOperationException"))
}

/// What a call to a stream must be allowed to do: only those that begin to read one name it.
fn stream_requests(operation: &str, body: &[u8]) -> Vec<AuthorizationRequest> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let resource = body["StreamArn"].as_str().unwrap_or("*").to_owned();
    vec![AuthorizationRequest { action: format!("dynamodb:{operation}"), resource, keys: Vec::new() }]
}
