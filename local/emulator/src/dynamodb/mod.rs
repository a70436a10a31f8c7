//! DynamoDB: an embedded one or one that is running already, and what can be put in its way.
//!
//! Each file imports only what stands above it in this table.
//!
//! | file | holds |
//! |---|---|
//! | `errors` | the answers to calls that are refused |
//! | `torn` | reads of several items that are not of one instant |
//! | `request` | the items that a call names, and what it must be allowed to do |
//! | `faults` | faults, injected in an order that a seed repeats |
//! | `contention` | what many callers of one item get |
//! | `client` | one raw call |
//! | `tables` | makes the template's tables |
//! | `connector` | connections to the embedded database, which listens nowhere |
//! | `database` | the database, wherever it is |

mod client;
mod connector;
mod contention;
mod database;
pub mod errors;
mod faults;
mod request;
mod tables;
pub mod torn;

pub use client::{CallError, Client, SHARED_ACCESS_KEY, Service};
pub use connector::Connector;
pub use contention::{Admission, Contention, ContentionCounts, ContentionModel};
pub use database::{Database, Store};
pub use faults::{Fault, FaultInjector, FaultKind, Faults, ReaderFault};
pub use request::KeySchema;
