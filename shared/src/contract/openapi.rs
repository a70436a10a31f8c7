//! The contract as an OpenAPI 3.1 document, in two forms: the public one, which is openapi.json, and the strict one that it is made
//! from, which every answer of every test is held against.

use std::collections::BTreeMap;

use lambda_http::http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    RESOURCES, Resource, Route, conventions,
    examples::example,
    ids, openapi_3_0,
    problems::{self, Problem, problems},
    schema::{self, instead, merged, public, reference, with},
};

const DESCRIPTION: &str = "\
All names are `snake_case`, ids are UUIDv7, times RFC 3339 in UTC with milliseconds, and money is a decimal string with two \
decimals, in the one currency of the shop.

Errors are problems (RFC 9457) with a stable `code` and the `request_id` under which the log knows them: `x-problem-codes` has the \
codes of each operation. What the gateway answers by itself is `{\"message\": …}` as application/json: 401 without a token, 403 for a \
token that is none of ours, 429 for too many requests. There may be new fields in answers, and new codes.

Single products and orders carry an `ETag`; `If-Match` makes a change conditional on what was seen. Creating `POST`s take an \
`Idempotency-Key`: sent again with the same body within 24 hours, they have one effect and one answer, whatever was lost on the way. \
`null` for an optional field of a request is the same as leaving it out, unless it says otherwise.

Every request may be answered 429 by the gateway when there are too many, and 503 when the database is away; both may be sent again.";

/// The public document.
pub fn document() -> Value {
    needed(public(&both()))
}

/// The public document for programs that read nothing newer than OpenAPI 3.0.
pub fn document_3_0() -> Value {
    openapi_3_0::document(&document())
}

/// The strict document.
pub fn strict() -> Value {
    needed(schema::strict(&both()))
}

/// Both forms at once.
fn both() -> Value {
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
    let mut document = json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Stockroom",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The back end of a shop: products, orders and accounts",
            "description": DESCRIPTION,
            "contact": {"name": "Who runs this shop"},
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": servers(),
        "externalDocs": {"description": "What happens is told on an event bus, too: its document (AsyncAPI 3.0)", "url": "/asyncapi.json"},
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token of `login` or `refresh`, good for 15 minutes. Without one the gateway answers 401, with one that we never issued 403; one that has expired or was revoked is a 401 problem.",
                },
            },
            "parameters": parameters(),
            "headers": conventions::headers(),
            "responses": shared_responses(),
            "schemas": RESOURCES.iter().fold(conventions::schemas(), |all, resource| merged(all, (resource.schemas)())),
        },
    });
    add_examples(&mut document);
    document
}

fn servers() -> Value {
    json!([
        {"url": "http://127.0.0.1:3000", "description": "A shop on this machine: `cargo run -p local`"},
        {
            "url": "https://{api}.execute-api.{region}.amazonaws.com",
            "description": "A shop on AWS: the output `ApiUrl` of its stack",
            "variables": {
                "api": {"default": "abcdef1234", "description": "The id of its HTTP API"},
                "region": {"default": "eu-central-1", "description": "The region of the stack"},
            },
        },
    ])
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

/// Gives each body, of requests and of answers, the example of its schema.
fn add_examples(document: &mut Value) {
    let whole = public(document);
    let add = |content: &mut Value| {
        if let Some(json) = content.get_mut("application/json")
            && let Some(example) = example(&whole, &json["schema"])
        {
            json["example"] = example;
        }
    };
    let operations = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut);
    for operation in operations.flat_map(Map::values_mut).filter(|operation| operation.is_object()) {
        if let Some(content) = operation.pointer_mut("/requestBody/content") {
            add(content);
        }
        let responses = operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut);
        responses.filter_map(|response| response.get_mut("content")).for_each(add);
    }
}

/// An example of the body that a route takes.
pub fn example_body(document: &Value, route: &Route) -> Option<Value> {
    example(document, &reference("schemas", route.body?))
}

fn operation(resource: &Resource, route: &Route) -> Value {
    let codes: Vec<_> = refusals(route).values().flatten().map(|problem| problem.code).collect();
    let quoted: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
    let problems = format!("Problems: {}", quoted.join(", "));
    let description = [route.description, &problems].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n");
    let mut described = json!({
        "operationId": route.operation_id,
        "tags": [resource.tag],
        "summary": route.summary,
        "description": description,
        "x-problem-codes": codes,
        "responses": responses(resource, route),
        "security": if route.caller.is_some() { json!([{"token": []}]) } else { json!([]) },
    });
    if !route.parameters.is_empty() {
        described["parameters"] = route.parameters.iter().map(|name| reference("parameters", name)).collect();
    }
    if let Some(body) = route.body {
        let schema = reference("schemas", body);
        // Many generated clients send `null` for a body that is left out.
        let strict = if route.body_required { schema.clone() } else { json!({"anyOf": [schema, {"type": "null"}]}) };
        let content = json!({"application/json": {"schema": instead(strict, schema)}});
        described["requestBody"] = json!({"required": route.body_required, "content": content});
    }
    described
}

/// What a route may refuse, by status. The gateway answers some of these by itself, so that there may be no problem with it.
fn refusals(route: &Route) -> BTreeMap<u16, Vec<Problem>> {
    let closed = route.caller.is_some();
    let mut codes = route.problems.to_vec();
    codes.extend(["internal-error", "unavailable"]);
    if closed {
        codes.extend(["unauthenticated", "token-expired", "token-revoked"]);
    }
    if route.body.is_some() {
        codes.extend(["malformed-json", "body-too-large", "unsupported-media-type"]);
    }
    let mut by_status: BTreeMap<u16, Vec<Problem>> = BTreeMap::from([(429, Vec::new())]);
    if closed {
        by_status.insert(403, Vec::new());
    }
    for problem in problems().into_iter().filter(|problem| codes.contains(&problem.code)) {
        by_status.entry(problem.status).or_default().push(problem);
    }
    by_status
}

fn responses(resource: &Resource, route: &Route) -> Map<String, Value> {
    let closed = route.caller.is_some();
    let refusals = refusals(route).into_iter().map(|(status, problems)| {
        let shared = reference("responses", &shared_name(status, resource, route));
        (status.to_string(), instead(refusal(status, &problems, closed), shared))
    });
    let mut responses: Map<_, _> = refusals.collect();
    responses.insert(route.success.0.to_string(), success(route));
    if route.parameters.contains(&"If-None-Match") {
        responses.insert("304".into(), instead(not_modified(), reference("responses", "NotModified")));
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

fn not_modified() -> Value {
    let headers = json!({"ETag": reference("headers", "ETag"), "X-Request-Id": reference("headers", "X-Request-Id")});
    json!({"description": "It is still as the caller has it", "headers": headers})
}

/// One status of one route that is no success, strictly: the problems that it may be, and the gateway's own words where that may answer
/// first.
fn refusal(status: u16, problems: &[Problem], closed: bool) -> Value {
    let gateway = match status {
        401 | 403 => closed,
        429 => true,
        _ => false,
    };
    let mut refusal = json!({"description": described(status, problems)});
    if !problems.is_empty() {
        let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
        let schema = json!({"allOf": [reference("schemas", "Problem"), {"properties": {"code": {"enum": codes}, "status": {"const": status}}}]});
        refusal["content"]["application/problem+json"] = json!({"schema": schema});
        refusal["headers"]["X-Request-Id"] = reference("headers", "X-Request-Id");
    }
    if gateway {
        refusal["content"]["application/json"] = json!({"schema": reference("schemas", "Message")});
    }
    let retry = status == 503 || problems.iter().any(|problem| problem.code == "too-many-attempts");
    for (name, there) in [("WWW-Authenticate", status == 401), ("Retry-After", retry)] {
        if there {
            refusal["headers"][name] = reference("headers", name);
        }
    }
    refusal
}

/// Problems by their codes, and what the gateway says.
fn described(status: u16, problems: &[Problem]) -> String {
    let gateway = match status {
        401 => Some("The gateway itself: there is no token"),
        403 => Some("The gateway itself: the token is none of ours"),
        429 => Some("The gateway itself: too many requests"),
        _ => None,
    };
    let lines = problems.iter().map(|problem| format!("`{}`: {}", problem.code, problem.when));
    lines.chain(gateway.map(str::to_owned)).collect::<Vec<_>>().join("\n\n")
}

/// The name of a response that routes share: of its status, and of what it is about where the routes of one resource share it.
fn shared_name(status: u16, resource: &Resource, route: &Route) -> String {
    let about = match status {
        404 => route.ids().next(),
        409 => resource.ids.first(),
        _ => None,
    };
    let status = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let words = about.map(|id| id.of.to_string()).into_iter().chain([status.to_owned()]);
    words.flat_map(|words| words.split([' ', '-']).map(capital).collect::<Vec<_>>()).collect()
}

fn capital(word: &str) -> String {
    word.get(..1).unwrap_or_default().to_uppercase() + word.get(1..).unwrap_or_default()
}

/// The responses that are no success by the names that routes share them under, in their public form: whatever a route refuses is a
/// `Problem`, and nothing else.
fn shared_responses() -> Map<String, Value> {
    let mut shared: BTreeMap<String, (u16, Vec<Problem>)> = BTreeMap::new();
    for resource in RESOURCES {
        for route in resource.routes {
            for (status, problems) in refusals(route) {
                let (_, all) = shared.entry(shared_name(status, resource, route)).or_insert_with(|| (status, Vec::new()));
                for mut problem in problems {
                    if let (404, Some(id)) = (status, route.ids().next()) {
                        problem.example = problems::not_found(id.of);
                    }
                    if all.iter().all(|known| known.code != problem.code) {
                        all.push(problem);
                    }
                }
            }
        }
    }
    let responses = shared.into_iter().map(|(name, (status, problems))| {
        let examples: Map<_, _> =
            problems.iter().map(|problem| (problem.code.to_owned(), json!({"value": problem.example}))).collect();
        let content = json!({"application/problem+json": {"schema": reference("schemas", "Problem"), "examples": examples}});
        (name, with(refusal(status, &problems, false), "content", content))
    });
    responses.chain([("NotModified".to_owned(), not_modified())]).collect()
}

/// The document without components that only the other form needs.
fn needed(mut document: Value) -> Value {
    loop {
        let text = document.to_string();
        let mut all = true;
        for (kind, components) in document["components"].as_object_mut().into_iter().flatten() {
            if let Some(components) = components.as_object_mut().filter(|_| kind != "securitySchemes") {
                let before = components.len();
                components.retain(|name, _| text.contains(&format!("\"#/components/{kind}/{name}\"")));
                all &= components.len() == before;
            }
        }
        if all {
            return document;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract::routes;

    /// Every object in a document, with the pointer to it. Examples are no part of its language.
    fn objects(pointer: &str, value: &Value, found: &mut Vec<(String, Value)>) {
        match value {
            Value::Object(members) => {
                found.push((pointer.to_owned(), value.clone()));
                for (name, member) in members.iter().filter(|(name, _)| *name != "example" && *name != "value") {
                    objects(&format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), member, found);
                }
            }
            Value::Array(items) => {
                for (n, item) in items.iter().enumerate() {
                    objects(&format!("{pointer}/{n}"), item, found);
                }
            }
            _ => {}
        }
    }

    fn all(document: &Value) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        objects("", document, &mut found);
        found
    }

    /// The names of the schemas that a part of a document refers to, directly or by way of others.
    fn schemas_of(document: &Value, part: &Value) -> BTreeSet<String> {
        let mut known = BTreeSet::new();
        let mut unread = vec![part.clone()];
        while let Some(part) = unread.pop() {
            for (_, object) in all(&part) {
                let Some(pointer) = object["$ref"].as_str().and_then(|pointer| pointer.strip_prefix('#')) else { continue };
                let target = document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
                if known.insert(pointer.to_owned()) {
                    unread.push(target.clone());
                }
            }
        }
        known.iter().filter_map(|pointer| pointer.strip_prefix("/components/schemas/")).map(str::to_owned).collect()
    }

    fn operations(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
        let paths = document["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| item.as_object().unwrap().values().map(move |operation| (path, operation)))
            .filter(|(_, operation)| operation.is_object())
    }

    fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
        value["$ref"].as_str().map_or(value, |pointer| document.pointer(&pointer[1..]).unwrap())
    }

    /// All bodies with their schemas: of requests, and of answers.
    fn bodies(document: &Value) -> Vec<(String, Value)> {
        let mut bodies = Vec::new();
        for (path, operation) in operations(document) {
            let responses = operation["responses"].as_object().unwrap();
            let answers = responses.iter().map(|(status, response)| (status.as_str(), resolved(document, response)));
            for (what, body) in answers.chain([("request", &operation["requestBody"])]) {
                for (media_type, content) in body["content"].as_object().into_iter().flatten() {
                    bodies.push((format!("{} {path} {what} {media_type}", operation["operationId"]), content.clone()));
                }
            }
        }
        bodies
    }

    /// Every name that is referred to is there, every one that is there is referred to, and every example keeps to its schema.
    #[test]
    fn the_documents_are_whole() {
        for document in [strict(), document(), document_3_0()] {
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
        }
        for document in [strict(), document()] {
            for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
                let whole = json!({"allOf": [schema], "components": document["components"]});
                let validator = jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));
                for example in schema["examples"].as_array().into_iter().flatten() {
                    assert!(validator.is_valid(example), "{name}: {example}");
                }
            }
        }
    }

    /// Whoever reads the document sees of every body what it looks like, and that is as our own are held to be.
    #[test]
    fn every_body_has_an_example_that_keeps_to_its_strict_schema() {
        let (document, strict) = (document(), strict());
        let bodies = bodies(&document);
        assert!(bodies.len() > 300, "{}", bodies.len());
        let mut validators = BTreeMap::new();
        for (place, content) in bodies {
            let many = content["examples"].as_object().into_iter().flat_map(Map::values).map(|example| &example["value"]);
            let examples: Vec<_> = content.get("example").into_iter().chain(many).collect();
            assert!(!examples.is_empty(), "{place}");
            let validator = validators.entry(content["schema"].to_string()).or_insert_with(|| {
                let whole = json!({"allOf": [content["schema"]], "components": strict["components"]});
                jsonschema::options().should_validate_formats(true).build(&whole).unwrap()
            });
            for example in examples {
                let faults: Vec<_> = validator.iter_errors(example).map(|fault| fault.to_string()).collect();
                assert!(faults.is_empty(), "{place}: {faults:?}: {example}");
            }
        }
    }

    /// What some generator of clients has stumbled over.
    #[test]
    fn schemas_are_plain() {
        for document in [document(), document_3_0()] {
            for (pointer, object) in all(&document) {
                for word in ["x-public", "unevaluatedProperties", "oneOf", "anyOf", "not"] {
                    assert!(object.get(word).is_none(), "{pointer} has {word}");
                }
                let names: Vec<_> = match &object["type"] {
                    Value::String(name) => vec![name.as_str()],
                    Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                    _ => {
                        assert!(object.get("const").is_none(), "{pointer} has a constant without a type");
                        continue;
                    }
                };
                let has = |words: &[&str]| words.iter().any(|word| object.get(*word).is_some());
                assert!(object["format"] != "date-time" || !has(&["pattern"]), "{pointer} has a pattern beside a format");
                assert!(!names.contains(&"string") || has(&["maxLength", "format", "enum", "const"]), "{pointer} has no limit");
                assert!(!names.contains(&"array") || has(&["maxItems"]), "{pointer} has no limit");
                assert!(!names.contains(&"integer") || has(&["format"]), "{pointer} has no format");
            }
        }
        let document = document();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for (property, schema) in schema["properties"].as_object().into_iter().flatten() {
                let words = schema.get("description").or_else(|| resolved(&document, schema).get("description"));
                assert!(words.is_some(), "{name}.{property} is not described");
            }
        }
    }

    /// A program that reads answers goes on reading them when they have got another field.
    #[test]
    fn answers_are_open_and_requests_are_not() {
        let document = document();
        let responses: Vec<_> = operations(&document).map(|(_, operation)| operation["responses"].clone()).collect();
        let answered = schemas_of(&document, &json!(responses));
        let closed = |name: &String| document["components"]["schemas"][name]["additionalProperties"] == json!(false);
        assert_eq!(answered.iter().find(|name| closed(name)), None);
        let requests: Vec<_> = operations(&document).map(|(_, operation)| operation["requestBody"]["content"].clone()).collect();
        let taken = schemas_of(&document, &json!(requests));
        let objects = taken.iter().filter(|name| document["components"]["schemas"][name]["type"] == "object");
        assert_eq!(objects.clone().find(|name| !closed(name)), None);
        assert!(objects.count() > 10);

        // What is answered is closed strictly.
        let strict = strict();
        for name in answered.iter().filter(|name| *name != "Problem") {
            let schema = &strict["components"]["schemas"][name];
            assert!(schema["type"] != "object" || schema["unevaluatedProperties"] == json!(false), "{name}");
        }
    }

    /// Generators make names of these, in one space of names and in their languages' spelling.
    #[test]
    fn names_are_told_apart_however_they_are_spelled() {
        let document = document();
        let mut known = BTreeMap::new();
        for (kind, components) in document["components"].as_object().unwrap() {
            for name in components.as_object().unwrap().keys() {
                let plain = name.to_lowercase().replace(['-', '_'], "");
                assert_eq!(known.insert(plain, kind), None, "{kind}/{name} is there twice");
            }
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(!known.contains_key(&format!("new{}", name.to_lowercase())), "New{name} is what makes a {name} in Go");
        }
    }

    #[test]
    fn whatever_is_refused_is_a_problem_with_a_code_that_the_operation_names() {
        let document = document();
        for (path, operation) in operations(&document) {
            let mut codes = BTreeSet::new();
            for (status, response) in
                operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.as_str() >= "400")
            {
                assert!(response["$ref"].is_string(), "{path}: {status} has no name");
                let content = resolved(&document, response)["content"].as_object().unwrap();
                assert_eq!(content.keys().collect::<Vec<_>>(), ["application/problem+json"], "{path} {status}");
                let problem = &content["application/problem+json"];
                assert_eq!(problem["schema"], reference("schemas", "Problem"), "{path} {status}");
                for (code, example) in problem["examples"].as_object().unwrap() {
                    assert_eq!(
                        (&example["value"]["code"], example["value"]["status"].to_string()),
                        (&json!(code), status.clone())
                    );
                    codes.insert(code.as_str());
                }
            }
            for code in operation["x-problem-codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()) {
                assert!(codes.contains(code), "{path}: no response shows {code}");
                assert!(operation["description"].as_str().unwrap().contains(&format!("`{code}`")), "{path}: {code}");
            }
        }
        let names: Vec<_> = document["components"]["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        let expected = [
            "AccountConflict",
            "AccountNotFound",
            "BadRequest",
            "Forbidden",
            "InternalServerError",
            "NotModified",
            "OrderConflict",
            "OrderNotFound",
            "PayloadTooLarge",
            "PreconditionFailed",
            "ProductConflict",
            "ProductNotFound",
            "ServiceUnavailable",
            "SessionNotFound",
            "TooManyRequests",
            "Unauthorized",
            "UnprocessableEntity",
            "UnsupportedMediaType",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_older_document_has_nothing_of_the_newer_language() {
        let document = document_3_0();
        for (pointer, object) in all(&document) {
            for word in ["const", "propertyNames"] {
                assert!(object.get(word).is_none() || pointer.ends_with("/properties"), "{pointer} has {word}");
            }
            assert!(!object["type"].is_array() && !object["examples"].is_array(), "{pointer}");
            assert!(
                !object["$ref"].is_string() || object.as_object().unwrap().len() == 1,
                "{pointer} says more than a reference"
            );
        }
        let ids = |document: &Value| -> BTreeSet<String> {
            operations(document).map(|(_, operation)| operation["operationId"].to_string()).collect()
        };
        assert_eq!(ids(&document), ids(&super::document()));
    }

    #[test]
    fn the_documents_are_small() {
        for document in [document(), document_3_0()] {
            let bytes = document.to_string().len();
            assert!(bytes < 120_000, "{bytes}");
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
