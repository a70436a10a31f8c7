//! `POST /auth/refresh`: a refresh token is exchanged for the next pair of tokens.

use shared::{
    Error, Result,
    app::TokenApp,
    auth::{RefreshRequest, TokenClaims, TokenKind, Unverified},
    domain::Freshness,
    entry,
    http::{self, Request, Response},
    store::{
        sessions::{self, Refreshable},
        signing_keys,
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(TokenApp { app, keys }: &TokenApp, request: Request) -> Result<Response> {
    let RefreshRequest { refresh_token } = request.json()?;
    let now = app.now();
    let token = Unverified::parse(TokenKind::Refresh, &refresh_token).ok_or(Error::InvalidRefreshToken)?;

    let TokenClaims { user_id, session_id, .. } = *token.claims();
    let read = sessions::find_with_account(&app.table, user_id, session_id, now);
    let (read, ()) = tokio::join!(read, keys.look_ahead());
    let (found, keyring) = read?;
    let claims = keyring.verify(TokenKind::Refresh, &token, now).map_err(|_| Error::InvalidRefreshToken)?;
    let Refreshable { mut session, user } = found.filter(|found| found.user.is_active).ok_or(Error::InvalidRefreshToken)?;

    if session.freshness(claims.counter, now) == Freshness::Current {
        session = sessions::rotate(&app.table, &session, &request.source_address(), now).await?;
    }
    // Whoever lost the race for the rotation came a moment later: the token shown has just been replaced.
    if session.freshness(claims.counter, now) == Freshness::Reused {
        sessions::end(&app.table, session.user_id, session.session_id).await?;
        return Err(Error::InvalidRefreshToken);
    }

    let key = signing_keys::signer(keys, &keyring, now).await?.ok_or(Error::InvalidRefreshToken)?;
    http::plain(&key.mint_pair(&session, user.role, app.new_token_id(), now)?)
}
