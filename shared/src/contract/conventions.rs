//! What holds for all resources: parameters, headers, and the schemas that they share.

use serde_json::{Value, json};

use super::{
    examples::{PRODUCT_ID, REQUEST_ID, TIME},
    problems,
    schema::{answer, field, instead, merged, query, reference, strictly, text, with},
};
use crate::{
    domain::Stock,
    http::{PROBLEMS, PageRequest},
    json::MAX_FAULTS,
};

/// More than any cursor is long.
const MAX_CURSOR: usize = 4_096;
/// More than any list of tags needs to be.
const MAX_TAGS: usize = 1_024;
/// More than the body of a request is long, of which a pointer may repeat a name, with an escape for each character.
const MAX_POINTER: usize = 2 * 64 * 1_024;

/// Bare, without quotes and commas, or as one quoted string (RFC 9651, 3.3.3).
const IDEMPOTENCY_KEY: &str = r#"^([!#-+\--~]([ !#-+\--~]{0,253}[!#-+\--~])?|"([ !#-\[\]-~]|\\["\\]){1,255}")$"#;

/// When something was made and last changed.
pub(super) fn times() -> Value {
    json!({"created_at": field("Time", "When it was made"), "updated_at": field("Time", "When it was last changed")})
}

/// A number of pieces.
pub(super) fn pieces(most: u64, least: u64, description: &str, example: u64) -> Value {
    json!({"type": "integer", "format": "int64", "minimum": least, "maximum": most, "description": description, "examples": [example]})
}

/// A page of a list, whose entries are `schema`.
pub(super) fn page(name: &str, schema: &str) -> Value {
    let mut properties = json!({
        "next_cursor": {"type": ["string", "null"], "maxLength": MAX_CURSOR, "description": "For `cursor` of the next page; `null` at the end", "examples": [null]},
    });
    properties[name] = json!({"type": "array", "items": reference("schemas", schema), "maxItems": PageRequest::MAX_LIMIT, "description": "The entries of this page"});
    answer(properties, &[])
}

pub(super) fn parameters() -> Value {
    let header = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "header", "schema": schema, "description": description});
    // Any text may be a tag: what is none of ours matches nothing (RFC 9110, 13.1).
    let tags = || {
        instead(
            json!({"type": "string", "pattern": "^[^,]*(,[^,]*){0,19}$", "examples": ["\"3\""]}),
            json!({"type": "string", "maxLength": MAX_TAGS, "examples": ["\"3\""]}),
        )
    };
    let key = json!({"type": "string", "examples": ["7f0c1c56-8d5e-4f0e-8a53-0f3d0a3d7b11"]});
    let key =
        instead(with(key.clone(), "pattern", IDEMPOTENCY_KEY.into()), merged(key, json!({"minLength": 1, "maxLength": 255})));
    // However great a number is, it is cut.
    let limit = json!({"type": "integer", "minimum": 1, "default": PageRequest::DEFAULT_LIMIT});
    let limit = instead(limit.clone(), merged(limit, json!({"format": "int32", "maximum": PageRequest::MAX_LIMIT})));
    let cursor = json!({"type": "string", "minLength": 1});
    let cursor = instead(cursor.clone(), with(cursor, "maxLength", MAX_CURSOR.into()));
    json!({
        "limit": query("limit", limit, "Entries of one page; more than 100 is cut to 100"),
        "cursor": query("cursor", cursor, "`next_cursor` of the page before, with the same filters"),
        "If-Match": header("If-Match", tags(), "The `ETag` that was seen: if there is a newer one, nothing changes and the answer is 412"),
        "If-None-Match": header("If-None-Match", tags(), "The `ETag` that the caller has: if it is still the one, the answer is 304"),
        "Idempotency-Key": header(
            "Idempotency-Key",
            key,
            "Makes the request safe to send again: the caller's own name for it, best a random UUID, kept for 24 hours",
        ),
    })
}

pub(super) fn headers() -> Value {
    let header = |schema: Value, description: &str| json!({"schema": schema, "description": description});
    let text = |max: usize| json!({"type": "string", "maxLength": max});
    json!({
        "X-Request-Id": header(text(128), "The id of this request, in the log too"),
        "ETag": header(json!({"type": "string", "maxLength": 64, "pattern": "^\"[0-9]+(-[0-9]+)?\"$"}), "The version of what is answered, or of the order that it is a part of; a strong validator"),
        "Location": header(json!({"type": "string", "maxLength": 128, "pattern": "^/"}), "The path of what was made"),
        "Link": header(text(2 * MAX_CURSOR), "The next page, `rel=\"next\"`, if there is one"),
        "Idempotent-Replayed": header(json!({"type": "string", "const": "true"}), "There when the request was carried out before, and this is its answer of then"),
        "Retry-After": header(json!({"type": "integer", "format": "int32", "minimum": 1}), "Seconds to wait"),
        "WWW-Authenticate": header(text(128), "`Bearer error=\"invalid_token\"` for a token that was good once"),
    })
}

pub(super) fn schemas() -> Value {
    let time = json!({"type": "string", "format": "date-time", "description": "RFC 3339, UTC, milliseconds", "examples": [TIME]});
    let price =
        |types: Value| merged(json!({"description": "Money as it is sent: up to two decimals", "examples": ["19.90"]}), types);
    let price_text = json!({"type": "string", "maxLength": 13, "pattern": "^(0|[1-9][0-9]{0,9})(\\.[0-9]{1,2})?$"});
    json!({
        "Id": {"type": "string", "format": "uuid", "description": "A UUIDv7, made by the server", "examples": [PRODUCT_ID]},
        "Time": strictly(time, json!({"pattern": "Z$"})),
        "Money": {
            "type": "string", "maxLength": 32, "pattern": "^(0|[1-9][0-9]*)\\.[0-9]{2}$", "description": "A decimal with two decimals, in the shop's currency",
            "examples": ["19.90"],
        },
        // A number is taken too, as its text stands, for those who write requests by hand.
        "Price": instead(
            price(json!({"oneOf": [price_text, {"type": "number", "minimum": 0, "maximum": 9_999_999_999.99, "multipleOf": 0.01}]})),
            price(price_text.clone()),
        ),
        "Problem": problem(),
        "ProblemCode": {
            "type": "string", "enum": problems::codes().collect::<Vec<_>>(), "description": "What went wrong: stable, for programs",
            "examples": ["out-of-stock"],
        },
        "Fault": answer(
            json!({
                "pointer": text(MAX_POINTER, "JSON pointer (RFC 6901) into the body, or `?name` for a parameter", "/items/0/quantity"),
                "detail": text(1_024, "What it must be", "must be from 1 to 10000"),
            }),
            &[],
        ),
        "Message": {
            "type": "object", "required": ["message"],
            "properties": {"message": text(128, "What is wrong", "Forbidden")},
            "description": "The gateway's own words",
        },
    })
}

fn problem() -> Value {
    let longest = PROBLEMS.iter().map(|problem| problem.title.len()).max().unwrap_or_default();
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457)",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "maxLength": 64, "pattern": "^urn:problem:", "description": "`urn:problem:` and the code", "examples": ["urn:problem:out-of-stock"]},
            "title": text(longest, "The same for every problem with this code", "Out of stock"),
            "status": {"type": "integer", "format": "int32", "minimum": 400, "maximum": 599, "description": "The status of the answer", "examples": [409]},
            "detail": text(MAX_POINTER, "About this one, for people", "1 of this product are available"),
            "code": reference("schemas", "ProblemCode"),
            "request_id": text(128, "The same as `X-Request-Id`", REQUEST_ID),
            "errors": {
                "type": "array",
                "maxItems": MAX_FAULTS,
                "description": "All that is wrong with the request",
                "items": reference("schemas", "Fault"),
            },
            "product_id": field("Id", "With `out-of-stock`: of which product"),
            "available": {"type": "integer", "format": "int64", "minimum": 0, "maximum": Stock::MAX * 2, "description": "With `out-of-stock`: how many pieces there are", "examples": [1]},
        },
    })
}
