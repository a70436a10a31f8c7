//! Saves what a request with an `Idempotency-Key` was answered, in the transaction of its effect.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

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
    answer: Packed,
    expires_at: i64,
}

/// A response, compressed (RFC 1951): the answer to an order of 40 lines is 14 KB of JSON, for each of which the table would be paid
/// twice.
#[derive(Clone)]
struct Packed(Vec<u8>);

impl Packed {
    /// 1 is the fastest and 10 the smallest; from 6 up, hardly anything becomes smaller.
    const LEVEL: u8 = 6;

    fn pack(SavedResponse(text): &SavedResponse) -> Self {
        Self(miniz_oxide::deflate::compress_to_vec(text.as_bytes(), Self::LEVEL))
    }

    fn unpack(&self) -> Result<SavedResponse> {
        SavedResponse::unpacked(&self.0).ok_or_else(|| Error::Internal("a saved response cannot be unpacked".into()))
    }
}

impl SavedResponse {
    /// From the bytes that the table has; `None` if they are none that were written there.
    pub fn unpacked(bytes: &[u8]) -> Option<Self> {
        /// No response is as long.
        const MOST: usize = 1024 * 1024;
        let text = miniz_oxide::inflate::decompress_to_vec_with_limit(bytes, MOST).ok()?;
        String::from_utf8(text).ok().map(Self)
    }
}

// As bytes, which serde takes for a list of numbers where it is not told.
impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Packed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> std::result::Result<Packed, E> {
                Ok(Packed(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

impl Row {
    /// The response for a request under the same key.
    fn response_to(self, fingerprint: &str) -> Result<SavedResponse> {
        if self.fingerprint == fingerprint { self.answer.unpack() } else { Err(Error::IdempotencyKeyReused) }
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

/// What a request is answered that came to this. One that is refused may be the repetition of one that was carried out, a moment ago at
/// the same time or long before: that is answered as the first time, whatever has changed since.
pub(super) async fn unless_repeated<T>(
    table: &Table,
    idempotency: Option<&Idempotency<'_, T>>,
    outcome: Result<Idempotent<T>>,
) -> Result<Idempotent<T>> {
    match (outcome, idempotency) {
        (Err(refusal @ (Error::Refused(_) | Error::PreconditionFailed)), Some(idempotency)) => {
            idempotency.saved_response(table).await?.map(Idempotent::Repeated).ok_or(refusal)
        }
        (outcome, _) => outcome,
    }
}

impl Transaction<'_> {
    /// Makes the transaction happen once per key. Added first, so that a repetition is told before anything it meets of its own effect.
    pub fn idempotent<T>(self, idempotency: Option<&Idempotency<'_, T>>, made: &T) -> Result<Self> {
        let Some(idempotency) = idempotency else { return Ok(self) };
        let now = idempotency.now.seconds();
        let answer = Packed::pack(&SavedResponse((idempotency.save_response)(made)?));
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
