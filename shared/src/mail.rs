//! Mails as they are written, and the way that they take: Amazon SES. Another mail service would be another file like this.

use askama::Template;
use aws_sdk_sesv2::{
    Client,
    operation::send_email::SendEmailError,
    types::{Body, Content, Destination, EmailContent, Message},
};

use crate::{
    Error, Result,
    aws::fault,
    domain::{Letter, Matter, Purpose, Topic},
    telemetry::record,
};

impl Matter {
    fn subject(&self) -> &'static str {
        match self {
            Self::Ticket(Purpose::Verification, _) => "Is this address yours?",
            Self::Ticket(Purpose::Recovery, _) => "Set another password",
            Self::Notice(Topic::PasswordChanged) => "Your password was changed",
            Self::Notice(Topic::AddressChanging) => "Your e-mail address is about to change",
        }
    }
}

#[derive(Template)]
#[template(path = "letter.txt")]
struct Text<'a> {
    form: Form<'a>,
}

#[derive(Template)]
#[template(path = "letter.html")]
struct Html<'a> {
    subject: &'a str,
    form: Form<'a>,
}

/// What both forms of a mail are made of.
#[derive(Clone, Copy)]
struct Form<'a> {
    shop: &'a str,
    username: &'a str,
    address: &'a str,
    matter: &'a Matter,
    /// Where the token leads, if the shop has a page for that.
    link: Option<&'a str>,
    token: Option<&'a str>,
}

/// A mail in both forms.
#[derive(Debug)]
struct Written {
    subject: &'static str,
    text: String,
    html: String,
}

/// Writes mails and hands them to Amazon SES.
#[derive(Debug)]
pub struct Mailer {
    client: Client,
    /// Who sends: an address, or a name and an address in angle brackets.
    from: String,
    /// What the shop is called.
    shop: String,
    /// The page that a link leads to, with the token in its fragment, which no server gets to see.
    pages: Option<String>,
    /// By which SES tells what became of a mail.
    configuration_set: Option<String>,
}

impl Mailer {
    pub fn new(client: Client, from: String, shop: String, pages: Option<String>, configuration_set: Option<String>) -> Self {
        Self { client, from, shop, pages, configuration_set }
    }

    /// Sends a mail. One that SES will never take is reported and counts as sent: others must not wait behind it.
    pub async fn send(&self, letter: &Letter) -> Result {
        let Written { subject, text, html } = write(letter, &self.shop, self.pages.as_deref())?;
        let content = |data: String| Content::builder().data(data).charset("UTF-8").build().map_err(|error| broken(&error));
        let body = Body::builder().text(content(text)?).html(content(html)?).build();
        let message = Message::builder().subject(content(subject.to_owned())?).body(body).build();
        let sent = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(letter.to.as_str()).build())
            .content(EmailContent::builder().simple(message).build())
            .set_configuration_set_name(self.configuration_set.clone())
            .send()
            .await;
        match sent {
            Ok(_) => record(|metrics| metrics.mails += 1),
            Err(error) => match error.as_service_error() {
                Some(SendEmailError::MessageRejected(_) | SendEmailError::BadRequestException(_)) => {
                    record(|metrics| metrics.mails_refused += 1);
                }
                _ => return Err(fault(error)),
            },
        }
        Ok(())
    }
}

fn write(letter: &Letter, shop: &str, pages: Option<&str>) -> Result<Written> {
    let Letter { to, username, matter } = letter;
    let (subject, username, address) = (matter.subject(), username.as_str(), to.as_str());
    let ticket = match matter {
        Matter::Ticket(purpose, token) => Some((purpose.as_str(), token.as_str())),
        Matter::Notice(_) => None,
    };
    let token = ticket.map(|(_, token)| token);
    let link = pages.zip(ticket).map(|(pages, (purpose, token))| format!("{pages}#{purpose}={token}"));
    let link = link.as_deref();
    let form = Form { shop, username, address, matter, link, token };
    let text = Text { form }.render();
    let html = Html { subject, form }.render();
    Ok(Written { subject, text: text.map_err(|error| broken(&error))?, html: html.map_err(|error| broken(&error))? })
}

fn broken(error: &dyn std::error::Error) -> Error {
    Error::Internal(format!("a mail cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Email, Username};

    fn letter(matter: Matter) -> Letter {
        // An address may have characters that mean something in HTML.
        let to = Email::parse("o'hara&sons@example.com").unwrap();
        Letter { to, username: Username::parse("ada").unwrap(), matter }
    }

    #[test]
    fn a_mail_has_its_link_or_its_token() {
        for purpose in Purpose::ALL {
            let letter = letter(Matter::Ticket(purpose, "user.purpose.ticket.mac".into()));
            let link = format!("https://shop.example.com/account#{}=user.purpose.ticket.mac", purpose.as_str());
            let with_page = write(&letter, "Stockroom", Some("https://shop.example.com/account")).unwrap();
            assert!(with_page.text.lines().any(|line| line == link), "{}", with_page.text);
            assert!(with_page.html.contains(&format!("href=\"{link}\"")), "{}", with_page.html);
            let without = write(&letter, "Stockroom", None).unwrap();
            for text in [&without.text, &without.html] {
                assert!(text.contains("user.purpose.ticket.mac") && !text.contains("href"), "{text}");
            }
        }
    }

    #[test]
    fn every_mail_is_for_a_terminal_and_for_a_browser() {
        let tickets = Purpose::ALL.map(|purpose| Matter::Ticket(purpose, "token".into()));
        let mut subjects = std::collections::BTreeSet::new();
        for matter in tickets.into_iter().chain(Topic::ALL.map(Matter::Notice)) {
            let Written { subject, text, html } = write(&letter(matter), "Ada <& Co>", None).unwrap();
            subjects.insert(subject);
            assert!(text.starts_with("Hello ada,\n\n") && text.contains("o'hara&sons@example.com"), "{text}");
            assert!(!text.contains("&#") && !text.contains("\n\n\n") && text.is_ascii(), "{text}");
            assert!(html.contains("o&#39;hara&#38;sons@example.com") && html.contains("Ada &#60;&#38; Co&#62;"), "{html}");
            assert!(html.contains("prefers-color-scheme: dark") && html.contains(&format!("<h1>{subject}</h1>")), "{html}");
        }
        assert_eq!(subjects.len(), 4);
    }
}
