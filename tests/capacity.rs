//! What each route asks of DynamoDB, and what it costs there: the table in ARCHITECTURE.md.

use std::{collections::BTreeMap, fmt::Write, future::Future};

use serde_json::{Value, json};

use crate::{
    app::{Answer, Order, PASSWORD, Product, TestApp, account, line, lines},
    bodies::by_username,
};

const HEAD: &str = "\
| request | calls | read units | least | write units | least |
|---|---|---|---|---|---|
";

/// Items that a write looks at and leaves as they are: a login wipes away failures, of which there are none, from its address and
/// in all, and makes sure that the user and the password are still those that were read; an order makes sure that its customer is there.
const UNCHANGED: &[(&str, usize)] = &[("log in", 4), ("create order, empty", 1), ("create order, 2 lines", 1)];

/// Rows of the table.
struct Book<'a> {
    app: &'a TestApp,
    table: String,
}

impl Book<'_> {
    /// Notes what a request costs, and the least that the same effect could cost: reads that need not see every write before
    /// them, of `reads` things; and writes that are not in a transaction. `°`: the route is open, no authorizer has read.
    #[expect(clippy::float_cmp, reason = "halves are exact")]
    async fn row(&mut self, request: &str, reads: u32, asked: impl Future<Output = Answer>) -> Answer {
        let before = self.app.items().await;
        let answer = asked.await;
        assert!(answer.status < 300, "{request}: {answer:?}");
        let after = self.app.items().await;
        let record = self.app.shop().request(answer.header("apigw-requestid")).expect("a record");
        let (name, authorizer) = request.strip_suffix('°').map_or((request, 1), |name| (name, 0));
        let operations = &record.operations[authorizer..];
        let read_units = record.read_units - if authorizer == 1 { 1.0 } else { 0.0 };

        // Everything here is small: half a unit to read, one to write, and one for each entry of an index that changes.
        let least_read = f64::from(reads) / 2.0;
        let (items, entries) = (changes(&before, &after, "pk", "sk"), entries(&before, &after));
        let unchanged = UNCHANGED.iter().find(|(its, _)| *its == name).map_or(0, |(_, items)| *items);
        let factor = if operations.iter().any(|operation| operation == "TransactWriteItems") { 2 } else { 1 };
        assert_eq!(record.write_units, number(factor * (items + unchanged) + entries), "{name}: a write unit without a reason");
        let strong = !name.starts_with("list");
        assert_eq!(read_units, if strong { 2.0 * least_read } else { least_read }, "{name}: a read unit without a reason");

        let (calls, writes, least_write) = (operations.join(", "), record.write_units, items + entries);
        writeln!(self.table, "| {name} | {calls} | {read_units} | {least_read} | {writes} | {least_write} |").unwrap();
        answer
    }
}

fn number(units: usize) -> f64 {
    u32::try_from(units).unwrap().into()
}

/// Writes that it takes to change the one collection into the other: a changed key is two.
fn changes(before: &[Value], after: &[Value], pk: &str, sk: &str) -> usize {
    let keyed = |items: &[Value]| -> BTreeMap<String, Value> {
        let there = items.iter().filter(|item| item[pk].is_object());
        there.map(|item| (format!("{} {} {} {}", item[pk], item[sk], item["pk"], item["sk"]), item.clone())).collect()
    };
    let (before, after) = (keyed(before), keyed(after));
    let gone = before.keys().filter(|key| !after.contains_key(*key)).count();
    gone + after.iter().filter(|(key, item)| before.get(*key) != Some(item)).count()
}

fn entries(before: &[Value], after: &[Value]) -> usize {
    changes(before, after, "gsi1pk", "gsi1sk") + changes(before, after, "gsi2pk", "gsi2sk")
}

#[tokio::test]
async fn the_architecture_tells_what_each_route_costs() {
    if std::env::var("DYNAMODB_URL").is_ok() {
        println!("skipped: the figures are those of the embedded DynamoDB");
        return;
    }
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada, anyone) = (app.admin().await, app.customer("ada").await, app.anyone());
    let (pen, ink) = (admin.product("Pen", 100).await, admin.product("Ink", 100).await);
    // The authorizer knows the keys from now on.
    assert_eq!(ada.get("/auth/me").await.status, 200);
    let mut book = Book { app: &app, table: HEAD.to_owned() };

    book.row("list 2 products°", 2, anyone.get("/products")).await;
    book.row("get product°", 1, anyone.get(&pen)).await;
    let nib = Product::draft("Nib").json();
    let created = book.row("create product", 0, admin.post("/products", nib)).await;
    let nib = created.header("location");
    book.row("update product", 1, admin.put(nib, json!({"price": 2}))).await;
    book.row("rename product", 1, admin.put(nib, json!({"name": "Nibs"}))).await;
    book.row("delete product", 1, admin.delete(nib)).await;

    book.row("create order, empty", 0, ada.post("/orders", json!({}))).await;
    let placed = book.row("create order, 2 lines", 2, ada.post("/orders", lines([(&pen, 1), (&ink, 1)]))).await;
    let order = Order { path: placed.header("location").to_owned() };
    let added = book.row("add line", 2, ada.post(order.items(), line(&pen, 1))).await;
    book.row("change line", 1, ada.put(order.item(&added), json!({"quantity": 2}))).await;
    book.row("remove line", 1, ada.delete(order.item(&added))).await;
    book.row("get order, 2 lines", 1, ada.get(&order)).await;
    book.row("list own orders", 1, ada.get("/orders")).await;
    book.row("list all orders", 6, admin.get("/orders")).await;
    book.row("confirm order, 2 lines", 1, ada.put(&order, json!({"status": "CONFIRMED"}))).await;
    book.row("ship order, 2 lines", 1, admin.put(&order, json!({"status": "SHIPPED"}))).await;
    book.row("deliver order, 2 lines", 1, admin.put(&order, json!({"status": "DELIVERED"}))).await;
    let other = ada.order([(&pen, 1), (&ink, 1)]).await;
    book.row("cancel order, 2 lines", 1, ada.put(&other, json!({"status": "CANCELLED"}))).await;
    let other = ada.order([(&pen, 1), (&ink, 1)]).await;
    book.row("delete order, 2 lines", 1, ada.delete(&other)).await;

    book.row("register°", 0, anyone.post("/auth/register", account("bob").json())).await;
    let credentials = by_username("bob", PASSWORD);
    let login = book.row("log in°", 7, anyone.post("/auth/login", credentials)).await;
    let bob = app.holder_of(&login);
    book.row("me", 1, bob.get("/auth/me")).await;
    book.row("refresh°", 3, bob.refresh()).await;
    book.row("log out", 0, bob.post("/auth/logout", json!({}))).await;

    let architecture = std::fs::read_to_string(crate::app::workspace().join("ARCHITECTURE.md")).unwrap();
    assert!(architecture.contains(&book.table), "ARCHITECTURE.md should contain this table:\n{}", book.table);
}

/// Write units of a request that succeeds.
fn units(app: &TestApp, answer: &Answer) -> f64 {
    assert!(answer.status < 300, "{answer:?}");
    app.shop().request(answer.header("apigw-requestid")).expect("a record").write_units
}

#[tokio::test]
async fn an_order_costs_what_its_lines_do_however_long_the_texts_are() {
    if std::env::var("DYNAMODB_URL").is_ok() {
        println!("skipped: the figures are those of the embedded DynamoDB");
        return;
    }
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let mut lives = Vec::new();
    for (description, key) in [("short", false), (&*"long ".repeat(399), false), ("short", true)] {
        let mut products = Vec::new();
        for name in ["Pen", "Ink"] {
            let body = Product::draft(crate::app::unique(name)).description(description).quantity(100).json();
            products.push(Product::of(&admin.post("/products", body).await));
        }
        let mut request = ada.request(reqwest::Method::POST, "/orders").json(&lines(products.iter().map(|product| (product, 2))));
        if key {
            request = request.header("idempotency-key", "key");
        }
        let placed = ada.send(request).await;
        let mut life = vec![units(&app, &placed)];
        for status in ["CONFIRMED", "SHIPPED", "DELIVERED"] {
            life.push(units(&app, &admin.put(placed.header("location"), json!({"status": status})).await));
        }
        lives.push(life);
    }
    // Placing: the order and its two entries, a look at the customer, and for each line its stock and its entry. A step: the order, one entry changed and one
    // moved; shipping writes the stock as well. The record of a key is one item.
    assert_eq!(lives, [vec![12.0, 5.0, 11.0, 5.0], vec![12.0, 5.0, 11.0, 5.0], vec![14.0, 5.0, 11.0, 5.0]]);
}
