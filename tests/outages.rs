//! What clients see when something behind the API is broken.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use emulator::{FaultKind, Store};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    app::{Answer, Product, TestApp, line, lines, unique},
    bodies::by_username,
};

/// How long a client may wait for the news.
const PATIENCE: Duration = Duration::from_secs(4);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Open,
    /// Connections are taken, and nothing ever comes back.
    BlackHole,
    /// Connections are refused, and those that were open are cut.
    Closed,
}

/// A wire to a server, which can be blocked.
struct Wire {
    url: String,
    way: watch::Sender<Way>,
}

impl Wire {
    async fn to(url: &str) -> Self {
        let server = url.strip_prefix("http://").expect("a plain URL").to_owned();
        let mut listener = Some(TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.as_ref().unwrap().local_addr().unwrap();
        let (sender, mut way) = watch::channel(Way::Open);
        tokio::spawn(async move {
            loop {
                let now = *way.borrow_and_update();
                if now == Way::Closed {
                    listener = None;
                } else if listener.is_none() {
                    listener = Some(TcpListener::bind(address).await.unwrap());
                }
                let accepted = async {
                    match &listener {
                        Some(listener) => listener.accept().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    Ok((client, _)) = accepted => {
                        tokio::spawn(carry(client, server.clone(), way.clone()));
                    }
                    changed = way.changed() => if changed.is_err() { return },
                }
            }
        });
        Self { url: format!("http://{address}"), way: sender }
    }

    fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn carry(mut client: TcpStream, server: String, mut way: watch::Receiver<Way>) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    if *way.borrow_and_update() == Way::Open {
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = way.changed() => {}
        }
    }
    // Held open and silent for as long as the way is a black hole.
    while *way.borrow_and_update() == Way::BlackHole && way.changed().await.is_ok() {}
}

#[tokio::test]
async fn a_database_that_is_away_is_told_in_time_and_forgiven() {
    let Some(database) = TestApp::start_local(|_| {}).await else { return };
    let wire = Wire::to(database.shop().dynamodb_url()).await;
    let app = TestApp::start_local(|options| options.store = Store::Url(wire.url.clone())).await.unwrap();
    // This test's own runtime carries the wire, and stands still while the shop is dropped: the audit is at the end of the test.
    app.tampered();
    let (admin, customer, anyone) = (app.admin().await, app.customer("ada").await, app.anyone());
    let product = admin.product("Pen", 3).await;
    let body = || Product::draft("Ink").json();

    for way in [Way::BlackHole, Way::Closed] {
        wire.set(way);
        let timed = async |method: Method, path: &str, body: serde_json::Value| {
            let start = Instant::now();
            let answer = admin.send(admin.request(method, path).json(&body)).await;
            (answer, start.elapsed())
        };
        let answers: Vec<(Answer, Duration)> = join_all(vec![
            timed(Method::GET, "/products", json!({})),
            timed(Method::GET, product.as_ref(), json!({})),
            timed(Method::POST, "/products", body()),
            timed(Method::PUT, product.as_ref(), body()),
            timed(Method::DELETE, product.as_ref(), json!({})),
            timed(Method::GET, "/auth/me", json!({})),
            timed(Method::POST, "/auth/logout", json!({})),
            timed(Method::POST, "/auth/login", by_username("nobody", "whatever it is")),
            timed(Method::POST, "/auth/refresh", json!({"refresh_token": customer.refresh_token})),
        ])
        .await;
        for (answer, took) in answers {
            assert_eq!(answer.problem(), (503, "unavailable"), "{way:?}");
            assert!(answer.header("retry-after").parse::<u32>().is_ok());
            assert!(took < PATIENCE, "{way:?}: {took:?}");
            assert!(!answer["detail"].as_str().unwrap().contains("127.0.0.1"), "no innards: {answer:?}");
        }

        wire.set(Way::Open);
        assert_eq!(anyone.get(&product).await.status, 200, "after {way:?}");
        assert_eq!(admin.get("/auth/me").await.status, 200, "after {way:?}");
        assert_eq!(admin.put(&product, json!({"quantity": 7})).await.status, 200, "after {way:?}");
    }
    assert_eq!(app.shop().audit().await.unwrap(), []);
}

#[tokio::test]
async fn writes_that_meet_others_are_repeated_or_told_to_be() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (email, _) = app.register("ada").await;
    let mut sessions = Vec::new();
    for _ in 0..15 {
        sessions.push(app.login(&email, crate::app::PASSWORD).await);
    }

    // One that meets another is made nevertheless, whatever it does to its item.
    app.shop().inject_next("TransactWriteItems", FaultKind::Conflict).await;
    let other = app.customer("bob").await;
    app.shop().inject_next("UpdateItem", FaultKind::Conflict).await;
    assert_eq!(other.refresh().await.status, 200);
    app.shop().inject_next("DeleteItem", FaultKind::Conflict).await;
    assert_eq!(other.post("/auth/logout", json!({"all": true})).await.status, 204);
    assert_eq!(app.shop().faults()[&FaultKind::Conflict], 3);

    app.shop().inject(Some("conflict=60%,seed=2".parse().expect("faults")));
    for session in &sessions {
        let refreshed = session.refresh().await;
        assert!(refreshed.status == 200 || refreshed.problem() == (503, "unavailable"), "{refreshed:?}");
        let ended = session.post("/auth/logout", json!({})).await;
        assert!(ended.status == 204 || ended.problem() == (503, "unavailable"), "{ended:?}");
    }
    assert!(app.shop().faults().values().sum::<u64>() > 15, "{:?}", app.shop().faults());
}

#[tokio::test]
async fn what_cannot_be_checked_now_is_not_remembered() {
    for (seconds, status) in [("0", 503), ("60", 500)] {
        let cached = |options: &mut emulator::Options| {
            options.parameters.insert("AuthorizerCacheSeconds".into(), seconds.into());
        };
        let Some(app) = TestApp::start_local(cached).await else { return };
        let ada = app.customer("ada").await;
        app.shop().inject(Some("error=100%,seed=1".parse().expect("faults")));
        // Not by way of `get`, which holds the answer against openapi.json: that knows nothing of the gateway's own 500.
        let answer = ada.request(Method::GET, "/auth/me").send().await.expect("the gateway answers");
        assert_eq!(answer.status(), status, "{seconds}");
        app.shop().inject(None);
        assert_eq!(ada.get("/auth/me").await.status, 200, "{seconds}");
    }
}

#[tokio::test]
async fn a_function_that_misbehaves_answers_and_goes_on() {
    const TEMPLATE: &str = "
Resources:
  MisbehaveFunction:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 10
      Environment: {Variables: {STACK_NAME: test}}
      Events:
        Default:
          Type: HttpApi
";
    let folder = Path::new(env!("CARGO_BIN_EXE_product-get")).parent().unwrap();
    let binary = folder.join("examples").join("misbehave");
    assert!(binary.exists(), "`cargo test` builds the examples; `cargo test --test api` does not");
    let template = std::env::temp_dir().join(format!("misbehave-{}.yaml", std::process::id()));
    std::fs::write(&template, TEMPLATE).unwrap();
    let start = TestApp::start_local(|options| {
        options.template.clone_from(&template);
        options.parameters.clear();
        options.binaries = BTreeMap::from([("misbehave".to_owned(), binary)]);
        options.limit = 1;
    });
    let Some(app) = start.await else { return };
    std::fs::remove_file(&template).unwrap();
    let anyone = app.anyone();

    assert_eq!(anyone.get("/behave").await.status, 204);
    for path in ["/panic", "/fail"] {
        let answer = anyone.get(path).await;
        assert_eq!(answer.problem(), (500, "internal-error"));
        let detail = answer["detail"].as_str().unwrap();
        assert!(!detail.contains("asked") && !detail.contains("stays in the log"), "{detail}");
        let id = answer.header("x-request-id");
        assert!(detail.contains(id));
        let logged = |line: &emulator::LogLine| {
            line.text.contains(id) && (line.text.contains("as it was asked to") || line.text.contains("stays in the log"))
        };
        let line = app.shop().log_line(PATIENCE, logged).await;
        assert!(line.is_some(), "the fault is logged under its request id");

        assert_eq!(anyone.get("/behave").await.status, 204);
        assert!(!app.shop().requests().last().unwrap().cold, "the same environment serves the next request");
    }

    let start = Instant::now();
    assert_eq!(anyone.get("/hang").await.problem(), (503, "unavailable"));
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    assert_eq!(anyone.get("/behave").await.status, 204);
    assert_eq!(app.shop().environments(), 1);
}

/// DynamoDB has done what it was asked for, and nobody is left to say so: under its key, whoever asks again is told.
#[tokio::test]
async fn a_function_killed_before_it_hears_of_its_own_write_has_made_it_once() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product(&unique("Pen"), 20).await;
    let order = ada.order([]).await;
    let name = unique("Ink");
    for (who, path, body, function) in [
        (&admin, "/products".to_owned(), Product::draft(&name).quantity(3).json(), "product-create"),
        (&admin, format!("{}/movements", pen.path), json!({"amount": 5}), "movement-create"),
        (&ada, "/orders".to_owned(), lines([(&pen, 2)]), "order-create"),
        (&ada, order.items(), line(&pen, 3), "order-item-add"),
    ] {
        let key = unique("key");
        let send = || who.send_to_the_mortal(who.request(Method::POST, &path).header("idempotency-key", &key).json(&body));
        app.shop().inject_next("TransactWriteItems", FaultKind::Kill).await;
        let killed = send().await;
        assert_eq!((killed.status, &killed.json), (500, &json!({"message": "Internal Server Error"})), "{path}");
        let record = app.shop().request(killed.header("apigw-requestid")).expect("a record");
        assert_eq!(record.faults, ["kill TransactWriteItems"], "{path}");
        let failed = record.failure.expect("why");
        assert_eq!((failed.function.as_str(), failed.how.as_str()), (function, "Runtime exited: signal: 9 (SIGKILL)"), "{path}");
        let repeated = send().await;
        assert_eq!((repeated.status, repeated.header("idempotent-replayed")), (201, "true"), "{path}: {repeated:?}");
        assert_eq!(send().await.body, repeated.body, "{path}");
    }
    // Each once: five came in, two are in the one order and three in the other.
    assert_eq!(admin.stock(&pen).await, (20, 5));
    assert_eq!(ada.get(&order).await["item_count"], 1);
    assert_eq!(ada.get("/orders").await["orders"].as_array().map(Vec::len), Some(2));
    let found = admin.get(format!("/products?prefix={name}")).await;
    assert_eq!(found["products"].as_array().map(Vec::len), Some(1), "{found:?}");

    // What is no creation is safe to repeat as it is.
    app.shop().inject_next("TransactWriteItems", FaultKind::Kill).await;
    let confirm = || ada.send_to_the_mortal(ada.request(Method::PUT, &order).json(&json!({"status": "CONFIRMED"})));
    assert_eq!(confirm().await.status, 500);
    let again = confirm().await;
    assert_eq!((again.status, again["history"].as_array().map(Vec::len)), (200, Some(1)), "{again:?}");
}
