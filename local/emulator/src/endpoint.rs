//! The endpoint that stands for AWS's services. Calls to DynamoDB are forwarded as they are, with IAM, injected faults and contention
//! in their way, and what they cost is recorded. Secrets Manager, EventBridge and SES answer at the same place, and every other service
//! is refused by name.

use std::sync::Arc;

use axum::serve::Listener;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::answer;
use crate::dynamodb::{Admission, Connector, ContentionModel, Database, Fault, FaultInjector, KeySchema, SHARED_ACCESS_KEY};
use crate::dynamodb::{errors, torn};
use crate::eventbus::EventBuses;
use crate::guard::{self, Guard};
use crate::iam::Principals;
use crate::log::Log;
use crate::mail::{self, Mailbox};
use crate::secrets::{self, Secrets};
use crate::signature;
use crate::usage::consumed_units;

/// What the endpoint asks about every call, and what answers instead of DynamoDB.
pub struct Services {
    pub schema: KeySchema,
    pub secrets: Arc<Secrets>,
    pub buses: Arc<EventBuses>,
    pub mailbox: Arc<Mailbox>,
    pub principals: Arc<Principals>,
    pub faults: Arc<FaultInjector>,
    pub contention: Arc<ContentionModel>,
    pub log: Arc<Log>,
}

pub struct AwsEndpoint {
    services: Services,
    guard: Guard,
    upstream: Uri,
    client: Client<Connector, Full<Bytes>>,
}

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
        match Service::of(&head.headers) {
            Service::DynamoDb => self.dynamodb(head, body).await,
            Service::SecretsManager => {
                let Services { secrets, principals, .. } = &self.services;
                Ok(secrets::answer(secrets, principals, &head.headers, &body))
            }
            Service::EventBridge => self.event_bridge(&head.headers, &body).await,
            Service::Ses => self.ses(&head, &body).await,
            Service::Other(name) => {
                let message = format!("{name} is not emulated here: only DynamoDB, Secrets Manager, EventBridge and SES are");
                // Not every client shows an answer in a format that it does not expect.
                self.services.log.line("aws", &message);
                Ok(errors::unsupported_service(&message))
            }
        }
    }

    async fn event_bridge(&self, headers: &HeaderMap, body: &Bytes) -> Result<Response<Full<Bytes>>, Dropped> {
        let Services { buses, principals, faults, .. } = &self.services;
        let operation = operation(headers);
        if operation != "PutEvents" {
            return Ok(answer::refuse("UnknownOperationException", "only PutEvents is known here"));
        }
        // Calls of those who are no environments meet no faults.
        let Some(access_key) = signature::access_key(headers).filter(|access_key| principals.contains(access_key)) else {
            return Ok(buses.put_events(body, None));
        };
        principals.record(access_key, |usage| usage.add_call(operation, 0.0));
        if let Some(denial) = principals.denial(access_key, buses.authorization_requests(body)) {
            return Ok(answer::refuse("AccessDeniedException", &denial));
        }
        match faults.draw(operation, body) {
            None => Ok(buses.put_events(body, None)),
            Some(Fault::Reject(instead)) => Ok(instead),
            Some(Fault::Partly(parts)) => Ok(buses.put_events(body, Some(parts))),
            Some(Fault::FalseFailure(instead)) => {
                buses.put_events(body, None);
                Ok(instead)
            }
            Some(Fault::DropConnection) => {
                buses.put_events(body, None);
                Err("dropped on purpose".into())
            }
            Some(Fault::Delay(by)) => {
                let answer = buses.put_events(body, None);
                tokio::time::sleep(by).await;
                Ok(answer)
            }
        }
    }

    async fn ses(&self, head: &Parts, body: &Bytes) -> Result<Response<Full<Bytes>>, Dropped> {
        let Services { mailbox, principals, faults, .. } = &self.services;
        let send = || mailbox.answer(&head.method, head.uri.path(), body);
        // Calls of those who are no environments meet no faults.
        let Some(access_key) = signature::access_key(&head.headers).filter(|access_key| principals.contains(access_key)) else {
            return Ok(send());
        };
        principals.record(access_key, |usage| usage.add_call("SendEmail", 0.0));
        if let Some(denial) = principals.denial(access_key, Mailbox::authorization_requests(body)) {
            return Ok(mail::refuse("AccessDeniedException", &denial));
        }
        match faults.draw("SendEmail", body) {
            None | Some(Fault::Partly(_)) => Ok(send()),
            Some(Fault::Reject(instead)) => Ok(instead),
            Some(Fault::FalseFailure(instead)) => {
                send();
                Ok(instead)
            }
            Some(Fault::DropConnection) => {
                send();
                Err("dropped on purpose".into())
            }
            Some(Fault::Delay(by)) => {
                let answer = send();
                tokio::time::sleep(by).await;
                Ok(answer)
            }
        }
    }

    async fn dynamodb(&self, mut head: Parts, body: Bytes) -> Result<Response<Full<Bytes>>, Dropped> {
        let principals = &self.services.principals;
        let access_key = signature::replace_access_key(&mut head.headers, SHARED_ACCESS_KEY)?;
        let trace = head.headers.get("x-amzn-trace-id").and_then(|trace| trace.to_str().ok()).map(str::to_owned);
        let operation = operation(&head.headers).to_owned();
        let mut target = self.upstream.clone().into_parts();
        target.path_and_query = head.uri.into_parts().path_and_query;
        head.uri = Uri::from_parts(target)?;
        // The client writes the one that fits the upstream.
        head.headers.remove(HOST);
        let request = Request::from_parts(head, Full::new(body.clone()));

        // Calls of those who are no environments are forwarded, but nobody asks for their cost, and they meet no faults.
        let Some(access_key) = access_key.filter(|access_key| principals.contains(access_key)) else {
            return self.forward(request).await.map(|answer| answer.map(Full::new));
        };
        let record = |units: f64| principals.record(&access_key, |usage| usage.add_call(&operation, units));
        if let Some(trace) = trace {
            principals.record(&access_key, |usage| usage.add_trace(trace));
        }
        let wanted = self.services.schema.authorization_requests(&operation, &body);
        if let Some(denial) = principals.denial(&access_key, wanted) {
            record(0.0);
            return Ok(errors::access_denied(&denial));
        }
        let fault = match self.services.faults.draw(&operation, &body) {
            Some(Fault::Reject(answer)) => {
                record(0.0);
                return Ok(answer);
            }
            fault => fault,
        };
        let permit = match self.services.contention.admit(&operation, &body) {
            Some(Admission::Refused(at, answer)) => {
                tokio::time::sleep_until(at.into()).await;
                record(0.0);
                return Ok(answer);
            }
            Some(Admission::Granted(permit)) => Some(permit),
            None => None,
        };
        let answer = match self.services.faults.tear(&operation) {
            Some(tear) => self.forward_torn(request, &operation, body, tear).await?,
            None => self.forward(request).await?,
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
        let (mut head, body) = self.client.request(request).await?.into_parts();
        guard::remove_cors(&mut head.headers);
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}

/// `GetItem` of `X-Amz-Target: DynamoDB_20120810.GetItem`.
fn operation(headers: &HeaderMap) -> &str {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| target.rsplit('.').next()).unwrap_or("Unknown")
}

/// The AWS service that a request is for.
#[derive(Debug, PartialEq, Eq)]
enum Service {
    DynamoDb,
    SecretsManager,
    EventBridge,
    Ses,
    /// Its name, as far as the request says.
    Other(String),
}

impl Service {
    fn of(headers: &HeaderMap) -> Self {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()?.split('.').next());
        match target {
            Some("DynamoDB_20120810") => Self::DynamoDb,
            Some("secretsmanager") => Self::SecretsManager,
            Some("AWSEvents") => Self::EventBridge,
            None if signature::service(headers) == Some("ses") => Self::Ses,
            other => {
                let named = [other, signature::service(headers)].into_iter().flatten().find(|name| !name.is_empty());
                Self::Other(named.unwrap_or("a request that names no service").to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn services_are_told_apart() {
        let other = |name: &str| Service::Other(name.to_owned());
        let signed =
            |service: &str| format!("AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/{service}/aws4_request, Signature=0");
        for (target, scope, expected) in [
            (Some("DynamoDB_20120810.GetItem"), "dynamodb", Service::DynamoDb),
            (Some("secretsmanager.GetSecretValue"), "secretsmanager", Service::SecretsManager),
            (Some("DynamoDBStreams_20120810.GetRecords"), "dynamodb", other("DynamoDBStreams_20120810")),
            (Some("AWSEvents.PutEvents"), "events", Service::EventBridge),
            (Some("AmazonSQS.SendMessage"), "sqs", other("AmazonSQS")),
            (None, "ses", Service::Ses),
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
}
