//! Mails: what they are about, and the tickets that make a mailed token good once.

use std::str::FromStr;

use super::{
    folded::Folded,
    id::{TicketId, UserId},
    timestamp::Timestamp,
    user::{Email, Username},
};
use crate::json::{Fields, FromFields, FromJson, Json};

/// What a mailed token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Shows that an address is its owner's.
    Verification,
    /// Gives an account another password.
    Recovery,
}

impl Purpose {
    pub const ALL: [Self; 2] = [Self::Verification, Self::Recovery];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "verification",
            Self::Recovery => "recovery",
        }
    }

    /// Seconds that a token is good for.
    fn lifetime(self) -> i64 {
        match self {
            Self::Verification => 24 * 60 * 60,
            Self::Recovery => 30 * 60,
        }
    }
}

impl FromStr for Purpose {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text).ok_or(())
    }
}

/// What makes one mailed token good: it is, for as long as its ticket is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub user_id: UserId,
    pub purpose: Purpose,
    pub ticket_id: TicketId,
    /// The address that it is sent to; `None` for the one that the account has by then.
    pub email: Option<Email>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Ticket {
    pub fn new(user_id: UserId, purpose: Purpose, ticket_id: TicketId, email: Option<Email>, now: Timestamp) -> Self {
        // Whole seconds, as the table's TTL has them.
        let expires_at = Timestamp::from_millis((now.seconds() + purpose.lifetime()) * 1000);
        Self { user_id, purpose, ticket_id, email, created_at: now, expires_at }
    }

    /// Whether it has not ended.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.expires_at > now
    }
}

/// Something that the owner of an account is told by mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    PasswordChanged,
    /// To the address so far: somebody who knows the password wants to put another in its place.
    AddressChanging,
}

impl Topic {
    pub const ALL: [Self; 2] = [Self::PasswordChanged, Self::AddressChanging];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::PasswordChanged => "password-changed",
            Self::AddressChanging => "address-changing",
        }
    }
}

impl FromStr for Topic {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == text).ok_or(())
    }
}

/// A mail to be sent because of something that has happened to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub user_id: UserId,
    pub topic: Topic,
    /// The address that the account had then.
    pub email: Email,
    /// After this, nobody needs to be told any more.
    pub expires_at: Timestamp,
}

impl Notice {
    pub fn new(user_id: UserId, topic: Topic, email: Email, now: Timestamp) -> Self {
        Self { user_id, topic, email, expires_at: Timestamp::from_millis((now.seconds() + 24 * 60 * 60) * 1000) }
    }
}

/// A mail as it is written.
#[derive(Debug, Clone)]
pub struct Letter {
    pub to: Email,
    pub username: Username,
    pub matter: Matter,
}

/// What a mail says.
#[derive(Debug, Clone)]
pub enum Matter {
    /// With the token.
    Ticket(Purpose, String),
    Notice(Topic),
}

/// What becomes of an address: Amazon SES tells which could not be reached for good, or whose owners complained; an operator, which can be
/// reached again: `{"deliverable": "ada@example.com"}`.
#[derive(Debug, Default)]
pub struct MailFeedback {
    pub undeliverable: Vec<Folded>,
    pub deliverable: Option<Folded>,
}

/// Addresses of one event of SES.
const MAX_RECIPIENTS: usize = 50;

struct Address(Folded);

impl FromJson for Address {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        Email::from_json(json).map(|email| Self(email.folded()))
    }
}

struct BounceType(String);

impl FromJson for BounceType {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        json.text().map(Self)
    }
}

impl FromFields for MailFeedback {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let deliverable = fields.optional::<Address>("deliverable")?.map(|Address(address)| address);
        let told = fields.clearable_object::<Told>("detail")?.unwrap_or_default();
        // Whatever else EventBridge sends.
        fields.ignore_rest();
        Some(Self { undeliverable: told.0, deliverable })
    }
}

/// The `detail` of an event of SES.
#[derive(Default)]
struct Told(Vec<Folded>);

impl FromFields for Told {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let bounce = fields.clearable_object::<Bounce>("bounce")?.unwrap_or_default();
        let complaint = fields.clearable_object::<Complaint>("complaint")?.unwrap_or_default();
        fields.ignore_rest();
        Some(Self(bounce.0.into_iter().chain(complaint.0).collect()))
    }
}

#[derive(Default)]
struct Bounce(Vec<Folded>);

impl FromFields for Bounce {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let BounceType(kind) = fields.required("bounceType")?;
        let recipients = fields.list::<Recipient>("bouncedRecipients", MAX_RECIPIENTS)?;
        fields.ignore_rest();
        // A mailbox that is full today is none tomorrow.
        let for_good = kind == "Permanent";
        Some(Self(recipients.into_iter().filter(|_| for_good).map(|Recipient(address)| address).collect()))
    }
}

#[derive(Default)]
struct Complaint(Vec<Folded>);

impl FromFields for Complaint {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let recipients = fields.list::<Recipient>("complainedRecipients", MAX_RECIPIENTS)?;
        fields.ignore_rest();
        Some(Self(recipients.into_iter().map(|Recipient(address)| address).collect()))
    }
}

struct Recipient(Folded);

impl FromFields for Recipient {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let Address(address) = fields.required("emailAddress")?;
        fields.ignore_rest();
        Some(Self(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_that_is_full_is_not_gone() {
        let event = |kind: &str, list: &str| {
            format!(
                r#"{{"source": "aws.ses", "detail": {{"eventType": "Bounce", "mail": {{"messageId": "1"}},
                "bounce": {{"bounceType": "{kind}", "feedbackId": "1", "bouncedRecipients": {list}}}}}}}"#
            )
        };
        let one = r#"[{"emailAddress": "Ada@Example.com", "status": "5.1.1"}]"#;
        let told = |text: &str| {
            let feedback: MailFeedback = Fields::parse(text.as_bytes()).unwrap();
            feedback.undeliverable.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(&event("Permanent", one)), ["ada@example.com"]);
        assert_eq!(told(&event("Transient", one)), [""; 0]);
        assert_eq!(told(&event("Permanent", "[]")), [""; 0]);
        let complaint = r#"{"detail": {"complaint": {"complainedRecipients": [{"emailAddress": "ada@example.com"}]}}}"#;
        assert_eq!(told(complaint), ["ada@example.com"]);
        let again: MailFeedback = Fields::parse(br#"{"deliverable": "ADA@example.com"}"#).unwrap();
        assert_eq!(again.deliverable.map(|address| address.to_string()).as_deref(), Some("ada@example.com"));
        assert!(Fields::parse::<MailFeedback>(br#"{"detail": {"bounce": {}}}"#).is_err());
    }

    #[test]
    fn a_ticket_is_good_for_its_time() {
        let id = uuid::Uuid::nil();
        let at = |seconds: i64| Timestamp::from_millis(1_795_342_350_000 + seconds * 1000);
        for (purpose, seconds) in [(Purpose::Verification, 86_400), (Purpose::Recovery, 1_800)] {
            let ticket = Ticket::new(id.into(), purpose, id.into(), None, at(0));
            assert!(ticket.is_good(at(seconds - 1)) && !ticket.is_good(at(seconds)), "{purpose:?}");
            assert_eq!(purpose.as_str().parse(), Ok(purpose));
        }
        assert_eq!("else".parse::<Purpose>(), Err(()));
        assert_eq!("password-changed".parse(), Ok(Topic::PasswordChanged));
    }

    #[test]
    fn a_topic_is_stored_by_the_word_that_is_read_again() {
        for topic in Topic::ALL {
            assert_eq!(topic.as_str().parse(), Ok(topic));
        }
        assert_eq!(Topic::AddressChanging.as_str(), "address-changing");
        assert_eq!("else".parse::<Topic>(), Err(()));
    }
}
