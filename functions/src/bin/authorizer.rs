//! In front of every route that needs a caller: tells from the access token who it is. What they may do is the route's business.

use shared::{
    Error, Result,
    app::TokenApp,
    auth::{Refused, TokenKind},
    entry,
    http::Decision,
    store::sessions,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::authorizer::serve(handle).await
}

async fn handle(TokenApp { app, keys }: &TokenApp, token: String) -> Result<Decision> {
    let now = app.now();
    let claims = match keys.verify(TokenKind::Access, &token, now).await? {
        Ok(claims) => claims,
        Err(Refused::Expired) => return Ok(Decision::AllowUnauthenticated(Error::TokenExpired)),
        Err(Refused::NeverIssued | Refused::UnknownKey) => return Ok(Decision::Deny),
    };

    let session = sessions::find(&app.table, claims.user_id, claims.session_id, now).await?;

    Ok(match session {
        Some(_) => Decision::Allow(claims.into()),
        None => Decision::AllowUnauthenticated(Error::TokenRevoked),
    })
}
