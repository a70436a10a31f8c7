//! A login and how long it lasts.

use serde::Serialize;

use super::{
    address::SourceAddress,
    id::{SessionId, UserId},
    timestamp::Timestamp,
};
use crate::json::{Fields, FromFields};

/// Seconds that an access token is good for.
const ACCESS: i64 = 15 * 60;

/// Seconds that a session lasts, however often it is refreshed.
pub const SESSION: i64 = 7 * 24 * 60 * 60;

/// Milliseconds in which a refresh token may be used again after it was replaced: several tabs, or a lost answer.
const GRACE: i64 = 30 * 1000;

/// Replacements that are remembered, and so the most that happen within [`GRACE`]: further ones are put off, and whoever asks
/// gets the current token again.
const MAX_REPLACEMENTS: usize = 8;

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
    /// Where it was last seen: at its login, or at its latest refresh.
    pub address: SourceAddress,
    /// What logged in; `None` if it did not say.
    pub user_agent: Option<UserAgent>,
    /// How often it has been refreshed.
    pub counter: u64,
    pub created_at: Timestamp,
    /// When the latest refresh tokens were replaced, oldest first: the last one is when the current token was made. Those that
    /// are too old to matter are left out, and there is none before the first refresh.
    pub replacements: Vec<Timestamp>,
    /// When it ends, whatever happens.
    pub expires_at: Timestamp,
}

/// What a refresh token is worth to its session.
#[derive(Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The newest: to be replaced by the next.
    Current,
    /// Replaced moments ago: its bearer gets the newest.
    JustReplaced,
    /// Used again long after: two parties have it, and one of them stole it.
    Reused,
}

impl Session {
    /// Sessions that an account may have at once.
    pub const MAX_PER_ACCOUNT: usize = 20;

    pub fn new(
        session_id: SessionId,
        user_id: UserId,
        address: SourceAddress,
        user_agent: Option<UserAgent>,
        now: Timestamp,
    ) -> Self {
        // Whole seconds, as tokens and the table's TTL have them.
        let expires_at = Timestamp::from_millis((now.seconds() + SESSION) * 1000);
        Self { session_id, user_id, address, user_agent, counter: 0, created_at: now, replacements: Vec::new(), expires_at }
    }

    /// When its current refresh token was made: at its login, or at its latest refresh.
    pub fn rotated_at(&self) -> Timestamp {
        self.replacements.last().copied().unwrap_or(self.created_at)
    }

    /// Whether it has begun and not ended.
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.created_at.is_ahead_of(now) && self.expires_at > now
    }

    /// Judges a refresh token by the counter it carries.
    pub fn freshness(&self, counter: u64, now: Timestamp) -> Freshness {
        if counter == self.counter {
            return Freshness::Current;
        }
        let replaced_at = self.counter.checked_sub(counter).and_then(|behind| {
            let behind = usize::try_from(behind).ok()?;
            self.replacements.get(self.replacements.len().checked_sub(behind)?)
        });
        match replaced_at {
            Some(at) if at.is_within(GRACE, now) => Freshness::JustReplaced,
            _ => Freshness::Reused,
        }
    }

    /// The session after its current refresh token is replaced by somebody at `address`. `None` while as many replacements as
    /// are remembered are moments old: one more would make the oldest of these tokens look stolen.
    pub fn rotated(&self, address: &SourceAddress, now: Timestamp) -> Option<Self> {
        let mut next = self.clone();
        let expired = next.replacements.iter().take_while(|at| !at.is_within(GRACE, now)).count();
        next.replacements.drain(..expired);
        if next.replacements.len() == MAX_REPLACEMENTS {
            return None;
        }
        next.replacements.push(now);
        next.counter += 1;
        next.address = address.clone();
        Some(next)
    }

    /// When an access token made now ends: no later than its session.
    pub fn access_expires(&self, now: Timestamp) -> Timestamp {
        let full = Timestamp::from_millis((now.seconds() + ACCESS) * 1000);
        full.min(self.expires_at)
    }
}

/// What a program says that it is (RFC 9110, 10.1.5), as far as people can use it: printable ASCII, and no more than fits in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserAgent(String);

impl UserAgent {
    pub const MAX_CHARS: usize = 100;

    /// `None` if nothing readable was said.
    pub fn parse(text: &str) -> Option<Self> {
        let readable = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(Self::MAX_CHARS);
        let text = readable.collect::<String>().trim().to_owned();
        (!text.is_empty()).then_some(Self(text))
    }

    /// From the table, where it was written by [`UserAgent::as_str`].
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A session as its owner sees it.
#[derive(Debug, Serialize)]
pub struct SessionFacts {
    pub session_id: SessionId,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub expires_at: Timestamp,
    pub user_agent: Option<UserAgent>,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Session {
    /// As its owner sees it who asks with the session `current`.
    pub fn facts(&self, current: SessionId) -> SessionFacts {
        SessionFacts {
            session_id: self.session_id,
            created_at: self.created_at,
            last_used_at: self.rotated_at(),
            expires_at: self.expires_at,
            user_agent: self.user_agent.clone(),
            current: self.session_id == current,
        }
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
    use crate::json::tests::{faults, read};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_342_350_120 + millis)
    }

    fn address() -> SourceAddress {
        SourceAddress::parse("203.0.113.7")
    }

    fn session() -> Session {
        let id = "0197a2b4-7c1e-7d3a-9f00-5a6b7c8d9e0f";
        Session::new(id.parse().unwrap(), id.parse().unwrap(), address(), UserAgent::parse("curl/8.5.0"), at(0))
    }

    #[test]
    fn a_rotation_is_forced_by_whoever_says_so() {
        let is_forced = |body: &str| read::<Rotation>(body).unwrap().force;
        assert!(is_forced(r#"{"force": true}"#));
        assert!(!is_forced(r#"{"force": false}"#) && !is_forced(r#"{"source": "aws.scheduler"}"#));
        assert_eq!(faults::<Rotation>(r#"{"force": "yes"}"#), ["/force"]);
    }

    #[test]
    fn every_token_is_good_for_thirty_seconds_after_it_was_replaced() {
        let session = Session { counter: 5, replacements: vec![at(0), at(10_000)], ..session() };
        for (counter, after, freshness) in [
            (5, 10_000, Freshness::Current),
            (5, 1_000_000, Freshness::Current),
            (4, 10_000, Freshness::JustReplaced),
            (4, 40_000, Freshness::JustReplaced),
            (4, 40_001, Freshness::Reused),
            (3, 10_000, Freshness::JustReplaced),
            (3, 30_000, Freshness::JustReplaced),
            (3, 30_001, Freshness::Reused),
            (2, 10_000, Freshness::Reused),
            (6, 10_000, Freshness::Reused),
            (u64::MAX, 10_000, Freshness::Reused),
        ] {
            assert_eq!(session.freshness(counter, at(after)), freshness, "{counter} after {after} ms");
        }
    }

    #[test]
    fn a_clock_that_is_ahead_makes_no_grace_longer() {
        let session = Session { counter: 1, replacements: vec![at(600_000)], ..session() };
        assert_eq!(session.freshness(0, at(0)), Freshness::Reused, "replaced in ten minutes");
        assert_eq!(session.freshness(0, at(595_000)), Freshness::JustReplaced, "within what clocks differ");
        assert!(session.is_live(at(0)));
        assert!(!session.is_live(at(-5_001)), "begun in the future");
        assert!(!session.is_live(session.expires_at));
    }

    #[test]
    fn replacements_are_remembered_for_as_long_as_they_matter() {
        let mut session = session();
        for n in 0..8 {
            session = session.rotated(&address(), at(n * 1000)).unwrap();
        }
        assert_eq!((session.counter, session.replacements.len()), (8, 8));
        assert_eq!(session.rotated(&address(), at(8_000)), None, "the first of them is still good");
        assert_eq!(session.freshness(0, at(8_000)), Freshness::JustReplaced);

        let elsewhere = SourceAddress::parse("198.51.100.1");
        let next = session.rotated(&elsewhere, at(30_001)).unwrap();
        assert_eq!((next.counter, next.replacements.len(), &next.address), (9, 8, &elsewhere));
        assert_eq!(next.rotated_at(), at(30_001));
        assert_eq!(next.freshness(0, at(30_001)), Freshness::Reused);
        assert_eq!(next.freshness(1, at(30_001)), Freshness::JustReplaced);
        let next = next.rotated(&address(), at(1_000_000)).unwrap();
        assert_eq!(next.replacements, [at(1_000_000)]);
    }

    #[test]
    fn a_user_agent_is_short_and_readable() {
        let parsed = |text: &str| UserAgent::parse(text).map(|agent| agent.0);
        assert_eq!(parsed(" curl/8.5.0 ").as_deref(), Some("curl/8.5.0"));
        assert_eq!(parsed("a\u{202e}b\tc\u{e9}").as_deref(), Some("abc"));
        assert_eq!((parsed(""), parsed(" \u{1f600} ")), (None, None));
        assert_eq!(parsed(&"x".repeat(5_000)).map(|text| text.len()), Some(100));
    }

    #[test]
    fn access_ends_with_the_session_at_the_latest() {
        let session = session();
        assert_eq!(session.access_expires(at(0)).seconds() - at(0).seconds(), 900);
        let late = Timestamp::from_millis(session.expires_at.millis() - 60_000);
        assert_eq!(session.access_expires(late), session.expires_at);
    }

    #[test]
    fn its_owner_sees_when_a_session_was_used_and_by_what() {
        let used = Session { replacements: vec![at(5_000)], ..session() };
        let facts = used.facts(used.session_id);
        assert_eq!((facts.session_id, facts.created_at, facts.last_used_at), (used.session_id, at(0), at(5_000)));
        assert_eq!((facts.expires_at.seconds() - at(0).seconds(), facts.current), (7 * 86_400, true));
        assert_eq!(facts.user_agent.as_ref().map(UserAgent::as_str), Some("curl/8.5.0"));
        assert!(!used.facts("0197a2b4-7c1e-7d3a-9f00-000000000001".parse().unwrap()).current);
        assert_eq!(UserAgent::from_stored("curl".into()).as_str(), "curl");
    }
}
