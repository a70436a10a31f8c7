//! An OpenAPI 3.1 document as one of OpenAPI 3.0, for programs that read nothing newer.

use serde_json::{Map, Value, json};

/// The same document in the older language. What that cannot say is left out.
pub(super) fn document(newer: &Value) -> Value {
    let mut document = older(newer);
    document["openapi"] = "3.0.3".into();
    if let Some(info) = document["info"].as_object_mut() {
        info.remove("summary");
    }
    if let Some(license) = document.pointer_mut("/info/license").and_then(Value::as_object_mut) {
        license.remove("identifier");
    }
    document
}

fn older(newer: &Value) -> Value {
    match newer {
        Value::Object(members) => {
            let members: Map<_, _> = members.iter().map(|(name, member)| (name.clone(), older(member))).collect();
            schema(members).into()
        }
        Value::Array(items) => items.iter().map(older).collect(),
        other => other.clone(),
    }
}

/// The members of a schema; those of anything else stay what they are, as they have none of these in this form.
fn schema(mut members: Map<String, Value>) -> Map<String, Value> {
    if let Some(types) = members.get("type").and_then(Value::as_array) {
        let nullable = types.contains(&"null".into());
        let known = types.iter().find(|name| *name != "null").cloned().unwrap_or_default();
        members.insert("type".into(), known);
        if nullable {
            members.insert("nullable".into(), true.into());
        }
    }
    if let Some(examples) = members.get("examples").and_then(Value::as_array) {
        let first = examples.first().cloned().unwrap_or_default();
        members.remove("examples");
        members.insert("example".into(), first);
    }
    if let Some(only) = members.remove("const") {
        members.insert("enum".into(), json!([only]));
    }
    members.remove("propertyNames");
    // There, what stands beside a reference is not read.
    if members.len() > 1 && members.get("$ref").is_some_and(Value::is_string) {
        let reference = members.remove("$ref");
        members.insert("allOf".into(), json!([{"$ref": reference}]));
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_language_says_the_same() {
        let newer = json!({
            "openapi": "3.1.1",
            "info": {"title": "A", "summary": "of it", "license": {"name": "MIT", "identifier": "MIT"}},
            "paths": {"/": {"get": {"responses": {"200": {"content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/A"},
                "examples": {"one": {"value": {"type": "a", "note": null}}},
            }}}}}}},
            "components": {"schemas": {
                "A": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "const": "a"},
                        "note": {"type": ["string", "null"], "examples": ["hm", null]},
                        "id": {"$ref": "#/components/schemas/B", "description": "Its own"},
                    },
                },
                "B": {"type": "string", "examples": ["b"]},
            }},
        });
        let expected = json!({
            "openapi": "3.0.3",
            "info": {"title": "A", "license": {"name": "MIT"}},
            "paths": newer["paths"],
            "components": {"schemas": {
                "A": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "enum": ["a"]},
                        "note": {"type": "string", "nullable": true, "example": "hm"},
                        "id": {"allOf": [{"$ref": "#/components/schemas/B"}], "description": "Its own"},
                    },
                },
                "B": {"type": "string", "example": "b"},
            }},
        });
        assert_eq!(document(&newer), expected);
    }
}
