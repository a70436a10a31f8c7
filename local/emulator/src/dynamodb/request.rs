//! What a call to DynamoDB reaches for: its items, and with them what it must be allowed to do.
//!
//! How DynamoDB asks about a transaction is documented nowhere. Here it asks once for each action, with the partition keys of all
//! its writes: a function whose statements pass that has its rights on AWS whether DynamoDB asks so or for each write.

use std::collections::BTreeMap;

use serde_json::Value;

use super::torn::Keys;
use crate::iam::AuthorizationRequest;
use crate::names::table_arn;
use crate::template::Table;

/// An item that a call names.
#[derive(Debug, PartialEq)]
pub struct Target<'b> {
    /// What happens to it, such as `GetItem`; of a part of a transaction its own, such as `ConditionCheckItem`.
    pub action: String,
    /// The table's name, or its ARN.
    pub table: &'b str,
    /// Its key, or the whole item where that is written.
    pub item: &'b Value,
}

/// The items that a call names, in its order; `None` for an operation that names none.
pub fn targets<'b>(operation: &str, body: &'b Value) -> Option<Vec<Target<'b>>> {
    let target = |action: &str, call: &'b Value, item: &str| Target {
        action: action.to_owned(),
        table: call["TableName"].as_str().unwrap_or_default(),
        item: &call[item],
    };
    let in_batch = |table: &'b str, item: &'b Value| Target { action: operation.to_owned(), table, item };
    let batches = || body["RequestItems"].as_object().into_iter().flatten().map(|(table, batch)| (table.as_str(), batch));
    Some(match operation {
        "GetItem" | "UpdateItem" | "DeleteItem" => vec![target(operation, body, "Key")],
        "PutItem" => vec![target(operation, body, "Item")],
        "BatchGetItem" => {
            let keys = |(table, batch): (&'b str, &'b Value)| {
                batch["Keys"].as_array().into_iter().flatten().map(move |key| in_batch(table, key))
            };
            batches().flat_map(keys).collect()
        }
        "BatchWriteItem" => {
            let items = |(table, batch): (&'b str, &'b Value)| {
                let writes = batch.as_array().into_iter().flatten();
                let items = writes.flat_map(|write| [&write["PutRequest"]["Item"], &write["DeleteRequest"]["Key"]]);
                items.filter(|item| !item.is_null()).map(move |item| in_batch(table, item))
            };
            batches().flat_map(items).collect()
        }
        "TransactWriteItems" | "TransactGetItems" => {
            let actions = body["TransactItems"].as_array().into_iter().flatten();
            let actions = actions.flat_map(|action| action.as_object().into_iter().flatten());
            actions.map(|(kind, call)| target(&format!("{kind}Item"), call, if kind == "Put" { "Item" } else { "Key" })).collect()
        }
        _ => return None,
    })
}

/// The key attributes of every table and index, by ARN, the partition key first.
#[derive(Clone, Debug, Default)]
pub struct KeySchema(BTreeMap<String, Vec<String>>);

impl KeySchema {
    pub fn of(tables: &[Table]) -> Self {
        let mut schema = BTreeMap::new();
        for table in tables {
            let arn = table_arn(&table.name);
            for index in table.create["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
                if let Some(name) = index["IndexName"].as_str() {
                    schema.insert(format!("{arn}/index/{name}"), key_attributes(index));
                }
            }
            schema.insert(arn, key_attributes(&table.create));
        }
        Self(schema)
    }

    /// The names of a table's or an index's key attributes, none if it is not known.
    pub fn attributes(&self, arn: &str) -> &[String] {
        self.0.get(arn).map_or(&[], Vec::as_slice)
    }

    /// The attributes that tell which item of a query's answer is which.
    pub fn keys(&self, query: &[u8]) -> Keys {
        let query: Value = serde_json::from_slice(query).unwrap_or_default();
        Keys {
            item: self.attributes(&table_arn(query["TableName"].as_str().unwrap_or_default())).to_vec(),
            sort: self.attributes(&queried(&query)).get(1).cloned().unwrap_or_default(),
        }
    }

    fn partition_key(&self, arn: &str) -> &str {
        self.attributes(arn).first().map_or("", String::as_str)
    }

    /// What a call must be allowed to do. One that makes no sense here needs what nobody is allowed.
    pub fn authorization_requests(&self, operation: &str, body: &[u8]) -> Vec<AuthorizationRequest> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if operation == "Query" {
            return vec![self.query(&body)];
        }
        let Some(targets) = targets(operation, &body) else {
            let resource = table_arn(body["TableName"].as_str().unwrap_or_default());
            return vec![AuthorizationRequest { action: format!("dynamodb:{operation}"), resource, keys: Vec::new() }];
        };
        let mut requests: Vec<AuthorizationRequest> = Vec::new();
        for Target { action, table, item } in targets {
            let (action, resource) = (format!("dynamodb:{action}"), table_arn(table));
            let key = item[self.partition_key(&resource)]["S"].as_str().unwrap_or_default().to_owned();
            match requests.iter_mut().find(|request| request.action == action && request.resource == resource) {
                Some(request) => request.keys.push(key),
                None => requests.push(AuthorizationRequest { action, resource, keys: vec![key] }),
            }
        }
        requests
    }

    fn query(&self, body: &Value) -> AuthorizationRequest {
        let resource = queried(body);
        let partition_key = self.partition_key(&resource);
        let condition = body["KeyConditionExpression"].as_str().unwrap_or_default();
        // `name = :value`, alone or among conditions that `AND` joins.
        let key = condition.split(" AND ").find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let (name, value) = (name.trim(), value.trim());
            let name = body["ExpressionAttributeNames"][name].as_str().unwrap_or(name);
            (name == partition_key).then(|| body["ExpressionAttributeValues"][value]["S"].as_str()).flatten()
        });
        AuthorizationRequest { action: "dynamodb:Query".to_owned(), resource, keys: vec![key.unwrap_or_default().to_owned()] }
    }
}

/// The table or the index that a query is about.
fn queried(query: &Value) -> String {
    let table = table_arn(query["TableName"].as_str().unwrap_or_default());
    query["IndexName"].as_str().map_or(table.clone(), |index| format!("{table}/index/{index}"))
}

/// The names in the `KeySchema` of a table or an index: DynamoDB wants the partition key first.
fn key_attributes(described: &Value) -> Vec<String> {
    let keys = described["KeySchema"].as_array().into_iter().flatten();
    keys.filter_map(|key| Some(key["AttributeName"].as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::iam::Policy;
    use crate::template::Statement;

    fn schema() -> KeySchema {
        let create = json!({
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "GlobalSecondaryIndexes": [{"IndexName": "gsi", "KeySchema": [{"AttributeName": "gsipk", "KeyType": "HASH"}]}],
        });
        KeySchema::of(&[Table { name: "t".into(), create, expires: None }])
    }

    fn policy(statements: &[(&str, &[&str])]) -> Policy {
        let statement = |(action, keys): &(&str, &[&str])| Statement {
            actions: vec![action.to_string()],
            resources: ["arn:aws:dynamodb:*:*:table/t", "arn:aws:dynamodb:*:*:table/t/index/gsi"].map(str::to_owned).into(),
            keys: keys.iter().map(ToString::to_string).collect(),
            needs_keys: true,
        };
        Policy::new(statements.iter().map(statement).collect(), None)
    }

    #[test]
    fn a_call_is_allowed_key_by_key() {
        let key = |pk: &str| json!({"pk": {"S": pk}, "sk": {"S": "x"}});
        let query = |condition: &str| {
            json!({"TableName": "t", "KeyConditionExpression": condition, "ExpressionAttributeNames": {"#p": "pk"},
                   "ExpressionAttributeValues": {":a": {"S": "A#1"}, ":b": {"S": "B#1"}}})
        };
        let on_index = json!({"TableName": "t", "IndexName": "gsi", "KeyConditionExpression": "gsisk > :b AND gsipk = :a",
                              "ExpressionAttributeValues": {":a": {"S": "A#1"}, ":b": {"S": "B#1"}}});
        let batch = |keys: Value| json!({"RequestItems": {"t": {"Keys": keys}}});
        let reads = json!({"TransactItems": [{"Get": {"TableName": "t", "Key": key("A#1")}}, {"Get": {"TableName": "t", "Key": key("B#1")}}]});
        let transaction = |put: &str| json!({"TransactItems": [{"Put": {"TableName": "t", "Item": key(put)}}, {"ConditionCheck": {"TableName": "t", "Key": key("B#1")}}]});
        for (action, operation, body, refused) in [
            ("dynamodb:GetItem", "GetItem", json!({"TableName": "t", "Key": key("A#1")}), None),
            ("dynamodb:GetItem", "GetItem", json!({"TableName": "t", "Key": key("B#1")}), Some("dynamodb:GetItem")),
            ("dynamodb:GetItem", "GetItem", json!({"TableName": "u", "Key": key("A#1")}), Some("dynamodb:GetItem")),
            ("dynamodb:GetItem", "PutItem", json!({"TableName": "t", "Item": key("A#1")}), Some("dynamodb:PutItem")),
            ("dynamodb:*", "Scan", json!({"TableName": "t"}), Some("dynamodb:Scan")),
            ("dynamodb:Query", "Query", query("pk = :a"), None),
            ("dynamodb:Query", "Query", query("#p = :a AND begins_with(sk, :b)"), None),
            ("dynamodb:Query", "Query", query("pk = :b"), Some("dynamodb:Query")),
            ("dynamodb:Query", "Query", query("sk = :a"), Some("dynamodb:Query")),
            ("dynamodb:Query", "Query", on_index, None),
            ("dynamodb:BatchGetItem", "BatchGetItem", batch(json!([key("A#1"), key("A#2")])), None),
            ("dynamodb:BatchGetItem", "BatchGetItem", batch(json!([key("A#1"), key("B#2")])), Some("dynamodb:BatchGetItem")),
            ("dynamodb:GetItem", "TransactGetItems", reads, Some("dynamodb:GetItem")),
            ("dynamodb:PutItem", "TransactWriteItems", transaction("A#1"), Some("dynamodb:ConditionCheckItem")),
            ("dynamodb:*", "TransactWriteItems", transaction("B#1"), Some("dynamodb:PutItem")),
            ("dynamodb:Put*", "TransactWriteItems", json!({}), None),
        ] {
            let requests = schema().authorization_requests(operation, body.to_string().as_bytes());
            let denied = policy(&[(action, &["A#*"])]).authorize(requests).err().map(|request| request.action);
            assert_eq!(denied.as_deref(), refused, "{action} {operation} {body}");
        }
    }

    #[test]
    fn a_transaction_is_asked_about_once_for_each_action() {
        let delete = |pk: &str| json!({"Delete": {"TableName": "t", "Key": {"pk": {"S": pk}}}});
        let body = json!({"TransactItems": [delete("A#1"), delete("B#1")]}).to_string();
        let requests = || schema().authorization_requests("TransactWriteItems", body.as_bytes());
        let by_partition = policy(&[("dynamodb:DeleteItem", &["A#*"]), ("dynamodb:DeleteItem", &["B#*"])]);
        assert_eq!(by_partition.authorize(requests()).unwrap_err().keys, ["A#1", "B#1"]);
        assert_eq!(policy(&[("dynamodb:DeleteItem", &["A#*", "B#*"])]).authorize(requests()), Ok(()));
    }
}
