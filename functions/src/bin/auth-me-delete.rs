//! `DELETE /auth/me`: who knows the password erases the account: nothing in the shop names the person any more.

use shared::{
    App, Result,
    auth::Confirmation,
    entry,
    http::{self, Request, Response},
    store::{erasure, sessions},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let Confirmation { password } = request.json()?;
    let (address, now) = (request.source_address(), app.now());

    let attempt = sessions::confirm(&app.table, caller.user_id, &address, app.attempts_per_address(), now).await?;
    let (account, _) = attempt.verify(&app.table, password, now).await?;
    erasure::erase(&app.table, &attempt, account, now).await?;

    http::no_content()
}
