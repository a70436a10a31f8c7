//! In front of every route that needs a caller: tells from the access token who it is.

use shared::{
    Error, Result,
    app::TokenApp,
    auth::{Kind, Refused},
    http::{self, Verdict},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::Fatal> {
    http::authorize(handle).await
}

async fn handle(TokenApp { app, keys }: &TokenApp, token: String) -> Result<Verdict> {
    Ok(match keys.verify(Kind::Access, &token, app.now()).await? {
        Ok(grant) => Verdict::Known(grant.into()),
        Err(Refused::Expired) => Verdict::Nobody(Error::TokenExpired),
        Err(Refused::NeverIssued | Refused::UnknownKey) => Verdict::Denied,
    })
}
