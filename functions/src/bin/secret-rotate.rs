//! No route, run by a schedule: the secret that signs tokens gets a new value. Nobody is logged out by it.
//!
//! A secret younger than the oldest refresh token is left alone, so that a repeated run does no harm; `{"force": true}` replaces
//! it all the same, and twice in a row ends every session.

use serde::Serialize;
use shared::{Result, app::TokenApp, domain::Rotation, http, operator};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::Fatal> {
    operator::serve(handle).await
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
