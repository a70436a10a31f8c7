//! Functions without a route, which an operator invokes with IAM rights.

use futures_util::{FutureExt, TryFutureExt};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    Error, Result,
    app::FromEnvironment,
    domain::{Fields, FromFields},
    http::{self, Fatal},
    telemetry::{self, Kind, Work},
};

/// Runs `handler` for every invocation until Lambda stops the environment. What it refuses becomes a function error whose
/// type is the code that the API uses for the same thing.
pub async fn serve<A, F, Fut, I, O>(handler: F) -> Result<(), Fatal>
where
    A: FromEnvironment + Sync + 'static,
    F: Fn(&'static A, I) -> Fut,
    Fut: Future<Output = Result<O>>,
    I: FromFields,
    O: Serialize,
{
    let (app, source) = http::start::<A>()?;
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let (payload, context) = event.into_parts();
        let work =
            Work { kind: Kind::Operation, request_id: context.request_id, route: String::new(), trace: context.xray_trace_id };
        let carried_out = async {
            let input = Fields::parse(payload.get().as_bytes())?;
            // Boxed: the types of the futures below are nested deeper than the compiler follows.
            handler(app, input).boxed_local().await
        };
        let noted = carried_out.inspect_err(http::report);
        let status = |outcome: &Result<O>| outcome.as_ref().map_or_else(http::status, |_| 200);
        telemetry::observe(source, work, noted, status).await.map_err(failure)
    }))
    .await
}

fn failure(error: Error) -> Diagnostic {
    let error_message = match &error {
        Error::Invalid(faults) => {
            faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect::<Vec<_>>().join("; ")
        }
        error => error.to_string(),
    };
    Diagnostic { error_type: http::code(&error).to_owned(), error_message }
}
