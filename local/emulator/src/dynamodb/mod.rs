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
//! | `commits` | what was written, in its order |
//! | `client` | one raw call |
//! | `tables` | makes the template's tables |
//! | `connector` | connections to the embedded database, which listens nowhere |
//! | `file` | the file of a database, before it is opened |
//! | `database` | the database, wherever it is |

mod client;
mod commits;
mod connector;
mod contention;
mod database;
pub mod errors;
mod faults;
pub mod file;
mod request;
mod tables;
pub mod torn;

pub use client::{CallError, Client, SHARED_ACCESS_KEY, Service};
pub use commits::{Commit, CommitLog};
pub use connector::Connector;
pub use contention::{Admission, Contention, ContentionCounts, ContentionModel};
pub use database::{Database, Store};
pub use faults::{Fault, FaultInjector, FaultKind, Faults, ReaderFault};
pub use file::{CHECKPOINTS, SECRETS};
pub use request::KeySchema;
