//! SQS as far as AWS's other services use it: queues for what nobody took, which are only ever looked at.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::template::Queue;

#[derive(Default)]
pub struct Queues {
    queues: Vec<Queue>,
    /// By ARN, oldest first.
    messages: Mutex<BTreeMap<String, Vec<Value>>>,
}

impl Queues {
    pub fn new(queues: Vec<Queue>) -> Self {
        Self { queues, messages: Mutex::default() }
    }

    pub fn send(&self, arn: &str, message: Value) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).entry(arn.to_owned()).or_default().push(message);
    }

    /// What is in a queue, by logical id, name or ARN.
    pub fn messages(&self, name: &str) -> Vec<Value> {
        let queue = self.queues.iter().find(|queue| [&queue.id, &queue.name, &queue.arn].into_iter().any(|its| its == name));
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        queue.and_then(|queue| messages.get(&queue.arn)).cloned().unwrap_or_default()
    }
}
