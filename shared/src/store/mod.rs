//! Every call to DynamoDB. A write carries the refusal that its failed condition means; nothing here decides anything else.

pub mod attempts;
mod counter;
pub mod erasure;
mod expression;
mod idempotency;
mod key;
pub mod levels;
pub mod movements;
mod mutant;
mod order_shards;
pub mod orders;
mod passwords;
pub mod products;
mod query;
pub mod redemption;
pub mod renaming;
pub mod replay;
mod retry;
pub mod schema;
pub mod sessions;
pub mod signing_keys;
mod stock;
pub mod stream;
mod table;
pub mod tickets;
mod transaction;
pub mod users;

pub use counter::Counter;
pub use idempotency::{Idempotency, Idempotent};
pub use signing_keys::KnownKeys;
pub use table::Table;
pub use transaction::SavedResponse;
