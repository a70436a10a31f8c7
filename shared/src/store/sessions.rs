//! Logins: attempts that failed, and sessions while they last.

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, ReturnConsumedCapacity, WriteRequest};
use serde::{Deserialize, Serialize};

use super::{
    Table,
    expression::Expression,
    key::{Item, Key},
    retry::Backoff,
    table::{Write, from_item},
    transaction::Transaction,
    users::{Account, OwnerRow, Row as UserRow},
};
use crate::{
    Error, Result,
    auth::PasswordHash,
    aws::fault,
    domain::{Login, Session, SessionId, Timestamp, UserId},
};

/// Failures that an account may see in one window.
const MAX_FAILURES: u64 = 10;
/// Seconds that a window lasts from its first failure.
const WINDOW: i64 = 15 * 60;

#[derive(Serialize, Deserialize)]
struct Row {
    pk: String,
    sk: String,
    counter: u64,
    /// Milliseconds since the epoch, as is `rotated_at`.
    created_at: i64,
    rotated_at: i64,
    /// Seconds since the epoch: DynamoDB sweeps by it.
    expires_at: i64,
}

impl From<&Session> for Row {
    fn from(session: &Session) -> Self {
        let key = Key::Session(session.user_id, session.session_id);
        Self {
            pk: key.pk(),
            sk: key.sk(),
            counter: session.counter,
            created_at: session.created_at.millis(),
            rotated_at: session.rotated_at.millis(),
            expires_at: session.expires_at.seconds(),
        }
    }
}

impl TryFrom<Row> for Session {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let broken = || Error::Internal(format!("{} {}: a stored session breaks its rules", row.pk, row.sk));
        Ok(Self {
            session_id: Key::session_of(&row.sk).ok_or_else(broken)?,
            user_id: Key::user_of(&row.pk).ok_or_else(broken)?,
            counter: row.counter,
            created_at: Timestamp::from_millis(row.created_at),
            rotated_at: Timestamp::from_millis(row.rotated_at),
            expires_at: Timestamp::from_millis(row.expires_at * 1000),
        })
    }
}

/// Failed attempts to log in with one e-mail address or username, whether or not there is such an account.
#[derive(Deserialize)]
struct AttemptsRow {
    failures: u64,
    expires_at: i64,
}

impl AttemptsRow {
    fn are_over(&self, now: Timestamp) -> bool {
        self.expires_at <= now.seconds()
    }

    fn refusal(&self, now: Timestamp) -> Error {
        Error::TooManyAttempts { retry_after: (self.expires_at - now.seconds()).max(1) }
    }
}

/// Finds whose account it is to log in to, unless too many attempts have failed lately.
pub async fn before_login(table: &Table, login: &Login, now: Timestamp) -> Result<Option<UserId>> {
    let output = table
        .client
        .query()
        .table_name(&table.name)
        .key_condition_expression("pk = :pk")
        .expression_attribute_values(":pk", AttributeValue::S(Key::owner(login).pk()))
        .consistent_read(true)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .map_err(fault)?;
    let (mut owner, mut attempts) = (None, None);
    for item in output.items.unwrap_or_default() {
        match item.get("sk").and_then(|sk| sk.as_s().ok()).map(String::as_str) {
            Some("OWNER") => owner = Some(from_item::<OwnerRow>(item)?),
            Some("ATTEMPTS") => attempts = Some(from_item::<AttemptsRow>(item)?),
            _ => {}
        }
    }
    match attempts {
        Some(attempts) if !attempts.are_over(now) && attempts.failures >= MAX_FAILURES => Err(attempts.refusal(now)),
        _ => Ok(owner.and_then(|owner| owner.user_id.parse().ok())),
    }
}

/// Counts a failed attempt. [`Error::TooManyAttempts`] if others used the window up in the meantime.
pub async fn count_failure(table: &Table, login: &Login, now: Timestamp) -> Result {
    let key = Key::Attempts(login);
    let window_ends = now.seconds() + WINDOW;
    let mut backoff = Backoff::new();
    loop {
        let one_more = Expression::default()
            .in_open_window(now.seconds(), MAX_FAILURES)
            .add("failures", 1)
            .set_if_absent("expires_at", window_ends);
        let found = match table.update::<AttemptsRow>(key, &one_more).await? {
            Write::Done(_) => return Ok(()),
            Write::Refused(Some(found)) => found,
            Write::Refused(None) => return Err(Error::Internal("attempts were refused and not shown".into())),
        };
        if !found.are_over(now) {
            return Err(found.refusal(now));
        }
        // A window that ended and was not swept yet: the next one starts with this failure.
        let first =
            Expression::default().equal("expires_at", found.expires_at).set("failures", 1_u64).set("expires_at", window_ends);
        match table.update::<AttemptsRow>(key, &first).await? {
            Write::Done(_) => return Ok(()),
            Write::Refused(_) if backoff.again().await => {}
            Write::Refused(_) => return Err(Error::Contended),
        }
    }
}

/// Starts a session and forgets the failed attempts before it.
///
/// The account must still be as it was read: active, with the password that was verified, which `rehashed` replaces. The
/// window of attempts must still be open: of many guesses at once, one that is right comes too late after ten that were not.
pub async fn start(
    table: &Table,
    session: &Session,
    login: &Login,
    account: &Account,
    rehashed: Option<&PasswordHash>,
    now: Timestamp,
) -> Result {
    let user = Key::User(account.user.user_id);
    let unchanged = Expression::exists()
        .equal("is_active", true)
        .equal("password", account.password.as_phc())
        .equal("role", account.user.role.as_str());
    let refusal = move |found: Option<Item>| match found.map(from_item::<AttemptsRow>) {
        Some(Ok(attempts)) => attempts.refusal(now),
        Some(Err(error)) => error,
        None => Error::Internal("attempts were refused and not shown".into()),
    };
    let transaction = Transaction::new(table)
        .delete(Key::Attempts(login), &Expression::default().open_or_over(now.seconds(), MAX_FAILURES), refusal)
        .insert(Key::Session(session.user_id, session.session_id), &Row::from(session), |_| {
            Error::Internal("a new session has the id of another".into())
        });
    match rehashed {
        Some(hash) => transaction.update(user, &unchanged.set("password", hash.as_phc()), |_| Error::InvalidCredentials),
        None => transaction.check(user, &unchanged, |_| Error::InvalidCredentials),
    }
    .commit()
    .await
}

/// Reads a session that has not ended.
pub async fn find(table: &Table, user_id: UserId, session_id: SessionId, now: Timestamp) -> Result<Option<Session>> {
    match table.read::<Row>(Key::Session(user_id, session_id)).await? {
        Some(row) if row.expires_at > now.seconds() => Session::try_from(row).map(Some),
        _ => Ok(None),
    }
}

/// Reads a session that has not ended, together with its account.
pub async fn find_with_account(
    table: &Table,
    user_id: UserId,
    session_id: SessionId,
    now: Timestamp,
) -> Result<Option<(Session, Account)>> {
    let (mut session, mut account) = (None, None);
    for item in table.batch([Key::User(user_id), Key::Session(user_id, session_id)], &[]).await? {
        match Key::kind_of(&item) {
            "USER" => account = Some(Account::try_from(from_item::<UserRow>(item)?)?),
            _ => session = Some(from_item::<Row>(item)?),
        }
    }
    match (session, account) {
        (Some(row), Some(account)) if row.expires_at > now.seconds() => Ok(Some((row.try_into()?, account))),
        _ => Ok(None),
    }
}

/// Advances a session by one refresh, unless somebody else did since it was read; and gives it back as it is by now.
pub async fn rotate(table: &Table, session: &Session, now: Timestamp) -> Result<Session> {
    let next = Expression::exists().equal("counter", session.counter).add("counter", 1).set("rotated_at", now.millis());
    match table.update::<Row>(Key::Session(session.user_id, session.session_id), &next).await? {
        Write::Done(row) | Write::Refused(Some(row)) => row.try_into(),
        Write::Refused(None) => Err(Error::InvalidRefreshToken),
    }
}

/// Ends a session; one that has ended already stays so.
pub async fn end(table: &Table, user_id: UserId, session_id: SessionId) -> Result {
    table.delete(Key::Session(user_id, session_id)).await
}

/// Ends all sessions of an account.
pub async fn end_all(table: &Table, user_id: UserId) -> Result {
    loop {
        let output = table
            .client
            .query()
            .table_name(&table.name)
            .key_condition_expression("pk = :pk AND begins_with(sk, :session)")
            .expression_attribute_values(":pk", AttributeValue::S(Key::User(user_id).pk()))
            .expression_attribute_values(":session", AttributeValue::S(Key::SESSION_PREFIX.into()))
            .projection_expression("pk, sk")
            .consistent_read(true)
            // As many as one batch may delete.
            .limit(25)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(fault)?;
        let keys = output.items.unwrap_or_default();
        if !keys.is_empty() {
            delete_batch(table, keys).await?;
        }
        if output.last_evaluated_key.is_none() {
            return Ok(());
        }
    }
}

async fn delete_batch(table: &Table, keys: Vec<Item>) -> Result {
    let mut requests = keys
        .into_iter()
        .map(|key| {
            let delete = DeleteRequest::builder().set_key(Some(key)).build()?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        })
        .collect::<Result<Vec<_>, aws_sdk_dynamodb::error::BuildError>>()
        .map_err(|error| Error::Internal(error.to_string()))?;
    let mut backoff = Backoff::new();
    loop {
        let output = table
            .client
            .batch_write_item()
            .request_items(&table.name, requests)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(fault)?;
        requests = output.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
        if requests.is_empty() {
            return Ok(());
        }
        if !backoff.again().await {
            return Err(Error::Contended);
        }
    }
}
