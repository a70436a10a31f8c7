//! Pieces that come into the shop and leave it otherwise than by an order: every change of how many there are.

use serde::{Deserialize, Serialize};

use super::{
    id::{MovementId, ProductId, UserId},
    lifecycle::Reason,
    product::{Product, Stock},
    timestamp::Timestamp,
};
use crate::json::{Fields, FromFields, FromJson, Json, whole};

/// Why there are more pieces of a product, or fewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Movement {
    pub movement_id: MovementId,
    pub product_id: ProductId,
    pub kind: MovementKind,
    /// Pieces: more if it is positive, fewer if it is negative; never 0.
    pub amount: i64,
    pub reason: Option<String>,
    /// The admin who did it.
    pub by: UserId,
    pub created_at: Timestamp,
}

impl Movement {
    /// What a new product begins with; `None` if that is nothing.
    pub fn initial(movement_id: MovementId, product: &Product, by: UserId) -> Option<Self> {
        let Product { product_id, quantity, created_at, .. } = product;
        let amount = i64::try_from(quantity.get()).unwrap_or(i64::MAX);
        let kind = MovementKind::Initial;
        let movement = Self { movement_id, product_id: *product_id, kind, amount, reason: None, by, created_at: *created_at };
        (amount != 0).then_some(movement)
    }

    /// What an admin has sent.
    pub fn sent(movement_id: MovementId, product_id: ProductId, new: NewMovement, by: UserId, now: Timestamp) -> Self {
        let NewMovement { amount: Amount(amount), reason } = new;
        let kind = if amount < 0 { MovementKind::Removed } else { MovementKind::Received };
        let reason = reason.map(|reason| reason.as_str().to_owned());
        Self { movement_id, product_id, kind, amount, reason, by, created_at: now }
    }
}

/// What kind of movement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MovementKind {
    /// The product began with them.
    Initial,
    /// They came in.
    Received,
    /// They were taken out.
    Removed,
    /// Somebody counted, and said how many there are: the difference to what was thought.
    Counted,
}

impl MovementKind {
    pub const ALL: [Self; 4] = [Self::Initial, Self::Received, Self::Removed, Self::Counted];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Received => "received",
            Self::Removed => "removed",
            Self::Counted => "counted",
        }
    }
}

/// How many pieces come in or are taken out: 1 to 1,000,000,000, or as many less than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(i64);

impl Amount {
    pub const MAX: u64 = Stock::MAX;
}

impl FromJson for Amount {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        let amount = match json {
            Json::Number(text) => match text.strip_prefix('-') {
                Some(text) => whole(text).and_then(|pieces| i64::try_from(pieces).ok()).map(|pieces| -pieces),
                None => whole(text).and_then(|pieces| i64::try_from(pieces).ok()),
            },
            _ => None,
        };
        let amount = amount.filter(|amount| (1..=Self::MAX).contains(&amount.unsigned_abs()));
        amount.map(Self).ok_or_else(|| format!("must be an integer from 1 to {0}, or from -{0} to -1", Self::MAX))
    }
}

/// A movement to carry out.
#[derive(Debug, Clone)]
pub struct NewMovement {
    pub amount: Amount,
    pub reason: Option<Reason>,
}

impl FromFields for NewMovement {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let amount = fields.required("amount");
        let reason = fields.optional("reason");
        Some(Self { amount: amount?, reason: reason? })
    }
}

/// Where the pieces of a product are that were ever received: `received = quantity + reserved + shipped`, in all and in each shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Books {
    pub product_id: ProductId,
    #[serde(flatten)]
    pub total: Pieces,
    /// In the order of their numbers.
    pub shards: Vec<ShardPieces>,
}

impl Books {
    pub fn new(product_id: ProductId, shards: Vec<ShardPieces>) -> Self {
        let total = shards.iter().fold(Pieces::default(), |sum, shard| sum.plus(shard.pieces));
        Self { product_id, total, shards }
    }
}

/// The pieces in one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShardPieces {
    pub shard: u32,
    #[serde(flatten)]
    pub pieces: Pieces,
}

/// How many pieces were received, and where they are now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pieces {
    pub received: u64,
    /// They can be sold.
    pub quantity: u64,
    /// PENDING and CONFIRMED orders hold them.
    pub reserved: u64,
    /// They have left the shop, and have not come back.
    pub shipped: u64,
}

impl Pieces {
    fn plus(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            quantity: self.quantity + other.quantity,
            reserved: self.reserved + other.reserved,
            shipped: self.shipped + other.shipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::tests::id;

    #[test]
    fn an_amount_is_whole_and_not_nothing() {
        let read = |text| Amount::from_json(Json::Number(text)).ok().map(|Amount(amount)| amount);
        for (text, amount) in [("1", 1), ("-1", -1), ("5.0", 5), ("1000000000", 1_000_000_000), ("-1000000000", -1_000_000_000)] {
            assert_eq!(read(text), Some(amount));
        }
        for bad in ["0", "-0", "1.5", "1e3", "1000000001", "-1000000001", "99999999999999999999999", "--1", "-"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(Amount::from_json(Json::String("1".into())).is_err());
    }

    #[test]
    fn a_product_begins_with_what_there_is_of_it() {
        let product = |quantity: u64| {
            let body = format!(r#"{{"name": "Pen", "price": 1, "quantity": {quantity}}}"#);
            Product::new(id(1), Fields::parse(body.as_bytes()).unwrap(), Timestamp::from_millis(7))
        };
        assert_eq!(Movement::initial(id(2), &product(0), id(3)), None, "nothing has come in");
        let movement = Movement::initial(id(2), &product(5), id(3)).unwrap();
        assert_eq!((movement.product_id, movement.kind, movement.amount), (id(1), MovementKind::Initial, 5));
        assert_eq!((movement.by, movement.created_at), (id(3), Timestamp::from_millis(7)));
    }

    #[test]
    fn what_comes_in_is_received_and_what_goes_is_removed() {
        for (body, amount, kind, reason) in [
            (r#"{"amount": 3}"#, 3, MovementKind::Received, None),
            (r#"{"amount": -3, "reason": " broken "}"#, -3, MovementKind::Removed, Some("broken")),
        ] {
            let movement =
                Movement::sent(id(2), id(1), Fields::parse(body.as_bytes()).unwrap(), id(3), Timestamp::from_millis(7));
            assert_eq!((movement.amount, movement.kind, movement.reason.as_deref()), (amount, kind, reason));
        }
        assert!(Fields::parse::<NewMovement>(b"{}").is_err());
    }

    #[test]
    fn a_kind_is_stored_by_the_word_that_is_read_again() {
        for kind in MovementKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn the_books_of_all_shards_are_added_up() {
        let pieces = |n: u64| Pieces { received: 10 * n, quantity: 3 * n, reserved: 2 * n, shipped: 5 * n };
        let books = Books::new(id(1), [1, 4].map(|n| ShardPieces { shard: 0, pieces: pieces(n) }).into());
        assert_eq!((books.total, books.shards.len()), (pieces(5), 2));
    }
}
