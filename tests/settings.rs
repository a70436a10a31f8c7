//! What a function does with an environment that is not what template.yaml makes it.

use std::process::{Command, Output, Stdio};

use emulator::lambda;

use crate::app::{BINARIES, template};

/// Starts a function with nothing but the environment that Lambda and template.yaml set, and these changes to it.
fn start(binary: &str, changes: &[(&str, &str)]) -> Output {
    let template = template("test");
    let function = template.functions.iter().find(|function| function.binary == binary).expect("a function of template.yaml");
    let path = &BINARIES[binary];
    let mut command = Command::new(path);
    command.env_clear().stdin(Stdio::null()).envs(lambda::variables(function, path, "id"));
    // Nobody listens there: a start that succeeds ends all the same.
    command.env(lambda::RUNTIME_API, "127.0.0.1:1").env("AWS_SECRET_ACCESS_KEY", "canary-secret");
    command.envs(changes.iter().copied()).output().expect("the function runs")
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

#[test]
fn a_setting_that_cannot_be_read_fails_the_start() {
    let shards = "ORDER_SHARDS must be a whole number from 1 to 100";
    let hours = "PENDING_ORDER_HOURS must be a whole number from 0 to 99999";
    let bundle = "AWS_CA_BUNDLE must be the path of a file of certificates in PEM";
    for (function, name, value, expected) in [
        ("order-expire", "PENDING_ORDER_HOURS", "0.5", hours),
        ("order-expire", "PENDING_ORDER_HOURS", "24 ", hours),
        ("order-expire", "PENDING_ORDER_HOURS", "-1", hours),
        ("order-expire", "PENDING_ORDER_HOURS", "4294967296", hours),
        ("order-expire", "ORDER_SHARDS", "0", shards),
        ("order-list", "ORDER_SHARDS", "1.5", shards),
        ("order-create", "ORDER_SHARDS", "101", shards),
        ("order-update", "ORDER_SHARDS", "two", shards),
        (
            "secret-rotate",
            "SIGNING_SECRET_ROTATION_DAYS",
            "7",
            "SIGNING_SECRET_ROTATION_DAYS must be a whole number from 8 to 999",
        ),
        ("product-get", "AWS_ENDPOINT_URL", "localhost:8000", "AWS_ENDPOINT_URL must be a URL of http or https"),
        ("product-get", "AWS_ENDPOINT_URL_DYNAMODB", "ftp://x", "AWS_ENDPOINT_URL_DYNAMODB must be a URL of http or https"),
        ("auth-login", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://", "AWS_ENDPOINT_URL_SECRETS_MANAGER must be a URL"),
        ("product-get", "AWS_CA_BUNDLE", "/nowhere", bundle),
        ("product-get", "AWS_CA_BUNDLE", "/dev/null", bundle),
        ("product-get", "WARM_CONNECTIONS", "yes", "WARM_CONNECTIONS must be true or false"),
        ("product-get", "TABLE_NAME", "", "TABLE_NAME is not set"),
        ("product-get", "AWS_REGION", "", "AWS_REGION is not set"),
        ("product-get", "AWS_SECRET_ACCESS_KEY", "", "AWS_SECRET_ACCESS_KEY is not set"),
        ("auth-refresh", "SIGNING_SECRET_ARN", "", "SIGNING_SECRET_ARN is not set"),
        ("fallback", "STACK_NAME", "", "STACK_NAME is not set"),
        ("fallback", "AWS_LAMBDA_FUNCTION_NAME", "", "AWS_LAMBDA_FUNCTION_NAME is not set"),
    ] {
        let output = start(function, &[(name, value)]);
        let said = said(&output);
        assert!(!output.status.success(), "{function} {name}={value}");
        let line = format!("the function cannot start: the environment variable {expected}");
        assert!(said.contains(&line), "{function} {name}={value}: {said}");
        assert!(!said.contains("canary"), "{said}");
    }
}

#[test]
fn settings_that_need_not_be_set_may_be_empty() {
    for name in ["ORDER_SHARDS", "PENDING_ORDER_HOURS", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "AWS_SESSION_TOKEN"] {
        assert!(!said(&start("order-expire", &[(name, "")])).contains("cannot start"), "{name}");
    }
}
