//! Every call to DynamoDB. A write carries the refusal that its failed condition means; nothing here decides anything else.

mod expression;
mod idempotency;
mod key;
pub mod orders;
pub mod products;
mod retry;
pub mod sessions;
mod table;
mod transaction;
pub mod users;

pub use idempotency::Idempotency;
pub use table::Table;
