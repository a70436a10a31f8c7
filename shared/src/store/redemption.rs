//! What a mailed token does, once.

use super::{
    expression::Expression,
    key::{Attempted, Key},
    passwords,
    retry::until_done,
    table::Table,
    tickets,
    transaction::{Cancellation, Transaction},
    users,
};
use crate::{
    Error, Result,
    auth::{MailedToken, PasswordHash},
    domain::{Notice, Purpose, SourceAddress, Ticket, Timestamp, Topic, User},
};

/// The account of a token, and the ticket that makes it good.
///
/// # Errors
///
/// [`Error::InvalidToken`] if the token is good no more, or its account is closed.
pub async fn find(table: &Table, token: &MailedToken, now: Timestamp) -> Result<(User, Ticket)> {
    let (user_key, ticket_key) = (Key::User(token.user_id), Key::Ticket(token.user_id, token.purpose));
    let (mut user, mut ticket) = (None, None);
    for item in table.batch_get([user_key, ticket_key]).await? {
        if Key::sk_of(&item) == user_key.sk() {
            user = Some(users::from_stored(item)?);
        } else {
            ticket = Some(tickets::from_stored(item)?);
        }
    }
    let ticket = ticket.filter(|ticket| ticket.ticket_id == token.ticket_id && ticket.is_good(now));
    user.filter(|user| user.is_active).zip(ticket).ok_or(Error::InvalidToken)
}

/// Adds to a transaction that a ticket is used up.
fn redeem<'a>(transaction: Transaction<'a>, ticket: &Ticket) -> Transaction<'a> {
    let its_own = Expression::default().equal("ticket_id", ticket.ticket_id.to_string());
    transaction.delete(Key::Ticket(ticket.user_id, ticket.purpose), &its_own, |_| Error::InvalidToken)
}

/// Takes note that an address is its owner's: the one that the account has, or the one that was to take its place, which does so now.
///
/// # Errors
///
/// [`Error::InvalidToken`]; [`Error::EmailTaken`] if another account has the address by now.
pub async fn verify(table: &Table, token: &MailedToken, now: Timestamp) -> Result {
    until_done(async |backoff| {
        let (before, ticket) = find(table, token, now).await?;
        let address = ticket.email.clone().ok_or(Error::InvalidToken)?;
        let mut after = before.clone();
        let transaction = redeem(Transaction::new(table), &ticket);
        let transaction = if before.pending_email.as_ref() == Some(&address) {
            after.pending_email = None;
            after.email = address;
            // A token that was sent to the address before gives nobody the account.
            let recovery = Key::Ticket(before.user_id, Purpose::Recovery);
            transaction.delete(recovery, &Expression::default(), |_| Cancellation::Changed)
        } else if before.email == address {
            transaction
        } else {
            return Err(Error::InvalidToken);
        };
        after.email_verified = true;
        users::replace(transaction, &before, &mut after, now).attempt(backoff).await?.into_round()
    })
    .await
}

/// Gives the account of a token, which was just read, another password: every session ends, and the failed logins from this address and
/// in all are forgotten.
///
/// # Errors
///
/// [`Error::InvalidToken`].
pub async fn recover(table: &Table, token: &MailedToken, hash: &PasswordHash, address: &SourceAddress, now: Timestamp) -> Result {
    until_done(async |backoff| {
        let (before, ticket) = find(table, token, now).await?;
        let user_id = before.user_id;
        // The mail was read by whoever has the address.
        let mut after = User { email_verified: true, ..before.clone() };
        let attempted = Attempted::Account(user_id);
        let anyhow = Expression::default();
        let transaction = redeem(Transaction::new(table), &ticket)
            .put(Key::Password(user_id), &passwords::Row::from(hash), &anyhow, |_| Cancellation::Changed)
            .delete(Key::Sessions(user_id), &anyhow, |_| Cancellation::Changed)
            .delete(Key::FailuresInTotal(attempted), &anyhow, |_| Cancellation::Changed)
            .delete(Key::FailuresFrom(attempted, address), &anyhow, |_| Cancellation::Changed);
        let notice = Notice::new(user_id, Topic::PasswordChanged, before.email.clone(), now);
        let transaction = tickets::put_notice(transaction, Some(&notice));
        users::replace(transaction, &before, &mut after, now).attempt(backoff).await?.into_round()
    })
    .await
}
