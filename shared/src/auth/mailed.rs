//! Tokens that are sent by mail: they name a ticket, and carry a MAC, so that nobody who reads the table can make one.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;

use crate::domain::{Purpose, Ticket, TicketId, UserId};

/// No token of ours is longer, in bytes.
const MAX_TOKEN: usize = 200;

/// The key of all mailed tokens, and of nothing else.
pub struct MailKey(hmac::Key);

impl MailKey {
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The token that a ticket makes good: `<user id>.<purpose>.<ticket id>.<MAC>`.
    pub fn token(&self, ticket: &Ticket) -> String {
        let message = format!("{}.{}.{}", ticket.user_id, ticket.purpose.as_str(), ticket.ticket_id);
        let tag = hmac::sign(&self.0, message.as_bytes());
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }

    /// What a token names, if we made it, for this purpose. Whether it is still good, its ticket says.
    pub fn verify(&self, text: &str, purpose: Purpose) -> Option<MailedToken> {
        let (message, tag) = text.rsplit_once('.').filter(|_| text.len() <= MAX_TOKEN)?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        hmac::verify(&self.0, message.as_bytes(), &tag).ok()?;
        let mut parts = message.split('.');
        let (user_id, named, ticket_id) = (parts.next()?, parts.next()?, parts.next()?);
        let is_ours = named == purpose.as_str() && parts.next().is_none();
        is_ours.then_some(MailedToken { user_id: user_id.parse().ok()?, purpose, ticket_id: ticket_id.parse().ok()? })
    }
}

impl fmt::Debug for MailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailKey(…)")
    }
}

/// A token that we made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailedToken {
    pub user_id: UserId,
    pub purpose: Purpose,
    pub ticket_id: TicketId,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Timestamp;

    fn ticket(n: u128, purpose: Purpose) -> Ticket {
        let id = |n: u128| uuid::Uuid::from_u128(n);
        Ticket::new(id(n).into(), purpose, id(n + 1).into(), None, Timestamp::from_millis(0))
    }

    #[test]
    fn a_token_is_good_for_its_purpose_and_its_key() {
        let key = MailKey::new(b"secret");
        let ticket = ticket(7, Purpose::Recovery);
        let token = key.token(&ticket);
        let named = MailedToken { user_id: ticket.user_id, purpose: Purpose::Recovery, ticket_id: ticket.ticket_id };
        assert_eq!(key.verify(&token, Purpose::Recovery), Some(named));
        assert_eq!(key.verify(&token, Purpose::Verification), None);
        assert_eq!(MailKey::new(b"another").verify(&token, Purpose::Recovery), None);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{token}: fits a fragment");
        // The ids and the purpose alone are no token, and no MAC is another's.
        let other = key.token(&self::ticket(8, Purpose::Recovery));
        let (message, tag) = (token.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
        for forged in [message.to_owned(), format!("{message}."), format!("{message}.{tag}"), format!("{token}A"), String::new()]
        {
            assert_eq!(key.verify(&forged, Purpose::Recovery), None, "{forged}");
        }
        assert_eq!(format!("{key:?}"), "MailKey(…)");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_altered_token_is_one(at in 0_usize..200, byte in any::<u8>()) {
            let key = MailKey::new(b"secret");
            let token = key.token(&ticket(7, Purpose::Verification));
            let mut altered = token.clone().into_bytes();
            let at = at % altered.len();
            altered[at] = byte;
            let altered = String::from_utf8_lossy(&altered);
            prop_assert!(altered == token || key.verify(&altered, Purpose::Verification).is_none(), "{at}: {altered}");
        }

        #[test]
        fn no_text_is_a_token(text in ".{0,300}") {
            prop_assert!(MailKey::new(b"secret").verify(&text, Purpose::Recovery).is_none());
        }
    }
}
