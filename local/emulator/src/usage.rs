//! What functions use of DynamoDB.

use std::fmt;

use serde::Deserialize;

/// The calls that one environment has made since they were last taken, and what they cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    pub operations: Vec<String>,
    /// The X-Ray headers that they carried, without repetitions.
    pub traces: Vec<String>,
    pub read_units: f64,
    pub write_units: f64,
    /// The faults that calls have met on purpose, such as `throttle GetItem`.
    pub faults: Vec<String>,
}

impl Usage {
    pub fn add_fault(&mut self, kind: impl fmt::Display, operation: &str) {
        self.faults.push(format!("{kind} {operation}"));
    }

    pub fn add_trace(&mut self, trace: String) {
        if !self.traces.contains(&trace) {
            self.traces.push(trace);
        }
    }

    pub fn add_call(&mut self, operation: &str, units: f64) {
        self.operations.push(operation.to_owned());
        if reads(operation) {
            self.read_units += units;
        } else {
            self.write_units += units;
        }
    }
}

fn reads(operation: &str) -> bool {
    matches!(operation, "GetItem" | "BatchGetItem" | "TransactGetItems" | "Query" | "Scan")
}

/// The capacity units that an answer of DynamoDB says were consumed.
pub fn consumed_units(answer: &[u8]) -> f64 {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        consumed_capacity: Consumed,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Consumed {
        One(Capacity),
        PerTable(Vec<Capacity>),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Capacity {
        capacity_units: f64,
    }
    match serde_json::from_slice(answer) {
        Ok(Answer { consumed_capacity: Consumed::One(capacity) }) => capacity.capacity_units,
        Ok(Answer { consumed_capacity: Consumed::PerTable(tables) }) => {
            tables.iter().map(|capacity| capacity.capacity_units).sum()
        }
        // An error, or an operation that costs nothing.
        Err(_) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_summed() {
        for (body, expected) in [
            (r#"{"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5}}"#, 0.5),
            (r#"{"ConsumedCapacity": [{"CapacityUnits": 2}, {"CapacityUnits": 4.0}]}"#, 6.0),
            (r#"{"Item": {}}"#, 0.0),
            (r#"{"ConsumedCapacity": null}"#, 0.0),
            ("<html>", 0.0),
        ] {
            assert!((consumed_units(body.as_bytes()) - expected).abs() < f64::EPSILON, "{body}");
        }
    }
}
