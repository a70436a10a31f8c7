//! No route, run by a schedule every day: the secret that signs tokens gets a new value when it is old. Nobody is logged out by it.
//!
//! A run that fails is made up for by the next day's, and two at once make one new value. `{"force": true}` replaces a young one
//! too, and twice in a row ends every session.

use serde::Serialize;
use shared::{Result, app::TokenApp, domain::Rotation, entry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::operator::serve(handle).await
}

/// What a run has done.
#[derive(Serialize)]
struct Report {
    rotated: bool,
}

async fn handle(TokenApp { app, keys }: &TokenApp, order: Rotation) -> Result<Report> {
    let rotated = keys.rotate(order.force, app.now()).await?;

    Ok(Report { rotated })
}
