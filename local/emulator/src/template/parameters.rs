//! The parameters of a template: the values given or else their defaults, held against what the template allows.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{TemplateError, typed};
use crate::value::scalar;

/// The value of every parameter that the template declares.
pub fn parameters(
    declared: Option<&Map<String, Value>>,
    overrides: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, TemplateError> {
    if let Some(name) = overrides.keys().find(|name| declared.is_none_or(|declared| !declared.contains_key(*name))) {
        return Err(TemplateError::new(format!("Parameters.{name}"), "does not exist"));
    }
    declared
        .into_iter()
        .flatten()
        .map(|(name, written)| {
            let at = format!("Parameters.{name}");
            let parameter: Parameter = typed(written.clone(), &at)?;
            let text = match overrides.get(name) {
                Some(text) => text.clone(),
                None => parameter
                    .default
                    .as_ref()
                    .and_then(scalar)
                    .ok_or_else(|| TemplateError::new(&at, "has no default and no value was given"))?,
            };
            let value = parameter.value(&text).map_err(|reason| TemplateError::new(at, reason))?;
            Ok((name.clone(), value))
        })
        .collect()
}

/// What a template says about the values that a parameter may have.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Parameter {
    r#type: String,
    default: Option<Value>,
    allowed_values: Option<Vec<Value>>,
    allowed_pattern: Option<String>,
    min_value: Option<Value>,
    max_value: Option<Value>,
    min_length: Option<Value>,
    max_length: Option<Value>,
    constraint_description: Option<String>,
    #[serde(rename = "Description")]
    _description: Option<String>,
    #[serde(rename = "NoEcho")]
    _no_echo: Option<Value>,
}

impl Parameter {
    /// The value that a text stands for, or why AWS would refuse it.
    fn value(&self, text: &str) -> Result<Value, String> {
        let one = |text: &str| self.check(text);
        match self.r#type.as_str() {
            "String" | "Number" => one(text).map(|()| text.into()),
            "CommaDelimitedList" | "List<Number>" | "List<String>" => {
                text.split(',').map(str::trim).map(|item| one(item).map(|()| Value::from(item))).collect()
            }
            other => Err(format!("{other} is no type of parameter that can be given here")),
        }
    }

    fn check(&self, text: &str) -> Result<(), String> {
        if let Some(allowed) = &self.allowed_values
            && !allowed.iter().any(|value| scalar(value).as_deref() == Some(text))
        {
            return Err(format!("{text:?} is not one of its AllowedValues"));
        }
        if let Some(pattern) = &self.allowed_pattern {
            // CloudFormation wants the whole value to match.
            let whole = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| format!("AllowedPattern: {error}"))?;
            if !whole.is_match(text) {
                let described = self.constraint_description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
                return Err(format!("{text:?} does not match its AllowedPattern {pattern}{described}"));
            }
        }
        let number = |name: &str, value: &Value| {
            let number = scalar(value).and_then(|text| text.parse::<f64>().ok());
            number.ok_or_else(|| format!("{name} {value} is not a number"))
        };
        if self.r#type.ends_with("Number") || self.r#type == "List<Number>" {
            let given = number("the value", &text.into())?;
            if let Some(least) = &self.min_value
                && given < number("MinValue", least)?
            {
                return Err(format!("{text} is less than its MinValue {least}"));
            }
            if let Some(most) = &self.max_value
                && given > number("MaxValue", most)?
            {
                return Err(format!("{text} is more than its MaxValue {most}"));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "no value is that long")]
        let length = text.chars().count() as f64;
        if let Some(least) = &self.min_length
            && length < number("MinLength", least)?
        {
            return Err(format!("{text:?} is shorter than its MinLength {least}"));
        }
        if let Some(most) = &self.max_length
            && length > number("MaxLength", most)?
        {
            return Err(format!("{text:?} is longer than its MaxLength {most}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    #[test]
    fn parameters_are_checked() {
        for (declared, given, reason) in [
            ("{Type: String}", None, "has no default and no value was given"),
            ("{Type: String, AllowedValues: [dev]}", Some("x"), "\"x\" is not one of its AllowedValues"),
            ("{Type: String, AllowedPattern: '|arn:.+'}", Some("http"), "\"http\" does not match its AllowedPattern |arn:.+"),
            ("{Type: Number}", Some("many"), "the value \"many\" is not a number"),
            ("{Type: Number, MinValue: 8}", Some("7"), "7 is less than its MinValue 8"),
            ("{Type: Number, MaxValue: '8'}", Some("9"), "9 is more than its MaxValue \"8\""),
            ("{Type: String, MinLength: 2}", Some("a"), "\"a\" is shorter than its MinLength 2"),
            ("{Type: String, MaxLength: 1}", Some("ab"), "\"ab\" is longer than its MaxLength 1"),
            (
                "{Type: 'AWS::SSM::Parameter::Value<String>'}",
                Some("x"),
                "AWS::SSM::Parameter::Value<String> is no type of parameter that can be given here",
            ),
            ("{Type: String, Colour: red}", Some("x"), "unknown field `Colour`, expected one of"),
        ] {
            let document = yaml::parse(&format!("Parameters: {{Given: {declared}}}")).unwrap();
            let given = given.map(|given| ("Given".to_owned(), given.to_owned())).into_iter().collect();
            let fault = parameters(document["Parameters"].as_object(), &given).unwrap_err();
            assert_eq!(fault.place, "Parameters.Given");
            assert!(fault.reason.starts_with(reason), "{}", fault.reason);
        }
        for (declared, given) in [
            ("{Type: String, AllowedPattern: '|arn:.+'}", ""),
            ("{Type: String, AllowedPattern: '|arn:.+'}", "arn:x"),
            ("{Type: Number, MinValue: 8, MaxValue: 9}", "8"),
            ("{Type: List<Number>, MaxValue: 9}", "1, 9"),
        ] {
            let document = yaml::parse(&format!("Parameters: {{Given: {declared}}}")).unwrap();
            let given = BTreeMap::from([("Given".to_owned(), given.to_owned())]);
            assert!(parameters(document["Parameters"].as_object(), &given).is_ok(), "{declared} {given:?}");
        }
        let unknown = parameters(None, &BTreeMap::from([("Other".to_owned(), "x".to_owned())]));
        assert_eq!(unknown.unwrap_err().place, "Parameters.Other");
    }
}
