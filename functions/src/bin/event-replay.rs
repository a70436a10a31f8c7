//! No route, invoked with IAM rights: tells on the bus how everything of one kind is now, for those who have missed what became of it.
//!
//! `{"kind": "products" | "orders" | "movements" | "accounts", "cursor"?}` is answered with `{"published", "next_cursor"}`: one run tells for as
//! long as a part of its time, and the cursor goes on from there. The events have the ids of those that told the same before.

use std::time::{Duration, Instant};

use serde::Serialize;
use shared::{
    Error, Result,
    app::EventApp,
    domain::{Replay, Replayed},
    entry,
    store::replay,
};

/// How long one run goes on before it leaves the rest to the next.
const RUN: Duration = Duration::from_secs(40);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::operator::serve(handle).await
}

/// What a run has done.
#[derive(Serialize)]
struct Report {
    published: usize,
    /// For `cursor` of the next run; `null` at the end.
    next_cursor: Option<String>,
}

async fn handle(app: &EventApp, replay: Replay) -> Result<Report> {
    let started = Instant::now();
    let (mut published, mut cursor) = (0, replay.cursor.map(|cursor| cursor.0));

    loop {
        let (events, next) = match replay.kind {
            Replayed::Products => replay::products(&app.app.table, cursor.as_deref()).await?,
            Replayed::Orders => replay::orders(&app.app.table, cursor.as_deref()).await?,
            Replayed::Accounts => replay::accounts(&app.app.table, cursor.as_deref()).await?,
            Replayed::Movements => replay::movements(&app.app.table, cursor.as_deref()).await?,
        };
        let put = app.bus.put(events).await;
        published += put.events;
        if let Some(error) = put.failed {
            // Whoever asks again with the cursor that they had loses nothing.
            return Err(Error::Unavailable(format!("{published} events were published, and then no more: {error}")));
        }
        cursor = next;
        if cursor.is_none() || started.elapsed() > RUN {
            return Ok(Report { published, next_cursor: cursor });
        }
    }
}
