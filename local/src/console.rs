//! The console: a page beside the API that shows requests as they come, what functions wrote about them, events and who was told of
//! them, and all items.
//!
//! Its paths all begin with `/_local`, where no route of an API should be, and are no requests to the shop.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use emulator::guard::Guard;
use emulator::{EventRecord, Inside, LogLine, MailRecord, RequestRecord, price};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use shared::store::schema::{self, ItemKind};

use crate::audit::source::Source;
use crate::error::Result;

pub const PATH: &str = "/_local";

/// How many requests one answer tells, and how many items of each entity.
const SHOWN: usize = 200;

/// The page is made of its own files, and nobody else may show or read it.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
];

/// What the page calls items of no kind.
const OTHERS: &str = "Others";

/// Maps of an order that have no room in a row of a list. Its own page shows them.
const NOT_LISTED: [&str; 3] = ["lines", "history", "metadata"];

pub struct Console(Inside);

impl Console {
    pub fn new(inside: Inside) -> Self {
        Self(inside)
    }

    pub fn router(self, guard: Guard) -> Router {
        let file = |kind: &'static str, text: &'static str| get(([(CONTENT_TYPE, kind)], text));
        let page = || file("text/html; charset=utf-8", include_str!("console/console.html"));
        let router = Router::new()
            .route("/_local", page())
            .route("/_local/", page())
            .route("/_local/console.css", file("text/css; charset=utf-8", include_str!("console/console.css")))
            .route("/_local/console.js", file("text/javascript; charset=utf-8", include_str!("console/console.js")))
            .route("/_local/icon.svg", file("image/svg+xml", include_str!("console/icon.svg")))
            .route("/_local/requests", get(requests))
            .route("/_local/requests/{request_id}/lines", get(lines))
            .route("/_local/events", get(events))
            .route("/_local/events/{number}", get(one_event))
            .route("/_local/events/{number}/send", post(send_again))
            .route("/_local/mails", get(mails))
            .route("/_local/mails/{number}/html", get(mail_as_html))
            .route("/_local/items", get(items))
            .route("/_local/items/products/{id}", get(product))
            .route("/_local/items/orders/{id}", get(order))
            .route("/_local/{*other}", any(StatusCode::NOT_FOUND))
            .with_state(Arc::new(self));
        guard.around(router).layer(middleware::from_fn(mark))
    }

    /// Reads every item there is.
    async fn read(&self) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        for table in &self.0.tables {
            let source = Source::at(&self.0.dynamodb_url, table);
            let mut take = |item| {
                all.push(item);
                Ok(())
            };
            source.read(&ProgressBar::hidden(), &mut take).await?;
        }
        Ok(all)
    }

    /// Answers with what is made of all items, or that there is no such thing.
    async fn answer(&self, make: impl FnOnce(&[Value]) -> Option<Value>) -> Response {
        match self.read().await {
            Ok(items) => make(&items).map_or_else(
                || (StatusCode::NOT_FOUND, "There is none with this id.").into_response(),
                |made| json_response(&made),
            ),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    }
}

/// Marks every answer as ours alone.
async fn mark(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// What a mail may do that is shown in the page: have its own looks, and nothing else.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox";

/// All mails that are remembered, newest last; with `?after=N` those that came after the first N, but only the latest of them.
async fn mails(State(console): State<Arc<Console>>, uri: Uri) -> Response {
    let mails = match after(&uri) {
        Some(after) => console.0.mailbox.after(after, SHOWN),
        None => console.0.mailbox.after(0, usize::MAX),
    };
    let mail = |MailRecord { number, at, to, subject, text, html, .. }: &MailRecord| json!({"number": number, "at": at, "to": to.join(", "), "subject": subject, "text": text, "html": html});
    json_response(&mails.iter().map(mail).collect())
}

/// A mail as a browser shows it, for a frame of the page.
async fn mail_as_html(State(console): State<Arc<Console>>, Path(number): Path<u64>) -> Response {
    let Some(mail) = console.0.mailbox.find(number) else { return StatusCode::NOT_FOUND.into_response() };
    ([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, MAIL_POLICY)], mail.html).into_response()
}

/// N of `?after=N`.
fn after(uri: &Uri) -> Option<u64> {
    let mut query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.find(|(name, _)| name == "after").and_then(|(_, value)| value.parse().ok())
}

/// All events that are remembered, newest last; with `?after=N` those that came after the first N, but only the latest of them.
async fn events(State(console): State<Arc<Console>>, uri: Uri) -> Response {
    let records = match after(&uri) {
        Some(after) => console.0.events.after(after, SHOWN),
        None => console.0.events.after(0, usize::MAX),
    };
    json_response(&records.iter().map(event).collect())
}

async fn one_event(State(console): State<Arc<Console>>, Path(number): Path<u64>) -> Response {
    let found = console.0.events.find(number);
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |record| json_response(&event(&record)))
}

async fn send_again(State(console): State<Arc<Console>>, Path(number): Path<u64>) -> StatusCode {
    if console.0.buses.send_again(number) { StatusCode::ACCEPTED } else { StatusCode::NOT_FOUND }
}

fn event(record: &EventRecord) -> Value {
    let deliveries = record
        .deliveries
        .iter()
        .map(|delivery| json!({"rule": delivery.rule, "url": delivery.url, "at": delivery.at, "answer": delivery.answer}));
    json!({
        "number": record.number,
        "at": record.at,
        // As the shop has sent it, without what EventBridge has put around it.
        "event": record.event["detail"],
        "deliveries": deliveries.collect::<Vec<_>>(),
    })
}

/// `?after=N`: what came after the first N.
async fn requests(State(console): State<Arc<Console>>, uri: Uri) -> Response {
    let after = after(&uri).unwrap_or_default();
    let (requests, total) = console.0.log.requests_after(after, SHOWN);
    json_response(&json!({"total": total, "requests": requests.iter().map(request).collect::<Vec<_>>()}))
}

async fn lines(State(console): State<Arc<Console>>, Path(request_id): Path<String>) -> Response {
    let Some(record) = console.0.log.find(&request_id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let lines: Vec<_> = console.0.log.lines_about(&record).iter().map(line).collect();
    json_response(&json!({"request": request(&record), "lines": lines}))
}

async fn items(State(console): State<Arc<Console>>) -> Response {
    console.answer(|items| Some(by_entity(items))).await
}

async fn product(State(console): State<Arc<Console>>, Path(id): Path<String>) -> Response {
    console.answer(|items| product_with_books(items, &id)).await
}

async fn order(State(console): State<Arc<Console>>, Path(id): Path<String>) -> Response {
    console.answer(|items| order_with_names(items, &id)).await
}

fn json_response(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn request(record: &RequestRecord) -> Value {
    json!({
        "request_id": record.request_id,
        "received_at": record.received_at,
        "method": record.method,
        "path": record.path,
        "status": record.status,
        "function": record.function,
        "cold": record.cold,
        "duration_ms": record.duration.as_secs_f64() * 1000.0,
        "operations": record.operations,
        "read_units": record.read_units,
        "write_units": record.write_units,
        "dollars_per_million": dollars_per_million(record),
    })
}

/// What a million requests like this one cost.
fn dollars_per_million(record: &RequestRecord) -> f64 {
    let invocations = u32::try_from(record.invocations.len()).unwrap_or(u32::MAX);
    price::REQUEST
        + price::INVOCATION * f64::from(invocations)
        + price::READ_UNIT * record.read_units
        + price::WRITE_UNIT * record.write_units
}

fn line(line: &LogLine) -> Value {
    let since = line.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({"time": since.as_secs_f64() * 1000.0, "function": line.function, "text": line.text})
}

/// The items of each entity, how many there are and the first of them. Ids begin with their time: the latest come first.
fn by_entity(items: &[Value]) -> Value {
    let kinds = schema::KINDS.into_iter().map(Some).chain([None]);
    let entities = kinds.map(|kind| {
        let mut its: Vec<_> = items.iter().filter(|item| kind_of(item) == kind).collect();
        its.sort_by_key(|item| (text(item, "pk"), text(item, "sk")));
        // Names have no time, and are read in their own order.
        if its.first().is_some_and(|item| text(item, "sk") != "OWNER") {
            its.reverse();
        }
        let shown: Vec<_> = its.iter().take(SHOWN).map(|item| listed(item, kind)).collect();
        // Where rows lead, and what stands before the id in their partition keys.
        let leads = kind.and_then(leads_to).zip(kind).map(|(to, kind)| json!({"to": to.plural, "behind": kind.pk.prefix()}));
        json!({"name": kind.map_or(OTHERS, |kind| kind.plural), "count": its.len(), "items": shown, "leads": leads})
    });
    json!({"entities": entities.collect::<Vec<_>>()})
}

/// The kind with a page of its own that shows items of this kind, whose partition keys have the same id.
fn leads_to(kind: &ItemKind) -> Option<&'static ItemKind> {
    if [schema::PRODUCT, schema::STOCK, schema::MOVEMENT].contains(kind) {
        Some(&schema::PRODUCT)
    } else {
        (*kind == schema::ORDER).then_some(&schema::ORDER)
    }
}

/// An item as a row of a list.
fn listed(item: &Value, kind: Option<&ItemKind>) -> Value {
    let mut row = attributes(item);
    if let Some(order) = row.as_object_mut().filter(|_| kind == Some(&schema::ORDER)) {
        order.retain(|name, _| !NOT_LISTED.contains(&name.as_str()));
    }
    row
}

/// A product with the shards of its stock and with its movements, newest first. They stay when it goes.
fn product_with_books(items: &[Value], id: &str) -> Option<Value> {
    let product = with_id(items, &schema::PRODUCT, id).first().map(|item| attributes(item));
    let stock = with_id(items, &schema::STOCK, id);
    let movements = with_id(items, &schema::MOVEMENT, id);
    if product.is_none() && stock.is_empty() && movements.is_empty() {
        return None;
    }
    let shard = |item: &&Value| {
        let mut shard = attributes(item);
        shard["shard"] = schema::STOCK.sk.part(text(item, "sk")).into();
        shard
    };
    let movements = movements.iter().rev().map(|item| attributes(item));
    Some(json!({
        "product": product,
        "stock": stock.iter().map(shard).collect::<Vec<_>>(),
        "movements": movements.collect::<Vec<_>>(),
    }))
}

/// An order, with the names of the products on its lines that are still there.
fn order_with_names(items: &[Value], id: &str) -> Option<Value> {
    let order = attributes(with_id(items, &schema::ORDER, id).first()?);
    let lines = order["lines"].as_object().into_iter().flatten();
    let products = lines.filter_map(|(_, line)| line["product_id"].as_str());
    let name = |id: &str| Some((id.to_owned(), text(with_id(items, &schema::PRODUCT, id).first()?, "name").into()));
    let names: Map<String, Value> = products.filter_map(name).collect();
    Some(json!({"order": order, "names": names}))
}

/// The items of a kind with this id in their partition key, in the order of their sort keys.
fn with_id<'i>(items: &'i [Value], kind: &ItemKind, id: &str) -> Vec<&'i Value> {
    let pk = kind.pk.with(&[&id]);
    let mut its: Vec<_> = items.iter().filter(|item| text(item, "pk") == pk && kind_of(item) == Some(kind)).collect();
    its.sort_by_key(|item| text(item, "sk"));
    its
}

fn kind_of(item: &Value) -> Option<&'static ItemKind> {
    ItemKind::of(text(item, "pk"), text(item, "sk"))
}

fn text<'i>(item: &'i Value, name: &str) -> &'i str {
    item[name]["S"].as_str().unwrap_or_default()
}

/// An item without DynamoDB's types, and without hashes of passwords.
fn attributes(item: &Value) -> Value {
    let attributes = item.as_object().into_iter().flatten();
    let plain = attributes.map(|(name, value)| match name.as_str() {
        "password" => (name.clone(), "…".into()),
        _ => (name.clone(), plain(value)),
    });
    Value::Object(plain.collect())
}

/// `{"L": [{"N": "1"}]}` as `[1]`. Numbers that are no whole ones stay text, so that no digit is lost.
fn plain(value: &Value) -> Value {
    let Some((kind, value)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), value) {
        ("N", Value::String(number)) => number.parse::<i64>().map_or_else(|_| value.clone(), Value::from),
        ("L", Value::Array(list)) => list.iter().map(plain).collect(),
        ("M", Value::Object(map)) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>().into(),
        ("S", Value::String(text)) if text.starts_with("$argon2") => "…".into(),
        ("NULL", _) => Value::Null,
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use emulator::{Log, server};
    use reqwest::{Client, Method};
    use tokio_util::sync::{CancellationToken, DropGuard};

    use super::*;

    /// A console without a database, beside an API that answers everything with `the API`.
    async fn console(log: &Arc<Log>) -> (String, DropGuard) {
        let (listener, stop) = (server::listen("a test", 0).await.unwrap(), CancellationToken::new());
        let url = server::url(&listener).unwrap();
        let (dynamodb_url, tables) = ("http://127.0.0.1:9".into(), vec!["table".into()]);
        let inside = Inside {
            log: Arc::clone(log),
            dynamodb_url,
            tables,
            events: Arc::default(),
            buses: Arc::default(),
            mailbox: Arc::default(),
        };
        let console = Console::new(inside);
        let api = Router::new().fallback(|| async { "the API" });
        tokio::spawn(server::serve(listener, api.merge(console.router(Guard::default())), stop.clone()));
        (url, stop.drop_guard())
    }

    #[tokio::test]
    async fn every_path_of_the_console_is_guarded() {
        let (url, _stop) = console(&Arc::new(Log::new(true))).await;
        for (path, status) in [
            ("/_local", 200),
            ("/_local/", 200),
            ("/_local/console.css", 200),
            ("/_local/console.js", 200),
            ("/_local/icon.svg", 200),
            ("/_local/requests", 200),
            ("/_local/requests/none/lines", 404),
            ("/_local/events", 200),
            ("/_local/events?after=7", 200),
            ("/_local/events/7", 404),
            ("/_local/items", 502),
            ("/_local/items/products/1", 502),
            ("/_local/items/orders/1", 502),
            ("/_local/items/users/1", 404),
            ("/_local/no/such", 404),
        ] {
            let get = Client::new().get(format!("{url}{path}")).header("origin", &url);
            let answer = get.send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
            let headers = answer.headers();
            let policy = headers["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(
                (&headers["x-content-type-options"], &headers["cache-control"]),
                (&"nosniff".parse().unwrap(), &"no-store".parse().unwrap())
            );
            assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{path}: {headers:?}");

            for (name, value) in [("host", "rebound.example:3000"), ("origin", "http://127.0.0.1:9")] {
                let foreign = Client::new().get(format!("{url}{path}")).header(name, value);
                let refused = foreign.send().await.unwrap();
                assert_eq!(refused.status(), 403, "{path} {name}");
                assert!(refused.headers().contains_key("content-security-policy"));
            }
        }
        let post = async |path: &str, origin: &str| {
            let post = Client::new().request(Method::POST, format!("{url}{path}")).header("origin", origin);
            post.send().await.unwrap().status()
        };
        assert_eq!(post("/_local/items", &url).await, 405);
        assert_eq!(post("/_local/events/7/send", &url).await, 404, "an event that there is not");
        assert_eq!(post("/_local/events/7/send", "http://127.0.0.1:9").await, 403);
    }

    #[tokio::test]
    async fn the_api_is_not_shadowed() {
        let (url, _stop) = console(&Arc::new(Log::new(true))).await;
        for path in ["/", "/_locals", "/products/_local", "/favicon.ico"] {
            let answer = Client::new().get(format!("{url}{path}")).header("host", "any.example").send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "the API", "{path}");
        }
    }

    #[tokio::test]
    async fn requests_are_told_once_with_their_cost_and_lines() {
        let log = Arc::new(Log::new(true));
        let (url, _stop) = console(&log).await;
        log.request(RequestRecord {
            request_id: "JKJa_mPLvHcESHA=".into(),
            received_at: 1_700_000_000_000,
            method: "POST".into(),
            path: "/orders".into(),
            status: 201,
            duration: Duration::from_millis(12),
            function: Some("order-create".into()),
            cold: true,
            invocations: vec!["one".into(), "two".into()],
            calls: 2,
            operations: vec!["GetItem".into(), "TransactWriteItems".into()],
            read_units: 3.0,
            write_units: 14.0,
        });
        log.line("order-create", r#"{"request_id":"JKJa_mPLvHcESHA="}"#);
        log.line("order-create", r#"{"request_id":"another"}"#);
        let get = async |path: &str| {
            Client::new().get(format!("{url}/_local/requests{path}")).send().await.unwrap().json::<Value>().await.unwrap()
        };

        let told = get("").await;
        let expected = json!({
            "request_id": "JKJa_mPLvHcESHA=",
            "received_at": 1_700_000_000_000_u64,
            "method": "POST",
            "path": "/orders",
            "status": 201,
            "function": "order-create",
            "cold": true,
            "duration_ms": 12.0,
            "operations": ["GetItem", "TransactWriteItems"],
            "read_units": 3.0,
            "write_units": 14.0,
            // 1 for the gateway, 0.40 for two functions, 0.375 for reading and 8.75 for writing.
            "dollars_per_million": 10.525,
        });
        assert_eq!(told, json!({"total": 1, "requests": [expected]}));
        assert_eq!(get("?after=1").await, json!({"total": 1, "requests": []}));

        let about = get("/JKJa_mPLvHcESHA%3D/lines").await;
        assert_eq!(about["request"], told["requests"][0]);
        let [line] = about["lines"].as_array().unwrap().as_slice() else { panic!("{about}") };
        assert_eq!((&line["function"], &line["text"]), (&json!("order-create"), &json!(r#"{"request_id":"JKJa_mPLvHcESHA="}"#)));
    }

    #[test]
    fn items_are_plain_and_keep_passwords_to_themselves() {
        let key = |pk: &str, sk: &str| json!({"pk": {"S": pk}, "sk": {"S": sk}});
        let mut user = key("USER#1", "USER");
        user["password"] = json!({"S": "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA"});
        let mut order = key("ORDER#1", "ORDER");
        order["total"] = json!({"N": "4750"});
        order["rate"] = json!({"N": "0.10"});
        let hash = json!({"S": "$argon2id$"});
        order["more"] = json!({"M": {"list": {"L": [{"BOOL": true}, {"NULL": true}, {"SS": ["a"]}, hash]}}});
        for name in NOT_LISTED {
            order[name] = json!({"M": {"1": {"M": {"quantity": {"N": "7"}}}}});
        }
        let items = [
            user,
            key("EMAIL#b", "OWNER"),
            key("EMAIL#a", "OWNER"),
            key("ATTEMPTS#a", "TOTAL"),
            key("PRODUCT#1", "PRODUCT"),
            key("PRODUCT#1", "STOCK#01"),
            key("MOVEMENTS#1", "7"),
            order,
            key("ORDER#2", "ORDER"),
            key("ORDER#2", "ITEM#7"),
        ];
        let told = by_entity(&items);
        assert!(!told.to_string().contains("argon2"), "{told}");
        let find = |name: &str| {
            let entities = told["entities"].as_array().unwrap();
            entities.iter().find(|entity| entity["name"] == name).unwrap()
        };
        let named = |name: &str| {
            let entity = find(name);
            assert_eq!(entity["count"], entity["items"].as_array().unwrap().len());
            entity["items"].clone()
        };
        assert_eq!(named("Users"), json!([{"pk": "USER#1", "sk": "USER", "password": "…"}]));
        let more = json!({"list": [true, null, ["a"], "…"]});
        let first = json!({"pk": "ORDER#1", "sk": "ORDER", "total": 4750, "rate": "0.10", "more": more});
        assert_eq!(named("Orders"), json!([{"pk": "ORDER#2", "sk": "ORDER"}, first]));
        assert_eq!(named("Stock"), json!([{"pk": "PRODUCT#1", "sk": "STOCK#01"}]));
        assert_eq!(named("Movements"), json!([{"pk": "MOVEMENTS#1", "sk": "7"}]));
        assert_eq!(named("E-mail addresses"), json!([{"pk": "EMAIL#a", "sk": "OWNER"}, {"pk": "EMAIL#b", "sk": "OWNER"}]));
        assert_eq!(named("Failed logins, in total"), json!([{"pk": "ATTEMPTS#a", "sk": "TOTAL"}]));
        assert_eq!(named(OTHERS), json!([{"pk": "ORDER#2", "sk": "ITEM#7"}]));
        assert_eq!(named("Sessions"), json!([]));

        for (name, leads) in [
            ("Products", json!({"to": "Products", "behind": "PRODUCT#"})),
            ("Stock", json!({"to": "Products", "behind": "PRODUCT#"})),
            ("Movements", json!({"to": "Products", "behind": "MOVEMENTS#"})),
            ("Orders", json!({"to": "Orders", "behind": "ORDER#"})),
            ("Users", Value::Null),
            (OTHERS, Value::Null),
        ] {
            assert_eq!(find(name)["leads"], leads, "{name}");
        }
    }

    #[test]
    fn a_product_has_its_books_and_an_order_the_names_on_its_lines() {
        let key = |pk: &str, sk: &str| json!({"pk": {"S": pk}, "sk": {"S": sk}});
        let line = |product: &str| json!({"M": {"product_id": {"S": product}, "quantity": {"N": "2"}}});
        let mut product = key("PRODUCT#1", "PRODUCT");
        product["name"] = json!({"S": "Lamp"});
        let mut order = key("ORDER#1", "ORDER");
        order["lines"] = json!({"M": {"a": line("1"), "b": line("gone")}});
        order["history"] = json!({"M": {"1": {"M": {"stock": {"S": "none"}}}}});
        let items = [
            key("MOVEMENTS#1", "a"),
            key("PRODUCT#1", "STOCK#01"),
            key("MOVEMENTS#gone", "c"),
            order,
            key("PRODUCT#1", "STOCK#00"),
            key("MOVEMENTS#1", "b"),
            key("PRODUCT#11", "STOCK#00"),
            product,
            key("ORDER#11", "ORDER"),
        ];

        let expected = json!({
            "product": {"pk": "PRODUCT#1", "sk": "PRODUCT", "name": "Lamp"},
            "stock": [
                {"pk": "PRODUCT#1", "sk": "STOCK#00", "shard": "00"},
                {"pk": "PRODUCT#1", "sk": "STOCK#01", "shard": "01"},
            ],
            "movements": [{"pk": "MOVEMENTS#1", "sk": "b"}, {"pk": "MOVEMENTS#1", "sk": "a"}],
        });
        assert_eq!(product_with_books(&items, "1"), Some(expected));
        let gone = json!({"product": null, "stock": [], "movements": [{"pk": "MOVEMENTS#gone", "sk": "c"}]});
        assert_eq!(product_with_books(&items, "gone"), Some(gone));
        assert_eq!(product_with_books(&items, "2"), None);

        let order = json!({
            "pk": "ORDER#1",
            "sk": "ORDER",
            "lines": {"a": {"product_id": "1", "quantity": 2}, "b": {"product_id": "gone", "quantity": 2}},
            "history": {"1": {"stock": "none"}},
        });
        assert_eq!(order_with_names(&items, "1"), Some(json!({"order": order, "names": {"1": "Lamp"}})));
        assert_eq!(order_with_names(&items, "11").map(|found| found["names"].clone()), Some(json!({})));
        assert_eq!(order_with_names(&items, "2"), None);
    }
}
