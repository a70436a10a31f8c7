//! What all functions are made of: the domain, the table behind it and the wire in front of it.
//!
//! Each module may import only what stands above it in this list.

pub mod fault;

pub mod json;

pub mod domain;

pub mod error;

pub mod telemetry;

pub mod auth;

mod aws;

pub mod https;

pub mod keys;

pub mod bus;

pub mod mail;

pub mod store;

pub mod app;

pub mod http;

pub mod entry;

#[cfg(feature = "contract")]
pub mod contract;

pub use app::App;
pub use error::{Error, Result};

/// What is deployed is linked with musl, whose own allocator is slow.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
