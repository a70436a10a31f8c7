//! `POST /auth/verification`: the caller is sent a token once more that shows that their address is theirs.

use shared::{
    App, Error, Result,
    domain::{Purpose, Ticket},
    entry,
    http::{self, Request, Response},
    store::{tickets, users},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    app.require_mail()?;

    let user = users::find(&app.table, caller.user_id).await?.ok_or(Error::Unauthenticated)?;
    let unproven = user.pending_email.or_else(|| (!user.email_verified).then_some(user.email));
    let address = unproven.ok_or(Error::AlreadyVerified)?;
    let ticket = Ticket::new(user.user_id, Purpose::Verification, app.new_id(), Some(address), app.now());
    tickets::issue(&app.table, &ticket).await?;

    http::accepted()
}
