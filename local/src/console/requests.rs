//! Requests as the page shows them: as rows, with all that is known of one, as a HAR file, and summed up by route.

use std::collections::BTreeMap;

use emulator::{Exchange, MASK, Message, RequestRecord, price};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Into how many steps the plots divide time.
const STEPS: usize = 30;

pub fn row(record: &RequestRecord) -> Value {
    json!({
        "request_id": record.request_id,
        "received_at": record.received_at,
        "method": record.method,
        "path": record.path,
        "query": record.query,
        "route": record.route,
        "user_id": record.caller.get("user_id"),
        "role": record.caller.get("role"),
        "status": record.status,
        // As a problem of ours says it, or as the gateway does.
        "code": record.problem.get("code"),
        "detail": record.problem.get("detail").or_else(|| record.problem.get("message")),
        "location": record.location,
        "function": record.function,
        "cold": record.cold,
        "asset": is_asset(record),
        "duration_ms": milliseconds(record),
        "operations": record.operations,
        "read_units": record.read_units,
        "write_units": record.write_units,
        "faults": record.faults,
        "dollars_per_million": dollars_per_million(record),
    })
}

/// Whether it is about the page for developers and not about the shop.
fn is_asset(record: &RequestRecord) -> bool {
    record.function.as_deref() == Some("docs") || record.path == "/favicon.ico"
}

fn milliseconds(record: &RequestRecord) -> f64 {
    record.duration.as_secs_f64() * 1000.0
}

/// What a million requests like this one cost.
fn dollars_per_million(record: &RequestRecord) -> f64 {
    let invocations = u32::try_from(record.invocations.len()).unwrap_or(u32::MAX);
    price::REQUEST
        + price::INVOCATION * f64::from(invocations)
        + price::READ_UNIT * record.read_units
        + price::WRITE_UNIT * record.write_units
}

/// Whether a request was about what has this id, or made it.
pub fn is_about(record: &RequestRecord, id: &str) -> bool {
    let named = |path: &str| path.split(['/', '?']).any(|segment| segment == id);
    named(&record.path) || record.location.as_deref().is_some_and(named)
}

pub fn message(message: &Message) -> Value {
    json!({"headers": message.headers, "bytes": message.bytes, "body": message.json()})
}

/// Requests, each with what it and its answer said as far as that is kept, as an HTTP archive (HAR 1.2).
pub fn har(requests: &[(RequestRecord, Option<Exchange>)], origin: &str) -> Value {
    let entries: Vec<_> = requests.iter().map(|(record, exchange)| entry(record, exchange.as_ref(), origin)).collect();
    let creator = json!({"name": "Stockroom, local console", "version": env!("CARGO_PKG_VERSION")});
    json!({"log": {"version": "1.2", "creator": creator, "entries": entries}})
}

fn entry(record: &RequestRecord, exchange: Option<&Exchange>, origin: &str) -> Value {
    let unknown = Exchange::default();
    let Exchange { request, response, .. } = exchange.unwrap_or(&unknown);
    let pairs = |pairs: Vec<(String, String)>| -> Vec<_> {
        pairs.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
    };
    let question = if record.query.is_empty() { "" } else { "?" };
    let started = OffsetDateTime::from_unix_timestamp_nanos(i128::from(record.received_at) * 1_000_000);
    let started = started.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(&Rfc3339).unwrap_or_default();
    let content_type = |message: &Message| message.header("content-type").unwrap_or_default().to_owned();
    let mut sent = json!({
        "method": record.method,
        "url": format!("{origin}{}{question}{}", record.path, record.query),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": pairs(request.headers.clone()),
        "queryString": pairs(form_urlencoded::parse(record.query.as_bytes()).into_owned().collect()),
        "headersSize": -1,
        "bodySize": request.bytes,
    });
    if request.bytes > 0 {
        sent["postData"] = json!({"mimeType": content_type(request), "text": request.body.as_deref().unwrap_or(MASK)});
    }
    let mut content = json!({"size": response.bytes, "mimeType": content_type(response)});
    if let Some(text) = &response.body {
        content["text"] = text.as_str().into();
    }
    let reason = axum::http::StatusCode::from_u16(record.status).ok().and_then(|status| status.canonical_reason());
    json!({
        "startedDateTime": started,
        "time": milliseconds(record),
        "request": sent,
        "response": {
            "status": record.status,
            "statusText": reason.unwrap_or_default(),
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": pairs(response.headers.clone()),
            "content": content,
            "redirectURL": record.location.clone().unwrap_or_default(),
            "headersSize": -1,
            "bodySize": response.bytes,
        },
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds(record), "receive": 0},
        "_requestId": record.request_id,
    })
}

/// What requests of each route came to within a window that ends `now`, in milliseconds: the slowest route first.
pub fn by_route(records: &[RequestRecord], window: u64, now: u64, assets: bool) -> Value {
    let since = now.saturating_sub(window);
    let wanted = |record: &&RequestRecord| record.received_at > since && (assets || !is_asset(record));
    let mut routes: BTreeMap<&str, Vec<&RequestRecord>> = BTreeMap::new();
    for record in records.iter().filter(wanted) {
        routes.entry(record.route.as_deref().unwrap_or("no route")).or_default().push(record);
    }
    let all: Vec<_> = routes.values().flatten().copied().collect();
    let mut sums: Vec<_> = routes.iter().map(|(route, records)| summed(route, records, since, window)).collect();
    sums.sort_by(|a, b| b["p95"].as_f64().unwrap_or_default().total_cmp(&a["p95"].as_f64().unwrap_or_default()));
    json!({"since": since, "until": now, "routes": sums, "all": summed("all", &all, since, window)})
}

fn summed(route: &str, records: &[&RequestRecord], since: u64, window: u64) -> Value {
    let durations = |records: &[&RequestRecord]| {
        let mut durations: Vec<_> = records.iter().map(|record| milliseconds(record)).collect();
        durations.sort_by(f64::total_cmp);
        durations
    };
    let mut steps: Vec<Vec<&RequestRecord>> = vec![Vec::new(); STEPS];
    for record in records {
        let step = (record.received_at - since) * STEPS as u64 / window.max(1);
        steps[usize::try_from(step).unwrap_or(usize::MAX).min(STEPS - 1)].push(record);
    }
    let plot: Vec<_> =
        steps.iter().map(|records| json!({"count": records.len(), "p95": percentile(&durations(records), 95)})).collect();
    let sorted = durations(records);
    let with = |wanted: fn(u16) -> bool| records.iter().filter(|record| wanted(record.status)).count();
    let mean = |value: fn(&RequestRecord) -> f64| {
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX).max(1);
        records.iter().map(|record| value(record)).sum::<f64>() / f64::from(count)
    };
    json!({
        "route": route,
        "count": records.len(),
        "refused": with(|status| (400..500).contains(&status)),
        "failed": with(|status| status >= 500),
        "cold": records.iter().filter(|record| record.cold).count(),
        "p50": percentile(&sorted, 50),
        "p95": percentile(&sorted, 95),
        "p99": percentile(&sorted, 99),
        "max": sorted.last(),
        "calls": mean(|record| f64::from(record.calls)),
        "read_units": mean(|record| record.read_units),
        "write_units": mean(|record| record.write_units),
        "dollars_per_million": mean(dollars_per_million),
        "plot": plot,
    })
}

/// The smallest of sorted values that so many of a hundred do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record(route: &str, at: u64, millis: u64, status: u16) -> RequestRecord {
        RequestRecord {
            request_id: format!("{route} {at}"),
            received_at: at,
            route: Some(route.to_owned()),
            duration: Duration::from_millis(millis),
            status,
            calls: 2,
            ..RequestRecord::default()
        }
    }

    #[test]
    fn percentiles_are_values_that_there_were() {
        let hundred: Vec<_> = (1..=100).map(f64::from).collect();
        for (percent, expected) in [(50, 50.0), (95, 95.0), (99, 99.0), (100, 100.0)] {
            assert_eq!(percentile(&hundred, percent), Some(expected));
        }
        assert_eq!((percentile(&[7.0], 50), percentile(&[7.0], 99), percentile(&[], 50)), (Some(7.0), Some(7.0), None));
        assert_eq!((percentile(&[1.0, 2.0, 3.0], 50), percentile(&[1.0, 2.0, 3.0], 95)), (Some(2.0), Some(3.0)));
    }

    #[test]
    fn the_slowest_route_of_the_window_comes_first() {
        let now = 1_000_000;
        let mut records = vec![
            record("GET /old", now - 60_000, 9_000, 200),
            record("GET /fast", now - 59_999, 1, 200),
            record("GET /slow", now - 30_000, 80, 409),
            record("GET /slow", now - 1, 20, 500),
            record("GET /fast", now, 3, 200),
        ];
        records.push(RequestRecord { function: Some("docs".into()), ..record("GET /docs", now, 500, 200) });
        let told = by_route(&records, 60_000, now, false);
        let routes: Vec<_> = told["routes"].as_array().unwrap().iter().map(|route| &route["route"]).collect();
        assert_eq!(routes, ["GET /slow", "GET /fast"]);
        let slow = &told["routes"][0];
        let numbers =
            ["count", "refused", "failed", "p50", "p95", "max", "calls"].map(|name| slow[name].as_f64().unwrap().to_string());
        assert_eq!(numbers, ["2", "1", "1", "20", "80", "80", "2"]);
        let plot = slow["plot"].as_array().unwrap();
        let counted: Vec<_> = (0..STEPS).filter(|step| plot[*step]["count"] != 0).collect();
        assert_eq!((counted, &plot[15]["p95"], &plot[3]["p95"]), (vec![15, 29], &json!(80.0), &Value::Null));
        assert_eq!((&told["all"]["count"], &told["all"]["max"]), (&json!(4), &json!(80.0)));
        assert_eq!(by_route(&records, 60_000, now, true)["routes"][0]["route"], "GET /docs");
        assert_eq!(by_route(&[], 60_000, now, true)["all"]["p95"], Value::Null);
    }

    #[test]
    fn a_request_is_about_what_it_names_or_makes() {
        let mut record = RequestRecord { path: "/orders/1/items".into(), ..RequestRecord::default() };
        assert!(is_about(&record, "1") && !is_about(&record, "11") && !is_about(&record, "2"));
        record.location = Some("/orders/2".into());
        assert!(is_about(&record, "2"));
    }

    #[test]
    fn an_archive_has_what_was_said_as_far_as_it_is_kept() {
        let record = RequestRecord {
            method: "POST".into(),
            path: "/orders".into(),
            query: "a=b%20c".into(),
            ..record("POST /orders", 1_700_000_000_123, 12, 409)
        };
        let message = |name: &str, value: Value| Message {
            headers: vec![("content-type".into(), name.into())],
            bytes: 20,
            body: Some(value.to_string()),
        };
        let exchange = Exchange {
            request_id: String::new(),
            request: message("application/json", json!({"items": []})),
            response: message("application/problem+json", json!({"code": "out-of-stock"})),
        };
        let told = har(&[(record.clone(), Some(exchange)), (record, None)], "http://127.0.0.1:3000");
        let [first, second] = told["log"]["entries"].as_array().unwrap().as_slice() else { panic!("{told}") };
        assert_eq!(first["startedDateTime"], "2023-11-14T22:13:20.123Z");
        assert_eq!(first["request"]["url"], "http://127.0.0.1:3000/orders?a=b%20c");
        assert_eq!(first["request"]["queryString"], json!([{"name": "a", "value": "b c"}]));
        assert_eq!(first["request"]["postData"], json!({"mimeType": "application/json", "text": r#"{"items":[]}"#}));
        assert_eq!((&first["response"]["status"], &first["response"]["statusText"]), (&json!(409), &json!("Conflict")));
        assert_eq!(first["response"]["content"]["text"], r#"{"code":"out-of-stock"}"#);
        assert_eq!((second["request"].get("postData"), &second["time"]), (None, &json!(12.0)));
    }
}
