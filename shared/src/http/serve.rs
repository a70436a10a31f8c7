//! The life of a request, from the event to the response: the same for every function.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, header};
use lambda_runtime::{LambdaEvent, service_fn};

use super::{
    event::{self, Event},
    problem,
    request::Request,
    response::{Response, replay},
};
use crate::{
    Error, Result,
    app::{self, FromEnvironment, StartupError},
    telemetry::{self, Kind, Source, Work},
};

// `carry_out` turns panics into answers, and without unwinding it cannot.
#[cfg(not(panic = "unwind"))]
compile_error!("functions must be built with `panic = \"unwind\"`");

/// The longest that a request may take. Two database calls may each stay within their own limits and still be too long together.
pub(super) const DEADLINE: Duration = Duration::from_millis(3_500);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs `handler` for every request until Lambda stops the environment.
///
/// Whatever the handler does, the caller gets a response: errors, panics and requests that take too long become problems.
pub async fn serve<A, F, Fut>(handler: F) -> Result<(), StartupError>
where
    A: FromEnvironment + Sync + 'static,
    F: Fn(&'static A, Request) -> Fut,
    Fut: Future<Output = Result<Response>>,
{
    let (app, source) = start::<A>()?;
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| async move {
        let request = Request::new(event.payload);
        let work = Work {
            kind: Kind::Request,
            request_id: request.id().to_owned(),
            route: request.route().to_owned(),
            trace: event.context.xray_trace_id,
        };
        let request_id = request.id().to_owned();
        // Boxed: the types of the futures below are nested deeper than the compiler follows.
        let carried_out = carry_out(handler(app, request), DEADLINE).boxed_local();
        let answered = answer(carried_out, &request_id);
        Ok::<_, lambda_runtime::Error>(event::answer(
            telemetry::instrument(source, work, answered, |answer| answer.status().as_u16()).await,
        ))
    }))
    .await?;
    Ok(())
}

/// What every function does first: its app and the source of its log lines, for as long as the process lives.
pub(crate) fn start<A: FromEnvironment>() -> Result<(&'static A, &'static Source), StartupError> {
    // For what the libraries have to say; our own lines are made by `telemetry`.
    tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_span_list(false).with_target(false).init();
    let started = A::from_environment().and_then(|app| Ok((app, app::source()?)));
    // The runtime would only show that the process ended.
    let (app, source) = started.inspect_err(|error| tracing::error!("the function cannot start: {error}"))?;
    Ok((Box::leak(Box::new(app)), Box::leak(Box::new(source))))
}

/// Waits for the handler, no longer than `limit` and not trusting it.
pub(crate) async fn carry_out<T>(handler: impl Future<Output = Result<T>>, limit: Duration) -> Result<T> {
    match tokio::time::timeout(limit, AssertUnwindSafe(handler).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Error::Internal(format!("panicked: {}", message(&*panic)))),
        Err(_) => Err(Error::TookTooLong("the work")),
    }
}

async fn answer(carried_out: impl Future<Output = Result<Response>>, request_id: &str) -> Response {
    let mut response = match carried_out.await {
        Err(Error::IdempotentReplay(kept)) => replay(&kept).unwrap_or_else(|error| problem::response(&error, request_id)),
        Err(error) => problem::response(&error, request_id),
        Ok(response) => response,
    };
    on_every_answer(response.headers_mut(), request_id);
    response
}

fn on_every_answer(headers: &mut HeaderMap, request_id: &str) {
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Data is nothing to load or to frame anything with; pages have a policy of their own.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains"));
    headers.extend(HeaderValue::from_str(request_id).map(|id| (REQUEST_ID, id)));
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_or_takes_too_long_becomes_an_error() {
        let limit = Duration::from_millis(20);
        let panicked = carry_out(async { if limit.is_zero() { Ok(()) } else { panic!("as it was asked to") } }, limit).await;
        assert!(matches!(&panicked, Err(Error::Internal(text)) if text == "panicked: as it was asked to"), "{panicked:?}");
        let late = carry_out(std::future::pending::<Result>(), limit).await;
        assert!(matches!(late, Err(Error::TookTooLong(_))), "{late:?}");
        assert_eq!(carry_out(async { Ok(7) }, limit).await.unwrap(), 7);
    }
}
