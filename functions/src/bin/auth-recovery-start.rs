//! `POST /auth/recovery`: whoever has forgotten a password is sent a token for another, if there is such an account.

use shared::{
    App, Result,
    auth::RecoveryRequest,
    domain::{Login, Purpose, Ticket},
    entry,
    http::{self, Request, Response},
    store::{attempts, tickets, users},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let RecoveryRequest { email } = request.json()?;
    app.require_mail()?;
    let now = app.now();
    attempts::count_from(&app.table, &request.source_address(), app.attempts_per_address(), now).await?;

    // An address that nobody has takes the same calls: its ticket is nobody's.
    let owner = users::owner(&app.table, &Login::Email(email)).await?;
    let ticket = Ticket::new(owner.unwrap_or_else(|| app.new_id()), Purpose::Recovery, app.new_id(), None, now);
    tickets::issue(&app.table, &ticket).await?;

    http::accepted()
}
