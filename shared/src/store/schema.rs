//! Every kind of item that is in the table, said once: keys, audit, console, ARCHITECTURE's table and the test of the partition
//! keys in template.yaml read it here.

use std::fmt::{Display, Write};

/// A kind of item.
#[derive(Debug, PartialEq, Eq)]
pub struct ItemKind {
    /// What one of them is called.
    pub name: &'static str,
    /// And several.
    pub plural: &'static str,
    /// Number of its format: one more with every change of what its attributes are or mean, so that whoever reads a table or an
    /// export of another day knows what they have before them.
    pub version: u32,
    pub pk: Pattern,
    pub sk: Pattern,
    /// Its entry in the index `gsi1`: partition and sort key.
    pub gsi1: Option<(Pattern, Pattern)>,
    /// Its entry in the index `gsi2`.
    pub gsi2: Option<(Pattern, Pattern)>,
    /// Whether it has an `expires_at`, after which it does not exist, whether or not DynamoDB has swept it.
    pub expires: bool,
    /// For an item that says who owns a name that only one may have.
    pub naming: Option<Naming>,
}

/// A kind of names that only one may have: each is in the key of an item of its own, folded.
#[derive(Debug, PartialEq, Eq)]
pub struct Naming {
    /// What the name is called.
    pub name: &'static str,
    /// The kind of items that have such a name.
    pub entity: &'static ItemKind,
    /// Their attribute that has it.
    pub attribute: &'static str,
    /// The attribute of the name's item that says who owns it.
    pub owner: &'static str,
}

/// How a key is spelled, such as `ORDERS#<status>#<shard>`: the names in angle brackets stand for parts that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern(pub &'static str);

impl Pattern {
    /// What stands before the first part that differs; all of it if none does.
    pub const fn prefix(self) -> &'static str {
        let bytes = self.0.as_bytes();
        let mut at = 0;
        while at < bytes.len() && bytes[at] != b'<' {
            at += 1;
        }
        self.0.split_at(at).0
    }

    const fn varies(self) -> bool {
        self.prefix().len() < self.0.len()
    }

    /// The key with these parts, in their order.
    pub fn with(self, parts: &[&dyn Display]) -> String {
        let mut key = self.prefix().to_owned();
        let mut rest = &self.0[key.len()..];
        for part in parts {
            // Writing to a text does not fail.
            let _ = write!(key, "{part}");
            let behind = rest.split_once('>').map_or("", |(_, behind)| behind);
            let text = behind.split('<').next().unwrap_or_default();
            key.push_str(text);
            rest = &behind[text.len()..];
        }
        key
    }

    /// The part that differs of a key that has one, at its end.
    pub fn part(self, key: &str) -> Option<&str> {
        key.strip_prefix(self.prefix())
    }

    fn fits(self, key: &str) -> bool {
        if self.varies() { self.part(key).is_some_and(|part| !part.is_empty()) } else { key == self.0 }
    }
}

const fn item(name: &'static str, plural: &'static str, pk: &'static str, sk: &'static str) -> ItemKind {
    ItemKind { name, plural, version: 1, pk: Pattern(pk), sk: Pattern(sk), gsi1: None, gsi2: None, expires: false, naming: None }
}

const fn owner(naming: Naming, kind: ItemKind) -> ItemKind {
    ItemKind { naming: Some(naming), ..kind }
}

const fn of_product(name: &'static str, attribute: &'static str) -> Naming {
    Naming { name, entity: &PRODUCT, attribute, owner: "product_id" }
}

const fn of_user(name: &'static str, attribute: &'static str) -> Naming {
    Naming { name, entity: &USER, attribute, owner: "user_id" }
}

/// The collection of all products in `gsi1`, sorted by folded name.
pub const CATALOGUE: Pattern = Pattern("PRODUCTS");
/// The shards of stock of all products in `gsi1`, sorted by the folded names of the products.
pub const STOCKS: Pattern = Pattern("STOCK");
/// A customer's orders in `gsi1`.
pub const ORDERS_OF_CUSTOMER: Pattern = Pattern("CUSTOMER#<user id>");
/// The orders with a status in `gsi2`, or one shard of them.
pub const ORDERS_BY_STATUS: Pattern = Pattern("ORDERS#<status>#<shard>");

/// All accounts in `gsi2`, by e-mail address.
pub const USERS: Pattern = Pattern("USERS");

/// What is said of it, and its price.
pub const PRODUCT: ItemKind = ItemKind {
    gsi1: Some((CATALOGUE, Pattern("<folded name>"))),
    ..item("product", "Products", "PRODUCT#<product id>", "PRODUCT")
};
/// How much there is of a product, or one shard of that; the first says how many there are.
pub const STOCK: ItemKind = ItemKind {
    gsi1: Some((STOCKS, Pattern("<folded name><tab><shard>"))),
    ..item("stock of a product, one shard of it", "Stock", "PRODUCT#<product id>", "STOCK#<shard>")
};
pub const PRODUCT_NAME: ItemKind =
    owner(of_product("name", "gsi1sk"), item("product name", "Product names", "PRODUCT_NAME#<folded name>", "OWNER"));
pub const PRODUCT_SKU: ItemKind =
    owner(of_product("SKU", "sku"), item("product SKU", "Product SKUs", "SKU#<folded SKU>", "OWNER"));
/// Kept when the product goes.
pub const MOVEMENT: ItemKind = item("movement of stock", "Movements", "MOVEMENTS#<product id>", "<movement id>");
/// What was last told of how much there is, by `event-publish` alone; there once something was.
pub const LEVEL: ItemKind = item("stock level, as last told", "Stock levels", "LEVEL#<product id>", "LEVEL");
/// With its lines and its history in it, so that one read sees all of it as it was at one instant.
pub const ORDER: ItemKind = ItemKind {
    gsi1: Some((ORDERS_OF_CUSTOMER, Pattern("<order id>"))),
    gsi2: Some((ORDERS_BY_STATUS, Pattern("<order id>"))),
    ..item("order", "Orders", "ORDER#<order id>", "ORDER")
};
/// Who somebody is, and never how that is proven.
pub const USER: ItemKind =
    ItemKind { gsi2: Some((USERS, Pattern("<folded address>"))), ..item("user", "Users", "USER#<user id>", "USER") };
/// Its hash, apart from the user, so that hardly any function can read one.
pub const PASSWORD: ItemKind = item("password of a user", "Passwords", "PASSWORD#<user id>", "PASSWORD");
/// Who the active admins are, so that the last of them stays one.
pub const ADMINS: ItemKind = item("set of active admins", "Admins", "ADMINS", "ADMINS");
/// Those that check tokens; the private ones are in Secrets Manager.
pub const SIGNING_KEYS: ItemKind = item("public signing keys", "Signing keys", "SIGNING_KEYS", "SIGNING_KEYS");
pub const EMAIL: ItemKind =
    owner(of_user("e-mail address", "email"), item("e-mail address", "E-mail addresses", "EMAIL#<folded address>", "OWNER"));
pub const USERNAME: ItemKind =
    owner(of_user("username", "username"), item("username", "Usernames", "USERNAME#<folded username>", "OWNER"));
/// All sessions of a user, at most 20.
pub const SESSIONS: ItemKind =
    ItemKind { expires: true, ..item("sessions of a user", "Sessions", "SESSIONS#<user id>", "SESSIONS") };
/// What makes a mailed token good. The token has a MAC beside it, which is not in the table.
pub const TICKET: ItemKind = ItemKind { expires: true, ..item("ticket of a mail", "Tickets", "TICKETS#<user id>", "<purpose>") };
/// What an owner is told by mail; written to be read in the stream.
pub const NOTICE: ItemKind = ItemKind { expires: true, ..item("notice to an owner", "Notices", "NOTICES#<user id>", "<topic>") };
/// The account is a user's id, or the key of a name that nobody has.
pub const FAILURES_IN_TOTAL: ItemKind =
    ItemKind { expires: true, ..item("failed logins of an account", "Failed logins, in total", "ATTEMPTS#<account>", "TOTAL") };
pub const FAILURES_FROM: ItemKind = ItemKind {
    expires: true,
    ..item("failed logins of an account from one address", "Failed logins, by address", "ATTEMPTS#<account>", "FROM#<address>")
};
pub const LOGINS_FROM: ItemKind = ItemKind {
    expires: true,
    ..item("failed logins from one address", "Failed logins of an address", "ADDRESS#<address>", "LOGINS")
};
pub const REGISTRATIONS_FROM: ItemKind = ItemKind {
    expires: true,
    ..item("registrations from one address", "Registrations of an address", "ADDRESS#<address>", "REGISTRATIONS")
};
/// There only if there is more than one.
pub const ORDER_SHARDS: ItemKind = item("number of shards of orders", "Settings", "SETTINGS", "ORDER_SHARDS");
pub const IDEMPOTENCY: ItemKind = ItemKind {
    expires: true,
    ..item("idempotency record", "Idempotency records", "IDEMPOTENCY#<user id>#<role>#<key>", "IDEMPOTENCY")
};

/// All kinds.
pub const KINDS: [&ItemKind; 22] = [
    &PRODUCT,
    &STOCK,
    &PRODUCT_NAME,
    &PRODUCT_SKU,
    &MOVEMENT,
    &LEVEL,
    &ORDER,
    &USER,
    &PASSWORD,
    &EMAIL,
    &USERNAME,
    &ADMINS,
    &SESSIONS,
    &SIGNING_KEYS,
    &TICKET,
    &NOTICE,
    &FAILURES_IN_TOTAL,
    &FAILURES_FROM,
    &LOGINS_FROM,
    &REGISTRATIONS_FROM,
    &ORDER_SHARDS,
    &IDEMPOTENCY,
];

impl ItemKind {
    /// The kind of an item with these keys.
    pub fn of(pk: &str, sk: &str) -> Option<&'static Self> {
        KINDS.into_iter().find(|kind| kind.pk.fits(pk) && kind.sk.fits(sk))
    }

    /// The kinds of names that items of this kind have, with the kinds of the names' own items.
    pub fn namings(&'static self) -> impl Iterator<Item = (&'static Self, &'static Naming)> {
        let all = KINDS.into_iter().filter_map(|kind| Some((kind, kind.naming.as_ref()?)));
        all.filter(move |(_, naming)| naming.entity == self)
    }
}

/// What the entries of `gsi1` have beside their keys: what lists show of products, of their stock, and of a customer's orders.
pub const GSI1_ATTRIBUTES: [&str; 15] = [
    "name",
    "sku",
    "description",
    "price",
    "low_stock_at",
    "quantity",
    "reserved",
    "stock_shards",
    "customer_id",
    "status",
    "total",
    "item_count",
    "version",
    "created_at",
    "updated_at",
];

/// What the entries of `gsi2` have beside their keys: what lists show of orders and of accounts.
pub const GSI2_ATTRIBUTES: [&str; 13] = [
    "customer_id",
    "status",
    "total",
    "item_count",
    "email",
    "email_verified",
    "pending_email",
    "username",
    "role",
    "is_active",
    "version",
    "created_at",
    "updated_at",
];

/// `sk` of a shard of a product's stock.
pub fn stock_sk(shard: u64) -> String {
    STOCK.sk.with(&[&format_args!("{shard:02}")])
}

/// `gsi1sk` of a shard of a product's stock. A tab sorts before every character that a name can have, so that stock is in the order of
/// the names as products are.
pub fn stock_gsi1sk(folded_name: &str, shard: u64) -> String {
    let pattern = STOCK.gsi1.map_or(Pattern(""), |(_, sk)| sk);
    pattern.with(&[&folded_name, &'\t', &format_args!("{shard:02}")])
}

/// The table of all kinds, for ARCHITECTURE.
pub fn markdown() -> String {
    let code = |Pattern(text)| format!("`{text}`");
    let index =
        |entry: Option<(Pattern, Pattern)>| entry.map_or(String::new(), |(pk, sk)| format!("{} / {}", code(pk), code(sk)));
    let mut table =
        String::from("| item | version | `pk` | `sk` | `gsi1pk` / `gsi1sk` | `gsi2pk` / `gsi2sk` |\n|---|--:|---|---|---|---|\n");
    for kind in KINDS {
        let expires = if kind.expires { " (TTL)" } else { "" };
        let (pk, sk, gsi1, gsi2) = (code(kind.pk), code(kind.sk), index(kind.gsi1), index(kind.gsi2));
        table += &format!("| {}{expires} | {} | {pk} | {sk} | {gsi1} | {gsi2} |\n", kind.name, kind.version);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spelled_and_read() {
        let orders = ORDERS_BY_STATUS;
        assert_eq!((orders.prefix(), orders.with(&[&"PENDING", &7])), ("ORDERS#", "ORDERS#PENDING#7".to_owned()));
        assert_eq!(
            (USER.pk.with(&[&"1"]), USER.pk.part("USER#1"), USER.pk.part("USERNAME#1")),
            ("USER#1".into(), Some("1"), None)
        );
        assert_eq!((ORDER.sk.with(&[]), ORDER.sk.prefix()), ("ORDER".to_owned(), "ORDER"));
    }

    #[test]
    fn every_key_is_of_one_kind() {
        for kind in KINDS {
            let example = |Pattern(text)| text.replace(['<', '>'], "");
            assert_eq!(ItemKind::of(&example(kind.pk), &example(kind.sk)), Some(kind));
        }
        for (pk, sk) in [("ORDER#", "ORDER"), ("ORDER#1", "ORDERS"), ("PRODUCT#1", "STOCK#"), ("PRODUCT", "PRODUCT"), ("", "")] {
            assert_eq!(ItemKind::of(pk, sk), None, "{pk} {sk}");
        }
    }

    #[test]
    fn indexes_project_what_lists_show() {
        let template = include_str!("../../../template.yaml");
        let lists: Vec<Vec<_>> = template
            .split("NonKeyAttributes: [")
            .skip(1)
            .map(|text| text.split(']').next().unwrap_or_default().split(", ").collect())
            .collect();
        assert_eq!(lists, [GSI1_ATTRIBUTES.to_vec(), GSI2_ATTRIBUTES.to_vec()]);
    }

    /// A partition key that no item has would be a right that is missing, or one for nothing.
    #[test]
    fn rights_are_for_partition_keys_that_there_are() {
        let of_kind = |kind: &ItemKind| [Some(kind.pk), kind.gsi1.map(|(pk, _)| pk), kind.gsi2.map(|(pk, _)| pk)];
        let known: Vec<_> = KINDS.into_iter().flat_map(of_kind).flatten().collect();
        let template = include_str!("../../../template.yaml");
        let lists = template.split("ForAllValues:StringLike\": {\"dynamodb:LeadingKeys\": [").skip(1);
        let mut patterns = lists.flat_map(|text| text.split(']').next().unwrap_or_default().split(',')).peekable();
        assert!(patterns.peek().is_some(), "template.yaml names partition keys");
        for quoted in patterns {
            let pattern = quoted.trim().trim_matches('"');
            let is_known = match pattern.strip_suffix('*') {
                Some(beginning) => known.iter().any(|pk| pk.varies() && beginning.starts_with(pk.prefix())),
                None => known.iter().any(|pk| pk.0 == pattern),
            };
            assert!(is_known, "{pattern}");
        }
    }
}
