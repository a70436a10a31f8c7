//! Whose an id is: what people call it, and where its page is.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::store::schema::{self, ItemKind};

use super::stored::{id_of, text};

/// The kinds with a page of their own, and the attributes that people call one of them by, the first that it has.
const PAGES: [(&ItemKind, &[&str]); 3] =
    [(&schema::PRODUCT, &["name"]), (&schema::ORDER, &[]), (&schema::USER, &["username", "email"])];

/// The length of an id.
const ID: usize = 36;

/// Of every id that has a page: the entity, and a name if it has one.
pub struct Links(BTreeMap<String, Value>);

impl Links {
    pub fn of(items: &[Value]) -> Self {
        let link = |item: &Value| {
            PAGES.into_iter().find_map(|(kind, names)| {
                let id = id_of(item, kind)?;
                let name = names.iter().map(|name| text(item, name)).find(|name| !name.is_empty());
                Some((id.to_owned(), json!({"entity": kind.plural, "name": name})))
            })
        };
        Self(items.iter().filter_map(link).collect())
    }

    pub fn all(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }

    /// What something with this id is called.
    pub fn name(&self, id: &str) -> Option<&str> {
        self.0.get(id)?["name"].as_str()
    }

    /// An answer, and `links` for all the ids in it that are known.
    pub fn beside(&self, mut answer: Value) -> Value {
        let mut links = Map::new();
        ids_in(&answer, &mut |id| {
            if let Some(link) = self.0.get(id) {
                links.insert(id.to_owned(), link.clone());
            }
        });
        answer["links"] = links.into();
        answer
    }
}

/// All ids in a value: texts, and parts of paths.
fn ids_in(value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => text.split(['/', '#', '?']).filter(|part| part.len() == ID).for_each(found),
        Value::Array(list) => list.iter().for_each(|value| ids_in(value, found)),
        Value::Object(members) => {
            for (name, value) in members {
                if name.len() == ID {
                    found(name);
                }
                ids_in(value, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_names_beside_them() {
        let id = |digit: &str| digit.repeat(ID);
        let item = |kind: &ItemKind, digit: &str, name: &str, value: &str| json!({"pk": {"S": kind.pk.with(&[&id(digit)])}, "sk": {"S": kind.sk.0}, name: {"S": value}});
        let items = [
            item(&schema::PRODUCT, "1", "name", "Lamp"),
            item(&schema::USER, "2", "username", "ada"),
            item(&schema::ORDER, "3", "status", "PENDING"),
            item(&schema::PASSWORD, "4", "password", "…"),
        ];
        let links = Links::of(&items);
        assert_eq!((links.name(&id("1")), links.name(&id("3")), links.name(&id("4"))), (Some("Lamp"), None, None));
        let answer = json!({"path": format!("/orders/{}", id("3")), "by": [id("2"), id("5")], id("4"): 1});
        let expected = json!({
            id("2"): {"entity": "Users", "name": "ada"},
            id("3"): {"entity": "Orders", "name": null},
        });
        assert_eq!(links.beside(answer)["links"], expected);
    }
}
