//! Every event of events/ against its function, under AWS's own runtime interface emulator.

use std::{env, fmt::Write, net::TcpListener, path::PathBuf, process::Stdio, time::Duration};

use insta::assert_snapshot;
use serde_json::Value;
use shared::contract;
use tokio::process::Command;

use crate::app::{BINARIES, TestApp, template, workspace};
use crate::bodies;

/// `AWS_LAMBDA_RIE`, or `aws-lambda-rie` on the path. It comes with the SAM CLI (`samcli/local/rapid`).
fn emulator() -> Option<PathBuf> {
    let named = env::var_os("AWS_LAMBDA_RIE").map(PathBuf::from);
    let on_path =
        || env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join("aws-lambda-rie")).find(|file| file.exists());
    named.or_else(on_path)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// All functions, in an order in which each finds what it needs.
fn functions() -> impl Iterator<Item = &'static str> {
    contract::session().map(|route| route.function).chain(contract::FUNCTIONS.iter().map(|function| function.name))
}

/// `sam local` gives a function the logical ids of resources where AWS gives it their names: env.json has to say those that a local
/// shop has.
#[test]
fn sam_local_is_told_what_every_resource_is_called() {
    let file = std::fs::read(workspace().join("events/env.json")).unwrap();
    let told: Value = serde_json::from_slice::<Value>(&file).unwrap()["Parameters"].clone();
    let (here, elsewhere) = (template("stockroom"), template("another"));
    for (function, other) in here.functions.iter().zip(&elsewhere.functions) {
        for (name, value) in &function.variables {
            // What depends on the stack is the name of a resource in it, or its own, which `sam local` makes up.
            let named = other.variables.get(name) != Some(value) && name != "STACK_NAME";
            let known = told[name].as_str().unwrap_or_default();
            assert!(!named || (!known.is_empty() && value.contains(known)), "{name} of {}: {value}", function.id);
        }
    }
}

#[tokio::test]
async fn every_event_is_answered_by_its_function() {
    let names: Vec<_> = BINARIES.keys().collect();
    let mut events: Vec<_> = functions().collect();
    events.sort_unstable();
    assert_eq!(events, names, "an event for each function of template.yaml");

    let Some(emulator) = emulator() else {
        println!("skipped: AWS_LAMBDA_RIE does not name AWS's runtime interface emulator, and it is not on the path");
        return;
    };
    let mut stack = String::new();
    let start = TestApp::start_local(|options| stack.clone_from(&options.stack));
    let Some(app) = start.await else { return };
    let template = template(&stack);
    // Whom a local shop has from its beginning, and the example logs in.
    let admin = bodies::account("admin", "keep-this-one-local").json();
    assert_eq!(app.anyone().post("/auth/register", admin).await.status, 201);

    let mut outcomes = String::new();
    for name in functions() {
        let function = template.functions.iter().find(|function| function.binary == name).unwrap();
        let (port, runtime_port) = (free_port(), free_port());
        let mut child = Command::new(&emulator)
            .arg("--runtime-interface-emulator-address")
            .arg(format!("127.0.0.1:{port}"))
            .arg("--runtime-api-address")
            .arg(format!("127.0.0.1:{runtime_port}"))
            .arg(&BINARIES[name])
            .envs(&function.variables)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_SESSION_TOKEN", "local")
            .env("AWS_ENDPOINT_URL", app.shop().aws_url())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let event = std::fs::read(workspace().join("events").join(format!("{name}.json"))).unwrap();
        let answer = invoke(port, event).await;
        let outcome = answer["statusCode"].as_u64().map_or_else(|| redacted(answer), Value::from);
        writeln!(outcomes, "{name} {outcome}").unwrap();
        child.kill().await.unwrap();
    }
    assert_snapshot!(outcomes, @r#"
    auth-register 201
    auth-login 200
    auth-me 401
    auth-me-update 401
    auth-recovery-start 202
    auth-recovery 401
    auth-verification-send 401
    auth-verification 401
    auth-password 401
    auth-session-list 200
    auth-session-end 404
    user-list 200
    user-get 404
    user-update 404
    auth-keys 200
    product-list 200
    product-create 201
    product-get 404
    product-update 404
    movement-create 404
    movement-list 404
    stock-get 404
    order-create 422
    order-list 200
    order-get 404
    order-item-add 422
    order-item-update 404
    order-item-remove 404
    order-update 404
    order-delete 404
    product-delete 404
    auth-me-delete 401
    auth-refresh 401
    auth-logout 204
    authorizer {"isAuthorized":false}
    fallback 404
    docs 200
    order-expire {"cancelled":0,"spared":0}
    secret-rotate {"rotated":false}
    event-publish {"batchItemFailures":[]}
    mail-send {"batchItemFailures":[]}
    mail-feedback {"marked":0}
    event-replay {"next_cursor":null,"published":1}
    account-admin {"email":"ada@example.com","email_verified":false,"is_active":true,"role":"admin","username":"ada"}
    "#);
}

/// Asks as soon as the emulator listens.
async fn invoke(port: u16, event: Vec<u8>) -> Value {
    let url = format!("http://127.0.0.1:{port}/2015-03-31/functions/function/invocations");
    let client = reqwest::Client::new();
    for _ in 0..100 {
        match client.post(&url).body(event.clone()).send().await {
            Ok(answer) => return answer.json().await.unwrap(),
            Err(error) if error.is_connect() => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the emulator does not listen");
}

/// Without what differs each time.
fn redacted(mut answer: Value) -> Value {
    if let Some(object) = answer.as_object_mut() {
        object.retain(|name, _| !["user_id", "created_at", "updated_at"].contains(&name.as_str()));
    }
    answer
}
