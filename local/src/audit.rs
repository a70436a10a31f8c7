//! Reads a whole table and names everything in it that contradicts something else: what the writes promise, checked at rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::database::{Connection, Database, Store};
use crate::error::{Error, Result};

const STATUSES: [&str; 5] = ["PENDING", "CONFIRMED", "SHIPPED", "DELIVERED", "CANCELLED"];
/// The statuses of orders that hold stock.
const HOLDING: [&str; 2] = ["PENDING", "CONFIRMED"];
const MAX_LINES: usize = 40;
const MAX_QUANTITY: u64 = 10_000;

/// One thing that is wrong with one item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    pub pk: String,
    pub sk: String,
    pub what: String,
}

/// `PRODUCT#… PRODUCT: 2 are reserved, but orders hold 3`
impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.pk, self.sk, self.what)
    }
}

/// What an audit has to say: a line per violation and one that counts.
#[derive(Debug)]
pub struct Report {
    pub items: usize,
    pub violations: Vec<Violation>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in &self.violations {
            writeln!(f, "{violation}")?;
        }
        write!(f, "{} items, ", self.items)?;
        match self.violations.len() {
            0 => write!(f, "no violation"),
            1 => write!(f, "1 violation"),
            many => write!(f, "{many} violations"),
        }
    }
}

/// The violations in one table, wherever it is. Only what nobody writes to meanwhile is seen as it is.
pub async fn run(dynamodb_url: &str, table: &str) -> Result<Vec<Violation>> {
    Ok(check(&items(dynamodb_url, table).await?))
}

/// Audits tables that no shop in this process serves.
pub async fn report(store: &Store, tables: &[String]) -> Result<Report> {
    if let Store::File(path) = store {
        // Opening would make an empty one, in which nothing is wrong.
        std::fs::metadata(path).map_err(|source| Error::File { path: path.clone(), source })?;
    }
    let stop = CancellationToken::new();
    let opened = Database::open(store, &[], &stop).await;
    let database = opened.map_err(|error| match error {
        Error::DatabaseInUse { path } => Error::DatabaseRunning { path },
        other => other,
    })?;
    let mut all = Vec::new();
    for table in tables {
        all.extend(items(&database.url, table).await?);
    }
    stop.cancel();
    Ok(Report { items: all.len(), violations: check(&all) })
}

/// Every item of a table, as DynamoDB writes them in JSON.
pub async fn items(dynamodb_url: &str, table: &str) -> Result<Vec<Value>> {
    let connection = Connection::to(dynamodb_url)?;
    let mut request = json!({"TableName": table, "ConsistentRead": true});
    let mut items = Vec::new();
    loop {
        let mut page = connection.call("Scan", &request).await?.map_err(|reason| connection.fault(reason))?;
        match page["Items"].take() {
            Value::Array(found) => items.extend(found),
            other => return Err(connection.fault(format!("Scan answers {other} for items"))),
        }
        match page["LastEvaluatedKey"].take() {
            Value::Null => return Ok(items),
            last => request["ExclusiveStartKey"] = last,
        }
    }
}

/// Everything that is wrong with these items, which are all that there are; sorted by key.
pub fn check(items: &[Value]) -> Vec<Violation> {
    let (table, mut findings) = Table::of(items);
    for (id, order) in &table.orders {
        findings.order(id, order);
    }
    findings.products(&table);
    findings.users(&table);
    findings.0.sort();
    findings.0
}

#[derive(Clone, Copy)]
struct Item<'t> {
    pk: &'t str,
    sk: &'t str,
    attributes: &'t Value,
}

impl<'t> Item<'t> {
    fn new(attributes: &'t Value) -> Self {
        let text = |name: &str| attributes[name]["S"].as_str().unwrap_or_default();
        Self { pk: text("pk"), sk: text("sk"), attributes }
    }

    /// What stands behind the first `#` of the partition key.
    fn id(&self) -> &'t str {
        self.pk.split_once('#').map_or("", |(_, id)| id)
    }

    /// Empty if there is no such text.
    fn text(&self, name: &str) -> &'t str {
        self.attributes[name]["S"].as_str().unwrap_or_default()
    }

    /// A whole number that is not negative.
    fn number(&self, name: &str) -> Option<u64> {
        self.attributes[name]["N"].as_str()?.parse().ok()
    }
}

/// An order with what belongs to it.
#[derive(Default)]
struct Order<'t> {
    /// None if only its parts are there.
    head: Option<Item<'t>>,
    lines: Vec<Item<'t>>,
    /// By version.
    history: BTreeMap<&'t str, Item<'t>>,
}

impl Order<'_> {
    fn holds_stock(&self) -> bool {
        self.head.is_some_and(|head| HOLDING.contains(&head.text("status")))
    }
}

/// The items by what they are, and then by their ids.
#[derive(Default)]
struct Table<'t> {
    products: BTreeMap<&'t str, Item<'t>>,
    /// By the product's id and the shard's number.
    shards: BTreeMap<(&'t str, u64), Item<'t>>,
    names: BTreeMap<&'t str, Item<'t>>,
    orders: BTreeMap<&'t str, Order<'t>>,
    users: BTreeMap<&'t str, Item<'t>>,
    emails: Vec<Item<'t>>,
    usernames: Vec<Item<'t>>,
    sessions: Vec<Item<'t>>,
}

impl<'t> Table<'t> {
    fn of(items: &'t [Value]) -> (Self, Findings) {
        let (mut table, mut findings) = (Self::default(), Findings::default());
        for item in items.iter().map(Item::new) {
            let kind = item.pk.split('#').next().unwrap_or_default();
            match (kind, item.sk) {
                ("PRODUCT", "PRODUCT") => {
                    table.products.insert(item.id(), item);
                }
                ("PRODUCT", sk) if sk.starts_with("STOCK#") => match sk["STOCK#".len()..].parse() {
                    Ok(number) if number > 0 => {
                        table.shards.insert((item.id(), number), item);
                    }
                    _ => findings.add(&item, "is no shard from 1 up"),
                },
                ("PRODUCT_NAME", "OWNER") => {
                    table.names.insert(item.id(), item);
                }
                ("ORDER", "ORDER") => table.orders.entry(item.id()).or_default().head = Some(item),
                ("ORDER", sk) if sk.starts_with("ITEM#") => table.orders.entry(item.id()).or_default().lines.push(item),
                ("ORDER", sk) if sk.starts_with("HISTORY#") => {
                    table.orders.entry(item.id()).or_default().history.insert(sk, item);
                }
                ("USER", "USER") => {
                    table.users.insert(item.id(), item);
                }
                ("USER", sk) if sk.starts_with("SESSION#") => table.sessions.push(item),
                ("EMAIL", "OWNER") => table.emails.push(item),
                ("USERNAME", "OWNER") => table.usernames.push(item),
                // Counts and answers, which stand for themselves and expire.
                ("EMAIL" | "USERNAME", "ATTEMPTS") | ("IDEMPOTENCY", "IDEMPOTENCY") => {}
                _ => findings.add(&item, "is no kind of item that this table has"),
            }
        }
        (table, findings)
    }
}

#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, item: &Item<'_>, what: impl Into<String>) {
        self.0.push(Violation { pk: item.pk.to_owned(), sk: item.sk.to_owned(), what: what.into() });
    }

    /// A number that must be there, whole and not negative.
    fn number(&mut self, item: &Item<'_>, name: &str) -> Option<u64> {
        let number = item.number(name);
        if number.is_none() {
            let found = &item.attributes[name];
            self.add(item, format!("{name} is {found}, and no whole number from 0 up"));
        }
        number
    }

    /// A text that must be this one.
    fn text(&mut self, item: &Item<'_>, name: &str, expected: &str) {
        let found = item.text(name);
        if found != expected {
            self.add(item, format!("{name} is {found:?}, not {expected:?}"));
        }
    }

    fn order(&mut self, id: &str, order: &Order<'_>) {
        let Some(head) = &order.head else {
            for part in order.lines.iter().chain(order.history.values()) {
                self.add(part, "belongs to an order that does not exist");
            }
            return;
        };
        let status = head.text("status");
        if !STATUSES.contains(&status) {
            self.add(head, format!("status is {status:?}"));
        }
        self.text(head, "gsi1pk", &format!("CUSTOMER#{}", head.text("customer_id")));
        self.text(head, "gsi1sk", id);
        self.text(head, "gsi2sk", id);
        let (collection, expected) = (head.text("gsi2pk"), format!("ORDERS#{status}#"));
        if collection.strip_prefix(&expected).is_none_or(|shard| shard.parse::<u32>().is_err()) {
            self.add(head, format!("gsi2pk is {collection:?}, not {expected:?} and a shard"));
        }
        self.lines(head, &order.lines);
        self.history(head, order.history.values());
    }

    /// I1: an order's total is the sum of its lines, and its count their number.
    fn lines(&mut self, head: &Item<'_>, lines: &[Item<'_>]) {
        let sums: Vec<_> = lines
            .iter()
            .map(|line| {
                let (quantity, price) = (self.number(line, "quantity"), self.number(line, "price"));
                if quantity.is_some_and(|quantity| !(1..=MAX_QUANTITY).contains(&quantity)) {
                    self.add(line, format!("quantity is {}, not 1 to {MAX_QUANTITY}", quantity.unwrap_or_default()));
                }
                Some(u128::from(quantity?) * u128::from(price?))
            })
            .collect();
        let (total, count) = (self.number(head, "total"), self.number(head, "item_count"));
        // Without all the numbers there is nothing to compare, and that has been said.
        if let (Some(total), Some(sum)) = (total, sums.into_iter().sum::<Option<u128>>())
            && u128::from(total) != sum
        {
            self.add(head, format!("total is {total}, but the lines come to {sum}"));
        }
        if count.is_some_and(|count| count != lines.len() as u64) {
            self.add(head, format!("item_count is {}, but there are {} lines", count.unwrap_or_default(), lines.len()));
        }
        if lines.len() > MAX_LINES {
            self.add(head, format!("has {} lines, more than {MAX_LINES}", lines.len()));
        }
    }

    /// The history leads from PENDING to the order's status without a gap.
    fn history<'i, 't: 'i>(&mut self, head: &Item<'_>, entries: impl Iterator<Item = &'i Item<'t>>) {
        let mut reached = "PENDING";
        for entry in entries {
            if entry.text("from") != reached {
                self.add(entry, format!("goes on from {:?}, but the order was {reached:?}", entry.text("from")));
            }
            reached = entry.text("to");
        }
        if head.text("status") != reached {
            self.add(head, format!("status is {:?}, but its history ends with {reached:?}", head.text("status")));
        }
    }

    /// I2: what is reserved of a product is what orders hold. I4: it has its name, and every name its product.
    fn products(&mut self, table: &Table<'_>) {
        let mut held: BTreeMap<(&str, u64), u128> = BTreeMap::new();
        for line in table.orders.values().filter(|order| order.holds_stock()).flat_map(|order| &order.lines) {
            let product_id = line.text("product_id");
            if !table.products.contains_key(product_id) {
                self.add(line, format!("holds product {product_id:?}, which does not exist"));
            }
            let shard = if line.attributes["shard"].is_null() { Some(0) } else { self.number(line, "shard") };
            let Some(shard) = shard else { continue };
            if shard > 0 && !table.shards.contains_key(&(product_id, shard)) {
                self.add(line, format!("holds pieces of shard {shard}, which does not exist"));
            }
            *held.entry((product_id, shard)).or_default() += u128::from(line.number("quantity").unwrap_or_default());
        }
        let own = table.products.iter().map(|(id, product)| ((*id, 0), product));
        for ((id, number), stock) in own.chain(table.shards.iter().map(|(key, shard)| (*key, shard))) {
            self.number(stock, "price");
            self.number(stock, "quantity");
            self.number(stock, "version");
            let held = held.get(&(id, number)).copied().unwrap_or_default();
            if let Some(reserved) = self.number(stock, "reserved").filter(|reserved| u128::from(*reserved) != held) {
                self.add(stock, format!("{reserved} are reserved, but orders hold {held}"));
            }
        }
        for ((id, _), shard) in &table.shards {
            match table.products.get(id) {
                None => self.add(shard, "belongs to a product that does not exist"),
                Some(product) if product.number("price") != shard.number("price") => {
                    self.add(shard, "has another price than its product");
                }
                Some(_) => {}
            }
        }
        for (id, product) in &table.products {
            if !product.attributes["stock_shards"].is_null()
                && let Some(shards) = self.number(product, "stock_shards")
            {
                for number in (1..shards).filter(|number| !table.shards.contains_key(&(*id, *number))) {
                    self.add(product, format!("has no shard {number}, but {shards} shards"));
                }
            }
            self.text(product, "gsi1pk", "PRODUCTS");
            let name = product.text("gsi1sk");
            if table.names.get(name).is_none_or(|owner| owner.text("product_id") != *id) {
                self.add(product, format!("does not own its name {name:?}"));
            }
        }
        for (name, owner) in &table.names {
            let product_id = owner.text("product_id");
            match table.products.get(product_id) {
                None => self.add(owner, format!("is owned by product {product_id:?}, which does not exist")),
                Some(product) if product.text("gsi1sk") != *name => {
                    self.add(owner, format!("is owned by product {product_id:?}, whose name is another"));
                }
                Some(_) => {}
            }
        }
    }

    /// I4: each user has one e-mail address and one username, and each of these its user, as every session has.
    fn users(&mut self, table: &Table<'_>) {
        for (owners, what) in [(&table.emails, "e-mail address"), (&table.usernames, "username")] {
            let mut served = BTreeSet::new();
            for owner in owners {
                let user_id = owner.text("user_id");
                if !table.users.contains_key(user_id) {
                    self.add(owner, format!("is owned by user {user_id:?}, who does not exist"));
                } else if !served.insert(user_id) {
                    self.add(owner, format!("is owned by user {user_id:?}, who has another {what}"));
                }
            }
            for (_, user) in table.users.iter().filter(|(id, _)| !served.contains(*id)) {
                self.add(user, format!("owns no {what}"));
            }
        }
        for session in table.sessions.iter().filter(|session| !table.users.contains_key(session.id())) {
            self.add(session, "belongs to a user who does not exist");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    /// Items in the order of their keys, written as plain JSON.
    struct Hand(BTreeMap<String, Map<String, Value>>);

    impl Hand {
        /// A table in which everything is as it should be.
        fn sound() -> Self {
            let mut items = Self(BTreeMap::new());
            items
                .put(
                    "PRODUCT#p",
                    "PRODUCT",
                    json!({"price": 250, "quantity": 5, "reserved": 3, "version": 1, "gsi1pk": "PRODUCTS", "gsi1sk": "pen"}),
                )
                .put("PRODUCT_NAME#pen", "OWNER", json!({"product_id": "p"}))
                .put(
                    "PRODUCT#q",
                    "PRODUCT",
                    json!({"price": 0, "quantity": 0, "reserved": 0, "version": 1, "gsi1pk": "PRODUCTS", "gsi1sk": "a#b"}),
                )
                .put("PRODUCT_NAME#a#b", "OWNER", json!({"product_id": "q"}))
                .order("new", "PENDING", 500, 2)
                .put("ORDER#new", "ITEM#1", json!({"product_id": "p", "quantity": 1, "price": 300}))
                .put("ORDER#new", "ITEM#2", json!({"product_id": "p", "quantity": 2, "price": 100}))
                .order("empty", "PENDING", 0, 0)
                // Spread over two items, and a third that is not taken from any more.
                .put(
                    "PRODUCT#s",
                    "PRODUCT",
                    json!({
                        "price": 10, "quantity": 5, "reserved": 1, "version": 4, "stock_shards": 2,
                        "gsi1pk": "PRODUCTS", "gsi1sk": "set",
                    }),
                )
                .put("PRODUCT_NAME#set", "OWNER", json!({"product_id": "s"}))
                .put("PRODUCT#s", "STOCK#01", json!({"price": 10, "quantity": 6, "reserved": 0, "version": 0}))
                .put("PRODUCT#s", "STOCK#02", json!({"price": 10, "quantity": 0, "reserved": 2, "version": 3}))
                .order("spread", "CONFIRMED", 30, 2)
                .put("ORDER#spread", "HISTORY#0000000002", json!({"from": "PENDING", "to": "CONFIRMED"}))
                .put("ORDER#spread", "ITEM#1", json!({"product_id": "s", "quantity": 1, "price": 10}))
                .put("ORDER#spread", "ITEM#2", json!({"product_id": "s", "quantity": 2, "price": 10, "shard": 2}))
                // Its product is gone, and may be.
                .order("sent", "SHIPPED", 90, 1)
                .put("ORDER#sent", "ITEM#1", json!({"product_id": "gone", "quantity": 9, "price": 10}))
                .put("ORDER#sent", "HISTORY#0000000002", json!({"from": "PENDING", "to": "CONFIRMED"}))
                .put("ORDER#sent", "HISTORY#0000000010", json!({"from": "CONFIRMED", "to": "SHIPPED"}))
                .put("USER#u", "USER", json!({"email": "Ada@example.com", "username": "Ada"}))
                .put("USER#u", "SESSION#s", json!({"counter": 1}))
                .put("EMAIL#ada@example.com", "OWNER", json!({"user_id": "u"}))
                .put("EMAIL#ada@example.com", "ATTEMPTS", json!({"failures": 1}))
                .put("EMAIL#nobody@example.com", "ATTEMPTS", json!({"failures": 1}))
                .put("USERNAME#ada", "OWNER", json!({"user_id": "u"}))
                .put("IDEMPOTENCY#u#key", "IDEMPOTENCY", json!({"answer": "{}"}));
            items
        }

        fn put(&mut self, pk: &str, sk: &str, attributes: Value) -> &mut Self {
            let item = self.0.entry(format!("{pk} {sk}")).or_default();
            item.extend([("pk".to_owned(), json!({"S": pk})), ("sk".to_owned(), json!({"S": sk}))]);
            for (name, value) in attributes.as_object().unwrap() {
                let attribute = match value {
                    Value::String(text) => json!({"S": text}),
                    number => json!({"N": number.to_string()}),
                };
                item.insert(name.clone(), attribute);
            }
            self
        }

        fn order(&mut self, id: &str, status: &str, total: i64, item_count: i64) -> &mut Self {
            self.put(
                &format!("ORDER#{id}"),
                "ORDER",
                json!({
                    "customer_id": "u", "status": status, "total": total, "item_count": item_count,
                    "gsi1pk": "CUSTOMER#u", "gsi1sk": id, "gsi2pk": format!("ORDERS#{status}#0"), "gsi2sk": id,
                }),
            )
        }

        fn without(&mut self, key: &str) -> &mut Self {
            assert!(self.0.remove(key).is_some(), "{key}");
            self
        }

        fn violations(&self) -> Vec<String> {
            let items: Vec<_> = self.0.values().cloned().map(Value::from).collect();
            check(&items).iter().map(Violation::to_string).collect()
        }
    }

    #[test]
    fn a_sound_table_has_no_violation() {
        assert_eq!(Hand::sound().violations(), [] as [&str; 0]);
        assert_eq!(check(&[]), []);
    }

    type Tampering = fn(&mut Hand) -> &mut Hand;

    #[test]
    fn every_violation_is_named() {
        let cases: [(Tampering, &[&str]); 40] = [
            (
                |t| t.put("ORDER#new", "ORDER", json!({"total": 501})),
                &["ORDER#new ORDER: total is 501, but the lines come to 500"],
            ),
            (
                |t| t.put("ORDER#new", "ORDER", json!({"item_count": 1})),
                &["ORDER#new ORDER: item_count is 1, but there are 2 lines"],
            ),
            (
                |t| t.without("ORDER#new ITEM#1"),
                &[
                    "ORDER#new ORDER: item_count is 2, but there are 1 lines",
                    "ORDER#new ORDER: total is 500, but the lines come to 200",
                    "PRODUCT#p PRODUCT: 3 are reserved, but orders hold 2",
                ],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"reserved": 4})),
                &["PRODUCT#p PRODUCT: 4 are reserved, but orders hold 3"],
            ),
            (
                |t| t.put("PRODUCT#q", "PRODUCT", json!({"reserved": 1})),
                &["PRODUCT#q PRODUCT: 1 are reserved, but orders hold 0"],
            ),
            (
                |t| t.put("ORDER#new", "ITEM#1", json!({"product_id": "gone"})),
                &[
                    "ORDER#new ITEM#1: holds product \"gone\", which does not exist",
                    "PRODUCT#p PRODUCT: 3 are reserved, but orders hold 2",
                ],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"quantity": -1})),
                &["PRODUCT#p PRODUCT: quantity is {\"N\":\"-1\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"reserved": -3})),
                &["PRODUCT#p PRODUCT: reserved is {\"N\":\"-3\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"price": 2.5})),
                &["PRODUCT#p PRODUCT: price is {\"N\":\"2.5\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"price": "250"})),
                &["PRODUCT#p PRODUCT: price is {\"S\":\"250\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.order("empty", "PENDING", -1, 0),
                &["ORDER#empty ORDER: total is {\"N\":\"-1\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.order("empty", "PENDING", 0, -1),
                &["ORDER#empty ORDER: item_count is {\"N\":\"-1\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("ORDER#sent", "ITEM#1", json!({"price": -10})),
                &["ORDER#sent ITEM#1: price is {\"N\":\"-10\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("ORDER#sent", "ITEM#1", json!({"quantity": 0})).put("ORDER#sent", "ORDER", json!({"total": 0})),
                &["ORDER#sent ITEM#1: quantity is 0, not 1 to 10000"],
            ),
            (
                |t| {
                    t.put("ORDER#sent", "ITEM#1", json!({"quantity": 10_001})).put(
                        "ORDER#sent",
                        "ORDER",
                        json!({"total": 100_010}),
                    )
                },
                &["ORDER#sent ITEM#1: quantity is 10001, not 1 to 10000"],
            ),
            (
                |t| {
                    for line in 0..41 {
                        t.put("ORDER#empty", &format!("ITEM#{line}"), json!({"product_id": "q", "quantity": 1, "price": 1}));
                    }
                    t.order("empty", "PENDING", 41, 41).put("PRODUCT#q", "PRODUCT", json!({"reserved": 41}))
                },
                &["ORDER#empty ORDER: has 41 lines, more than 40"],
            ),
            (
                |t| t.put("PRODUCT#s", "STOCK#02", json!({"price": 11, "reserved": 1})),
                &[
                    "PRODUCT#s STOCK#02: 1 are reserved, but orders hold 2",
                    "PRODUCT#s STOCK#02: has another price than its product",
                ],
            ),
            (
                |t| t.put("PRODUCT#s", "STOCK#01", json!({"quantity": -1})),
                &["PRODUCT#s STOCK#01: quantity is {\"N\":\"-1\"}, and no whole number from 0 up"],
            ),
            (|t| t.without("PRODUCT#s STOCK#01"), &["PRODUCT#s PRODUCT: has no shard 1, but 2 shards"]),
            (|t| t.without("PRODUCT#s STOCK#02"), &["ORDER#spread ITEM#2: holds pieces of shard 2, which does not exist"]),
            (
                |t| t.put("PRODUCT#gone", "STOCK#01", json!({"price": 1, "quantity": 0, "reserved": 0, "version": 0})),
                &["PRODUCT#gone STOCK#01: belongs to a product that does not exist"],
            ),
            (|t| t.put("PRODUCT#s", "STOCK#x", json!({})), &["PRODUCT#s STOCK#x: is no shard from 1 up"]),
            (|t| t.without("PRODUCT_NAME#pen OWNER"), &["PRODUCT#p PRODUCT: does not own its name \"pen\""]),
            (
                |t| t.put("PRODUCT_NAME#pen", "OWNER", json!({"product_id": "q"})),
                &[
                    "PRODUCT#p PRODUCT: does not own its name \"pen\"",
                    "PRODUCT_NAME#pen OWNER: is owned by product \"q\", whose name is another",
                ],
            ),
            (
                |t| t.put("PRODUCT_NAME#old", "OWNER", json!({"product_id": "p"})),
                &["PRODUCT_NAME#old OWNER: is owned by product \"p\", whose name is another"],
            ),
            (|t| t.without("PRODUCT#q PRODUCT"), &["PRODUCT_NAME#a#b OWNER: is owned by product \"q\", which does not exist"]),
            (|t| t.without("EMAIL#ada@example.com OWNER"), &["USER#u USER: owns no e-mail address"]),
            (|t| t.without("USERNAME#ada OWNER"), &["USER#u USER: owns no username"]),
            (
                |t| t.put("EMAIL#eve@example.com", "OWNER", json!({"user_id": "u"})),
                &["EMAIL#eve@example.com OWNER: is owned by user \"u\", who has another e-mail address"],
            ),
            (
                |t| t.put("USERNAME#eve", "OWNER", json!({"user_id": "gone"})),
                &["USERNAME#eve OWNER: is owned by user \"gone\", who does not exist"],
            ),
            (
                |t| t.without("USER#u USER"),
                &[
                    "EMAIL#ada@example.com OWNER: is owned by user \"u\", who does not exist",
                    "USER#u SESSION#s: belongs to a user who does not exist",
                    "USERNAME#ada OWNER: is owned by user \"u\", who does not exist",
                ],
            ),
            (
                |t| t.without("ORDER#sent ORDER"),
                &[
                    "ORDER#sent HISTORY#0000000002: belongs to an order that does not exist",
                    "ORDER#sent HISTORY#0000000010: belongs to an order that does not exist",
                    "ORDER#sent ITEM#1: belongs to an order that does not exist",
                ],
            ),
            (
                |t| t.put("ORDER#new", "ORDER", json!({"gsi1pk": "CUSTOMER#v", "gsi1sk": "old", "gsi2sk": "older"})),
                &[
                    "ORDER#new ORDER: gsi1pk is \"CUSTOMER#v\", not \"CUSTOMER#u\"",
                    "ORDER#new ORDER: gsi1sk is \"old\", not \"new\"",
                    "ORDER#new ORDER: gsi2sk is \"older\", not \"new\"",
                ],
            ),
            (
                |t| t.put("ORDER#sent", "ORDER", json!({"gsi2pk": "ORDERS#CONFIRMED#0"})),
                &["ORDER#sent ORDER: gsi2pk is \"ORDERS#CONFIRMED#0\", not \"ORDERS#SHIPPED#\" and a shard"],
            ),
            (
                |t| t.put("ORDER#sent", "ORDER", json!({"gsi2pk": "ORDERS#SHIPPED#x"})),
                &["ORDER#sent ORDER: gsi2pk is \"ORDERS#SHIPPED#x\", not \"ORDERS#SHIPPED#\" and a shard"],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"gsi1pk": "PRODUCT"})),
                &["PRODUCT#p PRODUCT: gsi1pk is \"PRODUCT\", not \"PRODUCTS\""],
            ),
            (
                |t| t.order("empty", "LOST", 0, 0),
                &[
                    "ORDER#empty ORDER: status is \"LOST\"",
                    "ORDER#empty ORDER: status is \"LOST\", but its history ends with \"PENDING\"",
                ],
            ),
            (
                |t| t.without("ORDER#sent HISTORY#0000000010"),
                &["ORDER#sent ORDER: status is \"SHIPPED\", but its history ends with \"CONFIRMED\""],
            ),
            (
                |t| t.without("ORDER#sent HISTORY#0000000002"),
                &["ORDER#sent HISTORY#0000000010: goes on from \"CONFIRMED\", but the order was \"PENDING\""],
            ),
            (
                |t| t.put("CART#c", "CART", json!({})).put("PRODUCT#p", "OWNER", json!({})),
                &[
                    "CART#c CART: is no kind of item that this table has",
                    "PRODUCT#p OWNER: is no kind of item that this table has",
                ],
            ),
        ];
        for (tamper, expected) in cases {
            let mut table = Hand::sound();
            tamper(&mut table);
            assert_eq!(table.violations(), expected);
        }
    }

    #[test]
    fn a_report_counts() {
        let wrong = || Violation { pk: "A".into(), sk: "B".into(), what: "is wrong".into() };
        for (violations, expected) in [
            (vec![], "5 items, no violation"),
            (vec![wrong()], "A B: is wrong\n5 items, 1 violation"),
            (vec![wrong(), wrong()], "A B: is wrong\nA B: is wrong\n5 items, 2 violations"),
        ] {
            assert_eq!(Report { items: 5, violations }.to_string(), expected);
        }
    }
}
