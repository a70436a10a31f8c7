//! What is sent by mail: tickets, which make a mailed token good once, and notices. Nobody sends in a request: what is written here is
//! read in the stream by whoever does.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    key::{Item, Key},
    table::{Table, Write, from_item},
    transaction::{Cancellation, Transaction},
};
use crate::{
    Error, Result,
    domain::{Email, Notice, Ticket, TicketId, Timestamp},
};

/// The least time between two mails of one purpose to one account, in milliseconds.
const PAUSE: i64 = 60 * 1000;

/// A ticket as it is stored. Whose it is and for what is in the key.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    pk: String,
    sk: String,
    ticket_id: TicketId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// Milliseconds since the epoch.
    created_at: i64,
    /// Seconds since the epoch.
    expires_at: i64,
}

impl From<&Ticket> for Row {
    fn from(ticket: &Ticket) -> Self {
        let key = Key::Ticket(ticket.user_id, ticket.purpose);
        Self {
            pk: key.pk(),
            sk: key.sk(),
            ticket_id: ticket.ticket_id,
            email: ticket.email.as_ref().map(|email| email.as_str().to_owned()),
            created_at: ticket.created_at.millis(),
            expires_at: ticket.expires_at.seconds(),
        }
    }
}

impl TryFrom<Row> for Ticket {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let (user_id, purpose) = Key::ticket_of(&row.pk, &row.sk).ok_or_else(|| unreadable(&row.pk, "ticket"))?;
        Ok(Self {
            user_id,
            purpose,
            ticket_id: row.ticket_id,
            email: row.email.map(Email::from_stored),
            created_at: Timestamp::from_millis(row.created_at),
            expires_at: Timestamp::from_millis(row.expires_at * 1000),
        })
    }
}

/// A notice as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct NoticeRow {
    pk: String,
    sk: String,
    email: String,
    /// Seconds since the epoch.
    expires_at: i64,
}

fn unreadable(pk: &str, what: impl fmt::Display) -> Error {
    Error::Internal(format!("{pk}: a stored {what} breaks its rules"))
}

/// A ticket as an item that was read.
pub(super) fn from_stored(item: Item) -> Result<Ticket> {
    from_item::<Row>(item)?.try_into()
}

/// A notice as an item that was read.
pub(super) fn notice_from_stored(item: Item) -> Result<Notice> {
    let row: NoticeRow = from_item(item)?;
    let (user_id, topic) = Key::notice_of(&row.pk, &row.sk).ok_or_else(|| unreadable(&row.pk, "notice"))?;
    let expires_at = Timestamp::from_millis(row.expires_at * 1000);
    Ok(Notice { user_id, topic, email: Email::from_stored(row.email), expires_at })
}

/// Adds a ticket to a transaction, in place of the one before it, if a mail is to go out.
pub(super) fn put_ticket<'a>(transaction: Transaction<'a>, ticket: Option<&Ticket>) -> Transaction<'a> {
    let Some(ticket) = ticket else {
        return transaction;
    };
    let key = Key::Ticket(ticket.user_id, ticket.purpose);
    transaction.put(key, &Row::from(ticket), &Expression::default(), |_| Cancellation::Changed)
}

/// Adds a notice to a transaction, if a mail is to go out.
pub(super) fn put_notice<'a>(transaction: Transaction<'a>, notice: Option<&Notice>) -> Transaction<'a> {
    let Some(notice) = notice else {
        return transaction;
    };
    let key = Key::Notice(notice.user_id, notice.topic);
    let (email, expires_at) = (notice.email.as_str().to_owned(), notice.expires_at.seconds());
    let row = NoticeRow { pk: key.pk(), sk: key.sk(), email, expires_at };
    transaction.put(key, &row, &Expression::default(), |_| Cancellation::Changed)
}

/// Lets a mail go out, in place of the one before it, unless that is less than a minute old: then nothing happens.
///
/// One call, whether or not there is such an account.
pub async fn issue(table: &Table, ticket: &Ticket) -> Result {
    let minute_ago = u64::try_from(ticket.created_at.millis() - PAUSE).unwrap_or_default();
    let mut expression = Expression::lacks_or_below("created_at", minute_ago)
        .set("ticket_id", ticket.ticket_id.to_string())
        .set("created_at", ticket.created_at.millis())
        .set("expires_at", ticket.expires_at.seconds());
    expression = expression.set_or_remove("email", ticket.email.as_ref().map(Email::as_str));
    let _: Write<Row> = table.update(Key::Ticket(ticket.user_id, ticket.purpose), &expression).await?;
    Ok(())
}
