//! `PUT /auth/me`: who knows the password gives the account another username, or an address that takes the place of its own once it is
//! verified.

use shared::{
    App, Error, Result,
    auth::OwnChange,
    domain::{Login, Notice, Purpose, Ticket, Topic},
    entry,
    http::{self, Request, Response},
    store::{
        renaming::{self, Mails},
        sessions, users,
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::http::serve(handle).await
}

async fn handle(app: &App, request: Request) -> Result<Response> {
    let caller = request.caller()?;
    let OwnChange { names, password } = request.json()?;
    let (address, now) = (request.source_address(), app.now());

    let attempt = sessions::confirm(&app.table, caller.user_id, &address, app.attempts_per_address(), now).await?;
    let (account, _) = attempt.verify(&app.table, password, now).await?;
    let user = &account.user;
    let mails = match names.email.as_ref().filter(|email| **email != user.email) {
        Some(email) => {
            app.require_mail()?;
            let owner = users::owner(&app.table, &Login::Email(email.folded())).await?;
            if owner.is_some_and(|owner| owner != user.user_id) {
                return Err(Error::EmailTaken);
            }
            let ticket = Ticket::new(user.user_id, Purpose::Verification, app.new_id(), Some(email.clone()), now);
            Some((ticket, Notice::new(user.user_id, Topic::AddressChanging, user.email.clone(), now)))
        }
        None => None,
    };
    let mails = mails.as_ref().map(|(ticket, notice)| Mails { ticket, notice });
    let renamed = renaming::rename(&app.table, &attempt, user.user_id, &names, mails.as_ref(), now).await?;

    http::plain(&renamed)
}
