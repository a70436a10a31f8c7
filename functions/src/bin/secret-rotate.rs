//! No route, run by a schedule every day: the secret that signs tokens gets a new value when it is old, and its public key is told to
//! whoever checks tokens. Nobody is logged out by it.
//!
//! A run that fails is made up for by the next day's, and two at once make one new key. `{"force": true}` is for a secret that leaked:
//! the new key is the only one at once, and everybody has to log in again.

use serde::Serialize;
use shared::{
    Result,
    app::{RotationApp, TokenApp},
    domain::Rotation,
    entry,
    store::signing_keys,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::operator::serve(handle).await
}

/// What a run has done.
#[derive(Serialize)]
struct Report {
    rotated: bool,
}

async fn handle(RotationApp { tokens: TokenApp { app, keys }, days }: &RotationApp, order: Rotation) -> Result<Report> {
    let rotated = signing_keys::rotate(&app.table, keys, *days, order.force, app.now()).await?;

    Ok(Report { rotated })
}
