//! In front of every route that needs a caller: tells from the access token who it is. What they may do is the route's business.

use shared::{
    Error, Result,
    app::AuthorizerApp,
    auth::{Refused, TokenKind, Unverified},
    entry,
    http::Decision,
    store::sessions,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::authorizer::serve(handle).await
}

async fn handle(AuthorizerApp { app, keys }: &AuthorizerApp, token: String) -> Result<Decision> {
    let Some(token) = Unverified::parse(TokenKind::Access, &token) else {
        return Ok(Decision::Deny);
    };

    let authenticated = sessions::authenticate(&app.table, keys, &token, app.now()).await?;

    Ok(match authenticated {
        Ok(Some(claims)) => Decision::Allow(claims.into()),
        Ok(None) => Decision::AllowUnauthenticated(Error::TokenRevoked),
        Err(Refused::Expired) => Decision::AllowUnauthenticated(Error::TokenExpired),
        Err(Refused::NeverIssued | Refused::UnknownKey) => Decision::Deny,
    })
}
