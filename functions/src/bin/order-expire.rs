//! No route, run by a schedule: cancels PENDING orders whose hold on their stock has ended, so that it can be sold.
//!
//! Two runs at once do no harm: each order is cancelled from the version that was read, or left alone. An order that cannot be
//! cancelled is counted and passed over, so that it keeps nothing back behind it; the run fails at its end.

use std::time::{Duration, Instant};

use serde::Serialize;
use shared::{
    App, Error, Result,
    domain::Expiry,
    entry,
    store::orders::{self, Walk},
};

/// How long one run goes on before it leaves the rest to the next.
const RUN: Duration = Duration::from_secs(40);

/// Orders in a row for which the database does not answer, until a run gives up: the others would have to wait as well.
const MAX_UNANSWERED: usize = 3;

/// Names of orders that a report of failure has room for.
const NAMED: usize = 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::operator::serve(handle).await
}

/// What a run has done.
#[derive(Default, Serialize)]
struct Report {
    cancelled: usize,
    /// Orders that somebody changed or took a step further after all.
    spared: usize,
}

async fn handle(app: &App, _: Expiry) -> Result<Report> {
    let started = Instant::now();
    let mut report = Report::default();
    let Some(ended) = app.order_policy.ended_holds(app.now()) else {
        return Ok(report);
    };
    let mut failures: Vec<String> = Vec::new();
    let mut unanswered = 0;

    let mut walk = Some(Walk::default());
    while let Some(here) = walk.take().filter(|_| started.elapsed() < RUN) {
        let (orders, next) = orders::ended(&app.table, &ended, here).await?;
        for order_id in orders {
            let expired = orders::expire(&app.table, order_id, &ended, app.now()).await;
            unanswered = if matches!(expired, Err(Error::Unavailable(_))) { unanswered + 1 } else { 0 };
            match expired {
                Ok(true) => report.cancelled += 1,
                Ok(false) => report.spared += 1,
                Err(error) if unanswered == MAX_UNANSWERED => return Err(error),
                Err(error) => failures.push(format!("{order_id}: {error}")),
            }
        }
        walk = next;
    }

    if failures.is_empty() {
        return Ok(report);
    }
    let (cancelled, failed) = (report.cancelled, failures.len());
    failures.truncate(NAMED);
    let named = failures.join("; ");
    Err(Error::Internal(format!("{cancelled} orders were cancelled, {failed} could not be: {named}")))
}
