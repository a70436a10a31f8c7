//! Every call to DynamoDB. A write carries the refusal that its failed condition means; nothing here decides anything else.

pub mod attempts;
mod counter;
mod expression;
mod idempotency;
mod key;
pub mod levels;
pub mod movements;
mod order_shards;
pub mod orders;
pub mod products;
mod query;
pub mod replay;
mod retry;
pub mod schema;
pub mod sessions;
mod stock;
pub mod stream;
mod table;
mod transaction;
pub mod users;

pub use counter::Counter;
pub use idempotency::{Idempotency, Idempotent};
pub use table::Table;
pub use transaction::SavedResponse;
