//! API Gateway: the HTTP API of the template.
//!
//! Each file imports only what stands above it in this table.
//!
//! | file | holds |
//! |---|---|
//! | `routes` | which route a request takes |
//! | `cors` | answers to requests of other origins |
//! | `response` | a function's answer as an HTTP response |
//! | `event` | an HTTP request as a function sees it |
//! | `authorizer` | asks a function who may call a route |
//! | `http_api` | all of it, from a request to its answer |

mod authorizer;
mod cors;
mod event;
mod http_api;
mod response;
mod routes;

pub use http_api::HttpApi;
pub use routes::{Parameters, Routes};
