//! Who may do what: every route of template.yaml for every kind of caller.

use std::{collections::BTreeMap, fmt::Write};

use insta::assert_snapshot;
use local::{Outcome, template::Template};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    app::{Actor, PASSWORD, TestApp, workspace},
    tokens::{claims_of, header, sign},
};

/// A route, and a request for it from events/.
struct Example {
    route: String,
    binary: String,
    closed: bool,
    event: Value,
}

fn examples() -> Vec<Example> {
    let template = Template::read(&workspace().join("template.yaml"), "test", &BTreeMap::new()).unwrap();
    let mut examples: Vec<_> = template
        .routes
        .into_iter()
        .map(|route| {
            let function = template.functions.iter().find(|function| function.id == route.function).unwrap();
            let file = workspace().join("events").join(format!("{}.json", function.binary));
            let event = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            Example { route: route.key, binary: function.binary.clone(), closed: route.authorizer.is_some(), event }
        })
        .collect();
    examples.sort_by(|one, other| one.route.cmp(&other.route));
    examples
}

async fn ask(who: &Actor, example: &Example) -> u16 {
    let (method, _) = example.route.split_once(' ').unwrap_or(("GET", ""));
    let path = example.event["rawPath"].as_str().unwrap();
    let mut request = who.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
    if let Some(body) = example.event["body"].as_str() {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    let answer = who.send(request).await;
    if answer.status == 401 && who.token.is_some() && example.closed {
        assert!(["token-expired", "token-revoked"].contains(&answer.problem().1), "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
    }
    answer.status
}

/// A route that is added to template.yaml shows up here, and its rights must be looked at before the line is accepted.
#[tokio::test]
async fn every_route_lets_in_whom_it_should() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    let (kid, secret) = app.signing_key().await;
    let (email, _) = app.register("customer").await;

    let mut table = format!("{:31} none garbage forged expired revoked customer admin\n", "route");
    for example in examples() {
        // Fresh sessions: some routes end them.
        let (customer, admin) = (app.login(&email, PASSWORD).await, app.admin().await);
        let expired = {
            let mut claims = claims_of(admin.token.as_ref().unwrap());
            for (name, seconds) in [("iat", 1000), ("nbf", 1000), ("exp", 100)] {
                claims[name] = json!(claims[name].as_i64().unwrap() - seconds - 900);
            }
            app.bearer(sign(&header(&kid), &claims, secret.as_bytes()))
        };
        let forged =
            app.bearer(sign(&header(&kid), &claims_of(admin.token.as_ref().unwrap()), b"a guess at the secret that is wrong"));
        let revoked = app.admin().await;
        assert_eq!(revoked.post("/auth/logout", json!({})).await.status, 204);

        write!(table, "{:31}", example.route).unwrap();
        for (width, who) in
            [(4, app.anyone()), (7, app.bearer("garbage")), (6, forged), (7, expired), (7, revoked), (8, customer), (5, admin)]
        {
            write!(table, " {:width$}", ask(&who, &example).await).unwrap();
        }
        table.push('\n');
    }
    assert_snapshot!(table, @r"
    route                           none garbage forged expired revoked customer admin
    $default                         404     404    404     404     404      404   404
    DELETE /products/{product_id}    401     403    403     401     401      403   404
    GET /auth/me                     401     403    403     401     401      200   200
    GET /products                    200     200    200     200     200      200   200
    GET /products/{product_id}       404     404    404     404     404      404   404
    POST /auth/login                 401     401    401     401     401      401   401
    POST /auth/logout                401     403    403     401     401      204   204
    POST /auth/refresh               401     401    401     401     401      401   401
    POST /auth/register              201     409    409     409     409      409   409
    POST /products                   401     403    403     401     401      403   201
    PUT /products/{product_id}       401     403    403     401     401      403   404
    ");
}

#[tokio::test]
async fn a_function_that_is_told_no_caller_refuses() {
    let Some(app) = TestApp::start_local(|_| {}).await else { return };
    for example in examples().into_iter().filter(|example| example.closed) {
        let whole = example.event["requestContext"]["authorizer"]["lambda"].clone();
        let mut contexts =
            vec![(json!(null), 401), (json!({}), 401), (json!({"lambda": null}), 401), (json!({"lambda": {}}), 401)];
        for name in ["user_id", "role", "session_id"] {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(name);
            contexts.push((json!({"lambda": part}), 401));
            part[name] = json!("x");
            contexts.push((json!({"lambda": part}), 401));
        }
        for (reason, status) in [("expired", 401), ("revoked", 401), ("unavailable", 503), ("", 401)] {
            let mut refused = whole.clone();
            refused["refused"] = json!(reason);
            contexts.push((json!({"lambda": refused}), status));
        }
        for (context, status) in contexts {
            let mut event = example.event.clone();
            event["requestContext"]["authorizer"] = context.clone();
            let Outcome::Payload(answer) = app.shop().invoke(&example.binary, event).await.outcome else {
                panic!("{}: {context}", example.route);
            };
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            assert_eq!(answer["statusCode"], status, "{}: {context}: {answer}", example.route);
        }
    }
}
