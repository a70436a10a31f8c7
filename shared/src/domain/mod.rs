//! The shop's own types and rules: values that cannot be wrong once they exist. Nothing here waits, reads a clock or knows a wire.

mod address;
pub mod attempts;
mod event;
mod folded;
mod id;
mod level;
mod lifecycle;
mod mail;
mod metadata;
mod money;
mod movement;
mod order;
mod product;
mod refusal;
mod session;
mod status;
mod text;
mod timestamp;
mod user;

pub use address::SourceAddress;
pub use event::{AccountFacts, Data, Event, EventType, Replay, ReplayCursor, Replayed, SOURCE};
pub use folded::Folded;
pub use id::{MovementId, OrderId, OrderItemId, ProductId, SessionId, TicketId, UserId};
pub use level::{Level, StockState};
pub use lifecycle::{Reason, StatusChange, StockEffect, markdown, take_step};
pub use mail::{Letter, MailFeedback, Matter, Notice, Purpose, Ticket, Topic};
pub use metadata::Metadata;
pub use money::Money;
pub use movement::{Amount, Books, Movement, MovementKind, NewMovement, Pieces, ShardPieces};
pub use order::{
    Demand, Edit, EndedHolds, Expiry, HistoryEntry, ItemChange, NewItem, NewOrder, Order, OrderChange, OrderDetails, OrderDraft,
    OrderFilter, OrderItem, OrderPolicy, Quantity, demand, total,
};
pub use product::{
    Description, NamePrefix, NewProduct, Offer, Product, ProductChange, ProductName, ProductVersion, Sku, Stock, StockLevel,
    StockShards,
};
pub use refusal::{Refusal, Resource};
pub use session::{Freshness, Rotation, SESSION, Session, SessionFacts, Tokens, UserAgent};
pub use status::Status;
pub use text::{MAX_COMPOSED, Text};
pub use timestamp::{LEEWAY_SECONDS, Timestamp};
pub use user::{
    AccountName, AccountUpdate, Actor, Caller, Email, Login, NameChange, Role, User, UserUpdate, Username, VerifiedEmail,
};
