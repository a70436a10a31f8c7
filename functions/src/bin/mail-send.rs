//! No route, called with the table's stream: sends the mails that owners of accounts are due.
//!
//! A request writes what is to be sent and does not wait for it, so that it takes the same time whether or not there is such an account.
//! A record that is handed over again is sent again.

use shared::{
    Result,
    app::MailApp,
    domain::{Letter, Matter},
    entry::{self, stream::Progress},
    store::{
        stream::{DueMail, Record},
        users,
    },
    telemetry::record,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), entry::StartupError> {
    entry::stream::serve(handle).await
}

async fn handle(app: &MailApp, records: Vec<Record>) -> Progress {
    for (position, record) in records.iter().enumerate() {
        if let Err(error) = send(app, record).await {
            return Progress { records: position, failed: Some(error) };
        }
    }
    Progress { records: records.len(), failed: None }
}

async fn send(MailApp { app, secret, mailer }: &MailApp, written: &Record) -> Result {
    let Some(due) = written.due_mail()?.filter(|due| due.is_due(app.now())) else {
        return Ok(());
    };
    // There is no such account where somebody has mistyped an address.
    let Some(user) = users::find(&app.table, due.user_id()).await?.filter(|user| user.is_active) else {
        return Ok(());
    };

    let (to, matter) = match due {
        DueMail::Ticket(ticket) => {
            let token = secret.key().await?.token(&ticket);
            (ticket.email.unwrap_or(user.email), Matter::Ticket(ticket.purpose, token))
        }
        DueMail::Notice(notice) => (notice.email, Matter::Notice(notice.topic)),
    };
    if !users::is_deliverable(&app.table, &to).await? {
        record(|metrics| metrics.mails_refused += 1);
        return Ok(());
    }
    mailer.send(&Letter { to, username: user.username, matter }).await
}
