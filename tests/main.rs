//! What the API does, seen through HTTP: the real functions, behind the real authorizer, on the routes of template.yaml.
//!
//! Each test has a shop of its own. With `API_URL` set, the same tests run against that deployed stack instead; then
//! `ADMIN_EMAIL` and `ADMIN_PASSWORD` name an admin of it, and tests that need to look behind the API are skipped.

#![expect(
    clippy::disallowed_methods,
    reason = "the environment and the clock are off limits for functions, not for those who test them"
)]

mod accounts;
mod app;
mod bodies;
mod bus;
mod capacity;
mod concurrency;
mod contention;
mod conventions;
mod cost;
mod docs;
mod events;
mod fold;
mod histories;
mod mails;
mod movements;
mod openapi;
mod orders;
mod outages;
mod products;
mod refinement;
mod repetition;
mod restore;
mod rights;
mod settings;
mod stock;
mod telemetry;
mod tokens;
