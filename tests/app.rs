//! A shop to test, and the people who use it.

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write as _,
    net::IpAddr,
    ops::Index,
    path::{Path, PathBuf},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use emulator::{FaultKind, Options, Outcome, Store, dynamodb, template::Template};
use local::Shop;
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    bodies::{self, AccountDraft, ProductDraft, by_email},
    fold, mails, openapi,
};

/// Strong enough, and unlike anything that belongs in a log.
pub const PASSWORD: &str = "canary-Zwetschgenmus-7";

/// The workspace, where template.yaml and events/ are.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every function binary, as Cargo has built it for this test; or where `cargo xtask mutants` has others, which says so as Cargo does.
pub static BINARIES: LazyLock<BTreeMap<String, PathBuf>> = LazyLock::new(|| {
    let one = env::var_os("CARGO_BIN_EXE_product-get").unwrap_or_else(|| env!("CARGO_BIN_EXE_product-get").into());
    let folder = Path::new(&one).parent().expect("binaries are in a folder");
    let functions = template("test").functions.into_iter();
    functions.map(|function| (function.binary.clone(), folder.join(function.binary))).collect()
});

/// Whom mails come from.
pub const MAIL_FROM: &str = "Stockroom <shop@example.com>";

/// template.yaml as a stack of this name has it, with every function that there can be.
pub fn template(stack: &str) -> Template {
    let parameters = BTreeMap::from([("MailFrom".to_owned(), MAIL_FROM.to_owned())]);
    Template::read(&workspace().join("template.yaml"), stack, &parameters).expect("template.yaml is sound")
}

/// A shop with nobody in it yet.
pub struct TestApp {
    /// `None` if the shop is a deployed stack.
    shop: Option<Shop>,
    url: String,
    client: Client,
    /// Name of its table.
    table: String,
    /// What must not appear in any log.
    secrets: Mutex<Vec<String>>,
    /// Whether the table is no longer the functions' work alone.
    tampered: AtomicBool,
    /// How many calls were to meet a fault that tells when it is met.
    awaited: Mutex<BTreeMap<FaultKind, u64>>,
    /// After the shop, so that nothing uses the table any more when it goes.
    _lent: Option<LentTable>,
}

impl TestApp {
    pub async fn start() -> Self {
        if let Ok(url) = env::var("API_URL") {
            return Self::at(url.trim_end_matches('/').to_owned(), None, String::new(), None);
        }
        Self::start_with(|_| {}).await
    }

    /// A shop whose innards the test looks at; `None` with a printed reason if the shop is a deployed stack.
    pub async fn start_local(change: impl FnOnce(&mut Options)) -> Option<Self> {
        if env::var("API_URL").is_ok() {
            println!("skipped: it looks behind the API, and API_URL names a deployed stack");
            return None;
        }
        Some(Self::start_with(change).await)
    }

    async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            template: workspace().join("template.yaml"),
            binaries: BINARIES.clone(),
            stack: format!("test-{}", Uuid::now_v7().simple()),
            store: env::var("DYNAMODB_URL").map_or(Store::Memory, Store::Url),
            // Tests place as many orders as they like; the one about the limit sets it.
            parameters: BTreeMap::from([("MaxOpenOrders".to_owned(), "0".to_owned())]),
            ..Options::default()
        };
        // All tests have one address.
        options.parameters.insert("AttemptsPerAddress".into(), "0".into());
        options.parameters.insert("MailFrom".into(), MAIL_FROM.into());
        change(&mut options);
        tell_whose(&options.stack);
        let table = format!("{}-Table", options.stack);
        let lent = env::var("DYNAMODB_URL").ok().map(|url| LentTable { url, name: table.clone() });
        let shop = Shop::start(options).await.expect("the shop starts");
        Self::at(shop.url().to_owned(), Some(shop), table, lent)
    }

    fn at(url: String, shop: Option<Shop>, table: String, lent: Option<LentTable>) -> Self {
        let (secrets, tampered, awaited) = (Mutex::default(), AtomicBool::new(false), Mutex::default());
        Self { shop, url, client: client(), table, secrets, tampered, awaited, _lent: lent }
    }

    /// The shop behind the API. Only for tests that started with [`TestApp::start_local`].
    pub fn shop(&self) -> &Shop {
        self.shop.as_ref().expect("a local shop")
    }

    /// Somebody without a token.
    pub fn anyone(&self) -> Actor {
        Actor { url: self.url.clone(), client: self.client.clone(), token: None, refresh_token: String::new() }
    }

    /// Somebody with this token, whatever it is.
    pub fn bearer(&self, token: impl Into<String>) -> Actor {
        Actor { token: Some(token.into()), ..self.anyone() }
    }

    /// Opens an account and returns its names. `name` is made unique.
    pub async fn register(&self, name: &str) -> (String, String) {
        let username = unique(name);
        let email = format!("{username}@example.com");
        self.secrets.lock().unwrap().extend([PASSWORD.to_owned(), email.clone()]);
        let answer = self.anyone().post("/auth/register", account(&username).json()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        (email, username)
    }

    /// A logged-in customer.
    pub async fn customer(&self, name: &str) -> Actor {
        let (email, _) = self.register(name).await;
        self.login(&email, PASSWORD).await
    }

    /// A logged-in admin.
    pub async fn admin(&self) -> Actor {
        let Some(shop) = &self.shop else {
            let variable = |name| env::var(name).unwrap_or_else(|_| panic!("with API_URL, {name} must be set"));
            return self.login(&variable("ADMIN_EMAIL"), &variable("ADMIN_PASSWORD")).await;
        };
        let (email, _) = self.register("admin").await;
        let promoted = shop.invoke("account-admin", json!({"email": email, "role": "admin"})).await;
        assert!(matches!(promoted.outcome, Outcome::Payload(_)), "{promoted:?}");
        self.login(&email, PASSWORD).await
    }

    /// Logs in.
    pub async fn login(&self, email: &str, password: &str) -> Actor {
        let answer = self.anyone().post("/auth/login", by_email(email, password)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.holder_of(&answer)
    }

    /// Whoever has the tokens in this answer.
    pub fn holder_of(&self, answer: &Answer) -> Actor {
        let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{name} in {answer:?}")).to_owned();
        let (token, refresh_token) = (text("access_token"), text("refresh_token"));
        self.secrets.lock().unwrap().extend([token.clone(), refresh_token.clone()]);
        Actor { refresh_token, ..self.bearer(token) }
    }

    /// The next call of this operation is carried out at once, and answered 0.8 s later.
    pub async fn delay_next(&self, operation: &str) -> Late<'_> {
        self.meet(operation, FaultKind::Delay, "delay=0%:800ms,seed=1").await
    }

    /// The next call of this operation meets this fault, with its length and its seed.
    async fn meet(&self, operation: &str, kind: FaultKind, how: &str) -> Late<'_> {
        let number = {
            let mut awaited = self.awaited.lock().unwrap();
            let number = awaited.entry(kind).or_default();
            *number += 1;
            *number
        };
        self.shop().inject(Some(how.parse().expect("faults")));
        self.shop().inject_next(operation, kind).await;
        Late { app: self, kind, number }
    }

    /// Does the first, whose calls of these operations are answered late, and the others while it waits for the last of those answers.
    pub async fn while_late<T, U>(
        &self,
        operations: &[&str],
        first: impl Future<Output = T>,
        others: impl Future<Output = U>,
    ) -> (T, U) {
        let mut last = None;
        for operation in operations {
            last = Some(self.delay_next(operation).await);
        }
        let last = last.expect("an operation");
        tokio::join!(first, last.meanwhile(others))
    }

    /// Does the first, whose next `Query` finds each item as it was before the others were done or as it was after: this seed decides.
    pub async fn while_torn<T, U>(&self, seed: u64, first: impl Future<Output = T>, others: impl Future<Output = U>) -> (T, U) {
        let torn = self.meet("Query", FaultKind::Torn, &format!("torn=0%:800ms,seed={seed}")).await;
        tokio::join!(first, torn.meanwhile(others))
    }

    /// Calls DynamoDB behind the API's back.
    pub async fn dynamodb(&self, operation: &str, body: Value) -> Value {
        let client = dynamodb::Client::at(self.shop().dynamodb_url()).expect("a client");
        client.call(operation, &body).await.expect("DynamoDB answers")
    }

    /// Leaves out the audit at the end: the test has written to the table what no function would, or blocks the way to it.
    pub fn tampered(&self) {
        self.tampered.store(true, Ordering::Relaxed);
    }

    /// Name of the shop's table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The signing secret: the id and the value of its current version. Of a deployed stack, whoever runs the tests tells it.
    pub async fn signing_key(&self) -> (String, String) {
        if self.shop.is_none() {
            let variable = |name| env::var(name).unwrap_or_else(|_| panic!("with API_URL, {name} must be set"));
            return (variable("SIGNING_KEY_ID"), variable("SIGNING_KEY"));
        }
        self.signing_secret("AWSCURRENT").await
    }

    /// The version of the signing secret with this label.
    pub async fn signing_secret(&self, stage: &str) -> (String, String) {
        let body = json!({"SecretId": "SigningSecret", "VersionStage": stage});
        let answer = self.anyone().aws(self.shop().aws_url(), "secretsmanager.GetSecretValue", &body).await;
        let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{name} in {answer}")).to_owned();
        (text("VersionId"), text("SecretString"))
    }

    /// All items of the table, sorted by key.
    pub async fn items(&self) -> Vec<Value> {
        let found = self.dynamodb("Scan", json!({"TableName": self.table()})).await;
        let mut items = found["Items"].as_array().expect("a list of items").clone();
        items.sort_by_key(|item| format!("{} {}", item["pk"]["S"], item["sk"]["S"]));
        items
    }

    /// What DynamoDB was asked for by the request with this answer: its operations, the authorizer's included.
    pub fn operations(&self, answer: &Answer) -> Vec<String> {
        let id = answer.header("apigw-requestid");
        self.shop().request(id).unwrap_or_else(|| panic!("no record of {id}")).operations
    }
}

/// A call whose answer comes late.
pub struct Late<'a> {
    app: &'a TestApp,
    kind: FaultKind,
    /// Which of the calls that were to meet this fault it is, from 1.
    number: u64,
}

impl Late<'_> {
    /// Waits until somebody waits for the answer.
    pub async fn is_awaited(&self) {
        let awaited = async {
            while self.app.shop().faults().get(&self.kind).is_none_or(|met| *met < self.number) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            // It is counted before it is carried out.
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        timeout(Duration::from_secs(10), awaited).await.expect("a call of that operation");
    }

    /// Does others while somebody waits for the answer.
    async fn meanwhile<T>(&self, others: impl Future<Output = T>) -> T {
        self.is_awaited().await;
        others.await
    }
}

/// For `cargo xtask mutants`: which test has this stack, as a line with the time in milliseconds.
fn tell_whose(stack: &str) {
    let Some(file) = env::var_os("TRACED_TESTS") else { return };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970").as_millis();
    let thread = thread::current();
    let line = format!("{stack} {now} {}\n", thread.name().expect("a test's thread has its name"));
    let file = fs::OpenOptions::new().append(true).open(file);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file is there");
}

impl Drop for TestApp {
    /// After every test: no function has written a secret to its log or into an event, none is kept for the console, every event is as
    /// it was promised, and no item contradicts another.
    fn drop(&mut self) {
        let Some(shop) = &self.shop else { return };
        if std::thread::panicking() {
            for line in shop.logs() {
                println!("[{}] {}", line.function, line.text);
            }
            return;
        }
        let secrets = self.secrets.lock().unwrap();
        for line in shop.logs() {
            for secret in secrets.iter() {
                assert!(!line.text.contains(secret), "a secret in the log of {}: {}", line.function, line.text);
            }
            assert!(!line.text.contains("$argon2id$"), "a hash in the log of {}: {}", line.function, line.text);
        }
        let tokens: Vec<_> = shop.mails().iter().filter_map(mails::token_in).collect();
        for line in shop.logs() {
            assert!(tokens.iter().all(|token| !line.text.contains(token)), "a mailed token in a log: {}", line.text);
        }
        for exchange in shop.exchanges() {
            let text = format!("{exchange:?}");
            // Addresses may be looked at, as whoever has this shop may.
            let hidden = secrets.iter().filter(|secret| !secret.contains('@'));
            assert!(hidden.chain(&tokens).all(|secret| !text.contains(secret)), "a secret that is kept: {text}");
        }
        for record in shop.events() {
            let text = record.event.to_string();
            for secret in secrets.iter().chain(&tokens).map(String::as_str).chain(["$argon2id$"]) {
                assert!(!text.contains(secret), "a secret in an event: {text}");
            }
            fold::check_schema(&record);
        }
        if !self.tampered.load(Ordering::Relaxed) {
            let violations = audit(shop);
            assert!(violations.is_empty(), "the table contradicts itself:\n{}", violations.join("\n"));
        }
    }
}

/// Everything that is wrong with the shop's table. On a thread of its own, because a test's runtime cannot wait in `drop`.
fn audit(shop: &Shop) -> Vec<String> {
    let audit = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(shop.audit()).expect("the table can be read")
    };
    let violations = thread::scope(|scope| scope.spawn(audit).join()).expect("an audit");
    violations.iter().map(ToString::to_string).collect()
}

/// A test's table in an emulator that all tests share, which is slower with every table that it keeps.
struct LentTable {
    url: String,
    name: String,
}

impl Drop for LentTable {
    fn drop(&mut self) {
        let Self { url, name } = self;
        let delete = async {
            let client = dynamodb::Client::at(url).expect("a client");
            // A test that used another store has none to delete.
            let body = json!({"TableName": name});
            let _ = timeout(Duration::from_secs(10), client.call("DeleteTable", &body)).await;
        };
        let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(delete);
        // A thread of its own, because the test's runtime cannot run another.
        std::thread::scope(|scope| scope.spawn(run).join()).expect("nothing in it panics");
    }
}

fn client() -> Client {
    Client::builder().timeout(Duration::from_mins(1)).build().expect("an HTTP client")
}

/// A name that no other test uses.
pub fn unique(name: &str) -> String {
    let id = Uuid::now_v7().simple().to_string();
    format!("{name}-{}", &id[16..])
}

/// A turn among the tests that load the machine on purpose: two of them at once would be told to come back later.
pub async fn turn() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}

/// Somebody who uses the API.
#[derive(Clone)]
pub struct Actor {
    url: String,
    client: Client,
    pub token: Option<String>,
    pub refresh_token: String,
}

impl Actor {
    /// The same, from another address of this machine, such as 127.0.0.2.
    pub fn at_address(&self, address: &str) -> Self {
        let client = Client::builder().timeout(Duration::from_mins(1)).local_address(address.parse::<IpAddr>().ok());
        Self { client: client.build().expect("an HTTP client"), ..self.clone() }
    }

    pub async fn get(&self, path: impl AsRef<str>) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: impl AsRef<str>, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: impl AsRef<str>, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: impl AsRef<str>) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// Exchanges the refresh token; the answer may have the next one.
    pub async fn refresh(&self) -> Answer {
        self.post("/auth/refresh", json!({"refresh_token": self.refresh_token})).await
    }

    /// A request to fill in further.
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{}", self.url, path.as_ref()));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Calls a service of AWS that is spoken to in JSON, at this address.
    pub async fn aws(&self, url: &str, target: &str, body: &Value) -> Value {
        let request = self.client.post(url).header("x-amz-target", target).body(body.to_string());
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let (answer, method, url) = self.exchange(request).await;
        openapi::check(&method, url.strip_prefix(&self.url).unwrap_or_default(), &answer);
        answer
    }

    /// Sends without holding the answer against openapi.json, which has none for a function that was killed.
    pub async fn send_to_the_mortal(&self, request: RequestBuilder) -> Answer {
        self.exchange(request).await.0
    }

    /// The answer, and the method and the URL of the request.
    async fn exchange(&self, request: RequestBuilder) -> (Answer, String, String) {
        let request = request.build().expect("a sound request");
        let (method, url) = (request.method().to_string(), request.url().to_string());
        let response = self.client.execute(request).await.expect("the gateway answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("a whole body");
        let answer = Answer { status, headers, body: body.to_vec(), json: serde_json::from_slice(&body).unwrap_or_default() };
        (answer, method, url)
    }

    /// Adds a product with this name and stock. Admins only.
    pub async fn product(&self, name: &str, quantity: u64) -> Product {
        let body = Product::draft(name).price("19.90").quantity(quantity).json();
        let answer = self.post("/products", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        Product::of(&answer)
    }

    /// Places an order for these products and quantities.
    pub async fn order<'a>(&self, wanted: impl IntoIterator<Item = (&'a Product, u64)>) -> Order {
        let answer = self.post("/orders", lines(wanted)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        Order { path: answer.header("location").to_owned() }
    }

    /// What is on the shelf of a product, and what orders hold.
    pub async fn stock(&self, product: &Product) -> (u64, u64) {
        let answer = self.get(product).await;
        let number = |name: &str| answer[name].as_u64().unwrap_or_else(|| panic!("{name} in {answer:?}"));
        (number("quantity"), number("reserved"))
    }
}

/// A product that a test made.
#[derive(Debug, Clone)]
pub struct Product {
    pub path: String,
    pub id: String,
}

impl Product {
    /// The body of a new one.
    pub fn draft(name: impl AsRef<str>) -> ProductDraft {
        bodies::product(name)
    }

    /// The one that was answered.
    pub fn of(answer: &Answer) -> Self {
        let id = answer["product_id"].as_str().expect("an id").to_owned();
        Self { path: format!("/products/{id}"), id }
    }
}

/// The body of an order for these products and quantities.
pub fn lines<'a>(wanted: impl IntoIterator<Item = (&'a Product, u64)>) -> Value {
    bodies::order(wanted.into_iter().map(|(product, quantity)| (product.id.as_str(), quantity)))
}

/// The body of one line.
pub fn line(product: &Product, quantity: u64) -> Value {
    bodies::line(&product.id, quantity)
}

/// The body of a registration with this name, and the address that goes with it.
pub fn account(username: impl AsRef<str>) -> AccountDraft {
    bodies::account(username, PASSWORD)
}

/// An order that a test placed.
#[derive(Debug, Clone)]
pub struct Order {
    pub path: String,
}

impl Order {
    /// Where its lines are, and one of them.
    pub fn items(&self) -> String {
        format!("{}/items", self.path)
    }

    pub fn item(&self, line: &Answer) -> String {
        format!("{}/items/{}", self.path, line["order_item_id"].as_str().expect("an id"))
    }
}

impl AsRef<str> for Order {
    fn as_ref(&self) -> &str {
        &self.path
    }
}

impl AsRef<str> for Product {
    fn as_ref(&self) -> &str {
        &self.path
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub json: Value,
}

impl Answer {
    /// The status and the code of a problem, whose form is checked.
    pub fn problem(&self) -> (u16, &str) {
        let code = self["code"].as_str().unwrap_or_else(|| panic!("no problem: {self:?}"));
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self["type"], format!("urn:problem:{code}"));
        assert_eq!(self["status"], self.status);
        assert_eq!(self["request_id"], self.header("x-request-id"));
        assert!(self["title"].is_string() && self["detail"].is_string(), "{self:?}");
        (self.status, code)
    }

    /// The pointers of all faults, in the order they were told.
    pub fn pointers(&self) -> Vec<&str> {
        let errors = self["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect()
    }

    /// A header that must be there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

impl Index<&str> for Answer {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        &self.json[name]
    }
}
