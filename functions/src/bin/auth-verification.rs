//! `PUT /auth/verification`: whoever has a mailed token shows that the address it was sent to is theirs.

use shared::{
    Error, Result,
    app::MailedApp,
    auth::Verification,
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
    let Verification { token } = request.json()?;
    let token = secret.key().await?.verify(&token, Purpose::Verification).ok_or(Error::InvalidToken)?;

    redemption::verify(&app.table, &token, app.now()).await?;

    http::no_content()
}
