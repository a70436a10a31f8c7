//! Torn reads: a `Query` or a `BatchGetItem` is not one look at the table. Each item in its answer is as it was at some instant while
//! the call took place, and a write of several items, even in one transaction, may be seen in one of them and not yet in another.
//!
//! An embedded database looks once. So the same is asked twice here, some milliseconds apart, and each item of the answer is taken
//! from one of the two by chance.

use std::time::Duration;

use hyper::body::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Map, Value, json};

/// How to tear an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tear {
    /// Between the two looks.
    pub gap: Duration,
    /// Decides from which of them an item comes.
    pub seed: u64,
}

/// Whether an operation reads several items that may be of different instants.
pub fn can_tear(operation: &str) -> bool {
    matches!(operation, "Query" | "BatchGetItem")
}

/// Both looks at what one request asks for.
pub struct Looks {
    pub first: Bytes,
    pub second: Bytes,
}

/// Splits a request in two that together ask for the same; a query is asked as it is, twice. `None` for a batch all of whose items
/// are read at one instant, which one of a single item always is.
pub fn split(operation: &str, request: &Bytes, tear: Tear) -> Option<Looks> {
    if operation != "BatchGetItem" {
        return Some(Looks { first: request.clone(), second: request.clone() });
    }
    let mut first: Value = serde_json::from_slice(request).ok()?;
    let mut second = first.clone();
    let mut random = StdRng::seed_from_u64(tear.seed);
    let tables: Vec<_> = first["RequestItems"].as_object()?.keys().cloned().collect();
    for table in tables {
        let keys = first["RequestItems"][&table]["Keys"].as_array().cloned().unwrap_or_default();
        let (now, later): (Vec<_>, Vec<_>) = keys.into_iter().partition(|_| random.random());
        for (request, keys) in [(&mut first, now), (&mut second, later)] {
            if keys.is_empty() {
                request["RequestItems"].as_object_mut().and_then(|tables| tables.remove(&table));
            } else {
                request["RequestItems"][&table]["Keys"] = keys.into();
            }
        }
    }
    let asks_for_nothing = |request: &Value| request["RequestItems"].as_object().is_none_or(Map::is_empty);
    let whole = asks_for_nothing(&first) || asks_for_nothing(&second);
    (!whole).then(|| Looks { first: first.to_string().into(), second: second.to_string().into() })
}

/// The attributes that tell which item of a query's answer is which.
pub struct Keys {
    /// The table's, by which an item is known in an index, too.
    pub item: Vec<String>,
    /// What the answer is sorted by.
    pub sort: String,
}

/// The torn answer, from those of both looks; `None` if there is nothing to tear.
pub fn merge(operation: &str, request: &Bytes, answers: [&Bytes; 2], keys: &Keys, tear: Tear) -> Option<Value> {
    let [first, second] = answers.map(|answer| serde_json::from_slice::<Value>(answer).ok());
    let (first, second) = (first?, second?);
    if operation == "BatchGetItem" { batch(first, second) } else { query(request, first, second, keys, tear) }
}

/// Two parts of a batch as one answer.
fn batch(mut first: Value, second: Value) -> Option<Value> {
    for part in ["Responses", "UnprocessedKeys"] {
        for (table, items) in second[part].as_object().into_iter().flatten() {
            let before = first.as_object_mut()?.entry(part).or_insert_with(|| json!({})).as_object_mut()?;
            match (before.get_mut(table), items) {
                (Some(Value::Array(before)), Value::Array(items)) => before.extend(items.iter().cloned()),
                (Some(before), _) if part == "UnprocessedKeys" => {
                    let keys = items["Keys"].as_array().cloned().unwrap_or_default();
                    before["Keys"].as_array_mut()?.extend(keys);
                }
                _ => {
                    before.insert(table.clone(), items.clone());
                }
            }
        }
    }
    let consumed = second["ConsumedCapacity"].as_array().cloned().unwrap_or_default();
    if let Some(Value::Array(before)) = first.get_mut("ConsumedCapacity") {
        before.extend(consumed);
    }
    Some(first)
}

fn query(request: &Bytes, mut first: Value, second: Value, keys: &Keys, tear: Tear) -> Option<Value> {
    let items = |answer: &Value| answer["Items"].as_array().cloned();
    let (now, later) = (items(&first)?, items(&second)?);
    let key = |item: &Value| keys.item.iter().map(|name| item[name].clone()).collect::<Vec<_>>();
    let find = |items: &[Value], wanted: &Value| items.iter().find(|item| key(item) == key(wanted)).cloned();
    let mut random = StdRng::seed_from_u64(tear.seed);
    let mut torn = Vec::new();
    for item in &now {
        // One that is gone by the second look was seen, or was not.
        torn.extend(if random.random() { Some(item.clone()) } else { find(&later, item) });
    }
    // A page has its end, and what came in may lie beyond it.
    if first.get("LastEvaluatedKey").is_none() && second.get("LastEvaluatedKey").is_none() {
        let came = later.into_iter().filter(|item| find(&now, item).is_none());
        torn.extend(came.filter(|_| random.random()));
    }
    let request: Value = serde_json::from_slice(request).ok()?;
    torn.sort_by(|a, b| a[&keys.sort]["S"].as_str().cmp(&b[&keys.sort]["S"].as_str()));
    if request["ScanIndexForward"] == json!(false) {
        torn.reverse();
    }
    first["Count"] = torn.len().into();
    first["Items"] = torn.into();
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: &Value) -> Bytes {
        value.to_string().into()
    }

    fn keys() -> Keys {
        Keys { item: vec!["pk".into(), "sk".into()], sort: "sk".into() }
    }

    fn tear(seed: u64) -> Tear {
        Tear { gap: Duration::ZERO, seed }
    }

    #[test]
    fn a_query_shows_each_item_as_it_was_at_one_of_two_instants() {
        let item = |sk: &str, n: u32| json!({"pk": {"S": "p"}, "sk": {"S": sk}, "n": {"N": n.to_string()}});
        let first = bytes(&json!({"Items": [item("a", 1), item("b", 1), item("gone", 1)], "Count": 3, "ScannedCount": 3}));
        let second = bytes(&json!({"Items": [item("a", 2), item("b", 2), item("came", 2)], "Count": 3, "ScannedCount": 3}));
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let request = bytes(&json!({"ScanIndexForward": false}));
            let torn = merge("Query", &request, [&first, &second], &keys(), tear(seed)).unwrap();
            let items = torn["Items"].as_array().unwrap();
            assert_eq!(torn["Count"], items.len());
            let text: Vec<_> = items
                .iter()
                .map(|item| format!("{}{}", item["sk"]["S"].as_str().unwrap(), item["n"]["N"].as_str().unwrap()))
                .collect();
            assert!(text.is_sorted_by(|a, b| a > b), "{text:?}");
            seen.insert(text.join(" "));
        }
        assert_eq!(seen.len(), 16, "a and b each of two instants, gone and came there or not: {seen:?}");
        assert!(seen.contains("gone1 b1 a2") && seen.contains("came2 b2 a1") && seen.contains("b2 a2"), "{seen:?}");
    }

    #[test]
    fn nothing_comes_in_beyond_the_end_of_a_page() {
        let item = |sk: &str| json!({"pk": {"S": "p"}, "sk": {"S": sk}});
        let page = |sk: &str| bytes(&json!({"Items": [item(sk)], "Count": 1, "LastEvaluatedKey": item(sk)}));
        for seed in 0..20 {
            let torn = merge("Query", &bytes(&json!({})), [&page("a"), &page("b")], &keys(), tear(seed)).unwrap();
            assert!(torn["Items"].as_array().unwrap().iter().all(|item| item["sk"]["S"] == "a"), "{torn}");
        }
    }

    #[test]
    fn a_batch_is_asked_in_two_parts() {
        let request = bytes(&json!({"RequestItems": {"t": {"Keys": [1, 2, 3], "ConsistentRead": true}}}));
        let mut splits = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let Some(looks) = split("BatchGetItem", &request, tear(seed)) else { continue };
            let keys = |look: &Bytes| {
                let look: Value = serde_json::from_slice(look).unwrap();
                assert_eq!(look["RequestItems"]["t"]["ConsistentRead"], true);
                look["RequestItems"]["t"]["Keys"].as_array().unwrap().iter().map(|key| key.as_u64().unwrap()).collect::<Vec<_>>()
            };
            splits.insert((keys(&looks.first), keys(&looks.second)));
        }
        assert!(splits.contains(&(vec![1, 3], vec![2])) && splits.contains(&(vec![2], vec![1, 3])), "{splits:?}");
        assert_eq!(splits.len(), 6, "none with all on one side: {splits:?}");
        let part = |n: u32| bytes(&json!({"Responses": {"t": [n]}, "UnprocessedKeys": {}, "ConsumedCapacity": [n]}));
        let merged = merge("BatchGetItem", &request, [&part(1), &part(2)], &keys(), tear(0)).unwrap();
        assert_eq!(merged, json!({"Responses": {"t": [1, 2]}, "UnprocessedKeys": {}, "ConsumedCapacity": [1, 2]}));
    }
}
