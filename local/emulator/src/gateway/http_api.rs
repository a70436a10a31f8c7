//! An HTTP API of API Gateway: an HTTP request in, a function's answer out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::{IntoResponse, Response};

use super::authorizer::Authorizer;
use super::cors;
use super::event::{Call, Origin};
use super::response::{self, Refusal};
use super::routes::Routes;
use crate::ids;
use crate::lambda::{Lambda, Outcome};
use crate::log::{Log, RequestRecord};
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
}

impl HttpApi {
    pub fn new(template: Template, lambda: Arc<Lambda>, log: Arc<Log>, port: u16) -> Self {
        let authorizers = template
            .authorizers
            .into_iter()
            .filter_map(|(name, authorizer)| {
                let function = Arc::clone(lambda.find(&authorizer.function)?);
                Some((name, Authorizer::new(authorizer, function)))
            })
            .collect();
        Self { routes: Routes::new(template.routes), authorizers, cors: template.cors, lambda, log, port }
    }

    pub fn router(self) -> Router {
        Router::new().fallback(handle).with_state(Arc::new(self))
    }

    /// Everything between a request's head and its answer; what is learned on the way goes into the record.
    async fn answer(
        &self,
        source: SocketAddr,
        head: &Parts,
        body: Body,
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
        let trace = ids::trace();
        let origin = Origin { request_id: &record.request_id, trace: &trace, source: source.ip(), port: self.port };
        let mut call = Call::new(head, &body, &route.key, parameters, &origin);
        if let Some(name) = &route.authorizer {
            let authorizer = self.authorizers.get(name).ok_or(Refusal::INTERNAL)?;
            call.authorize(authorizer.check(&call, &self.lambda, &trace, record).await?);
        }
        let event = call.event(&body).map_err(|_| Refusal::INTERNAL)?;
        let function = self.lambda.find(&route.function).ok_or(Refusal::INTERNAL)?;
        record.function = Some(function.template.binary.clone());
        let invocation = tokio::time::timeout(INTEGRATION_LIMIT, self.lambda.invoke(function, event, trace))
            .await
            .map_err(|_| Refusal::UNAVAILABLE)?;
        record.cold = invocation.is_cold();
        record.add(invocation.request_id, invocation.usage);
        match invocation.outcome {
            Outcome::Payload(payload) => response::from_payload(&payload),
            Outcome::Error(_) | Outcome::TimedOut => Err(Refusal::INTERNAL),
        }
    }
}

async fn handle(
    State(api): State<Arc<HttpApi>>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let request_id = ids::request_id();
    let mut record = RequestRecord {
        request_id: request_id.clone(),
        received_at: ids::now_millis(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        ..RequestRecord::default()
    };
    let answer = api.answer(source, &head, body, &mut record).await;
    let mut response = answer.unwrap_or_else(Refusal::into_response);
    if let Some(cors) = &api.cors {
        cors::apply(cors, &head, response.headers_mut());
    }
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("apigw-requestid", id);
    }
    record.status = response.status().as_u16();
    record.duration = started.elapsed();
    api.log.request(record);
    response
}

/// The bytes of all names and values.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}
