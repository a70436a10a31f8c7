//! Holds every answer of every test against the contract, as an OpenAPI 3.1 document.

use std::{collections::BTreeMap, sync::LazyLock};

use emulator::{gateway::Routes, template::Template};
use jsonschema::Validator;
use serde_json::{Value, json};
use shared::contract::{openapi, routes};

use crate::app::{self, Answer};

fn template() -> Template {
    app::template("test")
}

/// What the document allows as an answer, compiled once for each route and status.
struct Contract {
    document: Value,
    /// As the gateway finds them.
    routes: Routes,
    validators: BTreeMap<(&'static str, u16, String), Validator>,
}

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let document = openapi::document();
    let mut validators = BTreeMap::new();
    for route in routes() {
        let responses = document["paths"][route.path()][route.method().to_lowercase()]["responses"].as_object().unwrap();
        for (status, response) in responses {
            for (media_type, content) in response["content"].as_object().into_iter().flatten() {
                // With the components beside it, so that the references in it lead somewhere.
                let schema = json!({"allOf": [content["schema"]], "components": document["components"]});
                let validator = jsonschema::options().should_validate_formats(true).build(&schema).expect("a sound schema");
                validators.insert((route.key, status.parse().unwrap(), media_type.clone()), validator);
            }
        }
    }
    Contract { document, routes: Routes::new(template().routes), validators }
});

/// Whether an answer is one that the document promises. Paths without a route are none of its business.
pub fn check(method: &str, path: &str, answer: &Answer) {
    // A request that is none, as one with a malformed `Host`, does not reach the gateway.
    if answer.status == 400 && !answer.headers.contains_key("apigw-requestid") {
        return;
    }
    let path = path.split('?').next().unwrap_or_default();
    let Some((route, _)) = CONTRACT.routes.find(method, path) else { return };
    let Some(route) = routes().find(|described| described.key == route.key) else { return };
    let responses = &CONTRACT.document["paths"][route.path()][route.method().to_lowercase()]["responses"];
    let response = &responses[answer.status.to_string()];
    assert!(!response.is_null(), "openapi.json: {} does not answer {}: {answer:?}", route.key, answer.status);
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let schema = &CONTRACT.document["components"]["headers"][name]["schema"];
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
    let key = (route.key, answer.status, media_type.clone());
    let validator = CONTRACT.validators.get(&key);
    let validator = validator.unwrap_or_else(|| panic!("openapi.json: {} {} has no {media_type}", route.key, answer.status));
    let faults: Vec<_> = validator.iter_errors(&answer.json).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "openapi.json: {} {}: {faults:?}: {}", route.key, answer.status, answer.json);
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
            !["$default", "OPTIONS /{proxy+}", "GET /openapi.json", "GET /asyncapi.json"].contains(&route.key.as_str())
                && !route.key.starts_with("GET /docs")
        })
        .map(|route| (route.key.as_str(), (binary(&route.function), route.authorizer.is_some())))
        .collect();
    let described: BTreeMap<_, _> = routes().map(|route| (route.key, (route.function, route.caller.is_some()))).collect();
    assert_eq!(described, deployed);
}

/// requests.http logs in as whom the local shop makes.
#[test]
fn the_requests_log_in_with_an_account_that_there_is() {
    let login = routes().find(|route| route.operation_id == "login").expect("a login");
    let body: Value = serde_json::from_str(login.request.expect("a body")).expect("JSON");
    assert_eq!(body, json!({"email": local::seed::ADMIN, "password": local::seed::PASSWORD}));
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
