//! What holds for all resources: parameters, headers, and the schemas that they share.

use serde_json::{Value, json};

use super::{
    problems,
    schema::{field, object, query, reference, text, with},
};

pub(super) const PRODUCT_ID: &str = "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f";
const TIME: &str = "2026-11-22T10:12:30.123Z";

/// Bare, without quotes and commas, or as one quoted string (RFC 9651, 3.3.3).
const IDEMPOTENCY_KEY: &str = r#"^([!#-+\--~]([ !#-+\--~]{0,253}[!#-+\--~])?|"([ !#-\[\]-~]|\\["\\]){1,255}")$"#;

/// When something was made and last changed.
pub(super) fn times() -> Value {
    json!({"created_at": field("Time", "When it was made"), "updated_at": field("Time", "When it was last changed")})
}

/// A number of pieces.
pub(super) fn pieces(most: u64, least: u64, description: &str, example: u64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most, "description": description, "examples": [example]})
}

/// A page of a list, whose entries are `schema`.
pub(super) fn page(name: &str, schema: &str) -> Value {
    let mut properties =
        json!({"next_cursor": {"type": ["string", "null"], "description": "For `cursor` of the next page; `null` at the end"}});
    properties[name] = json!({"type": "array", "items": reference("schemas", schema), "maxItems": 100});
    object(properties, &[])
}

pub(super) fn parameters() -> Value {
    let header = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "header", "schema": schema, "description": description});
    // Any text may be a tag: what is none of ours matches nothing (RFC 9110, 13.1).
    let tags = json!({"type": "string", "pattern": "^[^,]*(,[^,]*){0,19}$", "examples": ["\"3\""]});
    json!({
        "limit": query(
            "limit",
            json!({"type": "integer", "minimum": 1, "default": 20}),
            "Entries of one page; more than 100 is cut to 100",
        ),
        "cursor": query("cursor", json!({"type": "string", "minLength": 1}), "`next_cursor` of the page before, with the same filters"),
        "If-Match": header("If-Match", tags.clone(), "The `ETag` that was seen: if there is a newer one, nothing changes and the answer is 412"),
        "If-None-Match": header("If-None-Match", tags, "The `ETag` that the caller has: if it is still the one, the answer is 304"),
        "Idempotency-Key": header(
            "Idempotency-Key",
            json!({"type": "string", "pattern": IDEMPOTENCY_KEY, "examples": ["7f0c1c56-8d5e-4f0e-8a53-0f3d0a3d7b11"]}),
            "Makes the request safe to send again: the caller's own name for it, best a random UUID, kept for 24 hours",
        ),
    })
}

pub(super) fn headers() -> Value {
    let header = |schema: Value, description: &str| json!({"schema": schema, "description": description});
    let text = || json!({"type": "string"});
    json!({
        "X-Request-Id": header(text(), "The id of this request, in the log too"),
        "ETag": header(json!({"type": "string", "pattern": "^\"[0-9]+(-[0-9]+)?\"$"}), "The version of what is answered, or of the order that it is a part of; a strong validator"),
        "Location": header(json!({"type": "string", "pattern": "^/"}), "The path of what was made"),
        "Link": header(text(), "The next page, `rel=\"next\"`, if there is one"),
        "Idempotent-Replayed": header(json!({"const": "true"}), "There when the request was carried out before, and this is its answer of then"),
        "Retry-After": header(json!({"type": "integer", "minimum": 1}), "Seconds to wait"),
        "WWW-Authenticate": header(text(), "`Bearer error=\"invalid_token\"` for a token that was good once"),
    })
}

pub(super) fn schemas() -> Value {
    json!({
        "Id": {"type": "string", "format": "uuid", "description": "A UUIDv7, made by the server", "examples": [PRODUCT_ID]},
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
        "Problem": problem(),
        "Message": {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}, "description": "The gateway's own words", "examples": [{"message": "Forbidden"}]},
    })
}

fn problem() -> Value {
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
            "code": {"type": "string", "enum": problems::codes().collect::<Vec<_>>(), "description": "Stable, for programs"},
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
