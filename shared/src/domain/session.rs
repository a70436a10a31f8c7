//! A login and how long it lasts.

use serde::Serialize;

use super::{
    fields::{Fields, FromFields},
    id::{SessionId, UserId},
    timestamp::Timestamp,
};

/// Seconds that an access token is good for.
const ACCESS: i64 = 15 * 60;

/// Seconds that a session lasts, however often it is refreshed.
pub const SESSION: i64 = 7 * 24 * 60 * 60;

/// Seconds in which a refresh token may be used once more after its successor was made: two tabs, or a lost answer.
const GRACE: i64 = 30;

/// The input of the schedule that replaces the signing secret, or of an operator: `{"force": true}` does it however young it is.
#[derive(Debug)]
pub struct Rotation {
    pub force: bool,
}

impl FromFields for Rotation {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let force = fields.optional("force");
        // Whatever else EventBridge sends.
        fields.ignore_rest();
        Some(Self { force: force?.unwrap_or_default() })
    }
}

/// One login of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub session_id: SessionId,
    pub user_id: UserId,
    /// How often it has been refreshed.
    pub counter: u64,
    pub created_at: Timestamp,
    /// When it was last refreshed, or made.
    pub rotated_at: Timestamp,
    /// When it ends, whatever happens.
    pub expires_at: Timestamp,
}

/// What a refresh token is worth to its session.
#[derive(Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The newest: to be replaced by the next.
    Current,
    /// The one before the newest, moments after it was replaced: its bearer gets the newest.
    JustReplaced,
    /// Used again long after: two parties have it, and one of them stole it.
    Reused,
}

impl Session {
    pub fn new(session_id: SessionId, user_id: UserId, now: Timestamp) -> Self {
        // Whole seconds, as tokens and the table's TTL have them.
        let expires_at = Timestamp::from_millis((now.seconds() + SESSION) * 1000);
        Self { session_id, user_id, counter: 0, created_at: now, rotated_at: now, expires_at }
    }

    /// Judges a refresh token by the counter it carries.
    pub fn freshness(&self, counter: u64, now: Timestamp) -> Freshness {
        let since = now.millis() - self.rotated_at.millis();
        if counter == self.counter {
            Freshness::Current
        } else if counter + 1 == self.counter && since <= GRACE * 1000 {
            Freshness::JustReplaced
        } else {
            Freshness::Reused
        }
    }

    /// When an access token made now ends: no later than its session.
    pub fn access_expires(&self, now: Timestamp) -> Timestamp {
        let full = Timestamp::from_millis((now.seconds() + ACCESS) * 1000);
        full.min(self.expires_at)
    }
}

/// What a login or a refresh is answered (RFC 6749, 5.1).
#[derive(Serialize)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
    pub token_type: &'static str,
    /// Seconds that the access token is good for.
    pub expires_in: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_342_350_120 + millis)
    }

    fn session() -> Session {
        let id = "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f";
        Session::new(id.parse().unwrap(), id.parse().unwrap(), at(0))
    }

    #[test]
    fn the_token_before_the_newest_is_good_for_thirty_seconds() {
        let session = Session { counter: 4, rotated_at: at(0), ..session() };
        for (counter, after, freshness) in [
            (4, 0, Freshness::Current),
            (4, 1_000_000, Freshness::Current),
            (3, 0, Freshness::JustReplaced),
            (3, 30_000, Freshness::JustReplaced),
            (3, 30_001, Freshness::Reused),
            (2, 0, Freshness::Reused),
            (5, 0, Freshness::Reused),
        ] {
            assert_eq!(session.freshness(counter, at(after)), freshness, "{counter} after {after} ms");
        }
    }

    #[test]
    fn access_ends_with_the_session_at_the_latest() {
        let session = session();
        assert_eq!(session.access_expires(at(0)).seconds() - at(0).seconds(), 900);
        let late = Timestamp::from_millis(session.expires_at.millis() - 60_000);
        assert_eq!(session.access_expires(late), session.expires_at);
    }
}
