//! No route, run by a schedule: cancels PENDING orders that nobody has touched for long, so that their stock can be sold.
//!
//! It does a bounded amount of work; what is left is the next run's. Two runs at once do no harm: each order is cancelled from
//! the very version that was found, or left alone.

use serde::Serialize;
use shared::{
    App, Error, Result,
    domain::{Actor, Expiry, Reason, Status, StatusChange},
    http, operator,
    store::orders,
};

/// Orders that one run cancels at most: well within the time it has.
const MAX_ORDERS: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::Fatal> {
    operator::serve(handle).await
}

/// What a run has done.
#[derive(Default, Serialize)]
struct Report {
    cancelled: usize,
    /// Orders that somebody touched after all.
    spared: usize,
}

async fn handle(app: &App, _: Expiry) -> Result<Report> {
    let mut report = Report::default();
    let Some(cutoff) = app.expiry_cutoff() else {
        return Ok(report);
    };
    let reason = Reason::parse("expired").map_err(Error::Internal)?;
    let cancel = StatusChange { status: Status::Cancelled, reason: Some(reason), restock: false };

    for order in orders::forgotten(&app.table, cutoff, MAX_ORDERS).await? {
        let version = [order.version];
        match orders::change_status(&app.table, order.order_id, &cancel, &Actor::Shop, Some(&version), app.now()).await {
            Ok(_) => report.cancelled += 1,
            Err(Error::Stale | Error::NotFound(_)) => report.spared += 1,
            Err(error) => return Err(error),
        }
    }

    Ok(report)
}
