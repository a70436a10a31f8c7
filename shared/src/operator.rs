//! Functions without a route, which an operator invokes with IAM rights.

use futures_util::FutureExt;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    Error, Result,
    app::FromEnvironment,
    domain::{Fields, FromFields},
    http::{self, Fatal},
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
    let app: &'static A = http::start()?;
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let input = Fields::parse(event.payload.get().as_bytes()).map_err(failure)?;
        // Boxed: the types of the futures below are nested deeper than the compiler follows.
        handler(app, input).boxed_local().await.map_err(failure)
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
