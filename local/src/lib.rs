//! This shop on one machine: the emulator with a console, demonstration data, and an audit of its table that can repair it.
//!
//! Each module imports only what stands above it in this table, and a test fails when one does not.
//!
//! | module | holds |
//! |---|---|
//! | `error` | everything that can keep the shop from starting, or an audit from ending |
//! | `audit` | whether a table, or an export of one, adds up |
//! | `repair` | puts right what an audit finds |
//! | `console` | what the page beside the API shows: requests, events, mails and items |
//! | `shop` | the emulator and all of these |
//! | `seed` | demonstration data |
//! | `cargo` | builds the functions |
//! | `watch` | builds them again when a source changes |

pub mod audit;
pub mod cargo;
mod console;
mod error;
pub mod repair;
pub mod seed;
mod shop;
pub mod watch;

pub use console::PATH as CONSOLE;
pub use error::{Error, Result};
pub use shop::{STACK, Shop};
