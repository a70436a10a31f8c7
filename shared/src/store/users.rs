//! Accounts and the names they are found by.

use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    key::{Item, Key},
    table::{Table, Write, from_item},
    transaction::Transaction,
};
use crate::{
    Error, Result,
    auth::PasswordHash,
    domain::{Email, Login, Refusal, Resource, Role, Timestamp, User, UserId, Username},
};

/// An account as it is stored. Its id is in the key.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    pk: String,
    email: String,
    username: String,
    /// A PHC string.
    password: String,
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
}

/// An account together with the secret that only `login` looks at.
#[derive(Debug)]
pub struct Account {
    pub user: User,
    pub password: PasswordHash,
}

impl TryFrom<Row> for Account {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let broken = |what: &str| Error::Internal(format!("{}: the stored {what} breaks its rules", row.pk));
        let user = User {
            user_id: Key::user_of(&row.pk).ok_or_else(|| broken("id"))?,
            email: Email::from_stored(row.email),
            username: Username::parse(&row.username).map_err(|_| broken("username"))?,
            role: row.role,
            is_active: row.is_active,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
            version: row.version,
        };
        Ok(Self { user, password: PasswordHash::from_phc(row.password) })
    }
}

/// An account as an item that was read.
pub(super) fn from_stored(item: Item) -> Result<Account> {
    from_item::<Row>(item)?.try_into()
}

/// Adds an account and takes its e-mail address and username, or does none of it.
pub async fn register(table: &Table, user: &User, password: &PasswordHash) -> Result {
    let (email, username) = (user.email.folded(), user.username.folded());
    let owner = OwnerRow { user_id: user.user_id.to_string() };
    let row = Row {
        pk: Key::User(user.user_id).pk(),
        email: user.email.as_str().to_owned(),
        username: user.username.as_str().to_owned(),
        password: password.as_phc().to_owned(),
        role: user.role,
        is_active: user.is_active,
        created_at: user.created_at.millis(),
        updated_at: user.updated_at.millis(),
        version: user.version,
    };
    Transaction::new(table)
        .insert(Key::Email(&email), &owner, |_| Error::EmailTaken)
        .insert(Key::Username(&username), &owner, |_| Error::UsernameTaken)
        .insert(Key::User(user.user_id), &row, |_| Error::Internal("a new account has the id of another".into()))
        .commit()
        .await
}

/// Reads an account by its id.
pub async fn find(table: &Table, id: UserId) -> Result<Option<Account>> {
    table.read::<Row>(Key::User(id)).await?.map(Account::try_from).transpose()
}

/// Finds the account that an e-mail address or username belongs to.
pub async fn owner(table: &Table, login: &Login) -> Result<Option<UserId>> {
    let owner: Option<OwnerRow> = table.read(Key::owner(login)).await?;
    Ok(owner.and_then(|owner| owner.user_id.parse().ok()))
}

/// Sets what an operator decides about an account; what is `None` stays as it is.
pub async fn administer(table: &Table, id: UserId, role: Option<Role>, is_active: Option<bool>, now: Timestamp) -> Result<User> {
    let mut expression = Expression::exists().set("updated_at", now.millis()).add("version", 1);
    if let Some(role) = role {
        expression = expression.set("role", role.as_str());
    }
    if let Some(is_active) = is_active {
        expression = expression.set("is_active", is_active);
    }
    match table.update::<Row>(Key::User(id), &expression).await? {
        Write::Done(row) => Ok(Account::try_from(row)?.user),
        Write::Refused(_) => Err(Refusal::NotFound(Resource::Account).into()),
    }
}
