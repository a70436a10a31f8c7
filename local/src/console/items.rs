//! What is in the table, as people know it: lists of each entity, and pages about a product, an order and a user.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::store::schema::{self, ItemKind};

use super::links::Links;
use super::stored::{attributes, id_of, kind_of, text, with_id};

/// What the page calls items of no kind.
const OTHERS: &str = "Others";

/// How many rows of a list are told.
const SHOWN: usize = 200;

/// How much there is of a product, in the words of its books.
const PIECES: [&str; 4] = ["quantity", "reserved", "shipped", "received"];

/// Whose pieces are still held, and whose have left.
const HOLDING: [&str; 2] = ["PENDING", "CONFIRMED"];
const SOLD: [&str; 2] = ["SHIPPED", "DELIVERED"];

/// What of a list is wanted.
#[derive(Debug, Default)]
pub struct Wanted {
    pub entity: String,
    /// Part of any text or id of a row, or of the name of what it names.
    pub search: String,
    /// An attribute; without one, the newest come first, or names in their own order.
    pub sort: Option<String>,
    pub descending: bool,
    /// As it is stored, with all attributes and keys.
    pub stored: bool,
}

/// How many items there are of each entity, and the rows of one of them.
pub fn list(items: &[Value], wanted: &Wanted) -> Value {
    let of_kinds: Vec<_> = items.iter().map(|item| (kind_of(item), item)).collect();
    let kinds: Vec<_> = schema::KINDS.into_iter().map(Some).chain([None]).collect();
    let name = |kind: Option<&'static ItemKind>| kind.map_or(OTHERS, |kind| kind.plural);
    let of = |kind| of_kinds.iter().filter(move |(its, _)| *its == kind).map(|(_, item)| *item);
    let counts: Vec<_> = kinds.iter().map(|kind| json!({"name": name(*kind), "count": of(*kind).count()})).collect();
    let Some(kind) = kinds.into_iter().find(|kind| name(*kind) == wanted.entity) else {
        return json!({"entities": counts});
    };
    let mut stock: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for shard in of(Some(&schema::STOCK)).filter(|_| kind == Some(&schema::PRODUCT)) {
        stock.entry(text(shard, "pk")).or_default().push(shard);
    }
    let shown = |item: &Value| match kind {
        Some(kind) if !wanted.stored => {
            let mut row = row(item, kind);
            if let Some(its) = stock.get(text(item, "pk")) {
                row.extend(pieces(its).into_iter().map(|(name, count)| (name.to_owned(), count.into())));
            }
            row.into()
        }
        _ => attributes(item),
    };
    let links = Links::of(items);
    let needle = wanted.search.trim().to_lowercase();
    let mut rows: Vec<_> = of(kind).map(shown).filter(|row| needle.is_empty() || mentions(row, &needle, &links)).collect();
    let key = |row: &Value| {
        let text = |names: [&str; 2]| names.iter().find_map(|name| row[name].as_str()).unwrap_or_default().to_owned();
        (text(["id", "pk"]), text(["part", "sk"]))
    };
    match &wanted.sort {
        Some(by) => rows.sort_by(|a, b| compare(&a[by], &b[by], &links).then_with(|| key(a).cmp(&key(b)))),
        // Ids begin with their time; names have none.
        None => rows.sort_by_key(key),
    }
    let newest_first = wanted.sort.is_none() && kind.is_some_and(|kind| kind.naming.is_none());
    if newest_first != wanted.descending {
        rows.reverse();
    }
    let found = rows.len();
    rows.truncate(SHOWN);
    links.beside(json!({"entities": counts, "entity": wanted.entity, "found": found, "rows": rows}))
}

/// An item as a row of a list: with its id, and without what only DynamoDB needs or what has no room in a row.
fn row(item: &Value, kind: &'static ItemKind) -> Map<String, Value> {
    let Value::Object(mut row) = attributes(item) else { return Map::new() };
    row.retain(|name, _| !["pk", "sk", "gsi1pk", "gsi1sk", "gsi2pk", "gsi2sk"].contains(&name.as_str()));
    row.insert("id".into(), kind.pk.part(text(item, "pk")).into());
    let part = kind.sk.part(text(item, "sk")).unwrap_or_default();
    if !part.is_empty() {
        row.insert("part".into(), part.into());
    }
    if kind == &schema::ORDER {
        // Its own page shows them.
        row.retain(|name, _| !["lines", "history", "metadata"].contains(&name.as_str()));
    }
    row
}

/// What the books of all shards say together.
fn pieces(stock: &[&Value]) -> [(&'static str, i64); 4] {
    let count = |shard: &Value, name: &str| shard[name]["N"].as_str().and_then(|count| count.parse::<i64>().ok());
    PIECES.map(|name| (name, stock.iter().filter_map(|shard| count(shard, name)).sum()))
}

fn mentions(value: &Value, needle: &str, links: &Links) -> bool {
    let named = |text: &str| links.name(text).is_some_and(|name| name.to_lowercase().contains(needle));
    match value {
        Value::String(text) => text.to_lowercase().contains(needle) || named(text),
        Value::Array(list) => list.iter().any(|value| mentions(value, needle, links)),
        Value::Object(members) => members.values().any(|value| mentions(value, needle, links)),
        _ => false,
    }
}

/// Numbers by their size, ids by the names that they stand for, and what is not there first.
fn compare(a: &Value, b: &Value, links: &Links) -> Ordering {
    let shown = |value: &Value| {
        let text = value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned);
        links.name(&text).unwrap_or(&text).to_lowercase()
    };
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => shown(a).cmp(&shown(b)),
    }
}

/// A product with its books: how many of its pieces are where, in all and by shard, the orders that have some, and the movements,
/// newest first. Movements stay when it goes.
pub fn product(items: &[Value], id: &str) -> Option<Value> {
    let product = with_id(items, &schema::PRODUCT, id).first().map(|item| attributes(item));
    let stock = with_id(items, &schema::STOCK, id);
    let movements = with_id(items, &schema::MOVEMENT, id);
    if product.is_none() && stock.is_empty() && movements.is_empty() {
        return None;
    }
    let shard = |item: &&Value| {
        let mut shard = attributes(item);
        shard["shard"] = schema::STOCK.sk.part(text(item, "sk")).into();
        shard
    };
    let of_product = |line: &&Value| line["product_id"] == id;
    let mut orders: Vec<_> = items.iter().filter_map(|item| Some((id_of(item, &schema::ORDER)?, attributes(item)))).collect();
    orders.sort_by(|(a, _), (b, _)| b.cmp(a));
    let orders = orders.iter().filter_map(|(order_id, order)| {
        let lines = order["lines"].as_object()?.values().filter(of_product);
        let quantity: i64 = lines.filter_map(|line| line["quantity"].as_i64()).sum();
        let status = order["status"].as_str().unwrap_or_default();
        let holds = [("reserved", HOLDING), ("sold", SOLD)].into_iter().find(|(_, statuses)| statuses.contains(&status));
        let (pieces, _) = holds.filter(|_| quantity > 0)?;
        let (customer, at) = (&order["customer_id"], &order["updated_at"]);
        Some(json!({"order_id": order_id, "status": status, "customer_id": customer, "updated_at": at, "quantity": quantity, "pieces": pieces}))
    });
    let answer = json!({
        "product": product,
        "pieces": pieces(&stock).into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect::<Map<_, _>>(),
        "stock": stock.iter().map(shard).collect::<Vec<_>>(),
        "orders": orders.collect::<Vec<_>>(),
        "movements": movements.iter().rev().map(|item| attributes(item)).collect::<Vec<_>>(),
    });
    Some(Links::of(items).beside(answer))
}

/// An order, with the requests that were about it.
pub fn order(items: &[Value], id: &str, requests: &[Value]) -> Option<Value> {
    let order = attributes(with_id(items, &schema::ORDER, id).first()?);
    Some(Links::of(items).beside(json!({"order": order, "requests": requests})))
}

/// An account with its orders, newest first.
pub fn user(items: &[Value], id: &str) -> Option<Value> {
    let user = attributes(with_id(items, &schema::USER, id).first()?);
    let its = |item: &&Value| item["customer_id"]["S"] == id && kind_of(item) == Some(&schema::ORDER);
    let mut orders: Vec<_> = items.iter().filter(its).map(|item| Value::from(row(item, &schema::ORDER))).collect();
    orders.sort_by_key(|order| std::cmp::Reverse(order["id"].as_str().unwrap_or_default().to_owned()));
    Some(Links::of(items).beside(json!({"user": user, "orders": orders})))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pk: &str, sk: &str) -> Value {
        json!({"pk": {"S": pk}, "sk": {"S": sk}})
    }

    fn with(mut item: Value, attributes: &[(&str, Value)]) -> Value {
        for (name, value) in attributes {
            item[name] = value.clone();
        }
        item
    }

    fn number(number: i64) -> Value {
        json!({"N": number.to_string()})
    }

    fn ids(told: &Value) -> Vec<&str> {
        told["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
    }

    fn order_of(id: &str, customer: &str, status: &str, total: i64, lines: &[(&str, i64)]) -> Value {
        let lines = lines.iter().enumerate().map(|(number_of, (product, quantity))| {
            (number_of.to_string(), json!({"M": {"product_id": {"S": product}, "quantity": number(*quantity)}}))
        });
        with(
            key(&format!("ORDER#{id}"), "ORDER"),
            &[
                ("gsi1pk", json!({"S": "CUSTOMER#1"})),
                ("customer_id", json!({"S": customer})),
                ("status", json!({"S": status})),
                ("total", number(total)),
                ("lines", json!({"M": lines.collect::<Map<_, _>>()})),
                ("history", json!({"M": {}})),
            ],
        )
    }

    fn shop() -> Vec<Value> {
        let stock = |shard: &str, counts: [i64; 4]| {
            with(
                key("PRODUCT#p", shard),
                &PIECES.iter().zip(counts).map(|(name, count)| (*name, number(count))).collect::<Vec<_>>(),
            )
        };
        vec![
            with(key("PRODUCT#p", "PRODUCT"), &[("name", json!({"S": "Lamp"})), ("price", number(1250))]),
            stock("STOCK#01", [3, 2, 0, 5]),
            stock("STOCK#00", [4, 1, 2, 7]),
            with(key("USER#u", "USER"), &[("username", json!({"S": "Ada"}))]),
            with(key("USER#v", "USER"), &[("username", json!({"S": "Bob"}))]),
            order_of("1", "u", "PENDING", 900, &[("p", 2), ("q", 9), ("p", 1)]),
            order_of("2", "v", "SHIPPED", 4000, &[("p", 2)]),
            order_of("3", "u", "CANCELLED", 70, &[("p", 5)]),
            key("MOVEMENTS#p", "a"),
            key("MOVEMENTS#p", "b"),
            key("MOVEMENTS#gone", "c"),
            key("EMAIL#b", "OWNER"),
            key("EMAIL#a", "OWNER"),
            key("ORDER#2", "ITEM#7"),
        ]
    }

    fn listed(entity: &str, change: impl FnOnce(&mut Wanted)) -> Value {
        let mut wanted = Wanted { entity: entity.into(), ..Wanted::default() };
        change(&mut wanted);
        list(&shop(), &wanted)
    }

    #[test]
    fn lists_show_what_people_know() {
        let products = listed("Products", |_| ());
        let lamp = json!({"id": "p", "name": "Lamp", "price": 1250, "quantity": 7, "reserved": 3, "shipped": 2, "received": 12});
        assert_eq!(products["rows"], json!([lamp]));
        let counted: Vec<_> = products["entities"].as_array().unwrap().iter().filter(|entity| entity["count"] != 0).collect();
        let counts: Vec<_> =
            counted.iter().map(|entity| (entity["name"].as_str().unwrap(), entity["count"].as_u64().unwrap())).collect();
        let expected =
            [("Products", 1), ("Stock", 2), ("Movements", 3), ("Orders", 3), ("Users", 2), ("E-mail addresses", 2), (OTHERS, 1)];
        assert_eq!(counts, expected);

        let orders = listed("Orders", |_| ());
        let first = json!({"id": "3", "customer_id": "u", "status": "CANCELLED", "total": 70});
        assert_eq!((ids(&orders), &orders["rows"][0]), (vec!["3", "2", "1"], &first));
        assert_eq!(ids(&listed("E-mail addresses", |_| ())), ["a", "b"]);
        assert_eq!(listed("Movements", |_| ())["rows"][0], json!({"id": "p", "part": "b"}));
        assert_eq!(listed(OTHERS, |_| ())["rows"], json!([{"pk": "ORDER#2", "sk": "ITEM#7"}]));
        assert_eq!(listed("Users", |wanted| wanted.stored = true)["rows"][0]["pk"], "USER#v");
        assert_eq!(listed("None such", |_| ()).get("rows"), None);
    }

    #[test]
    fn lists_are_searched_and_sorted() {
        let orders = |change: fn(&mut Wanted)| listed("Orders", change);
        assert_eq!(ids(&orders(|wanted| wanted.search = " SHIPped".into())), ["2"]);
        assert_eq!(ids(&orders(|wanted| wanted.search = "ada".into())), ["3", "1"], "by the customer's name");
        assert_eq!(orders(|wanted| wanted.search = "nobody".into())["found"], 0);
        assert_eq!(ids(&orders(|wanted| wanted.sort = Some("total".into()))), ["3", "1", "2"]);
        let down = |wanted: &mut Wanted| {
            wanted.sort = Some("customer_id".into());
            wanted.descending = true;
        };
        assert_eq!(ids(&orders(down)), ["2", "3", "1"]);
        assert_eq!(ids(&orders(|wanted| wanted.descending = true)), ["1", "2", "3"]);
    }

    #[test]
    fn a_product_has_its_books() {
        let told = product(&shop(), "p").unwrap();
        assert_eq!(told["product"]["name"], "Lamp");
        assert_eq!(told["pieces"], json!({"quantity": 7, "reserved": 3, "shipped": 2, "received": 12}));
        let shards: Vec<_> = told["stock"].as_array().unwrap().iter().map(|shard| &shard["shard"]).collect();
        let orders: Vec<_> = told["orders"]
            .as_array()
            .unwrap()
            .iter()
            .map(|order| (&order["order_id"], &order["quantity"], &order["pieces"]))
            .collect();
        let (two, three) = (json!(2), json!(3));
        assert_eq!(shards, ["00", "01"]);
        assert_eq!(orders, [(&json!("2"), &two, &json!("sold")), (&json!("1"), &three, &json!("reserved"))]);
        assert_eq!(told["movements"], json!([{"pk": "MOVEMENTS#p", "sk": "b"}, {"pk": "MOVEMENTS#p", "sk": "a"}]));
        let gone = product(&shop(), "gone").unwrap();
        assert_eq!((&gone["product"], &gone["movements"][0]["sk"]), (&Value::Null, &json!("c")));
        assert_eq!(product(&shop(), "none"), None);
    }

    #[test]
    fn orders_and_users_have_pages() {
        let told = order(&shop(), "1", &[json!({"request_id": "r"})]).unwrap();
        assert_eq!((&told["order"]["status"], &told["requests"][0]["request_id"]), (&json!("PENDING"), &json!("r")));
        assert_eq!(order(&shop(), "11", &[]), None);
        let told = user(&shop(), "u").unwrap();
        let orders: Vec<_> = told["orders"].as_array().unwrap().iter().map(|order| &order["id"]).collect();
        assert_eq!(told["user"]["username"], "Ada");
        assert_eq!(orders, ["3", "1"]);
        assert_eq!(user(&shop(), "w"), None);
    }
}
