//! Remembers what a request with an `Idempotency-Key` was answered, in the transaction of its effect.

use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    key::Key,
    table::{Table, from_item},
    transaction::Transaction,
};
use crate::{
    Error, Result,
    domain::{Role, Timestamp, UserId},
};

/// Seconds that an answer is remembered.
const KEPT: i64 = 24 * 60 * 60;

/// One request that must have its effect once, however often it is sent.
#[derive(Debug)]
pub struct Idempotency {
    /// Keys are the caller's own: nobody can meet another's.
    pub user_id: UserId,
    /// And of what the caller is: what an admin was answered is not for the customer that they have become.
    pub role: Role,
    pub key: String,
    /// Hash of what was asked for; tells a repetition from another request under the same key.
    pub fingerprint: String,
    /// What is answered, now and to every repetition; the text is the business of `http`.
    pub answer: String,
    pub now: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Row {
    fingerprint: String,
    answer: String,
    expires_at: i64,
}

/// Whether a request was carried out before, for one that is about to be refused without a transaction.
///
/// # Errors
///
/// [`Error::IdempotentReplay`] with the answer of then, or [`Error::IdempotencyKeyReused`].
pub(super) async fn recall(table: &Table, idempotency: Option<&Idempotency>) -> Result {
    let Some(Idempotency { user_id, role, key, fingerprint, now, .. }) = idempotency else {
        return Ok(());
    };
    match table.read::<Row>(Key::Idempotency { user_id: *user_id, role: *role, key }).await? {
        Some(before) if before.expires_at >= now.seconds() => Err(before.told(fingerprint)),
        _ => Ok(()),
    }
}

impl Row {
    /// What a request under the same key is told.
    fn told(self, fingerprint: &str) -> Error {
        if self.fingerprint == fingerprint { Error::IdempotentReplay(self.answer) } else { Error::IdempotencyKeyReused }
    }
}

impl Transaction<'_> {
    /// Makes the transaction happen once per key. Added first, so that a repetition is told before anything it meets of its own effect.
    pub fn idempotent(self, idempotency: Option<&Idempotency>) -> Self {
        let Some(Idempotency { user_id, role, key, fingerprint, answer, now }) = idempotency else {
            return self;
        };
        let row = Row { fingerprint: fingerprint.clone(), answer: answer.clone(), expires_at: now.seconds() + KEPT };
        let asked = fingerprint.clone();
        let key = Key::Idempotency { user_id: *user_id, role: *role, key };
        self.put(key, &row, &Expression::absent_or_expired(now.seconds()), move |found| match found.map(from_item::<Row>) {
            Some(Ok(before)) if before.fingerprint == asked => Error::IdempotentReplay(before.answer),
            Some(Ok(_)) => Error::IdempotencyKeyReused,
            Some(Err(error)) => error,
            None => Error::Internal("an idempotency record was refused and not shown".into()),
        })
    }
}
