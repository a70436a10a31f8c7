//! Sessions while they last, and how they are begun: by who knows the password. All sessions of an account are one item, so that they
//! are counted, seen and ended in one call.

use std::{cell::Cell, collections::BTreeMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::{
    attempts::LoginAttempts,
    expression::Expression,
    key::{Attempted, Item, Key},
    passwords,
    retry::{Round, until_done},
    signing_keys::{self, Judgement, KnownKeys},
    table::{Table, Write, from_item},
    tickets,
    transaction::{Cancellation, Transaction},
    users,
};
use crate::{
    Error, Result,
    auth::{Keyring, Password, PasswordHash, Refused, TokenClaims, Unverified},
    domain::{Login, Notice, Refusal, Resource, Session, SessionId, SourceAddress, Timestamp, User, UserAgent, UserId},
    telemetry::record,
};

/// One session, in the map of its account's.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    counter: u64,
    /// Milliseconds since the epoch, as are the `replacements`.
    created_at: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replacements: Vec<i64>,
    /// Seconds since the epoch.
    expires_at: i64,
}

impl From<&Session> for Entry {
    fn from(session: &Session) -> Self {
        Self {
            address: session.address.as_str().to_owned(),
            user_agent: session.user_agent.as_ref().map(|agent| agent.as_str().to_owned()),
            counter: session.counter,
            created_at: session.created_at.millis(),
            replacements: session.replacements.iter().map(|at| at.millis()).collect(),
            expires_at: session.expires_at.seconds(),
        }
    }
}

/// The item of an account's sessions. Its `expires_at`, by which DynamoDB sweeps, is the latest of theirs.
#[derive(Debug, Default, Deserialize)]
struct Row {
    /// By id.
    #[serde(default)]
    sessions: BTreeMap<String, Entry>,
}

impl Row {
    fn into_sessions(self, user_id: UserId) -> Result<Vec<Session>> {
        let session = |(id, entry): (String, Entry)| {
            let session_id = id.parse().map_err(|_| Error::Internal(format!("a session of {user_id} has no id")))?;
            Ok(Session {
                session_id,
                user_id,
                address: SourceAddress::from_stored(entry.address),
                user_agent: entry.user_agent.map(UserAgent::from_stored),
                counter: entry.counter,
                created_at: Timestamp::from_millis(entry.created_at),
                replacements: entry.replacements.into_iter().map(Timestamp::from_millis).collect(),
                expires_at: Timestamp::from_millis(entry.expires_at * 1000),
            })
        };
        self.sessions.into_iter().map(session).collect()
    }

    fn into_session(mut self, user_id: UserId, session_id: SessionId) -> Result<Option<Session>> {
        let id = session_id.to_string();
        self.sessions.retain(|other, _| *other == id);
        Ok(self.into_sessions(user_id)?.pop())
    }
}

/// The path of one session in its item.
fn path(session_id: SessionId) -> String {
    format!("sessions.{session_id}")
}

fn to_value(session: &Session) -> Result<AttributeValue> {
    serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value(Entry::from(session))
        .map_err(|error| Error::Internal(format!("a session cannot be written: {error}")))
}

/// An account together with what only those look at who check its password.
#[derive(Debug, Clone)]
pub struct Account {
    pub user: User,
    pub password: PasswordHash,
}

/// A proof by password that may be tried, and what it takes to judge it.
#[derive(Debug)]
pub struct LoginAttempt<'a> {
    /// `None` if nobody has this name.
    account: Option<Account>,
    attempts: LoginAttempts<'a>,
    /// Those of the account, live or not; `None` if it has no item of sessions.
    sessions: Option<Vec<Session>>,
    /// The public keys, of which one signs.
    pub keyring: Keyring,
}

/// Reads the account that is logged in to, unless it or the address is closed because too many attempts have failed.
///
/// A name that nobody has takes the same calls: `stand_in` is read instead of the account.
pub async fn attempt<'a>(
    table: &Table,
    login: &'a Login,
    address: &'a SourceAddress,
    per_address: u64,
    stand_in: UserId,
    now: Timestamp,
) -> Result<LoginAttempt<'a>> {
    let owner = users::owner(table, login).await?;
    record(|metrics| metrics.user_id = owner);
    let who = owner.map_or(Attempted::Nobody(login), Attempted::Account);
    read(table, owner.unwrap_or(stand_in), LoginAttempts::new(who, address, per_address), address, now).await
}

/// Reads the account whose owner is logged in and proves again that they know its password.
pub async fn confirm<'a>(
    table: &Table,
    user_id: UserId,
    address: &'a SourceAddress,
    per_address: u64,
    now: Timestamp,
) -> Result<LoginAttempt<'a>> {
    read(table, user_id, LoginAttempts::new(Attempted::Account(user_id), address, per_address), address, now).await
}

async fn read<'a>(
    table: &Table,
    user_id: UserId,
    mut attempts: LoginAttempts<'a>,
    address: &SourceAddress,
    now: Timestamp,
) -> Result<LoginAttempt<'a>> {
    let (user, password, sessions) = (Key::User(user_id), Key::Password(user_id), Key::Sessions(user_id));
    let keys: Vec<_> = [user, password, sessions, Key::SigningKeys].into_iter().chain(attempts.keys()).collect();
    let mut found = table.batch_get(keys).await?;
    let mut take = |key: &Key<'_>| {
        let position = found.iter().position(|item| is(item, key))?;
        Some(found.swap_remove(position))
    };
    let user = take(&user).map(users::from_stored).transpose()?;
    let password = take(&password).map(passwords::from_stored).transpose()?;
    let account = user.zip(password).map(|(user, password)| Account { user, password });
    let sessions = take(&sessions).map(from_item::<Row>).transpose()?;
    let sessions = sessions.map(|row| row.into_sessions(user_id)).transpose()?;
    let keyring = signing_keys::from_stored(take(&Key::SigningKeys))?;
    attempts.saw(take)?;

    if sessions.iter().flatten().any(|session| session.is_live(now) && session.address == *address) {
        attempts.spare();
    }
    attempts.require_open(now)?;
    Ok(LoginAttempt { account, attempts, sessions, keyring })
}

impl LoginAttempt<'_> {
    /// Adds to a transaction that the attempt was not made too late, and that the failures before it are forgotten.
    pub(super) fn clear<'t>(&self, transaction: Transaction<'t>, now: Timestamp) -> Transaction<'t> {
        self.attempts.clear(transaction, now)
    }

    /// Checks the password, and gives it back with the account if it is the one and the account is active. Unknown, wrong and inactive
    /// take the same steps and the same time, count as failed, and are answered the same.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCredentials`]; [`Error::TooManyAttempts`] if others have closed the account or the address in the meantime.
    pub async fn verify(&self, table: &Table, password: Password, now: Timestamp) -> Result<(&Account, Password)> {
        let verified = password.verify(self.account.as_ref().map(|account| account.password.clone())).await?;
        let account = self.account.as_ref().filter(|account| account.user.is_active);
        if let Some(proven) = account.zip(verified) {
            return Ok(proven);
        }
        self.attempts.count_failure(table, now).await?;
        Err(Error::InvalidCredentials)
    }
}

fn is(item: &Item, key: &Key<'_>) -> bool {
    let has = |name: &str, value: String| item.get(name).and_then(|text| text.as_s().ok()) == Some(&value);
    has("sk", key.sk()) && has("pk", key.pk())
}

/// Starts a session and forgets the failed attempts before it. If the account has as many sessions as it may, the one that has
/// been unused for longest ends.
///
/// The account must still be as it was read: active, with the password that was verified, which `rehashed` replaces.
pub async fn start(
    table: &Table,
    session: &Session,
    attempt: &LoginAttempt<'_>,
    account: &Account,
    rehashed: Option<&PasswordHash>,
    now: Timestamp,
) -> Result {
    let (user, password) = (Key::User(account.user.user_id), Key::Password(account.user.user_id));
    let mut others = attempt.sessions.clone();
    // Of many who log in at once, all would want to end the same session again and again: who has lost once takes another of the
    // oldest.
    let mut spared = 0;
    until_done(async |backoff| {
        let active = Expression::default().equal("is_active", true).equal("role", account.user.role.as_str());
        let unchanged = Expression::default().equal("password", account.password.as_phc());
        let transaction = attempt.clear(Transaction::new(table), now);
        let transaction = transaction.check(user, &active, |_| Error::InvalidCredentials);
        let transaction = match rehashed {
            Some(hash) => transaction.update(password, &unchanged.set("password", hash.as_phc()), |_| Error::InvalidCredentials),
            None => transaction.check(password, &unchanged, |_| Error::InvalidCredentials),
        };
        // The sessions as they are by now, if that is what stands against it.
        let found = Cell::new(None);
        let added = added(session, others.as_deref(), spared, now)?;
        let transaction = transaction.update(Key::Sessions(session.user_id), &added, |item| {
            found.set(Some(item));
            Cancellation::Changed
        });
        let round = transaction.attempt(backoff).await?.into_round()?;
        if matches!(round, Round::Done(())) {
            return Ok(round);
        }
        if let Some(item) = found.into_inner() {
            let row = item.map(from_item::<Row>).transpose()?;
            others = row.map(|row| row.into_sessions(session.user_id)).transpose()?;
        }
        spared = fastrand::usize(..Session::MAX_PER_ACCOUNT / 2);
        Ok(Round::Told)
    })
    .await
}

/// Adds a session to `others`, in place of those that are over and of as many as are too many.
fn added(session: &Session, others: Option<&[Session]>, spared: usize, now: Timestamp) -> Result<Expression> {
    let expires_at = session.expires_at.seconds();
    let Some(others) = others else {
        let first = AttributeValue::M([(session.session_id.to_string(), to_value(session)?)].into());
        return Ok(Expression::absent().set("sessions", first).set("expires_at", expires_at));
    };
    let ended = ended_by_another(others, spared, now);
    // Whoever came in between has taken a place.
    let mut expression = Expression::default().has_fewer_entries_than("sessions", Session::MAX_PER_ACCOUNT + ended.len());
    for session_id in &ended {
        expression = expression.has(&path(*session_id)).remove(&path(*session_id));
    }
    Ok(expression.set(&path(session.session_id), to_value(session)?).set("expires_at", expires_at))
}

/// The sessions that one more leaves no place for: all that are over, and of too many those unused for longest after the first
/// `spared`.
fn ended_by_another(sessions: &[Session], spared: usize, now: Timestamp) -> Vec<SessionId> {
    let (mut lasting, over): (Vec<_>, Vec<_>) = sessions.iter().partition(|session| session.expires_at > now);
    lasting.sort_by_key(|session| session.rotated_at());
    let too_many = (lasting.len() + 1).saturating_sub(Session::MAX_PER_ACCOUNT);
    over.into_iter().chain(lasting.into_iter().skip(spared).take(too_many)).map(|session| session.session_id).collect()
}

/// Who shows an access token; `None` if the session of the token is over. The public keys are read beside the session if they are not
/// known yet, or the token has another.
///
/// # Errors
///
/// What is wrong with the token is the inner error.
pub async fn authenticate(
    table: &Table,
    known: &KnownKeys,
    token: &Unverified<'_>,
    now: Timestamp,
) -> Result<Result<Option<TokenClaims>, Refused>> {
    let sessions = Key::Sessions(token.claims().user_id);
    let (verdict, row) = match known.judge(token, now) {
        Judgement::Final(Ok(claims)) => (Ok(claims), table.read::<Row>(sessions).await?),
        Judgement::Final(refused) => (refused, None),
        Judgement::NeedsKeys => {
            let mut found = table.batch_get([sessions, Key::SigningKeys]).await?;
            let keys = found.iter().position(|item| is(item, &Key::SigningKeys)).map(|position| found.swap_remove(position));
            let verdict = known.learn(signing_keys::from_stored(keys)?, token, now);
            (verdict, found.pop().map(from_item::<Row>).transpose()?)
        }
    };
    let claims = match verdict {
        Ok(claims) => claims,
        Err(refused) => return Ok(Err(refused)),
    };
    let session = row.map(|row| row.into_session(claims.user_id, claims.session_id)).transpose()?.flatten();
    Ok(Ok(session.filter(|session| session.is_live(now)).map(|_| claims)))
}

/// A session that is live, with its account, and the public keys.
#[derive(Debug)]
pub struct Refreshable {
    pub session: Session,
    pub user: User,
}

/// Reads the session of a refresh token, if it is live, together with its account; and the public keys.
pub async fn find_with_account(
    table: &Table,
    user_id: UserId,
    session_id: SessionId,
    now: Timestamp,
) -> Result<(Option<Refreshable>, Keyring)> {
    let (mut user, mut session, mut keys) = (None, None, None);
    for item in table.batch_get([Key::User(user_id), Key::Sessions(user_id), Key::SigningKeys]).await? {
        if is(&item, &Key::User(user_id)) {
            user = Some(users::from_stored(item)?);
        } else if is(&item, &Key::SigningKeys) {
            keys = Some(item);
        } else {
            session = from_item::<Row>(item)?.into_session(user_id, session_id)?;
        }
    }
    let found = session.filter(|session| session.is_live(now)).zip(user);
    Ok((found.map(|(session, user)| Refreshable { session, user }), signing_keys::from_stored(keys)?))
}

/// Replaces the refresh token of a session, unless somebody else did since it was read or too many replacements are moments old;
/// and gives the session back as it is by now.
pub async fn rotate(table: &Table, session: &Session, address: &SourceAddress, now: Timestamp) -> Result<Session> {
    let Some(next) = session.rotated(address, now) else {
        return Ok(session.clone());
    };
    let path = path(session.session_id);
    let expression = Expression::default().equal(&format!("{path}.counter"), session.counter).set(&path, to_value(&next)?);
    match table.update::<Row>(Key::Sessions(session.user_id), &expression).await? {
        Write::Done(row) | Write::Refused(Some(row)) => {
            row.into_session(session.user_id, session.session_id)?.ok_or(Error::InvalidRefreshToken)
        }
        Write::Refused(None) => Err(Error::InvalidRefreshToken),
    }
}

/// Gives an account another password and ends all of its sessions but `current`, in which its owner has proven that they know the one
/// so far.
///
/// # Errors
///
/// [`Error::TokenRevoked`] if that session has ended, [`Error::InvalidCredentials`] if the password is another by now.
pub async fn change_password(
    table: &Table,
    attempt: &LoginAttempt<'_>,
    account: &Account,
    current: SessionId,
    hash: &PasswordHash,
    notice: Option<&Notice>,
    now: Timestamp,
) -> Result {
    let user_id = account.user.user_id;
    let mut sessions = attempt.sessions.clone();
    until_done(async |backoff| {
        let its_own = sessions.iter().flatten().find(|session| session.session_id == current && session.is_live(now));
        let its_own = its_own.ok_or(Error::TokenRevoked)?;
        let path = path(current);
        let alone = AttributeValue::M([(current.to_string(), to_value(its_own)?)].into());
        // A refresh at the same instant has made another of it.
        let others_end = Expression::default()
            .equal(&format!("{path}.counter"), its_own.counter)
            .set("sessions", alone)
            .set("expires_at", its_own.expires_at.seconds());
        let changed = Expression::default().equal("password", account.password.as_phc()).set("password", hash.as_phc());
        let found = Cell::new(None);
        let transaction = attempt.clear(Transaction::new(table), now);
        let transaction = transaction.update(Key::Password(user_id), &changed, |_| Error::InvalidCredentials);
        let transaction = transaction.update(Key::Sessions(user_id), &others_end, |item| {
            found.set(Some(item));
            Cancellation::Changed
        });
        let round = tickets::put_notice(transaction, notice).attempt(backoff).await?.into_round()?;
        if let Some(item) = found.into_inner() {
            let row = item.map(from_item::<Row>).transpose()?;
            sessions = row.map(|row| row.into_sessions(user_id)).transpose()?;
            return Ok(Round::Told);
        }
        Ok(round)
    })
    .await
}

/// All sessions of an account that are live, the last used first.
pub async fn list(table: &Table, user_id: UserId, now: Timestamp) -> Result<Vec<Session>> {
    let row: Option<Row> = table.read(Key::Sessions(user_id)).await?;
    let mut sessions = row.map(|row| row.into_sessions(user_id)).transpose()?.unwrap_or_default();
    sessions.retain(|session| session.is_live(now));
    sessions.sort_by_key(|session| std::cmp::Reverse(session.rotated_at()));
    Ok(sessions)
}

/// Ends a session that there is.
pub async fn end_one(table: &Table, user_id: UserId, session_id: SessionId) -> Result {
    if end(table, user_id, session_id).await? { Ok(()) } else { Err(Refusal::NotFound(Resource::Session).into()) }
}

/// Ends a session; one that has ended already stays so. Tells whether there was one.
pub async fn end(table: &Table, user_id: UserId, session_id: SessionId) -> Result<bool> {
    let path = path(session_id);
    let ended = table.update::<Row>(Key::Sessions(user_id), &Expression::default().has(&path).remove(&path)).await?;
    Ok(matches!(ended, Write::Done(_)))
}

/// Ends all sessions of an account at once.
pub async fn end_all(table: &Table, user_id: UserId) -> Result {
    table.delete(Key::Sessions(user_id)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis((1_795_342_350 + seconds) * 1000)
    }

    fn session(n: u128, begun: i64) -> Session {
        let (id, user) = (uuid::Uuid::from_u128(n), uuid::Uuid::from_u128(1));
        Session::new(id.into(), user.into(), SourceAddress::parse("203.0.113.7"), UserAgent::parse("curl/8.5.0"), at(begun))
    }

    #[test]
    fn another_session_ends_those_unused_for_longest() {
        let mut sessions: Vec<_> = (0..19_u8).map(|n| session(n.into(), i64::from(n))).collect();
        assert_eq!(ended_by_another(&sessions, 0, at(100)), []);
        sessions.push(session(19, 19));
        assert_eq!(ended_by_another(&sessions, 0, at(100)), [session(0, 0).session_id]);
        sessions[0] = sessions[0].rotated(&SourceAddress::parse("203.0.113.7"), at(50)).unwrap();
        assert_eq!(ended_by_another(&sessions, 0, at(100)), [session(1, 1).session_id], "a refresh is a use");
        sessions.push(session(20, 20));
        assert_eq!(ended_by_another(&sessions, 0, at(100)), [session(1, 1).session_id, session(2, 2).session_id]);
        let next = [session(3, 3).session_id, session(4, 4).session_id];
        assert_eq!(ended_by_another(&sessions, 2, at(100)), next, "others of the oldest");
        let eight_days = 8 * 24 * 60 * 60;
        assert_eq!(ended_by_another(&sessions, 0, at(eight_days)).len(), 21, "those that are over take no place");
    }

    #[test]
    fn a_session_is_stored_as_it_is() {
        let address = SourceAddress::parse("2001:db8::1");
        let session = session(7, 0).rotated(&address, at(1)).unwrap().rotated(&address, at(2)).unwrap();
        let item = Item::from([(
            "sessions".to_owned(),
            AttributeValue::M([(session.session_id.to_string(), to_value(&session).unwrap())].into()),
        )]);
        let row: Row = from_item(item).unwrap();
        assert_eq!(row.into_session(session.user_id, session.session_id).unwrap(), Some(session));
    }
}
