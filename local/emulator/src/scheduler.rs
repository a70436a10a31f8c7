//! EventBridge's schedules: calls functions at the rates that the template gives, with the events that AWS would send.

use std::sync::Arc;

use axum::body::Bytes;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::ids;
use crate::lambda::{Function, Lambda, Outcome};
use crate::log::{Log, ScheduledRun};
use crate::names::{ACCOUNT, REGION, arn};
use crate::template::Schedule;

/// Calls the function again and again, the first time one period from now, until the emulator stops.
///
/// A run that takes longer than the period delays the next one.
pub async fn run(schedule: Schedule, lambda: Arc<Lambda>, log: Arc<Log>, stop: CancellationToken) {
    let Some(function) = lambda.find(&schedule.function) else {
        return;
    };
    let period = schedule.rate.period();
    let mut clock = tokio::time::interval_at(Instant::now() + period, period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(clock.tick()).await.is_some() {
        let invocation = lambda.invoke(function, event(&schedule, function), ids::trace()).await;
        let failed = match &invocation.outcome {
            Outcome::Payload(_) => None,
            Outcome::Error(failure) => Some(format!("{}: {}", failure.error_type, failure.error_message)),
            Outcome::TimedOut => Some("timed out".to_owned()),
        };
        log.run(&ScheduledRun {
            at: ids::now_millis(),
            schedule: schedule.expression.clone(),
            cold: invocation.is_cold(),
            function: invocation.function,
            duration: invocation.duration,
            usage: invocation.usage,
        });
        // What is interrupted when the emulator stops has not failed.
        if let Some(failed) = failed.filter(|_| !stop.is_cancelled()) {
            log.line(&function.template.binary, &format!("{} failed: {failed}", schedule.expression));
        }
    }
}

/// What the function is called with: the schedule's own input, or an event that says what time it is.
fn event(schedule: &Schedule, function: &Function) -> Bytes {
    if let Some(input) = &schedule.input {
        return input.clone().into();
    }
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let rule = format!("{}{}", function.template.name, schedule.name);
    json!({
        "version": "0",
        "id": ids::uuid(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": now.format(&Rfc3339).unwrap_or_default(),
        "region": REGION,
        "resources": [arn("events", &format!("rule/{rule}"))],
        "detail": {},
    })
    .to_string()
    .into()
}
