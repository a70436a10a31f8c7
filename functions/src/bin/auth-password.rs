//! `PUT /auth/password`: who knows the password gives the account another, and all other sessions end.

use shared::{
    App, Result,
    auth::PasswordChange,
    domain::{Notice, Topic},
    entry,
    http::{self, Request, Response},
    store::sessions,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let PasswordChange { password, new_password } = request.json()?;
    let (address, now) = (request.source_address(), app.now());

    let attempt = sessions::confirm(&app.table, caller.user_id, &address, app.attempts_per_address(), now).await?;
    let (account, _) = attempt.verify(&app.table, password, now).await?;
    new_password.require_strength("/new_password", app.names(&account.user.email, &account.user.username)).await?;
    let hash = new_password.hash().await?;
    let told = Notice::new(caller.user_id, Topic::PasswordChanged, account.user.email.clone(), now);
    let told = app.sends_mail().then_some(&told);
    sessions::change_password(&app.table, &attempt, account, caller.session_id, &hash, told, now).await?;

    http::no_content()
}
