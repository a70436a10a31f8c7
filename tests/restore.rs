//! What a restored table may look like: point-in-time recovery knows items and no transactions, so that a copy may hold a part of
//! one. Every part of every transaction is told apart from what no write leaves, and put right.

use std::collections::{BTreeMap, BTreeSet};

use local::audit::{Cause, Finding, Tear};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Actor, Answer, Product, TestApp, account, line, lines, unique};

/// The items of a table by their keys.
type Items = BTreeMap<(String, String), Value>;

/// A shop whose table is torn after each request.
struct Torn<'a> {
    app: &'a TestApp,
    /// The table after the last request.
    items: Items,
    /// Every tear that was found.
    tears: BTreeSet<Tear>,
}

impl Torn<'_> {
    async fn items(app: &TestApp) -> Items {
        let text = |item: &Value, name: &str| item[name]["S"].as_str().expect("a key").to_owned();
        let items = app.items().await.into_iter().map(|item| ((text(&item, "pk"), text(&item, "sk")), item));
        // No request writes levels, and whoever reads the stream does so in its own time; and a ticket stands for itself.
        items.filter(|((pk, _), _)| !pk.starts_with("LEVEL#") && !pk.starts_with("TICKETS#")).collect()
    }

    /// Makes the table what it should be.
    async fn become_items(&self, wanted: &Items) {
        let found = Self::items(self.app).await;
        for (key, item) in wanted.iter().filter(|(key, item)| found.get(key) != Some(item)) {
            assert_eq!((item["pk"]["S"].as_str(), item["sk"]["S"].as_str()), (Some(key.0.as_str()), Some(key.1.as_str())));
            self.app.dynamodb("PutItem", json!({"TableName": self.app.table(), "Item": item})).await;
        }
        for (pk, sk) in found.keys().filter(|key| !wanted.contains_key(key)) {
            let key = json!({"pk": {"S": pk}, "sk": {"S": sk}});
            self.app.dynamodb("DeleteItem", json!({"TableName": self.app.table(), "Key": key})).await;
        }
    }

    /// After a request that made one transaction: repairs the table as it is with every part of that transaction.
    async fn after(&mut self, request: &str, answer: &Answer) {
        assert!((200..300).contains(&answer.status), "{request}: {answer:?}");
        let after = Self::items(self.app).await;
        let before = std::mem::replace(&mut self.items, after.clone());
        let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        let written: Vec<_> = keys.into_iter().filter(|key| before.get(key) != after.get(key)).collect();
        // One item is written as a whole.
        assert!((1..=8).contains(&written.len()), "{request} writes {written:?}");
        for part in 1..(1_u32 << written.len()) - 1 {
            let mut torn = after.clone();
            let missing: Vec<_> = written.iter().enumerate().filter(|(n, _)| part & (1 << n) == 0).map(|(_, key)| *key).collect();
            for key in &missing {
                match before.get(*key) {
                    Some(item) => torn.insert((*key).clone(), item.clone()),
                    None => torn.remove(*key),
                };
            }
            self.become_items(&torn).await;
            self.repair(&format!("{request} without {missing:?}"), [pieces(&before), pieces(&after)]).await;
        }
        self.become_items(&after).await;
    }

    async fn repair(&mut self, what: &str, [before, after]: [BTreeMap<String, u64>; 2]) {
        let findings = self.app.shop().findings().await.expect("an audit");
        self.tears.extend(findings.iter().map(|finding| tear_of(finding, what)));
        if findings.is_empty() {
            return;
        }
        let (repairs, told) = self.app.shop().repair().await.expect("a repair");
        let told = told.join("\n");
        let repair = &repairs[0];
        assert_eq!((repair.report.violations, repair.report.doubts, repair.undecided), (0, 0, 0), "{what}\n{told}\n{repair}");
        // No piece is made up, and none is lost but where a person is told to count.
        for (product, pieces) in pieces(&Self::items(self.app).await) {
            let of = |pieces: &BTreeMap<String, u64>| pieces.get(&product).copied();
            let sums = [of(&before), of(&after)];
            let (least, most) = (sums.iter().flatten().min().unwrap_or(&0), sums.iter().flatten().max().unwrap_or(&0));
            assert!(pieces <= *most, "{what}: {product} has {pieces} pieces\n{told}");
            assert!(pieces >= *least || told.contains("count what is on the shelf"), "{what}: {product} has {pieces}\n{told}");
        }
    }
}

/// The pieces of every product, on the shelf and reserved.
fn pieces(items: &Items) -> BTreeMap<String, u64> {
    let mut pieces = BTreeMap::new();
    let shards = items.iter().filter(|((pk, sk), _)| pk.starts_with("PRODUCT#") && sk.starts_with("STOCK#"));
    for ((pk, _), item) in shards {
        let number = |name: &str| item[name]["N"].as_str().expect("a number").parse::<u64>().expect("whole");
        *pieces.entry(pk.clone()).or_default() += number("quantity") + number("reserved");
    }
    pieces
}

fn tear_of(finding: &Finding, what: &str) -> Tear {
    match finding.cause {
        Cause::Torn(tear) | Cause::Doubtful(tear) => tear,
        Cause::Broken => panic!("{what}: {finding}"),
    }
}

#[tokio::test]
async fn every_part_of_every_transaction_is_put_right() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    app.tampered();
    let admin = app.admin().await;
    let keyed = async |actor: &Actor, path: &str, body: Value| {
        actor.send(actor.request(Method::POST, path).header("idempotency-key", unique("key")).json(&body)).await
    };
    let mut torn = Torn { app: &app, items: Torn::items(&app).await, tears: BTreeSet::new() };

    torn.after("register", &app.anyone().post("/auth/register", account("torn").json()).await).await;

    let pen = keyed(&admin, "/products", Product::draft("Pen").with("sku", "PEN-1").price("2").quantity(50).json()).await;
    torn.after("create a product", &pen).await;
    let pen = Product::of(&pen);
    torn.after("rename a product", &admin.put(&pen, json!({"name": "Fountain pen"})).await).await;
    torn.after("give a product another SKU", &admin.put(&pen, json!({"sku": "PEN-2"})).await).await;
    let moved = keyed(&admin, &format!("{}/movements", pen.path), json!({"amount": 5})).await;
    torn.after("receive pieces", &moved).await;
    let damaged = json!({"amount": -3, "reason": "damaged"});
    torn.after("take pieces out", &admin.post(format!("{}/movements", pen.path), damaged).await).await;
    torn.after("count a product", &admin.put(&pen, json!({"quantity": 50})).await).await;

    let set = admin.post("/products", Product::draft("Set").price("9").quantity(40).stock_shards(3).json()).await;
    torn.after("create a spread product", &set).await;
    let set = Product::of(&set);
    torn.after("change the price of a spread product", &admin.put(&set, json!({"price": "10"})).await).await;
    torn.after("rename a spread product", &admin.put(&set, json!({"name": "Desk set"})).await).await;
    let movements = format!("{}/movements", set.path);
    torn.after("receive pieces of a spread product", &admin.post(&movements, json!({"amount": 7})).await).await;
    torn.after("take pieces of a spread product out", &admin.post(&movements, json!({"amount": -20})).await).await;
    torn.after("count a spread product", &admin.put(&set, json!({"quantity": 31})).await).await;
    let large = admin.post("/orders", lines([(&set, 15)])).await;
    torn.after("place an order of more than a shard has", &large).await;
    torn.after("delete it", &admin.delete(large.header("location")).await).await;
    torn.after("spread a product further", &admin.put(&set, json!({"stock_shards": 5})).await).await;
    torn.after("gather a product", &admin.put(&set, json!({"stock_shards": 1})).await).await;
    torn.after("delete a spread product", &admin.delete(&set).await).await;
    let hat = admin.product("Hat", 20).await;
    torn.items = Torn::items(&app).await;
    torn.after("spread a product", &admin.put(&hat, json!({"stock_shards": 3})).await).await;
    let ink = admin.product("Ink", 50).await;
    torn.items = Torn::items(&app).await;

    let two = lines([(&pen, 3), (&ink, 2)]);
    let place = async || admin.post("/orders", two.clone()).await;
    let status = async |order: &str, status: &str| admin.put(order, json!({"status": status})).await;
    let placed = keyed(&admin, "/orders", two.clone()).await;
    torn.after("place an order", &placed).await;
    let order = placed.header("location").to_owned();
    let line = keyed(&admin, &format!("{order}/items"), line(&pen, 1)).await;
    torn.after("add a line", &line).await;
    let line = format!("{order}/items/{}", line["order_item_id"].as_str().unwrap());
    torn.after("raise a line", &admin.put(&line, json!({"quantity": 5})).await).await;
    torn.after("lower a line", &admin.put(&line, json!({"quantity": 2})).await).await;
    torn.after("remove a line", &admin.delete(&line).await).await;
    torn.after("confirm", &status(&order, "CONFIRMED").await).await;
    torn.after("ship", &status(&order, "SHIPPED").await).await;
    torn.after("deliver", &status(&order, "DELIVERED").await).await;
    let back = json!({"status": "CANCELLED", "reason": "sent back", "restock": true});
    torn.after("take back", &admin.put(&order, back).await).await;
    torn.after("delete a cancelled order", &admin.delete(&order).await).await;

    // Another order of the same products, which must not be taken for the one that is torn.
    let other = place().await.header("location").to_owned();
    assert_eq!(status(&other, "CONFIRMED").await.status, 200);
    let order = place().await.header("location").to_owned();
    torn.items = Torn::items(&app).await;
    torn.after("cancel a pending order", &status(&order, "CANCELLED").await).await;
    torn.after("cancel a confirmed order", &status(&other, "CANCELLED").await).await;
    let order = place().await.header("location").to_owned();
    torn.items = Torn::items(&app).await;
    torn.after("delete a pending order", &admin.delete(&order).await).await;

    // What a deleted order has sent away, no order tells of any more; what is in others' hands is not lost with the stock.
    let [sent, order] = [place().await, place().await].map(|placed| placed.header("location").to_owned());
    for order in [&sent, &order] {
        assert_eq!((status(order, "CONFIRMED").await.status, status(order, "SHIPPED").await.status), (200, 200));
    }
    let lost = json!({"status": "CANCELLED", "reason": "lost"});
    assert_eq!((admin.put(&order, lost).await.status, admin.delete(&order).await.status), (200, 204));
    let order = place().await.header("location").to_owned();
    torn.items = Torn::items(&app).await;
    torn.after("confirm after a loss", &status(&order, "CONFIRMED").await).await;
    torn.after("cancel after a loss", &status(&order, "CANCELLED").await).await;
    torn.after("delete a product", &admin.delete(&pen).await).await;

    let every = [
        Tear::ReservationWithoutLine,
        Tear::LineWithoutReservation,
        Tear::OwnerWithoutEntity,
        Tear::EntityWithoutOwner,
        Tear::StockWithoutProduct,
        Tear::ProductWithoutStock,
        Tear::UncountedStock,
        Tear::StockUnlikeProduct,
        Tear::MovementWithoutStock,
        Tear::PasswordWithoutUser,
        Tear::UserWithoutPassword,
        Tear::RecordWithoutEffect,
    ];
    assert_eq!(torn.tears, BTreeSet::from(every));
}
