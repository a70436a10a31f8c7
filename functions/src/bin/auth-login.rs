//! `POST /auth/login`: whoever knows the password gets a session and its first tokens.

use shared::{
    Error, Result,
    app::TokenApp,
    auth::Credentials,
    domain::{Session, VerifiedEmail},
    entry,
    http::{self, Request, Response},
    store::{sessions, signing_keys},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(TokenApp { app, keys }: &TokenApp, request: Request) -> Result<Response> {
    let Credentials { login, password } = request.json()?;
    let (address, now) = (request.source_address(), app.now());

    let read = sessions::attempt(&app.table, &login, &address, app.attempts_per_address(), app.new_id(), now);
    let (attempt, ()) = tokio::join!(read, keys.look_ahead());
    let attempt = attempt?;
    let (account, password) = attempt.verify(&app.table, password, now).await?;

    if app.verified_email == VerifiedEmail::ToLogIn && !account.user.email_verified {
        return Err(Error::EmailNotVerified);
    }
    let rehashed = if account.password.is_outdated() { Some(password.hash().await?) } else { None };
    let session = Session::new(app.new_id(), account.user.user_id, address.clone(), request.user_agent(), now);
    let key = signing_keys::signer_or_first(&app.table, keys, &attempt.keyring, now).await?;
    let tokens = key.mint_pair(&session, account.user.role, app.new_token_id(), now)?;
    sessions::start(&app.table, &session, &attempt, account, rehashed.as_ref(), now).await?;

    http::plain(&tokens)
}
