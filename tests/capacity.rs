//! What each route asks of DynamoDB, and what it costs there: the table in ARCHITECTURE.md.

use std::fmt::Write;

use serde_json::json;

use crate::app::{Answer, Order, PASSWORD, TestApp, line, lines};

#[tokio::test]
async fn the_architecture_tells_what_each_route_costs() {
    if std::env::var("DYNAMODB_URL").is_ok() {
        println!("skipped: the figures are those of the embedded DynamoDB");
        return;
    }
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada, anyone) = (app.admin().await, app.customer("ada").await, app.anyone());
    let (pen, ink) = (admin.product("Pen", 100).await, admin.product("Ink", 100).await);
    let mut table = String::from("| request | calls | read units | write units |\n|---|---|---|---|\n");
    let mut row = |request: &str, answer: &Answer| {
        assert!(answer.status < 300, "{request}: {answer:?}");
        let record = app.shop().request(answer.header("apigw-requestid")).expect("a record");
        // Closed routes: less the authorizer's own call, which is the same for all.
        let closed = record.operations.first().is_some_and(|first| first == "GetItem") && !request.contains('°');
        let (operations, read_units) =
            if closed { (&record.operations[1..], record.read_units - 1.0) } else { (&record.operations[..], record.read_units) };
        let request = request.replace('°', "");
        writeln!(table, "| {request} | {} | {read_units} | {} |", operations.join(", "), record.write_units).unwrap();
    };

    row("list 2 products°", &anyone.get("/products").await);
    row("get product°", &anyone.get(&pen).await);
    let created = admin.post("/products", json!({"name": "Nib", "price": 1, "quantity": 1})).await;
    row("create product", &created);
    let nib = created.header("location");
    row("update product", &admin.put(nib, json!({"price": 2})).await);
    row("rename product", &admin.put(nib, json!({"name": "Nibs"})).await);
    row("delete product", &admin.delete(nib).await);

    row("create order, empty", &ada.post("/orders", json!({})).await);
    let placed = ada.post("/orders", lines([(&pen, 1), (&ink, 1)])).await;
    row("create order, 2 lines", &placed);
    let order = Order { path: placed.header("location").to_owned() };
    let added = ada.post(order.items(), line(&pen, 1)).await;
    row("add line", &added);
    row("change line", &ada.put(order.item(&added), json!({"quantity": 2})).await);
    row("remove line", &ada.delete(order.item(&added)).await);
    row("get order, 2 lines", &ada.get(&order).await);
    row("list own orders", &ada.get("/orders").await);
    row("list all orders", &admin.get("/orders").await);
    row("confirm order, 2 lines", &ada.put(&order, json!({"status": "CONFIRMED"})).await);
    row("ship order, 2 lines", &admin.put(&order, json!({"status": "SHIPPED"})).await);
    row("deliver order, 2 lines", &admin.put(&order, json!({"status": "DELIVERED"})).await);
    let other = ada.order([(&pen, 1), (&ink, 1)]).await;
    row("cancel order, 2 lines", &ada.put(&other, json!({"status": "CANCELLED"})).await);
    let other = ada.order([(&pen, 1), (&ink, 1)]).await;
    row("delete order, 2 lines", &ada.delete(&other).await);

    let account = json!({"email": "bob@example.com", "username": "bob", "password": PASSWORD});
    row("register°", &anyone.post("/auth/register", account).await);
    let login = anyone.post("/auth/login", json!({"username": "bob", "password": PASSWORD})).await;
    row("log in°", &login);
    let bob = app.holder_of(&login);
    row("me", &bob.get("/auth/me").await);
    row("refresh°", &bob.refresh().await);
    row("log out", &bob.post("/auth/logout", json!({})).await);

    let architecture = std::fs::read_to_string(crate::app::workspace().join("ARCHITECTURE.md")).unwrap();
    assert!(architecture.contains(&table), "ARCHITECTURE.md should contain this table:\n{table}");
}
