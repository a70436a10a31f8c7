//! events/: an example event for each function, as API Gateway, EventBridge or an operator sends it.

use std::{collections::BTreeMap, error::Error};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use shared::{
    contract::{FUNCTIONS, Invocation, Route, openapi, session},
    domain::Role,
    store::schema,
};

const ACCOUNT: &str = "123456789012";
const API: &str = "abcdef1234";
const REGION: &str = "eu-central-1";
const HOST: &str = "api.example.com";
const ADDRESS: &str = "203.0.113.7";
const CLIENT: &str = "curl/8.5.0";

/// The events by function.
pub fn all(document: &Value) -> Result<BTreeMap<&'static str, String>, Box<dyn Error>> {
    let mut events = BTreeMap::new();
    for route in session() {
        events.insert(route.function, pretty(&of_route(document, route))?);
    }
    for function in FUNCTIONS {
        let event = match function.invocation {
            Invocation::Request { route, path } => pretty(&HttpEvent::new(route, "GET", path.into()))?,
            Invocation::Authorization { route } => pretty(&authorization(route))?,
            Invocation::Schedule { id } => pretty(&Schedule::new(function.name, id))?,
            Invocation::Stream { of } if *of == schema::TICKET => pretty(&ticket_record())?,
            Invocation::Stream { .. } => pretty(&order_record())?,
            Invocation::Operator { payload } => pretty(&serde_json::from_str::<Value>(payload)?)?,
        };
        events.insert(function.name, event);
    }
    Ok(events)
}

fn pretty(event: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(event)? + "\n")
}

/// A request, with its members in the order in which API Gateway's manual has them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HttpEvent {
    version: &'static str,
    /// This and the next two: what only an authorizer is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_source: Option<[&'static str; 1]>,
    route_key: &'static str,
    raw_path: String,
    raw_query_string: &'static str,
    headers: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    query_string_parameters: Pairs,
    request_context: Context,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    path_parameters: Pairs,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_base64_encoded: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    account_id: &'static str,
    api_id: &'static str,
    domain_name: &'static str,
    domain_prefix: &'static str,
    http: Http,
    request_id: &'static str,
    route_key: &'static str,
    stage: &'static str,
    time: &'static str,
    time_epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Authorizer>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: &'static str,
    path: String,
    protocol: &'static str,
    source_ip: &'static str,
    user_agent: &'static str,
}

#[derive(Serialize)]
struct Authorizer {
    lambda: Caller,
}

/// What the authorizer tells of the caller.
#[derive(Serialize)]
struct Caller {
    user_id: &'static str,
    role: Role,
    session_id: &'static str,
}

/// An object whose members stay in their order.
#[derive(Default)]
struct Pairs(Vec<(&'static str, &'static str)>);

impl Pairs {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

impl HttpEvent {
    /// Without a token and without a body.
    fn new(route_key: &'static str, method: &'static str, path: String) -> Self {
        let headers = [
            ("accept", "application/json"),
            ("content-length", "0"),
            ("host", HOST),
            ("user-agent", CLIENT),
            ("x-amzn-trace-id", "Root=1-6921a0ae-0123456789abcdef01234567"),
            ("x-forwarded-for", ADDRESS),
            ("x-forwarded-port", "443"),
            ("x-forwarded-proto", "https"),
        ];
        Self {
            version: "2.0",
            r#type: None,
            route_arn: None,
            identity_source: None,
            route_key,
            raw_path: path.clone(),
            raw_query_string: "",
            headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
            query_string_parameters: Pairs::default(),
            request_context: Context {
                account_id: ACCOUNT,
                api_id: API,
                domain_name: HOST,
                domain_prefix: "api",
                http: Http { method, path, protocol: "HTTP/1.1", source_ip: ADDRESS, user_agent: CLIENT },
                request_id: "JKJaXmPLvHcESHA=",
                route_key,
                stage: "$default",
                time: "22/Nov/2026:10:12:30 +0000",
                time_epoch: 1_795_342_350_123,
                authorizer: None,
            },
            body: None,
            path_parameters: Pairs::default(),
            is_base64_encoded: Some(false),
        }
    }
}

fn of_route(document: &Value, route: &'static Route) -> HttpEvent {
    let path = route.ids().fold(route.path().to_owned(), |path, id| path.replace(&format!("{{{}}}", id.name), id.example));
    let mut request = HttpEvent::new(route.key, route.method(), path);
    request.raw_query_string = route.query;
    request.query_string_parameters = Pairs(route.query.split('&').filter_map(|pair| pair.split_once('=')).collect());
    request.path_parameters = Pairs(route.ids().map(|id| (id.name, id.example)).collect());
    if let Some(role) = route.caller {
        let (user_id, session_id) = match role {
            Role::Admin => ("0197a2b4-7c1e-7d3a-9f00-000000000001", "0197a2b4-7c1e-7d3a-9f00-0000000000aa"),
            Role::Customer => ("0197a2b4-7c1e-7d3a-9f00-000000000002", "0197a2b4-7c1e-7d3a-9f00-0000000000bb"),
        };
        request.headers.insert("authorization", "Bearer an-access-token".into());
        request.request_context.authorizer = Some(Authorizer { lambda: Caller { user_id, role, session_id } });
    }
    if let Some(key) = route.idempotency_key {
        request.headers.insert("idempotency-key", key.into());
    }
    if let Some(body) = openapi::example_body(document, route) {
        let body = body.to_string();
        request.headers.insert("content-type", "application/json".into());
        request.headers.insert("content-length", body.len().to_string());
        request.body = Some(body);
    }
    request
}

/// The gateway asks its authorizer about a request with a token that is none.
fn authorization(route: &'static str) -> HttpEvent {
    const TOKEN: &str = "Bearer not.a.token";
    let (method, path) = route.split_once(' ').unwrap_or_default();
    let headers = [("authorization", TOKEN), ("content-type", "application/json"), ("host", HOST), ("user-agent", CLIENT)];
    HttpEvent {
        r#type: Some("REQUEST"),
        route_arn: Some(format!("arn:aws:execute-api:{REGION}:{ACCOUNT}:{API}/$default/{method}{path}")),
        identity_source: Some([TOKEN]),
        headers: headers.map(|(name, value)| (name, value.to_owned())).into(),
        is_base64_encoded: None,
        ..HttpEvent::new(route, method, path.into())
    }
}

/// A record of the table's stream: somebody who has forgotten a password is to be sent a token.
fn ticket_record() -> Value {
    let keys = json!({"pk": {"S": "TICKETS#0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f"}, "sk": {"S": "recovery"}});
    let mut image = keys.clone();
    image["ticket_id"] = json!({"S": "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e2f"});
    image["created_at"] = json!({"N": "1795342351000"});
    image["expires_at"] = json!({"N": "1795344151"});
    record("INSERT", &keys, None, image)
}

/// A record of the table's stream: an order is confirmed.
fn order_record() -> Value {
    let (order, customer) = ("0197a2b4-7c1e-7d3a-9f00-6b7c8d9e0f1a", "0197a2b4-7c1e-7d3a-9f00-000000000002");
    let keys = json!({"pk": {"S": format!("ORDER#{order}")}, "sk": {"S": "ORDER"}});
    let image = |status: &str, version: u64| {
        let mut image = keys.clone();
        image["customer_id"] = json!({"S": customer});
        image["status"] = json!({"S": status});
        for (name, number) in [
            ("version", version),
            ("total", 1990),
            ("item_count", 1),
            ("created_at", 1_795_342_350_123),
            ("updated_at", 1_795_342_351_000),
        ] {
            image[name] = json!({"N": number.to_string()});
        }
        let line =
            json!({"product_id": {"S": "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f"}, "quantity": {"N": "1"}, "price": {"N": "1990"}});
        image["lines"] = json!({"M": {"0197a2b4-7c1e-7d3a-9f00-7c8d9e0f1a2b": {"M": line}}});
        image["history"] = json!({"M": {}});
        image
    };
    let mut confirmed = image("CONFIRMED", 2);
    let entry = json!({"at": {"N": "1795342351000"}, "by": {"S": customer}, "from": {"S": "PENDING"}, "to": {"S": "CONFIRMED"}, "stock": {"S": "none"}});
    confirmed["history"] = json!({"M": {"2": {"M": entry}}});
    record("MODIFY", &keys, Some(image("PENDING", 1)), confirmed)
}

fn record(name: &str, keys: &Value, old: Option<Value>, new: Value) -> Value {
    let mut written = json!({
        "ApproximateCreationDateTime": 1_795_342_351,
        "Keys": keys,
        "SequenceNumber": "111000000000000000001",
        "SizeBytes": 812,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    if let Some(old) = old {
        written["OldImage"] = old;
    }
    written["NewImage"] = new;
    json!({"Records": [{
        "eventID": "7de3041dd709b024af6f29e4fa13d34c",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": written,
        "eventSourceARN": format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/stockroom-Table/stream/2026-11-22T10:12:30.123"),
    }]})
}

/// An event of a rule that EventBridge runs at its times.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Schedule {
    version: &'static str,
    id: &'static str,
    detail_type: &'static str,
    source: &'static str,
    account: &'static str,
    time: &'static str,
    region: &'static str,
    resources: [String; 1],
    detail: Nothing,
}

/// An empty object.
#[derive(Serialize)]
struct Nothing {}

impl Schedule {
    fn new(function: &str, id: &'static str) -> Self {
        // order-expire is OrderExpireFunction in template.yaml.
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        let resource = function.split('-').map(capital).collect::<String>() + "Function";
        Self {
            version: "0",
            id,
            detail_type: "Scheduled Event",
            source: "aws.events",
            account: ACCOUNT,
            time: "2026-11-22T10:15:00Z",
            region: REGION,
            resources: [format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/stockroom-{resource}Schedule")],
            detail: Nothing {},
        }
    }
}
