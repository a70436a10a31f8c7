//! Builds update and condition expressions. Attribute names are always aliased, because DynamoDB reserves hundreds of words.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::key::Item;

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
    pub fn exists() -> Self {
        Self::default().existing()
    }

    /// Condition: there is an item with this key.
    pub fn existing(mut self) -> Self {
        let pk = self.name("pk");
        self.conditions.push(format!("attribute_exists({pk})"));
        self
    }

    /// Condition: there is no item with this key.
    pub fn absent() -> Self {
        let mut expression = Self::default();
        let pk = expression.name("pk");
        expression.conditions.push(format!("attribute_not_exists({pk})"));
        expression
    }

    /// Condition: there is no item with this key, or only one that expired before `now` (epoch seconds) and was not swept yet.
    pub fn absent_or_expired(now: i64) -> Self {
        let mut expression = Self::default();
        let (pk, expires_at, now) = (expression.name("pk"), expression.name("expires_at"), expression.value(now));
        expression.conditions.push(format!("(attribute_not_exists({pk}) OR {expires_at} < {now})"));
        expression
    }

    /// Condition: there is such an attribute.
    pub fn has(mut self, attribute: &str) -> Self {
        let name = self.name(attribute);
        self.conditions.push(format!("attribute_exists({name})"));
        self
    }

    /// Condition: there is no such attribute.
    pub fn lacks(mut self, attribute: &str) -> Self {
        let name = self.name(attribute);
        self.conditions.push(format!("attribute_not_exists({name})"));
        self
    }

    /// Condition: the number is as it was read, or is not there as it was not.
    pub fn unchanged(self, attribute: &str, value: Option<u32>) -> Self {
        match value {
            Some(value) => self.equal(attribute, u64::from(value)),
            None => self.lacks(attribute),
        }
    }

    /// Condition: the map is there and has fewer entries than this.
    pub fn has_fewer_entries_than(mut self, attribute: &str, max: usize) -> Self {
        let (name, max) = (self.name(attribute), self.value(AttributeValue::N(max.to_string())));
        self.conditions.push(format!("size({name}) < {max}"));
        self
    }

    /// Condition: there is no such attribute, or the number is less than this.
    pub fn lacks_or_below(attribute: &str, value: u64) -> Self {
        let mut expression = Self::default();
        let (name, value) = (expression.name(attribute), expression.value(value));
        expression.conditions.push(format!("(attribute_not_exists({name}) OR {name} < {value})"));
        expression
    }

    /// Condition: the attribute has this value.
    pub fn equal(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        let (name, value) = (self.name(attribute), self.value(value));
        self.conditions.push(format!("{name} = {value}"));
        self
    }

    /// Condition: the number is this or more.
    pub fn at_least(mut self, attribute: &str, value: u64) -> Self {
        let (name, value) = (self.name(attribute), self.value(value));
        self.conditions.push(format!("{name} >= {value}"));
        self
    }

    /// Condition: the number is less than this.
    pub fn below(mut self, attribute: &str, value: u64) -> Self {
        let (name, value) = (self.name(attribute), self.value(value));
        self.conditions.push(format!("{name} < {value}"));
        self
    }

    /// Condition: one of two numbers is less than what stands beside it.
    pub fn either_below(mut self, (one, max): (&str, i64), (other, other_max): (&str, i64)) -> Self {
        let (one, max) = (self.name(one), self.value(max));
        let (other, other_max) = (self.name(other), self.value(other_max));
        self.conditions.push(format!("({one} < {max} OR {other} < {other_max})"));
        self
    }

    /// Condition: there is no item, or fewer than `max` attempts in a window that has not ended and ends by `latest`.
    pub fn in_open_window(mut self, now: i64, latest: i64, max: u64) -> Self {
        let (pk, attempts, expires_at) = (self.name("pk"), self.name("attempts"), self.name("expires_at"));
        let (now, latest, max) = (self.value(now), self.value(latest), self.value(max));
        let open = format!("{attempts} < {max} AND {expires_at} > {now} AND {expires_at} <= {latest}");
        self.conditions.push(format!("(attribute_not_exists({pk}) OR ({open}))"));
        self
    }

    /// Condition: there is no item, or fewer than `max` attempts in a window that ends by `latest`, or the window has ended.
    pub fn open_or_over(mut self, now: i64, latest: i64, max: u64) -> Self {
        let (pk, attempts, expires_at) = (self.name("pk"), self.name("attempts"), self.name("expires_at"));
        let (now, latest, max) = (self.value(now), self.value(latest), self.value(max));
        let open = format!("{attempts} < {max} AND {expires_at} <= {latest}");
        self.conditions.push(format!("(attribute_not_exists({pk}) OR {expires_at} <= {now} OR ({open}))"));
        self
    }

    /// Sets the attribute if there is none.
    pub fn set_if_absent(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        let (name, value) = (self.name(attribute), self.value(value));
        self.set.push(format!("{name} = if_not_exists({name}, {value})"));
        self
    }

    /// Sets the attribute.
    pub fn set(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        let (name, value) = (self.name(attribute), self.value(value));
        self.set.push(format!("{name} = {value}"));
        self
    }

    /// Sets the attribute, or removes it if there is no value.
    pub fn set_or_remove(self, attribute: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.set(attribute, value),
            None => self.remove(attribute),
        }
    }

    /// Removes the attribute.
    pub fn remove(mut self, attribute: &str) -> Self {
        let name = self.name(attribute);
        self.remove.push(name);
        self
    }

    /// Adds to a number; one that is not there counts as 0.
    pub fn add(mut self, attribute: &str, amount: i64) -> Self {
        let (name, amount) = (self.name(attribute), self.value(amount));
        self.add.push(format!("{name} {amount}"));
        self
    }

    /// Adds a text to a set; one that is not there counts as empty.
    pub fn add_to_set(mut self, attribute: &str, text: &str) -> Self {
        let (name, text) = (self.name(attribute), self.value(AttributeValue::Ss(vec![text.to_owned()])));
        self.add.push(format!("{name} {text}"));
        self
    }

    /// Takes a text out of a set.
    pub fn remove_from_set(mut self, attribute: &str, text: &str) -> Self {
        let (name, text) = (self.name(attribute), self.value(AttributeValue::Ss(vec![text.to_owned()])));
        self.delete.push(format!("{name} {text}"));
        self
    }

    /// Condition: the set or map is there and has more entries than this.
    pub fn has_more_entries_than(mut self, attribute: &str, min: usize) -> Self {
        let (name, min) = (self.name(attribute), self.value(AttributeValue::N(min.to_string())));
        self.conditions.push(format!("size({name}) > {min}"));
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
