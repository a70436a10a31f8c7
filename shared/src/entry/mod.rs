//! What a function is run with: the same start, deadline, net and log line for every one.

pub mod authorizer;
pub mod http;
pub mod operator;
mod runtime;
pub mod stream;

pub use crate::app::StartupError;
