//! An HTTP request as a function sees it: API Gateway's payload format 2.0.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::body::Bytes;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::response::is_hop_by_hop;
use super::routes::Parameters;
use crate::names::{ACCOUNT, arn};

const API: &str = "local";
const STAGE: &str = "$default";
/// Such as `12/Mar/2020:19:03:58 +0000`.
const TIME: &[BorrowedFormatItem<'_>] = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");

/// What the events of a route's function and of its authorizer have in common.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    route_key: String,
    /// As it was sent, still percent-encoded; only path parameters are decoded.
    raw_path: String,
    raw_query_string: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: Context,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: Parameters,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    account_id: &'static str,
    api_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer>,
    domain_name: String,
    domain_prefix: &'static str,
    http: Http,
    request_id: String,
    route_key: String,
    stage: &'static str,
    time: String,
    time_epoch: i64,
}

#[derive(Debug, Serialize)]
struct Authorizer {
    lambda: Map<String, Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    path: String,
    protocol: String,
    source_ip: IpAddr,
    user_agent: String,
}

/// What the gateway knows about a request beside its head and body.
pub struct Origin<'a> {
    pub request_id: &'a str,
    pub trace: &'a str,
    /// From the socket: a header could claim anything.
    pub source: IpAddr,
    /// The port that the gateway listens on.
    pub port: u16,
}

impl Call {
    pub fn new(head: &Parts, body: &Bytes, route_key: &str, path_parameters: Parameters, origin: &Origin<'_>) -> Self {
        let now = OffsetDateTime::now_utc();
        let path = head.uri.path().to_owned();
        let query = head.uri.query().unwrap_or_default();
        let headers = headers(&head.headers, body, origin);
        let host = headers.get(HOST.as_str()).map_or("", String::as_str);
        Self {
            route_key: route_key.to_owned(),
            raw_path: path.clone(),
            raw_query_string: query.to_owned(),
            cookies: cookies(&head.headers),
            query_string_parameters: query_parameters(query),
            request_context: Context {
                account_id: ACCOUNT,
                api_id: API,
                authorizer: None,
                domain_name: host.split(':').next().unwrap_or(host).to_owned(),
                domain_prefix: API,
                http: Http {
                    method: head.method.to_string(),
                    path,
                    protocol: format!("{:?}", head.version),
                    source_ip: origin.source,
                    user_agent: headers.get(USER_AGENT.as_str()).cloned().unwrap_or_default(),
                },
                request_id: origin.request_id.to_owned(),
                route_key: route_key.to_owned(),
                stage: STAGE,
                // The format has no part that could fail.
                time: now.format(TIME).unwrap_or_default(),
                time_epoch: i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX),
            },
            headers,
            path_parameters,
        }
    }

    /// The header's value unless it is missing or empty; `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Adds what the authorizer said about the caller.
    pub fn authorize(&mut self, context: Map<String, Value>) {
        self.request_context.authorizer = Some(Authorizer { lambda: context });
    }

    /// The event for the route's function.
    pub fn event(&self, body: &Bytes) -> serde_json::Result<Bytes> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Event<'a> {
            version: &'static str,
            #[serde(flatten)]
            call: &'a Call,
            #[serde(skip_serializing_if = "Option::is_none")]
            body: Option<String>,
            is_base64_encoded: bool,
        }
        let text = is_text(self.header(CONTENT_TYPE.as_str())).then(|| str::from_utf8(body).ok()).flatten();
        let event = Event {
            version: "2.0",
            call: self,
            body: (!body.is_empty()).then(|| text.map_or_else(|| STANDARD.encode(body), str::to_owned)),
            is_base64_encoded: text.is_none() && !body.is_empty(),
        };
        serde_json::to_vec(&event).map(Bytes::from)
    }

    /// The event for the route's authorizer, which never sees the body.
    pub fn authorizer_event(&self, identity_source: &[String]) -> serde_json::Result<Bytes> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Event<'a> {
            version: &'static str,
            r#type: &'static str,
            route_arn: String,
            identity_source: &'a [String],
            #[serde(flatten)]
            call: &'a Call,
        }
        let http = &self.request_context.http;
        let event = Event {
            version: "2.0",
            r#type: "REQUEST",
            route_arn: arn("execute-api", &format!("{API}/{STAGE}/{}{}", http.method, http.path)),
            identity_source,
            call: self,
        };
        serde_json::to_vec(&event).map(Bytes::from)
    }
}

/// Lower-case names, values of the same name joined, what belongs to the connection removed and what the gateway adds
/// added.
fn headers(sent: &HeaderMap, body: &Bytes, origin: &Origin<'_>) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = sent
        .keys()
        // Cookies have a field of their own.
        .filter(|name| !is_hop_by_hop(name) && *name != COOKIE)
        .map(|name| (name.as_str().to_owned(), joined(sent, name)))
        .collect();
    let source = origin.source.to_string();
    let forwarded_for = match headers.get("x-forwarded-for") {
        Some(others) => format!("{others}, {source}"),
        None => source,
    };
    headers.extend([
        (CONTENT_LENGTH.as_str().to_owned(), body.len().to_string()),
        ("x-amzn-trace-id".to_owned(), origin.trace.to_owned()),
        ("x-forwarded-for".to_owned(), forwarded_for),
        ("x-forwarded-port".to_owned(), origin.port.to_string()),
        ("x-forwarded-proto".to_owned(), "http".to_owned()),
    ]);
    headers
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    values.join(",")
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            value.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        parameters
            .entry(name.into_owned())
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    parameters
}

/// Whether a body of this content type is handed on as text; it must be UTF-8 in any case.
fn is_text(content_type: Option<&str>) -> bool {
    let Some(content_type) = content_type else {
        return true;
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || ["application/json", "application/javascript", "application/xml"].contains(&essence.as_str())
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use aws_lambda_events::apigw::{ApiGatewayV2CustomAuthorizerV2Request, ApiGatewayV2httpRequest};
    use axum::http::Request;

    use super::*;

    fn call(request: axum::http::request::Builder, body: &Bytes) -> Call {
        let (head, ()) = request.body(()).unwrap().into_parts();
        let origin =
            Origin { request_id: "JKJaXmPLvHcESHA=", trace: "Root=1-0-0", source: Ipv4Addr::LOCALHOST.into(), port: 3000 };
        let parameters = Parameters::from([("book_id".to_owned(), "a b".to_owned())]);
        Call::new(&head, body, "GET /books/{book_id}", parameters, &origin)
    }

    #[test]
    fn events_carry_the_request() {
        let body = Bytes::from_static(b"{}");
        let request = Request::get("/books/a%20b?x=1&y=a%2Bb+c&x=2")
            .header("Host", "localhost:3000")
            .header("X-Two", "1")
            .header("X-Two", "2")
            .header("Cookie", "a=1; b=2")
            .header("Connection", "keep-alive")
            .header("X-Forwarded-For", "8.8.8.8")
            .header("User-Agent", "test");
        let mut call = call(request, &body);
        call.authorize(Map::from_iter([("sub".to_owned(), "u1".into())]));
        let event: Value = serde_json::from_slice(&call.event(&body).unwrap()).unwrap();

        assert_eq!(event["version"], "2.0");
        assert_eq!(event["rawPath"], "/books/a%20b");
        assert_eq!(event["rawQueryString"], "x=1&y=a%2Bb+c&x=2");
        assert_eq!(event["queryStringParameters"], serde_json::json!({"x": "1,2", "y": "a+b c"}));
        assert_eq!(event["pathParameters"]["book_id"], "a b");
        assert_eq!(event["cookies"], serde_json::json!(["a=1", "b=2"]));
        assert_eq!(
            event["headers"],
            serde_json::json!({
                "content-length": "2",
                "host": "localhost:3000",
                "user-agent": "test",
                "x-amzn-trace-id": "Root=1-0-0",
                "x-forwarded-for": "8.8.8.8, 127.0.0.1",
                "x-forwarded-port": "3000",
                "x-forwarded-proto": "http",
                "x-two": "1,2",
            })
        );
        let context = &event["requestContext"];
        assert_eq!(context["domainName"], "localhost");
        assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
        assert_eq!(context["http"]["protocol"], "HTTP/1.1");
        assert_eq!(context["authorizer"]["lambda"]["sub"], "u1");

        let typed: ApiGatewayV2httpRequest = serde_json::from_value(event).unwrap();
        assert_eq!(typed.request_context.http.method, "GET");
        assert_eq!(typed.body.as_deref(), Some("{}"));
    }

    #[test]
    fn bodies_are_text_or_base64() {
        for (content_type, body, expected, encoded) in [
            (Some("application/json"), &b"{}"[..], Some("{}"), false),
            (Some("application/problem+json; charset=utf-8"), b"{}", Some("{}"), false),
            (Some("TEXT/plain"), "é".as_bytes(), Some("é"), false),
            (Some("text/plain"), b"\xff", Some("/w=="), true),
            (Some("application/octet-stream"), b"a", Some("YQ=="), true),
            (Some("application/x-www-form-urlencoded"), b"a=b", Some("YT1i"), true),
            (None, b"a", Some("a"), false),
            (None, b"\xff", Some("/w=="), true),
            (Some("application/json"), b"", None, false),
            (Some("image/png"), b"", None, false),
        ] {
            let mut request = Request::post("/");
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let body = Bytes::copy_from_slice(body);
            let event: Value = serde_json::from_slice(&call(request, &body).event(&body).unwrap()).unwrap();
            assert_eq!(event["body"].as_str(), expected, "{content_type:?}");
            assert_eq!(event["isBase64Encoded"], encoded, "{content_type:?}");
        }
    }

    #[test]
    fn authorizers_see_everything_but_the_body() {
        let call = call(Request::get("/books/1"), &Bytes::new());
        let event: Value = serde_json::from_slice(&call.authorizer_event(&["Bearer x".into()]).unwrap()).unwrap();
        assert_eq!(event["type"], "REQUEST");
        assert_eq!(event["routeArn"], "arn:aws:execute-api:us-east-1:000000000000:local/$default/GET/books/1");
        assert_eq!(event["identitySource"], serde_json::json!(["Bearer x"]));
        assert_eq!(event.get("body"), None);
        let typed: ApiGatewayV2CustomAuthorizerV2Request = serde_json::from_value({
            let mut event = event;
            event["cookies"] = serde_json::json!([]);
            event
        })
        .unwrap();
        assert_eq!(typed.route_key.as_deref(), Some("GET /books/{book_id}"));
    }
}
