//! The contract as an OpenAPI 3.1 document: made here, kept in openapi.json, and held against every answer of every test.
//!
//! Limits come from the code's own constants, routes from template.yaml. What the document says beyond them is all in this file.
//! `UPDATE_OPENAPI=1 cargo test --test api openapi` writes it anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::LazyLock,
};

use jsonschema::Validator;
use local::{routes::Routes, template::Template};
use serde_json::{Map, Value, json};
use shared::domain::{Description, Email, Order, ProductName, Quantity, Reason, Status, Stock, StockShards, Text};

use crate::app::{Answer, workspace};

/// A route, and what there is to know about it.
struct Operation {
    route: &'static str,
    id: &'static str,
    summary: &'static str,
    /// Beyond what the summary says.
    description: &'static str,
    /// Whether it takes a token.
    closed: bool,
    /// Names of `components.parameters`, path parameters left out.
    parameters: &'static [&'static str],
    /// Name of the schema of the body, if there is one.
    body: Option<&'static str>,
    /// The status of success and the name of its schema, if it has a body.
    success: (u16, Option<&'static str>),
    /// Names of `components.headers` that come with success.
    headers: &'static [&'static str],
    /// Codes of the problems that are its own.
    problems: &'static [&'static str],
}

/// An address as WHATWG's HTML has it, with a dot in the domain, and no dots in a row or at the ends before the `@`.
const EMAIL: &str = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$";

const OPERATIONS: &[Operation] = &[
    Operation {
        route: "GET /products",
        id: "listProducts",
        summary: "List the catalogue by name",
        description: "In the order of the names after NFKC, case folding and collapsing of white space. A walk from page to page under concurrent writes meets everything that was there all along exactly once.",
        closed: false,
        parameters: &["prefix", "limit", "cursor"],
        body: None,
        success: (200, Some("ProductPage")),
        headers: &["Link"],
        problems: &["invalid-request", "invalid-cursor"],
    },
    Operation {
        route: "POST /products",
        id: "createProduct",
        summary: "Add a product",
        description: "Admins only.",
        closed: true,
        parameters: &["Idempotency-Key"],
        body: Some("NewProduct"),
        success: (201, Some("Product")),
        headers: &["Location", "ETag", "Idempotent-Replayed"],
        problems: &["forbidden", "name-taken", "invalid-request", "invalid-idempotency-key", "idempotency-key-reused"],
    },
    Operation {
        route: "GET /products/{product_id}",
        id: "getProduct",
        summary: "Get a product",
        description: "",
        closed: false,
        parameters: &["If-None-Match"],
        body: None,
        success: (200, Some("Product")),
        headers: &["ETag"],
        problems: &["invalid-header", "not-found"],
    },
    Operation {
        route: "PUT /products/{product_id}",
        id: "updateProduct",
        summary: "Change some or all fields of a product",
        description: "Admins only. Fields that are left out keep their value.",
        closed: true,
        parameters: &["If-Match"],
        body: Some("ProductChange"),
        success: (200, Some("Product")),
        headers: &["ETag"],
        problems: &["invalid-header", "forbidden", "not-found", "name-taken", "precondition-failed", "invalid-request"],
    },
    Operation {
        route: "DELETE /products/{product_id}",
        id: "deleteProduct",
        summary: "Take a product out of the catalogue",
        description: "Admins only, and not while orders hold stock of it. Its name is free again.",
        closed: true,
        parameters: &["If-Match"],
        body: None,
        success: (204, None),
        headers: &[],
        problems: &["invalid-header", "forbidden", "not-found", "product-in-use", "precondition-failed"],
    },
    Operation {
        route: "GET /orders",
        id: "listOrders",
        summary: "List orders, newest first",
        description: "A customer's own; for an admin everybody's, or one customer's.",
        closed: true,
        parameters: &["status", "customer_id", "limit", "cursor"],
        body: None,
        success: (200, Some("OrderPage")),
        headers: &["Link"],
        problems: &["forbidden", "invalid-request", "invalid-cursor"],
    },
    Operation {
        route: "POST /orders",
        id: "createOrder",
        summary: "Place an order",
        description: "With lines or without. It takes the stock of all its lines or none; the price of each line is the product's at that instant. Only an admin may name another customer.",
        closed: true,
        parameters: &["Idempotency-Key"],
        body: Some("NewOrder"),
        success: (201, Some("OrderDetails")),
        headers: &["Location", "ETag", "Idempotent-Replayed"],
        problems: &[
            "forbidden",
            "out-of-stock",
            "too-many-open-orders",
            "invalid-request",
            "unknown-product",
            "unknown-customer",
            "invalid-idempotency-key",
            "idempotency-key-reused",
        ],
    },
    Operation {
        route: "GET /orders/{order_id}",
        id: "getOrder",
        summary: "Get an order with its items and history",
        description: "For its customer and for admins; for anybody else it does not exist.",
        closed: true,
        parameters: &["If-None-Match"],
        body: None,
        success: (200, Some("OrderDetails")),
        headers: &["ETag"],
        problems: &["invalid-header", "not-found"],
    },
    Operation {
        route: "PUT /orders/{order_id}",
        id: "updateOrder",
        summary: "Take an order one step on in its life",
        description: "PENDING → CONFIRMED → SHIPPED → DELIVERED → CANCELLED, and CANCELLED may be reached early. Customers confirm and cancel what has not left the shop; the rest is for admins. Asking for the status that it has already changes nothing.",
        closed: true,
        parameters: &["If-Match"],
        body: Some("StatusChange"),
        success: (200, Some("OrderDetails")),
        headers: &["ETag"],
        problems: &[
            "invalid-header",
            "forbidden",
            "not-found",
            "illegal-transition",
            "empty-order",
            "precondition-failed",
            "invalid-request",
        ],
    },
    Operation {
        route: "DELETE /orders/{order_id}",
        id: "deleteOrder",
        summary: "Delete an order with its items",
        description: "While it is PENDING; for an admin when it is CANCELLED as well. What it holds goes back on the shelf.",
        closed: true,
        parameters: &["If-Match"],
        body: None,
        success: (204, None),
        headers: &[],
        problems: &["invalid-header", "not-found", "order-not-deletable", "precondition-failed"],
    },
    Operation {
        route: "POST /orders/{order_id}/items",
        id: "addItem",
        summary: "Add an item to an order",
        description: "While it is PENDING. The same product may stand on several lines.",
        closed: true,
        parameters: &["Idempotency-Key", "If-Match"],
        body: Some("NewItem"),
        success: (201, Some("OrderItem")),
        headers: &["ETag", "Idempotent-Replayed"],
        problems: &[
            "not-found",
            "order-not-editable",
            "out-of-stock",
            "too-many-items",
            "precondition-failed",
            "invalid-request",
            "unknown-product",
            "invalid-idempotency-key",
            "idempotency-key-reused",
        ],
    },
    Operation {
        route: "PUT /orders/{order_id}/items/{item_id}",
        id: "updateItem",
        summary: "Change the quantity of an item",
        description: "While the order is PENDING. Its price stays what it was. A quantity that it has already changes nothing.",
        closed: true,
        parameters: &["If-Match"],
        body: Some("ItemChange"),
        success: (200, Some("OrderItem")),
        headers: &["ETag"],
        problems: &["not-found", "order-not-editable", "out-of-stock", "precondition-failed", "invalid-request"],
    },
    Operation {
        route: "DELETE /orders/{order_id}/items/{item_id}",
        id: "removeItem",
        summary: "Remove an item from an order",
        description: "While the order is PENDING.",
        closed: true,
        parameters: &["If-Match"],
        body: None,
        success: (204, None),
        headers: &["ETag"],
        problems: &["not-found", "order-not-editable", "precondition-failed"],
    },
    Operation {
        route: "POST /auth/register",
        id: "register",
        summary: "Open an account",
        description: "A customer's. Passwords are judged by how easily they are guessed, also by somebody who knows the names of the account and of the shop. One address may make 60 accounts in a quarter of an hour, unless the shop sets another limit.",
        closed: false,
        parameters: &[],
        body: Some("Registration"),
        success: (201, Some("User")),
        headers: &[],
        problems: &["email-taken", "username-taken", "weak-password", "invalid-request", "too-many-attempts"],
    },
    Operation {
        route: "POST /auth/login",
        id: "login",
        summary: "Log in",
        description: "Ten failures from one address close an account to that address for a quarter of an hour, a hundred from all addresses to those without a session of it. One address may fail 60 times over all accounts, unless the shop sets another limit.",
        closed: false,
        parameters: &[],
        body: Some("Credentials"),
        success: (200, Some("Tokens")),
        headers: &[],
        problems: &["invalid-credentials", "too-many-attempts", "invalid-request"],
    },
    Operation {
        route: "POST /auth/refresh",
        id: "refresh",
        summary: "Exchange a refresh token for the next pair",
        description: "Each is good once, and for 30 seconds more after it was replaced: then it gets the current one. One that is shown later ends the session.",
        closed: false,
        parameters: &[],
        body: Some("RefreshRequest"),
        success: (200, Some("Tokens")),
        headers: &[],
        problems: &["invalid-refresh-token", "invalid-request"],
    },
    Operation {
        route: "GET /auth/me",
        id: "me",
        summary: "Get one's own account",
        description: "",
        closed: true,
        parameters: &[],
        body: None,
        success: (200, Some("User")),
        headers: &[],
        problems: &[],
    },
    Operation {
        route: "POST /auth/logout",
        id: "logout",
        summary: "Log out",
        description: "Ends this session, or with `all` every one of the account. Access and refresh tokens are dead at once. The body may be left out.",
        closed: true,
        parameters: &[],
        body: Some("LogoutRequest"),
        success: (204, None),
        headers: &[],
        problems: &["invalid-request"],
    },
];

/// Every problem: its code, its status, and when it is answered.
const PROBLEMS: &[(&str, u16, &str)] = &[
    ("malformed-json", 400, "The body is not JSON"),
    ("invalid-header", 400, "A header lists more than 20 entity tags"),
    (
        "invalid-idempotency-key",
        400,
        "The Idempotency-Key is not 1 to 255 printable ASCII characters, bare or as one quoted string, or was sent twice",
    ),
    ("unauthenticated", 401, "The route needs an access token"),
    ("token-expired", 401, "The access token has expired: refresh it"),
    ("token-revoked", 401, "The session of the access token has ended: log in"),
    ("invalid-credentials", 401, "The account or the password is wrong, or the account is closed: which, is not told"),
    ("invalid-refresh-token", 401, "The refresh token is not ours, was replaced, or its session has ended"),
    ("forbidden", 403, "Known, and not allowed"),
    ("not-found", 404, "There is no such thing, or not for the caller"),
    ("name-taken", 409, "Another product has this name"),
    ("email-taken", 409, "Another account has this e-mail address"),
    ("username-taken", 409, "Another account has this username"),
    ("product-in-use", 409, "Orders hold stock of the product"),
    (
        "out-of-stock",
        409,
        "There is less of a product than is asked for; `product_id` and `available` tell of which, and how much",
    ),
    ("illegal-transition", 409, "No order goes from the one status to the other"),
    ("empty-order", 409, "An order without items cannot be confirmed"),
    ("order-not-editable", 409, "The order is past the point where its items may change"),
    ("order-not-deletable", 409, "The order is past the point where it may be deleted"),
    ("too-many-open-orders", 409, "The customer has as many PENDING orders as the shop allows"),
    ("too-many-items", 409, "The order has as many items as an order may have"),
    ("precondition-failed", 412, "What the caller saw is not what is there now"),
    ("body-too-large", 413, "The body is over 64 KiB"),
    ("unsupported-media-type", 415, "The body is not declared as application/json in UTF-8, or has a content encoding"),
    ("invalid-request", 422, "Fields or parameters cannot be accepted; `errors` has all that are wrong"),
    ("unknown-product", 422, "A line names a product that there is not"),
    ("unknown-customer", 422, "There is no such active account"),
    ("weak-password", 422, "The password is too easily guessed"),
    ("invalid-cursor", 422, "The cursor was made for another list, or not by us"),
    ("idempotency-key-reused", 422, "The key was used for another request in the last 24 hours"),
    (
        "too-many-attempts",
        429,
        "Too many logins have failed, or too many accounts were made, of this account or from this address; `Retry-After` says for how long",
    ),
    ("internal-error", 500, "A fault of ours, logged under the `request_id`"),
    ("unavailable", 503, "The database did not answer in time; the same request may be sent again"),
];

/// The whole document.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let (method, path) = operation.route.split_once(' ').expect("a method and a path");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method.to_lowercase()] = described(operation);
        if path.contains('{') {
            let names = path.split(['{', '}']).skip(1).step_by(2);
            item["parameters"] = names.map(|name| reference("parameters", name)).collect();
        }
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Stockroom",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The back end of a shop: products, orders and accounts",
            "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "products", "description": "What the shop sells, and how much of it there is"},
            {"name": "orders", "description": "Orders, their items, and the stock that they hold"},
            {"name": "auth", "description": "Accounts and sessions"},
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token of `login` or `refresh`, good for 15 minutes. Without one the gateway answers 401, with one that we never issued 403, both as `Message`; one that has expired or was revoked is a 401 problem.",
                },
            },
            "parameters": parameters(),
            "headers": headers(),
            "schemas": schemas(),
        },
    })
}

const DESCRIPTION: &str = "\
All names are `snake_case`, ids are UUIDv7, times RFC 3339 in UTC with milliseconds, and money is a decimal string with two \
decimals, in the one currency of the shop.

Errors are problems (RFC 9457) with a stable `code` and the `request_id` under which the log knows them. Single products and \
orders carry an `ETag`; `If-Match` makes a change conditional on what was seen. Creating `POST`s take an `Idempotency-Key`: sent \
again with the same body within 24 hours, they have one effect and one answer, whatever was lost on the way.

Every request may be answered 429 by the gateway when there are too many, and 503 when the database is away; both may be sent again.";

fn described(operation: &Operation) -> Value {
    let tag = operation.route.split('/').nth(1).unwrap_or_default();
    let (status, schema) = operation.success;
    let mut codes: Vec<&str> = operation.problems.to_vec();
    codes.extend(["internal-error", "unavailable"]);
    if operation.closed {
        codes.extend(["unauthenticated", "token-expired", "token-revoked"]);
    }
    if operation.body.is_some() {
        codes.extend(["malformed-json", "body-too-large", "unsupported-media-type"]);
    }
    let mut by_status: BTreeMap<u16, Vec<&(&str, u16, &str)>> = BTreeMap::new();
    for problem in PROBLEMS.iter().filter(|(code, ..)| codes.contains(code)) {
        by_status.entry(problem.1).or_default().push(problem);
    }
    let mut responses: Map<String, Value> =
        by_status.iter().map(|(status, problems)| (status.to_string(), refusal(*status, problems, operation.closed))).collect();
    if operation.closed && !responses.contains_key("403") {
        responses.insert("403".into(), refusal(403, &[], true));
    }
    if !responses.contains_key("429") {
        responses.insert("429".into(), refusal(429, &[], false));
    }
    let mut success = json!({"description": operation.summary});
    for name in ["X-Request-Id"].iter().chain(operation.headers) {
        success["headers"][name] = reference("headers", name);
    }
    if let Some(schema) = schema {
        success["content"]["application/json"] = json!({"schema": reference("schemas", schema)});
    }
    if let Some((link, target)) = links(operation.id) {
        success["links"][link] = target;
    }
    responses.insert(status.to_string(), success);
    if operation.parameters.contains(&"If-None-Match") {
        let headers = json!({"ETag": reference("headers", "ETag"), "X-Request-Id": reference("headers", "X-Request-Id")});
        responses.insert("304".into(), json!({"description": "It is still as the caller has it", "headers": headers}));
    }

    let mut described = json!({
        "operationId": operation.id,
        "tags": [tag],
        "summary": operation.summary,
        "responses": responses,
        "security": if operation.closed { json!([{"token": []}]) } else { json!([]) },
    });
    if !operation.description.is_empty() {
        described["description"] = operation.description.into();
    }
    if !operation.parameters.is_empty() {
        described["parameters"] = operation.parameters.iter().map(|name| reference("parameters", name)).collect();
    }
    if let Some(body) = operation.body {
        let content = json!({"application/json": {"schema": reference("schemas", body)}});
        described["requestBody"] = json!({"required": operation.id != "logout", "content": content});
    }
    described
}

/// One status that is no success: problems by their codes, and the gateway's own words where it may answer first.
fn refusal(status: u16, problems: &[&(&str, u16, &str)], closed: bool) -> Value {
    let lines: Vec<_> = problems.iter().map(|(code, _, when)| format!("`{code}`: {when}")).collect();
    let mut refusal = json!({"description": lines.join("\n\n"), "headers": {}});
    if !problems.is_empty() {
        let codes: Vec<_> = problems.iter().map(|(code, ..)| code).collect();
        let schema = json!({"allOf": [reference("schemas", "Problem"), {"properties": {"code": {"enum": codes}, "status": {"const": status}}}]});
        refusal["content"]["application/problem+json"] = json!({"schema": schema});
        refusal["headers"]["X-Request-Id"] = reference("headers", "X-Request-Id");
    }
    match status {
        401 => refusal["headers"]["WWW-Authenticate"] = reference("headers", "WWW-Authenticate"),
        503 => refusal["headers"]["Retry-After"] = reference("headers", "Retry-After"),
        _ => {}
    }
    let gateway = match status {
        401 if closed => Some("The gateway: there is no token"),
        403 if closed => Some("The gateway: the token is none of ours"),
        429 => Some("The gateway: too many requests"),
        _ => None,
    };
    if let Some(says) = gateway {
        refusal["content"]["application/json"] = json!({"schema": reference("schemas", "Message")});
        let description = refusal["description"].as_str().unwrap_or_default();
        refusal["description"] = format!("{description}\n\n{says}").trim().into();
    }
    if problems.iter().any(|(code, ..)| *code == "too-many-attempts") {
        refusal["headers"]["Retry-After"] = reference("headers", "Retry-After");
    }
    if refusal["headers"].as_object().is_some_and(Map::is_empty) {
        refusal.as_object_mut().map(|refusal| refusal.remove("headers"));
    }
    refusal
}

/// Where to go from what was made.
fn links(operation: &str) -> Option<(&'static str, Value)> {
    let to = |id: &str, parameter: &str, field: &str| {
        let parameters = json!({parameter: format!("$response.body#/{field}")});
        json!({"operationId": id, "parameters": parameters})
    };
    match operation {
        "createProduct" => Some(("product", to("getProduct", "product_id", "product_id"))),
        "createOrder" => Some(("order", to("getOrder", "order_id", "order_id"))),
        _ => None,
    }
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn parameters() -> Value {
    let query = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "query", "schema": schema, "description": description});
    let path = |name: &str, description: &str| json!({"name": name, "in": "path", "required": true, "schema": reference("schemas", "Id"), "description": description});
    let header = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "header", "schema": schema, "description": description});
    // Any text may be a tag: what is none of ours matches nothing (RFC 9110, 13.1).
    let tags = json!({"type": "string", "pattern": "^[^,]*(,[^,]*){0,19}$", "examples": ["\"3\""]});
    json!({
        "product_id": path("product_id", "The product"),
        "order_id": path("order_id", "The order"),
        "item_id": path("item_id", "The order item"),
        "prefix": query("prefix", json!({"type": "string", "maxLength": ProductName::MAX_CHARS}), "Only names that begin so, whatever the case"),
        "limit": query(
            "limit",
            json!({"type": "integer", "minimum": 1, "default": 20}),
            "Entries of one page; more than 100 is cut to 100",
        ),
        "cursor": query("cursor", json!({"type": "string", "minLength": 1}), "`next_cursor` of the page before, with the same filters"),
        "status": query("status", reference("schemas", "Status"), "Only orders with this status"),
        "customer_id": query("customer_id", reference("schemas", "Id"), "Only orders of this customer; another than the caller's own takes an admin"),
        "If-Match": header("If-Match", tags.clone(), "The `ETag` that was seen: if there is a newer one, nothing changes and the answer is 412"),
        "If-None-Match": header("If-None-Match", tags, "The `ETag` that the caller has: if it is still the one, the answer is 304"),
        "Idempotency-Key": header(
            "Idempotency-Key",
            json!({"type": "string", "pattern": IDEMPOTENCY_KEY, "examples": ["7f0c1c56-8d5e-4f0e-8a53-0f3d0a3d7b11"]}),
            "Makes the request safe to send again: the caller's own name for it, best a random UUID, kept for 24 hours",
        ),
    })
}

/// Bare, without quotes and commas, or as one quoted string (RFC 9651, 3.3.3).
const IDEMPOTENCY_KEY: &str = r#"^([!#-+\--~]([ !#-+\--~]{0,253}[!#-+\--~])?|"([ !#-\[\]-~]|\\["\\]){1,255}")$"#;

fn headers() -> Value {
    let header = |schema: Value, description: &str| json!({"schema": schema, "description": description});
    let text = || json!({"type": "string"});
    json!({
        "X-Request-Id": header(text(), "The id of this request, in the log too"),
        "ETag": header(json!({"type": "string", "pattern": "^\"[0-9]+\"$"}), "The version of what is answered, or of the order that it is a part of; a strong validator"),
        "Location": header(json!({"type": "string", "pattern": "^/"}), "The path of what was made"),
        "Link": header(text(), "The next page, `rel=\"next\"`, if there is one"),
        "Idempotent-Replayed": header(json!({"const": "true"}), "There when the request was carried out before, and this is its answer of then"),
        "Retry-After": header(json!({"type": "integer", "minimum": 1}), "Seconds to wait"),
        "WWW-Authenticate": header(text(), "`Bearer error=\"invalid_token\"` for a token that was good once"),
    })
}

const ID: &str = "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f";
const TIME: &str = "2026-11-22T10:12:30.123Z";

/// A number of shards, from `min` up.
fn shards(min: u32, description: &str) -> Value {
    json!({"type": "integer", "minimum": min, "maximum": StockShards::MAX, "description": description, "examples": [8]})
}

/// An object of which all properties are there, unless they are among the optional ones.
fn object(properties: Value, optional: &[&str]) -> Value {
    let required: Vec<_> = properties
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .filter(|name| !optional.contains(&name.as_str()))
        .cloned()
        .collect();
    let mut object = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

/// The body of a request. `null` for an optional property is the same as leaving it out.
fn input(mut properties: Value, optional: &[&str]) -> Value {
    for name in optional {
        properties[name] = nullable(properties[name].take());
    }
    object(properties, optional)
}

fn nullable(mut schema: Value) -> Value {
    match &schema["type"] {
        Value::String(name) => schema["type"] = json!([name, "null"]),
        Value::Array(_) => {}
        _ => {
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            schema = json!({"anyOf": [schema, {"type": "null"}]});
            if let Some(description) = description {
                schema["description"] = description;
            }
        }
    }
    schema
}

/// What [`shared::domain::Text`] takes in no place, as the inside of a character class.
const REFUSED: &[(char, char)] = &[
    ('\0', '\u{1f}'),
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200b}'),
    ('\u{200e}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{e000}', '\u{f8ff}'),
    ('\u{fdd0}', '\u{fdef}'),
    ('\u{fe00}', '\u{fe0d}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{fffe}', '\u{ffff}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{1fffe}', '\u{1ffff}'),
    ('\u{2fffe}', '\u{2ffff}'),
    ('\u{3fffe}', '\u{3ffff}'),
    ('\u{4fffe}', '\u{4ffff}'),
    ('\u{5fffe}', '\u{5ffff}'),
    ('\u{6fffe}', '\u{6ffff}'),
    ('\u{7fffe}', '\u{7ffff}'),
    ('\u{8fffe}', '\u{8ffff}'),
    ('\u{9fffe}', '\u{9ffff}'),
    ('\u{afffe}', '\u{affff}'),
    ('\u{bfffe}', '\u{bffff}'),
    ('\u{cfffe}', '\u{cffff}'),
    ('\u{dfffe}', '\u{dffff}'),
    ('\u{e0000}', '\u{e0fff}'),
    ('\u{efffe}', '\u{10ffff}'),
];

/// The pattern of a text that people read, in the syntax that the regular expressions of all languages share. `visible`: whether
/// one of its characters must be.
fn text_pattern(visible: bool) -> String {
    let write = |c: char| if c > '\u{ffff}' { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) };
    let ranges = REFUSED.iter().map(|(first, last)| [write(*first), write(*last)].join("-"));
    let refused = ranges.collect::<String>();
    let joiners = "\\u200c\\u200d\\ufe0e\\ufe0f";
    let spaces = "\\u0020\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u2800\\u3000";
    // Joiners and variation selectors only after what is not ASCII.
    let character = |but: &str| format!("(?:[^{but}{joiners}{refused}]|[^\\u0000-\\u007f{but}{joiners}{refused}][{joiners}]+)");
    if visible { format!("^{0}*{1}{0}*$", character(""), character(spaces)) } else { format!("^{}*$", character("")) }
}

fn with(mut schema: Value, name: &str, value: Value) -> Value {
    schema[name] = value;
    schema
}

/// A reference with words of its own.
fn field(schema: &str, description: &str) -> Value {
    with(reference("schemas", schema), "description", description.into())
}

#[expect(clippy::too_many_lines, reason = "a list of everything there is")]
fn schemas() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let times =
        || json!({"created_at": field("Time", "When it was made"), "updated_at": field("Time", "When it was last changed")});
    let merged = |mut one: Value, other: Value| {
        if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
            one.extend(other);
        }
        one
    };
    let pieces = |most: u64, least: u64, description: &str, example: u64| json!({"type": "integer", "minimum": least, "maximum": most, "description": description, "examples": [example]});
    let name = json!({
        "type": "string", "minLength": 1, "maxLength": ProductName::MAX_CHARS, "pattern": text_pattern(true),
        "description": "Unique in the catalogue after NFKC, case folding and collapsing of white space. Kept in NFC, without surrounding space. Control, private-use and invisible characters are refused, but for the joiners and variation selectors of scripts and emoji.",
        "examples": ["Ruler"],
    });
    let description = json!({
        "type": ["string", "null"], "maxLength": Description::MAX_CHARS, "pattern": text_pattern(false),
        "description": "What there is to say about it; `null` for nothing. Of the same characters as a name.", "examples": ["30 cm, brass"],
    });
    let password = json!({
        "type": "string", "minLength": 8, "maxLength": 128, "format": "password", "examples": ["Zwetschgenmus mit Zimt"],
        "description": "8 to 128 characters of any kind",
    });
    let new_item = || {
        json!({
            "product_id": field("Id", "The product"),
            "quantity": pieces(Quantity::MAX, 1, "Pieces", 2),
        })
    };
    let order = || {
        merged(
            json!({
                "order_id": field("Id", "The order"),
                "customer_id": field("Id", "Whose it is"),
                "status": reference("schemas", "Status"),
                "total_price": field("Money", "The sum of all items"),
                "item_count": pieces(Order::MAX_ITEMS as u64, 0, "How many items there are", 1),
            }),
            times(),
        )
    };
    let page = |name: &str, schema: &str| {
        let mut properties = json!({"next_cursor": {"type": ["string", "null"], "description": "For `cursor` of the next page; `null` at the end"}});
        properties[name] = json!({"type": "array", "items": reference("schemas", schema), "maxItems": 100});
        object(properties, &[])
    };
    let login = |which: &str| {
        let mut properties = json!({"password": {"type": "string", "minLength": 1, "maxLength": 128, "format": "password", "examples": ["Zwetschgenmus mit Zimt"]}});
        properties[which] = json!({"type": "string", "minLength": 1, "maxLength": Email::MAX_CHARS, "examples": [if which == "email" { "ada@example.com" } else { "ada" }]});
        let other = if which == "email" { "username" } else { "email" };
        properties[other] = json!({"type": "null"});
        object(properties, &[other])
    };
    json!({
        "Id": {"type": "string", "format": "uuid", "description": "A UUIDv7, made by the server", "examples": [ID]},
        "Time": {"type": "string", "format": "date-time", "pattern": "Z$", "description": "RFC 3339, UTC, milliseconds", "examples": [TIME]},
        "Money": {
            "type": "string", "pattern": "^(0|[1-9][0-9]*)\\.[0-9]{2}$", "description": "A decimal with two decimals, in the shop's currency",
            "examples": ["19.90"],
        },
        "Price": {
            "description": "Money as it may be sent: up to two decimals, as a string or a number, whose text is taken as it stands",
            "oneOf": [
                {"type": "string", "pattern": "^(0|[1-9][0-9]{0,9})(\\.[0-9]{1,2})?$"},
                {"type": "number", "minimum": 0, "maximum": 9_999_999_999.99, "multipleOf": 0.01},
            ],
            "examples": ["19.90"],
        },
        "Status": {"type": "string", "enum": Status::ALL.map(Status::as_str), "description": "Where an order is in its life"},
        "Product": object(
            merged(
                json!({
                    "product_id": field("Id", "The product"),
                    "name": {"type": "string", "maxLength": ProductName::MAX_CHARS, "examples": ["Ruler"]},
                    "description": description,
                    "price": field("Money", "What one piece costs"),
                    "quantity": pieces(Stock::MAX * 2, 0, "Pieces that can still be sold", 12),
                    "reserved": {"type": "integer", "minimum": 0, "description": "Pieces that PENDING and CONFIRMED orders hold", "examples": [3]},
                    "stock_shards": shards(2, "Left out where it is 1: over how many items of the table the stock is spread"),
                }),
                times(),
            ),
            &["stock_shards"],
        ),
        "ProductPage": page("products", "Product"),
        "NewProduct": input(
            json!({
                "name": name,
                "description": description,
                "price": reference("schemas", "Price"),
                "quantity": pieces(Stock::MAX, 0, "Pieces on the shelf", 12),
                "stock_shards": shards(1, "Over how many items of the table the stock is spread, so that many may buy at the same instant"),
            }),
            &["description", "stock_shards"],
        ),
        "ProductChange": with(
            with(
                input(
                    json!({
                        "name": name,
                        "description": description,
                        "price": reference("schemas", "Price"),
                        "quantity": pieces(Stock::MAX, 0, "Pieces on the shelf", 12),
                        "stock_shards": shards(1, "Over how many items of the table the stock is spread; may be changed while it is sold"),
                    }),
                    &["name", "description", "price", "quantity", "stock_shards"],
                ),
                "anyOf",
                // `null` changes nothing but a description.
                json!([
                    {"required": ["name"], "properties": {"name": {"type": "string"}}},
                    {"required": ["description"]},
                    {"required": ["price"], "properties": {"price": {"type": ["string", "number"]}}},
                    {"required": ["quantity"], "properties": {"quantity": {"type": "integer"}}},
                    {"required": ["stock_shards"], "properties": {"stock_shards": {"type": "integer"}}},
                ]),
            ),
            "examples",
            json!([{"price": "17.90"}]),
        ),
        "Order": object(order(), &[]),
        "OrderPage": page("orders", "Order"),
        "OrderItem": object(
            merged(
                json!({
                    "order_item_id": field("Id", "The item"),
                    "order_id": field("Id", "The order it is on"),
                    "product_id": field("Id", "The product"),
                    "quantity": pieces(Quantity::MAX, 1, "Pieces", 2),
                    "price": field("Money", "The product's price at the instant the item was written"),
                    "line_total": field("Money", "Price times quantity"),
                }),
                times(),
            ),
            &[],
        ),
        "HistoryEntry": object(
            json!({
                "at": field("Time", "When"),
                "by": {"type": ["string", "null"], "format": "uuid", "description": "Who did it; `null` is the shop itself, when an order expires"},
                "from": reference("schemas", "Status"),
                "to": reference("schemas", "Status"),
                "reason": {"type": ["string", "null"], "description": "Why, if that was said"},
                "stock": {"type": "string", "enum": ["none", "released", "shipped", "restocked"], "description": "What it did to the stock of the items' products"},
                "not_restocked": {"type": "array", "items": reference("schemas", "Id"), "description": "Products that were to come back on the shelf and are no longer in the shop"},
            }),
            &["not_restocked"],
        ),
        "OrderDetails": object(
            merged(
                order(),
                json!({
                    "items": {"type": "array", "items": reference("schemas", "OrderItem"), "maxItems": Order::MAX_ITEMS, "description": "In the order in which they were added"},
                    "history": {"type": "array", "items": reference("schemas", "HistoryEntry"), "description": "Every change of status, oldest first"},
                }),
            ),
            &[],
        ),
        "NewItem": object(new_item(), &[]),
        "NewOrder": with(
            input(
                json!({
                    "customer_id": field("Id", "Whom it is for, if not the caller; takes an admin"),
                    "items": {"type": "array", "items": reference("schemas", "NewItem"), "maxItems": Order::MAX_ITEMS, "description": "What to order"},
                }),
                &["customer_id", "items"],
            ),
            "examples",
            json!([{"items": [{"product_id": ID, "quantity": 2}]}]),
        ),
        "ItemChange": object(json!({"quantity": pieces(Quantity::MAX, 1, "Pieces", 3)}), &[]),
        "StatusChange": with(
            input(
                json!({
                    "status": reference("schemas", "Status"),
                    "reason": {"type": "string", "minLength": 1, "maxLength": Reason::MAX_CHARS, "pattern": text_pattern(true), "description": "Why; needed to cancel what has left the shop", "examples": ["sent back"]},
                    "restock": {"type": "boolean", "default": false, "description": "Whether what comes back goes on the shelf again; only for what has left the shop"},
                }),
                &["reason", "restock"],
            ),
            "examples",
            json!([{"status": "CONFIRMED"}]),
        ),
        "User": object(
            merged(
                json!({
                    "user_id": field("Id", "The account"),
                    "email": with(text("Unique whatever the case"), "examples", json!(["ada@example.com"])),
                    "username": with(text("Unique whatever the case"), "examples", json!(["ada"])),
                    "role": {"type": "string", "enum": ["customer", "admin"]},
                    "is_active": {"type": "boolean", "description": "Whether it may log in"},
                }),
                times(),
            ),
            &[],
        ),
        "Registration": object(
            json!({
                "email": {"type": "string", "format": "email", "maxLength": Email::MAX_CHARS, "pattern": EMAIL, "description": "An international domain may be sent in Unicode too, and is answered in IDNA's ASCII form", "examples": ["ada@example.com"]},
                "username": {"type": "string", "pattern": "^[a-z0-9._-]{3,32}$", "description": "Capitals are taken and made small", "examples": ["ada"]},
                "password": password,
            }),
            &[],
        ),
        "Credentials": {
            "oneOf": [login("email"), login("username")],
            "description": "An e-mail address or a username, and the password",
            "examples": [{"email": "ada@example.com", "password": "Zwetschgenmus mit Zimt"}],
        },
        "RefreshRequest": object(json!({"refresh_token": with(text("Of `login` or the last `refresh`"), "examples", json!(["eyJhbGciOiJIUzI1NiJ9.e30.x"]))}), &[]),
        "LogoutRequest": input(json!({"all": {"type": "boolean", "default": false, "description": "Whether to end every session of the account"}}), &["all"]),
        "Tokens": object(
            json!({
                "access_token": text("A JWT, for `Authorization: Bearer …`"),
                "refresh_token": text("A JWT, for `refresh`; good for 7 days from login"),
                "token_type": {"const": "Bearer"},
                "expires_in": {"type": "integer", "minimum": 1, "description": "Seconds that the access token is good for", "examples": [900]},
            }),
            &[],
        ),
        "Problem": problem(),
        "Message": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}, "description": "The gateway's own words", "examples": [{"message": "Forbidden"}]},
    })
}

fn problem() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let pointer = text("JSON pointer (RFC 6901) into the body, or `?name` for a parameter");
    let pointer = with(pointer, "examples", json!(["/items/0/product_id"]));
    let fault = object(json!({"pointer": pointer, "detail": text("What it must be")}), &[]);
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457)",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "pattern": "^urn:problem:", "examples": ["urn:problem:out-of-stock"]},
            "title": text("The same for every problem with this code"),
            "status": {"type": "integer", "minimum": 400, "maximum": 599, "examples": [409]},
            "detail": text("About this one, for people"),
            "code": {"type": "string", "enum": PROBLEMS.iter().map(|(code, ..)| *code).chain(["method-not-allowed"]).collect::<Vec<_>>(), "description": "Stable, for programs"},
            "request_id": text("The same as `X-Request-Id`"),
            "errors": {
                "type": "array",
                "description": "All that is wrong with the request",
                "items": fault,
            },
            "product_id": field("Id", "With `out-of-stock`: of which product"),
            "available": {"type": "integer", "minimum": 0, "description": "With `out-of-stock`: how many pieces there are"},
        },
    })
}

/// Every operation in an order in which each finds what it needs.
const SESSION: [&str; 18] = [
    "register",
    "login",
    "me",
    "listProducts",
    "createProduct",
    "getProduct",
    "updateProduct",
    "createOrder",
    "listOrders",
    "getOrder",
    "addItem",
    "updateItem",
    "removeItem",
    "updateOrder",
    "deleteOrder",
    "deleteProduct",
    "refresh",
    "logout",
];

/// The operations as requests to send from an editor, to a shop on this machine.
fn requests(document: &Value) -> String {
    let from = |request: &str, field: &str| format!("{{{{{request}.response.body.$.{field}}}}}");
    let product = from("createProduct", "product_id");
    let mut text =
        "# Every route once, for editors with a REST client. From top to bottom they work with `cargo run -p local`.\n\n\
                    @api = http://127.0.0.1:3000\n"
            .to_owned();
    for id in SESSION {
        let operation = OPERATIONS.iter().find(|operation| operation.id == id).expect("an operation");
        let route = operation
            .route
            .replace(" /", " {{api}}/")
            .replace("{product_id}", &product)
            .replace("{order_id}", &from("createOrder", "order_id"))
            .replace("{item_id}", &from("addItem", "order_item_id"));
        text += &format!("\n### {}\n# @name {id}\n{route}\n", operation.summary);
        if operation.closed {
            text += &format!("Authorization: Bearer {}\n", from("login", "access_token"));
        }
        if let Some(schema) = operation.body {
            let body = match id {
                // Of whom may do everything.
                "login" => json!({"email": local::seed::ADMIN, "password": local::seed::PASSWORD}),
                "refresh" => json!({"refresh_token": from("login", "refresh_token")}),
                // It can be deleted then.
                "updateOrder" => json!({"status": "CANCELLED"}),
                _ => example(document, &reference("schemas", schema)).expect("an example"),
            };
            let body = serde_json::to_string_pretty(&body).unwrap().replace(ID, &product);
            text += &format!("Content-Type: application/json\n\n{body}\n");
        }
    }
    text
}

/// The first example of a schema, put together from those of its properties if it has none of its own.
fn example(document: &Value, schema: &Value) -> Option<Value> {
    if let Some(pointer) = schema["$ref"].as_str() {
        return example(document, document.pointer(pointer.trim_start_matches('#'))?);
    }
    let of_properties = || {
        let properties = schema["properties"].as_object()?.iter();
        Some(properties.filter_map(|(name, schema)| Some((name.clone(), example(document, schema)?))).collect())
    };
    schema["examples"].get(0).or(schema.get("default")).cloned().or_else(of_properties)
}

fn template() -> Template {
    Template::read(&workspace().join("template.yaml"), "test", &BTreeMap::new()).expect("template.yaml is sound")
}

/// What the document allows as an answer, compiled once for each operation and status.
struct Contract {
    document: Value,
    /// As the gateway finds them.
    routes: Routes,
    validators: BTreeMap<(String, u16, String), Validator>,
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let document = document();
    let mut validators = BTreeMap::new();
    for operation in OPERATIONS {
        let (method, path) = operation.route.split_once(' ').unwrap();
        let responses = document["paths"][path][method.to_lowercase()]["responses"].as_object().unwrap();
        for (status, response) in responses {
            for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                // With the components beside it, so that the references in it lead somewhere.
                let schema = json!({"allOf": [content["schema"]], "components": document["components"]});
                let validator = jsonschema::options().should_validate_formats(true).build(&schema).expect("a sound schema");
                validators.insert((operation.route.to_owned(), status.parse().unwrap(), media_type.clone()), validator);
            }
        }
    }
    Contract { document, routes: Routes::new(template().routes), validators }
});

/// Whether an answer is one that the document promises. Paths without a route are none of its business.
pub fn check(method: &str, path: &str, answer: &Answer) {
    // A request that is none, as one with a malformed `Host`, does not reach the gateway.
    if answer.status == 400 && !answer.headers.contains_key("apigw-requestid") {
        return;
    }
    let path = path.split('?').next().unwrap_or_default();
    let Some((route, _)) = CONTRACT.routes.find(method, path) else { return };
    let Some(operation) = OPERATIONS.iter().find(|operation| operation.route == route.key) else { return };
    let (method, template) = operation.route.split_once(' ').unwrap();
    let responses = &CONTRACT.document["paths"][template][method.to_lowercase()]["responses"];
    let response = &responses[answer.status.to_string()];
    assert!(!response.is_null(), "openapi.json: {} does not answer {}: {answer:?}", operation.route, answer.status);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let schema = &CONTRACT.document["components"]["headers"][name]["schema"];
        let always = ["X-Request-Id", "ETag", "Location"].contains(&name.as_str());
        match answer.headers.get(name).map(|value| value.to_str().expect("text")) {
            Some(value) => {
                let value = if schema["type"] == "integer" { json!(value.parse::<u64>().unwrap_or(0)) } else { json!(value) };
                assert!(jsonschema::is_valid(schema, &value), "openapi.json: {name} {value} of {}: {header}", operation.route);
            }
            // What the gateway answers by itself has none of ours.
            None => assert!(
                !always || answer.json["message"].is_string(),
                "openapi.json: {} without {name}: {answer:?}",
                operation.route
            ),
        }
    }
    if answer.body.is_empty() {
        assert!(response["content"].is_null(), "openapi.json: an empty body of {}: {answer:?}", operation.route);
        return;
    }
    let media_type = answer.header("content-type").to_owned();
    let key = (operation.route.to_owned(), answer.status, media_type.clone());
    let validator = CONTRACT.validators.get(&key);
    let validator =
        validator.unwrap_or_else(|| panic!("openapi.json: {} {} has no {media_type}", operation.route, answer.status));
    let faults: Vec<_> = validator.iter_errors(&answer.json).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "openapi.json: {} {}: {faults:?}: {}", operation.route, answer.status, answer.json);
}

/// JSON with escapes for what many editors and tools do not show, such as the private-use characters in patterns.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c > '\u{ffff}' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a string takes everything");
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[test]
fn the_pattern_of_text_is_what_the_code_takes() {
    let any = jsonschema::validator_for(&json!({"type": "string", "pattern": text_pattern(false)})).unwrap();
    let some = jsonschema::validator_for(&json!({"type": "string", "pattern": text_pattern(true)})).unwrap();
    let edges = REFUSED.iter().flat_map(|(first, last)| [u32::from(*first).wrapping_sub(1), u32::from(*last) + 1]);
    let edges = edges.filter_map(char::from_u32).chain(REFUSED.iter().flat_map(|(first, last)| [*first, *last]));
    // These are other characters in NFC: a semicolon, a grave accent, and a letter, after which no joiner may stand.
    for c in ('\0'..='\u{33ff}').chain('\u{d7b0}'..='\u{ffff}').chain(edges).filter(|c| !"\u{37e}\u{1fef}\u{212a}".contains(*c)) {
        for text in [c.to_string(), format!("{c}\u{200d}"), format!("é{c}")] {
            let (least, readable) = (Text::parse(&text, 1..=9), Text::parse(&text, 0..=9));
            assert_eq!(any.is_valid(&json!(text)), readable.is_ok(), "{text:?}: {readable:?}");
            assert_eq!(some.is_valid(&json!(text)), least.is_ok(), "{text:?}: {least:?}");
        }
    }
    assert!(any.is_valid(&json!("")) && !some.is_valid(&json!("")));
}

#[test]
fn openapi_json_is_what_the_code_says() {
    let document = document();
    for (name, made) in [
        ("openapi.json", escaped(&serde_json::to_string_pretty(&document).unwrap()) + "\n"),
        ("requests.http", requests(&document)),
    ] {
        let file = workspace().join(name);
        if std::env::var("UPDATE_OPENAPI").is_ok() {
            std::fs::write(&file, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == made, "{name} is stale: run UPDATE_OPENAPI=1 cargo test --test api openapi");
    }
}

#[test]
fn openapi_has_the_routes_of_the_template() {
    let template = template();
    let deployed: BTreeMap<_, _> = template
        .routes
        .iter()
        // Pages about the API are not the API.
        .filter(|route| {
            !["$default", "OPTIONS /{proxy+}", "GET /openapi.json"].contains(&route.key.as_str())
                && !route.key.starts_with("GET /docs")
        })
        .map(|route| (route.key.as_str(), route.authorizer.is_some()))
        .collect();
    let described: BTreeMap<_, _> = OPERATIONS.iter().map(|operation| (operation.route, operation.closed)).collect();
    assert_eq!(described, deployed);
    let ids: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.id).collect();
    assert_eq!(BTreeSet::from(SESSION), ids);
}

/// The bodies in events/ are the document's examples.
#[test]
fn events_send_the_examples() {
    let document = document();
    let template = template();
    for operation in OPERATIONS.iter().filter(|operation| operation.body.is_some()) {
        let route = template.routes.iter().find(|route| route.key == operation.route).expect("a route");
        let function = template.functions.iter().find(|function| function.id == route.function).expect("a function");
        let body = example(&document, &reference("schemas", operation.body.unwrap_or_default())).expect("an example").to_string();
        let file = workspace().join("events").join(format!("{}.json", function.binary));
        let mut event: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        if std::env::var("UPDATE_OPENAPI").is_ok() && event["body"] != body {
            event["headers"]["content-length"] = body.len().to_string().into();
            event["body"] = body.clone().into();
            std::fs::write(&file, serde_json::to_string_pretty(&event).unwrap() + "\n").unwrap();
        }
        assert_eq!(event["body"], body, "{} is stale: run UPDATE_OPENAPI=1 cargo test --test api openapi", file.display());
    }
}

/// Every name that is referred to is there, every one that is there is referred to, and every example keeps to its schema.
#[test]
fn openapi_is_whole() {
    let document = document();
    let text = document.to_string();
    for (kind, components) in document["components"].as_object().unwrap() {
        for name in components.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
            assert!(text.contains(&format!("#/components/{kind}/{name}\"")), "{kind}/{name} is not referred to");
        }
    }
    let references: BTreeSet<_> = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for pointer in references {
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let whole = json!({"allOf": [schema], "components": document["components"]});
        let validator = jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));
        for example in schema["examples"].as_array().into_iter().flatten() {
            assert!(validator.is_valid(example), "{name}: {example}");
        }
    }
    let used: BTreeSet<_> = OPERATIONS.iter().flat_map(|operation| operation.problems).copied().collect();
    let known: BTreeSet<_> = PROBLEMS.iter().map(|(code, ..)| *code).collect();
    assert!(used.is_subset(&known), "{:?}", used.difference(&known));
}

#[test]
#[should_panic(expected = "is not of type")]
fn an_answer_that_breaks_the_contract_is_noticed() {
    let headers = [("content-type", "application/json"), ("x-request-id", "id=")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let json = json!({"products": {}, "next_cursor": null});
    let answer = Answer { status: 200, headers: headers.into_iter().collect(), body: json.to_string().into_bytes(), json };
    check("GET", "/products?limit=1", &answer);
}
