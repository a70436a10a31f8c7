//! Other names for an account, whose owner has proven that they know its password.

use super::{retry::until_done, sessions::LoginAttempt, table::Table, tickets, transaction::Transaction, users};
use crate::{
    Error, Result,
    domain::{NameChange, Notice, Ticket, Timestamp, User, UserId},
};

/// What goes out by mail because of a change of names.
#[derive(Debug)]
pub struct Mails<'a> {
    /// To the new address.
    pub ticket: &'a Ticket,
    /// To the one so far.
    pub notice: &'a Notice,
}

/// Gives an account another username, or an address that takes the place of its own when it is verified. `mails`: if there is such an
/// address. The address that the account has already calls off the other.
pub async fn rename(
    table: &Table,
    attempt: &LoginAttempt<'_>,
    id: UserId,
    change: &NameChange,
    mails: Option<&Mails<'_>>,
    now: Timestamp,
) -> Result<User> {
    until_done(async |backoff| {
        let before = users::find(table, id).await?.ok_or(Error::TokenRevoked)?;
        let mut after = before.clone();
        if let Some(username) = &change.username {
            after.username = username.clone();
        }
        let mut transaction = attempt.clear(Transaction::new(table), now);
        if let Some(email) = &change.email {
            let another = mails.filter(|_| *email != before.email);
            after.pending_email = another.map(|_| email.clone());
            transaction = tickets::put_ticket(transaction, another.map(|mails| mails.ticket));
            transaction = tickets::put_notice(transaction, another.map(|mails| mails.notice));
        }
        let round = users::replace(transaction, &before, &mut after, now).attempt(backoff).await?.into_round()?;
        Ok(round.map(|()| after))
    })
    .await
}
