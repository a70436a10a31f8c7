//! Holds every answer of every test against the contract, as an OpenAPI 3.1 document: against its strict form, and against the public
//! one, which clients are made from.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, OnceLock},
};

use emulator::{gateway::Routes, template::Template};
use jsonschema::Validator;
use serde_json::{Value, json};
use shared::contract::{Route, openapi, routes};

use crate::app::{self, Answer};

fn template() -> Template {
    app::template("test")
}

/// What the documents allow as an answer.
struct Contract {
    /// The strict one first.
    documents: [Value; 2],
    /// As the gateway finds them.
    routes: Routes,
    /// By route, status and media type; compiled when the first such answer comes.
    bodies: BTreeMap<(&'static str, u16, String), OnceLock<Vec<Validator>>>,
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let documents = [openapi::strict(), openapi::document()];
    let mut bodies = BTreeMap::new();
    for document in &documents {
        for route in routes() {
            for (status, response) in responses(document, route).as_object().unwrap() {
                for media_type in content(document, response).as_object().into_iter().flat_map(serde_json::Map::keys) {
                    bodies.entry((route.key, status.parse().unwrap(), media_type.clone())).or_default();
                }
            }
        }
    }
    Contract { documents, routes: Routes::new(template().routes), bodies }
});

fn responses<'a>(document: &'a Value, route: &Route) -> &'a Value {
    &document["paths"][route.path()][route.method().to_lowercase()]["responses"]
}

/// What a response may have as a body, by media type.
fn content<'a>(document: &'a Value, response: &'a Value) -> &'a Value {
    let shared = response["$ref"].as_str().and_then(|pointer| document.pointer(&pointer[1..]));
    &shared.unwrap_or(response)["content"]
}

impl Contract {
    /// The validators of a body, one for each document that knows it.
    fn validators(&self, route: &Route, status: u16, media_type: &str) -> Option<&[Validator]> {
        let validators = self.bodies.get(&(route.key, status, media_type.to_owned()))?;
        Some(validators.get_or_init(|| {
            let schemas = self.documents.iter().filter_map(|document| {
                let response = &responses(document, route)[status.to_string()];
                let schema = content(document, response).get(media_type)?.get("schema")?;
                // With the components beside it, so that the references in it lead somewhere.
                Some(json!({"allOf": [schema], "components": document["components"]}))
            });
            let options = jsonschema::options().should_validate_formats(true);
            schemas.map(|schema| options.build(&schema).expect("a sound schema")).collect()
        }))
    }
}

/// Whether an answer is one that the document promises. Paths without a route are none of its business.
pub fn check(method: &str, path: &str, answer: &Answer) {
    // A request that is none, as one with a malformed `Host`, does not reach the gateway.
    if answer.status == 400 && !answer.headers.contains_key("apigw-requestid") {
        return;
    }
    let path = path.split('?').next().unwrap_or_default();
    let Some((route, _)) = CONTRACT.routes.find(method, path) else { return };
    let Some(route) = routes().find(|described| described.key == route.key) else { return };
    let response = &responses(&CONTRACT.documents[0], route)[answer.status.to_string()];
    assert!(!response.is_null(), "openapi.json: {} does not answer {}: {answer:?}", route.key, answer.status);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let schema = &CONTRACT.documents[0]["components"]["headers"][name]["schema"];
        let always = ["X-Request-Id", "ETag", "Location"].contains(&name.as_str());
        match answer.headers.get(name).map(|value| value.to_str().expect("text")) {
            Some(value) => {
                let value = if schema["type"] == "integer" { json!(value.parse::<u64>().unwrap_or(0)) } else { json!(value) };
                assert!(jsonschema::is_valid(schema, &value), "openapi.json: {name} {value} of {}: {header}", route.key);
            }
            // What the gateway answers by itself has none of ours.
            None => {
                assert!(!always || answer.json["message"].is_string(), "openapi.json: {} without {name}: {answer:?}", route.key);
            }
        }
    }
    if answer.body.is_empty() {
        assert!(response["content"].is_null(), "openapi.json: an empty body of {}: {answer:?}", route.key);
        return;
    }
    let media_type = answer.header("content-type").to_owned();
    let validators = CONTRACT.validators(route, answer.status, &media_type);
    let validators = validators.unwrap_or_else(|| panic!("openapi.json: {} {} has no {media_type}", route.key, answer.status));
    for validator in validators {
        let faults: Vec<_> =
            validator.iter_errors(&answer.json).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "openapi.json: {} {}: {faults:?}: {}", route.key, answer.status, answer.json);
    }
}

#[test]
fn the_contract_has_the_routes_of_the_template() {
    let template = template();
    let binary = |id: &str| template.functions.iter().find(|function| function.id == id).expect("a function").binary.as_str();
    let deployed: BTreeMap<_, _> = template
        .routes
        .iter()
        // Pages about the API are not the API.
        .filter(|route| {
            let pages = ["$default", "OPTIONS /{proxy+}", "GET /openapi.json", "GET /openapi-3.0.json", "GET /asyncapi.json"];
            !pages.contains(&route.key.as_str()) && !route.key.starts_with("GET /docs")
        })
        .map(|route| (route.key.as_str(), (binary(&route.function), route.authorizer.is_some())))
        .collect();
    let described: BTreeMap<_, _> = routes().map(|route| (route.key, (route.function, route.caller.is_some()))).collect();
    assert_eq!(described, deployed);
}

/// The examples log in as whom the local shop makes.
#[test]
fn the_examples_log_in_with_an_account_that_there_is() {
    let login = routes().find(|route| route.operation_id == "login").expect("a login");
    let body = openapi::example_body(&openapi::document(), login);
    assert_eq!(body, Some(json!({"email": local::seed::ADMIN, "password": local::seed::PASSWORD})));
}

#[test]
#[should_panic(expected = "is not of type")]
fn an_answer_that_breaks_the_contract_is_noticed() {
    let headers = [("content-type", "application/json"), ("x-request-id", "id=")];
    let headers = headers.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    let json = json!({"products": {}, "next_cursor": null});
    let answer = Answer { status: 200, headers: headers.into_iter().collect(), body: json.to_string().into_bytes(), json };
    check("GET", "/products?limit=1", &answer);
}
