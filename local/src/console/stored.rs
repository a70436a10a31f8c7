//! Items as they are stored, without DynamoDB's types and without hashes of passwords.

use serde_json::{Map, Value};
use shared::store::schema::ItemKind;

pub fn kind_of(item: &Value) -> Option<&'static ItemKind> {
    ItemKind::of(text(item, "pk"), text(item, "sk"))
}

pub fn text<'i>(item: &'i Value, name: &str) -> &'i str {
    item[name]["S"].as_str().unwrap_or_default()
}

/// What differs in the partition key of an item of this kind.
pub fn id_of<'i>(item: &'i Value, kind: &ItemKind) -> Option<&'i str> {
    kind.pk.part(text(item, "pk")).filter(|_| kind_of(item) == Some(kind))
}

/// The items of a kind with this id in their partition key, in the order of their sort keys.
pub fn with_id<'i>(items: &'i [Value], kind: &ItemKind, id: &str) -> Vec<&'i Value> {
    let mut its: Vec<_> = items.iter().filter(|item| id_of(item, kind) == Some(id)).collect();
    its.sort_by_key(|item| text(item, "sk"));
    its
}

/// An item without DynamoDB's types, and without hashes of passwords.
pub fn attributes(item: &Value) -> Value {
    let attributes = item.as_object().into_iter().flatten();
    let plain = attributes.map(|(name, value)| match name.as_str() {
        "password" => (name.clone(), "…".into()),
        _ => (name.clone(), plain(value)),
    });
    Value::Object(plain.collect())
}

/// `{"L": [{"N": "1"}]}` as `[1]`. Numbers that are no whole ones stay text, so that no digit is lost.
fn plain(value: &Value) -> Value {
    let Some((kind, value)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), value) {
        ("N", Value::String(number)) => number.parse::<i64>().map_or_else(|_| value.clone(), Value::from),
        ("L", Value::Array(list)) => list.iter().map(plain).collect(),
        ("M", Value::Object(map)) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>().into(),
        ("S", Value::String(text)) if text.starts_with("$argon2") => "…".into(),
        ("NULL", _) => Value::Null,
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_are_plain_and_keep_passwords_to_themselves() {
        let hash = json!({"S": "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA"});
        let item = json!({
            "pk": {"S": "USER#1"},
            "password": {"B": "aGFzaA=="},
            "total": {"N": "4750"},
            "rate": {"N": "0.10"},
            "more": {"M": {"list": {"L": [{"BOOL": true}, {"NULL": true}, {"SS": ["a"]}, hash]}}},
        });
        let more = json!({"list": [true, null, ["a"], "…"]});
        let expected = json!({"pk": "USER#1", "password": "…", "total": 4750, "rate": "0.10", "more": more});
        assert_eq!(attributes(&item), expected);
    }
}
