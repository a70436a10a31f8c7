//! Saves what a request with an `Idempotency-Key` was answered, in the transaction of its effect.

use serde::{Deserialize, Serialize};

use super::{
    expression::Expression,
    key::Key,
    retry::Backoff,
    table::{Table, from_item},
    transaction::{Cancellation, Outcome, SavedResponse, Transaction},
};
use crate::{
    Error, Result,
    domain::{Role, Timestamp, UserId},
};

/// Seconds that a response is kept.
const KEPT: i64 = 24 * 60 * 60;

/// Writes a response to what was made down.
pub type SaveResponse<'a, T> = Box<dyn Fn(&T) -> Result<String> + 'a>;

/// What makes a request have its effect once, however often it is sent. `T` is what it makes.
pub struct Idempotency<'a, T> {
    /// Keys are the caller's own: nobody can meet another's.
    pub user_id: UserId,
    /// And of what the caller is: what an admin was answered is not for the customer that they have become.
    pub role: Role,
    pub key: String,
    /// Hash of what was asked for; tells a repetition from another request under the same key.
    pub fingerprint: String,
    pub now: Timestamp,
    /// Writes the response down that is given now and to every repetition; the text is the business of `http`.
    pub save_response: SaveResponse<'a, T>,
}

/// What came of a request that may be a repetition.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Idempotent<T> {
    Done(T),
    /// It was carried out before.
    Repeated(SavedResponse),
}

#[derive(Serialize, Deserialize)]
struct Row {
    fingerprint: String,
    answer: String,
    expires_at: i64,
}

impl Row {
    /// The response for a request under the same key.
    fn response_to(self, fingerprint: &str) -> Result<SavedResponse> {
        if self.fingerprint == fingerprint { Ok(SavedResponse(self.answer)) } else { Err(Error::IdempotencyKeyReused) }
    }
}

impl<T> Idempotency<'_, T> {
    fn key(&self) -> Key<'_> {
        Key::Idempotency { user_id: self.user_id, role: self.role, key: &self.key }
    }

    /// The saved response, if the request was carried out before.
    ///
    /// # Errors
    ///
    /// [`Error::IdempotencyKeyReused`] if another request was.
    async fn saved_response(&self, table: &Table) -> Result<Option<SavedResponse>> {
        let row: Option<Row> = table.read(self.key()).await?;
        let row = row.filter(|row| row.expires_at >= self.now.seconds());
        row.map(|row| row.response_to(&self.fingerprint)).transpose()
    }
}

/// Refuses a request without a transaction, unless it is the repetition of one that was carried out: that is answered as the first
/// time, whatever has changed since.
pub(super) async fn refuse_unless_repeated<T>(
    table: &Table,
    idempotency: Option<&Idempotency<'_, T>>,
    refusal: impl Into<Error>,
) -> Result<Idempotent<T>> {
    let saved = match idempotency {
        Some(idempotency) => idempotency.saved_response(table).await?,
        None => None,
    };
    saved.map(Idempotent::Repeated).ok_or_else(|| refusal.into())
}

impl Transaction<'_> {
    /// Makes the transaction happen once per key. Added first, so that a repetition is told before anything it meets of its own effect.
    pub fn idempotent<T>(self, idempotency: Option<&Idempotency<'_, T>>, made: &T) -> Result<Self> {
        let Some(idempotency) = idempotency else { return Ok(self) };
        let now = idempotency.now.seconds();
        let answer = (idempotency.save_response)(made)?;
        let row = Row { fingerprint: idempotency.fingerprint.clone(), answer, expires_at: now + KEPT };
        let fingerprint = row.fingerprint.clone();
        Ok(self.put(idempotency.key(), &row, &Expression::absent_or_expired(now), move |found| {
            match found.map(from_item::<Row>) {
                Some(Ok(before)) => before.response_to(&fingerprint).map_or_else(Cancellation::from, Cancellation::Repeated),
                Some(Err(error)) => error.into(),
                None => Error::Internal("an idempotency record was refused and not shown".into()).into(),
            }
        }))
    }

    /// Carries out what is based on nothing that was read, and makes `T`.
    pub async fn commit_idempotent<T>(self, made: T) -> Result<Idempotent<T>> {
        match self.attempt(&mut Backoff::new()).await? {
            Outcome::Done => Ok(Idempotent::Done(made)),
            Outcome::Cancelled(conditions) => match conditions.into_iter().next() {
                Some(Cancellation::Repeated(response)) => Ok(Idempotent::Repeated(response)),
                Some(Cancellation::Refused(error)) => Err(error),
                _ => Err(Error::Internal("a write that was based on no read met a change".into())),
            },
        }
    }
}
