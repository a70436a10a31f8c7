//! Accounts and the names they are found by: who somebody is. How that is proven is in `passwords` and `sessions`.

use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    key::{GSI2, Item, Key},
    passwords,
    query::Query,
    retry::until_done,
    table::{Table, Write, from_item},
    tickets,
    transaction::{Cancellation, Transaction},
};
use crate::{
    Error, Result,
    auth::PasswordHash,
    domain::{Email, Folded, Login, NamePrefix, Refusal, Resource, Role, Ticket, Timestamp, User, UserId, Username},
};

/// An account as it is stored. Its id is in the key.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    pk: String,
    #[serde(skip_deserializing)]
    gsi2pk: String,
    /// The folded e-mail address.
    #[serde(skip_deserializing)]
    gsi2sk: String,
    email: String,
    email_verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending_email: Option<String>,
    username: String,
    role: Role,
    is_active: bool,
    /// Milliseconds since the epoch, as is `updated_at`.
    created_at: i64,
    updated_at: i64,
    version: u64,
}

/// What an e-mail address's and a username's own item holds.
#[derive(Serialize, Deserialize)]
struct OwnerRow {
    user_id: String,
    /// Of an e-mail address, since when it cannot be reached; milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undeliverable_at: Option<i64>,
}

impl OwnerRow {
    fn of(id: UserId) -> Self {
        Self { user_id: id.to_string(), undeliverable_at: None }
    }
}

impl From<&User> for Row {
    fn from(user: &User) -> Self {
        Self {
            pk: Key::User(user.user_id).pk(),
            gsi2pk: Key::USERS.to_owned(),
            gsi2sk: user.email.folded().to_string(),
            email: user.email.as_str().to_owned(),
            email_verified: user.email_verified,
            pending_email: user.pending_email.as_ref().map(|email| email.as_str().to_owned()),
            username: user.username.as_str().to_owned(),
            role: user.role,
            is_active: user.is_active,
            created_at: user.created_at.millis(),
            updated_at: user.updated_at.millis(),
            version: user.version,
        }
    }
}

impl TryFrom<Row> for User {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let broken = |what: &str| Error::Internal(format!("{}: the stored {what} breaks its rules", row.pk));
        Ok(Self {
            user_id: Key::user_of(&row.pk).ok_or_else(|| broken("id"))?,
            email: Email::from_stored(row.email),
            email_verified: row.email_verified,
            pending_email: row.pending_email.map(Email::from_stored),
            username: Username::parse(&row.username).map_err(|_| broken("username"))?,
            role: row.role,
            is_active: row.is_active,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            version: row.version,
        })
    }
}

/// An account as an item that was read.
pub(super) fn from_stored(item: Item) -> Result<User> {
    from_item::<Row>(item)?.try_into()
}

/// Adds an account and takes its e-mail address and username, or does none of it. `ticket`: of the mail that goes out because of it.
pub async fn register(table: &Table, user: &User, password: &PasswordHash, ticket: Option<&Ticket>) -> Result {
    let (email, username) = (user.email.folded(), user.username.folded());
    let owner = OwnerRow::of(user.user_id);
    let taken = |_| Error::Internal("a new account has the id of another".into());
    let transaction = Transaction::new(table)
        .insert(Key::Email(&email), &owner, |_| Error::EmailTaken)
        .insert(Key::Username(&username), &owner, |_| Error::UsernameTaken)
        .insert(Key::User(user.user_id), &Row::from(user), taken)
        .insert(Key::Password(user.user_id), &passwords::Row::from(password), taken);
    tickets::put_ticket(transaction, ticket).commit().await
}

/// Reads an account by its id.
pub async fn find(table: &Table, id: UserId) -> Result<Option<User>> {
    table.read::<Row>(Key::User(id)).await?.map(User::try_from).transpose()
}

/// Finds the account that an e-mail address or username belongs to.
pub async fn owner(table: &Table, login: &Login) -> Result<Option<UserId>> {
    let owner: Option<OwnerRow> = table.read(Key::owner(login)).await?;
    Ok(owner.and_then(|owner| owner.user_id.parse().ok()))
}

/// Whether mail to an address has any chance to arrive. One that no account has yet may.
pub async fn is_deliverable(table: &Table, email: &Email) -> Result<bool> {
    let owner: Option<OwnerRow> = table.read(Key::Email(&email.folded())).await?;
    Ok(owner.is_none_or(|owner| owner.undeliverable_at.is_none()))
}

/// Takes note that an address cannot be reached, or can be reached again; one that no account has stays unknown. Tells whether one has
/// it.
pub async fn mark(table: &Table, email: &Folded, deliverable: bool, now: Timestamp) -> Result<bool> {
    let since = (!deliverable).then(|| now.millis());
    let marked =
        table.update::<OwnerRow>(Key::Email(email), &Expression::exists().set_or_remove("undeliverable_at", since)).await?;
    Ok(matches!(marked, Write::Done(_)))
}

/// Reads up to `limit` accounts by e-mail address, as the index has them, those after a position; and the last one if there are more.
pub async fn list(table: &Table, prefix: &NamePrefix, limit: u16, after: Option<&str>) -> Result<(Vec<User>, Option<String>)> {
    let limit = usize::from(limit);
    let prefix = prefix.as_str();
    let start = after.map(|position| start(position, prefix)).transpose()?;
    let query = Query::of_index(GSI2, Key::USERS).after(start).limit(limit + 1);
    let found = table.query(if prefix.is_empty() { query } else { query.beginning_with(prefix) }).await?;
    let mut rows: Vec<Row> = found.items.into_iter().map(from_item).collect::<Result<_>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let users = rows.into_iter().map(User::try_from).collect::<Result<Vec<_>>>()?;
    let next = users.last().filter(|_| more).map(|last| format!("{} {}", last.user_id, last.email.folded()));
    Ok((users, next))
}

/// The key of the account that a position names. Clients can make positions up, and DynamoDB refuses those outside of what is asked
/// for.
fn start(position: &str, prefix: &str) -> Result<Item> {
    let (id, folded) = position.split_once(' ').ok_or(Error::InvalidCursor)?;
    let id = id.parse().map_err(|_| Error::InvalidCursor)?;
    if folded.is_empty() || folded.len() > Folded::MAX_BYTES || !folded.starts_with(prefix) {
        return Err(Error::InvalidCursor);
    }
    let mut key = Key::User(id).attributes();
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
    key.insert("gsi2pk".into(), text(Key::USERS));
    key.insert("gsi2sk".into(), text(folded));
    Ok(key)
}

/// Adds to a transaction that an account becomes what `after` says, with its names, if it is still as it was read. The time and the
/// version of the change are set in `after`, unless there is none.
pub(super) fn replace<'a>(mut transaction: Transaction<'a>, before: &User, after: &mut User, now: Timestamp) -> Transaction<'a> {
    let id = before.user_id;
    let as_read = Expression::default().equal("version", before.version);
    if after == before {
        return transaction.check(Key::User(id), &as_read, |_| Cancellation::Changed);
    }
    after.updated_at = now;
    after.version = before.version + 1;
    let (email, email_before) = (after.email.folded(), before.email.folded());
    let (username, username_before) = (after.username.folded(), before.username.folded());
    let expression = as_read
        .set("email", after.email.as_str())
        .set("gsi2sk", email.as_str())
        .set("email_verified", after.email_verified)
        .set_or_remove("pending_email", after.pending_email.as_ref().map(Email::as_str))
        .set("username", after.username.as_str())
        .set("role", after.role.as_str())
        .set("is_active", after.is_active)
        .set("updated_at", now.millis())
        .set("version", after.version);
    // First, since a name may be taken by the account itself that has changed meanwhile.
    transaction = transaction.update(Key::User(id), &expression, |_| Cancellation::Changed);
    let (own, owner) = (Expression::default().equal("user_id", id.to_string()), OwnerRow::of(id));
    if email != email_before {
        transaction =
            transaction
                .insert(Key::Email(&email), &owner, |_| Error::EmailTaken)
                .delete(Key::Email(&email_before), &own, |_| Cancellation::Changed);
    }
    if username != username_before {
        transaction = transaction.insert(Key::Username(&username), &owner, |_| Error::UsernameTaken).delete(
            Key::Username(&username_before),
            &own,
            |_| Cancellation::Changed,
        );
    }
    transaction
}

/// Whether the last active admin may stop being one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastAdmin {
    /// Whoever decides it can make another.
    MayGo,
    Stays,
}

/// Sets what an admin or an operator decides about an account and ends its sessions; what is `None` stays as it is.
///
/// All at once: a login that is under way either sees the account as it is then, or its session is among those that end.
pub async fn administer(
    table: &Table,
    id: UserId,
    role: Option<Role>,
    is_active: Option<bool>,
    last_admin: LastAdmin,
    now: Timestamp,
) -> Result<User> {
    until_done(async |backoff| {
        let before = find(table, id).await?.ok_or(Refusal::NotFound(Resource::Account))?;
        let mut after = before.clone();
        after.role = role.unwrap_or(before.role);
        after.is_active = is_active.unwrap_or(before.is_active);
        let mut transaction = keep_admins(Transaction::new(table), &before, Some(&after), last_admin);
        transaction = replace(transaction, &before, &mut after, now);
        transaction = transaction.delete(Key::Sessions(id), &Expression::default(), |_| Cancellation::Changed);
        let round = transaction.attempt(backoff).await?.into_round()?;
        Ok(round.map(|()| after))
    })
    .await
}

/// Adds to a transaction that the set of active admins is as an account makes it that changes from `before` to `after`; `None` if it
/// is gone.
pub(super) fn keep_admins<'a>(
    transaction: Transaction<'a>,
    before: &User,
    after: Option<&User>,
    last_admin: LastAdmin,
) -> Transaction<'a> {
    let is_one = |user: &User| user.role == Role::Admin && user.is_active;
    let id = before.user_id.to_string();
    match (is_one(before), after.is_some_and(is_one)) {
        // Also for one who is one already: an operator says it once more if the set has lost somebody.
        (_, true) => transaction.update(Key::Admins, &Expression::default().add_to_set("admins", &id), |_| Cancellation::Changed),
        (true, false) => {
            let others = match last_admin {
                LastAdmin::MayGo => Expression::default(),
                LastAdmin::Stays => Expression::default().has_more_entries_than("admins", 1),
            };
            transaction.update(Key::Admins, &others.remove_from_set("admins", &id), |_| Refusal::LastAdmin)
        }
        _ => transaction,
    }
}
