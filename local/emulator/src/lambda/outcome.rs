//! What comes of an invocation.

use std::time::Duration;

use axum::body::Bytes;

use crate::usage::Usage;

/// What came of one invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    pub request_id: String,
    /// The function's binary.
    pub function: String,
    pub outcome: Outcome,
    /// How long the function worked, its start not included.
    pub duration: Duration,
    /// How long its environment took to start, if one had to be started.
    pub init: Option<Duration>,
    pub usage: Usage,
    /// The log stream of the environment that worked on it last.
    pub stream: Option<String>,
}

impl Invocation {
    /// One that came to nothing before it reached an environment.
    pub fn failed(request_id: String, function: &str, failure: Failure) -> Self {
        Self {
            request_id,
            function: function.to_owned(),
            outcome: Outcome::Error(failure),
            duration: Duration::ZERO,
            init: None,
            usage: Usage::default(),
            stream: None,
        }
    }

    pub fn is_cold(&self) -> bool {
        self.init.is_some()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Payload(Bytes),
    /// The function reported an error, ended without an answer or could not start.
    Error(Failure),
    TimedOut,
}

/// Why a function gave no answer, with Lambda's names for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub error_type: String,
    pub error_message: String,
}

impl Failure {
    pub fn new(error_type: impl Into<String>, error_message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), error_message: error_message.into() }
    }

    /// `how` is an exit status in words, such as `exit status: 1`.
    pub fn exited(how: &str) -> Self {
        Self::new("Runtime.ExitError", format!("Runtime exited: {how}"))
    }

    pub fn timed_out(limit: Duration) -> Self {
        Self::new("Sandbox.Timedout", format!("Task timed out after {:.2} seconds", limit.as_secs_f64()))
    }
}
