//! Builds update and condition expressions. Attribute names are always aliased, because DynamoDB reserves hundreds of words.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    key::Item,
    mutant::{Part, is_left_out},
};

/// A value that an expression compares or sets.
pub struct Value(AttributeValue);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(AttributeValue::S(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(AttributeValue::S(text))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self(AttributeValue::Bool(flag))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self(AttributeValue::N(number.to_string()))
    }
}

impl From<AttributeValue> for Value {
    fn from(value: AttributeValue) -> Self {
        Self(value)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self(AttributeValue::N(number.to_string()))
    }
}

/// What to change about one item, and under which conditions. All conditions must hold. An attribute within a map is named by its
/// path, as in `sessions.<id>`.
#[derive(Default)]
pub struct Expression {
    names: HashMap<String, String>,
    values: Item,
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    delete: Vec<String>,
    conditions: Vec<String>,
}

impl Expression {
    /// Condition: there is an item with this key.
    #[track_caller]
    pub fn exists() -> Self {
        Self::default().existing()
    }

    /// Condition: there is an item with this key.
    #[track_caller]
    pub fn existing(self) -> Self {
        self.has("pk")
    }

    /// Condition: there is no item with this key.
    #[track_caller]
    pub fn absent() -> Self {
        Self::default().lacks("pk")
    }

    /// Condition: there is no item with this key, or only one that expired before `now` (epoch seconds) and was not swept yet.
    #[track_caller]
    pub fn absent_or_expired(now: i64) -> Self {
        Self::default().when(|it| {
            let (pk, expires_at, now) = (it.name("pk"), it.name("expires_at"), it.value(now));
            format!("(attribute_not_exists({pk}) OR {expires_at} < {now})")
        })
    }

    /// Condition: there is such an attribute.
    #[track_caller]
    pub fn has(self, attribute: &str) -> Self {
        self.when(|it| format!("attribute_exists({})", it.name(attribute)))
    }

    /// Condition: there is no such attribute.
    #[track_caller]
    pub fn lacks(self, attribute: &str) -> Self {
        self.when(|it| format!("attribute_not_exists({})", it.name(attribute)))
    }

    /// Condition: the number is as it was read, or is not there as it was not.
    #[track_caller]
    pub fn unchanged(self, attribute: &str, value: Option<u32>) -> Self {
        match value {
            Some(value) => self.equal(attribute, u64::from(value)),
            None => self.lacks(attribute),
        }
    }

    /// Condition: the map is there and has fewer entries than this.
    #[track_caller]
    pub fn has_fewer_entries_than(self, attribute: &str, max: usize) -> Self {
        self.when(|it| format!("size({}) < {}", it.name(attribute), it.value(count(max))))
    }

    /// Condition: the set or map is there and has more entries than this.
    #[track_caller]
    pub fn has_more_entries_than(self, attribute: &str, min: usize) -> Self {
        self.when(|it| format!("size({}) > {}", it.name(attribute), it.value(count(min))))
    }

    /// Condition: there is no such attribute, or the number is less than this.
    #[track_caller]
    pub fn lacks_or_below(attribute: &str, value: u64) -> Self {
        Self::default().when(|it| {
            let (name, value) = (it.name(attribute), it.value(value));
            format!("(attribute_not_exists({name}) OR {name} < {value})")
        })
    }

    /// Condition: the attribute has this value.
    #[track_caller]
    pub fn equal(self, attribute: &str, value: impl Into<Value>) -> Self {
        self.when(|it| format!("{} = {}", it.name(attribute), it.value(value)))
    }

    /// Condition: the number is this or more.
    #[track_caller]
    pub fn at_least(self, attribute: &str, value: u64) -> Self {
        self.when(|it| format!("{} >= {}", it.name(attribute), it.value(value)))
    }

    /// Condition: the number is less than this.
    #[track_caller]
    pub fn below(self, attribute: &str, value: u64) -> Self {
        self.when(|it| format!("{} < {}", it.name(attribute), it.value(value)))
    }

    /// Condition: one of two numbers is less than what stands beside it.
    #[track_caller]
    pub fn either_below(self, (one, max): (&str, i64), (other, other_max): (&str, i64)) -> Self {
        self.when(|it| {
            let (one, max) = (it.name(one), it.value(max));
            let (other, other_max) = (it.name(other), it.value(other_max));
            format!("({one} < {max} OR {other} < {other_max})")
        })
    }

    /// Condition: there is no item, or fewer than `max` attempts in a window that has not ended and ends by `latest`.
    #[track_caller]
    pub fn in_open_window(self, now: i64, latest: i64, max: u64) -> Self {
        self.when(|it| {
            let (pk, attempts, expires_at) = (it.name("pk"), it.name("attempts"), it.name("expires_at"));
            let (now, latest, max) = (it.value(now), it.value(latest), it.value(max));
            let open = format!("{attempts} < {max} AND {expires_at} > {now} AND {expires_at} <= {latest}");
            format!("(attribute_not_exists({pk}) OR ({open}))")
        })
    }

    /// Condition: there is no item, or fewer than `max` attempts in a window that ends by `latest`, or the window has ended.
    #[track_caller]
    pub fn open_or_over(self, now: i64, latest: i64, max: u64) -> Self {
        self.when(|it| {
            let (pk, attempts, expires_at) = (it.name("pk"), it.name("attempts"), it.name("expires_at"));
            let (now, latest, max) = (it.value(now), it.value(latest), it.value(max));
            let open = format!("{attempts} < {max} AND {expires_at} <= {latest}");
            format!("(attribute_not_exists({pk}) OR {expires_at} <= {now} OR ({open}))")
        })
    }

    /// Sets the attribute if there is none.
    #[track_caller]
    pub fn set_if_absent(self, attribute: &str, value: impl Into<Value>) -> Self {
        self.then(|it| {
            let (name, value) = (it.name(attribute), it.value(value));
            it.set.push(format!("{name} = if_not_exists({name}, {value})"));
        })
    }

    /// Sets the attribute.
    #[track_caller]
    pub fn set(self, attribute: &str, value: impl Into<Value>) -> Self {
        self.then(|it| {
            let clause = format!("{} = {}", it.name(attribute), it.value(value));
            it.set.push(clause);
        })
    }

    /// Sets the attribute, or removes it if there is no value.
    #[track_caller]
    pub fn set_or_remove(self, attribute: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(attribute, value),
            None => self.remove(attribute),
        }
    }

    /// Removes the attribute.
    #[track_caller]
    pub fn remove(self, attribute: &str) -> Self {
        self.then(|it| {
            let name = it.name(attribute);
            it.remove.push(name);
        })
    }

    /// Adds to a number; one that is not there counts as 0.
    #[track_caller]
    pub fn add(self, attribute: &str, amount: i64) -> Self {
        self.then(|it| {
            let clause = format!("{} {}", it.name(attribute), it.value(amount));
            it.add.push(clause);
        })
    }

    /// Adds a text to a set; one that is not there counts as empty.
    #[track_caller]
    pub fn add_to_set(self, attribute: &str, text: &str) -> Self {
        self.then(|it| {
            let clause = format!("{} {}", it.name(attribute), it.value(set_of(text)));
            it.add.push(clause);
        })
    }

    /// Takes a text out of a set.
    #[track_caller]
    pub fn remove_from_set(self, attribute: &str, text: &str) -> Self {
        self.then(|it| {
            let clause = format!("{} {}", it.name(attribute), it.value(set_of(text)));
            it.delete.push(clause);
        })
    }

    #[track_caller]
    fn when(mut self, clause: impl FnOnce(&mut Self) -> String) -> Self {
        if !is_left_out(Part::Condition) {
            let clause = clause(&mut self);
            self.conditions.push(clause);
        }
        self
    }

    #[track_caller]
    fn then(mut self, have: impl FnOnce(&mut Self)) -> Self {
        if !is_left_out(Part::Effect) {
            have(&mut self);
        }
        self
    }

    /// Whether it changes anything; a condition alone does not.
    pub fn changes(&self) -> bool {
        !(self.set.is_empty() && self.remove.is_empty() && self.add.is_empty() && self.delete.is_empty())
    }

    pub fn update(&self) -> String {
        [("SET", &self.set), ("REMOVE", &self.remove), ("ADD", &self.add), ("DELETE", &self.delete)]
            .into_iter()
            .filter(|(_, clauses)| !clauses.is_empty())
            .map(|(verb, clauses)| format!("{verb} {}", clauses.join(", ")))
            .collect::<Vec<_>>()
            .join(" ")
    }

    pub fn condition(&self) -> Option<String> {
        (!self.conditions.is_empty()).then(|| self.conditions.join(" AND "))
    }

    /// `None` when there are none: DynamoDB refuses empty maps.
    pub fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    pub fn values(&self) -> Option<Item> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }

    fn name(&mut self, path: &str) -> String {
        let alias = |attribute: &str| {
            // Aliases have no hyphens, as ids do.
            let alias = format!("#{}", attribute.replace('-', ""));
            self.names.insert(alias.clone(), attribute.to_owned());
            alias
        };
        path.split('.').map(alias).collect::<Vec<_>>().join(".")
    }

    fn value(&mut self, value: impl Into<Value>) -> String {
        let alias = format!(":{}", self.values.len());
        self.values.insert(alias.clone(), value.into().0);
        alias
    }
}

fn count(entries: usize) -> AttributeValue {
    AttributeValue::N(entries.to_string())
}

fn set_of(text: &str) -> AttributeValue {
    AttributeValue::Ss(vec![text.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_joined_and_names_aliased() {
        let expression = Expression::exists().equal("status", "PENDING").below("version", 2);
        let expression = expression.set("name", "Pen").set("price", 5_i64).remove("description").add("version", 1);
        assert_eq!(expression.update(), "SET #name = :2, #price = :3 REMOVE #description ADD #version :4");
        assert_eq!(expression.condition().unwrap(), "attribute_exists(#pk) AND #status = :0 AND #version < :1");
        assert_eq!(expression.values().unwrap().len(), 5);
        let path = Expression::default().has("sessions.01-9a").has_fewer_entries_than("sessions", 20);
        assert_eq!(path.condition().unwrap(), "attribute_exists(#sessions.#019a) AND size(#sessions) < :0");
        assert_eq!(path.names().unwrap()["#019a"], "01-9a");
    }
}
