//! What schemas are put together from.
//!
//! There are two forms of each: the strict one, which our own answers are held against and which says exactly what is taken, and the
//! public one, which is plain enough for every generator of clients. Both are written at once: where the public one differs, it stands
//! beside the strict one as `x-public`. [`strict`] and [`public`] take them apart.

use serde_json::{Map, Value, json};

pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// A reference with words of its own.
pub(super) fn field(schema: &str, description: &str) -> Value {
    with(reference("schemas", schema), "description", description.into())
}

/// The id of something, with an example of its own.
pub(super) fn id(example: &str, description: &str) -> Value {
    with(field("Id", description), "examples", json!([example]))
}

/// Text of at most so many characters.
pub(super) fn text(max: usize, description: &str, example: &str) -> Value {
    json!({"type": "string", "maxLength": max, "description": description, "examples": [example]})
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

/// The strict form of a schema, and the public one.
pub(super) fn instead(strict: Value, public: Value) -> Value {
    with(strict, "x-public", public)
}

/// A schema, and what only its strict form says besides.
pub(super) fn strictly(public: Value, besides: Value) -> Value {
    instead(merged(public.clone(), besides), public)
}

/// The strict form of a document, or of a part of one.
pub(super) fn strict(both: &Value) -> Value {
    match both {
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| *name != "x-public");
            members.map(|(name, member)| (name.clone(), strict(member))).collect()
        }
        Value::Array(items) => items.iter().map(strict).collect(),
        other => other.clone(),
    }
}

/// The public form of a document, or of a part of one.
pub(super) fn public(both: &Value) -> Value {
    match both {
        Value::Object(members) => {
            if let Some(instead) = members.get("x-public") {
                return public(instead);
            }
            // Whoever reads an answer takes what a newer shop adds to it.
            let members = members.iter().filter(|(name, _)| *name != "unevaluatedProperties");
            members.map(|(name, member)| (name.clone(), public(member))).collect()
        }
        Value::Array(items) => items.iter().map(public).collect(),
        other => other.clone(),
    }
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
    let mut object = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

/// What is answered: strictly nothing but these properties.
pub(super) fn answer(properties: Value, optional: &[&str]) -> Value {
    with(object(properties, optional), "unevaluatedProperties", false.into())
}

/// The body of a request, or an object in one. `null` for an optional property is the same as leaving it out, which clients are better
/// not made to think about.
pub(super) fn input(mut properties: Value, optional: &[&str]) -> Value {
    for name in optional {
        properties[name] = nullable(properties[name].take());
    }
    with(object(properties, optional), "additionalProperties", false.into())
}

/// An input that changes something: beside what is required, one of these properties at least, of the type that has an effect where
/// `null` has none.
pub(super) fn change(input: Value, effects: &[(&str, Option<Value>)]) -> Value {
    let required = input["required"].as_array().map_or(0, Vec::len);
    let some: Vec<_> = effects
        .iter()
        .map(|(name, types)| match types {
            Some(types) => json!({"required": [name], "properties": {*name: {"type": types}}}),
            None => json!({"required": [name]}),
        })
        .collect();
    strictly(with(input, "minProperties", (required + 1).into()), json!({"anyOf": some}))
}

fn nullable(schema: Value) -> Value {
    let public = schema.get("x-public").unwrap_or(&schema).clone();
    match &schema["type"] {
        Value::String(name) if name != "null" => {
            let types = json!([name, "null"]);
            instead(with(schema, "type", types), public)
        }
        Value::String(_) | Value::Array(_) => schema,
        _ => instead(json!({"anyOf": [schema, {"type": "null"}]}), public),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_public_is_said_beside_what_is_strict() {
        let both = input(
            json!({
                "note": strictly(json!({"type": "string"}), json!({"pattern": "^a"})),
                "of": {"enum": ["a"]},
                "sku": {"type": ["string", "null"]},
                "inner": answer(json!({"n": {"type": "integer"}}), &[]),
            }),
            &["note", "of", "sku"],
        );
        let expected = json!({
            "type": "object",
            "properties": {
                "note": {"type": "string"},
                "of": {"enum": ["a"]},
                "sku": {"type": ["string", "null"]},
                "inner": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
            },
            "required": ["inner"],
            "additionalProperties": false,
        });
        assert_eq!(public(&both), expected);

        let validator = jsonschema::validator_for(&strict(&both)).unwrap();
        for (body, good) in [
            (json!({"inner": {"n": 1}}), true),
            (json!({"inner": {"n": 1}, "note": null, "sku": null}), true),
            (json!({"inner": {"n": 1}, "note": "b"}), false),
            (json!({"inner": {"n": 1, "m": 2}}), false),
            (json!({"inner": {"n": 1}, "m": 2}), false),
        ] {
            assert_eq!(validator.is_valid(&body), good, "{body}");
        }
    }

    #[test]
    fn a_change_changes_something() {
        let object = input(
            json!({"password": {"type": "string"}, "name": {"type": "string"}, "sku": {"type": ["string", "null"]}}),
            &["name", "sku"],
        );
        let change = change(object, &[("name", Some(json!("string"))), ("sku", None)]);
        assert_eq!(public(&change)["minProperties"], 2);
        let validator = jsonschema::validator_for(&strict(&change)).unwrap();
        for (body, good) in [
            (json!({"password": "a", "name": "b"}), true),
            (json!({"password": "a", "sku": null}), true),
            (json!({"password": "a", "name": null}), false),
            (json!({"password": "a"}), false),
        ] {
            assert_eq!(validator.is_valid(&body), good, "{body}");
        }
    }
}
