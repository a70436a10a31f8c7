//! The life of a request, from the event to the response: the same for every function.

use std::future::Future;

use futures_util::FutureExt;
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, header};
use lambda_runtime::{LambdaEvent, service_fn};

use super::runtime::{DEADLINE, carry_out, start};
use crate::{
    Result,
    app::{FromEnvironment, StartupError},
    http::{self, Event, Request, Response},
    telemetry::{self, Kind, Work},
};

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
    let (app, source) = start::<A>().await?;
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
        Ok::<_, lambda_runtime::Error>(http::to_gateway(
            telemetry::instrument(source, work, answered, |answer| answer.status().as_u16()).await,
        ))
    }))
    .await?;
    Ok(())
}

async fn answer(carried_out: impl Future<Output = Result<Response>>, request_id: &str) -> Response {
    let mut response = carried_out.await.unwrap_or_else(|error| http::problem(&error, request_id));
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
