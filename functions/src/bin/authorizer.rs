//! In front of every route that needs a caller: tells from the access token who it is. What they may do is the route's business.

use shared::{
    Error, Result,
    app::TokenApp,
    auth::{Kind, Refused},
    http::{self, Verdict},
    store::sessions,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::Fatal> {
    http::authorize(handle).await
}

async fn handle(TokenApp { app, keys }: &TokenApp, token: String) -> Result<Verdict> {
    let now = app.now();
    let grant = match keys.verify(Kind::Access, &token, now).await? {
        Ok(grant) => grant,
        Err(Refused::Expired) => return Ok(Verdict::Nobody(Error::TokenExpired)),
        Err(Refused::NeverIssued | Refused::UnknownKey) => return Ok(Verdict::Denied),
    };

    let session = sessions::find(&app.table, grant.user_id, grant.session_id, now).await?;

    Ok(match session {
        Some(_) => Verdict::Known(grant.into()),
        None => Verdict::Nobody(Error::TokenRevoked),
    })
}
