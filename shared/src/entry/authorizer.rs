//! The authorizer's side of the wire: what it is asked by the gateway, and how its answer reaches the functions.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};

use super::runtime::{DEADLINE, carry_out, start};
use crate::{
    Error, Result,
    app::{self, FromEnvironment, StartupError},
    http::{self, Decision},
    telemetry::{self, Kind, Work, record},
};

/// The part of the gateway's question (payload 2.0) that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerEvent {
    /// The headers that template.yaml names as identity, here `Authorization`.
    #[serde(default)]
    identity_source: Vec<String>,
    #[serde(default)]
    route_key: String,
    #[serde(default)]
    request_context: Context,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Context {
    request_id: String,
}

/// The "simple response" of a Lambda authorizer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerResponse {
    is_authorized: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<BTreeMap<&'static str, String>>,
}

/// Runs `handler` for the bearer token of every request until Lambda stops the environment. A handler that fails, panics
/// or takes too long lets nobody in.
pub async fn serve<A, F, Fut>(handler: F) -> Result<(), StartupError>
where
    A: FromEnvironment + Sync + 'static,
    F: Fn(&'static A, String) -> Fut,
    Fut: Future<Output = Result<Decision>>,
{
    let (app, source) = start::<A>().await?;
    let cached = app::authorizer_is_cached()?;
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<AuthorizerEvent>| async move {
        let AuthorizerEvent { identity_source, route_key: route, request_context: Context { request_id } } = event.payload;
        let decided = async {
            match bearer(&identity_source) {
                // Boxed: the types of the futures below are nested deeper than the compiler follows.
                Some(token) => carry_out(handler(app, token.to_owned()), DEADLINE)
                    .boxed_local()
                    .await
                    .unwrap_or_else(Decision::AllowUnauthenticated),
                None => Decision::Deny,
            }
        };
        let reported = decided.inspect(|decision| match decision {
            Decision::Allow(caller) => record(|metrics| metrics.user_id = Some(caller.user_id)),
            Decision::AllowUnauthenticated(error) => http::report(error),
            Decision::Deny => {}
        });
        let work = Work { kind: Kind::Authorization, request_id, route, trace: event.context.xray_trace_id };
        let decision = telemetry::instrument(source, work, reported, status).await;
        if let Decision::AllowUnauthenticated(error) = &decision
            && cached
            && http::status(error) >= 500
        {
            return Err(not_to_be_cached(error));
        }
        Ok(AuthorizerResponse { is_authorized: !matches!(decision, Decision::Deny), context: decision.context() })
    }))
    .await?;
    Ok(())
}

/// What the client is answered because of a decision; 200 if it is let through.
fn status(decision: &Decision) -> u16 {
    match decision {
        Decision::Allow(_) => 200,
        Decision::AllowUnauthenticated(error) => http::status(error),
        Decision::Deny => 403,
    }
}

/// Fails the function, which the gateway answers with a bare 500: an answer that it keeps would go on refusing a good token long
/// after it can be checked again.
fn not_to_be_cached(error: &Error) -> Diagnostic {
    Diagnostic { error_type: http::code(error).to_owned(), error_message: "the token could not be checked".to_owned() }
}

/// The token of `Authorization: Bearer <token>`; the scheme is case-insensitive (RFC 9110, 11.1).
fn bearer(identity_source: &[String]) -> Option<&str> {
    let [header] = identity_source else {
        return None;
    };
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_bearer() {
        let token = |header: &str| bearer(&[header.to_owned()]).map(str::to_owned);
        assert_eq!(token("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(token("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(token("Basic abc"), None);
        assert_eq!(token("abc"), None);
        assert_eq!(bearer(&[]), None);
    }
}
