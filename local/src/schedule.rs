//! Functions that the clock calls: the template's schedules, with the events that AWS would send.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::ids;
use crate::intrinsics::{ACCOUNT, REGION};
use crate::lambda::{Function, Lambda, Outcome};
use crate::log::{Log, Run};
use crate::template::Schedule;

/// Every so many minutes, hours or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(Duration);

impl Rate {
    pub fn period(self) -> Duration {
        self.0
    }
}

impl FromStr for Rate {
    type Err = String;

    /// Reads `rate(1 minute)` and `rate(5 minutes)`: AWS insists on the right grammar.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("cron(") || text.starts_with("at(") {
            return Err(format!("{text}: only rate(…) can run here"));
        }
        let rate = || {
            let (number, unit) = text.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
            let number: u32 = number.parse().ok().filter(|number| *number > 0)?;
            let singular = if number == 1 { unit } else { unit.strip_suffix('s')? };
            let period = match singular {
                "minute" => Duration::from_mins(1),
                "hour" => Duration::from_hours(1),
                "day" => Duration::from_hours(24),
                _ => return None,
            };
            Some(Self(period.checked_mul(number)?))
        };
        rate().ok_or_else(|| format!("{text} is no rate such as rate(1 minute), rate(5 minutes) or rate(2 days)"))
    }
}

/// Calls the function again and again, the first time one period from now, until the shop stops.
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
        log.run(&Run {
            schedule: schedule.expression.clone(),
            cold: invocation.is_cold(),
            function: invocation.function,
            duration: invocation.duration,
            calls: invocation.calls,
        });
        // What is interrupted at the end of the shop has not failed.
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
        "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}")],
        "detail": {},
    })
    .to_string()
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        for (text, minutes) in [
            ("rate(1 minute)", 1),
            ("rate(15 minutes)", 15),
            ("rate(1 hour)", 60),
            ("rate(12 hours)", 720),
            ("rate(1 day)", 1440),
            ("rate(7 days)", 10_080),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap().period(), Duration::from_mins(minutes), "{text}");
        }
    }

    #[test]
    fn other_expressions_are_refused() {
        for text in [
            "",
            "rate()",
            "rate(5)",
            "rate(0 minutes)",
            "rate(-1 minutes)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(5 seconds)",
            "rate(1.5 hours)",
            "rate( 5 minutes)",
            "rate(5 minutes",
            "rate(5 minutess)",
            "5 minutes",
        ] {
            let reason = text.parse::<Rate>().unwrap_err();
            assert!(reason.contains("is no rate"), "{text}: {reason}");
        }
        let reason = "cron(0 12 * * ? *)".parse::<Rate>().unwrap_err();
        assert_eq!(reason, "cron(0 12 * * ? *): only rate(…) can run here");
    }
}
