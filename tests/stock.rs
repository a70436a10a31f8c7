//! A product whose stock is spread over several items: what the shop shows and promises is the same.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::app::{Actor, Order, Product, TestApp, line, lines, unique};

/// A product with so many pieces in so many shards.
async fn spread(admin: &Actor, quantity: u64, shards: u32) -> Product {
    let product = admin.product(&unique("Set"), quantity).await;
    let changed = admin.put(&product, json!({"stock_shards": shards})).await;
    assert_eq!((changed.status, &changed["stock_shards"], &changed["quantity"]), (200, &json!(shards), &json!(quantity)));
    product
}

/// The items of a product's stock.
pub async fn shard_items(app: &TestApp, product: &Product) -> Vec<Value> {
    let pk = format!("PRODUCT#{}", product.id);
    let is_stock = |item: &Value| item["pk"]["S"] == pk && item["sk"]["S"].as_str().unwrap().starts_with("STOCK#");
    app.items().await.into_iter().filter(is_stock).collect()
}

/// The pieces in each item of a product's stock: on the shelf, and reserved.
pub async fn shards(app: &TestApp, product: &Product) -> Vec<(u64, u64)> {
    let number = |item: &Value, name: &str| item[name]["N"].as_str().unwrap().parse().unwrap();
    shard_items(app, product).await.iter().map(|item| (number(item, "quantity"), number(item, "reserved"))).collect()
}

#[tokio::test]
async fn stock_is_spread_and_brought_together_again() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;

    let product = spread(&admin, 10, 4).await;
    assert_eq!(shards(&app, &product).await, [(3, 0), (3, 0), (2, 0), (2, 0)]);
    let read = admin.get(&product).await;
    assert_eq!((&read["quantity"], &read["reserved"], &read["stock_shards"]), (&json!(10), &json!(0), &json!(4)));
    let list = app.anyone().get("/products").await;
    assert_eq!(list["products"][0], read.json, "the list shows the sum too");

    let other = admin.put(&product, json!({"quantity": 7})).await;
    assert_eq!((other.status, &other["quantity"]), (200, &json!(7)));
    assert_eq!(shards(&app, &product).await, [(2, 0), (2, 0), (2, 0), (1, 0)]);

    assert_eq!(admin.put(&product, json!({"stock_shards": 2})).await["quantity"], 7);
    assert_eq!(shards(&app, &product).await, [(4, 0), (3, 0), (0, 0), (0, 0)]);
    let one = admin.put(&product, json!({"stock_shards": 1})).await;
    assert_eq!((&one["quantity"], one["stock_shards"].is_null()), (&json!(7), true), "one item is the ordinary case");
    assert_eq!(shards(&app, &product).await, [(7, 0), (0, 0), (0, 0), (0, 0)]);

    assert_eq!(admin.delete(&product).await.status, 204);
    assert_eq!(shards(&app, &product).await, []);
    for wrong in [json!(0), json!(33), json!("4"), json!(1.5)] {
        let refused = admin.put(&product, json!({"stock_shards": wrong})).await;
        assert_eq!((refused.problem(), refused.pointers()), ((422, "invalid-request"), vec!["/stock_shards"]));
    }
    assert_eq!(admin.put(&product, json!({"stock_shards": 2})).await.problem(), (404, "not-found"));
}

/// A query may find a product as it is since it was spread, its first shard as it was before, and the second not yet.
#[tokio::test]
async fn a_product_that_is_seen_half_spread_is_seen_again() {
    /// Of the two items that there are at first, the product's is found as it is later, and nothing that has come.
    const SEED: u64 = 18;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let spread = async |product: &Product| admin.put(product, json!({"stock_shards": 2})).await.status;

    let product = admin.product(&unique("Set"), 10).await;
    let (changed, status) = app.while_torn(SEED, admin.put(&product, json!({"price": 3})), spread(&product)).await;
    assert_eq!((changed.status, status, &changed["stock_shards"]), (200, 200, &json!(2)), "{changed:?}");
    let prices = shard_items(&app, &product).await.into_iter().map(|item| item["price"]["N"].clone());
    assert_eq!(prices.collect::<Vec<_>>(), ["300"; 2]);

    let product = admin.product(&unique("Set"), 10).await;
    let (deleted, status) = app.while_torn(SEED, admin.delete(&product), spread(&product)).await;
    assert_eq!((deleted.status, status), (204, 200), "{deleted:?}");
    assert_eq!(shards(&app, &product).await, []);
}

#[tokio::test]
async fn a_product_may_be_spread_from_the_first() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let body = Product::draft(unique("Set")).price(5).quantity(5).stock_shards(3).json();
    let created = admin.post("/products", body).await;
    assert_eq!((created.status, &created["quantity"], &created["stock_shards"]), (201, &json!(5), &json!(3)));
    let read = admin.get(created.header("location")).await;
    assert_eq!((&read.json, read.header("etag")), (&created.json, created.header("etag")));
}

#[tokio::test]
async fn every_piece_can_be_sold_wherever_it_is() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let product = spread(&admin, 10, 4).await;

    // No item has as many: they are gathered.
    let first = ada.order([(&product, 7)]).await;
    assert_eq!(admin.stock(&product).await, (3, 7));
    let refused = ada.post("/orders", lines([(&product, 4)])).await;
    assert_eq!((refused.problem(), &refused["available"]), ((409, "out-of-stock"), &json!(3)));
    let second = ada.order([]).await;
    let item = ada.post(second.items(), line(&product, 1)).await;
    assert_eq!(item.status, 201);
    let more = ada.put(second.item(&item), json!({"quantity": 3})).await;
    assert_eq!((more.status, &more["quantity"]), (200, &json!(3)), "more may lie elsewhere than the first");
    let refused = ada.put(second.item(&item), json!({"quantity": 4})).await;
    assert_eq!((refused.problem(), &refused["available"]), ((409, "out-of-stock"), &json!(0)));
    assert_eq!(admin.stock(&product).await, (0, 10));
    assert_eq!(admin.delete(&product).await.problem(), (409, "product-in-use"));

    // What comes back does so wherever it was taken, be it used for sales or not.
    assert_eq!(admin.put(&product, json!({"stock_shards": 1})).await.status, 200);
    assert_eq!(ada.put(second.item(&item), json!({"quantity": 2})).await.status, 200);
    assert_eq!(ada.delete(second.item(&item)).await.status, 204);
    assert_eq!(ada.delete(&first).await.status, 204);
    assert_eq!(admin.stock(&product).await, (10, 0));
    let all = ada.order([(&product, 10)]).await;
    for status in ["CONFIRMED", "SHIPPED"] {
        assert_eq!(admin.put(&all, json!({"status": status})).await.status, 200);
    }
    assert_eq!(admin.stock(&product).await, (0, 0));
    let back = admin.put(&all, json!({"status": "CANCELLED", "reason": "returned", "restock": true})).await;
    assert_eq!(back.status, 200);
    assert_eq!(admin.stock(&product).await, (10, 0));
}

#[tokio::test]
async fn a_new_price_is_the_price_of_every_shard() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let product = spread(&admin, 40, 8).await;
    assert_eq!(admin.put(&product, json!({"stock_shards": 5})).await.status, 200);

    let changed = admin.put(&product, json!({"name": unique("Kit"), "price": "7.00", "description": null})).await;
    assert_eq!((changed.status, &changed["price"], &changed["quantity"]), (200, &json!("7.00"), &json!(40)));
    let orders = join_all((0..20).map(|_| ada.post("/orders", lines([(&product, 2)])))).await;
    assert!(orders.iter().all(|order| order["total_price"] == "14.00"), "{orders:?}");
    assert_eq!(admin.stock(&product).await, (0, 40));
}

#[tokio::test]
async fn a_spread_product_has_one_version() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let product = spread(&admin, 40, 8).await;
    let tag = admin.get(&product).await.header("etag").to_owned();
    let known = |tag: &str| admin.request(reqwest::Method::GET, &product.path).header("if-none-match", tag);
    assert_eq!(admin.send(known(&tag)).await.status, 304);

    let put = |tag: &str, body: Value| admin.request(reqwest::Method::PUT, &product.path).header("if-match", tag).json(&body);
    let changed = admin.send(put(&tag, json!({"description": "new"}))).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(admin.send(put(&tag, json!({"price": 1}))).await.problem(), (412, "precondition-failed"));

    let tag = changed.header("etag").to_owned();
    let order: Order = ada.order([(&product, 1)]).await;
    assert_eq!(admin.send(known(&tag)).await.status, 200, "a sale from any shard is a change");
    assert_eq!(admin.send(put(&tag, json!({"quantity": 2}))).await.problem(), (412, "precondition-failed"));
    let respread = admin.send(put(&tag, json!({"stock_shards": 2}))).await;
    assert_eq!(respread.status, 200, "which is none to whoever does not say how many there are: {respread:?}");
    assert_eq!(ada.delete(&order).await.status, 204);
    let remove = |tag: &str| admin.request(reqwest::Method::DELETE, &product.path).header("if-match", tag);
    assert_eq!(admin.send(remove(&tag)).await.problem(), (412, "precondition-failed"));
    let tag = admin.get(&product).await.header("etag").to_owned();
    assert_eq!(admin.send(remove(&tag)).await.status, 204);
}

#[tokio::test]
async fn a_page_takes_as_many_calls_however_much_its_stock_is_spread() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let mut names = Vec::new();
    for n in 0..25 {
        let name = format!("Set {n:02}");
        let body = Product::draft(&name).quantity(50).stock_shards(if n % 5 == 0 { 1 } else { n + 8 }).json();
        assert_eq!(admin.post("/products", body).await.status, 201);
        names.push(name);
    }
    let (mut path, mut seen) = ("/products?limit=10".to_owned(), Vec::new());
    loop {
        let page = app.anyone().get(&path).await;
        assert_eq!(app.operations(&page), ["Query"; 3], "products, a beginning of their stock, and the rest of it");
        let products = page["products"].as_array().unwrap();
        assert!(products.iter().all(|product| product["quantity"] == 50), "{products:?}");
        seen.extend(products.iter().map(|product| product["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/products?limit=10&cursor={cursor}");
    }
    assert_eq!(seen, names);
}

/// Sales, returns, spreading and gathering, all at once: the audit at the end of every test says whether anything was lost.
#[tokio::test]
async fn stock_is_spread_while_it_is_sold() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let product = admin.product(&unique("Set"), 30).await;

    let buy = async {
        let mut sold = 0;
        for round in 0..12 {
            let answers = join_all((0..4).map(|n| ada.post("/orders", lines([(&product, n % 3 + 1)])))).await;
            for (order, n) in answers.iter().zip(0..) {
                match order.status {
                    201 if (round + n) % 2 == 0 => sold += n % 3 + 1,
                    201 => assert_eq!(ada.delete(order.header("location")).await.status, 204),
                    _ => assert_eq!(order.problem(), (409, "out-of-stock")),
                }
            }
        }
        sold
    };
    let manage = async {
        for shards in [4, 2, 7, 1, 3, 8, 1, 5] {
            let changed = admin.put(&product, json!({"stock_shards": shards})).await;
            assert!([200, 503].contains(&changed.status), "{changed:?}");
        }
    };
    let (sold, ()) = tokio::join!(buy, manage);
    assert_eq!(admin.stock(&product).await, (30 - sold, sold));
}
