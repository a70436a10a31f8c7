//! A template's YAML, read as the JSON it abbreviates: `!GetAtt x.y` becomes `{"Fn::GetAtt": "x.y"}`.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Tagged;

/// The document as plain JSON, every tag in its long form.
pub fn parse(text: &str) -> Result<Value, serde_saphyr::Error> {
    serde_saphyr::from_str::<Node>(text).map(|Node(value)| value)
}

/// A value after its own tag has been applied to it.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Tree(value), tag) = Tagged::deserialize(deserializer)?;
        let function = match tag.as_deref().and_then(|tag| tag.strip_prefix('!')) {
            None => return Ok(Self(value)),
            Some(name @ ("Ref" | "Condition")) => name.to_owned(),
            Some(name) => format!("Fn::{name}"),
        };
        Ok(Self(Value::Object(Map::from_iter([(function, value)]))))
    }
}

/// A value whose own tag has been taken off; those of its children have been applied.
struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut array = Vec::new();
        while let Some(Node(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Tree(array.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut object = Map::new();
        while let Some((key, Node(value))) = entries.next_entry::<String, _>()? {
            object.insert(key, value);
        }
        Ok(Tree(object.into()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tags_become_long_forms() {
        for (yaml, expected) in [
            ("a: !Ref Table", json!({"a": {"Ref": "Table"}})),
            ("!Sub \"${A}/b\"", json!({"Fn::Sub": "${A}/b"})),
            ("!Not [!Equals [!Ref A, \"\"]]", json!({"Fn::Not": [{"Fn::Equals": [{"Ref": "A"}, ""]}]})),
            (
                "a: !If\n  - Enabled\n  - Origins: [!Ref O]\n    Age: 600\n  - !Ref AWS::NoValue",
                json!({"a": {"Fn::If": ["Enabled", {"Origins": [{"Ref": "O"}], "Age": 600}, {"Ref": "AWS::NoValue"}]}}),
            ),
            ("!Condition X", json!({"Condition": "X"})),
            ("[1, -2, 1.5, true, \"true\", ~, \"2012-10-17\"]", json!([1, -2, 1.5, true, "true", null, "2012-10-17"])),
            ("a: !!str 5", json!({"a": "5"})),
            ("\"AWS::Region\": {}", json!({"AWS::Region": {}})),
        ] {
            assert_eq!(parse(yaml).unwrap(), expected, "{yaml}");
        }
    }
}
