//! Amazon SES as far as functions use it: mails that are kept to be looked at, and sent nowhere.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::iam::AuthorizationRequest;
use crate::ids;
use crate::log::Ring;
use crate::names::arn;
use crate::protocol::{Call, Nothing, Refusal, read};

const OPERATIONS: &[&str] =
    &["DeleteSuppressedDestination", "GetAccount", "GetSuppressedDestination", "ListSuppressedDestinations", "SendEmail"];

/// How many mails are remembered.
const REMEMBERED: usize = 5_000;

/// A mail that was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRecord {
    /// How many came before it.
    pub number: u64,
    /// In milliseconds since 1970.
    pub at: u64,
    pub from: String,
    pub to: Vec<String>,
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// The latest mails.
pub struct Mailbox {
    mails: Mutex<Ring<MailRecord>>,
    arrived: Notify,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { mails: Mutex::new(Ring::of(REMEMBERED)), arrived: Notify::new() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SendEmail {
    from_email_address: String,
    destination: Destination,
    content: EmailContent,
    configuration_set_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Destination {
    to_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EmailContent {
    simple: Simple,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Simple {
    subject: Content,
    body: Body,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Body {
    #[serde(default)]
    text: Content,
    #[serde(default)]
    html: Content,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Content {
    data: String,
    #[serde(rename = "Charset")]
    _charset: Option<String>,
}

impl Mailbox {
    /// The mails that came after the first `seen`, oldest first, but only the latest `limit` of them.
    pub fn after(&self, seen: u64, limit: usize) -> Vec<MailRecord> {
        self.lock().after(seen, limit).0
    }

    pub fn find(&self, number: u64) -> Option<MailRecord> {
        self.lock().items().find(|mail| mail.number == number).cloned()
    }

    /// The mails that come after the first `seen`, waiting for one if there is none.
    pub async fn next(&self, seen: u64) -> Vec<MailRecord> {
        loop {
            let arrived = self.arrived.notified();
            let mails = self.after(seen, usize::MAX);
            if !mails.is_empty() {
                return mails;
            }
            arrived.await;
        }
    }

    /// What a call must be allowed to do: whoever sends, for the address and the set.
    pub fn authorization_requests(operation: &str, input: &Value) -> Vec<AuthorizationRequest> {
        let request = |resource| AuthorizationRequest { action: format!("ses:{operation}"), resource, keys: Vec::new() };
        if operation != "SendEmail" {
            return vec![request("*".to_owned())];
        }
        let from = input["FromEmailAddress"].as_str().unwrap_or_default();
        let address = from.rsplit_once('<').map_or(from, |(_, address)| address.trim_end_matches('>'));
        let set = input["ConfigurationSetName"].as_str().map(|name| format!("configuration-set/{name}"));
        let resources = [Some(format!("identity/{address}")), set].into_iter().flatten();
        resources.map(|resource| request(arn("ses", &resource))).collect()
    }

    pub fn answer(&self, call: &Call, input: &Value) -> Result<Value, Refusal> {
        match call.operation.as_str() {
            "SendEmail" => self.send(input),
            "GetAccount" => {
                let Nothing {} = read(input)?;
                let day_ago = ids::now_millis().saturating_sub(24 * 60 * 60 * 1000);
                let sent = self.lock().items().filter(|mail| mail.at >= day_ago).count();
                Ok(json!({
                    "EnforcementStatus": "HEALTHY",
                    "ProductionAccessEnabled": true,
                    "SendingEnabled": true,
                    // -1 is no limit.
                    "SendQuota": {"Max24HourSend": -1, "MaxSendRate": -1, "SentLast24Hours": sent},
                }))
            }
            // No mail bounces here, so that nobody gets on the list.
            "ListSuppressedDestinations" => Ok(json!({"SuppressedDestinationSummaries": []})),
            "GetSuppressedDestination" | "DeleteSuppressedDestination" => {
                let address = call.member("EmailAddress");
                let message = format!("Email address {address} does not exist on your suppression list.");
                Err(Refusal::not_found("NotFoundException", message))
            }
            _ => Err(call.not_served(OPERATIONS)),
        }
    }

    fn send(&self, input: &Value) -> Result<Value, Refusal> {
        let invalid = |message: String| Refusal::new("BadRequestException", message);
        let mail: SendEmail = read(input).map_err(|refusal| invalid(refusal.message))?;
        let _ = mail.configuration_set_name;
        let Simple { subject, body } = mail.content.simple;
        if mail.destination.to_addresses.is_empty() || (body.text.data.is_empty() && body.html.data.is_empty()) {
            return Err(invalid("a mail needs a destination and a body".to_owned()));
        }
        let mut mails = self.lock();
        let number = mails.total();
        mails.push(MailRecord {
            number,
            at: ids::now_millis(),
            from: mail.from_email_address,
            to: mail.destination.to_addresses,
            subject: subject.data,
            text: body.text.data,
            html: body.html.data,
        });
        drop(mails);
        self.arrived.notify_waiters();
        Ok(json!({"MessageId": ids::uuid()}))
    }

    fn lock(&self) -> MutexGuard<'_, Ring<MailRecord>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(from: &str) -> Value {
        json!({
            "FromEmailAddress": from,
            "Destination": {"ToAddresses": ["ada@example.com"]},
            "Content": {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Hello Ada", "Charset": "UTF-8"}}}},
            "ConfigurationSetName": "shop",
        })
    }

    #[tokio::test]
    async fn mails_are_kept_in_their_order() {
        let mailbox = Mailbox::default();
        let ask = |method: &str, path: &str, input: &Value| {
            let request = hyper::Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0;
            mailbox.answer(&Call::of(&request, b""), input).map_err(|refusal| refusal.code)
        };
        let send = |body: &Value| ask("POST", "/v2/email/outbound-emails", body).map(|_| ());
        assert_eq!(send(&mail("one@example.com")), Ok(()));
        assert_eq!(send(&mail("two@example.com")), Ok(()));
        let mut broken = mail("three@example.com");
        broken["Content"] = json!({"Raw": {"Data": ""}});
        assert_eq!(send(&broken), Err("BadRequestException"));
        let from = |mails: Vec<MailRecord>| mails.into_iter().map(|mail| (mail.number, mail.from)).collect::<Vec<_>>();
        assert_eq!(from(mailbox.next(0).await), [(0, "one@example.com".into()), (1, "two@example.com".into())]);
        assert_eq!(from(mailbox.next(1).await), [(1, "two@example.com".into())]);
        assert_eq!(mailbox.find(1).unwrap().text, "Hello Ada");
        assert_eq!(ask("GET", "/v2/email/account", &json!({})).unwrap()["SendQuota"]["SentLast24Hours"], 2);
        let suppressed = "/v2/email/suppression/addresses";
        assert_eq!(ask("GET", suppressed, &json!({})), Ok(json!({"SuppressedDestinationSummaries": []})));
        assert_eq!(ask("DELETE", &format!("{suppressed}/ada%40example.com"), &json!({})), Err("NotFoundException"));
        assert_eq!(ask("GET", "/v2/email/identities", &json!({})), Err("NotServedLocally"));
    }

    #[test]
    fn a_sender_needs_the_right_to_its_address_and_its_set() {
        let resources = |from: &str| -> Vec<_> {
            let requests = Mailbox::authorization_requests("SendEmail", &mail(from));
            requests.into_iter().map(|request| format!("{} {}", request.action, request.resource)).collect()
        };
        let prefix = "ses:SendEmail arn:aws:ses:us-east-1:000000000000";
        let expected = [format!("{prefix}:identity/shop@example.com"), format!("{prefix}:configuration-set/shop")];
        assert_eq!(resources("shop@example.com"), expected);
        assert_eq!(resources("The Shop <shop@example.com>"), expected);
    }
}
