//! The intrinsic functions of a template (`Ref`, `Fn::Sub`, `Fn::If`, …), its conditions, and the physical names and ARNs that its
//! resources have on this machine.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{TemplateError, typed};
use super::parameters::parameters;
use crate::names::{ACCOUNT, REGION, api_endpoint, arn};
use crate::value::scalar;

/// What a template's expressions can refer to.
pub struct Scope<'t> {
    stack: String,
    parameters: BTreeMap<String, Value>,
    conditions: BTreeMap<String, bool>,
    resources: BTreeMap<&'t str, &'t Value>,
}

impl<'t> Scope<'t> {
    pub fn new(document: &'t Value, stack: &str, overrides: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let mut scope = Self {
            stack: stack.to_owned(),
            parameters: parameters(section(document, "Parameters")?, overrides)?,
            conditions: BTreeMap::new(),
            resources: BTreeMap::new(),
        };
        let conditions = section(document, "Conditions")?;
        for name in conditions.into_iter().flat_map(Map::keys) {
            scope.settle(name, conditions, &mut Vec::new())?;
        }
        for (name, rule) in section(document, "Rules")?.into_iter().flatten() {
            scope.assert(rule, &format!("Rules.{name}"))?;
        }
        for (id, resource) in section(document, "Resources")?.into_iter().flatten() {
            let exists = match resource.get("Condition") {
                None => true,
                Some(name) => scope.condition(name, &format!("Resources.{id}.Condition"))?,
            };
            if exists {
                scope.resources.insert(id, resource);
            }
        }
        Ok(scope)
    }

    /// Refuses parameters that the template says do not go together.
    fn assert(&self, rule: &Value, at: &str) -> Result<(), TemplateError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        struct Rule {
            rule_condition: Option<Value>,
            assertions: Vec<Assertion>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase", deny_unknown_fields)]
        struct Assertion {
            assert: Value,
            assert_description: Option<String>,
        }
        let rule: Rule = typed(rule.clone(), at)?;
        if let Some(condition) = &rule.rule_condition
            && !self.condition(condition, at)?
        {
            return Ok(());
        }
        for assertion in rule.assertions {
            if !self.condition(&assertion.assert, at)? {
                return Err(TemplateError::new(at, assertion.assert_description.unwrap_or_else(|| "does not hold".to_owned())));
            }
        }
        Ok(())
    }

    pub fn stack(&self) -> &str {
        &self.stack
    }

    /// The values of all parameters.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The resources that exist under the parameters given, by logical id.
    pub fn resources(&self) -> impl Iterator<Item = (&'t str, &'t Value)> {
        self.resources.iter().map(|(&id, &resource)| (id, resource))
    }

    /// The properties of a resource, unresolved; null when it has none.
    pub fn properties(&self, id: &str) -> &'t Value {
        self.resources.get(id).map_or(&Value::Null, |resource| &resource["Properties"])
    }

    /// The value with every function in it called, or nothing when it comes to `AWS::NoValue`.
    pub fn resolve(&self, value: &Value, at: &str) -> Result<Option<Value>, TemplateError> {
        match value {
            Value::Array(items) => {
                let mut resolved = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    resolved.extend(self.resolve(item, &format!("{at}[{index}]"))?);
                }
                Ok(Some(resolved.into()))
            }
            Value::Object(fields) => {
                if let Some((function, argument)) = call(fields) {
                    return self.call(function, argument, at);
                }
                let mut resolved = Map::new();
                for (key, field) in fields {
                    if let Some(field) = self.resolve(field, &format!("{at}.{key}"))? {
                        resolved.insert(key.clone(), field);
                    }
                }
                Ok(Some(resolved.into()))
            }
            plain => Ok(Some(plain.clone())),
        }
    }

    fn call(&self, function: &str, argument: &Value, at: &str) -> Result<Option<Value>, TemplateError> {
        match function {
            "Ref" => match self.text(argument, at)?.as_str() {
                "AWS::NoValue" => Ok(None),
                name => self.look_up(name, at).map(Some),
            },
            "Fn::GetAtt" => {
                let path = match argument {
                    Value::Array(parts) => parts.iter().map(|part| self.text(part, at)).collect::<Result<Vec<_>, _>>()?.join("."),
                    other => self.text(other, at)?,
                };
                self.attribute(&path, at).map(|value| Some(value.into()))
            }
            "Fn::Sub" => self.substitute(argument, at).map(|text| Some(text.into())),
            "Fn::Join" => {
                let Some(Value::Array(parts)) = self.resolve(argument, at)? else {
                    return Err(TemplateError::new(at, "Fn::Join takes [separator, [texts]]"));
                };
                match parts.as_slice() {
                    [Value::String(separator), Value::Array(texts)] => {
                        let texts: Option<Vec<_>> = texts.iter().map(scalar).collect();
                        texts
                            .map(|texts| Some(texts.join(separator).into()))
                            .ok_or_else(|| TemplateError::new(at, "Fn::Join can only join texts"))
                    }
                    _ => Err(TemplateError::new(at, "Fn::Join takes [separator, [texts]]")),
                }
            }
            "Fn::If" => match argument.as_array().map(Vec::as_slice) {
                Some([condition, then, otherwise]) => {
                    let chosen = if self.condition(condition, at)? { then } else { otherwise };
                    self.resolve(chosen, at)
                }
                _ => Err(TemplateError::new(at, "Fn::If takes [condition, value, value]")),
            },
            "Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or" => self.test(function, argument, at).map(|holds| Some(holds.into())),
            unknown => Err(TemplateError::new(at, format!("{unknown} is not understood here"))),
        }
    }

    /// The text that an argument comes to.
    fn text(&self, value: &Value, at: &str) -> Result<String, TemplateError> {
        self.resolve(value, at)?.as_ref().and_then(scalar).ok_or_else(|| TemplateError::new(at, "a text is expected here"))
    }

    /// What `!Ref` of a parameter, pseudo parameter or resource gives.
    fn look_up(&self, name: &str, at: &str) -> Result<Value, TemplateError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        let pseudo = match name {
            "AWS::Region" => REGION,
            "AWS::AccountId" => ACCOUNT,
            "AWS::Partition" => "aws",
            "AWS::StackName" => &self.stack,
            "AWS::URLSuffix" => "amazonaws.com",
            _ => return self.reference(name, at).map(Value::from),
        };
        Ok(pseudo.into())
    }

    /// What `!Ref` of a resource gives: the ARN of a secret, the physical name of anything else.
    pub fn reference(&self, id: &str, at: &str) -> Result<String, TemplateError> {
        match self.kind(id, at)? {
            "AWS::SecretsManager::Secret" => self.arn(id, at),
            _ => self.name(id, at),
        }
    }

    /// The physical name: the one the resource asks for, otherwise `<stack>-<logical id>`.
    pub fn name(&self, id: &str, at: &str) -> Result<String, TemplateError> {
        let key = match self.kind(id, at)? {
            "AWS::Serverless::Function" => "FunctionName",
            "AWS::DynamoDB::Table" => "TableName",
            "AWS::SecretsManager::Secret" | "AWS::Events::EventBus" | "AWS::Events::Rule" => "Name",
            "AWS::SQS::Queue" => "QueueName",
            "AWS::Logs::LogGroup" => "LogGroupName",
            _ => "",
        };
        match self.properties(id).get(key) {
            Some(name) => self.text(name, at),
            None => Ok(format!("{}-{id}", self.stack)),
        }
    }

    pub fn arn(&self, id: &str, at: &str) -> Result<String, TemplateError> {
        let kind = self.kind(id, at)?;
        let name = self.name(id, at)?;
        let (service, resource) = match kind {
            "AWS::Serverless::Function" => ("lambda", format!("function:{name}")),
            "AWS::DynamoDB::Table" => ("dynamodb", format!("table/{name}")),
            // Secrets Manager ends every ARN in a dash and six characters of its own.
            "AWS::SecretsManager::Secret" => ("secretsmanager", format!("secret:{name}-000000")),
            "AWS::Events::EventBus" => ("events", format!("event-bus/{name}")),
            "AWS::Events::ApiDestination" => ("events", format!("api-destination/{name}")),
            "AWS::Events::Connection" => ("events", format!("connection/{name}")),
            "AWS::Events::Rule" => ("events", format!("rule/{name}")),
            "AWS::Logs::LogGroup" => ("logs", format!("log-group:{name}:*")),
            other => {
                let service = other.split("::").nth(1).unwrap_or(other).to_ascii_lowercase();
                return Ok(arn(&service, &name));
            }
        };
        Ok(arn(service, &resource))
    }

    /// Whether there is such a resource, and it is of this type.
    pub fn is(&self, id: &str, kind: &str) -> bool {
        self.resources.get(id).is_some_and(|resource| resource["Type"] == kind)
    }

    /// The logical id of the table whose stream has this ARN.
    pub fn table_of_stream(&self, arn: &str) -> Option<&'t str> {
        let tables = self.resources().map(|(id, _)| id).filter(|id| self.is(id, "AWS::DynamoDB::Table"));
        let stream = |id: &str| self.attribute(&format!("{id}.StreamArn"), id);
        let mut tables = tables.filter(|id| stream(id).is_ok_and(|its| its == arn));
        tables.next()
    }

    /// The logical id of the function that has this ARN.
    pub fn function_of(&self, arn: &str) -> Option<&'t str> {
        self.resources()
            .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
            .map(|(id, _)| id)
            .find(|id| self.arn(id, id).is_ok_and(|its| its == arn))
    }

    fn attribute(&self, path: &str, at: &str) -> Result<String, TemplateError> {
        let (id, attribute) =
            path.split_once('.').ok_or_else(|| TemplateError::new(at, format!("{path:?} names no attribute")))?;
        match (self.kind(id, at)?, attribute) {
            (_, "Arn") | ("AWS::SecretsManager::Secret", "Id") => self.arn(id, at),
            ("AWS::DynamoDB::Table", "StreamArn") => Ok(format!("{}/stream/2000-01-01T00:00:00.000", self.arn(id, at)?)),
            ("AWS::SQS::Queue", "QueueName") => self.name(id, at),
            ("AWS::Serverless::HttpApi", "ApiEndpoint") => Ok(api_endpoint(&self.name(id, at)?)),
            (kind, _) => Err(TemplateError::new(at, format!("{kind} has no attribute {attribute} here"))),
        }
    }

    fn kind(&self, id: &str, at: &str) -> Result<&'t str, TemplateError> {
        self.resources
            .get(id)
            .and_then(|resource| resource["Type"].as_str())
            .ok_or_else(|| TemplateError::new(at, format!("{id} is neither a parameter nor a resource that exists")))
    }

    fn substitute(&self, argument: &Value, at: &str) -> Result<String, TemplateError> {
        let (pattern, variables) = match argument {
            Value::String(pattern) => (pattern, None),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(pattern), Value::Object(variables)] => (pattern, Some(variables)),
                _ => return Err(TemplateError::new(at, "Fn::Sub takes a text or [text, {name: value}]")),
            },
            _ => return Err(TemplateError::new(at, "Fn::Sub takes a text or [text, {name: value}]")),
        };
        let mut result = String::new();
        let mut rest = pattern.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            let (name, after) = after.split_once('}').ok_or_else(|| TemplateError::new(at, "${ without its }"))?;
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                result.extend(["${", literal, "}"]);
            } else if let Some(value) = variables.and_then(|variables| variables.get(name)) {
                result.push_str(&self.text(value, at)?);
            } else if name.contains('.') {
                result.push_str(&self.attribute(name, at)?);
            } else {
                let value = self.look_up(name, at)?;
                let text = scalar(&value).ok_or_else(|| TemplateError::new(at, format!("{name} is not a text")))?;
                result.push_str(&text);
            }
        }
        Ok(result + rest)
    }

    /// Whether a condition holds: the name of one, or an expression.
    pub fn condition(&self, value: &Value, at: &str) -> Result<bool, TemplateError> {
        match value {
            Value::String(name) => self.named_condition(name, at),
            Value::Object(fields) => match call(fields) {
                Some((function, argument)) => self.test(function, argument, at),
                None => Err(TemplateError::new(at, "a condition is expected here")),
            },
            _ => Err(TemplateError::new(at, "a condition is expected here")),
        }
    }

    fn test(&self, function: &str, argument: &Value, at: &str) -> Result<bool, TemplateError> {
        let operands = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        match (function, operands) {
            ("Condition", _) => self.named_condition(&self.text(argument, at)?, at),
            ("Fn::Equals", [left, right]) => Ok(self.text(left, at)? == self.text(right, at)?),
            ("Fn::Not", [operand]) => Ok(!self.condition(operand, at)?),
            ("Fn::And", [_, _, ..]) => operands.iter().try_fold(true, |all, operand| Ok(self.condition(operand, at)? && all)),
            ("Fn::Or", [_, _, ..]) => operands.iter().try_fold(false, |any, operand| Ok(self.condition(operand, at)? || any)),
            _ => Err(TemplateError::new(at, format!("{function} cannot be a condition like this"))),
        }
    }

    fn named_condition(&self, name: &str, at: &str) -> Result<bool, TemplateError> {
        self.conditions.get(name).copied().ok_or_else(|| TemplateError::new(at, format!("there is no condition {name}")))
    }

    /// Decides a condition after those it is made of.
    fn settle<'c>(
        &mut self,
        name: &'c str,
        all: Option<&'c Map<String, Value>>,
        trail: &mut Vec<&'c str>,
    ) -> Result<(), TemplateError> {
        let at = format!("Conditions.{name}");
        if self.conditions.contains_key(name) {
            return Ok(());
        }
        if trail.contains(&name) {
            return Err(TemplateError::new(at, "depends on itself"));
        }
        let Some(expression) = all.and_then(|all| all.get(name)) else {
            return Err(TemplateError::new(at, "does not exist"));
        };
        trail.push(name);
        for needed in conditions_in(expression) {
            self.settle(needed, all, trail)?;
        }
        trail.pop();
        let holds = self.condition(expression, &at)?;
        self.conditions.insert(name.to_owned(), holds);
        Ok(())
    }
}

/// An object of one key that names a function is a call of it.
fn call(fields: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = fields.iter().next().filter(|_| fields.len() == 1)?;
    (name == "Ref" || name == "Condition" || name.starts_with("Fn::")).then_some((name, argument))
}

/// The conditions that an expression mentions by name.
fn conditions_in(expression: &Value) -> Vec<&str> {
    match expression {
        Value::Array(items) => items.iter().flat_map(conditions_in).collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value.as_str() {
                Some(name) if key == "Condition" => vec![name],
                _ => conditions_in(value),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn section<'t>(document: &'t Value, name: &str) -> Result<Option<&'t Map<String, Value>>, TemplateError> {
    match &document[name] {
        Value::Null => Ok(None),
        Value::Object(section) => Ok(Some(section)),
        _ => Err(TemplateError::new(name, "is not a mapping")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::yaml;
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  Names: {Type: CommaDelimitedList, Default: 'a, b'}
Conditions:
  Quiet: !And [!Condition Dev, !Not [!Condition Prod]]
  Dev: !Equals [!Ref Stage, dev]
  Prod: !Not [!Condition Dev]
  Either: !Or [!Condition Dev, !Condition Prod]
Resources:
  Table: {Type: AWS::DynamoDB::Table}
  Named: {Type: AWS::DynamoDB::Table, Properties: {TableName: !Sub 'x-${Stage}'}}
  Function: {Type: AWS::Serverless::Function}
  Secret: {Type: AWS::SecretsManager::Secret}
  Api: {Type: AWS::Serverless::HttpApi}
  Logs: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub '/${AWS::StackName}/functions'}}
  OnlyProd: {Type: AWS::SNS::Topic, Condition: Prod}
";

    fn resolve(expression: &str) -> Result<Option<Value>, String> {
        let document = yaml::parse(TEMPLATE).unwrap();
        let scope = Scope::new(&document, "demo", &BTreeMap::new()).map_err(|fault| fault.reason)?;
        scope.resolve(&yaml::parse(expression).unwrap(), "here").map_err(|fault| format!("{}: {}", fault.place, fault.reason))
    }

    #[test]
    fn functions_resolve() {
        for (expression, expected) in [
            ("!Ref Stage", json!("dev")),
            ("!Ref Names", json!(["a", "b"])),
            ("!Ref AWS::Region", json!("us-east-1")),
            ("!Ref Table", json!("demo-Table")),
            ("!Ref Named", json!("x-dev")),
            ("!Ref Function", json!("demo-Function")),
            ("!Ref Secret", json!("arn:aws:secretsmanager:us-east-1:000000000000:secret:demo-Secret-000000")),
            ("!GetAtt Api.ApiEndpoint", json!("https://demo-Api.execute-api.us-east-1.amazonaws.com")),
            (
                "!Sub 'https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}'",
                json!("https://demo-Api.execute-api.us-east-1.amazonaws.com"),
            ),
            ("!Ref Logs", json!("/demo/functions")),
            ("!GetAtt Table.Arn", json!("arn:aws:dynamodb:us-east-1:000000000000:table/demo-Table")),
            ("Fn::GetAtt: [Function, Arn]", json!("arn:aws:lambda:us-east-1:000000000000:function:demo-Function")),
            (
                "!Sub '${Table.Arn}/index/${Stage}-${!Kept}'",
                json!("arn:aws:dynamodb:us-east-1:000000000000:table/demo-Table/index/dev-${Kept}"),
            ),
            ("!Sub ['${A}@${AWS::StackName}', {A: !Ref Stage}]", json!("dev@demo")),
            ("!Join ['-', [a, !Ref Stage, 1]]", json!("a-dev-1")),
            ("!If [Prod, 1, !If [Quiet, 2, 3]]", json!(2)),
            ("!If [Either, {a: !Ref AWS::NoValue, b: [!Ref AWS::NoValue, 1]}, 0]", json!({"b": [1]})),
            ("Fn::Join: [',', !Ref Names]", json!("a,b")),
        ] {
            assert_eq!(resolve(expression), Ok(Some(expected)), "{expression}");
        }
        assert_eq!(resolve("!If [Prod, 1, !Ref AWS::NoValue]"), Ok(None));
    }

    #[test]
    fn faults_name_their_place() {
        for (expression, message) in [
            ("a: [!Ref Missing]", "here.a[0]: Missing is neither a parameter nor a resource that exists"),
            ("!Ref OnlyProd", "here: OnlyProd is neither a parameter nor a resource that exists"),
            ("a: !Select [0, [1]]", "here.a: Fn::Select is not understood here"),
            ("!If [!And [], 1, 2]", "here: Fn::And cannot be a condition like this"),
            ("!If [!Or [!Condition Dev], 1, 2]", "here: Fn::Or cannot be a condition like this"),
            ("!If [Missing, 1, 2]", "here: there is no condition Missing"),
            ("!Sub '${Stage'", "here: ${ without its }"),
            ("!GetAtt Table.Colour", "here: AWS::DynamoDB::Table has no attribute Colour here"),
        ] {
            assert_eq!(resolve(expression), Err(message.to_owned()), "{expression}");
        }
    }

    #[test]
    fn rules_are_asserted() {
        let template = "
Parameters: {Domain: {Type: String, Default: ''}, Certificate: {Type: String, Default: ''}}
Rules:
  DomainNeedsCertificate:
    RuleCondition: !Not [!Equals [!Ref Domain, '']]
    Assertions: [{Assert: !Not [!Equals [!Ref Certificate, '']], AssertDescription: Domain needs Certificate}]
";
        let document = yaml::parse(template).unwrap();
        let read = |given: &[(&str, &str)]| {
            let given = given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            Scope::new(&document, "demo", &given).err().map(|fault| format!("{}: {}", fault.place, fault.reason))
        };
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[("Domain", "x"), ("Certificate", "y")]), None);
        assert_eq!(read(&[("Domain", "x")]).as_deref(), Some("Rules.DomainNeedsCertificate: Domain needs Certificate"));
    }

    #[test]
    fn a_condition_cannot_depend_on_itself() {
        let document = yaml::parse("Conditions: {A: !Not [!Condition B], B: !Not [!Condition A]}").unwrap();
        let fault = Scope::new(&document, "demo", &BTreeMap::new()).err().unwrap();
        assert_eq!(fault.reason, "depends on itself");
    }
}
