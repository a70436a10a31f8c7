//! What examples are made of, so that those of different schemas are about the same shop.

use serde_json::Value;

pub(super) const PRODUCT_ID: &str = "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f";
pub(super) const MOVEMENT_ID: &str = "0197a2b4-7c1e-7d3a-9f00-4f5a6b7c8d9e";
pub(super) const ORDER_ID: &str = "0197a2b4-7c1e-7d3a-9f00-6b7c8d9e0f1a";
pub(super) const ITEM_ID: &str = "0197a2b4-7c1e-7d3a-9f00-7c8d9e0f1a2b";
pub(super) const USER_ID: &str = "0197a2b4-7c1e-7d3a-9f00-8d9e0f1a2b3c";
pub(super) const ADMIN_ID: &str = "0197a2b4-7c1e-7d3a-9f00-9e0f1a2b3c4d";
pub(super) const SESSION_ID: &str = "0197a2b4-7c1e-7d3a-9f00-af1a2b3c4d5e";
pub(super) const TIME: &str = "2026-11-22T10:12:30.123Z";
pub(super) const REQUEST_ID: &str = "JKJaXmPLvHcESHA=";

/// The example of a schema: its own, or put together from those of its properties. What has none is left out.
pub(super) fn example(document: &Value, schema: &Value) -> Option<Value> {
    if let Some(own) = schema["examples"].get(0).or(schema.get("default")).or(schema.get("const")) {
        return Some(own.clone());
    }
    if let Some(pointer) = schema["$ref"].as_str() {
        return example(document, document.pointer(pointer.trim_start_matches('#'))?);
    }
    if let Some(forms) = schema["anyOf"].as_array() {
        return forms.iter().find_map(|form| example(document, form));
    }
    if let Some(properties) = schema["properties"].as_object() {
        let examples = properties.iter().filter_map(|(name, schema)| Some((name.clone(), example(document, schema)?)));
        return Some(examples.collect());
    }
    Some(Value::Array(vec![example(document, schema.get("items")?)?]))
}
