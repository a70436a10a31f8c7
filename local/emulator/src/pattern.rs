//! EventBridge's patterns, which choose events by what is in them; Lambda's filters are the same.
//!
//! An operator that is not understood here is refused by name, so that nothing that a pattern says is missing without a word.

use std::fmt;

use serde_json::{Map, Value};

/// What an event must be like.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Map<String, Value>);

const OR: &str = "$or";

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// What of it is not understood here.
    pub fn new(pattern: &Value) -> Result<Self, String> {
        let fields = pattern.as_object().filter(|fields| !fields.is_empty());
        let fields = fields.ok_or("a pattern is an object with at least one field")?;
        check(fields)?;
        Ok(Self(fields.clone()))
    }

    pub fn matches(&self, event: &Value) -> bool {
        fields_match(&self.0, event)
    }
}

/// As JSON.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", serde_json::to_string(&self.0).unwrap_or_default())
    }
}

fn check(fields: &Map<String, Value>) -> Result<(), String> {
    for (name, wanted) in fields {
        match wanted {
            Value::Array(ways) if name == OR => {
                for way in ways {
                    check(way.as_object().ok_or("each way of $or is an object")?)?;
                }
            }
            Value::Object(inner) => check(inner)?,
            Value::Array(values) if !values.is_empty() => values.iter().try_for_each(check_value)?,
            _ => return Err(format!("{name}: a field has a list of values, or a pattern of its own")),
        }
    }
    Ok(())
}

fn check_value(value: &Value) -> Result<(), String> {
    let Some(operation) = value.as_object() else {
        return if value.is_array() { Err("a list in a list is no value".into()) } else { Ok(()) };
    };
    let mut operators = operation.iter();
    let (Some((operator, operand)), None) = (operators.next(), operators.next()) else {
        return Err("a comparison has one operator".into());
    };
    let is_fine = match operator.as_str() {
        "prefix" | "suffix" => is_text(operand),
        "equals-ignore-case" => operand.is_string(),
        "exists" => operand.is_boolean(),
        "anything-but" => match operand {
            Value::Array(values) => values.iter().all(|value| value.is_string() || value.is_number()),
            Value::Object(inner) => inner.keys().all(|key| ["prefix", "suffix"].contains(&key.as_str())) && inner.len() == 1,
            value => value.is_string() || value.is_number(),
        },
        "numeric" => numeric(operand).is_some(),
        _ => return Err(format!("the operator {operator} is not understood here")),
    };
    if is_fine { Ok(()) } else { Err(format!("{operator} does not take {operand} here")) }
}

fn is_text(operand: &Value) -> bool {
    operand.is_string()
        || operand
            .as_object()
            .is_some_and(|inner| inner.len() == 1 && inner.get("equals-ignore-case").is_some_and(Value::is_string))
}

/// `[">", 0, "<=", 5]` as pairs.
fn numeric(operand: &Value) -> Option<Vec<(&str, f64)>> {
    let parts = operand.as_array().filter(|parts| !parts.is_empty() && parts.len() % 2 == 0)?;
    parts
        .chunks(2)
        .map(|pair| Some((pair[0].as_str().filter(|sign| ["<", "<=", "=", ">=", ">"].contains(sign))?, pair[1].as_f64()?)))
        .collect()
}

fn fields_match(fields: &Map<String, Value>, event: &Value) -> bool {
    fields.iter().all(|(name, wanted)| match wanted {
        Value::Array(ways) if name == OR => ways.iter().filter_map(Value::as_object).any(|way| fields_match(way, event)),
        Value::Object(inner) => fields_match(inner, &event[name]),
        Value::Array(values) => values.iter().any(|value| value_matches(value, event.get(name))),
        _ => false,
    })
}

/// Whether a field has the value, or one of those in its list has it.
fn value_matches(wanted: &Value, found: Option<&Value>) -> bool {
    if let Some(exists) = wanted.get("exists").and_then(Value::as_bool) {
        return found.is_some_and(|found| !found.is_object()) == exists;
    }
    match found {
        Some(Value::Array(items)) => items.iter().any(|item| one_matches(wanted, item)),
        Some(found) => one_matches(wanted, found),
        None => false,
    }
}

fn one_matches(wanted: &Value, found: &Value) -> bool {
    let Some((operator, operand)) = wanted.as_object().and_then(|operation| operation.iter().next()) else {
        return wanted == found;
    };
    let text = found.as_str();
    match operator.as_str() {
        "prefix" => text.is_some_and(|text| compare(text, operand, |text, part| text.starts_with(part))),
        "suffix" => text.is_some_and(|text| compare(text, operand, |text, part| text.ends_with(part))),
        "equals-ignore-case" => {
            text.zip(operand.as_str()).is_some_and(|(text, other)| text.to_lowercase() == other.to_lowercase())
        }
        "anything-but" => match operand {
            Value::Array(values) => !values.contains(found),
            Value::Object(_) => !one_matches(operand, found),
            value => value != found,
        },
        "numeric" => found.as_f64().zip(numeric(operand)).is_some_and(|(number, bounds)| {
            bounds.into_iter().all(|(sign, bound)| match sign {
                "<" => number < bound,
                "<=" => number <= bound,
                ">=" => number >= bound,
                ">" => number > bound,
                _ => (number - bound).abs() < f64::EPSILON,
            })
        }),
        _ => false,
    }
}

/// With a text, or with one whose case does not matter.
fn compare(text: &str, operand: &Value, holds: impl Fn(&str, &str) -> bool) -> bool {
    match operand {
        Value::String(part) => holds(text, part),
        other => other["equals-ignore-case"].as_str().is_some_and(|part| holds(&text.to_lowercase(), &part.to_lowercase())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_chosen_by_what_is_in_them() {
        let event = json!({
            "source": "shop",
            "detail-type": "order.placed",
            "detail": {"total": 12.5, "tags": ["a", "b"], "by": null, "of": {"name": "Ada"}},
        });
        for (pattern, expected) in [
            (json!({"source": ["shop"]}), true),
            (json!({"source": ["other", "shop"]}), true),
            (json!({"source": ["other"]}), false),
            (json!({"source": ["shop"], "detail-type": ["other"]}), false),
            (json!({"detail-type": [{"prefix": "order."}]}), true),
            (json!({"detail-type": [{"prefix": {"equals-ignore-case": "ORDER."}}]}), true),
            (json!({"detail-type": [{"suffix": ".placed"}]}), true),
            (json!({"detail-type": [{"suffix": ".gone"}]}), false),
            (json!({"detail-type": [{"anything-but": "order.placed"}]}), false),
            (json!({"detail-type": [{"anything-but": ["x", "y"]}]}), true),
            (json!({"detail-type": [{"anything-but": {"prefix": "order."}}]}), false),
            (json!({"detail": {"total": [12.5]}}), true),
            (json!({"detail": {"total": [{"numeric": [">", 12, "<=", 13]}]}}), true),
            (json!({"detail": {"total": [{"numeric": ["<", 12]}]}}), false),
            (json!({"detail": {"tags": ["b"]}}), true),
            (json!({"detail": {"tags": ["c"]}}), false),
            (json!({"detail": {"by": [null]}}), true),
            (json!({"detail": {"of": {"name": [{"equals-ignore-case": "ADA"}]}}}), true),
            (json!({"detail": {"missing": [{"exists": false}]}}), true),
            (json!({"detail": {"total": [{"exists": false}]}}), false),
            (json!({"detail": {"missing": {"deeper": ["x"]}}}), false),
            (json!({"$or": [{"source": ["other"]}, {"detail": {"total": [12.5]}}]}), true),
        ] {
            assert_eq!(Pattern::new(&pattern).unwrap().matches(&event), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (pattern, named) in [
            (json!({"source": [{"wildcard": "sh*"}]}), "wildcard"),
            (json!({"detail": {"address": [{"cidr": "10.0.0.0/24"}]}}), "cidr"),
            (json!({"$or": [{"source": [{"wildcard": "*"}]}]}), "wildcard"),
            (json!({"source": "shop"}), "source"),
            (json!({"source": []}), "source"),
            (json!({"source": [{"numeric": ["~", 1]}]}), "numeric"),
            (json!({"source": [{"prefix": 1}]}), "prefix"),
            (json!({}), "at least one field"),
            (json!([]), "object"),
        ] {
            let refusal = Pattern::new(&pattern).unwrap_err();
            assert!(refusal.contains(named), "{pattern}: {refusal}");
        }
    }
}
