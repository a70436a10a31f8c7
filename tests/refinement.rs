//! What the shop writes, held against the model whose every state tests/model visits: what the code did, the model allows.

use std::collections::BTreeSet;

use emulator::dynamodb::{Client, Service};
use fastrand::Rng;
use futures_util::future::join_all;
use model::refinement::{Commit, Record, replay};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Actor, Order, Product, TestApp, line, lines, turn, unique};

/// All that was written to the table: its stream has what each item was and became, and the endpoint which writes were one transaction.
async fn history(app: &TestApp) -> Vec<Commit> {
    let records = stream(app).await;
    let mut records = records.iter().peekable();
    let mut tokens = BTreeSet::new();
    let mut history = Vec::new();
    for commit in app.shop().commits().await {
        // The answer to a transaction that was carried out before: it has no records.
        if let Some(token) = commit.body["ClientRequestToken"].as_str()
            && !tokens.insert(token.to_owned())
        {
            continue;
        }
        let actions = match commit.operation.as_str() {
            "TransactWriteItems" => commit.body["TransactItems"].as_array().expect("actions").clone(),
            "PutItem" => vec![json!({"Put": commit.body})],
            "UpdateItem" => vec![json!({"Update": commit.body})],
            "DeleteItem" => vec![json!({"Delete": commit.body})],
            other => panic!("{other} is not expected of a function"),
        };
        let mut written = Commit::new();
        for action in &actions {
            let (kind, action) = action.as_object().expect("an action").iter().next().expect("its kind");
            let keys = match kind.as_str() {
                "ConditionCheck" => continue,
                "Put" => &action["Item"],
                _ => &action["Key"],
            };
            let is_its = |record: &&Value| record["Keys"]["pk"] == keys["pk"] && record["Keys"]["sk"] == keys["sk"];
            let Some(record) = records.next_if(is_its) else {
                // Nothing was there, and nothing was recorded.
                assert_eq!(kind, "Delete", "{action} is not recorded, but {:?}", records.peek());
                continue;
            };
            let text = |name: &str| record["Keys"][name]["S"].as_str().expect("a key").to_owned();
            written.push(Record {
                pk: text("pk"),
                sk: text("sk"),
                old: record.get("OldImage").cloned(),
                new: record.get("NewImage").cloned(),
            });
        }
        history.push(written);
    }
    assert_eq!(records.next(), None, "what nobody has written");
    history
}

/// All records of the table's stream, in their order.
async fn stream(app: &TestApp) -> Vec<Value> {
    let client = Client::at(app.shop().dynamodb_url()).expect("a client");
    let call = async |operation: &str, body: Value| {
        client.call_service(Service::Streams, operation, &body).await.expect("the stream answers")
    };
    let streams = call("ListStreams", json!({"TableName": app.table()})).await;
    let stream = &streams["Streams"][0]["StreamArn"];
    let described = call("DescribeStream", json!({"StreamArn": stream})).await;
    let shards = described["StreamDescription"]["Shards"].as_array().expect("shards");
    assert_eq!(shards.len(), 1, "one order of all writes");
    let from = json!({"StreamArn": stream, "ShardId": shards[0]["ShardId"], "ShardIteratorType": "TRIM_HORIZON"});
    let mut iterator = call("GetShardIterator", from).await["ShardIterator"].clone();
    let mut records = Vec::new();
    loop {
        let mut page = call("GetRecords", json!({"ShardIterator": iterator})).await;
        let found = page["Records"].as_array_mut().expect("records");
        if found.is_empty() {
            return records;
        }
        records.extend(found.drain(..).map(|mut record| record["dynamodb"].take()));
        iterator = page["NextShardIterator"].take();
    }
}

/// Somebody who does at random whatever writes stock or orders.
struct Worker<'a> {
    admin: &'a Actor,
    customer: &'a Actor,
    products: &'a [Product],
    orders: Vec<Order>,
    rng: Rng,
}

impl Worker<'_> {
    async fn send(&mut self, who: &Actor, method: Method, path: &str, body: Value) -> Option<Value> {
        let key = format!("{:x}", self.rng.u128(..));
        for _ in 0..30 {
            let answer = who.send(who.request(method.clone(), path).header("idempotency-key", &key).json(&body)).await;
            assert!(answer.status < 500 || answer.status == 503, "{method} {path} {body}: {answer:?}");
            if answer.status != 503 {
                return (answer.status < 400).then_some(answer.json);
            }
        }
        None
    }

    async fn step(&mut self) {
        let (admin, customer) = (self.admin, self.customer);
        let product = self.rng.choice(self.products).expect("a product").clone();
        let order = self.rng.choice(&self.orders).cloned();
        let (quantity, shards, counted) = (self.rng.u64(1..4), self.rng.u8(1..4), self.rng.u64(0..12));
        let Some(order) = order.filter(|_| self.rng.u8(..100) >= 15) else {
            let count = self.rng.usize(1..=self.products.len());
            let wanted: Vec<_> = self.products[..count].iter().map(|product| (product, self.rng.u64(1..4))).collect();
            let placed = self.send(customer, Method::POST, "/orders", lines(wanted)).await;
            self.orders.extend(placed.map(|order| Order { path: format!("/orders/{}", order["order_id"].as_str().unwrap()) }));
            return;
        };
        match self.rng.u8(..100) {
            0..22 => {
                self.send(customer, Method::POST, &order.items(), line(&product, quantity)).await;
            }
            22..46 => {
                let read = customer.get(&order).await;
                let Some(item) = self.rng.choice(read["items"].as_array().map(Vec::as_slice).unwrap_or_default()).cloned() else {
                    return;
                };
                let path = format!("{}/{}", order.items(), item["order_item_id"].as_str().unwrap());
                if self.rng.u8(..3) == 0 {
                    self.send(customer, Method::DELETE, &path, json!({})).await;
                } else {
                    self.send(customer, Method::PUT, &path, json!({"quantity": quantity + u64::from(shards) - 1})).await;
                }
            }
            46..68 => {
                let to = ["CONFIRMED", "CONFIRMED", "SHIPPED", "SHIPPED", "DELIVERED", "CANCELLED"][self.rng.usize(..6)];
                let mut body = json!({"status": to, "reason": "because"});
                if to == "CANCELLED" && self.rng.bool() {
                    body["restock"] = json!(true);
                }
                self.send(admin, Method::PUT, &order.path, body).await;
            }
            68..72 => {
                self.send(customer, Method::DELETE, &order.path, json!({})).await;
            }
            72..75 => {
                self.send(customer, Method::PUT, &order.path, json!({"metadata": {"note": format!("{quantity}")}})).await;
            }
            75..80 => {
                let price = format!("{}.50", self.rng.u64(1..9));
                self.send(admin, Method::PUT, &product.path, json!({"price": price})).await;
            }
            80..86 => {
                self.send(admin, Method::PUT, &product.path, json!({"stock_shards": shards})).await;
            }
            86..90 => {
                self.send(admin, Method::PUT, &product.path, json!({"quantity": counted})).await;
            }
            90..92 => {
                self.send(admin, Method::PUT, &product.path, json!({"description": format!("{quantity}")})).await;
            }
            92..94 => {
                let draft = Product::draft(unique("Short-lived")).quantity(quantity).stock_shards(2).json();
                if let Some(made) = self.send(admin, Method::POST, "/products", draft).await {
                    self.send(admin, Method::DELETE, &format!("/products/{}", made["product_id"].as_str().unwrap()), json!({}))
                        .await;
                }
            }
            _ => {
                let amount = [-4, -2, -1, 3, 5][self.rng.usize(..5)];
                self.send(admin, Method::POST, &format!("{}/movements", product.path), json!({"amount": amount})).await;
            }
        }
    }
}

/// `REFINEMENT_OPERATIONS` says how many, `REFINEMENT_SEED` which.
async fn busy_run() -> Option<(TestApp, Vec<Commit>)> {
    let app = TestApp::start_local(|options| {
        options.limit = 6;
        options.keep_commits = true;
    })
    .await?;
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("REFINEMENT_SEED").unwrap_or_else(|| fastrand::u64(..));
    let operations = number("REFINEMENT_OPERATIONS").unwrap_or(600);
    println!("REFINEMENT_SEED={seed}");
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let mut products = Vec::new();
    for shards in [3, 2] {
        let draft = Product::draft(unique("Product")).price("19.90").quantity(9).stock_shards(shards).json();
        products.push(Product::of(&admin.post("/products", draft).await));
    }
    app.shop().inject(Some(format!("seed={seed},lost=3%,drop=3%,conflict=3%,torn=60%:8ms").parse().expect("faults")));
    app.shop().contend(Some("transaction=4ms,write=2ms,read=1ms".parse().expect("contention")));
    let orders: Vec<_> = join_all((0..3).map(|_| ada.order([]))).await;
    join_all((0..6).map(|n| {
        let (admin, customer, products, orders) = (&admin, &ada, products.as_slice(), orders.clone());
        let mut worker = Worker { admin, customer, products, orders, rng: Rng::with_seed(seed.wrapping_add(n)) };
        async move {
            for _ in 0..operations / 6 {
                worker.step().await;
            }
        }
    }))
    .await;
    app.shop().inject(None);
    app.shop().contend(None);
    let history = history(&app).await;
    Some((app, history))
}

#[tokio::test]
async fn the_model_allows_what_was_done() {
    let _turn = turn().await;
    let Some((app, history)) = busy_run().await else { return };
    println!("faults: {:?}, {} commits", app.shop().faults(), history.len());

    let counts = replay(&history).unwrap_or_else(|refused| panic!("commit {}: {}", refused.at, refused.why));
    println!("{counts:?}");
    for kind in ["order placed", "line added", "line changed", "line removed", "step", "movement", "product changed"] {
        assert!(counts.contains_key(kind), "{kind}: {counts:?}");
    }
    assert!(counts.values().sum::<usize>() > 100, "{counts:?}");

    let altered = alterations(&history);
    assert!(altered.len() > 6, "{altered:?}");
    for (what, at, altered) in altered {
        let refused = replay(&altered).expect_err(what);
        assert_eq!(refused.at, at, "{what}: {}", refused.why);
    }
}

/// The history with one commit as it must not be, and which that is.
fn alterations(history: &[Commit]) -> Vec<(&'static str, usize, Vec<Commit>)> {
    let is = |record: &Record, kind: &str, sk: &str| record.pk.starts_with(kind) && record.sk.starts_with(sk);
    let number =
        |image: &Option<Value>, name: &str| image.as_ref().and_then(|image| image[name]["N"].as_str()?.parse::<i64>().ok());
    let find = |fits: &dyn Fn(&Record) -> bool| {
        let mut found = history.iter().enumerate().map(|(at, commit)| (at, commit.iter().position(fits)));
        found.find_map(|(at, record)| Some((at, record?)))
    };
    let mut altered = Vec::new();
    let mut with = |what, found: Option<(usize, usize)>, alter: &dyn Fn(&mut Commit, usize)| {
        let (at, record) = found.unwrap_or_else(|| panic!("{what}: nothing to alter"));
        let mut history = history.to_vec();
        alter(&mut history[at], record);
        altered.push((what, at, history));
    };
    let add = |record: &mut Record, name: &str, more: i64| {
        let image = record.new.as_mut().expect("an image");
        let value: i64 = image[name]["N"].as_str().expect("a number").parse().expect("a number");
        image[name]["N"] = (value + more).to_string().into();
    };
    let reserves =
        |record: &Record| is(record, "PRODUCT#", "STOCK#") && number(&record.new, "reserved") > number(&record.old, "reserved");
    let order = |record: &Record| {
        let is_changed = record.old.is_some() && record.new.is_some();
        is(record, "ORDER#", "ORDER") && is_changed && number(&record.new, "total") != number(&record.old, "total")
    };
    with("one more piece is taken than the line says", find(&reserves), &|commit, at| {
        add(&mut commit[at], "quantity", -1);
        add(&mut commit[at], "reserved", 1);
    });
    with("a piece is lost", find(&reserves), &|commit, at| add(&mut commit[at], "quantity", -1));
    with("a total is wrong", find(&order), &|commit, at| add(&mut commit[at], "total", 1));
    with("an order's version does not grow", find(&order), &|commit, at| add(&mut commit[at], "version", -1));
    with("a sale's stock is not written", find(&reserves), &|commit, at| {
        commit.remove(at);
    });
    with("a movement is not written down", find(&|record| is(record, "MOVEMENTS#", "")), &|commit, at| {
        commit.remove(at);
    });
    let reprices =
        |record: &Record| is(record, "PRODUCT#", "STOCK#") && number(&record.new, "price") != number(&record.old, "price");
    let reprices = |record: &Record| record.old.is_some() && record.new.is_some() && reprices(record);
    with("one shard has another price", find(&reprices), &|commit, at| add(&mut commit[at], "price", 1));
    let ships = |record: &Record| number(&record.new, "shipped") > number(&record.old, "shipped") && record.old.is_some();
    with("fewer pieces are shipped than were held", find(&ships), &|commit, at| {
        add(&mut commit[at], "shipped", -1);
        add(&mut commit[at], "reserved", 1);
    });
    altered
}

/// Sends all that was committed since again, each under a token that nobody knows.
async fn again(app: &TestApp, seen: &mut usize) {
    let client = Client::at(app.shop().dynamodb_url()).expect("a client");
    let before = app.items().await;
    let commits = app.shop().commits().await;
    let transactions = commits[*seen..].iter().filter(|commit| commit.operation == "TransactWriteItems");
    let mut sent = 0;
    for commit in transactions {
        let mut body = commit.body.clone();
        body["ClientRequestToken"] = Uuid::now_v7().to_string().into();
        let answer = client.call("TransactWriteItems", &body).await;
        assert!(answer.as_ref().is_err_and(|error| error.to_string().contains("ConditionalCheckFailed")), "{answer:?}: {body}");
        sent += 1;
    }
    assert!(sent > 0, "something was committed");
    assert_eq!(app.items().await, before);
    *seen = commits.len();
}

/// A write may arrive after its function has given it up and gone on with another: what it makes is there then, and it changes nothing.
#[tokio::test]
async fn a_write_that_arrives_again_changes_nothing() {
    let Some(app) = TestApp::start_local(|options| options.keep_commits = true).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let mut seen = app.shop().commits().await.len();
    let set = Product::of(&admin.post("/products", Product::draft(unique("Set")).quantity(90).stock_shards(3).json()).await);
    again(&app, &mut seen).await;
    // Of which there is enough for another.
    let small = ada.order([(&set, 1)]).await;
    again(&app, &mut seen).await;
    ada.delete(&small).await;
    again(&app, &mut seen).await;
    // More than any shard has.
    let order = ada.order([(&set, 50)]).await;
    again(&app, &mut seen).await;
    let added = ada.post(order.items(), line(&set, 1)).await;
    again(&app, &mut seen).await;
    ada.put(order.item(&added), json!({"quantity": 2})).await;
    again(&app, &mut seen).await;
    ada.delete(order.item(&added)).await;
    again(&app, &mut seen).await;
    for change in [json!({"price": 3}), json!({"quantity": 7}), json!({"stock_shards": 2}), json!({"name": unique("Kit")})] {
        assert_eq!(admin.put(&set, change).await.status, 200);
        again(&app, &mut seen).await;
    }
    for amount in [2, -1] {
        assert_eq!(admin.post(format!("{}/movements", set.path), json!({"amount": amount})).await.status, 201);
        again(&app, &mut seen).await;
    }
    for status in ["CONFIRMED", "SHIPPED", "DELIVERED", "CANCELLED"] {
        let mut body = json!({"status": status, "reason": "because"});
        if status == "CANCELLED" {
            body["restock"] = true.into();
        }
        assert_eq!(admin.put(&order, body).await.status, 200);
        again(&app, &mut seen).await;
    }
    admin.delete(&order).await;
    again(&app, &mut seen).await;
    admin.delete(&set).await;
    again(&app, &mut seen).await;
}
