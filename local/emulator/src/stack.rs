//! CloudFormation as far as it tells of the one stack that runs here.

use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::iam::AuthorizationRequest;
use crate::names::arn;
use crate::protocol::{Call, Refusal, read};
use crate::template;

const OPERATIONS: &[&str] =
    &["DescribeStackResource", "DescribeStackResources", "DescribeStacks", "ListStackResources", "ListStacks"];

/// The state of whatever runs.
const CREATED: &str = "CREATE_COMPLETE";

pub struct Stack {
    described: template::Stack,
    id: String,
    started: String,
}

/// The stack that is asked about, and the resource, if there is one.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Named {
    stack_name: Option<String>,
    logical_resource_id: Option<String>,
    physical_resource_id: Option<String>,
    /// What is told here is one page.
    #[serde(rename = "NextToken")]
    _next_token: Option<String>,
}

impl Stack {
    pub fn new(stack: template::Stack) -> Self {
        let id = arn("cloudformation", &format!("stack/{}/00000000-0000-0000-0000-000000000000", stack.name));
        Self { described: stack, id, started: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default() }
    }

    pub fn authorization_requests(&self, operation: &str, input: &Value) -> Vec<AuthorizationRequest> {
        let name = input["StackName"].as_str();
        let resource = match name {
            None => "*".to_owned(),
            Some(name) if self.is(name) => self.id.clone(),
            Some(name) => arn("cloudformation", &format!("stack/{name}/*")),
        };
        vec![AuthorizationRequest { action: format!("cloudformation:{operation}"), resource, keys: Vec::new() }]
    }

    pub fn answer(&self, call: &Call, input: &Value) -> Result<Value, Refusal> {
        if call.operation == "ListStacks" {
            // The states that are asked for: this is the only one that there is.
            let states = input.as_object().into_iter().flatten().filter(|(key, _)| key.starts_with("StackStatusFilter."));
            let states: Vec<_> = states.map(|(_, state)| state).collect();
            let stacks = [json!({
                "StackId": self.id,
                "StackName": self.described.name,
                "TemplateDescription": self.described.description,
                "CreationTime": self.started,
                "StackStatus": CREATED,
            })];
            let wanted = states.is_empty() || states.iter().any(|state| *state == CREATED);
            return Ok(json!({"StackSummaries": stacks.into_iter().filter(|_| wanted).collect::<Vec<_>>()}));
        }
        let named: Named = match call.operation.as_str() {
            operation if OPERATIONS.contains(&operation) => read(input)?,
            _ => return Err(call.not_served(OPERATIONS)),
        };
        if let Some(name) = named.stack_name.as_deref().filter(|name| !self.is(name)) {
            return Err(Refusal::new("ValidationError", format!("Stack with id {name} does not exist")));
        }
        let logical = named.logical_resource_id.as_deref();
        let physical = named.physical_resource_id.as_deref();
        let resources =
            self.described.resources.iter().filter(|resource| {
                logical.is_none_or(|id| resource.id == id) && physical.is_none_or(|name| resource.name == name)
            });
        let of_stack = |resource| self.resource(resource, "Timestamp", true);
        match call.operation.as_str() {
            "DescribeStacks" => Ok(json!({"Stacks": [self.described()]})),
            "DescribeStackResources" => Ok(json!({"StackResources": resources.map(of_stack).collect::<Vec<_>>()})),
            "ListStackResources" => {
                let resources: Vec<_> =
                    resources.map(|resource| self.resource(resource, "LastUpdatedTimestamp", false)).collect();
                Ok(json!({"StackResourceSummaries": resources}))
            }
            // Of one resource.
            _ => {
                let mut resources = resources.map(|resource| self.resource(resource, "LastUpdatedTimestamp", true));
                let missing = || {
                    let (id, stack) = (logical.unwrap_or_default(), &self.described.name);
                    Refusal::new("ValidationError", format!("Resource {id} does not exist for stack {stack}"))
                };
                Ok(json!({"StackResourceDetail": resources.next().filter(|_| logical.is_some()).ok_or_else(missing)?}))
            }
        }
    }

    fn is(&self, name: &str) -> bool {
        [&self.described.name, &self.id].into_iter().any(|its| its == name)
    }

    fn described(&self) -> Value {
        let parameters = self.described.parameters.iter();
        let parameters = parameters.map(|(name, value)| json!({"ParameterKey": name, "ParameterValue": value}));
        let outputs = self
            .described
            .outputs
            .iter()
            .map(|output| json!({"OutputKey": output.key, "OutputValue": output.value, "Description": output.description}));
        json!({
            "StackId": self.id,
            "StackName": self.described.name,
            "Description": self.described.description,
            "Parameters": parameters.collect::<Vec<_>>(),
            "Outputs": outputs.collect::<Vec<_>>(),
            "CreationTime": self.started,
            "DisableRollback": false,
            "StackStatus": CREATED,
            "Capabilities": ["CAPABILITY_IAM"],
        })
    }

    /// A resource, with when it was made under this name.
    fn resource(&self, resource: &template::Resource, time: &str, with_stack: bool) -> Value {
        let mut told = json!({
            "LogicalResourceId": resource.id,
            "PhysicalResourceId": resource.name,
            "ResourceType": resource.kind,
            "ResourceStatus": CREATED,
            time: self.started,
        });
        if with_stack {
            told["StackName"] = self.described.name.clone().into();
            told["StackId"] = self.id.clone().into();
        }
        told
    }
}
