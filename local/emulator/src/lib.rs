//! Runs any SAM template of one HTTP API, its functions and the AWS services that they call, on one machine.
//!
//! It knows AWS, templates, Lambda and DynamoDB, and nothing of what the functions are for. Each module imports only what stands
//! above it in this table, and a test fails when one does not.
//!
//! | module | holds |
//! |---|---|
//! | `price` | what AWS charges |
//! | `error` | everything that can keep the emulator from starting |
//! | `names` | the region, the account, and ARNs |
//! | `ids` | ids that look like AWS's |
//! | `value` | values as they are written in templates and options |
//! | `files` | files beside the data |
//! | `pattern` | EventBridge's patterns |
//! | `filter` | CloudWatch Logs' filter patterns |
//! | `guard` | who a port answers |
//! | `server` | listening on a port |
//! | `template` | the template, read for one machine |
//! | `usage` | what functions use of DynamoDB |
//! | `print` | lines for people or programs, of what happens |
//! | `exchange` | what a request and its answer said, without secrets |
//! | `log` | what happened lately |
//! | `iam` | who calls AWS, and what they may do |
//! | `signature` | who has signed a request, and for which service |
//! | `protocol` | which service and which operation a request is for, and answers in its protocol |
//! | `lambda` | functions and their execution environments, the Runtime API and the Invoke API |
//! | `dynamodb` | the database, faults and contention |
//! | `logs` | CloudWatch Logs |
//! | `stack` | CloudFormation |
//! | `secrets` | Secrets Manager |
//! | `mail` | Amazon SES |
//! | `queues` | queues for what nobody took |
//! | `eventbus` | EventBridge's buses |
//! | `streams` | readers of tables' streams |
//! | `endpoint` | the endpoint that stands for AWS's services |
//! | `gateway` | API Gateway |
//! | `scheduler` | EventBridge's schedules |
//! | `emulator` | all of it, started and stopped as one |

#![expect(clippy::disallowed_methods, reason = "the clock is the functions' business; here it is this machine's")]

pub mod dynamodb;
mod emulator;
mod endpoint;
mod error;
mod eventbus;
mod exchange;
mod files;
mod filter;
pub mod gateway;
pub mod guard;
mod iam;
mod ids;
pub mod lambda;
mod log;
mod logs;
mod mail;
mod names;
mod pattern;
pub mod price;
mod print;
mod protocol;
mod queues;
mod scheduler;
mod secrets;
pub mod server;
mod signature;
mod stack;
mod streams;
pub mod template;
mod usage;
mod value;

pub use dynamodb::{Contention, ContentionCounts, Database, FaultKind, Faults, Store};
pub use emulator::{Emulator, Inside, Options};
pub use error::{Error, Result, innermost, reason};
pub use eventbus::{Delivery, EventBuses, EventLog, EventRecord};
pub use exchange::{Exchange, MASK, Message};
pub use ids::now_millis;
pub use lambda::{Failure, Invocation, Outcome};
pub use log::{Failed, Log, LogLine, RequestRecord};
pub use mail::{MailRecord, Mailbox};
pub use names::REGION;
pub use pattern::Pattern;
pub use print::{Clock, Format, Printer, Verbosity};
pub use usage::{Usage, consumed_units};
pub use value::is_url;
