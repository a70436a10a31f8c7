//! No route, called by Amazon SES through EventBridge: an address that cannot be reached, or whose owner complained, is sent nothing more.
//!
//! An operator takes that back with `{"deliverable": "ada@example.com"}`.

use serde::Serialize;
use shared::{App, Result, domain::MailFeedback, entry, store::users};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::operator::serve(handle).await
}

/// What a run has done.
#[derive(Default, Serialize)]
struct Report {
    /// Addresses of accounts that were marked, or are marked no more.
    marked: usize,
}

async fn handle(app: &App, feedback: MailFeedback) -> Result<Report> {
    let mut report = Report::default();
    for address in &feedback.undeliverable {
        report.marked += usize::from(users::mark(&app.table, address, false, app.now()).await?);
    }
    if let Some(address) = &feedback.deliverable {
        report.marked += usize::from(users::mark(&app.table, address, true, app.now()).await?);
    }
    Ok(report)
}
