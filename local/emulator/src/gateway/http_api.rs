//! An HTTP API of API Gateway: an HTTP request in, a function's answer out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request};
use axum::response::{IntoResponse, Redirect, Response};

use super::authorizer::Authorizer;
use super::cors;
use super::event::{Call, Origin};
use super::response::{self, Refusal};
use super::routes::Routes;
use crate::exchange::{Exchange, Message, masked_query};
use crate::ids;
use crate::lambda::{Failure, Lambda, Outcome};
use crate::log::{Failed, Log, RequestRecord};
use crate::server::{self, Unread};
use crate::template::{Cors, Template};

/// API Gateway's quotas for HTTP APIs.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
const HEADERS_LIMIT: usize = 10_240;
const INTEGRATION_LIMIT: Duration = Duration::from_secs(30);

pub struct HttpApi {
    routes: Routes,
    authorizers: BTreeMap<String, Authorizer>,
    cors: Option<Cors>,
    lambda: Arc<Lambda>,
    log: Arc<Log>,
    port: u16,
    /// Where `GET /` leads if no route wants it.
    home: Option<String>,
}

impl HttpApi {
    pub fn new(template: Template, lambda: Arc<Lambda>, log: Arc<Log>, port: u16, home: Option<String>) -> Self {
        let authorizers = template
            .authorizers
            .into_iter()
            .filter_map(|(name, authorizer)| {
                let function = Arc::clone(lambda.find(&authorizer.function)?);
                Some((name, Authorizer::new(authorizer, function)))
            })
            .collect();
        Self { routes: Routes::new(template.routes), authorizers, cors: template.cors, lambda, log, port, home }
    }

    pub fn router(self) -> Router {
        Router::new().fallback(handle).with_state(Arc::new(self))
    }

    /// Where a person is led who begins at `/`, unless the API has something there.
    fn way_home(&self, head: &Parts) -> Option<Redirect> {
        let home = self.home.as_ref().filter(|_| head.uri.path() == "/" && [Method::GET, Method::HEAD].contains(&head.method))?;
        // `$default` takes whatever nothing else takes.
        let route = self.routes.find(head.method.as_str(), "/").filter(|(route, _)| route.key != "$default");
        route.is_none().then(|| Redirect::temporary(home))
    }

    /// Everything between a request's head and its answer; what is learned on the way goes into the record, and what was sent into
    /// `sent`.
    async fn answer(
        &self,
        source: SocketAddr,
        head: &Parts,
        body: Body,
        sent: &mut Bytes,
        record: &mut RequestRecord,
    ) -> Result<Response, Refusal> {
        if size(&head.headers) > HEADERS_LIMIT {
            return Err(Refusal::HEADERS_TOO_LARGE);
        }
        let Some((route, parameters)) = self.routes.find(head.method.as_str(), head.uri.path()) else {
            // A preflight that no route wants, `$default` included, is the gateway's own to answer.
            return if self.cors.is_some() && cors::is_preflight(head) {
                Ok(cors::no_content())
            } else {
                Err(Refusal::NOT_FOUND)
            };
        };
        let body = server::read(body, BODY_LIMIT).await.map_err(|unread| match unread {
            Unread::TooLong => Refusal::BODY_TOO_LARGE,
            Unread::Broken => Refusal::BAD_REQUEST,
        })?;
        sent.clone_from(&body);
        record.route = Some(route.key.clone());
        let trace = ids::trace();
        let origin = Origin { request_id: &record.request_id, trace: &trace, source: source.ip(), port: self.port };
        let mut call = Call::new(head, &body, &route.key, parameters, &origin);
        if let Some(name) = &route.authorizer {
            let authorizer = self.authorizers.get(name).ok_or(Refusal::INTERNAL)?;
            record.caller = authorizer.check(&call, &self.lambda, &trace, record).await?;
            call.authorize(record.caller.clone());
        }
        let event = call.event(&body).map_err(|_| Refusal::INTERNAL)?;
        let function = self.lambda.find(&route.function).ok_or(Refusal::INTERNAL)?;
        record.function = Some(function.template.binary.clone());
        let invoked = tokio::time::timeout(INTEGRATION_LIMIT, self.lambda.invoke(function, event, trace)).await;
        let (refusal, how) = match invoked {
            Err(_) => (Refusal::UNAVAILABLE, Failure::timed_out(INTEGRATION_LIMIT).error_message),
            Ok(invocation) => {
                record.cold = invocation.is_cold();
                record.add(invocation.request_id, invocation.usage);
                let how = match invocation.outcome {
                    Outcome::Payload(payload) => match response::from_payload(&payload) {
                        Ok(response) => return Ok(response),
                        Err(_) => "it answered something that is no response of a function of an API".to_owned(),
                    },
                    Outcome::Error(failure) => failure.error_message,
                    Outcome::TimedOut => Failure::timed_out(function.template.timeout).error_message,
                };
                (Refusal::INTERNAL, how)
            }
        };
        record.failure = Some(Failed { function: function.template.binary.clone(), how });
        Err(refusal)
    }
}

async fn handle(
    State(api): State<Arc<HttpApi>>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    if let Some(redirect) = api.way_home(&head) {
        return redirect.into_response();
    }
    let request_id = ids::request_id();
    let mut record = RequestRecord {
        request_id: request_id.clone(),
        received_at: ids::now_millis(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: masked_query(head.uri.query().unwrap_or_default()),
        ..RequestRecord::default()
    };
    let mut sent = Bytes::new();
    let answer = api.answer(source, &head, body, &mut sent, &mut record).await;
    let mut response = answer.unwrap_or_else(Refusal::into_response);
    if let Some(cors) = &api.cors {
        cors::apply(cors, &head, response.headers_mut());
    }
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("apigw-requestid", id);
    }
    record.status = response.status().as_u16();
    record.duration = started.elapsed();
    let (answered, body) = response.into_parts();
    // It is in memory as a whole, so that this neither waits nor fails.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let request = Message::new(&head.headers, &sent);
    let response = Message::new(&answered.headers, &body);
    if answered.status.as_u16() >= 400 {
        record.problem = response.json();
    }
    record.location = answered.headers.get(LOCATION).and_then(|location| location.to_str().ok()).map(str::to_owned);
    api.log.exchange(Exchange { request_id: record.request_id.clone(), request, response });
    let failed = (record.status >= 500).then(|| record.clone());
    api.log.request(record);
    if let Some(record) = failed {
        // What the function has written about it may come after its answer.
        tokio::spawn(async move { api.log.explain(&record).await });
    }
    Response::from_parts(answered, Body::from(body))
}

/// The bytes of all names and values.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
