//! Committed writes in the order in which they were committed, for those who hold them against a model of what may be written.
//!
//! The stream has what each item was and became, and does not say which of its records were one transaction.

use std::sync::Arc;

use hyper::Response;
use hyper::body::Bytes;
use serde_json::Value;
use tokio::sync::Mutex;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A write that had its effect.
#[derive(Clone, Debug)]
pub struct Commit {
    pub operation: String,
    pub body: Value,
}

pub struct CommitLog(Option<Mutex<Vec<Commit>>>);

impl CommitLog {
    pub fn new(keep: bool) -> Self {
        Self(keep.then(Mutex::default))
    }

    /// All of them, or none if they are not kept.
    pub async fn commits(&self) -> Vec<Commit> {
        match &self.0 {
            Some(commits) => commits.lock().await.clone(),
            None => Vec::new(),
        }
    }

    /// Carries a call out and keeps it if it is a write that succeeds. Writes then reach the database one by one, which is how it carries
    /// them out; and in a task of their own, because a caller who waits no longer does not undo one.
    pub async fn around(
        self: &Arc<Self>,
        operation: &str,
        body: &Bytes,
        call: impl Future<Output = Result<Response<Bytes>, Failure>> + Send + 'static,
    ) -> Result<Response<Bytes>, Failure> {
        let is_write = matches!(operation, "TransactWriteItems" | "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem");
        if self.0.is_none() || !is_write {
            return call.await;
        }
        let (log, operation, body) = (Arc::clone(self), operation.to_owned(), body.clone());
        let write = async move {
            let Some(commits) = &log.0 else { return call.await };
            let mut commits = commits.lock().await;
            let answer = call.await?;
            if answer.status().is_success() {
                commits.push(Commit { operation, body: serde_json::from_slice(&body)? });
            }
            Ok(answer)
        };
        tokio::spawn(write).await?
    }
}
