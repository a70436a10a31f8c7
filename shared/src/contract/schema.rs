//! What schemas are put together from.

use serde_json::{Map, Value, json};

pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// A reference with words of its own.
pub(super) fn field(schema: &str, description: &str) -> Value {
    with(reference("schemas", schema), "description", description.into())
}

pub(super) fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// A parameter of the query.
pub(super) fn query(name: &str, schema: Value, description: &str) -> Value {
    json!({"name": name, "in": "query", "schema": schema, "description": description})
}

pub(super) fn with(mut schema: Value, name: &str, value: Value) -> Value {
    schema[name] = value;
    schema
}

/// One object with the members of both.
pub(super) fn merged(mut one: Value, other: Value) -> Value {
    if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}

/// An object of which all properties are there, unless they are among the optional ones.
pub(super) fn object(properties: Value, optional: &[&str]) -> Value {
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
pub(super) fn input(mut properties: Value, optional: &[&str]) -> Value {
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
