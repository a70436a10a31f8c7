//! Answers of DynamoDB that are lost, and calls that meet others: whatever is repeated behind a request, it has one effect and
//! the answer that belongs to it.

use emulator::FaultKind;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Actor, Answer, Order, Product, TestApp, line, lines, unique};

/// What may become of one write, and nobody outside may notice: of its first attempt, and of the next.
const UNNOTICED: [&[FaultKind]; 6] = [
    &[FaultKind::Lost],
    &[FaultKind::Drop],
    &[FaultKind::Conflict],
    &[FaultKind::Throttle],
    &[FaultKind::Error],
    &[FaultKind::Lost, FaultKind::Conflict],
];

/// The next write meets these faults.
async fn inject(app: &TestApp, faults: &[FaultKind]) {
    for fault in faults {
        app.shop().inject_next("TransactWriteItems", *fault).await;
    }
}

/// A change under the precondition of what is there, while its first write meets a fault.
async fn change(app: &TestApp, who: &Actor, path: &str, body: &Value, faults: &[FaultKind]) -> Answer {
    let before = who.get(path).await;
    inject(app, faults).await;
    let request = who.request(Method::PUT, path).header("if-match", before.header("etag")).json(body);
    let answer = who.send(request).await;
    assert_eq!(answer.status, 200, "{faults:?}: {answer:?}");
    // The one number of an order's tag, or both of a product's.
    let versions = |answer: &Answer| {
        let numbers = answer.header("etag").trim_matches('"').split('-').map(|number| number.parse::<u64>().unwrap());
        numbers.sum::<u64>()
    };
    assert_eq!(versions(&answer), versions(&before) + 1, "{faults:?}: one effect");
    let after = who.get(path).await;
    assert_eq!((&after.json, after.header("etag")), (&answer.json, answer.header("etag")), "{faults:?}");
    answer
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_made_once_and_answered_rightly() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    for faults in UNNOTICED {
        let next = || inject(&app, faults);
        next().await;
        let pen = admin.product(&unique("Pen"), 10).await;
        for body in [json!({"quantity": 10}), json!({"price": 2, "description": "new"}), json!({"name": unique("Quill")})] {
            let changed = change(&app, &admin, pen.as_ref(), &body, faults).await;
            let (made, updated) = (changed["created_at"].as_str().unwrap(), changed["updated_at"].as_str().unwrap());
            assert!(updated > made, "the change has its own time: {changed:?}");
        }

        next().await;
        let placed = ada.post("/orders", lines([(&pen, 2)])).await;
        assert_eq!(placed.status, 201, "{faults:?}: {placed:?}");
        let order = Order { path: placed.header("location").to_owned() };
        next().await;
        let added = ada.post(order.items(), line(&pen, 3)).await;
        assert_eq!((added.status, admin.stock(&pen).await), (201, (5, 5)), "{faults:?}: {added:?}");
        next().await;
        let raised = ada.put(order.item(&added), json!({"quantity": 4})).await;
        assert_eq!((raised.status, admin.stock(&pen).await), (200, (4, 6)), "{faults:?}: {raised:?}");
        assert!(raised["updated_at"].as_str() > raised["created_at"].as_str(), "{raised:?}");
        next().await;
        let removed = ada.delete(order.item(&added)).await;
        assert_eq!((removed.status, admin.stock(&pen).await), (204, (8, 2)), "{faults:?}: {removed:?}");
        assert_eq!(removed.header("etag"), ada.get(&order).await.header("etag"));
        change(&app, &ada, order.as_ref(), &json!({"status": "CONFIRMED"}), faults).await;
        change(&app, &ada, order.as_ref(), &json!({"status": "CANCELLED"}), faults).await;
        assert_eq!(admin.stock(&pen).await, (10, 0));
        next().await;
        assert_eq!(admin.delete(&order).await.status, 204, "{faults:?}");
        next().await;
        assert_eq!(admin.delete(&pen).await.status, 204, "{faults:?}");
    }
}

#[tokio::test]
async fn what_was_sold_meanwhile_is_not_put_back_by_a_repetition() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product(&unique("Pen"), 10).await;
    for _ in 0..10 {
        app.shop().inject_next("TransactWriteItems", FaultKind::Lost).await;
        let (counted, sold) = tokio::join!(admin.put(&pen, json!({"quantity": 10})), ada.post("/orders", lines([(&pen, 1)])));
        assert_eq!((counted.status, sold.status), (200, 201));
        let (quantity, reserved) = admin.stock(&pen).await;
        // Counted before the sale, or after it; never once before and once after.
        assert!(quantity == 9 || quantity == 10, "{quantity} pieces and {reserved} reserved");
        let order = sold.header("location");
        let before = quantity;
        assert_eq!(ada.delete(order).await.status, 204);
        assert_eq!(admin.stock(&pen).await.0, before + 1);
    }
}

#[tokio::test]
async fn a_read_that_fails_or_comes_in_parts_is_asked_again() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product(&unique("Pen"), 10).await;
    for fault in [FaultKind::Error, FaultKind::Throttle, FaultKind::Drop] {
        for operation in ["Query", "GetItem"] {
            app.shop().inject_next(operation, fault).await;
            assert_eq!(admin.get(&pen).await.status, 200, "{operation} {fault}");
            assert_eq!(ada.get("/auth/me").await.status, 200, "{operation} {fault}");
        }
        // A batch that is throttled comes back with nothing processed.
        app.shop().inject_next("BatchGetItem", fault).await;
        let placed = ada.post("/orders", lines([(&pen, 1)])).await;
        assert_eq!((placed.status, &placed["total_price"]), (201, &json!("19.90")), "{fault}: {placed:?}");
        app.shop().inject_next("BatchGetItem", fault).await;
        let refreshed = ada.refresh().await;
        assert_eq!(refreshed.status, 200, "{fault}: {refreshed:?}");
    }
    // That there are too few is seen at one instant, which a write may be in the way of.
    let set = Product::of(&admin.post("/products", Product::draft(unique("Set")).quantity(8).stock_shards(4).json()).await);
    for fault in [FaultKind::Conflict, FaultKind::Throttle] {
        let met = |shop: &local::Shop| shop.faults().get(&fault).copied().unwrap_or_default();
        let before = met(app.shop());
        app.shop().inject_next("TransactGetItems", fault).await;
        assert_eq!(ada.post("/orders", lines([(&set, 9)])).await.problem(), (409, "out-of-stock"), "{fault}");
        assert_eq!(met(app.shop()), before + 1, "{fault}");
    }
}

/// One of several requests under one key, sent at the same instant, takes all that there is: the others find nothing left, and are
/// answered what it was.
#[tokio::test]
async fn twins_are_answered_as_the_one_that_came_first() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    for round in 0..8 {
        let set = Product::of(&admin.post("/products", Product::draft(unique("Set")).quantity(8).stock_shards(4).json()).await);
        let order = ada.order([]).await;
        for (path, body) in [("/orders".to_owned(), lines([(&set, 8)])), (order.items(), line(&set, 8))] {
            let key = unique("key");
            let send = || ada.send(ada.request(Method::POST, &path).header("idempotency-key", &key).json(&body));
            let answers = join_all((0..4).map(|_| send())).await;
            for answer in &answers {
                assert_eq!((answer.status, &answer.body), (201, &answers[0].body), "{round}: {answer:?}");
            }
            assert_eq!(admin.stock(&set).await, (0, 8));
            if path == "/orders" {
                assert_eq!(ada.delete(answers[0].header("location")).await.status, 204);
            }
        }
    }
}
