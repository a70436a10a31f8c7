//! Lambda: functions run in execution environments, which are started on demand, used again and replaced when they end.
//!
//! Each file imports only what stands above it in this table.
//!
//! | file | holds |
//! |---|---|
//! | `outcome` | what comes of an invocation |
//! | `variables` | the environment variables of a function |
//! | `runtime_api` | the Runtime API of one process |
//! | `environment` | one execution environment: a process and its Runtime API |
//! | `pool` | the functions, each with its environments |
//! | `api` | Lambda's own API |

pub mod api;
mod environment;
mod outcome;
mod pool;
mod runtime_api;
mod variables;

pub use environment::Host;
pub use outcome::{Failure, Invocation, Outcome};
pub use pool::{Event, Function, Lambda};
pub use runtime_api::{Answer, RuntimeApi, Work};
pub use variables::{RUNTIME_API, variables};
