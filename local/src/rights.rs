//! What the template's policies allow each function, enforced as IAM would: a right that is missing here is missing on AWS.
//!
//! Understood are statements that allow, with wildcards, and the conditions that matter to a single table: `ForAllValues:StringLike`
//! and `Null` on `dynamodb:LeadingKeys`.
//!
//! How DynamoDB asks about a transaction is documented nowhere. Here it asks once for each action, with the partition keys of all
//! its writes: a function whose statements pass that has its rights on AWS whether DynamoDB asks so or for each write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::intrinsics::{ACCOUNT, Fault, REGION};
use crate::template::Table;

const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

/// What one function may do.
#[derive(Debug, Default)]
pub struct Rights {
    statements: Vec<Statement>,
    /// The most that they can allow, if there is a bound.
    boundary: Option<Vec<Statement>>,
    /// Which parts have been made use of: positions of statement, action, resource and key.
    used: Mutex<BTreeSet<[usize; 4]>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    actions: Vec<String>,
    resources: Vec<String>,
    /// The partition keys it is for; empty for all.
    keys: Vec<String>,
    /// Whether it is only for calls that name partition keys. `ForAllValues` alone is also for those that name none.
    needs_keys: bool,
}

/// Something that a call needs to be allowed.
#[derive(Debug, PartialEq, Eq)]
pub struct Demand {
    action: String,
    resource: String,
    /// The partition keys it reaches for.
    keys: Vec<String>,
}

impl Demand {
    pub fn secret(action: &str, arn: &str) -> Self {
        Self { action: format!("secretsmanager:{action}"), resource: arn.to_owned(), keys: Vec::new() }
    }

    /// In the words of AWS.
    pub fn refusal(&self, function: &str) -> String {
        let Self { action, resource, .. } = self;
        format!(
            "User: arn:aws:sts::{ACCOUNT}:assumed-role/{function} is not authorized to perform: {action} on resource: {resource} \
             because no identity-based policy allows the {action} action"
        )
    }
}

impl Statement {
    /// Reads the resolved `Policies` of a function, or one of them.
    pub fn read(policies: &Value, at: &str) -> Result<Vec<Self>, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        struct Written {
            #[serde(default, rename = "Sid")]
            _sid: Option<String>,
            effect: String,
            action: OneOrMany,
            resource: OneOrMany,
            #[serde(default)]
            condition: Map<String, Value>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        impl From<OneOrMany> for Vec<String> {
            fn from(texts: OneOrMany) -> Self {
                match texts {
                    OneOrMany::One(text) => vec![text],
                    OneOrMany::Many(texts) => texts,
                }
            }
        }
        let policies = match policies {
            Value::Array(policies) => policies.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut statements = Vec::new();
        for (index, policy) in policies.iter().enumerate() {
            let at = format!("{at}[{index}]");
            let keys = policy.as_object().into_iter().flat_map(Map::keys);
            if let Some(key) = keys.clone().find(|key| *key != "Version" && *key != "Statement") {
                return Err(Fault::new(at, format!("{key} cannot be enforced here")));
            }
            if keys.clone().any(|key| key == "Version") && policy["Version"] != "2012-10-17" {
                return Err(Fault::new(at, format!("Version {} cannot be enforced here", policy["Version"])));
            }
            let Some(written) = policy["Statement"].as_array() else {
                return Err(Fault::new(at, "only policies that are written out, as a list of statements, can be enforced here"));
            };
            for (index, written) in written.iter().enumerate() {
                let at = format!("{at}.Statement[{index}]");
                let written: Written =
                    serde_json::from_value(written.clone()).map_err(|error| Fault::new(&at, error.to_string()))?;
                if written.effect != "Allow" {
                    return Err(Fault::new(at, "only statements that allow can be enforced here"));
                }
                let (mut keys, mut needs_keys) = (Vec::new(), false);
                for (operator, operand) in written.condition {
                    let operand: BTreeMap<String, OneOrMany> =
                        serde_json::from_value(operand).map_err(|error| Fault::new(&at, error.to_string()))?;
                    for (name, values) in operand {
                        if name != LEADING_KEYS {
                            return Err(Fault::new(at, format!("{name}: only {LEADING_KEYS} can be a condition here")));
                        }
                        match (operator.as_str(), Vec::from(values)) {
                            ("ForAllValues:StringLike", patterns) => keys = patterns,
                            ("Null", truth) if truth == ["false"] => needs_keys = true,
                            (operator, _) => {
                                let message =
                                    format!("{operator}: only ForAllValues:StringLike and Null (false) can be a condition here");
                                return Err(Fault::new(at, message));
                            }
                        }
                    }
                }
                let statement = Self { actions: written.action.into(), resources: written.resource.into(), keys, needs_keys };
                let Self { actions, resources, keys, .. } = &statement;
                if let Some(pattern) = [actions, resources, keys].into_iter().flatten().find(|pattern| pattern.contains("${")) {
                    return Err(Fault::new(at, format!("{pattern}: policy variables cannot be enforced here")));
                }
                statements.push(statement);
            }
        }
        Ok(statements)
    }
}

impl Rights {
    pub fn new(statements: Vec<Statement>, boundary: Option<Vec<Statement>>) -> Self {
        Self { statements, boundary, used: Mutex::default() }
    }

    /// Whether all of it is allowed, which counts as use; otherwise the first that is not.
    pub fn check(&self, demands: Vec<Demand>) -> Result<(), Demand> {
        for demand in demands {
            match self.allow(&demand) {
                Some(parts) => self.used().extend(parts),
                None => return Err(demand),
            }
        }
        Ok(())
    }

    /// The parts that allow it, if it is allowed.
    pub fn allow(&self, demand: &Demand) -> Option<Vec<[usize; 4]>> {
        let parts = self.statements.iter().enumerate().find_map(|(index, statement)| statement.allows(index, demand))?;
        let bound = |boundary: &Vec<Statement>| boundary.iter().any(|statement| statement.allows(0, demand).is_some());
        self.boundary.as_ref().is_none_or(bound).then_some(parts)
    }

    /// Every part of every statement that no call has needed so far, such as `dynamodb:GetItem on … for USER#*`.
    pub fn unused(&self) -> Vec<String> {
        let used = self.used();
        let mut unused = Vec::new();
        for (s, statement) in self.statements.iter().enumerate() {
            for (a, action) in statement.actions.iter().enumerate() {
                for (r, resource) in statement.resources.iter().enumerate() {
                    let every_key = ["*".to_owned()];
                    let keys = if statement.keys.is_empty() { &every_key[..] } else { &statement.keys[..] };
                    for (k, key) in keys.iter().enumerate() {
                        if !used.contains(&[s, a, r, k]) {
                            unused.push(format!("{action} on {resource} for {key}"));
                        }
                    }
                }
            }
        }
        unused
    }

    fn used(&self) -> MutexGuard<'_, BTreeSet<[usize; 4]>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Statement {
    /// The parts that allow it, if it is allowed.
    fn allows(&self, index: usize, demand: &Demand) -> Option<Vec<[usize; 4]>> {
        let action = self.actions.iter().position(|action| matches(action, &demand.action))?;
        let resource = self.resources.iter().position(|resource| matches(resource, &demand.resource))?;
        if demand.keys.is_empty() && self.needs_keys {
            return None;
        }
        if self.keys.is_empty() {
            return Some(vec![[index, action, resource, 0]]);
        }
        let keys = demand.keys.iter().map(|key| self.keys.iter().position(|pattern| matches(pattern, key)));
        keys.map(|key| key.map(|key| [index, action, resource, key])).collect()
    }
}

/// Whether a pattern with `*` and `?` is all of a text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches(&pattern[1..], &text[at..])),
        Some(first) => text.chars().next().is_some_and(|other| {
            (first == '?' || first == other) && matches(&pattern[first.len_utf8()..], &text[other.len_utf8()..])
        }),
    }
}

/// The partition key's attribute of every table and index, by ARN.
#[derive(Clone, Debug, Default)]
pub struct Schema(BTreeMap<String, String>);

impl Schema {
    pub fn of(tables: &[Table]) -> Self {
        let hash_key = |described: &Value| {
            let keys = described["KeySchema"].as_array()?;
            let hash = keys.iter().find(|key| key["KeyType"] == "HASH")?;
            hash["AttributeName"].as_str().map(str::to_owned)
        };
        let mut schema = BTreeMap::new();
        for table in tables {
            let arn = table_arn(&table.name);
            for index in table.create["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
                if let (Some(name), Some(key)) = (index["IndexName"].as_str(), hash_key(index)) {
                    schema.insert(format!("{arn}/index/{name}"), key);
                }
            }
            schema.extend(hash_key(&table.create).map(|key| (arn, key)));
        }
        Self(schema)
    }

    /// What a call to DynamoDB needs to be allowed. One that makes no sense here needs what nobody is allowed.
    pub fn demands(&self, operation: &str, body: &[u8]) -> Vec<Demand> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let on_table = |action: &str, table: &Value, items: Vec<&Value>| {
            let resource = table_arn(table.as_str().unwrap_or_default());
            let name = self.0.get(&resource).map_or("", String::as_str);
            let keys = items.into_iter().map(|item| item[name]["S"].as_str().unwrap_or_default().to_owned()).collect();
            Demand { action: format!("dynamodb:{action}"), resource, keys }
        };
        match operation {
            "GetItem" | "UpdateItem" | "DeleteItem" => vec![on_table(operation, &body["TableName"], vec![&body["Key"]])],
            "PutItem" => vec![on_table(operation, &body["TableName"], vec![&body["Item"]])],
            "Query" => vec![self.query(&body)],
            "BatchGetItem" => requested(&body)
                .map(|(table, wanted)| {
                    on_table(operation, &table.into(), wanted["Keys"].as_array().into_iter().flatten().collect())
                })
                .collect(),
            "BatchWriteItem" => requested(&body)
                .map(|(table, writes)| {
                    let writes = writes.as_array().into_iter().flatten();
                    let items = writes.flat_map(|write| [&write["PutRequest"]["Item"], &write["DeleteRequest"]["Key"]]);
                    on_table(operation, &table.into(), items.filter(|item| !item.is_null()).collect())
                })
                .collect(),
            "TransactWriteItems" => {
                let writes = body["TransactItems"].as_array().into_iter().flatten();
                let writes = writes.flat_map(|item| item.as_object().into_iter().flatten()).map(|(kind, write)| {
                    let item = if kind == "Put" { &write["Item"] } else { &write["Key"] };
                    on_table(&format!("{kind}Item"), &write["TableName"], vec![item])
                });
                let mut demands: Vec<Demand> = Vec::new();
                for write in writes {
                    let alike = |demand: &&mut Demand| demand.action == write.action && demand.resource == write.resource;
                    match demands.iter_mut().find(alike) {
                        Some(demand) => demand.keys.extend(write.keys),
                        None => demands.push(write),
                    }
                }
                demands
            }
            other => vec![on_table(other, &body["TableName"], Vec::new())],
        }
    }

    fn query(&self, body: &Value) -> Demand {
        let mut resource = table_arn(body["TableName"].as_str().unwrap_or_default());
        if let Some(index) = body["IndexName"].as_str() {
            resource = format!("{resource}/index/{index}");
        }
        let hash = self.0.get(&resource).map_or("", String::as_str);
        let condition = body["KeyConditionExpression"].as_str().unwrap_or_default();
        // `name = :value`, alone or among conditions that `AND` joins.
        let key = condition.split(" AND ").find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let (name, value) = (name.trim(), value.trim());
            let name = body["ExpressionAttributeNames"][name].as_str().unwrap_or(name);
            (name == hash).then(|| body["ExpressionAttributeValues"][value]["S"].as_str()).flatten()
        });
        Demand { action: "dynamodb:Query".to_owned(), resource, keys: vec![key.unwrap_or_default().to_owned()] }
    }
}

fn requested(body: &Value) -> impl Iterator<Item = (&str, &Value)> {
    body["RequestItems"].as_object().into_iter().flatten().map(|(table, wanted)| (table.as_str(), wanted))
}

fn table_arn(table: &str) -> String {
    // A call may name a table by its ARN as well.
    if table.starts_with("arn:") { table.to_owned() } else { format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        let create = json!({
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "GlobalSecondaryIndexes": [{"IndexName": "gsi", "KeySchema": [{"AttributeName": "gsipk", "KeyType": "HASH"}]}],
        });
        Schema::of(&[Table { name: "t".into(), create, expires: None }])
    }

    fn rights(statements: &Value) -> Rights {
        Rights::new(Statement::read(&json!([{"Version": "2012-10-17", "Statement": statements}]), "F").unwrap(), None)
    }

    fn allow(action: &str, keys: &[&str]) -> Value {
        let resource = ["arn:aws:dynamodb:*:*:table/t", "arn:aws:dynamodb:*:*:table/t/index/gsi"];
        let condition = json!({"ForAllValues:StringLike": {LEADING_KEYS: keys}, "Null": {LEADING_KEYS: "false"}});
        json!({"Effect": "Allow", "Action": action, "Resource": resource, "Condition": condition})
    }

    #[test]
    fn wildcards_stand_for_anything() {
        for (pattern, text, expected) in [
            ("USER#*", "USER#1", true),
            ("USER#*", "USERNAME#1", false),
            ("USER*", "USER", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("*b*", "abc", true),
            ("ä*", "äö", true),
            ("abc", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
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
            ("dynamodb:PutItem", "TransactWriteItems", transaction("A#1"), Some("dynamodb:ConditionCheckItem")),
            ("dynamodb:*", "TransactWriteItems", transaction("B#1"), Some("dynamodb:PutItem")),
            ("dynamodb:Put*", "TransactWriteItems", json!({}), None),
        ] {
            let checked =
                rights(&json!([allow(action, &["A#*"])])).check(schema().demands(operation, body.to_string().as_bytes()));
            assert_eq!(checked.as_ref().err().map(|demand| demand.action.as_str()), refused, "{action} {operation} {body}");
        }
    }

    #[test]
    fn a_transaction_is_asked_about_once_for_each_action() {
        let delete = |pk: &str| json!({"Delete": {"TableName": "t", "Key": {"pk": {"S": pk}}}});
        let body = json!({"TransactItems": [delete("A#1"), delete("B#1")]}).to_string();
        let demands = || schema().demands("TransactWriteItems", body.as_bytes());
        let by_partition = json!([allow("dynamodb:DeleteItem", &["A#*"]), allow("dynamodb:DeleteItem", &["B#*"])]);
        let by_action = json!([allow("dynamodb:DeleteItem", &["A#*", "B#*"])]);
        assert_eq!(rights(&by_partition).check(demands()).unwrap_err().keys, ["A#1", "B#1"]);
        assert_eq!(rights(&by_action).check(demands()), Ok(()));
    }

    #[test]
    fn only_null_keeps_out_calls_that_name_no_keys() {
        let scan = || schema().demands("Scan", br#"{"TableName": "t"}"#);
        let mut statement = allow("dynamodb:*", &["A#*"]);
        assert!(rights(&json!([statement])).check(scan()).is_err());
        statement["Condition"].as_object_mut().unwrap().remove("Null");
        assert_eq!(rights(&json!([statement])).check(scan()), Ok(()), "ForAllValues holds when there are none");
    }

    #[test]
    fn what_is_not_used_is_told() {
        let rights = rights(&json!([allow("dynamodb:GetItem", &["A#*", "B#*"])]));
        assert_eq!(rights.unused().len(), 4);
        let body = json!({"TableName": "t", "Key": {"pk": {"S": "B#1"}}}).to_string();
        rights.check(schema().demands("GetItem", body.as_bytes())).unwrap();
        assert_eq!(
            rights.unused(),
            [
                "dynamodb:GetItem on arn:aws:dynamodb:*:*:table/t for A#*",
                "dynamodb:GetItem on arn:aws:dynamodb:*:*:table/t/index/gsi for A#*",
                "dynamodb:GetItem on arn:aws:dynamodb:*:*:table/t/index/gsi for B#*",
            ]
        );
    }

    #[test]
    fn a_boundary_bounds() {
        let get = json!({"TableName": "t", "Key": {"pk": {"S": "A#1"}}}).to_string();
        let delete = get.clone();
        let statements = json!([{"Version": "2012-10-17", "Statement": [allow("dynamodb:*", &["A#*"])]}]);
        let boundary =
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}]});
        let read = |policies: &Value| Statement::read(policies, "F").unwrap();
        let rights = Rights::new(read(&statements), Some(read(&boundary)));
        assert_eq!(rights.check(schema().demands("GetItem", get.as_bytes())), Ok(()));
        assert!(rights.check(schema().demands("DeleteItem", delete.as_bytes())).is_err());
    }

    #[test]
    fn policies_that_cannot_be_enforced_are_refused() {
        for policies in [
            json!(["AmazonDynamoDBFullAccess"]),
            json!([{"DynamoDBCrudPolicy": {"TableName": "t"}}]),
            json!([{"Version": "2008-10-17", "Statement": []}]),
            json!([{"Id": "x", "Statement": []}]),
            json!([{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}]}]),
            json!([{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::${aws:username}"}]}]),
            json!([{"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}]),
            json!([{"Statement": [{"Effect": "Allow", "NotAction": "*", "Resource": "*"}]}]),
            json!([{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]}]),
            json!([{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"ForAllValues:StringLike": {"x": "y"}}}]}]),
            json!([{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringLike": {LEADING_KEYS: "y"}}}]}]),
            json!([{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Null": {LEADING_KEYS: "true"}}}]}]),
        ] {
            assert!(Statement::read(&policies, "F").is_err(), "{policies}");
        }
    }
}
