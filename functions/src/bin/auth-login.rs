//! `POST /auth/login`: whoever knows the password gets a session and its first tokens.

use shared::{
    Error, Result,
    app::TokenApp,
    auth::Credentials,
    domain::Session,
    http::{self, Request, Response},
    store::{sessions, users},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), http::Fatal> {
    http::serve(handle).await
}

/// Unknown, wrong and inactive take the same steps, the same time and the same answer.
async fn handle(TokenApp { app, keys }: &TokenApp, request: Request) -> Result<Response> {
    let Credentials { login, password } = request.json()?;
    let now = app.now();

    let owner = sessions::before_login(&app.table, &login, now).await?;
    let account = users::find(&app.table, owner.unwrap_or_else(|| app.new_id())).await?;
    let verified = password.verify(account.as_ref().map(|account| account.password.clone())).await?;
    let (Some(account), Some(password)) = (account.filter(|account| account.user.is_active), verified) else {
        sessions::count_failure(&app.table, &login, now).await?;
        return Err(Error::InvalidCredentials);
    };

    let rehashed = if account.password.is_outdated() { Some(password.hash().await?) } else { None };
    let session = Session::new(app.new_id(), account.user.user_id, now);
    let tokens = keys.ring(now).await?.mint_pair(&session, account.user.role, app.new_token_id(), now)?;
    sessions::start(&app.table, &session, &login, &account, rehashed.as_ref(), now).await?;

    http::plain(&tokens)
}
