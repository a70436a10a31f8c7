//! `GET /.well-known/jwks.json`: the public keys of access tokens, so that other services can check them by themselves.

use shared::{
    App, Result,
    auth::KeySet,
    entry,
    http::{self, Request, Response},
    store::signing_keys,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, _: Request) -> Result<Response> {
    let ring = signing_keys::read(&app.table).await?;

    http::kept_for(300, &KeySet::from(&ring))
}
