//! Functions without a route, which an operator invokes with IAM rights.

use futures_util::{FutureExt, TryFutureExt};
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

use super::runtime::{carry_out, start, time_left};
use crate::{
    Error, Result,
    app::{FromEnvironment, StartupError},
    domain::Refusal,
    http,
    json::{Fields, FromFields},
    telemetry::{self, Kind, Work, record},
};

/// Runs `handler` for every invocation until Lambda stops the environment. What it refuses becomes a function error whose
/// type is the code that the API uses for the same thing, and so do panics and work that takes too long.
pub async fn serve<A, F, Fut, I, O>(handler: F) -> Result<(), StartupError>
where
    A: FromEnvironment + Sync + 'static,
    F: Fn(&'static A, I) -> Fut,
    Fut: Future<Output = Result<O>>,
    I: FromFields,
    O: Serialize,
{
    let (app, source) = start::<A>().await?;
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let (payload, context) = event.into_parts();
        let limit = time_left(context.deadline, (source.clock)());
        let asked_by = asked_by(&context);
        let work =
            Work { kind: Kind::Operation, request_id: context.request_id, route: String::new(), trace: context.xray_trace_id };
        let carried_out = async {
            record(|metrics| metrics.asked_by = asked_by);
            let input = Fields::parse(payload.get().as_bytes())?;
            // Boxed: the types of the futures below are nested deeper than the compiler follows.
            carry_out(handler(app, input), limit).boxed_local().await
        };
        let reported = carried_out.inspect_err(http::report);
        let status = |outcome: &Result<O>| outcome.as_ref().map_or_else(http::status, |_| 200);
        telemetry::instrument(source, work, reported, status).await.map_err(failure)
    }))
    .await?;
    Ok(())
}

/// Who asked, as far as Lambda tells: the Cognito identity, or the `operator` in the client context that the caller sends along.
/// IAM's principal is in CloudTrail only, under the same request id. What may be an e-mail address is left out.
fn asked_by(context: &Context) -> Option<String> {
    let identity = context.identity.as_ref().map(|identity| identity.identity_id.as_str());
    let custom = context.client_context.as_ref().and_then(|client| client.custom.get("operator")).map(String::as_str);
    let plain = |name: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":/._-".contains(&byte);
        (1..=128).contains(&name.len()) && name.bytes().all(allowed)
    };
    identity.or(custom).filter(plain).map(str::to_owned)
}

fn failure(error: Error) -> Diagnostic {
    let error_message = match &error {
        Error::Refused(Refusal::Invalid(faults)) => {
            faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect::<Vec<_>>().join("; ")
        }
        error => error.to_string(),
    };
    Diagnostic { error_type: http::code(&error).to_owned(), error_message }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lambda_http::http::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;

    #[test]
    fn who_asked_is_told_without_an_address() {
        // As the Runtime API hands them over.
        let by = |header: &'static str, value: String| {
            let mut headers = HeaderMap::new();
            for (name, value) in [("lambda-runtime-aws-request-id", "id"), ("lambda-runtime-deadline-ms", "1")] {
                headers.insert(name, HeaderValue::from_static(value));
            }
            headers.insert(header, HeaderValue::from_str(&value).unwrap());
            asked_by(&Context::new("id", Arc::default(), &headers).unwrap())
        };
        let operator = |name: &str| {
            let client = json!({"custom": {"operator": name}});
            by("lambda-runtime-client-context", client.to_string())
        };
        assert_eq!(asked_by(&Context::default()), None);
        assert_eq!(operator("ada").as_deref(), Some("ada"));
        assert_eq!(operator("ada@example.com"), None);
        assert_eq!(operator("two\nlines"), None);

        let cognito = json!({"cognitoIdentityId": "eu-west-1:0197a2b4", "cognitoIdentityPoolId": "eu-west-1:1"});
        assert_eq!(by("lambda-runtime-cognito-identity", cognito.to_string()).as_deref(), Some("eu-west-1:0197a2b4"));
    }
}
