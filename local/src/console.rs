//! The console: a page beside the API that shows requests as they come, what functions wrote about them, events and who was told of
//! them, mails, and all items.
//!
//! Its paths all begin with `/_local`, where no route of an API should be, and are no requests to the shop. What a browser loads is in
//! `local/console`.
//!
//! | file | holds |
//! |---|---|
//! | `stored` | items as they are stored |
//! | `links` | whose an id is |
//! | `requests` | requests, one by one and by route |
//! | `items` | what is in the table, as people know it |

mod items;
mod links;
mod requests;
mod stored;

use std::future::ready;
use std::sync::{Arc, OnceLock};
use std::time::UNIX_EPOCH;

use axum::extract::{Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use emulator::guard::Guard;
use emulator::{EventRecord, Inside, LogLine, MailRecord, now_millis};
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::{Value, json};

use self::items::Wanted;
use self::links::Links;
use crate::audit::source::Source;
use crate::error::Result;

pub const PATH: &str = "/_local";

/// How many of the latest requests, events or mails one answer tells.
const TOLD: usize = 2_000;

/// What the window of the routes' numbers is at most, in seconds: a day.
const LONGEST_WINDOW: u64 = 24 * 60 * 60;

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

/// The modules of the page, and the library that they render with, under the names that they import each other by.
const SCRIPTS: [(&str, &str); 11] = [
    ("/_local/console.js", include_str!("../console/console.js")),
    ("/_local/page.js", include_str!("../console/page.js")),
    ("/_local/requests.js", include_str!("../console/requests.js")),
    ("/_local/routes.js", include_str!("../console/routes.js")),
    ("/_local/events.js", include_str!("../console/events.js")),
    ("/_local/mails.js", include_str!("../console/mails.js")),
    ("/_local/items.js", include_str!("../console/items.js")),
    ("/_local/lit-html/lit-html.js", include_str!("../console/lit-html/lit-html.js")),
    ("/_local/lit-html/directive.js", include_str!("../console/lit-html/directive.js")),
    ("/_local/lit-html/directive-helpers.js", include_str!("../console/lit-html/directive-helpers.js")),
    ("/_local/lit-html/directives/repeat.js", include_str!("../console/lit-html/directives/repeat.js")),
];

/// What the page about the API offers to log in with, once there are such accounts.
pub type Accounts = Arc<OnceLock<Vec<Account>>>;

#[derive(Serialize)]
pub struct Account {
    pub email: &'static str,
    pub password: &'static str,
}

pub struct Console(Inside);

impl Console {
    pub fn new(inside: Inside) -> Self {
        Self(inside)
    }

    pub fn router(self, guard: Guard, accounts: Accounts) -> Router {
        let file = |kind: &'static str, text: &'static str| get(([(CONTENT_TYPE, kind)], text));
        let page = || file("text/html; charset=utf-8", include_str!("../console/console.html"));
        let script = |text| file("text/javascript; charset=utf-8", text);
        let router = Router::new()
            .route("/_local", page())
            .route("/_local/", page())
            .route("/_local/console.css", file("text/css; charset=utf-8", include_str!("../console/console.css")))
            .route("/_local/icon.svg", file("image/svg+xml", include_str!("../console/icon.svg")));
        let router = SCRIPTS.into_iter().fold(router, |router, (path, text)| router.route(path, script(text)));
        let router = router
            .route("/_local/requests", get(requests_after))
            .route("/_local/requests/{request_id}", get(one_request))
            .route("/_local/requests.har", post(archive))
            .route("/_local/routes", get(routes))
            .route("/_local/events", get(events))
            .route("/_local/events/{number}", get(one_event))
            .route("/_local/events/{number}/send", post(send_again))
            .route("/_local/mails", get(mails))
            .route("/_local/mails/{number}/html", get(mail_as_html))
            .route("/_local/links", get(all_links))
            .route(
                "/_local/accounts",
                get(move || ready(Json(accounts.get().into_iter().flatten().collect::<Vec<_>>()).into_response())),
            )
            .route("/_local/items", get(items_of))
            .route("/_local/items/products/{id}", get(product))
            .route("/_local/items/orders/{id}", get(order))
            .route("/_local/items/users/{id}", get(user))
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
        Some(after) => console.0.mailbox.after(after, TOLD),
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

/// What the query says of a name.
fn parameter(uri: &Uri, wanted: &str) -> Option<String> {
    let mut query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
}

/// N of `?after=N`.
fn after(uri: &Uri) -> Option<u64> {
    parameter(uri, "after")?.parse().ok()
}

/// All events that are remembered, newest last; with `?after=N` those that came after the first N, but only the latest of them.
async fn events(State(console): State<Arc<Console>>, uri: Uri) -> Response {
    let records = match after(&uri) {
        Some(after) => console.0.events.after(after, TOLD),
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
async fn requests_after(State(console): State<Arc<Console>>, uri: Uri) -> Response {
    let after = after(&uri).unwrap_or_default();
    let (latest, total) = console.0.log.requests_after(after, TOLD);
    json_response(&json!({"total": total, "requests": latest.iter().map(requests::row).collect::<Vec<_>>()}))
}

/// A request with what it and its answer said, and the lines about it.
async fn one_request(State(console): State<Arc<Console>>, Path(request_id): Path<String>) -> Response {
    let log = &console.0.log;
    let Some(record) = log.find(&request_id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let said = log.exchange_of(&request_id);
    json_response(&json!({
        "request": requests::row(&record),
        "sent": said.as_ref().map(|said| requests::message(&said.request)),
        "answered": said.as_ref().map(|said| requests::message(&said.response)),
        "lines": log.lines_about(&record).iter().map(line).collect::<Vec<_>>(),
    }))
}

/// The requests with these ids as a HAR file.
async fn archive(State(console): State<Arc<Console>>, headers: HeaderMap, Json(ids): Json<Vec<String>>) -> Response {
    let log = &console.0.log;
    let known = ids.iter().filter_map(|id| Some((log.find(id)?, log.exchange_of(id)))).collect::<Vec<_>>();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    json_response(&requests::har(&known, &format!("http://{host}")))
}

/// What requests of each route came to in the last `?seconds=`, with `?assets=true` those for the pages too.
async fn routes(State(console): State<Arc<Console>>, uri: Uri) -> Response {
    let seconds = parameter(&uri, "seconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(60).clamp(1, LONGEST_WINDOW);
    let assets = parameter(&uri, "assets").as_deref() == Some("true");
    json_response(&requests::by_route(&console.0.log.requests(), seconds * 1000, now_millis(), assets))
}

async fn all_links(State(console): State<Arc<Console>>) -> Response {
    console.answer(|items| Some(Links::of(items).all())).await
}

/// The entities, and of one of them (`?entity=`) the rows that have `?search=`, by `?sort=`.
async fn items_of(State(console): State<Arc<Console>>, uri: Uri) -> Response {
    let is = |name: &str| parameter(&uri, name).as_deref() == Some("true");
    let wanted = Wanted {
        entity: parameter(&uri, "entity").unwrap_or_default(),
        search: parameter(&uri, "search").unwrap_or_default(),
        sort: parameter(&uri, "sort").filter(|sort| !sort.is_empty()),
        descending: is("descending"),
        stored: is("stored"),
    };
    console.answer(|items| Some(items::list(items, &wanted))).await
}

async fn product(State(console): State<Arc<Console>>, Path(id): Path<String>) -> Response {
    console.answer(|items| items::product(items, &id)).await
}

async fn order(State(console): State<Arc<Console>>, Path(id): Path<String>) -> Response {
    let all = console.0.log.requests();
    let about: Vec<_> = all.iter().filter(|record| requests::is_about(record, &id)).map(requests::row).collect();
    console.answer(|items| items::order(items, &id, &about)).await
}

async fn user(State(console): State<Arc<Console>>, Path(id): Path<String>) -> Response {
    console.answer(|items| items::user(items, &id)).await
}

fn json_response(value: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

fn line(line: &LogLine) -> Value {
    let since = line.time.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({"time": since.as_secs_f64() * 1000.0, "function": line.function, "text": line.text})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use emulator::{Exchange, Log, Message, RequestRecord, server};
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
        tokio::spawn(server::serve(listener, api.merge(console.router(Guard::default(), Accounts::default())), stop.clone()));
        (url, stop.drop_guard())
    }

    #[tokio::test]
    async fn every_path_of_the_console_is_guarded() {
        let (url, _stop) = console(&Arc::new(Log::default())).await;
        for (path, status) in [
            ("/_local", 200),
            ("/_local/", 200),
            ("/_local/console.css", 200),
            ("/_local/console.js", 200),
            ("/_local/lit-html/directives/repeat.js", 200),
            ("/_local/icon.svg", 200),
            ("/_local/requests", 200),
            ("/_local/requests/none", 404),
            ("/_local/requests.har", 405),
            ("/_local/routes", 200),
            ("/_local/links", 502),
            ("/_local/events", 200),
            ("/_local/events?after=7", 200),
            ("/_local/events/7", 404),
            ("/_local/accounts", 200),
            ("/_local/items", 502),
            ("/_local/items/products/1", 502),
            ("/_local/items/orders/1", 502),
            ("/_local/items/users/1", 502),
            ("/_local/items/sessions/1", 404),
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
        let (url, _stop) = console(&Arc::new(Log::default())).await;
        for path in ["/", "/_locals", "/products/_local", "/favicon.ico"] {
            let answer = Client::new().get(format!("{url}{path}")).header("host", "any.example").send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), "the API", "{path}");
        }
    }

    #[tokio::test]
    async fn requests_are_told_once_with_their_cost_and_lines() {
        let log = Arc::new(Log::default());
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
            query: "token=…".into(),
            route: Some("POST /orders".into()),
            caller: [("user_id".to_owned(), json!("7")), ("session_id".to_owned(), json!("8"))].into_iter().collect(),
            invocations: vec!["one".into(), "two".into()],
            calls: 2,
            operations: vec!["GetItem".into(), "TransactWriteItems".into()],
            read_units: 3.0,
            write_units: 14.0,
            ..RequestRecord::default()
        });
        log.exchange(Exchange {
            request_id: "JKJa_mPLvHcESHA=".into(),
            request: Message { headers: vec![("a".into(), "b".into())], bytes: 2, body: Some("{}".into()) },
            response: Message::default(),
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
            "query": "token=…",
            "route": "POST /orders",
            "user_id": "7",
            "role": null,
            "status": 201,
            "code": null,
            "detail": null,
            "location": null,
            "function": "order-create",
            "cold": true,
            "asset": false,
            "duration_ms": 12.0,
            "operations": ["GetItem", "TransactWriteItems"],
            "read_units": 3.0,
            "write_units": 14.0,
            "faults": [],
            // 1 for the gateway, 0.40 for two functions, 0.375 for reading and 8.75 for writing.
            "dollars_per_million": 10.525,
        });
        assert_eq!(told, json!({"total": 1, "requests": [expected]}));
        assert_eq!(get("?after=1").await, json!({"total": 1, "requests": []}));

        let about = get("/JKJa_mPLvHcESHA%3D").await;
        assert_eq!(about["request"], told["requests"][0]);
        assert_eq!(about["sent"], json!({"headers": [["a", "b"]], "bytes": 2, "body": {}}));
        assert_eq!(about["answered"], json!({"headers": [], "bytes": 0, "body": null}));
        let [line] = about["lines"].as_array().unwrap().as_slice() else { panic!("{about}") };
        assert_eq!((&line["function"], &line["text"]), (&json!("order-create"), &json!(r#"{"request_id":"JKJa_mPLvHcESHA="}"#)));

        let archive = Client::new().post(format!("{url}/_local/requests.har")).json(&["none", "JKJa_mPLvHcESHA="]);
        let archive: Value = archive.send().await.unwrap().json().await.unwrap();
        let [entry] = archive["log"]["entries"].as_array().unwrap().as_slice() else { panic!("{archive}") };
        assert_eq!(entry["request"]["url"], format!("{url}/orders?token=…"));
    }
}
