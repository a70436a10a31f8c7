//! The contract as an OpenAPI 3.1 document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    RESOURCES, Resource, Route, conventions, ids,
    problems::{Problem, problems},
    schema::{merged, reference},
};

const DESCRIPTION: &str = "\
All names are `snake_case`, ids are UUIDv7, times RFC 3339 in UTC with milliseconds, and money is a decimal string with two \
decimals, in the one currency of the shop.

Errors are problems (RFC 9457) with a stable `code` and the `request_id` under which the log knows them. Single products and \
orders carry an `ETag`; `If-Match` makes a change conditional on what was seen. Creating `POST`s take an `Idempotency-Key`: sent \
again with the same body within 24 hours, they have one effect and one answer, whatever was lost on the way.

Every request may be answered 429 by the gateway when there are too many, and 503 when the database is away; both may be sent again.";

/// The whole document.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for resource in RESOURCES {
        for route in resource.routes {
            let item = paths.entry(route.path()).or_insert_with(|| json!({}));
            item[route.method().to_lowercase()] = operation(resource, route);
            if route.ids().next().is_some() {
                item["parameters"] = route.ids().map(|id| reference("parameters", id.name)).collect();
            }
        }
    }
    let tags: Vec<_> =
        RESOURCES.iter().map(|resource| json!({"name": resource.tag, "description": resource.description})).collect();
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Stockroom",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The back end of a shop: products, orders and accounts",
            "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "externalDocs": {"description": "What happens is told on an event bus, too: its document (AsyncAPI 3.0)", "url": "/asyncapi.json"},
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token of `login` or `refresh`, good for 15 minutes. Without one the gateway answers 401, with one that we never issued 403, both as `Message`; one that has expired or was revoked is a 401 problem.",
                },
            },
            "parameters": parameters(),
            "headers": conventions::headers(),
            "schemas": RESOURCES.iter().fold(conventions::schemas(), |all, resource| merged(all, (resource.schemas)())),
        },
    })
}

fn parameters() -> Value {
    let mut parameters = RESOURCES.iter().fold(conventions::parameters(), |all, resource| merged(all, (resource.parameters)()));
    for id in ids() {
        parameters[id.name] = json!({
            "name": id.name, "in": "path", "required": true, "schema": reference("schemas", "Id"), "description": id.description,
        });
    }
    parameters
}

/// The first example of a schema, put together from those of its properties if it has none of its own.
pub fn example(document: &Value, schema: &Value) -> Option<Value> {
    if let Some(pointer) = schema["$ref"].as_str() {
        return example(document, document.pointer(pointer.trim_start_matches('#'))?);
    }
    let of_properties = || {
        let properties = schema["properties"].as_object()?.iter();
        Some(properties.filter_map(|(name, schema)| Some((name.clone(), example(document, schema)?))).collect())
    };
    schema["examples"].get(0).or(schema.get("default")).cloned().or_else(of_properties)
}

/// An example of the body that a route takes.
pub fn example_body(document: &Value, route: &Route) -> Option<Value> {
    example(document, &reference("schemas", route.body?))
}

fn operation(resource: &Resource, route: &Route) -> Value {
    let mut described = json!({
        "operationId": route.operation_id,
        "tags": [resource.tag],
        "summary": route.summary,
        "responses": responses(route),
        "security": if route.caller.is_some() { json!([{"token": []}]) } else { json!([]) },
    });
    if !route.description.is_empty() {
        described["description"] = route.description.into();
    }
    if !route.parameters.is_empty() {
        described["parameters"] = route.parameters.iter().map(|name| reference("parameters", name)).collect();
    }
    if let Some(body) = route.body {
        let content = json!({"application/json": {"schema": reference("schemas", body)}});
        described["requestBody"] = json!({"required": route.body_required, "content": content});
    }
    described
}

fn responses(route: &Route) -> Map<String, Value> {
    let closed = route.caller.is_some();
    let mut codes = route.problems.to_vec();
    codes.extend(["internal-error", "unavailable"]);
    if closed {
        codes.extend(["unauthenticated", "token-expired", "token-revoked"]);
    }
    if route.body.is_some() {
        codes.extend(["malformed-json", "body-too-large", "unsupported-media-type"]);
    }
    // The gateway answers these by itself.
    let mut by_status: BTreeMap<u16, Vec<Problem>> = BTreeMap::from([(429, Vec::new())]);
    if closed {
        by_status.insert(403, Vec::new());
    }
    for problem in problems().filter(|problem| codes.contains(&problem.code)) {
        by_status.entry(problem.status).or_default().push(problem);
    }
    let mut responses: Map<_, _> =
        by_status.iter().map(|(status, problems)| (status.to_string(), refusal(*status, problems, closed))).collect();
    responses.insert(route.success.0.to_string(), success(route));
    if route.parameters.contains(&"If-None-Match") {
        let headers = json!({"ETag": reference("headers", "ETag"), "X-Request-Id": reference("headers", "X-Request-Id")});
        responses.insert("304".into(), json!({"description": "It is still as the caller has it", "headers": headers}));
    }
    responses
}

fn success(route: &Route) -> Value {
    let mut success = json!({"description": route.summary});
    for name in ["X-Request-Id"].iter().chain(route.headers) {
        success["headers"][name] = reference("headers", name);
    }
    if let Some(schema) = route.success.1 {
        success["content"]["application/json"] = json!({"schema": reference("schemas", schema)});
    }
    if let Some(link) = &route.link {
        let parameters = json!({link.id: format!("$response.body#/{}", link.id)});
        success["links"][link.name] = json!({"operationId": link.operation_id, "parameters": parameters});
    }
    success
}

/// One status that is no success: problems by their codes, and the gateway's own words where it may answer first.
fn refusal(status: u16, problems: &[Problem], closed: bool) -> Value {
    let gateway = match status {
        401 if closed => Some("The gateway: there is no token"),
        403 if closed => Some("The gateway: the token is none of ours"),
        429 => Some("The gateway: too many requests"),
        _ => None,
    };
    let lines = problems.iter().map(|problem| format!("`{}`: {}", problem.code, problem.when));
    let lines: Vec<_> = lines.chain(gateway.map(str::to_owned)).collect();
    let mut refusal = json!({"description": lines.join("\n\n")});
    if !problems.is_empty() {
        let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
        let schema = json!({"allOf": [reference("schemas", "Problem"), {"properties": {"code": {"enum": codes}, "status": {"const": status}}}]});
        refusal["content"]["application/problem+json"] = json!({"schema": schema});
    }
    if gateway.is_some() {
        refusal["content"]["application/json"] = json!({"schema": reference("schemas", "Message")});
    }
    let retry = status == 503 || problems.iter().any(|problem| problem.code == "too-many-attempts");
    for (name, there) in [("X-Request-Id", !problems.is_empty()), ("WWW-Authenticate", status == 401), ("Retry-After", retry)] {
        if there {
            refusal["headers"][name] = reference("headers", name);
        }
    }
    refusal
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract::{problems, routes};

    /// Every name that is referred to is there, every one that is there is referred to, and every example keeps to its schema.
    #[test]
    fn the_document_is_whole() {
        let document = document();
        let text = document.to_string();
        for (kind, components) in document["components"].as_object().unwrap() {
            for name in components.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
                assert!(text.contains(&format!("#/components/{kind}/{name}\"")), "{kind}/{name} is not referred to");
            }
        }
        let references: BTreeSet<_> = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        for pointer in references {
            assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
        }
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let whole = json!({"allOf": [schema], "components": document["components"]});
            let validator = jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));
            for example in schema["examples"].as_array().into_iter().flatten() {
                assert!(validator.is_valid(example), "{name}: {example}");
            }
        }
    }

    /// What a route names beside schemas, parameters and headers, which the document refers to.
    #[test]
    fn every_name_in_a_route_is_known() {
        let known: BTreeSet<_> = problems::codes().collect();
        let document = document();
        for route in routes() {
            for code in route.problems {
                assert!(known.contains(code), "{}: there is no problem {code}", route.key);
            }
            assert_eq!(route.ids().count(), route.path().matches('{').count(), "{}: an id that no resource has", route.key);
            if let Some(link) = &route.link {
                let target = routes().find(|target| target.operation_id == link.operation_id);
                let target = target.unwrap_or_else(|| panic!("{}: there is no {}", route.key, link.operation_id));
                assert!(target.ids().any(|id| id.name == link.id), "{}: {} has no {}", route.key, target.key, link.id);
            }
            assert_eq!(route.body.is_some(), example_body(&document, route).is_some(), "{}: a body without example", route.key);
        }
    }
}
