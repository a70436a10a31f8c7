//! Many at once: nothing is oversold and no total drifts, whoever does what at the same time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use emulator::{Faults, Options};
use fastrand::Rng;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    app::{Actor, Answer, Order, Product, TestApp, line, lines, turn},
    fold,
};

#[tokio::test]
async fn fifty_buyers_of_twenty_pieces() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let admin = app.admin().await;
    let pen = admin.product("Pen", 20).await;
    let buyers = join_all((0..50).map(|n| async move { n }).map(|_| app.customer("buyer"))).await;

    let answers = join_all(buyers.iter().map(|buyer| buyer.post("/orders", lines([(&pen, 1)])))).await;

    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(409)), (20, 30));
    assert!(answers.iter().filter(|answer| answer.status == 409).all(|answer| answer["available"] == 0));
    assert_eq!(admin.stock(&pen).await, (0, 20));
}

#[tokio::test]
async fn parallel_additions_to_one_order_all_count() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product("Pen", 100).await;
    let order = ada.order([]).await;

    let answers = join_all((0..38).map(|n| ada.post(order.items(), line(&pen, n % 3 + 1)))).await;

    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
    let read = ada.get(&order).await;
    let pieces: u64 = (0..38).map(|n| n % 3 + 1).sum();
    assert_eq!(
        (&read["item_count"], &read["total_price"]),
        (&json!(38), &json!(format!("{}.{:02}", 1990 * pieces / 100, 1990 * pieces % 100)))
    );
    assert_eq!(admin.stock(&pen).await, (100 - pieces, pieces));

    let more = join_all((0..10).map(|_| ada.post(order.items(), line(&pen, 1)))).await;
    let count = |status| more.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(409)), (2, 8), "forty lines and no more");
}

#[tokio::test]
async fn a_line_that_many_change_has_one_quantity() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product("Pen", 100).await;
    let order = ada.order([]).await;
    let item = order.item(&ada.post(order.items(), line(&pen, 1)).await);

    let changes = (1..=12).map(|n| ada.put(&item, json!({"quantity": n})));
    for answer in join_all(changes).await {
        assert!([200, 503].contains(&answer.status), "{answer:?}");
    }
    let quantity = ada.get(&order).await["items"][0]["quantity"].as_u64().unwrap();
    assert_eq!(admin.stock(&pen).await, (100 - quantity, quantity));

    let removals = join_all((0..6).map(|_| ada.delete(&item))).await;
    assert_eq!(removals.iter().filter(|answer| answer.status == 204).count(), 1, "{removals:?}");
    assert_eq!(admin.stock(&pen).await, (100, 0));
}

#[tokio::test]
async fn one_of_many_steps_at_once_is_taken() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product("Pen", 100).await;
    for _ in 0..5 {
        let order = ada.order([(&pen, 3)]).await;
        admin.put(&order, json!({"status": "CONFIRMED"})).await;
        let steps = ["CANCELLED", "SHIPPED"].into_iter().cycle().take(8);
        join_all(steps.map(|to| admin.put(&order, json!({"status": to, "reason": "because"})))).await;
        let history = ada.get(&order).await["history"].as_array().unwrap().clone();
        let effects: Vec<_> = history.iter().map(|entry| entry["stock"].as_str().unwrap()).collect();
        assert!(
            [vec!["none", "released"], vec!["none", "shipped"], vec!["none", "shipped", "none"]].contains(&effects),
            "{effects:?}"
        );
    }
}

/// What the workers of a mixed load share.
struct Shared {
    products: Vec<Product>,
    orders: Mutex<Vec<Order>>,
    /// Everything that was answered 201, and everything whose deletion was asked for.
    made: Mutex<BTreeSet<String>>,
    deleted: Mutex<BTreeSet<String>>,
    /// Pieces that admins have put on the shelf.
    put_in: Mutex<BTreeMap<String, i64>>,
    statuses: Mutex<BTreeMap<u16, usize>>,
}

/// Somebody who does things at random.
struct Worker<'a> {
    who: &'a Actor,
    admin: bool,
    rng: Rng,
    shared: &'a Shared,
    /// Whether functions are killed while they work.
    kills: bool,
}

impl Worker<'_> {
    /// Whether an answer says nothing about what became of the request, which is sent again then.
    fn is_lost(&self, answer: &Answer) -> bool {
        // The gateway's own words for a function that ended without an answer.
        answer.status == 503 || self.kills && answer.status == 500 && answer["code"].is_null()
    }

    /// Sends until the answer is one, as a client should. `None` if it never is.
    async fn send(&mut self, method: Method, path: &str, body: Value) -> Option<Answer> {
        let key = format!("{:x}", self.rng.u128(..));
        for _ in 0..30 {
            let request = self.who.request(method.clone(), path).header("idempotency-key", &key).json(&body);
            let answer = if self.kills { self.who.send_to_the_mortal(request).await } else { self.who.send(request).await };
            *self.shared.statuses.lock().unwrap().entry(answer.status).or_default() += 1;
            let lost = self.is_lost(&answer);
            if answer.status >= 400 && !lost {
                answer.problem();
            }
            assert!(answer.status < 500 || lost, "{method} {path} {body}: {answer:?}");
            if method == Method::GET && answer["items"].is_array() {
                adds_up(&answer);
            }
            if !lost {
                return Some(answer);
            }
        }
        panic!("{method} {path} {body}: unavailable thirty times");
    }

    fn product(&mut self) -> Product {
        self.shared.products[self.rng.usize(..self.shared.products.len())].clone()
    }

    fn an_order(&mut self) -> Option<Order> {
        let orders = self.shared.orders.lock().unwrap();
        // The latest are the ones that things still happen to.
        let latest = orders.len().saturating_sub(6);
        orders.get(self.rng.usize(latest..orders.len().max(latest + 1))).cloned()
    }

    async fn place(&mut self) {
        let wanted: Vec<_> = (0..self.rng.usize(0..4)).map(|_| (self.product(), self.rng.u64(1..4))).collect();
        let body = lines(wanted.iter().map(|(product, quantity)| (product, *quantity)));
        if let Some(placed) = self.send(Method::POST, "/orders", body).await.filter(|answer| answer.status == 201) {
            let order = Order { path: placed.header("location").to_owned() };
            let mut made = self.shared.made.lock().unwrap();
            made.insert(order.path.clone());
            made.extend(placed["items"].as_array().unwrap().iter().map(|item| item["order_item_id"].to_string()));
            self.shared.orders.lock().unwrap().push(order);
        }
    }

    async fn step(&mut self) {
        let Some(order) = self.an_order() else { return self.place().await };
        match self.rng.u8(..100) {
            0..12 => self.place().await,
            12..37 => {
                let (product, quantity) = (self.product(), self.rng.u64(1..4));
                let added = self.send(Method::POST, &order.items(), line(&product, quantity)).await;
                if let Some(added) = added.filter(|answer| answer.status == 201) {
                    self.shared.made.lock().unwrap().insert(added["order_item_id"].to_string());
                }
            }
            37..67 => {
                let read = self.send(Method::GET, &order.path, json!({})).await;
                let items = read.map_or_else(Vec::new, |read| read["items"].as_array().cloned().unwrap_or_default());
                let Some(item) = items.get(self.rng.usize(0..items.len().max(1))) else { return };
                let path = format!("{}/{}", order.items(), item["order_item_id"].as_str().unwrap());
                if self.rng.u8(..3) == 0 {
                    self.shared.deleted.lock().unwrap().insert(item["order_item_id"].to_string());
                    self.send(Method::DELETE, &path, json!({})).await;
                } else {
                    let quantity = self.rng.u64(1..6);
                    self.send(Method::PUT, &path, json!({"quantity": quantity})).await;
                }
            }
            67..85 => {
                let to = ["CONFIRMED", "CONFIRMED", "SHIPPED", "SHIPPED", "DELIVERED", "CANCELLED"][self.rng.usize(..6)];
                let mut body = json!({"status": to, "reason": "because"});
                if to == "CANCELLED" && self.rng.bool() {
                    body["restock"] = json!(true);
                }
                self.send(Method::PUT, &order.path, body).await;
            }
            85..90 => {
                // Only those that nothing was shipped of: the rest is needed for the accounts at the end.
                let read = self.send(Method::GET, &order.path, json!({})).await;
                if let Some(read) = read.filter(|read| read["status"] == "PENDING") {
                    let items = read["items"].as_array().unwrap().iter().map(|item| item["order_item_id"].to_string());
                    self.shared.deleted.lock().unwrap().extend(items.chain([order.path.clone()]));
                    let tag = read.header("etag").to_owned();
                    let request = self.who.request(Method::DELETE, &order.path).header("if-match", tag);
                    let answer =
                        if self.kills { self.who.send_to_the_mortal(request).await } else { self.who.send(request).await };
                    assert!([204, 404, 409, 412].contains(&answer.status) || self.is_lost(&answer), "{answer:?}");
                }
            }
            _ if !self.admin => {}
            90..95 => {
                let (product, price) = (self.product(), self.rng.u64(1..1000));
                self.send(Method::PUT, &product.path, json!({"price": format!("{}.{:02}", price / 100, price % 100)})).await;
            }
            _ => {
                let (product, more) = (self.product(), [-3, -1, 2, 4][self.rng.usize(..4)]);
                let moved = self.send(Method::POST, &format!("{}/movements", product.path), json!({"amount": more})).await;
                if moved.is_some_and(|answer| answer.status == 201) {
                    *self.shared.put_in.lock().unwrap().get_mut(&product.id).unwrap() += more;
                }
            }
        }
    }
}

/// Whoever sees an order sees all of it, as it was at one instant.
fn adds_up(order: &Answer) {
    let cents = |money: &Value| money.as_str().unwrap().replace('.', "").parse::<u64>().unwrap();
    let items = order["items"].as_array().unwrap();
    let sum: u64 = items.iter().map(|item| item["quantity"].as_u64().unwrap() * cents(&item["price"])).sum();
    assert_eq!((cents(&order["total_price"]), order["item_count"].as_u64().unwrap()), (sum, items.len() as u64), "{order:?}");
    let reached = order["history"].as_array().unwrap().last().map_or("PENDING", |entry| entry["to"].as_str().unwrap());
    assert_eq!(order["status"], reached, "{order:?}");
}

/// Sixteen workers, and the accounts afterwards. `MIXED_OPERATIONS` says how many operations, which `.ci/nightly` makes many more, and
/// `MIXED_SEED` which.
async fn mixed_load(app: &TestApp, operations: usize, faults: Option<Faults>, kills: bool) {
    const STOCK: u64 = 60;
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed: u64 = number("MIXED_SEED").unwrap_or_else(|| fastrand::u64(..));
    let operations = number("MIXED_OPERATIONS").map_or(operations, |count| usize::try_from(count).unwrap());
    println!("MIXED_SEED={seed}");
    let (admin, ada, bob) = (app.admin().await, app.customer("ada").await, app.customer("bob").await);
    let mut products = Vec::new();
    for n in 0..4 {
        products.push(admin.product(&format!("Product {n}"), STOCK).await);
    }
    let put_in = products.iter().map(|product| (product.id.clone(), STOCK.cast_signed())).collect();
    let shared = Shared {
        products,
        orders: Mutex::default(),
        made: Mutex::default(),
        deleted: Mutex::default(),
        put_in: Mutex::new(put_in),
        statuses: Mutex::default(),
    };

    app.shop().inject(faults);
    let work = join_all((0..16).map(|n| {
        // Mostly people who share their orders; and a stranger, for whom none exists.
        let who = if n == 15 { &bob } else { [&admin, &ada, &ada, &ada][n % 4] };
        let rng = Rng::with_seed(seed.wrapping_add(n as u64));
        let mut worker = Worker { who, admin: n % 4 == 0, rng, shared: &shared, kills };
        async move {
            for _ in 0..operations / 16 {
                worker.step().await;
            }
        }
    }));
    if kills {
        let kill = async |binary: &str, every: u64, killed: &mut usize| {
            loop {
                tokio::time::sleep(Duration::from_millis(every)).await;
                *killed += usize::from(kill_a_function(app.table(), binary));
            }
        };
        let (mut killed, mut relays) = (0, 0);
        let kill = async { tokio::join!(kill("", 40, &mut killed), kill("event-publish", 10, &mut relays)) };
        tokio::select! {
            _ = work => {}
            _ = kill => {}
        }
        println!("{killed} functions were killed, and {relays} times the one that tells what has happened");
        assert!(killed > 10 && relays >= operations / 200, "{killed} {relays}");
    } else {
        work.await;
    }
    app.shop().inject(None);
    println!("answers by status: {:?}", shared.statuses.lock().unwrap());
    let told = fold::check(app, &admin, &[&admin, &ada, &bob]).await;
    println!("{} events, told {} times", told.len(), app.shop().events().len());

    // The table as it is now.
    let (mut orders, mut items, mut shipped) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::<String, i64>::new());
    let mut path = "/orders?limit=100".to_owned();
    let get = async |path: &str| admin.get(path).await;
    loop {
        let page = get(&path).await;
        for order in page["orders"].as_array().unwrap() {
            let order = get(&format!("/orders/{}", order["order_id"].as_str().unwrap())).await;
            orders.insert(format!("/orders/{}", order["order_id"].as_str().unwrap()));
            let effects: Vec<_> = order["history"].as_array().unwrap().iter().map(|entry| entry["stock"].clone()).collect();
            let left = i64::from(effects.contains(&json!("shipped"))) - i64::from(effects.contains(&json!("restocked")));
            for item in order["items"].as_array().unwrap() {
                items.insert(item["order_item_id"].to_string());
                *shipped.entry(item["product_id"].as_str().unwrap().to_owned()).or_default() +=
                    left * item["quantity"].as_i64().unwrap();
            }
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/orders?limit=100&cursor={cursor}"),
            None => break,
        }
    }
    for product in &shared.products {
        let books = get(&format!("{}/stock", product.path)).await;
        let number = |name: &str| books[name].as_i64().unwrap();
        assert_eq!(number("shipped"), shipped.get(&product.id).copied().unwrap_or_default(), "{books:?}");
        assert_eq!(number("received"), number("quantity") + number("reserved") + number("shipped"), "{books:?}");
        assert_eq!(number("received"), shared.put_in.lock().unwrap()[&product.id], "pieces of {product:?}: {books:?}");
    }
    let (made, deleted) = (shared.made.into_inner().unwrap(), shared.deleted.into_inner().unwrap());
    let there: BTreeSet<_> = orders.union(&items).cloned().collect();
    assert_eq!(there.difference(&made).collect::<Vec<_>>(), Vec::<&String>::new(), "nothing is there that was not answered");
    let missing: BTreeSet<_> = made.difference(&there).cloned().collect();
    assert_eq!(
        missing.difference(&deleted).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "nothing is missing that was not deleted"
    );
}

#[tokio::test]
async fn sixteen_people_doing_anything_break_nothing() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|options: &mut Options| options.limit = 6).await else { return };
    mixed_load(&app, 1_000, None, false).await;
}

/// What is read of several items is never of one instant.
#[tokio::test]
async fn torn_reads_break_nothing() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|options: &mut Options| options.limit = 6).await else { return };
    mixed_load(&app, 600, Some("torn=100%:15ms".parse().expect("faults")), false).await;
    println!("faults: {:?}", app.shop().faults());
}

/// Steps are taken, and orders deleted, while their lines change: what a step does to the stock is what the lines say at that
/// instant, or the audit at the end finds pieces that nobody holds.
#[tokio::test]
async fn a_step_acts_on_the_lines_that_there_are() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let pen = admin.product("Pen", 1_000).await;
    app.shop().inject(Some("torn=100%:15ms,seed=1".parse().expect("faults")));
    for round in 0..24 {
        let order = ada.order([(&pen, 1)]).await;
        let lines_change = join_all((0..6).map(|n| ada.post(order.items(), line(&pen, n + 1))));
        let step = async {
            match round % 3 {
                0 => admin.put(&order, json!({"status": "CONFIRMED"})).await,
                1 => ada.put(&order, json!({"status": "CANCELLED"})).await,
                _ => ada.delete(&order).await,
            }
        };
        let looks = async {
            for _ in 0..3 {
                let seen = admin.get(&order).await;
                if seen.status == 200 {
                    adds_up(&seen);
                }
            }
        };
        let (added, step, ()) = tokio::join!(lines_change, step, looks);
        assert!([200, 204].contains(&step.status), "{step:?}");
        for answer in &added {
            assert!(answer.status == 201 || [404, 409].contains(&answer.problem().0), "{answer:?}");
        }
        if round % 3 == 0 {
            let shipped = admin.put(&order, json!({"status": "SHIPPED"})).await;
            adds_up(&shipped);
        }
    }
    app.shop().inject(None);
}

/// Somebody takes nearly all of a product whose stock is spread, and gives it back, while others look whether there is enough.
#[tokio::test]
async fn nobody_is_refused_for_pieces_that_move() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (admin, ada) = (app.admin().await, app.customer("ada").await);
    let set = Product::of(&admin.post("/products", Product::draft("Set").quantity(64).stock_shards(8).json()).await);
    app.shop().inject(Some("torn=100%:15ms,seed=1".parse().expect("faults")));
    for _ in 0..4 {
        // Each takes more than any shard has: together all that there is, so that pieces have to be gathered all the time.
        let bought = join_all((0..4).map(|_| ada.post("/orders", lines([(&set, 16)])))).await;
        for order in &bought {
            assert_eq!(order.status, 201, "{order:?}");
        }
        assert_eq!(ada.post("/orders", lines([(&set, 1)])).await["available"], 0);
        let back = join_all(bought.iter().map(|order| ada.delete(order.header("location")))).await;
        assert!(back.iter().all(|answer| answer.status == 204), "{back:?}");
    }
    app.shop().inject(None);
    assert_eq!(admin.stock(&set).await, (64, 0));
}

/// Ends one of the processes that work for the shop with this table, at whatever it is doing: one whose binary is called so, or any.
/// `false` if there is none.
fn kill_a_function(table: &str, binary: &str) -> bool {
    let own = std::process::id().to_string();
    let is_function = |pid: &String| {
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        // Pid, name in brackets, state and parent.
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1));
        let is_it = String::from_utf8_lossy(&read("cmdline")).contains(binary);
        is_it && parent == Some(own.as_str()) && read("environ").windows(table.len()).any(|part| part == table.as_bytes())
    };
    let processes = std::fs::read_dir("/proc").expect("processes").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let functions: Vec<_> = processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(is_function).collect();
    let Some(pid) = fastrand::choice(&functions) else { return false };
    std::process::Command::new("kill").args(["-KILL", pid]).status().is_ok_and(|status| status.success())
}

/// What a function was doing when it was killed has been done or not, and a repetition under its key tells which.
#[tokio::test]
async fn functions_that_are_killed_lose_nothing() {
    let _turn = turn().await;
    let Some(app) = TestApp::start_local(|options: &mut Options| options.limit = 6).await else { return };
    mixed_load(&app, 400, Some("10%,torn=50%".parse().expect("faults")), true).await;
}

/// `FAULTS` says which, as `--faults` of `local` does.
#[tokio::test]
async fn a_database_that_fails_now_and_then_loses_nothing() {
    let _turn = turn().await;
    let given = std::env::var("FAULTS").ok();
    // Most of the first kind are overcome by the functions; the second are seen, and overcome, by the clients.
    for (faults, operations) in [("10%,torn=50%", 500), ("60%", 200)] {
        let Some(app) = TestApp::start_local(|options: &mut Options| options.limit = 6).await else { return };
        let faults: Faults = given.as_deref().unwrap_or(faults).parse().expect("faults");
        mixed_load(&app, operations, Some(faults), false).await;
        println!("faults: {:?}", app.shop().faults());
    }
}
