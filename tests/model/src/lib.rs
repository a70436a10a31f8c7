//! The protocol of stock, orders and movements, small enough that every state of it can be visited.
//!
//! | file | holds |
//! |---|---|
//! | `faults` | what can be planted, to see that it is found |
//! | `table` | the table as DynamoDB keeps it |
//! | `transactions` | the store's transactions |
//! | `protocol` | requests under way, and all that may come next; `protocol/steps` has what they do between their calls |
//! | `invariants` | what must be true of every state |
//! | `scopes` | what is visited as a whole |
//! | `visit` | the visit |
//! | `refinement` | recorded histories against the model |
//!
//! What it leaves out: preconditions (`If-Match`), names and SKUs, customers and their limits, the most that there may be of anything, the
//! time (records that expire, holds that end, requests that are given up), and restores. Of a survey of several products, one is looked at
//! after the other. How often something fails is bounded in each scope, and so is who asks for what; within that, every order of events
//! is visited.

#![expect(clippy::missing_panics_doc, reason = "the numbers of a small world fit their types")]

pub mod faults;
mod invariants;
pub mod protocol;
pub mod refinement;
pub mod scopes;
pub mod table;
pub mod transactions;
pub mod visit;

pub use invariants::*;
