//! A SAM template, read for one machine.
//!
//! Each file imports only what stands above it in this table.
//!
//! | file | holds |
//! |---|---|
//! | `error` | what is wrong with a template, and where |
//! | `yaml` | YAML as the JSON that it abbreviates |
//! | `rate` | `rate(5 minutes)` |
//! | `policy` | the statements of a policy |
//! | `model` | what a template deploys: plain structs |
//! | `supported` | the keys that are understood here, and those that have an effect on AWS only |
//! | `parameters` | the values of parameters, checked |
//! | `intrinsics` | `Ref`, `Fn::Sub`, `Fn::If`, …; conditions, physical names and ARNs |
//! | `reader` | properties with every function in them resolved |
//! | `api` | the HTTP API |
//! | `function` | functions |
//! | `stream` | what reads a table's stream |
//! | `events` | what calls functions |
//! | `bus` | buses, rules, what they send to, and queues |
//! | `table` | tables |
//! | `secret` | secrets |
//! | `stack` | what CloudFormation tells |
//! | `document` | the whole |

mod api;
mod bus;
mod document;
mod error;
mod events;
mod function;
mod intrinsics;
mod model;
mod parameters;
mod policy;
mod rate;
mod reader;
mod secret;
mod stack;
mod stream;
mod supported;
mod table;
#[cfg(test)]
mod tests;
mod yaml;

pub use document::document;
pub use model::{
    Authorizer, Cors, EventBus, Function, Password, Queue, Resource, Route, Rule, Schedule, Secret, SecretValue, Stack,
    StreamMapping, Table, Target, Template,
};
pub use policy::Statement;
pub use rate::Rate;
