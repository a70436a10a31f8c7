//! `PUT /auth/recovery`: whoever has a mailed token sets another password; every session ends.

use shared::{
    Error, Result,
    app::MailedApp,
    auth::Recovery,
    domain::Purpose,
    entry,
    http::{self, Request, Response},
    store::redemption,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(MailedApp { app, secret }: &MailedApp, request: Request) -> Result<Response> {
    let Recovery { token, new_password } = request.json()?;
    let now = app.now();
    let token = secret.key().await?.verify(&token, Purpose::Recovery).ok_or(Error::InvalidToken)?;

    let (user, _) = redemption::find(&app.table, &token, now).await?;
    new_password.require_strength("/new_password", app.names(&user.email, &user.username)).await?;
    redemption::recover(&app.table, &token, &new_password.hash().await?, &request.source_address(), now).await?;

    http::no_content()
}
