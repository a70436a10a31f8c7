//! `POST /auth/login`: whoever knows the password gets a session and its first tokens.

use shared::{
    Error, Result,
    app::TokenApp,
    auth::Credentials,
    domain::Session,
    entry,
    http::{self, Request, Response},
    store::sessions,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

/// Unknown, wrong and inactive take the same steps, the same time and the same answer.
async fn handle(TokenApp { app, keys }: &TokenApp, request: Request) -> Result<Response> {
    let Credentials { login, password } = request.json()?;
    let (address, now) = (request.source_address(), app.now());

    let per_address = app.attempts_per_address();
    let attempt = sessions::attempt(&app.table, &login, &address, per_address, app.new_id(), now).await?;
    let verified = password.verify(attempt.account.as_ref().map(|account| account.password.clone())).await?;
    let account = attempt.account.as_ref().filter(|account| account.user.is_active);
    let (Some(account), Some(password)) = (account, verified) else {
        attempt.fail(&app.table, now).await?;
        return Err(Error::InvalidCredentials);
    };

    let rehashed = if account.password.is_outdated() { Some(password.hash().await?) } else { None };
    let session = Session::new(app.new_id(), account.user.user_id, address.clone(), now);
    let tokens = keys.ring(now).await?.mint_pair(&session, account.user.role, app.new_token_id(), now)?;
    sessions::start(&app.table, &session, &attempt, account, rehashed.as_ref(), now).await?;

    http::plain(&tokens)
}
