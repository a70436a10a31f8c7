//! Pieces that come in and go out otherwise than by an order: the movements of a product, and its books.

use emulator::{Contention, Options};
use futures_util::future::join_all;
use insta::{allow_duplicates, assert_json_snapshot};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Actor, Answer, Product, TestApp, line, lines, turn, unique};

fn movements(product: &Product) -> String {
    format!("{}/movements", product.path)
}

async fn books(admin: &Actor, product: &Product) -> Value {
    let answer = admin.get(format!("{}/stock", product.path)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json
}

/// Received, to be sold, reserved and shipped; after making sure that they add up, in each shard too.
async fn totals(admin: &Actor, product: &Product) -> [u64; 4] {
    let books = books(admin, product).await;
    let of = |pieces: &Value| ["received", "quantity", "reserved", "shipped"].map(|name| pieces[name].as_u64().unwrap());
    let shards: Vec<_> = books["shards"].as_array().unwrap().iter().map(of).collect();
    for [received, quantity, reserved, shipped] in [of(&books)].into_iter().chain(shards.iter().copied()) {
        assert_eq!(received, quantity + reserved + shipped, "{books}");
    }
    let sums = [0, 1, 2, 3].map(|n| shards.iter().map(|shard| shard[n]).sum::<u64>());
    assert_eq!(sums, of(&books), "{books}");
    sums
}

/// All movements, page by page, oldest first: kind and amount.
async fn history(admin: &Actor, product: &Product) -> Vec<(String, i64)> {
    let (mut all, mut path) = (Vec::new(), format!("{}?limit=3", movements(product)));
    loop {
        let page = admin.get(&path).await;
        assert_eq!(page.status, 200, "{page:?}");
        let told = |movement: &Value| (movement["kind"].as_str().unwrap().to_owned(), movement["amount"].as_i64().unwrap());
        all.extend(page["movements"].as_array().unwrap().iter().map(told));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{}?limit=3&cursor={cursor}", movements(product));
    }
    all.reverse();
    all
}

#[tokio::test]
async fn every_piece_is_accounted_for() {
    let app = TestApp::start().await;
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    for shards in [1, 3] {
        let body = Product::draft(unique("Pen")).quantity(10).stock_shards(shards).json();
        let pen = Product::of(&admin.post("/products", body).await);
        assert_eq!(totals(&admin, &pen).await, [10, 10, 0, 0]);

        let received = admin.post(movements(&pen), json!({"amount": 5, "reason": "delivery 4711"})).await;
        assert_eq!(received.status, 201, "{received:?}");
        allow_duplicates!(assert_json_snapshot!(received.json, {
            ".movement_id" => "[id]", ".product_id" => "[id]", ".by" => "[id]", ".created_at" => "[time]",
        }, @r#"
        {
          "amount": 5,
          "by": "[id]",
          "created_at": "[time]",
          "kind": "received",
          "movement_id": "[id]",
          "product_id": "[id]",
          "reason": "delivery 4711"
        }
        "#));
        assert_eq!((&received["product_id"], &received["by"]), (&json!(pen.id), &admin.get("/auth/me").await["user_id"]));
        assert_eq!(admin.get(movements(&pen)).await["movements"][0], received.json);
        let removed = admin.post(movements(&pen), json!({"amount": -3})).await;
        assert_eq!((removed.status, &removed["kind"], &removed["reason"]), (201, &json!("removed"), &Value::Null));
        assert_eq!(totals(&admin, &pen).await, [12, 12, 0, 0]);

        // A sale, and all that may become of it, moves pieces and makes none.
        let order = ada.order([(&pen, 7)]).await;
        assert_eq!(totals(&admin, &pen).await, [12, 5, 7, 0]);
        assert_eq!(admin.put(&pen, json!({"quantity": 9})).await["quantity"], 9);
        assert_eq!(totals(&admin, &pen).await, [16, 9, 7, 0]);
        let more = ada.post(order.items(), line(&pen, 2)).await;
        assert_eq!(totals(&admin, &pen).await, [16, 7, 9, 0]);
        assert_eq!(ada.put(order.item(&more), json!({"quantity": 1})).await.status, 200);
        for (status, expected) in [("CONFIRMED", [16, 8, 8, 0]), ("SHIPPED", [16, 8, 0, 8]), ("DELIVERED", [16, 8, 0, 8])] {
            assert_eq!(admin.put(&order, json!({"status": status})).await.status, 200);
            assert_eq!(totals(&admin, &pen).await, expected, "{status}");
        }
        let back = json!({"status": "CANCELLED", "reason": "sent back", "restock": true});
        assert_eq!(admin.put(&order, back).await.status, 200);
        assert_eq!(totals(&admin, &pen).await, [16, 16, 0, 0]);

        // A count that changes nothing is no movement, and neither is moving pieces from shard to shard.
        assert_eq!(admin.put(&pen, json!({"quantity": 16})).await.status, 200);
        assert_eq!(admin.put(&pen, json!({"stock_shards": 5})).await.status, 200);
        assert_eq!(totals(&admin, &pen).await, [16, 16, 0, 0]);
        let expected = [("initial", 10), ("received", 5), ("removed", -3), ("counted", 4)];
        assert_eq!(history(&admin, &pen).await, expected.map(|(kind, amount)| (kind.to_owned(), amount)));

        assert_eq!(admin.delete(&pen).await.status, 204);
        for path in [movements(&pen), format!("{}/stock", pen.path)] {
            assert_eq!(admin.get(path).await.problem(), (404, "not-found"));
        }
    }
    let nothing = admin.product(&unique("Nothing"), 0).await;
    assert_eq!((history(&admin, &nothing).await, totals(&admin, &nothing).await), (vec![], [0; 4]));
}

#[tokio::test]
async fn what_is_wrong_with_a_movement_is_told() {
    let app = TestApp::start().await;
    let (admin, ada, anyone) = (app.admin().await, app.customer("ada").await, app.anyone());
    for shards in [1, 4] {
        let body = Product::draft(unique("Pen")).quantity(10).stock_shards(shards).json();
        let pen = Product::of(&admin.post("/products", body).await);
        for (body, pointers) in [
            (json!({}), vec!["/amount"]),
            (json!({"amount": 0}), vec!["/amount"]),
            (json!({"amount": 1.5, "reason": ""}), vec!["/amount", "/reason"]),
            (json!({"amount": 1_000_000_001}), vec!["/amount"]),
            (json!({"amount": -1_000_000_001}), vec!["/amount"]),
            (json!({"amount": 1, "kind": "counted"}), vec!["/kind"]),
            (json!({"amount": 999_999_991}), vec!["/amount"]),
        ] {
            let refused = admin.post(movements(&pen), body.clone()).await;
            assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), pointers), "{body}");
        }
        let refused = admin.post(movements(&pen), json!({"amount": -11})).await;
        assert_eq!((refused.problem(), &refused["available"]), ((409, "out-of-stock"), &json!(10)));
        assert_eq!((&refused["product_id"], totals(&admin, &pen).await), (&json!(pen.id), [10, 10, 0, 0]));
        assert_eq!(admin.post(movements(&pen), json!({"amount": -10})).await.status, 201);
        assert_eq!(admin.post(movements(&pen), json!({"amount": 1_000_000_000})).await.status, 201);

        for (method, path) in
            [(Method::POST, movements(&pen)), (Method::GET, movements(&pen)), (Method::GET, format!("{}/stock", pen.path))]
        {
            let ask = async |who: &Actor| who.send(who.request(method.clone(), &path).json(&json!({"amount": 1}))).await;
            assert_eq!(ask(&ada).await.problem(), (403, "forbidden"), "{method} {path}");
            assert_eq!(ask(&anyone).await.status, 401, "{method} {path}");
        }
    }
    let nobody = "/products/0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f";
    for path in [format!("{nobody}/movements"), "/products/none/movements".to_owned()] {
        assert_eq!(admin.post(&path, json!({"amount": 1})).await.problem(), (404, "not-found"));
        assert_eq!(admin.get(&path).await.problem(), (404, "not-found"));
    }
    assert_eq!(admin.get(format!("{nobody}/stock")).await.problem(), (404, "not-found"));
    let pen = admin.product(&unique("Pen"), 1).await;
    let page = admin.get(format!("{}?cursor=AAAA", movements(&pen))).await;
    assert_eq!(page.problem(), (422, "invalid-cursor"));
}

#[tokio::test]
async fn a_movement_that_is_repeated_moves_once() {
    let app = TestApp::start().await;
    let admin = app.admin().await;
    for shards in [1, 4] {
        let body = Product::draft(unique("Pen")).quantity(10).stock_shards(shards).json();
        let pen = Product::of(&admin.post("/products", body).await);
        let key = unique("key");
        let send = async |amount: i64| {
            let request = admin.request(Method::POST, movements(&pen)).header("idempotency-key", &key);
            admin.send(request.json(&json!({"amount": amount}))).await
        };
        let answers = join_all((0..6).map(|_| send(-8))).await;
        let is_repeated = |answer: &&Answer| answer.headers.contains_key("idempotent-replayed");
        let first = answers.iter().find(|answer| !is_repeated(answer)).expect("one is the first");
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (201, &first.body), "{answer:?}");
        }
        assert_eq!(answers.iter().filter(is_repeated).count(), 5);
        assert_eq!(totals(&admin, &pen).await, [2, 2, 0, 0]);
        assert_eq!(send(-1).await.problem(), (422, "idempotency-key-reused"));
        assert_eq!(send(-8).await.body, first.body, "although there are not as many any more");
    }
}

/// A price and a text can be changed at `If-Match`, and pieces added, while twenty people buy; in each order the price of its instant.
async fn manage_while_twenty_buy(app: &TestApp, shards: u32) {
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let body = Product::draft(unique("Set")).price("1.00").quantity(500).stock_shards(shards).json();
    let set = Product::of(&admin.post("/products", body).await);
    let managed = std::sync::atomic::AtomicBool::new(false);
    let buy = async |n: u64| {
        let mut bought = Vec::new();
        let mut round = n;
        let pause = std::time::Duration::from_millis(if shards == 1 { 0 } else { 200 });
        while !managed.load(std::sync::atomic::Ordering::Relaxed) {
            round += 1;
            let answer = ada.post("/orders", lines([(&set, round % 3 + 1)])).await;
            match answer.status {
                201 => bought.push((answer["total_price"].clone(), round % 3 + 1)),
                // Whoever is in everybody's way for as long as a request may take is told so: on a slow machine, now and then.
                503 => assert_eq!(answer.problem(), (503, "unavailable"), "{answer:?}"),
                _ => assert_eq!(answer.problem(), (409, "out-of-stock"), "{answer:?}"),
            }
            tokio::time::sleep(pause).await;
        }
        bought
    };
    let manage = async {
        let put = async |tag: &str, body: Value| -> Answer {
            admin.send(admin.request(Method::PUT, &set).header("if-match", tag).json(&body)).await
        };
        let mut tag = admin.get(&set).await.header("etag").to_owned();
        for price in 2..=11 {
            assert_eq!(admin.post(movements(&set), json!({"amount": 50})).await.status, 201);
            let changed = put(&tag, json!({"price": price, "description": format!("costs {price}")})).await;
            assert_eq!(changed.status, 200, "what was sold meanwhile is none of its business: {changed:?}");
            let stale = put(&tag, json!({"price": 1})).await;
            assert_eq!(stale.problem(), (412, "precondition-failed"), "what was written meanwhile is");
            changed.header("etag").clone_into(&mut tag);
        }
        managed.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let (bought, ()) = futures_util::future::join(join_all((0..20).map(buy)), manage).await;
    let bought: Vec<_> = bought.into_iter().flatten().collect();
    for (total, quantity) in &bought {
        let cents: u64 = total.as_str().unwrap().replace('.', "").parse().unwrap();
        assert_eq!(cents % (100 * quantity), 0, "one price for all: {total} for {quantity}");
        assert!((1..=11).contains(&(cents / quantity / 100)), "{total} for {quantity}");
    }
    let sold: u64 = bought.iter().map(|(_, quantity)| quantity).sum();
    assert_eq!(totals(&admin, &set).await, [1_000, 1_000 - sold, sold, 0]);
    println!("{} orders while it was managed, {shards} shards", bought.len());
}

#[tokio::test]
async fn a_product_is_managed_while_twenty_people_buy_it() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    manage_while_twenty_buy(&app, 1).await;
}

#[tokio::test]
async fn a_spread_product_is_managed_while_twenty_people_are_in_each_others_way() {
    let _turn = turn().await;
    // Another emulator's transactions take longer than the model's, and then there is no instant at which all shards are free.
    let model = std::env::var("DYNAMODB_URL").is_err().then(Contention::default);
    let Some(app) = TestApp::start_local(|options: &mut Options| options.contention = model).await else { return };
    manage_while_twenty_buy(&app, 8).await;
}
