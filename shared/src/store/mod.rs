//! Every call to DynamoDB. A write carries the refusal that its failed condition means; nothing here decides anything else.

mod expression;
mod idempotency;
mod key;
pub mod products;
mod retry;
mod table;
mod transaction;

pub use idempotency::Idempotency;
pub use table::Table;
