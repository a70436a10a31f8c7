//! What the functions tell those who operate them: a line for every request, and the metrics in it.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    app::{Answer, Order, PASSWORD, TestApp, line, lines},
    bodies::{by_email, by_username},
};

const PATIENCE: Duration = Duration::from_secs(5);

/// The line that the function of this answer has left, and that of its authorizer if it had one.
async fn lines_of(app: &TestApp, answer: &Answer) -> (Value, Option<Value>) {
    let id = answer.header("x-request-id");
    let function = app.shop().request(id).and_then(|record| record.function).expect("a function answered");
    let logged = |line: &emulator::LogLine| line.function == function && line.text.contains(id);
    let own = app.shop().log_line(PATIENCE, logged).await.expect("a line under the request's id");
    // Before the function was asked, the authorizer had answered; its line may still be on its way.
    let authorized = |line: &emulator::LogLine| line.function == "authorizer" && line.text.contains(id);
    // A failed login tells whose it was, and nobody was asked.
    let names_caller = ["\"user_id\"", "\"token-revoked\""].iter().any(|sign| own.text.contains(sign));
    let asked = names_caller && !own.text.contains("POST /auth/login");
    let wait = if asked { PATIENCE } else { Duration::ZERO };
    let authorizer = app.shop().log_line(wait, authorized).await;
    let parse = |line: emulator::LogLine| serde_json::from_str(&line.text).unwrap_or_else(|_| panic!("no JSON: {}", line.text));
    (parse(own), authorizer.map(parse))
}

/// The metrics that CloudWatch would take from a line, by name and dimensions.
fn metrics(line: &Value) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    for directive in line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten() {
        assert_eq!(directive["Namespace"], "Stockroom");
        let [dimensions] = directive["Dimensions"].as_array().unwrap().as_slice() else { panic!("one set of dimensions") };
        let dimensions: Vec<_> = dimensions.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        for name in &dimensions {
            assert!(line[name].is_string(), "{name} is a dimension: {line}");
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            let values = dimensions.iter().skip(1).map(|dimension| line[dimension].as_str().unwrap());
            let key: Vec<_> = [name].into_iter().chain(values).collect();
            metrics.insert(key.join(" "), line[name].as_f64().expect("a number"));
        }
    }
    assert!(metrics.is_empty() || line["_aws"]["Timestamp"].is_i64(), "{line}");
    metrics
}

#[tokio::test]
async fn a_request_leaves_one_line_that_says_what_it_cost() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada, anyone) = (app.admin().await, app.customer("ada").await, app.anyone());
    let ada_id = ada.get("/auth/me").await["user_id"].clone();
    let (pen, ink) = (admin.product("Pen", 100).await, admin.product("Ink", 2).await);

    let mut answers = vec![
        anyone.get("/products").await,
        anyone.get(&pen).await,
        anyone.get("/nowhere").await,
        admin.put(&pen, json!({"name": "Pencil"})).await,
        anyone.post("/auth/login", by_username("nobody", PASSWORD)).await,
        ada.post("/orders", lines([(&pen, 1), (&ink, 2)])).await,
        ada.post("/orders", lines([(&ink, 1)])).await,
    ];
    let order = Order { path: answers[5].header("location").to_owned() };
    answers.push(ada.post(order.items(), line(&pen, 1)).await);
    answers.push(ada.put(&order, json!({"status": "CANCELLED"})).await);
    answers.push(ada.put(&order, json!({"status": "CANCELLED"})).await);
    answers.push(ada.get("/orders").await);
    answers.push(ada.refresh().await);
    answers.push(ada.post("/auth/logout", json!({"all": true})).await);
    answers.push(ada.get("/auth/me").await);

    let mut table = String::new();
    for answer in &answers {
        let record = app.shop().request(answer.header("x-request-id")).unwrap();
        let (own, authorizer) = lines_of(&app, answer).await;
        let sum = |name: &str| {
            [Some(&own), authorizer.as_ref()]
                .into_iter()
                .flatten()
                .map(|line| line[name].as_f64().unwrap_or_default())
                .sum::<f64>()
        };
        assert_eq!(
            (sum("calls"), sum("read_units"), sum("write_units"), sum("retries")),
            (f64::from(record.calls), record.read_units, record.write_units, 0.0),
            "{own} {authorizer:?} {record:?}"
        );
        assert_eq!(own["request_id"], answer.header("x-request-id"));
        assert_eq!(own["status"], answer.status);
        assert_eq!(own["cold_start"], record.cold);
        assert!(own["duration_ms"].as_f64().unwrap() > 0.0);
        assert!(own["function"].as_str().unwrap().ends_with("Function"), "{own}");
        if let Some(user) = own.get("user_id").filter(|user| **user != ada_id) {
            assert_eq!(record.method, "PUT", "only the admin's request is another's: {user}");
        }

        let text = |name: &str| own[name].as_str().unwrap_or("-").to_owned();
        // How many units is compared above, and told by `capacity`.
        let counted = metrics(&own).into_iter().filter(|(name, _)| !name.ends_with("_units"));
        let counted: Vec<_> = counted.map(|(name, amount)| format!("{name} {amount}")).collect();
        let who = authorizer.map_or("-".to_owned(), |line| line["status"].to_string());
        writeln!(table, "{} {} {}; authorizer {who}; {}", text("route"), own["status"], text("code"), counted.join(", "))
            .unwrap();
    }
    assert_snapshot!(table, @"
    GET /products 200 -; authorizer -; requests 1
    GET /products/{product_id} 200 -; authorizer -; requests 1
    $default 404 not-found; authorizer -; requests 1
    PUT /products/{product_id} 200 -; authorizer 200; requests 1
    POST /auth/login 401 invalid-credentials; authorizer -; logins_failed 1, requests 1
    POST /orders 201 -; authorizer 200; orders PENDING 1, requests 1
    POST /orders 409 out-of-stock; authorizer 200; requests 1
    POST /orders/{order_id}/items 201 -; authorizer 200; requests 1
    PUT /orders/{order_id} 200 -; authorizer 200; orders CANCELLED 1, requests 1
    PUT /orders/{order_id} 200 -; authorizer 200; requests 1
    GET /orders 200 -; authorizer 200; requests 1
    POST /auth/refresh 200 -; authorizer -; requests 1
    POST /auth/logout 204 -; authorizer 200; requests 1
    GET /auth/me 401 token-revoked; authorizer 401; requests 1
    ");
}

#[tokio::test]
async fn operations_leave_a_line_too() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    let ada_id = app.login(&email, PASSWORD).await.get("/auth/me").await["user_id"].clone();
    let done = app.shop().invoke("account-admin", json!({"email": email, "role": "admin"})).await;
    let refused = app.shop().invoke("account-admin", json!({"username": "nobody", "role": "admin"})).await;
    let mut told = String::new();
    for invocation in [done, refused] {
        let logged = |line: &emulator::LogLine| line.text.contains(&invocation.request_id);
        let line: Value = serde_json::from_str(&app.shop().log_line(PATIENCE, logged).await.unwrap().text).unwrap();
        let counted: Vec<_> = metrics(&line).into_keys().collect();
        let (status, code, role) = (&line["status"], &line["code"], &line["role"]);
        let whose = if line["account_id"] == ada_id { "ada" } else { "nobody" };
        writeln!(told, "{status} {code} {whose} {role} {}; {}", line["is_active"], counted.join(", ")).unwrap();
    }
    assert_snapshot!(told, @r#"
    200 null ada "admin" null; read_units, write_units
    404 "not-found" nobody null null; read_units
    "#);
}

#[tokio::test]
async fn failed_logins_tell_whose_and_are_counted_when_they_are_closed_too() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    let ada_id = app.login(&email, PASSWORD).await.get("/auth/me").await["user_id"].clone();
    let mut told = Vec::new();
    for _ in 0..12 {
        let answer = app.anyone().post("/auth/login", by_email(&email, "wrong")).await;
        let (line, _) = lines_of(&app, &answer).await;
        assert_eq!(line["user_id"], ada_id, "{line}");
        assert_eq!(metrics(&line).get("logins_failed").map(ToString::to_string).as_deref(), Some("1"), "{line}");
        told.push(answer.status);
    }
    assert_eq!(told, [vec![401; 10], vec![429; 2]].concat());
}

#[tokio::test]
async fn conflicts_are_counted_and_so_is_giving_up() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let product = admin.product("Pen", 3).await;
    app.shop().inject(Some("conflict=100%,seed=1".parse().expect("faults")));
    let given_up = admin.put(&product, json!({"price": 2})).await;
    app.shop().inject(None);
    assert_eq!(given_up.problem(), (503, "unavailable"));
    let (line, _) = lines_of(&app, &given_up).await;
    let counted = metrics(&line);
    assert_eq!((counted["conflicts_exhausted"], counted["errors"]), (1.0, 1.0), "{line}");
    assert!(counted["conflicts"] >= 4.0, "tried for almost three seconds: {line}");
    assert_eq!((&line["level"], line["retries"].as_f64()), (&json!("ERROR"), Some(counted["conflicts"])), "{line}");
    assert!(line["error"].as_str().unwrap().contains("other writes"), "{line}");
}

#[tokio::test]
async fn the_trace_of_a_request_reaches_the_database() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let mut traces = Vec::new();
    for _ in 0..2 {
        let run = app.shop().invoke("order-expire", json!({})).await;
        let [trace] = run.usage.traces.as_slice() else { panic!("one trace in {:?}", run.usage) };
        assert!(trace.starts_with("Root=1-"), "{trace}");
        traces.push(trace.clone());
    }
    assert_ne!(traces[0], traces[1], "each has its own");
}
