//! Many who want the same at one instant, as DynamoDB lets them: nobody is refused what is there for the taking.

use emulator::{Contention, Options};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use shared::domain::ProductVersion;

use crate::app::{Actor, Answer, Order, Product, TestApp, line, lines, turn, unique};

/// Everything that shares an item conflicts, and takes its time.
fn contended(options: &mut Options) {
    options.contention = Some(Contention::default());
}

/// Products whose stock is spread over as many shards, with so many pieces each.
async fn spread(admin: &Actor, products: usize, shards: u32, pieces: u64) -> Vec<Product> {
    let made = (0..products).map(|_| async {
        let body = Product::draft(unique("Set")).quantity(pieces).stock_shards(shards).json();
        let answer = admin.post("/products", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        Product::of(&answer)
    });
    join_all(made).await
}

async fn count(answers: impl IntoIterator<Item = impl Future<Output = Answer>>, status: u16) -> usize {
    let answers = join_all(answers).await;
    for answer in &answers {
        assert!(answer.status == status || answer.status == 409 || answer.status == 503, "{answer:?}");
    }
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test]
async fn forty_products_with_scattered_pieces_are_one_order() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    // One piece in each shard: none has the three that are wanted, or later the five.
    let sets = spread(&admin, 40, 32, 32).await;
    for pieces in [3, 5, 7] {
        let placed = ada.post("/orders", lines(sets.iter().map(|set| (set, pieces)))).await;
        assert_eq!((placed.status, &placed["item_count"]), (201, &json!(40)), "{placed:?}");
    }
    for set in &sets {
        assert_eq!(admin.stock(set).await, (17, 15));
    }

    let tags = join_all(sets.iter().map(|set| admin.get(set))).await;
    // The last in the order of the request is sold out, and the one before it in the order of ids.
    let gone = spread(&admin, 2, 8, 8).await;
    let unspread = admin.product(&unique("Pen"), 1).await;
    let wanted = sets.iter().take(20).map(|set| (set, 9)).chain([(&gone[1], 9), (&unspread, 2), (&gone[0], 9)]);
    let refused = ada.post("/orders", lines(wanted)).await;
    assert_eq!(refused.problem(), (409, "out-of-stock"));
    assert_eq!((&refused["product_id"], &refused["available"]), (&json!(gone[1].id), &json!(8)), "the first that is short");
    let wanted = sets.iter().take(20).map(|set| (set, 9)).chain([(&unspread, 2), (&gone[0], 9)]);
    let refused = ada.post("/orders", lines(wanted)).await;
    assert_eq!((refused.problem(), &refused["product_id"]), ((409, "out-of-stock"), &json!(unspread.id)));
    for (set, before) in sets.iter().zip(tags) {
        let after = admin.get(set).await;
        assert_eq!((after.header("etag"), &after.json), (before.header("etag"), &before.json), "a refused order changes nothing");
    }
}

#[tokio::test]
async fn gathering_pieces_moves_no_tag() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let set = spread(&admin, 1, 8, 16).await.remove(0);
    let order = ada.order([(&set, 1)]).await;
    let tag = async || admin.get(&set).await.header("etag").trim_matches('"').parse::<ProductVersion>().unwrap();
    let before = tag().await;
    // Two pieces in each of eight shards, and a sale of nine of them: one write that anybody can see.
    ada.order([(&set, 9)]).await;
    assert_eq!(tag().await, ProductVersion { stock: before.stock + 1, ..before });
    assert_eq!(ada.delete(&order).await.status, 204);
}

#[tokio::test]
async fn prices_that_change_one_after_the_other_delay_an_order_and_refuse_none() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let products = join_all((0..15).map(|_| async { admin.product(&unique("Pen"), 1_000).await })).await;
    let changed = async {
        for product in &products {
            assert_eq!(admin.put(product, json!({"price": 1})).await.status, 200);
        }
    };
    let ordered = async {
        for _ in 0..3 {
            let placed = ada.post("/orders", lines(products.iter().map(|product| (product, 1)))).await;
            assert_eq!(placed.status, 201, "{placed:?}");
            let prices = ["19.90", "1.00"].map(Value::from);
            assert!(placed["items"].as_array().unwrap().iter().all(|item| prices.contains(&item["price"])));
        }
    };
    tokio::join!(changed, ordered);
}

#[tokio::test]
async fn eight_buyers_of_scattered_pieces_all_get_them() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(contended).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    // Eight who want eight of 64 pieces that lie two by two.
    let [ordered, added, raised] = <[Product; 3]>::try_from(spread(&admin, 3, 32, 64).await).unwrap();
    assert_eq!(count((0..8).map(|_| ada.post("/orders", lines([(&ordered, 8)]))), 201).await, 8);

    let orders = join_all((0..8).map(|_| ada.order([]))).await;
    assert_eq!(count(orders.iter().map(|order| ada.post(order.items(), line(&added, 8))), 201).await, 8);

    let lines = join_all(orders.iter().map(|order| async { order.item(&ada.post(order.items(), line(&raised, 1)).await) })).await;
    assert_eq!(count(lines.iter().map(|line| ada.put(line, json!({"quantity": 8}))), 200).await, 8);
    for set in [&ordered, &added, &raised] {
        assert_eq!(admin.stock(set).await, (0, 64));
    }
}

#[tokio::test]
async fn buyers_of_the_last_pieces_get_them_or_hear_that_they_are_gone() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    for (buyers, contention) in [(20_u64, None), (6, Some(Contention::default()))] {
        // One buyer in two can be served.
        let sets = spread(&admin, 4, 8, buyers * 3 / 2).await;
        app.shop().contend(contention);
        let bought = (0..buyers).map(|_| ada.post("/orders", lines(sets.iter().map(|set| (set, 3)))));
        let answers = join_all(bought).await;
        let count = |status| answers.iter().map(|answer| u64::from(answer.status == status)).sum::<u64>();
        assert_eq!((count(201), count(409)), (buyers / 2, buyers / 2), "{answers:?}");
        for refused in answers.iter().filter(|answer| answer.status == 409) {
            assert!(refused["available"].as_u64().unwrap() < 3, "{refused:?}");
        }
        for set in &sets {
            assert_eq!(admin.stock(set).await, (0, buyers * 3 / 2));
        }
    }
}

#[tokio::test]
async fn what_sells_all_the_time_can_be_renamed_and_repriced() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(contended).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let one = admin.product(&unique("Pen"), 10_000).await;
    let many = spread(&admin, 1, 4, 10_000).await.remove(0);
    let managed = async {
        for round in 0..5 {
            for product in [&one, &many] {
                let renamed = admin.put(product, json!({"name": unique("Pencil"), "price": round})).await;
                assert_eq!(renamed.status, 200, "{renamed:?}");
            }
        }
    };
    let sold = async {
        // Fifty a second, as far as the machine comes along.
        let mut every = tokio::time::interval(std::time::Duration::from_millis(20));
        loop {
            every.tick().await;
            join_all([&one, &many].map(|product| ada.post("/orders", lines([(product, 1)])))).await;
        }
    };
    tokio::select! {
        () = managed => {}
        () = sold => {}
    }
}

#[tokio::test]
async fn long_orders_of_the_same_products_are_cancelled_and_deleted_at_once() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(contended).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let products = join_all((0..40).map(|_| async { admin.product(&unique("Pen"), 100).await })).await;
    let mut orders: Vec<Order> = Vec::new();
    for _ in 0..9 {
        orders.push(ada.order(products.iter().map(|product| (product, 1))).await);
    }
    let (cancelled, deleted) = orders.split_at(4);
    assert_eq!(count(cancelled.iter().map(|order| ada.put(order, json!({"status": "CANCELLED"}))), 200).await, 4);
    assert_eq!(count(deleted.iter().map(|order| ada.delete(order)), 204).await, 5);
    for product in &products {
        assert_eq!(admin.stock(product).await, (100, 0));
    }
}

#[tokio::test]
async fn ten_who_gather_at_once_take_no_piece_twice() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    for _ in 0..3 {
        let set = spread(&admin, 1, 8, 240).await.remove(0);
        assert_eq!(count((0..12).map(|_| ada.post("/orders", lines([(&set, 24)]))), 201).await, 10);
        assert_eq!(admin.stock(&set).await, (0, 240));
    }
}

#[tokio::test]
async fn two_fields_of_a_spread_product_change_beside_its_sales() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let set = spread(&admin, 1, 4, 100).await.remove(0);
    let taken = spread(&admin, 1, 2, 1).await.remove(0);
    let name = admin.get(&taken).await["name"].clone();
    assert_eq!(admin.put(&set, json!({"name": name})).await.problem(), (409, "name-taken"), "no two have one name");

    for round in 1..=6_u64 {
        let changes = [
            json!({"name": unique("Kit"), "price": round}),
            json!({"stock_shards": round % 5 + 1, "description": format!("round {round}")}),
            json!({"quantity": 100, "price": round + 10}),
            json!({"name": unique("Box"), "stock_shards": round % 7 + 1}),
        ];
        let changed = join_all(changes.iter().map(|change| admin.put(&set, change.clone())));
        let sold = join_all((0..6).map(|n| ada.post("/orders", lines([(&set, n % 3 + 1)]))));
        let (changed, sold) = tokio::join!(changed, sold);
        for (change, answer) in changes.iter().zip(&changed) {
            assert_eq!(answer.status, 200, "{answer:?}");
            for (field, value) in change.as_object().unwrap() {
                let shown = answer.json.get(field).cloned().unwrap_or(json!(1));
                let written = if field == "price" { json!(format!("{value}.00")) } else { value.clone() };
                assert_eq!(shown, written, "what was written is what is answered: {answer:?}");
            }
        }
        assert!(sold.iter().all(|order| order.status == 201), "{sold:?}");
    }
    let read = admin.get(&set).await;
    let price = read["price"].clone();
    let order = ada.post("/orders", lines([(&set, 1), (&set, 1)])).await;
    assert!(order["items"].as_array().unwrap().iter().all(|item| item["price"] == price), "one price everywhere");
}

#[tokio::test]
async fn a_sale_and_a_precondition_at_once_do_not_both_hold() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let one = admin.product(&unique("Pen"), 1_000).await;
    let many = spread(&admin, 1, 3, 1_000).await.remove(0);
    for product in [&one, &many] {
        for round in 1..=12 {
            let before = admin.get(product).await;
            let put = admin.request(Method::PUT, product).header("if-match", before.header("etag"));
            let (changed, sold) = tokio::join!(
                admin.send(put.json(&json!({"quantity": 1_000, "price": round}))),
                ada.post("/orders", lines([(product, 1)]))
            );
            assert_eq!(sold.status, 201);
            let reserved = before["reserved"].as_u64().unwrap();
            if changed.status == 200 {
                // Then it came before the sale, and the shelf has what was left of it.
                assert_eq!(changed["reserved"], reserved);
                assert_eq!(admin.stock(product).await, (999, reserved + 1));
            } else {
                assert_eq!(changed.problem(), (412, "precondition-failed"));
                assert_eq!(admin.stock(product).await, (before["quantity"].as_u64().unwrap() - 1, reserved + 1));
            }
        }
    }
}

#[tokio::test]
async fn an_order_that_is_deleted_takes_its_newest_lines_along() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product(&unique("Pen"), 100).await;
    for _ in 0..8 {
        let order = ada.order([(&pen, 1)]).await;
        let (added, deleted) = tokio::join!(join_all((0..6).map(|_| ada.post(order.items(), line(&pen, 1)))), ada.delete(&order));
        assert_eq!(deleted.status, 204);
        assert!(added.iter().all(|answer| answer.status == 201 || answer.problem() == (404, "not-found")), "{added:?}");
        assert_eq!(admin.stock(&pen).await, (100, 0));
    }
}
