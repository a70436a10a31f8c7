//! A Lambda authorizer: a function says who may call a route, in payload format 2.0 with simple responses, and its answer may be
//! cached for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::event::Call;
use super::response::Refusal;
use crate::lambda::{Failure, Function, Lambda, Outcome};
use crate::log::{Failed, RequestRecord};
use crate::template;

/// How many answers are cached at most.
const CACHE_LIMIT: usize = 1_000;

pub struct Authorizer {
    template: template::Authorizer,
    function: Arc<Function>,
    /// The answers, by the values of the identity headers, and since when.
    cache: Mutex<HashMap<Vec<String>, (Instant, Answer)>>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Answer {
    is_authorized: bool,
    context: Option<Map<String, Value>>,
}

impl Authorizer {
    pub fn new(template: template::Authorizer, function: Arc<Function>) -> Self {
        Self { template, function, cache: Mutex::default() }
    }

    /// What the route's function is told about the caller, or the gateway's refusal.
    pub async fn check(
        &self,
        call: &Call,
        lambda: &Lambda,
        trace: &str,
        record: &mut RequestRecord,
    ) -> Result<Map<String, Value>, Refusal> {
        let identity: Option<Vec<String>> =
            self.template.headers.iter().map(|name| call.header(name).map(str::to_owned)).collect();
        let identity = identity.ok_or(Refusal::UNAUTHORIZED)?;
        let answer = if let Some(answer) = self.cached(&identity) {
            answer
        } else {
            let event = call.authorizer_event(&identity).map_err(|_| Refusal::INTERNAL)?;
            let answer = self.ask(event, lambda, trace, record).await?;
            self.cache(identity, &answer);
            answer
        };
        if answer.is_authorized { Ok(answer.context.unwrap_or_default()) } else { Err(Refusal::FORBIDDEN) }
    }

    async fn ask(&self, event: Bytes, lambda: &Lambda, trace: &str, record: &mut RequestRecord) -> Result<Answer, Refusal> {
        let invocation = lambda.invoke(&self.function, event, trace.to_owned()).await;
        record.add(invocation.request_id, invocation.usage);
        let how = match invocation.outcome {
            Outcome::Payload(payload) => match serde_json::from_slice(&payload) {
                Ok(answer) => return Ok(answer),
                Err(error) => format!("it answered something that is no answer of an authorizer: {error}"),
            },
            Outcome::Error(failure) => failure.error_message,
            Outcome::TimedOut => Failure::timed_out(self.function.template.timeout).error_message,
        };
        record.failure = Some(Failed { function: self.function.template.binary.clone(), how });
        Err(Refusal::INTERNAL)
    }

    fn cached(&self, identity: &[String]) -> Option<Answer> {
        let cache = self.lock();
        let (since, answer) = cache.get(identity)?;
        (since.elapsed() < self.template.ttl).then(|| answer.clone())
    }

    fn cache(&self, identity: Vec<String>, answer: &Answer) {
        // Without identity headers there is nothing to find an answer by.
        if self.template.ttl.is_zero() || identity.is_empty() {
            return;
        }
        let mut cache = self.lock();
        if cache.len() >= CACHE_LIMIT {
            cache.retain(|_, (since, _)| since.elapsed() < self.template.ttl);
        }
        if cache.len() >= CACHE_LIMIT {
            cache.clear();
        }
        cache.insert(identity, (Instant::now(), answer.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<String>, (Instant, Answer)>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
