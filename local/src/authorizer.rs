//! Who may call a route: a function says so, in payload format 2.0 with simple responses, and may be quoted for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::answer::Refusal;
use crate::event::Call;
use crate::lambda::{Function, Lambda, Outcome};
use crate::log::RequestRecord;
use crate::template;

/// How many answers are kept at most.
const KEPT: usize = 1_000;

pub struct Authorizer {
    template: template::Authorizer,
    function: Arc<Function>,
    /// By the values of the identity headers.
    answers: Mutex<HashMap<Vec<String>, (Instant, Answer)>>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct Answer {
    is_authorized: bool,
    context: Option<Map<String, Value>>,
}

impl Authorizer {
    pub fn new(template: template::Authorizer, function: Arc<Function>) -> Self {
        Self { template, function, answers: Mutex::default() }
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
        let answer = if let Some(answer) = self.recall(&identity) {
            answer
        } else {
            let event = call.authorizer_event(&identity).map_err(|_| Refusal::INTERNAL)?;
            let answer = self.ask(event, lambda, trace, record).await?;
            self.keep(identity, &answer);
            answer
        };
        if answer.is_authorized { Ok(answer.context.unwrap_or_default()) } else { Err(Refusal::FORBIDDEN) }
    }

    async fn ask(&self, event: Bytes, lambda: &Lambda, trace: &str, record: &mut RequestRecord) -> Result<Answer, Refusal> {
        let invocation = lambda.invoke(&self.function, event, trace.to_owned()).await;
        record.add(invocation.request_id, invocation.calls);
        match invocation.outcome {
            Outcome::Payload(payload) => serde_json::from_slice(&payload).map_err(|_| Refusal::INTERNAL),
            Outcome::Error(_) | Outcome::TimedOut => Err(Refusal::INTERNAL),
        }
    }

    fn recall(&self, identity: &[String]) -> Option<Answer> {
        let answers = self.lock();
        let (since, answer) = answers.get(identity)?;
        (since.elapsed() < self.template.reuse).then(|| answer.clone())
    }

    fn keep(&self, identity: Vec<String>, answer: &Answer) {
        // Without identity headers there is nobody to remember.
        if self.template.reuse.is_zero() || identity.is_empty() {
            return;
        }
        let mut answers = self.lock();
        if answers.len() >= KEPT {
            answers.retain(|_, (since, _)| since.elapsed() < self.template.reuse);
        }
        if answers.len() >= KEPT {
            answers.clear();
        }
        answers.insert(identity, (Instant::now(), answer.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<String>, (Instant, Answer)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
