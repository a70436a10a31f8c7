//! What a shop needs to remember with an order: an address, the reference of a payment, a note.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text::Text;
use crate::json::{Fields, FromFields, FromJson, Json};

/// Up to 20 texts by name, 4,096 bytes in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    pub const MAX_MEMBERS: usize = 20;
    pub const MAX_KEY_CHARS: usize = 40;
    pub const MAX_VALUE_CHARS: usize = 500;
    /// Of keys and values together, in UTF-8.
    pub const MAX_BYTES: usize = 4 * 1024;

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Text of up to 500 characters.
struct Value(Text);

impl FromJson for Value {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        Text::parse(&json.text()?, 0..=Metadata::MAX_VALUE_CHARS).map(Self)
    }
}

impl FromFields for Metadata {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let names = fields.names();
        if names.len() > Self::MAX_MEMBERS {
            fields.ignore_rest();
            fields.fault(format!("must have at most {} members", Self::MAX_MEMBERS));
            return None;
        }
        let mut metadata = BTreeMap::new();
        let mut sound = true;
        for name in names {
            let key = Text::parse(&name, 1..=Self::MAX_KEY_CHARS);
            let value = fields.required::<Value>(&name);
            match (key, value) {
                (Ok(key), Some(Value(value))) => {
                    if metadata.insert(key.as_str().to_owned(), value.as_str().to_owned()).is_some() {
                        fields.fault_of(&name, "must not be repeated");
                    }
                }
                (Err(detail), _) => {
                    fields.fault_of(&name, format!("has a name that {detail}"));
                    sound = false;
                }
                (Ok(_), None) => sound = false,
            }
        }
        let bytes: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > Self::MAX_BYTES {
            fields.fault(format!("must have at most {} bytes of names and values together", Self::MAX_BYTES));
        }
        sound.then_some(Self(metadata))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as JsonValue, json};

    use super::*;
    use crate::json;

    fn read(metadata: &JsonValue) -> Result<JsonValue, Vec<String>> {
        struct Body(Metadata);
        impl FromFields for Body {
            fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
                Some(Self(fields.clearable_object("metadata")??))
            }
        }
        json::tests::read(&json!({"metadata": metadata}).to_string()).map(|Body(metadata)| json!(metadata))
    }

    #[test]
    fn members_are_short_texts() {
        let good = json!({"street": "Unter den Linden 1", "A\u{30a}": "", "x".repeat(40): "y".repeat(500)});
        assert_eq!(read(&good).unwrap(), json!({"street": "Unter den Linden 1", "Å": "", "x".repeat(40): "y".repeat(500)}));
        assert_eq!(read(&json!({})).unwrap(), json!({}));
        assert_eq!(read(&JsonValue::Null).unwrap(), json!({}), "null clears it");
        for (bad, pointers) in [
            (json!([]), vec!["/metadata"]),
            (json!("x"), vec!["/metadata"]),
            (
                json!({"a": 1, "b": null, "c": "y".repeat(501), "d": "\n"}),
                vec!["/metadata/a", "/metadata/b", "/metadata/c", "/metadata/d"],
            ),
            (json!({"": "a"}), vec!["/metadata/"]),
            (json!({"x".repeat(41): "a"}), vec![&*format!("/metadata/{}", "x".repeat(41))]),
            (json!({"Å": "a", "A\u{30a}": "b"}), vec!["/metadata/Å"]),
            ((0..21).map(|n| (n.to_string(), json!("a"))).collect(), vec!["/metadata"]),
            ((0..9).map(|n| (n.to_string(), json!("y".repeat(500)))).collect(), vec!["/metadata"]),
        ] {
            assert_eq!(read(&bad).unwrap_err(), pointers, "{bad}");
        }
        let most: JsonValue = (0..20).map(|n| (format!("{n:02}"), json!("y".repeat(202)))).collect();
        assert!(read(&most).is_ok(), "20 members, 4,080 bytes");
    }

    #[test]
    fn the_most_is_twenty_members_and_four_kibibytes() {
        // Names of two bytes.
        let members = |count: usize, bytes: usize| -> JsonValue {
            (0..count)
                .map(|n| (format!("{n:02}"), json!("y".repeat(bytes / count - 2 + usize::from(n < bytes % count)))))
                .collect()
        };
        assert!(read(&members(20, 4_096)).is_ok());
        assert_eq!(read(&members(20, 4_097)).unwrap_err(), ["/metadata"]);
        assert_eq!(read(&members(21, 100)).unwrap_err(), ["/metadata"]);
        assert!(Metadata::default().is_empty());
        assert!(!Metadata(BTreeMap::from([("a".to_owned(), String::new())])).is_empty());
    }
}
