//! A product and the inputs that make and change it.

use std::{fmt, str::FromStr};

use serde::Serialize;

use super::{
    folded::Folded,
    id::ProductId,
    money::Money,
    refusal::{Refusal, Result},
    text::Text,
    timestamp::Timestamp,
};
use crate::{
    fault::Fault,
    json::{Fields, FromFields, FromJson, Json, whole},
};

/// Something the shop sells, and how much of it there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Product {
    pub product_id: ProductId,
    pub name: ProductName,
    pub sku: Sku,
    pub description: Description,
    pub price: Money,
    /// What can still be sold.
    pub quantity: Stock,
    /// What PENDING and CONFIRMED orders hold.
    pub reserved: u64,
    pub low_stock_at: StockLevel,
    #[serde(skip_serializing_if = "StockShards::is_one")]
    pub stock_shards: StockShards,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip)]
    pub version: ProductVersion,
}

/// What the `ETag` of a product is made of, such as `3-41`. Both parts only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProductVersion {
    /// Grows with what admins write: texts, the price, how the stock is spread.
    pub edits: u64,
    /// Grows with every change of how many pieces there are and where they are, such as a sale. Moving pieces from shard to shard
    /// is none.
    pub stock: u64,
}

impl fmt::Display for ProductVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.edits, self.stock)
    }
}

impl FromStr for ProductVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse().map_err(|_| ());
        let (edits, stock) = text.split_once('-').ok_or(())?;
        Ok(Self { edits: number(edits)?, stock: number(stock)? })
    }
}

impl Product {
    pub fn new(product_id: ProductId, new: NewProduct, now: Timestamp) -> Self {
        Self {
            product_id,
            name: new.name,
            sku: new.sku,
            description: new.description,
            price: new.price,
            quantity: new.quantity,
            reserved: 0,
            low_stock_at: new.low_stock_at,
            stock_shards: new.stock_shards,
            created_at: now,
            updated_at: now,
            version: ProductVersion { edits: 1, stock: 0 },
        }
    }

    /// The same with what there is of it as another look has seen it.
    pub fn with_stock_of(self, seen: &Self) -> Self {
        Self { quantity: seen.quantity, reserved: seen.reserved, stock_shards: seen.stock_shards, ..self }
    }

    /// Refuses to delete a product of which orders hold pieces.
    ///
    /// # Errors
    ///
    /// [`Refusal::ProductInUse`].
    pub fn require_deletable(reserved: u64) -> Result {
        if reserved == 0 { Ok(()) } else { Err(Refusal::ProductInUse { reserved }) }
    }
}

/// What a product is made from.
#[derive(Debug, Clone)]
pub struct NewProduct {
    pub name: ProductName,
    pub sku: Sku,
    pub description: Description,
    pub price: Money,
    pub quantity: Stock,
    pub low_stock_at: StockLevel,
    pub stock_shards: StockShards,
}

impl FromFields for NewProduct {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name");
        let sku = fields.clearable("sku");
        let description = fields.clearable("description");
        let price = fields.required("price");
        let quantity = fields.required("quantity");
        let low_stock_at = fields.clearable("low_stock_at");
        let stock_shards = fields.optional("stock_shards");
        Some(Self {
            name: name?,
            sku: sku?.unwrap_or_default(),
            description: description?.unwrap_or_default(),
            price: price?,
            quantity: quantity?,
            low_stock_at: low_stock_at?.unwrap_or_default(),
            stock_shards: stock_shards?.unwrap_or_default(),
        })
    }
}

/// New values for some of a product's fields; the others keep theirs. At least one is set.
#[derive(Debug, Clone)]
pub struct ProductChange {
    pub name: Option<ProductName>,
    pub sku: Option<Sku>,
    pub description: Option<Description>,
    pub price: Option<Money>,
    pub quantity: Option<Stock>,
    pub low_stock_at: Option<StockLevel>,
    pub stock_shards: Option<StockShards>,
}

impl ProductChange {
    /// Whether anything but the number of pieces changes.
    pub fn is_edit(&self) -> bool {
        let Self { name, sku, description, price, quantity: _, low_stock_at, stock_shards } = self;
        name.is_some()
            || sku.is_some()
            || description.is_some()
            || price.is_some()
            || low_stock_at.is_some()
            || stock_shards.is_some()
    }
}

impl FromFields for ProductChange {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.optional("name");
        let sku = fields.clearable("sku");
        let description = fields.clearable("description");
        let price = fields.optional("price");
        let quantity = fields.optional("quantity");
        let low_stock_at = fields.clearable("low_stock_at");
        let stock_shards = fields.optional("stock_shards");
        let change = Self {
            name: name?,
            sku: sku?,
            description: description?,
            price: price?,
            quantity: quantity?,
            low_stock_at: low_stock_at?,
            stock_shards: stock_shards?,
        };
        if change.quantity.is_none() && !change.is_edit() && fields.is_sound() {
            fields.fault("must set at least one of name, sku, description, price, quantity, low_stock_at and stock_shards");
        }
        Some(change)
    }
}

/// Text of 1 to 200 characters without surrounding space. Unique in the catalogue when folded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProductName(Text);

impl ProductName {
    pub const MAX_CHARS: usize = 200;

    pub fn parse(text: &str) -> Result<Self, String> {
        let name = Self(Text::parse(text.trim(), 1..=Self::MAX_CHARS)?);
        // Some single characters fold to 18; the folded name must still fit the index.
        if name.folded().as_str().len() > Folded::MAX_BYTES {
            return Err(format!("must have at most {} bytes after NFKC and case folding", Folded::MAX_BYTES));
        }
        Ok(name)
    }

    /// A name that was parsed before it was stored.
    pub fn stored(name: String) -> Self {
        Self(Text::stored(name))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub fn folded(&self) -> Folded {
        Folded::new(self.as_str())
    }
}

impl FromJson for ProductName {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        Self::parse(&json.text()?)
    }
}

/// The beginning of product names, folded as they are; empty for all names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePrefix(Folded);

impl NamePrefix {
    pub fn parse(text: &str) -> Result<Self> {
        let short = text.chars().count() <= ProductName::MAX_CHARS;
        let prefix = short.then(|| Folded::beginning(text)).filter(|prefix| prefix.as_str().len() <= Folded::MAX_BYTES);
        let detail = || format!("must have at most {} characters", ProductName::MAX_CHARS);
        prefix.map(Self).ok_or_else(|| Fault::new("?prefix", detail()).into())
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The merchant's own number for a product (stock keeping unit), or none: 1 to 64 of `A-Z a-z 0-9 . _ -`. Unique in the catalogue
/// when folded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sku(Option<String>);

impl Sku {
    pub const MAX_CHARS: usize = 64;

    /// One that was parsed before it was stored.
    pub fn stored(text: Option<String>) -> Self {
        Self(text)
    }

    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub fn folded(&self) -> Option<Folded> {
        self.as_deref().map(Folded::new)
    }
}

impl FromJson for Sku {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        match json {
            Json::Null => Ok(Self(None)),
            Json::String(text) if (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(allowed) => {
                Ok(Self(Some(text)))
            }
            _ => Err(format!(
                "must be 1 to {} of the characters A-Z, a-z, 0-9, dot, underscore and hyphen, or null",
                Self::MAX_CHARS
            )),
        }
    }
}

/// Text of up to 2,000 characters, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Description(Option<Text>);

impl Description {
    pub const MAX_CHARS: usize = 2_000;

    /// A description that was parsed before it was stored.
    pub fn stored(text: Option<String>) -> Self {
        Self(text.map(Text::stored))
    }

    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_ref().map(Text::as_str)
    }
}

impl FromJson for Description {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::Null => Ok(Self(None)),
            Json::String(text) => Text::parse(&text, 0..=Self::MAX_CHARS).map(|text| Self(Some(text))),
            _ => Err("must be a string or null".into()),
        }
    }
}

/// Pieces on the shelf: 0 to 1,000,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Stock(u64);

impl Stock {
    pub const MAX: u64 = 1_000_000_000;

    pub fn new(pieces: u64) -> Option<Self> {
        (pieces <= Self::MAX).then_some(Self(pieces))
    }

    /// From the table, where returned pieces may have come on top of the most that an admin can set.
    pub fn stored(pieces: u64) -> Self {
        Self(pieces)
    }

    pub fn get(self) -> u64 {
        self.0
    }
}

impl FromJson for Stock {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::Number(text) => whole(text).and_then(Self::new),
            _ => None,
        }
        .ok_or_else(|| format!("must be an integer from 0 to {}", Self::MAX))
    }
}

/// A number of pieces at which stock counts as low, 0 to 1,000,000,000; or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StockLevel(Option<u64>);

impl StockLevel {
    /// One that was parsed before it was stored.
    pub fn stored(pieces: Option<u64>) -> Self {
        Self(pieces)
    }

    pub fn get(self) -> Option<u64> {
        self.0
    }
}

impl FromJson for StockLevel {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::Null => Ok(Self(None)),
            json => match Stock::from_json(json) {
                Ok(stock) => Ok(Self(Some(stock.get()))),
                Err(detail) => Err(format!("{detail}, or null")),
            },
        }
    }
}

/// Over how many items a product's stock is spread: 1 to 32. DynamoDB writes to one item for one sale after the other; with
/// more items, as many sales may happen at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StockShards(u32);

impl StockShards {
    pub const MAX: u32 = 32;

    pub fn new(shards: u32) -> Option<Self> {
        (1..=Self::MAX).contains(&shards).then_some(Self(shards))
    }

    pub fn get(self) -> u32 {
        self.0
    }

    pub fn is_one(&self) -> bool {
        self.0 == 1
    }

    /// How many of `pieces` the shard with this number gets; one beyond the last gets none.
    pub fn share(self, pieces: u64, shard: u32) -> u64 {
        let shards = u64::from(self.0);
        let extra = u64::from(u64::from(shard) < pieces % shards);
        if shard < self.0 { pieces / shards + extra } else { 0 }
    }
}

impl Default for StockShards {
    fn default() -> Self {
        Self(1)
    }
}

impl FromJson for StockShards {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::Number(text) => whole(text).and_then(|number| Self::new(number.try_into().ok()?)),
            _ => None,
        }
        .ok_or_else(|| format!("must be an integer from 1 to {}", Self::MAX))
    }
}

/// At what price a piece is sold, and from which shard of the stock it is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    pub price: Money,
    pub shard: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded_in_characters() {
        assert_eq!(ProductName::parse("  Pen\u{a0}").unwrap().as_str(), "Pen");
        assert!(ProductName::parse(&"𝄞".repeat(200)).is_ok());
        for bad in ["", " \t ", "a\nb", "Pen\u{200b}", "\u{2800}", &"x".repeat(201), &"\u{fdfa}".repeat(200)] {
            assert!(ProductName::parse(bad).is_err(), "{bad:?}");
        }
        // 33 bytes each when it is folded.
        let folds_to = |more: &str| ProductName::parse(&("\u{fdfa}".repeat(31) + more)).map(|name| name.folded().as_str().len());
        assert_eq!(folds_to("x"), Ok(Folded::MAX_BYTES));
        assert!(folds_to("xy").is_err());
    }

    /// The index and the item of a name take no empty text.
    #[test]
    fn no_name_folds_to_nothing() {
        // Beyond are ideographs, which fold to ideographs, and what no text may contain.
        for c in '\0'..='\u{1ffff}' {
            if let Ok(name) = ProductName::parse(c.encode_utf8(&mut [0; 4])) {
                assert!(!name.folded().as_str().is_empty(), "{c:?}");
            }
        }
    }

    #[test]
    fn a_prefix_is_folded_as_names_are() {
        for (name, prefix) in
            [("Red  Pen", "red p"), ("☺\u{fe0f} Sticker", "☺ S"), ("Åse", "\u{200d}A\u{30a}"), ("Redpen", " red")]
        {
            let (name, prefix) = (ProductName::parse(name).unwrap().folded(), NamePrefix::parse(prefix).unwrap());
            assert!(name.as_str().starts_with(prefix.as_str()), "{name} {prefix:?}");
        }
        assert_eq!(NamePrefix::parse("red ").unwrap().as_str(), "red ");
        assert!(NamePrefix::parse(&"x".repeat(200)).is_ok() && NamePrefix::parse(&"x".repeat(201)).is_err());
    }

    #[test]
    fn a_sku_is_of_a_few_characters() {
        let read = |text: &str| Sku::from_json(Json::String(text.into())).ok();
        assert_eq!(read("Pen-0.5_B").unwrap().as_deref(), Some("Pen-0.5_B"));
        assert_eq!(read("PEN-1").unwrap().folded(), Some(Folded::new("pen-1")));
        assert_eq!(Sku::stored(Some("PEN-1".into())), read("PEN-1").unwrap());
        assert!(read(&"x".repeat(64)).is_some());
        for bad in ["", " ", "a b", "a/b", "a#b", "\u{e9}", "\u{ff21}", " a", &"x".repeat(65)] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(Sku::from_json(Json::Null).unwrap(), Sku::default());
        assert!(Sku::from_json(Json::Number("1")).is_err());
    }

    #[test]
    fn stock_is_a_whole_number() {
        let read = |text| Stock::from_json(Json::Number(text)).ok().map(Stock::get);
        assert_eq!(read("0"), Some(0));
        assert_eq!(read("1000000000"), Some(1_000_000_000));
        assert_eq!(read("1.0"), Some(1));
        for bad in ["-1", "-0", "1.5", "1e3", "1000000001", "99999999999999999999999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(Stock::from_json(Json::String("1".into())).is_err());
    }

    #[test]
    fn shares_add_up_and_differ_by_one_at_most() {
        let shares = |shards, pieces| {
            let shards = StockShards::new(shards).unwrap();
            (0..=shards.get()).map(|shard| shards.share(pieces, shard)).collect::<Vec<_>>()
        };
        assert_eq!(shares(1, 7), [7, 0]);
        assert_eq!(shares(3, 7), [3, 2, 2, 0]);
        assert_eq!(shares(4, 3), [1, 1, 1, 0, 0]);
        assert_eq!(shares(2, 0), [0, 0, 0]);
        assert!(StockShards::new(0).is_none() && StockShards::new(33).is_none());
    }

    #[test]
    fn a_change_sets_something() {
        assert!(Fields::parse::<ProductChange>(b"{}").is_err());
        let change: ProductChange = Fields::parse(br#"{"description": null}"#).unwrap();
        assert_eq!(change.description, Some(Description(None)));
        assert_eq!(change.name, None);
        assert!(Fields::parse::<ProductChange>(br#"{"name": null, "quantity": null}"#).is_err(), "null is nothing");
        let change: ProductChange = Fields::parse(br#"{"low_stock_at": null}"#).unwrap();
        assert_eq!((change.low_stock_at, change.is_edit()), (Some(StockLevel(None)), true));
        let change: ProductChange = Fields::parse(br#"{"quantity": 0}"#).unwrap();
        assert!(!change.is_edit());
    }

    #[test]
    fn a_version_has_two_parts() {
        let version = ProductVersion { edits: 3, stock: 41 };
        assert_eq!((version.to_string(), "3-41".parse()), ("3-41".to_owned(), Ok(version)));
        for bad in ["3", "-", "3-", "-41", "3-4-1", "3--1", "a-b"] {
            assert_eq!(bad.parse::<ProductVersion>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn all_that_a_product_has_is_read() {
        let body = br#"{"name": "Pen", "sku": "P-1", "description": "Blue", "price": "1.50", "quantity": 7, "low_stock_at": 2,
            "stock_shards": 3}"#;
        let new: NewProduct = Fields::parse(body).unwrap();
        assert_eq!((new.name.as_str(), new.sku.as_deref(), new.description.as_deref()), ("Pen", Some("P-1"), Some("Blue")));
        assert_eq!((new.price.minor(), new.quantity.get(), new.low_stock_at.get(), new.stock_shards.get()), (150, 7, Some(2), 3));
        let new: NewProduct = Fields::parse(br#"{"name": "Pen", "sku": null, "price": 1, "quantity": 0}"#).unwrap();
        assert_eq!((new.sku.as_deref(), new.description.as_deref(), new.low_stock_at.get()), (None, None, None));
        assert!(new.stock_shards.is_one());
        assert!(Fields::parse::<NewProduct>(b"{}").is_err());
    }

    #[test]
    fn only_the_number_of_pieces_changes_without_an_edit() {
        for (body, expected) in [
            (r#"{"name": "Pen"}"#, true),
            (r#"{"sku": null}"#, true),
            (r#"{"description": "Blue"}"#, true),
            (r#"{"price": 2}"#, true),
            (r#"{"low_stock_at": 2}"#, true),
            (r#"{"stock_shards": 2}"#, true),
            (r#"{"quantity": 2}"#, false),
        ] {
            assert_eq!(Fields::parse::<ProductChange>(body.as_bytes()).unwrap().is_edit(), expected, "{body}");
        }
    }

    #[test]
    fn a_product_that_orders_hold_is_not_deleted() {
        assert_eq!(Product::require_deletable(0), Ok(()));
        assert_eq!(Product::require_deletable(2), Err(Refusal::ProductInUse { reserved: 2 }));
    }

    #[test]
    fn what_there_is_of_a_product_is_as_another_look_has_seen_it() {
        let product = |name: &str, pieces: u64, shards: u32| {
            let body = format!(r#"{{"name": "{name}", "price": 1, "quantity": {pieces}, "stock_shards": {shards}}}"#);
            let new = Fields::parse(body.as_bytes()).unwrap();
            Product { reserved: pieces + 1, ..Product::new(uuid::Uuid::nil().into(), new, Timestamp::from_millis(0)) }
        };
        assert_eq!(product("Pen", 3, 1).with_stock_of(&product("Ink", 8, 2)), product("Pen", 8, 2));
    }

    #[test]
    fn a_description_is_a_text_or_nothing() {
        let read = |json| Description::from_json(json).ok();
        assert_eq!(read(Json::String("Blue".into())).unwrap().as_deref(), Some("Blue"));
        assert_eq!(read(Json::Null).unwrap().as_deref(), None);
        assert_eq!(read(Json::Number("1")), None);
        assert_eq!(read(Json::String("x".repeat(2_001))), None);
        assert_eq!(Description::stored(Some("Blue".into())).as_deref(), Some("Blue"));
    }

    #[test]
    fn a_level_and_shards_are_whole_numbers() {
        let level = |json| StockLevel::from_json(json).ok().map(StockLevel::get);
        assert_eq!([level(Json::Number("7")), level(Json::Null), level(Json::Number("-7"))], [Some(Some(7)), Some(None), None]);
        assert_eq!(StockLevel::stored(Some(7)).get(), Some(7));
        let shards = |json| StockShards::from_json(json).ok().map(StockShards::get);
        assert_eq!([shards(Json::Number("32")), shards(Json::Number("33")), shards(Json::Null)], [Some(32), None, None]);
        assert!(StockShards::default().is_one() && !StockShards::new(2).unwrap().is_one());
    }
}
