//! `POST /auth/refresh`: a refresh token is exchanged for the next pair of tokens.

use shared::{
    Error, Result,
    app::TokenApp,
    auth::{RefreshRequest, TokenKind},
    domain::Freshness,
    entry,
    http::{self, Request, Response},
    store::sessions,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(TokenApp { app, keys }: &TokenApp, request: Request) -> Result<Response> {
    let RefreshRequest { refresh_token } = request.json()?;
    let now = app.now();
    let claims = keys.verify(TokenKind::Refresh, &refresh_token, now).await?.map_err(|_| Error::InvalidRefreshToken)?;

    let found = sessions::find_with_account(&app.table, claims.user_id, claims.session_id, now).await?;
    let (mut session, account) = found.filter(|(_, account)| account.user.is_active).ok_or(Error::InvalidRefreshToken)?;
    if session.freshness(claims.counter, now) == Freshness::Current {
        session = sessions::rotate(&app.table, &session, &request.source_address(), now).await?;
    }
    // Whoever lost the race for the rotation came a moment later: the token shown has just been replaced.
    if session.freshness(claims.counter, now) == Freshness::Reused {
        sessions::end(&app.table, session.user_id, session.session_id).await?;
        return Err(Error::InvalidRefreshToken);
    }

    http::plain(&keys.ring(now).await?.mint_pair(&session, account.user.role, app.new_token_id(), now)?)
}
