//! No route, called with the table's stream: tells on the bus what has happened in the shop, in the order in which it did.
//!
//! What is committed is in the stream, and nothing else is. A record that was told and is handed over again is told again, as the
//! same event.

use shared::{
    app::EventApp,
    entry::{self, stream::Progress},
    store::stream::{self, Record},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::stream::serve(handle).await
}

async fn handle(app: &EventApp, records: Vec<Record>) -> Progress {
    let told = stream::tell(&app.app.table, &records, app.app.now()).await;
    let (positions, events): (Vec<_>, Vec<_>) = told.events.into_iter().unzip();
    let put = app.bus.put(events).await;

    match (put.failed, told.failed) {
        (Some(error), _) => Progress { records: positions[put.events], failed: Some(error) },
        (None, Some((position, error))) => Progress { records: position, failed: Some(error) },
        (None, None) => Progress { records: records.len(), failed: None },
    }
}
