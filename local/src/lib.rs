//! The whole API on one machine, from template.yaml: gateway, functions, DynamoDB and secrets.

#![expect(clippy::disallowed_methods, reason = "the clock is the functions' business; here it is this machine's")]

mod answer;
pub mod audit;
mod authorizer;
pub mod cargo;
mod connector;
mod console;
mod contention;
mod cors;
mod database;
mod environment;
mod error;
mod event;
mod faults;
mod gateway;
mod guard;
mod ids;
mod intrinsics;
mod invoke;
mod lambda;
mod log;
mod meter;
pub mod price;
pub mod repair;
mod rights;
pub mod routes;
mod schedule;
mod secrets;
pub mod seed;
mod server;
mod shop;
pub mod template;
pub mod watch;
mod yaml;

pub use contention::{Contended, Contention};
pub use database::{Database, Store};
pub use error::{Error, Result};
pub use faults::{FaultKind, Faults};
pub use lambda::{Failure, Invocation, Outcome};
pub use log::{LogLine, RequestRecord};
pub use meter::Calls;
pub use shop::{Options, Shop};
