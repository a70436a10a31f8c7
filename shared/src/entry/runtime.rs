//! What every function does: start once, and carry work out that it does not trust.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;

use crate::{
    Error, Result,
    app::{self, FromEnvironment, StartupError},
    domain::Timestamp,
    telemetry::Source,
};

// `carry_out` turns panics into answers, and without unwinding it cannot.
#[cfg(not(panic = "unwind"))]
compile_error!("functions must be built with `panic = \"unwind\"`");

/// The longest that a request may take. Two database calls may each stay within their own limits and still be too long together.
pub const DEADLINE: Duration = Duration::from_millis(3_500);

/// What every function does first: its app and the source of its log lines, for as long as the process lives.
pub async fn start<A: FromEnvironment + 'static>() -> Result<(&'static A, &'static Source), StartupError> {
    // For what the libraries have to say; our own lines are made by `telemetry`.
    tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false).with_span_list(false).with_target(false).init();
    let started = A::from_environment().await.and_then(|app| Ok((app, app::source()?)));
    // The runtime would only show that the process ended.
    let (app, source) = started.inspect_err(|error| tracing::error!("the function cannot start: {error}"))?;
    Ok((Box::leak(Box::new(app)), Box::leak(Box::new(source))))
}

/// How long the work may take: until a second before Lambda would end it, without a word of why.
pub fn time_left(deadline: u64, now: Timestamp) -> Duration {
    let now = u64::try_from(now.millis()).unwrap_or_default();
    Duration::from_millis(deadline.saturating_sub(now).saturating_sub(1000).max(100))
}

/// Waits for the handler, no longer than `limit` and not trusting it.
pub async fn carry_out<T>(handler: impl Future<Output = Result<T>>, limit: Duration) -> Result<T> {
    match tokio::time::timeout(limit, AssertUnwindSafe(handler).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Error::Internal(format!("panicked: {}", message(&*panic)))),
        Err(_) => Err(Error::TookTooLong("the work")),
    }
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

    #[test]
    fn work_ends_before_lambda_would_end_it() {
        let now = Timestamp::from_millis(1_000_000);
        assert_eq!(time_left(1_010_000, now), Duration::from_secs(9));
        assert_eq!(time_left(1_120_000, now), Duration::from_secs(119));
        assert_eq!(time_left(1_000_000, now), Duration::from_millis(100));
        assert_eq!(time_left(0, now), Duration::from_millis(100));
    }

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
