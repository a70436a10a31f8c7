//! The statements of a function's policies, as far as they can be enforced here: statements that allow, with wildcards, and the
//! conditions that matter to a single table, `ForAllValues:StringLike` and `Null` on `dynamodb:LeadingKeys`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::error::{TemplateError, typed};

pub const LEADING_KEYS: &str = "dynamodb:LeadingKeys";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub actions: Vec<String>,
    pub resources: Vec<String>,
    /// The partition keys it is for; empty for all.
    pub keys: Vec<String>,
    /// Whether it is only for calls that name partition keys. `ForAllValues` alone is also for those that name none.
    pub needs_keys: bool,
}

/// A statement as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Written {
    #[serde(default, rename = "Sid")]
    _sid: Option<String>,
    effect: String,
    action: OneOrMany,
    resource: OneOrMany,
    /// Operators, each with the condition keys and values that it compares.
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMany>>,
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

impl Statement {
    /// Reads the resolved `Policies` of a function, or one of them.
    pub fn read(policies: &Value, at: &str) -> Result<Vec<Self>, TemplateError> {
        let policies = match policies {
            Value::Array(policies) => policies.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut statements = Vec::new();
        for (index, policy) in policies.iter().enumerate() {
            let at = format!("{at}[{index}]");
            for (key, value) in policy.as_object().into_iter().flatten() {
                match key.as_str() {
                    "Statement" => {}
                    "Version" if value == "2012-10-17" => {}
                    "Version" => return Err(TemplateError::new(at, format!("Version {value} cannot be enforced here"))),
                    _ => return Err(TemplateError::new(at, format!("{key} cannot be enforced here"))),
                }
            }
            let written = policy["Statement"].as_array().ok_or_else(|| {
                TemplateError::new(&at, "only policies that are written out, as a list of statements, can be enforced here")
            })?;
            for (index, statement) in written.iter().enumerate() {
                let at = format!("{at}.Statement[{index}]");
                statements.push(Self::of(typed(statement.clone(), &at)?).map_err(|reason| TemplateError::new(at, reason))?);
            }
        }
        Ok(statements)
    }

    /// The statement, or why it cannot be enforced here.
    fn of(written: Written) -> Result<Self, String> {
        if written.effect != "Allow" {
            return Err("only statements that allow can be enforced here".to_owned());
        }
        let (mut keys, mut needs_keys) = (Vec::new(), false);
        for (operator, condition) in written.condition {
            for (name, values) in condition {
                if name != LEADING_KEYS {
                    return Err(format!("{name}: only {LEADING_KEYS} can be a condition here"));
                }
                match (operator.as_str(), Vec::from(values)) {
                    ("ForAllValues:StringLike", patterns) => keys = patterns,
                    ("Null", truth) if truth == ["false"] => needs_keys = true,
                    _ => {
                        return Err(format!("{operator}: only ForAllValues:StringLike and Null (false) can be a condition here"));
                    }
                }
            }
        }
        let statement = Self { actions: written.action.into(), resources: written.resource.into(), keys, needs_keys };
        let Self { actions, resources, keys, .. } = &statement;
        if let Some(pattern) = [actions, resources, keys].into_iter().flatten().find(|pattern| pattern.contains("${")) {
            return Err(format!("{pattern}: policy variables cannot be enforced here"));
        }
        Ok(statement)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
