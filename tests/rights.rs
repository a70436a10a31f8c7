//! Who may do what: every route of template.yaml for every kind of caller.

use std::fmt::Write;

use emulator::{Options, Outcome};
use insta::assert_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    accounts::{outdate_hash, set_session},
    app::{self, Actor, Order, PASSWORD, Product, TestApp, line, lines, unique, workspace},
    bodies::{self, by_email, by_username},
    mails::token_in,
    orders::{age, bring, expire},
    products::hide_stock,
    tokens::{claims_of, header, sign},
};

/// A route, and a request for it from events/.
struct Example {
    route: String,
    binary: String,
    closed: bool,
    event: Value,
}

fn examples() -> Vec<Example> {
    let template = app::template("test");
    let mut examples: Vec<_> = template
        .routes
        .into_iter()
        .map(|route| {
            let function = template.functions.iter().find(|function| function.id == route.function).unwrap();
            let file = workspace().join("events").join(format!("{}.json", function.binary));
            let event = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            Example { route: route.key, binary: function.binary.clone(), closed: route.authorizer.is_some(), event }
        })
        .collect();
    examples.sort_by(|one, other| one.route.cmp(&other.route));
    examples
}

/// Sends the example, about things that exist: a product, and an order of `owner` with one line.
async fn ask(who: &Actor, example: &Example, owner: &Actor, admin: &Actor) -> u16 {
    let (method, route) = example.route.split_once(' ').unwrap_or(("GET", ""));
    let mut path = example.event["rawPath"].as_str().unwrap().to_owned();
    let mut body = example.event["body"].as_str().map(|body| serde_json::from_str::<Value>(body).unwrap());
    let product = admin.product(&unique("Pen"), 9).await;
    if route.contains("{proxy+}") {
        "/orders".clone_into(&mut path);
    }
    if route.contains("{product_id}") {
        path = route.replace("{product_id}", &product.id);
    }
    if route.contains("{order_id}") {
        let order = owner.order([(&product, 1)]).await;
        let item = owner.get(&order).await["items"][0]["order_item_id"].as_str().unwrap().to_owned();
        let id = order.path.strip_prefix("/orders/").unwrap();
        path = route.replace("{order_id}", id).replace("{item_id}", &item);
    }
    if route.contains("{user_id}") || route.contains("{session_id}") {
        let id = |whose: &Actor, name: &str| {
            let token = whose.token.as_deref().filter(|token| token.contains('.'));
            token.map_or_else(|| uuid::Uuid::now_v7().to_string(), |token| claims_of(token)[name].as_str().unwrap().to_owned())
        };
        path = route.replace("{user_id}", &id(owner, "sub")).replace("{session_id}", &id(who, "sid"));
    }
    if let Some(body) = &mut body {
        if route == "/auth/password" {
            *body = json!({"password": PASSWORD, "new_password": PASSWORD});
        }
        if !body["product_id"].is_null() {
            body["product_id"] = json!(product.id);
        }
        if !body["items"][0]["product_id"].is_null() {
            body["items"][0]["product_id"] = json!(product.id);
        }
        if route == "/products" {
            body["name"] = json!(unique("Pen"));
        }
        if route == "/auth/register" {
            let username = unique("ada");
            body["email"] = json!(format!("{username}@example.com"));
            body["username"] = json!(username);
        }
    }
    let mut request = who.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = who.send(request).await;
    if answer.status == 401 && who.token.is_some() && example.closed {
        let challenge = match answer.problem().1 {
            "token-expired" | "token-revoked" => "Bearer error=\"invalid_token\"",
            // The password in the example is nobody's.
            "invalid-credentials" => "Bearer",
            other => panic!("{other}: {answer:?}"),
        };
        assert_eq!(answer.header("www-authenticate"), challenge);
    }
    answer.status
}

/// A route that is added to template.yaml shows up here, and its rights must be looked at before the line is accepted.
#[tokio::test]
async fn every_route_lets_in_whom_it_should() {
    let app = TestApp::start().await;
    if std::env::var("API_URL").is_ok() && std::env::var("SIGNING_KEY").is_err() {
        println!("skipped: to forge tokens for a deployed stack takes SIGNING_KEY_ID and SIGNING_KEY");
        return;
    }
    let (kid, secret) = app.signing_key().await;
    let (email, _) = app.register("other").await;
    let (owner_email, _) = app.register("owner").await;

    let mut table = format!("{:41} none garbage forged expired revoked other owner admin\n", "route");
    for example in examples() {
        // Fresh sessions: some routes end them, and the admins of a deployed stack are one and the same.
        let operator = app.admin().await;
        let (other, owner, admin) =
            (app.login(&email, PASSWORD).await, app.login(&owner_email, PASSWORD).await, app.admin().await);
        let expired = {
            let mut claims = claims_of(admin.token.as_ref().unwrap());
            for (name, seconds) in [("iat", 1000), ("nbf", 1000), ("exp", 100)] {
                claims[name] = json!(claims[name].as_i64().unwrap() - seconds - 900);
            }
            app.bearer(sign(&header(&kid), &claims, secret.as_bytes()))
        };
        let forged =
            app.bearer(sign(&header(&kid), &claims_of(admin.token.as_ref().unwrap()), b"a guess at the secret, which is wrong"));
        let revoked = app.admin().await;
        assert_eq!(revoked.post("/auth/logout", json!({})).await.status, 204);

        write!(table, "{:41}", example.route).unwrap();
        for (width, who) in [
            (4, &app.anyone()),
            (7, &app.bearer("garbage")),
            (6, &forged),
            (7, &expired),
            (7, &revoked),
            (5, &other),
            (5, &owner),
            (5, &admin),
        ] {
            // No route of an order ends its owner's session.
            write!(table, " {:width$}", ask(who, &example, &owner, &operator).await).unwrap();
        }
        table.push('\n');
    }
    assert_snapshot!(table, @"
    route                                     none garbage forged expired revoked other owner admin
    $default                                   404     404    404     404     404   404   404   404
    DELETE /auth/me                            401     403    403     401     401   401   401   401
    DELETE /auth/sessions/{session_id}         401     403    403     401     401   204   204   204
    DELETE /orders/{order_id}                  401     403    403     401     401   404   204   204
    DELETE /orders/{order_id}/items/{item_id}  401     403    403     401     401   404   204   204
    DELETE /products/{product_id}              401     403    403     401     401   403   403   204
    GET /.well-known/jwks.json                 200     200    200     200     200   200   200   200
    GET /asyncapi.json                         200     200    200     200     200   200   200   200
    GET /auth/me                               401     403    403     401     401   200   200   200
    GET /auth/sessions                         401     403    403     401     401   200   200   200
    GET /docs                                  200     200    200     200     200   200   200   200
    GET /docs/{file}                           200     200    200     200     200   200   200   200
    GET /openapi-3.0.json                      200     200    200     200     200   200   200   200
    GET /openapi.json                          200     200    200     200     200   200   200   200
    GET /orders                                401     403    403     401     401   200   200   200
    GET /orders/{order_id}                     401     403    403     401     401   404   200   200
    GET /products                              200     200    200     200     200   200   200   200
    GET /products/{product_id}                 200     200    200     200     200   200   200   200
    GET /products/{product_id}/movements       401     403    403     401     401   403   403   200
    GET /products/{product_id}/stock           401     403    403     401     401   403   403   200
    GET /users                                 401     403    403     401     401   403   403   200
    GET /users/{user_id}                       401     403    403     401     401   403   403   200
    OPTIONS /{proxy+}                          204     204    204     204     204   204   204   204
    POST /auth/login                           401     401    401     401     401   401   401   401
    POST /auth/logout                          401     403    403     401     401   204   204   204
    POST /auth/recovery                        202     202    202     202     202   202   202   202
    POST /auth/refresh                         401     401    401     401     401   401   401   401
    POST /auth/register                        201     201    201     201     201   201   201   201
    POST /auth/verification                    401     403    403     401     401   202   202   202
    POST /orders                               401     403    403     401     401   201   201   201
    POST /orders/{order_id}/items              401     403    403     401     401   404   201   201
    POST /products                             401     403    403     401     401   403   403   201
    POST /products/{product_id}/movements      401     403    403     401     401   403   403   201
    PUT /auth/me                               401     403    403     401     401   401   401   401
    PUT /auth/password                         401     403    403     401     401   204   204   204
    PUT /auth/recovery                         401     401    401     401     401   401   401   401
    PUT /auth/verification                     401     401    401     401     401   401   401   401
    PUT /orders/{order_id}                     401     403    403     401     401   404   200   200
    PUT /orders/{order_id}/items/{item_id}     401     403    403     401     401   404   200   200
    PUT /products/{product_id}                 401     403    403     401     401   403   403   200
    PUT /users/{user_id}                       401     403    403     401     401   403   403   200
    ");
}

#[tokio::test]
async fn a_function_that_is_told_no_caller_refuses() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    for example in examples().into_iter().filter(|example| example.closed) {
        let whole = example.event["requestContext"]["authorizer"]["lambda"].clone();
        let mut contexts =
            vec![(json!(null), 401), (json!({}), 401), (json!({"lambda": null}), 401), (json!({"lambda": {}}), 401)];
        for name in ["user_id", "role", "session_id"] {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(name);
            contexts.push((json!({"lambda": part}), 401));
            part[name] = json!("x");
            contexts.push((json!({"lambda": part}), 401));
        }
        for (reason, status) in [("expired", 401), ("revoked", 401), ("unavailable", 503), ("", 401)] {
            let mut refused = whole.clone();
            refused["refused"] = json!(reason);
            contexts.push((json!({"lambda": refused}), status));
        }
        for (context, status) in contexts {
            let mut event = example.event.clone();
            event["requestContext"]["authorizer"] = context.clone();
            let Outcome::Payload(answer) = app.shop().invoke(&example.binary, event).await.outcome else {
                panic!("{}: {context}", example.route);
            };
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["statusCode"], status, "{}: {context}: {answer}", example.route);
        }
    }
}

/// Sends the last token that was mailed to an address where it belongs.
async fn redeem(app: &TestApp, address: &str, purpose: &str, mut body: Value) -> u16 {
    app.shop().settled().await;
    let mails = app.shop().mails();
    let token = mails.iter().rev().filter(|mail| mail.to == [address]).find_map(token_in);
    body["token"] = json!(token.expect("a token"));
    app.anyone().put(format!("/auth/{purpose}"), body).await.status
}

/// The policies of template.yaml are enforced in every test, so that a right that is missing shows wherever it is needed. Here
/// every function does all that it ever does, so that one that nobody needs shows too.
#[tokio::test]
async fn no_function_may_do_what_it_need_not() {
    let everything = |options: &mut Options| {
        options.parameters.insert("PendingOrderHours".into(), "1".into());
        options.parameters.insert("OrderShards".into(), "2".into());
        options.parameters.insert("MaxOpenOrders".into(), "100".into());
        options.parameters.insert("AttemptsPerAddress".into(), "1000".into());
    };
    let Some(app) = TestApp::start_local(everything).await else { return };
    let (admin, anyone) = (app.admin().await, app.anyone());
    let (email, username) = app.register("ada").await;
    let ada = app.login(&email, PASSWORD).await;
    let ada_id = ada.get("/auth/me").await["user_id"].clone();

    // Products, by name and otherwise, given another name and SKU, and deleted.
    let (pen, ink) = (admin.product("Pen", 100).await, admin.product("Ink", 100).await);
    let keyed = |path: &str, body: Value| {
        let request = admin.request(Method::POST, path).header("idempotency-key", unique("key")).json(&body);
        async { admin.send(request).await }
    };
    let nib = keyed("/products", Product::draft("Nib").with("sku", "NIB-1").json()).await;
    assert_eq!(admin.put(nib.header("location"), json!({"name": "Nibs", "sku": "NIB-2"})).await.status, 200);
    assert_eq!(admin.delete(nib.header("location")).await.status, 204);
    assert_eq!(anyone.get("/products").await.status, 200);
    assert_eq!(anyone.get(&pen).await.status, 200);

    // Pieces that come in, are counted and are looked at.
    let movements = format!("{}/movements", pen.path);
    assert_eq!(keyed(&movements, json!({"amount": 5})).await.status, 201);
    assert_eq!(admin.put(&pen, json!({"quantity": 100})).await.status, 200);
    for path in [movements, format!("{}/stock", pen.path)] {
        assert_eq!(admin.get(path).await.status, 200);
    }

    // A list of a product whose stock the index does not have yet.
    hide_stock(&app, &pen).await;
    assert_eq!(anyone.get("/products").await.status, 200);

    // Orders, for oneself and for a customer, of products that are there or not, and back again.
    let for_ada = |product: &str| json!({"customer_id": ada_id, "items": [bodies::line(product, 1)]});
    let order = Order { path: keyed("/orders", for_ada(&pen.id)).await.header("location").to_owned() };
    let nothing = "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f";
    assert_eq!(keyed("/orders", for_ada(nothing)).await.problem().1, "unknown-product");
    assert_eq!(keyed(&order.items(), bodies::line(nothing, 1)).await.problem().1, "unknown-product");
    let added = keyed(&order.items(), line(&ink, 5)).await;
    assert_eq!(ada.put(order.item(&added), json!({"quantity": 3})).await.status, 200);
    assert_eq!(ada.delete(order.item(&added)).await.status, 204);
    for list in ["/orders".to_owned(), format!("/orders?customer_id={}", ada_id.as_str().unwrap())] {
        assert_eq!(admin.get(list).await.status, 200);
    }
    bring(&admin, &order, "SHIPPED").await;
    let back = json!({"status": "CANCELLED", "reason": "sent back", "restock": true});
    assert_eq!(admin.put(&order, back).await.status, 200);
    assert_eq!(admin.delete(&order).await.status, 204);
    let pending = ada.post("/orders", lines([(&pen, 1)])).await;
    assert_eq!(ada.get(pending.header("location")).await.status, 200);
    assert_eq!(ada.delete(pending.header("location")).await.status, 204);
    let forgotten = ada.order([(&pen, 1)]).await;
    age(&app, &forgotten, 2).await;
    assert_eq!(expire(&app).await["cancelled"], 1);

    // Stock that is spread over many items, and more at once than any of them has.
    let set = Product::draft("Set").quantity(12).stock_shards(4).json();
    let set = Product::of(&keyed("/products", set).await);
    assert_eq!(admin.put(&set, json!({"price": 2, "stock_shards": 6})).await.status, 200);
    assert_eq!(anyone.get("/products").await.status, 200);
    assert_eq!(admin.post(format!("{}/movements", set.path), json!({"amount": 6})).await.status, 201);
    assert_eq!(admin.post(format!("{}/movements", set.path), json!({"amount": -6})).await.status, 201);
    assert_eq!(keyed(&format!("{}/movements", set.path), json!({"amount": -60})).await.problem().1, "out-of-stock");
    let tag = admin.get(&set).await.header("etag").to_owned();
    let counted = admin.request(Method::PUT, &set.path).header("if-match", tag).json(&json!({"quantity": 12}));
    assert_eq!(admin.send(counted).await.status, 200);
    let order = ada.order([(&set, 7)]).await;
    assert_eq!(ada.post(order.items(), line(&set, 70)).await.problem().1, "out-of-stock");
    let added = ada.post(order.items(), line(&set, 3)).await;
    assert_eq!(ada.put(order.item(&added), json!({"quantity": 5})).await.status, 200);
    assert_eq!(ada.put(order.item(&added), json!({"quantity": 70})).await.problem().1, "out-of-stock");
    assert_eq!(ada.post("/orders", lines([(&set, 70)])).await.problem().1, "out-of-stock");
    assert_eq!(ada.delete(&order).await.status, 204);
    assert_eq!(admin.delete(&set).await.status, 204);

    // Accounts, by e-mail address and username, with a failure, an old hash, a stolen refresh token and every way out.
    for name in [by_email(&email, "wrong"), by_username(&username, "wrong")] {
        assert_eq!(anyone.post("/auth/login", name).await.status, 401);
    }
    outdate_hash(&app, ada_id.as_str().unwrap()).await;
    let login = anyone.post("/auth/login", by_username(&username, PASSWORD)).await;
    let mut session = app.holder_of(&login);
    let stolen = session.clone();
    session = app.holder_of(&session.refresh().await);
    set_session(&app, &session, "replacements", json!({"L": [{"N": "1"}]})).await;
    assert_eq!(stolen.refresh().await.status, 401);
    assert_eq!(session.refresh().await.status, 401);
    assert_eq!(app.login(&email, PASSWORD).await.post("/auth/logout", json!({})).await.status, 204);
    assert_eq!(ada.post("/auth/logout", json!({"all": true})).await.status, 204);
    app.login(&email, PASSWORD).await;
    for order in [json!({"email": email, "is_active": true}), json!({"username": username, "is_active": true})] {
        assert!(matches!(app.shop().invoke("account-admin", order).await.outcome, Outcome::Payload(_)));
    }
    // Everything that owners and admins do about accounts.
    let (bob_email, _) = app.register("bob").await;
    assert_eq!(redeem(&app, &bob_email, "verification", json!({})).await, 204);
    assert_eq!(anyone.post("/auth/recovery", json!({"email": bob_email})).await.status, 202);
    assert_eq!(redeem(&app, &bob_email, "recovery", json!({"new_password": PASSWORD})).await, 204);
    assert_eq!(anyone.post("/auth/recovery", json!({"email": email})).await.status, 202);
    let (eve_email, _) = app.register("eve").await;
    assert_eq!(anyone.post("/auth/recovery", json!({"email": eve_email})).await.status, 202);
    assert_eq!(redeem(&app, &eve_email, "recovery", json!({"new_password": PASSWORD})).await, 204);
    let eve = app.customer("eve").await;
    assert_eq!(eve.send(eve.request(Method::POST, "/auth/verification")).await.status, 202);
    let bob = app.login(&bob_email, PASSWORD).await;
    let names = |email: &str| json!({"username": unique("bob"), "email": email, "password": PASSWORD});
    assert_eq!(bob.put("/auth/me", json!({"username": unique("bob"), "password": "wrong"})).await.status, 401);
    assert_eq!(bob.put("/auth/me", names(&bob_email)).await.status, 200);
    assert_eq!(bob.put("/auth/me", json!({"email": bob_email, "password": PASSWORD})).await.status, 200);
    let bob_email = format!("{}@example.com", unique("robert"));
    assert_eq!(bob.put("/auth/me", names(&bob_email)).await.status, 200);
    assert_eq!(redeem(&app, &bob_email, "verification", json!({})).await, 204);
    assert_eq!(anyone.post("/auth/recovery", json!({"email": bob_email})).await.status, 202);
    assert_eq!(redeem(&app, &bob_email, "recovery", json!({"new_password": PASSWORD})).await, 204);
    let bob = app.login(&bob_email, PASSWORD).await;
    let bob_path = format!("/users/{}", bob.get("/auth/me").await["user_id"].as_str().unwrap());
    let changed = json!({"password": PASSWORD, "new_password": "Quittengelee mit Nelken"});
    assert_eq!(bob.put("/auth/password", json!({"password": "wrong", "new_password": "wrong"})).await.status, 401);
    assert_eq!(bob.put("/auth/password", changed).await.status, 204);
    let sessions = bob.get("/auth/sessions").await;
    let ended = format!("/auth/sessions/{}", sessions["sessions"][0]["session_id"].as_str().unwrap());
    assert_eq!(bob.delete(ended).await.status, 204);
    for path in ["/users", bob_path.as_str()] {
        assert_eq!(admin.get(path).await.status, 200);
    }
    for (role, active) in [("customer", true), ("admin", true), ("customer", true)] {
        assert_eq!(admin.put(&bob_path, json!({"role": role, "is_active": active})).await.status, 200);
    }
    assert_eq!(anyone.get("/.well-known/jwks.json").await.status, 200);
    let bob = app.login(&bob_email, "Quittengelee mit Nelken").await;
    let mut kept = lines([(&pen, 1)]);
    kept["metadata"] = json!({"note": "for Bob"});
    bob.post("/orders", kept).await;
    let sent = bob.order([(&pen, 1)]).await;
    bring(&admin, &sent, "SHIPPED").await;
    let good = json!({"password": "Quittengelee mit Nelken"});
    let erase = async |body: &Value| bob.send(bob.request(Method::DELETE, "/auth/me").json(body)).await;
    assert_eq!(erase(&json!({"password": "wrong"})).await.status, 401);
    assert_eq!(erase(&good).await.problem().1, "open-orders");
    assert_eq!(admin.put(&sent, json!({"status": "DELIVERED"})).await.status, 200);
    assert_eq!(admin.put(&bob_path, json!({"role": "admin"})).await.status, 200);
    let bob = app.login(&bob_email, "Quittengelee mit Nelken").await;
    assert_eq!(bob.send(bob.request(Method::DELETE, "/auth/me").json(&good)).await.status, 204);

    assert!(matches!(app.shop().invoke("mail-feedback", json!({"deliverable": email})).await.outcome, Outcome::Payload(_)));
    assert!(matches!(app.shop().invoke("secret-rotate", json!({})).await.outcome, Outcome::Payload(_)));
    let rotated = app.shop().invoke("secret-rotate", json!({"force": true})).await.outcome;
    assert!(matches!(&rotated, Outcome::Payload(report) if report == "{\"rotated\":true}"), "{rotated:?}");

    // What was told of a product's stock goes with it; and all is told again.
    let last = admin.product("Last", 1).await;
    app.shop().settled().await;
    admin.order([(&last, 1)]).await;
    let spread = Product::of(&admin.post("/products", Product::draft("Rare").quantity(2).stock_shards(2).json()).await);
    assert_eq!(admin.post(format!("{}/movements", spread.path), json!({"amount": -2})).await.status, 201);
    app.shop().settled().await;
    assert_eq!(admin.delete(&spread).await.status, 204);
    app.shop().settled().await;
    for kind in ["products", "orders", "movements", "accounts"] {
        let replayed = app.shop().invoke("event-replay", json!({"kind": kind})).await.outcome;
        assert!(matches!(&replayed, Outcome::Payload(report) if report.ends_with(b"\"next_cursor\":null}")), "{replayed:?}");
    }

    assert_eq!(app.shop().unused_rights(), [""; 0]);
}

/// No function names all partitions, or none, whatever its policies say about those that it names.
#[tokio::test]
async fn no_function_reads_or_drops_the_whole_table() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let template = app::template("test");
    let table = json!({"TableName": app.table()});
    for function in &template.functions {
        for operation in ["Scan", "ExecuteStatement", "DescribeTable", "UpdateTable", "DeleteTable"] {
            let refusal = app.shop().denial(&function.binary, operation, &table);
            assert!(refusal.is_some(), "{} may {operation}", function.binary);
        }
    }
    // As a check of the check.
    let own = json!({"TableName": app.table(), "Key": {"pk": {"S": "USER#1"}, "sk": {"S": "USER"}}});
    assert_eq!(app.shop().denial("auth-me", "GetItem", &own), None);
}

/// Every function tries to write to every kind of partition, in every way: none reaches further than its part of the shop.
#[tokio::test]
async fn no_function_writes_to_another_part_of_the_shop() {
    const PARTITIONS: [&str; 21] = [
        "PRODUCT",
        "PRODUCT_NAME",
        "SKU",
        "MOVEMENTS",
        "LEVEL",
        "ORDER",
        "USER",
        "PASSWORD",
        "SESSIONS",
        "SIGNING_KEYS",
        "TICKETS",
        "NOTICES",
        "ADMINS",
        "EMAIL",
        "USERNAME",
        "ATTEMPTS",
        "ADDRESS",
        "IDEMPOTENCY",
        "SETTINGS",
        "PRODUCTS",
        "ELSE",
    ];
    const READERS: [&str; 16] = [
        "authorizer",
        "auth-keys",
        "auth-me",
        "auth-session-list",
        "docs",
        "event-replay",
        "fallback",
        "mail-send",
        "movement-list",
        "order-get",
        "order-list",
        "product-get",
        "product-list",
        "stock-get",
        "user-get",
        "user-list",
    ];
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let template = app::template("test");
    let part = |binary: &str| -> &[&str] {
        match binary {
            reader if READERS.contains(&reader) => &[],
            // Whoever has a session can end or prolong it, and not become an admin with it.
            "auth-logout" | "auth-refresh" | "auth-session-end" => &["SESSIONS"],
            "secret-rotate" => &["SIGNING_KEYS"],
            // Whoever checks a password changes nobody's name or role.
            "auth-login" => &["PASSWORD", "SESSIONS", "SIGNING_KEYS", "ATTEMPTS", "ADDRESS"],
            "auth-password" => &["PASSWORD", "SESSIONS", "NOTICES", "ATTEMPTS", "ADDRESS"],
            // Whoever changes names has no way to a password, and whoever sends a token none to anything else.
            "auth-me-update" => &["USER", "USERNAME", "TICKETS", "NOTICES", "ATTEMPTS", "ADDRESS"],
            "auth-recovery-start" => &["TICKETS", "ADDRESS"],
            "auth-verification-send" => &["TICKETS"],
            "auth-recovery" => &["USER", "PASSWORD", "SESSIONS", "TICKETS", "NOTICES", "ATTEMPTS"],
            "auth-verification" => &["USER", "EMAIL", "TICKETS"],
            "mail-feedback" => &["EMAIL"],
            "auth-register" => &["USER", "PASSWORD", "EMAIL", "USERNAME", "TICKETS", "ADDRESS"],
            // Whoever decides about accounts has no way to their passwords.
            "user-update" | "account-admin" => &["USER", "ADMINS", "SESSIONS"],
            "auth-me-delete" => &[
                "USER", "PASSWORD", "EMAIL", "USERNAME", "ADMINS", "SESSIONS", "TICKETS", "NOTICES", "ATTEMPTS", "ADDRESS",
                "ORDER", "PRODUCT", "SETTINGS",
            ],
            // Whoever tells what has happened keeps in mind what it told, and changes nothing of it.
            "event-publish" => &["LEVEL"],
            _ if binary.starts_with("product-") => &["PRODUCT", "PRODUCT_NAME", "SKU", "MOVEMENTS", "IDEMPOTENCY"],
            "movement-create" => &["PRODUCT", "MOVEMENTS", "IDEMPOTENCY"],
            _ if binary.starts_with("order-") => &["PRODUCT", "ORDER", "IDEMPOTENCY", "SETTINGS"],
            other => panic!("which part of the shop is {other} for?"),
        }
    };
    let mut allowed = 0;
    for function in &template.functions {
        for partition in PARTITIONS {
            let key = json!({"pk": {"S": format!("{partition}#1")}, "sk": {"S": partition}});
            // Those that stand alone.
            let alone = ["SETTINGS", "SIGNING_KEYS", "ADMINS"].contains(&partition);
            let key = if alone { json!({"pk": {"S": partition}, "sk": {"S": "x"}}) } else { key };
            let table = app.table();
            for (operation, body) in [
                ("PutItem", json!({"TableName": table, "Item": key})),
                ("UpdateItem", json!({"TableName": table, "Key": key})),
                ("DeleteItem", json!({"TableName": table, "Key": key})),
                ("BatchWriteItem", json!({"RequestItems": {table: [{"PutRequest": {"Item": key}}]}})),
                ("TransactWriteItems", json!({"TransactItems": [{"Put": {"TableName": table, "Item": key}}]})),
            ] {
                let binary = &function.binary;
                if app.shop().denial(binary, operation, &body).is_none() {
                    allowed += 1;
                    assert!(part(binary).contains(&partition), "{binary} may {operation} in {partition}");
                }
            }
        }
    }
    assert!(allowed > 40, "{allowed}: the functions may do what they need");
}

#[tokio::test]
async fn a_right_that_is_missing_is_missed() {
    let template = std::fs::read_to_string(workspace().join("template.yaml")).unwrap();
    let of_product_get = template.split_once("\n  ProductGetFunction:\n").unwrap().1.split_once("Events:").unwrap().0;
    for (granted, instead) in [("dynamodb:Query", "dynamodb:GetItem"), ("PRODUCT#*", "USER#*")] {
        assert_eq!(of_product_get.matches(granted).count(), 1);
        let changed = template.replace(of_product_get, &of_product_get.replace(granted, instead));
        let file = std::env::temp_dir().join(format!("{}.yaml", unique("template")));
        std::fs::write(&file, changed).unwrap();
        let start = TestApp::start_local(|options| options.template.clone_from(&file)).await;
        std::fs::remove_file(&file).unwrap();
        let Some(app) = start else { return };

        let pen = app.admin().await.product("Pen", 1).await;
        let refused = app.anyone().get(&pen).await;
        assert_eq!(refused.problem(), (500, "internal-error"), "{instead}");
        let id = refused.header("x-request-id");
        let told = |line: &emulator::LogLine| line.text.contains(id) && line.text.contains("AccessDeniedException");
        let line = app.shop().log_line(std::time::Duration::from_secs(5), told).await.expect("the log tells why");
        assert!(line.text.contains("is not authorized to perform: dynamodb:Query on resource"), "{}", line.text);
    }
}
