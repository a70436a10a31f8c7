//! What happens leaves the shop: the events on the bus, where they go, and what becomes of them when something fails on the way.

use std::{sync::Arc, time::Duration};

use emulator::{FaultKind, Outcome, server};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    app::{Actor, Order, Product, TestApp, line, unique, workspace},
    fold::{self, Fold},
    orders::bring,
    stock::shard_items,
};

#[tokio::test]
async fn everything_that_happens_is_told_in_its_order() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product("Pen", 10).await;
    assert_eq!(admin.put(&pen, json!({"price": "2.50", "sku": "PEN-1"})).await.status, 200);
    let movements = format!("{}/movements", pen.path);
    for amount in [5, -2] {
        assert_eq!(admin.post(&movements, json!({"amount": amount})).await.status, 201);
    }
    assert_eq!(admin.put(&pen, json!({"quantity": 20})).await.status, 200);

    let order = ada.order([(&pen, 2)]).await;
    let added = ada.post(order.items(), line(&pen, 3)).await;
    assert_eq!(ada.put(order.item(&added), json!({"quantity": 1})).await.status, 200);
    assert_eq!(ada.put(&order, json!({"metadata": {"gift": "yes"}})).await.status, 200);
    bring(&admin, &order, "DELIVERED").await;
    let back = json!({"status": "CANCELLED", "reason": "sent back", "restock": true});
    assert_eq!(admin.put(&order, back).await.status, 200);
    let given_up = ada.order([(&pen, 1)]).await;
    assert_eq!(ada.delete(&given_up).await.status, 204);
    // What changes nothing is no event.
    assert_eq!(ada.get(&order).await.status, 200);
    assert_eq!(admin.put(&order, json!({"status": "CANCELLED", "reason": "again"})).await.status, 200);
    let gone = admin.product("Gone", 0).await;
    app.shop().settled().await;
    assert_eq!(admin.delete(&gone).await.status, 204);

    let told = fold::check(&app, &admin, &[&admin, &ada]).await;
    assert_eq!(told.types(&pen.path), ["product.created", "product.changed"]);
    assert_eq!(
        told.types(&order.path),
        [
            "order.placed",
            "order.changed",
            "order.changed",
            "order.changed",
            "order.confirmed",
            "order.shipped",
            "order.delivered",
            "order.cancelled"
        ]
    );
    assert_eq!(told.types(&given_up.path), ["order.placed", "order.deleted"]);
    assert_eq!(told.types(&gone.path), ["product.created", "product.deleted"]);
    let user = |me: &Value| format!("/users/{}", me["user_id"].as_str().unwrap());
    assert_eq!(told.types(&user(&admin.get("/auth/me").await.json)), ["account.registered", "account.changed"]);
    assert_eq!(told.types(&user(&ada.get("/auth/me").await.json)), ["account.registered"]);

    // In the order in which it happened, for each subject.
    let mut latest = std::collections::BTreeMap::new();
    for record in app.shop().events() {
        let event = &record.event["detail"];
        let (subject, version) = (event["subject"].to_string(), event["version"].as_u64().unwrap());
        assert!(latest.insert(subject, version).is_none_or(|before| before < version), "{event}");
    }
}

/// Sells pieces of a product, one by one.
async fn sell(buyer: &Actor, product: &Product, pieces: u64) {
    for _ in 0..pieces {
        buyer.order([(product, 1)]).await;
    }
}

/// Sells pieces of a product, and tells what is heard of its stock.
async fn sold(app: &TestApp, product: &Product, pieces: u64) -> Vec<String> {
    let before = Fold::of(&app.shop().events()).types(&format!("{}/stock", product.path)).len();
    sell(&app.admin().await, product, pieces).await;
    heard(app, product, before).await
}

async fn heard(app: &TestApp, product: &Product, before: usize) -> Vec<String> {
    app.shop().settled().await;
    let told = Fold::of(&app.shop().events());
    told.types(&format!("{}/stock", product.path)).into_iter().skip(before).map(str::to_owned).collect()
}

#[tokio::test]
async fn crossings_are_told_over_all_shards() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    for shards in [1, 4] {
        let draft = Product::draft(format!("Pen {shards}")).quantity(8).stock_shards(shards).with("low_stock_at", 3).json();
        let pen = Product::of(&admin.post("/products", draft).await);
        assert_eq!(sold(&app, &pen, 4).await, [""; 0], "four are left");
        assert_eq!(sold(&app, &pen, 1).await, ["stock.low"], "three are left");
        assert_eq!(sold(&app, &pen, 2).await, [""; 0], "it has been told");
        assert_eq!(sold(&app, &pen, 1).await, ["stock.out"], "none is left");
        assert_eq!(admin.post(format!("{}/movements", pen.path), json!({"amount": 2})).await.status, 201);
        assert_eq!(heard(&app, &pen, 2).await, ["stock.low"], "two are there again");
        assert_eq!(admin.post(format!("{}/movements", pen.path), json!({"amount": 2})).await.status, 201);
        assert_eq!(heard(&app, &pen, 3).await, ["stock.back"], "four are");
        assert_eq!(admin.post(format!("{}/movements", pen.path), json!({"amount": -4})).await.status, 201);
        assert_eq!(heard(&app, &pen, 4).await, ["stock.low", "stock.out"], "all at once");
        assert_eq!(admin.put(&pen, json!({"low_stock_at": null, "quantity": 1})).await.status, 200);
        assert_eq!(heard(&app, &pen, 6).await, ["stock.back"], "without a level, one is enough");
    }
    let told: Vec<_> = app.shop().events().into_iter().map(|record| record.event["detail"].clone()).collect();
    let low = told.iter().find(|event| event["type"] == "stock.low").unwrap();
    assert_eq!((&low["data"]["quantity"], &low["data"]["low_stock_at"]), (&json!(3), &json!(3)), "{low}");
    fold::check(&app, &admin, &[]).await;
}

/// Gives a reader of the stream one more record: the stock of a product has come down to what it is. As when a batch is read again
/// while another reader still has it.
async fn watch(app: &TestApp, product: &Product) {
    let [shard] = &shard_items(app, product).await[..] else { panic!("it is in one item") };
    let mut before = shard.clone();
    before["quantity"] = json!({"N": "1000"});
    let record = json!({
        "eventID": "1",
        "eventName": "MODIFY",
        "eventSource": "aws:dynamodb",
        "eventVersion": "1.1",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "Keys": {"pk": shard["pk"], "sk": shard["sk"]},
            "OldImage": before,
            "NewImage": shard,
            "ApproximateCreationDateTime": 1_795_342_351,
            "SequenceNumber": "1",
            "SizeBytes": 1,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    });
    let watched = app.shop().invoke("event-publish", json!({"Records": [record]})).await;
    let Outcome::Payload(told) = &watched.outcome else { panic!("{watched:?}") };
    assert_eq!(serde_json::from_slice::<Value>(told).unwrap()["batchItemFailures"], json!([]));
}

/// The crossings of a product's stock that were told, with their numbers.
async fn crossings(app: &TestApp, product: &Product) -> Vec<(String, u64)> {
    app.shop().settled().await;
    let stock = format!("{}/stock", product.path);
    let told = app.shop().events().into_iter().map(|record| record.event["detail"].clone());
    let told = told.filter(|event| event["subject"] == stock.as_str());
    told.map(|event| (event["type"].as_str().unwrap().to_owned(), event["version"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn two_who_watch_a_level_tell_each_crossing_once() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let pen = Product::of(&admin.post("/products", Product::draft("Pen").quantity(8).with("low_stock_at", 3).json()).await);
    // First nobody has told anything of it yet.
    for _ in 0..2 {
        sell(&admin, &pen, 4).await;
        app.shop().settled().await;
        watch(&app, &pen).await;
        // One has read the level, and that there is little; before it writes so, there was little, and is enough again.
        let again = async {
            watch(&app, &pen).await;
            assert_eq!(admin.post(format!("{}/movements", pen.path), json!({"amount": 5})).await.status, 201);
            watch(&app, &pen).await;
        };
        app.while_late(&["Query", "Query"], sell(&admin, &pen, 1), again).await;
    }
    let expected = [("stock.low", 1), ("stock.back", 2), ("stock.low", 3), ("stock.back", 4)];
    assert_eq!(crossings(&app, &pen).await, expected.map(|(kind, version)| (kind.to_owned(), version)));
}

#[tokio::test]
async fn whoever_is_the_second_to_tell_of_a_crossing_looks_again() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let pen = Product::of(&admin.post("/products", Product::draft("Pen").quantity(4).with("low_stock_at", 3).json()).await);
    app.shop().settled().await;
    // Everything is awake, so that nothing is late but what is meant to be.
    watch(&app, &pen).await;
    // Each looks twice, and each look takes 0.8 s: whoever comes half of that later reads the level before the first has written it,
    // and would write it afterwards.
    let late = app.delay_next("Query").await;
    for _ in 0..3 {
        app.delay_next("Query").await;
    }
    admin.order([(&pen, 1)]).await;
    late.is_awaited().await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    watch(&app, &pen).await;
    assert_eq!(crossings(&app, &pen).await, [("stock.low".to_owned(), 1)]);
}

/// What a webhook was sent: its key and the event.
type Hook = Arc<std::sync::Mutex<Vec<(String, Value)>>>;

/// Listens for events, and answers the first `refusals` of them 500.
async fn webhook(refusals: usize) -> (String, Hook, DropGuard) {
    use axum::{
        Router,
        body::Bytes,
        extract::State,
        http::{HeaderMap, StatusCode},
        routing::post,
    };
    let (received, stop) = (Hook::default(), CancellationToken::new());
    let take = async move |State(received): State<Hook>, headers: HeaderMap, body: Bytes| {
        let key = headers.get("x-api-key").map_or("", |key| key.to_str().unwrap()).to_owned();
        let mut received = received.lock().unwrap();
        received.push((key, serde_json::from_slice(&body).unwrap()));
        if received.len() > refusals { StatusCode::NO_CONTENT } else { StatusCode::INTERNAL_SERVER_ERROR }
    };
    let listener = server::listen("a webhook", 0).await.unwrap();
    let url = format!("{}/hook", server::url(&listener).unwrap());
    let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&received));
    tokio::spawn(server::serve(listener, router, stop.clone()));
    (url, received, stop.drop_guard())
}

#[tokio::test]
async fn a_webhook_hears_of_everything() {
    let (url, received, _stop) = webhook(1).await;
    let start = TestApp::start_local(|options| {
        options.parameters.insert("WebhookUrl".into(), url.clone());
        options.parameters.insert("WebhookKey".into(), "between-us".into());
    });
    let Some(app) = start.await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let order = ada.order([(&admin.product("Pen", 3).await, 1)]).await;
    app.shop().settled().await;

    let events: Vec<_> = app.shop().events();
    let mut expected: Vec<_> = events.iter().map(|record| record.event["detail"].clone()).collect();
    let got: Vec<_> = received.lock().unwrap().clone();
    assert!(got.iter().all(|(key, _)| key == "between-us"), "{got:?}");
    let mut heard: Vec<_> = got.into_iter().map(|(_, event)| event).collect();
    assert_eq!(heard.iter().filter(|event| **event == expected[0]).count(), 2, "the one that was refused came again");
    let id = |event: &Value| event["id"].to_string();
    heard.sort_by_key(id);
    heard.dedup();
    expected.sort_by_key(id);
    assert_eq!(heard, expected);
    assert!(heard.iter().any(|event| event["type"] == "order.placed" && event["subject"] == order.path.as_str()));

    // What the console shows, and programs read.
    let client = reqwest::Client::new();
    let shown: Value = client.get(format!("{}/_local/events", app.shop().url())).send().await.unwrap().json().await.unwrap();
    let shown = shown.as_array().unwrap();
    assert_eq!(shown.len(), events.len());
    for (shown, record) in shown.iter().zip(&events) {
        assert_eq!((&shown["event"], &shown["at"]), (&record.event["detail"], &json!(record.at)));
        assert_eq!(shown["deliveries"].as_array().unwrap().last().unwrap()["answer"], "204");
    }
    let latest: Value = client
        .get(format!("{}/_local/events?after={}", app.shop().url(), events.len() - 1))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(latest.as_array().unwrap().len(), 1);

    let before = received.lock().unwrap().len();
    let again = client.post(format!("{}/_local/events/0/send", app.shop().url())).send().await.unwrap();
    assert_eq!(again.status(), 202);
    app.shop().settled().await;
    let received = received.lock().unwrap();
    assert_eq!((received.len(), &received[before].1), (before + 1, &events[0].event["detail"]));
}

#[tokio::test]
async fn a_bus_that_fails_loses_nothing() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    app.shop().settled().await;
    for kind in [FaultKind::Error, FaultKind::Lost, FaultKind::Drop, FaultKind::Delay, FaultKind::Throttle] {
        // More than the client of the bus tries by itself.
        for _ in 0..7 {
            app.shop().inject_next("PutEvents", kind).await;
        }
        let pen = admin.product(&format!("Pen {kind}"), 5).await;
        let order = admin.order([(&pen, 5)]).await;
        app.shop().settled().await;
        let told = Fold::of(&app.shop().events());
        assert_eq!(told.types(&order.path), ["order.placed"], "{kind}");
        assert_eq!(told.types(&format!("{}/stock", pen.path)), ["stock.out"], "{kind}");
    }
    let told = fold::check(&app, &admin, &[&admin]).await;
    assert!(app.shop().events().len() > told.len(), "what was lost on the way was told again");
}

/// A shop whose reader of the stream gives up soon.
async fn impatient() -> Option<TestApp> {
    let template = std::fs::read_to_string(workspace().join("template.yaml")).unwrap();
    let changed = template.replace("MaximumRetryAttempts: 100\n", "MaximumRetryAttempts: 1\n");
    assert_ne!(changed, template);
    let file = std::env::temp_dir().join(format!("{}.yaml", unique("template")));
    std::fs::write(&file, changed).unwrap();
    let start = TestApp::start_local(|options| options.template.clone_from(&file)).await;
    std::fs::remove_file(&file).unwrap();
    start
}

#[tokio::test]
async fn what_cannot_be_told_is_put_aside_and_holds_nothing_up() {
    let Some(app) = impatient().await else { return };
    app.tampered();
    let admin = app.admin().await;
    let id = "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f";
    let broken = json!({"pk": {"S": format!("ORDER#{id}")}, "sk": {"S": "ORDER"}, "status": {"S": "LOST"}});
    app.dynamodb("PutItem", json!({"TableName": app.table(), "Item": broken})).await;
    let order = admin.order([(&admin.product("Pen", 5).await, 1)]).await;
    app.shop().settled().await;

    assert_eq!(Fold::of(&app.shop().events()).types(&order.path), ["order.placed"]);
    let [message] = &app.shop().queue("EventFailures")[..] else { panic!("{:?}", app.shop().queue("EventFailures")) };
    assert_eq!(message["requestContext"]["condition"], "RetryAttemptsExhausted");
    let batch = &message["DDBStreamBatchInfo"];
    assert_eq!(
        (&batch["batchSize"], &batch["startSequenceNumber"]),
        (&json!(1), &batch["endSequenceNumber"]),
        "that record alone"
    );
    assert!(!message.to_string().contains("LOST"), "where it is, and not what it is");
    let told = |line: &emulator::LogLine| line.function == "event-publish" && line.text.contains("cannot be read");
    assert!(app.shop().log_line(Duration::from_secs(5), told).await.is_some(), "the log says why");
}

#[tokio::test]
async fn what_was_missed_can_be_told_again() {
    let Some(app) = TestApp::start_local(|options| {
        options.parameters.insert("OrderShards".into(), "3".into());
    })
    .await
    else {
        return;
    };
    let admin = app.admin().await;
    let mut orders = Vec::new();
    for n in 0..3 {
        let pen = admin.product(&format!("Pen {n}"), 5).await;
        orders.push(admin.order([(&pen, 1)]).await);
    }
    bring(&admin, &orders[1], "SHIPPED").await;
    let told = fold::check(&app, &admin, &[]).await;
    let before = app.shop().events().len();
    for (kind, expected) in [("products", 3), ("orders", 3), ("movements", 3)] {
        let (mut cursor, mut published) = (Value::Null, 0);
        loop {
            let request = if cursor.is_null() { json!({"kind": kind}) } else { json!({"kind": kind, "cursor": cursor}) };
            let Outcome::Payload(report) = app.shop().invoke("event-replay", request).await.outcome else { panic!("a report") };
            let report: Value = serde_json::from_slice(&report).unwrap();
            published += report["published"].as_u64().unwrap();
            cursor = report["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(published, expected, "{kind}");
    }
    // The same ids: whoever has heard of them all hears nothing new.
    let events = app.shop().events();
    let ids = |events: &[emulator::EventRecord]| -> std::collections::BTreeSet<String> {
        events.iter().map(|record| record.event["detail"]["id"].to_string()).collect()
    };
    assert_eq!(ids(&events[before..]).difference(&ids(&events[..before])).count(), 0);
    assert_eq!(ids(&events).len(), told.len());
    let again: Vec<_> = events[before..].iter().map(|record| &record.event["detail"]).collect();
    let shipped = again.iter().find(|event| event["subject"] == orders[1].path.as_str()).unwrap();
    assert_eq!((&shipped["type"], &shipped["data"]), (&json!("order.changed"), &admin.get(&orders[1]).await.json));

    let refused = app.shop().invoke("event-replay", json!({"kind": "secrets"})).await.outcome;
    assert!(matches!(&refused, Outcome::Error(failure) if failure.error_type == "invalid-request"), "{refused:?}");
    let refused = app.shop().invoke("event-replay", json!({"kind": "movements", "cursor": "x"})).await.outcome;
    assert!(matches!(&refused, Outcome::Error(failure) if failure.error_type == "invalid-cursor"), "{refused:?}");
}

#[tokio::test]
async fn an_empty_shop_has_nothing_to_tell_again() {
    let app = TestApp::start().await;
    for kind in ["products", "orders", "movements", "accounts"] {
        let outcome = app.shop().invoke("event-replay", json!({"kind": kind})).await.outcome;
        let Outcome::Payload(report) = outcome else { panic!("{kind}: {outcome:?}") };
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report, json!({"published": 0, "next_cursor": null}), "{kind}");
    }
}

/// The reader goes on where it was.
#[tokio::test]
async fn a_shop_that_is_closed_and_opened_again_tells_what_it_has_not_told() {
    let folder = std::env::temp_dir().join(unique("shop"));
    let data = folder.join("data.sqlite");
    let open = async || {
        TestApp::start_local(|options| {
            options.store = emulator::Store::File(data.clone());
            options.stack = "kept".into();
        })
        .await
    };
    let Some(app) = open().await else { return };
    let admin = app.admin().await;
    let pen = admin.product("Pen", 5).await;
    let order = Order { path: admin.order([(&pen, 1)]).await.path };
    app.shop().settled().await;
    let token = admin.token.clone().unwrap();
    drop(app);

    let app = open().await.unwrap();
    let admin = app.bearer(token);
    assert_eq!(admin.put(&order, json!({"status": "CONFIRMED"})).await.status, 200);
    app.shop().settled().await;
    let told: Vec<_> = app.shop().events().iter().map(|record| record.event["detail"]["type"].clone()).collect();
    assert_eq!(told, ["order.confirmed"], "nothing of before");
    drop(app);
    std::fs::remove_dir_all(folder).unwrap();
}
