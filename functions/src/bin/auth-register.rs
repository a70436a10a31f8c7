//! `POST /auth/register`: anyone opens an account; it is a customer's.

use shared::{
    App, Result,
    auth::Registration,
    domain::{Purpose, Ticket, User},
    entry,
    http::{self, Request, Response},
    store::{attempts, users},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let Registration { email, username, password } = request.json()?;
    let now = app.now();
    password.require_strength("/password", app.names(&email, &username)).await?;
    attempts::count_from(&app.table, &request.source_address(), app.attempts_per_address(), now).await?;

    let user = User::register(app.new_id(), email, username, now);
    let ticket = Ticket::new(user.user_id, Purpose::Verification, app.new_id(), Some(user.email.clone()), now);
    let ticket = app.sends_mail().then_some(&ticket);
    users::register(&app.table, &user, &password.hash().await?, ticket).await?;

    http::plainly_created(&user)
}
