//! A template as a whole: its file, its resources, and what must hold between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::api::Api;
use super::error::TemplateError;
use super::intrinsics::Scope;
use super::model::Template;
use super::reader::Reader;
use super::supported::{FUNCTION, FUNCTION_AWS_ONLY, RESOURCE, RESOURCE_TYPES_AWS_ONLY, SECTIONS, known};
use super::{bus, events, function, secret, stack, table, yaml};
use crate::error::{Error, Result};
use crate::names::api_endpoint;

const SERVERLESS_FUNCTION: &str = "AWS::Serverless::Function";

/// A template as plain JSON, every tag in its long form and nothing resolved.
pub fn document(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::File { path: path.into(), source })?;
    yaml::parse(&text).map_err(|error| Error::Yaml { path: path.into(), reason: error.without_snippet().to_string() })
}

impl Template {
    pub fn read(path: &Path, stack: &str, parameters: &BTreeMap<String, String>) -> Result<Self> {
        Self::from_document(&document(path)?, stack, parameters).map_err(|error| Error::Template {
            path: path.into(),
            place: error.place,
            reason: error.reason,
        })
    }

    pub(super) fn from_document(
        document: &Value,
        stack: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        known(document, "the template", SECTIONS, &[])?;
        if let Some(transform) = document.get("Transform")
            && transform != "AWS::Serverless-2016-10-31"
        {
            return Err(TemplateError::new("Transform", format!("{transform} is not understood here")));
        }
        known(&document["Globals"], "Globals", &["Function", "HttpApi"], &[])?;
        known(&document["Globals"]["Function"], "Globals.Function", FUNCTION, FUNCTION_AWS_ONLY)?;
        let binary = |(id, resource): (&String, &Value)| (resource["Type"] == SERVERLESS_FUNCTION).then(|| function::binary(id));
        let reader = Reader { scope: Scope::new(document, stack, parameters)?, globals: &document["Globals"] };
        let api = Api::read(&reader)?;
        let mut template = Self {
            functions: Vec::new(),
            binaries: document["Resources"].as_object().into_iter().flatten().filter_map(binary).collect(),
            routes: Vec::new(),
            authorizers: api.authorizers,
            cors: api.cors,
            tables: Vec::new(),
            secrets: Vec::new(),
            schedules: Vec::new(),
            streams: Vec::new(),
            buses: Vec::new(),
            rules: Vec::new(),
            queues: Vec::new(),
            stack: stack::read(&reader.scope, document)?,
        };
        for (id, resource) in reader.scope.resources() {
            let at = format!("Resources.{id}");
            known(resource, &at, RESOURCE, &[])?;
            match resource["Type"].as_str() {
                Some(SERVERLESS_FUNCTION) => {
                    template.functions.push(function::read(&reader, id, resource)?);
                    events::read(&reader, id, resource, api.default_authorizer.as_deref(), &mut template)?;
                }
                Some("AWS::DynamoDB::Table") => template.tables.push(table::read(&reader, id)?),
                Some("AWS::SecretsManager::Secret") => template.secrets.push(secret::read(&reader, id)?),
                Some("AWS::Events::EventBus") => template.buses.push(bus::bus(&reader, id)?),
                Some("AWS::Events::Rule") => template.rules.push(bus::rule(&reader, id)?),
                Some("AWS::SQS::Queue") => template.queues.push(bus::queue(&reader, id)?),
                Some(kind) if RESOURCE_TYPES_AWS_ONLY.contains(&kind) => {}
                kind => {
                    return Err(TemplateError::new(
                        at,
                        format!("{} does not exist here", kind.unwrap_or("a resource without a Type")),
                    ));
                }
            }
        }
        template.check()?;
        Ok(template)
    }

    /// Lets everything that names the address of the HTTP API name this one.
    pub fn answer_at(&mut self, url: &str) {
        let apis = self.stack.resources.iter().filter(|resource| resource.kind == "AWS::ApiGatewayV2::Api");
        let Some(on_aws) = apis.map(|api| api_endpoint(&api.name)).next() else { return };
        let variables = self.functions.iter_mut().flat_map(|function| function.variables.values_mut());
        for value in self.stack.outputs.iter_mut().map(|output| &mut output.value).chain(variables) {
            *value = value.replace(&on_aws, url);
        }
    }

    /// Refuses what no gateway could deploy.
    fn check(&self) -> Result<(), TemplateError> {
        let mut keys = BTreeSet::new();
        for route in &self.routes {
            let place = format!("Resources.{}.Properties.Events", route.function);
            if !keys.insert(&route.key) {
                return Err(TemplateError::new(place, format!("the route {} is taken", route.key)));
            }
            if let Some(name) = &route.authorizer
                && !self.authorizers.contains_key(name)
            {
                return Err(TemplateError::new(place, format!("there is no authorizer {name}")));
            }
        }
        for (name, authorizer) in &self.authorizers {
            if !self.functions.iter().any(|function| function.id == authorizer.function) {
                return Err(TemplateError::new(
                    format!("Authorizers.{name}.FunctionArn"),
                    "is not the ARN of a function of this template",
                ));
            }
        }
        Ok(())
    }
}
