//! The modules of `shared` that decide, with what they need and nothing else: `cargo mutants` changes `domain` and `auth`, and builds and
//! runs their unit tests here, without the clients of AWS, whose linking takes longer than all that. `.ci/rules` says how.

#[path = "../../../shared/src/auth/mod.rs"]
pub mod auth;
#[path = "../../../shared/src/domain/mod.rs"]
pub mod domain;
#[path = "../../../shared/src/error.rs"]
pub mod error;
#[path = "../../../shared/src/fault.rs"]
pub mod fault;
#[path = "../../../shared/src/json.rs"]
pub mod json;
#[path = "../../../shared/src/telemetry.rs"]
pub mod telemetry;

pub use error::{Error, Result};
