//! Amazon SES as far as functions use it: mails that are kept to be looked at, and sent nowhere.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::iam::AuthorizationRequest;
use crate::ids;
use crate::log::Ring;
use crate::names::{ACCOUNT, REGION};

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

    /// What the sender of a mail must be allowed to do.
    pub fn authorization_requests(body: &[u8]) -> Vec<AuthorizationRequest> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let from = body["FromEmailAddress"].as_str().unwrap_or_default();
        let address = from.rsplit_once('<').map_or(from, |(_, address)| address.trim_end_matches('>'));
        let set = body["ConfigurationSetName"].as_str().map(|name| format!("configuration-set/{name}"));
        let resources = [Some(format!("identity/{address}")), set].into_iter().flatten();
        let request = |resource: String| AuthorizationRequest {
            action: "ses:SendEmail".into(),
            resource: format!("arn:aws:ses:{REGION}:{ACCOUNT}:{resource}"),
            keys: Vec::new(),
        };
        resources.map(request).collect()
    }

    /// Answers a call to SES.
    pub fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Response<Full<Bytes>> {
        if method != Method::POST || path != "/v2/email/outbound-emails" {
            return refuse("BadRequestException", "only SendEmail is known here");
        }
        let mail: SendEmail = match serde_json::from_slice(body) {
            Ok(mail) => mail,
            Err(error) => return refuse("BadRequestException", &error.to_string()),
        };
        let _ = mail.configuration_set_name;
        let Simple { subject, body } = mail.content.simple;
        if mail.destination.to_addresses.is_empty() || (body.text.data.is_empty() && body.html.data.is_empty()) {
            return refuse("BadRequestException", "a mail needs a destination and a body");
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
        json_answer(StatusCode::OK, &json!({"MessageId": ids::uuid()}))
    }

    fn lock(&self) -> MutexGuard<'_, Ring<MailRecord>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why AWS does not send it.
pub fn refuse(kind: &'static str, message: &str) -> Response<Full<Bytes>> {
    let status = if kind == "AccessDeniedException" { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
    let mut refused = json_answer(status, &json!({"message": message}));
    refused.headers_mut().insert(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(kind));
    refused
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
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
        let send =
            |body: &Value| mailbox.answer(&Method::POST, "/v2/email/outbound-emails", body.to_string().as_bytes()).status();
        assert_eq!(send(&mail("one@example.com")), StatusCode::OK);
        assert_eq!(send(&mail("two@example.com")), StatusCode::OK);
        let mut broken = mail("three@example.com");
        broken["Content"] = json!({"Raw": {"Data": ""}});
        assert_eq!(send(&broken), StatusCode::BAD_REQUEST);
        let from = |mails: Vec<MailRecord>| mails.into_iter().map(|mail| (mail.number, mail.from)).collect::<Vec<_>>();
        assert_eq!(from(mailbox.next(0).await), [(0, "one@example.com".into()), (1, "two@example.com".into())]);
        assert_eq!(from(mailbox.next(1).await), [(1, "two@example.com".into())]);
        assert_eq!(mailbox.find(1).unwrap().text, "Hello Ada");
        assert_eq!(mailbox.answer(&Method::GET, "/v2/email/identities", b"").status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_sender_needs_the_right_to_its_address_and_its_set() {
        let resources = |from: &str| -> Vec<_> {
            let requests = Mailbox::authorization_requests(mail(from).to_string().as_bytes());
            requests.into_iter().map(|request| format!("{} {}", request.action, request.resource)).collect()
        };
        let prefix = "ses:SendEmail arn:aws:ses:us-east-1:000000000000";
        let expected = [format!("{prefix}:identity/shop@example.com"), format!("{prefix}:configuration-set/shop")];
        assert_eq!(resources("shop@example.com"), expected);
        assert_eq!(resources("The Shop <shop@example.com>"), expected);
    }
}
