//! The authorizer's side of the wire: what it is asked by the gateway, and how its answer reaches the functions.

use std::collections::HashMap;

use futures_util::FutureExt;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};

use super::{
    problem,
    serve::{DEADLINE, carry_out, start},
};
use crate::{
    Error, Result,
    app::{self, FromEnvironment, StartupError},
    auth::TokenClaims,
    domain::Caller,
    telemetry::{self, Kind, Work, record},
};

/// What the authorizer decides about a token.
#[derive(Debug)]
pub enum Decision {
    /// A caller with a session.
    Allow(Caller),
    /// A token that we issued and that is good no more, or cannot be checked now. The request is let through to its function
    /// without a caller, and the function answers this error: the gateway alone could only say 403.
    AllowUnauthenticated(Error),
    /// Not a token of ours: the gateway answers 403.
    Deny,
}

impl From<TokenClaims> for Caller {
    fn from(claims: TokenClaims) -> Self {
        Self { user_id: claims.user_id, role: claims.role, session_id: claims.session_id }
    }
}

impl Decision {
    /// What the client is answered because of it; 200 if it is let through.
    fn status(&self) -> u16 {
        match self {
            Self::Allow(_) => 200,
            Self::AllowUnauthenticated(error) => problem::status(error),
            Self::Deny => 403,
        }
    }

    /// What the functions find in `requestContext.authorizer.lambda`.
    fn context(&self) -> Option<HashMap<&'static str, String>> {
        match self {
            Self::Allow(caller) => Some(HashMap::from([
                ("user_id", caller.user_id.to_string()),
                ("role", caller.role.as_str().to_owned()),
                ("session_id", caller.session_id.to_string()),
            ])),
            Self::AllowUnauthenticated(error) => {
                let reason = match error {
                    Error::TokenExpired => "expired",
                    Error::TokenRevoked => "revoked",
                    _ => "unavailable",
                };
                Some(HashMap::from([("refused", reason.to_owned())]))
            }
            Self::Deny => None,
        }
    }

    /// Reads the caller back out of that context. Anything but a whole caller is nobody.
    pub(super) fn from_context<'a>(field: impl Fn(&'static str) -> Option<&'a str>) -> Result<Caller> {
        match field("refused") {
            Some("expired") => return Err(Error::TokenExpired),
            Some("revoked") => return Err(Error::TokenRevoked),
            Some("unavailable") => return Err(Error::Unavailable("the token could not be checked".into())),
            Some(_) => return Err(Error::Unauthenticated),
            None => {}
        }
        let caller = || {
            Some(Caller {
                user_id: field("user_id")?.parse().ok()?,
                role: field("role")?.parse().ok()?,
                session_id: field("session_id")?.parse().ok()?,
            })
        };
        caller().ok_or(Error::Unauthenticated)
    }
}

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
    context: Option<HashMap<&'static str, String>>,
}

/// Runs `handler` for the bearer token of every request until Lambda stops the environment. A handler that fails, panics
/// or takes too long lets nobody in.
pub async fn authorize<A, F, Fut>(handler: F) -> Result<(), StartupError>
where
    A: FromEnvironment + Sync + 'static,
    F: Fn(&'static A, String) -> Fut,
    Fut: Future<Output = Result<Decision>>,
{
    let (app, source) = start::<A>()?;
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
            Decision::AllowUnauthenticated(error) => problem::report(error),
            Decision::Deny => {}
        });
        let work = Work { kind: Kind::Authorization, request_id, route, trace: event.context.xray_trace_id };
        let decision = telemetry::instrument(source, work, reported, Decision::status).await;
        if let Decision::AllowUnauthenticated(error) = &decision
            && cached
            && decision.status() >= 500
        {
            return Err(not_to_be_cached(error));
        }
        Ok(AuthorizerResponse { is_authorized: !matches!(decision, Decision::Deny), context: decision.context() })
    }))
    .await?;
    Ok(())
}

/// Fails the function, which the gateway answers with a bare 500: an answer that it keeps would go on refusing a good token long
/// after it can be checked again.
fn not_to_be_cached(error: &Error) -> Diagnostic {
    Diagnostic { error_type: problem::code(error).to_owned(), error_message: "the token could not be checked".to_owned() }
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
    use crate::domain::Role;

    fn read_back(decision: &Decision) -> Result<Caller> {
        let context = decision.context().unwrap_or_default();
        Decision::from_context(|name| context.get(name).map(String::as_str))
    }

    #[test]
    fn only_a_whole_caller_comes_through() {
        let caller = Caller {
            user_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f".parse().unwrap(),
            role: Role::Admin,
            session_id: "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e10".parse().unwrap(),
        };
        assert_eq!(read_back(&Decision::Allow(caller)).unwrap(), caller);
        assert!(matches!(read_back(&Decision::AllowUnauthenticated(Error::TokenExpired)), Err(Error::TokenExpired)));
        assert!(matches!(read_back(&Decision::AllowUnauthenticated(Error::TokenRevoked)), Err(Error::TokenRevoked)));
        assert!(matches!(read_back(&Decision::AllowUnauthenticated(Error::Internal(String::new()))), Err(Error::Unavailable(_))));
        assert!(matches!(read_back(&Decision::Deny), Err(Error::Unauthenticated)));

        let whole = Decision::Allow(caller).context().unwrap();
        for missing in whole.keys() {
            let part = |name| whole.get(name).map(String::as_str).filter(|_| name != *missing);
            assert!(matches!(Decision::from_context(part), Err(Error::Unauthenticated)), "without {missing}");
        }
    }

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
