//! A request, parsed piece by piece as the handler asks for it.

use std::{borrow::Cow, fmt::Display, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::{
    event::Event,
    identity::Decision,
    page::{Cursor, PageRequest},
    precondition::Tags,
    reply::Response,
    saved::save,
    syntax::{parameter, split, trim, unquoted},
};
use crate::{
    Error, Result,
    domain::{Caller, Refusal, Resource, SourceAddress, Timestamp, UserAgent},
    fault::Fault,
    json::{Fields, FromFields},
    store::Idempotency,
    telemetry::record,
};

/// Largest body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// An HTTP request as API Gateway hands it to the function.
pub struct Request {
    event: Event,
    body: Vec<u8>,
}

impl Request {
    pub fn new(mut event: Event) -> Self {
        Self { body: event.take_body(), event }
    }

    pub fn method(&self) -> &str {
        &self.event.request_context.http.method
    }

    /// Where the request comes from, as the gateway saw it. Headers that say otherwise are anybody's to write.
    pub fn source_address(&self) -> SourceAddress {
        SourceAddress::parse(&self.event.request_context.http.source_ip)
    }

    /// What program is asking, if it says so.
    pub fn user_agent(&self) -> Option<UserAgent> {
        UserAgent::parse(&self.event.request_context.http.user_agent)
    }

    /// The path as the gateway tells it.
    pub fn path(&self) -> &str {
        &self.event.raw_path
    }

    /// The gateway's id of this request: in its access log, in our log line, in `X-Request-Id` and in every problem.
    pub fn id(&self) -> &str {
        &self.event.request_context.request_id
    }

    /// The route as template.yaml has it, such as `GET /products/{product_id}`.
    pub fn route(&self) -> &str {
        &self.event.route_key
    }

    /// Who is asking, as the authorizer found.
    ///
    /// # Errors
    ///
    /// Whatever reason it gave for naming nobody, or [`Error::Unauthenticated`]. There is no anonymous caller to fall back to.
    pub fn caller(&self) -> Result<Caller> {
        let authorizer = self.event.request_context.authorizer.as_ref();
        let said = authorizer.and_then(|authorizer| authorizer.lambda.as_ref()).ok_or(Error::Unauthenticated)?;
        let caller = Decision::from_context(|name| said.get(name)?.as_str())?;
        record(|metrics| metrics.user_id = Some(caller.user_id));
        Ok(caller)
    }

    /// An id in the path. One that is none cannot exist: no need to ask the database.
    pub fn path_id<T: FromStr>(&self, parameter: &str, what: Resource) -> Result<T> {
        let text = self.event.path_parameters.get(parameter);
        text.and_then(|text| text.parse().ok()).ok_or_else(|| Refusal::NotFound(what).into())
    }

    /// A query parameter, decoded. One that is given twice could mean either value, and is a fault.
    pub fn query(&self, name: &str) -> Result<Option<Cow<'_, str>>, Fault> {
        let mut values = form_urlencoded::parse(self.event.raw_query_string.as_bytes()).filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value);
        if values.next().is_some() {
            return Err(Fault::new(format!("?{name}"), "must not be repeated"));
        }
        Ok(value)
    }

    /// `limit` and `cursor`. `list` names the list and its filters: the cursor must have been made for the same.
    pub fn page(&self, list: &str) -> Result<PageRequest> {
        let limit = match self.query("limit")? {
            None => PageRequest::DEFAULT_LIMIT,
            Some(text)
                if !text.is_empty()
                    && text.bytes().all(|byte| byte.is_ascii_digit())
                    && text.bytes().any(|byte| byte != b'0') =>
            {
                text.parse().map_or(PageRequest::MAX_LIMIT, |limit: u16| limit.min(PageRequest::MAX_LIMIT))
            }
            Some(_) => return Err(Fault::new("?limit", "must be an integer from 1 to 100").into()),
        };
        let after = self.query("cursor")?.map(|text| Cursor::read(&text, list)).transpose()?;
        Ok(PageRequest { limit, after })
    }

    /// This request's path and query with one parameter set.
    pub(super) fn path_with(&self, name: &str, value: &str) -> String {
        let query = &self.event.raw_query_string;
        let mut serializer = form_urlencoded::Serializer::new(String::new());
        serializer.extend_pairs(form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != name));
        serializer.append_pair(name, value);
        format!("{}?{}", self.path(), serializer.finish())
    }

    /// The body as an input of the domain.
    pub fn json<T: FromFields>(&self) -> Result<T> {
        Ok(Fields::parse(self.declared_json()?)?)
    }

    /// The body as an input of the domain, or its default if there is no body at all, or `null`, which generated clients send for none.
    pub fn json_or_default<T: FromFields + Default>(&self) -> Result<T> {
        if self.body.is_empty() {
            return Ok(T::default());
        }
        let body = self.declared_json()?;
        if body.trim_ascii() == b"null" { Ok(T::default()) } else { Ok(Fields::parse(body)?) }
    }

    fn declared_json(&self) -> Result<&[u8]> {
        if self.body.len() > MAX_BODY {
            return Err(Error::BodyTooLarge { limit: MAX_BODY });
        }
        if self.header("content-encoding").is_some_and(|codings| !is_identity(codings)) {
            return Err(Error::EncodedBody);
        }
        if !self.header("content-type").is_some_and(is_json) {
            return Err(Error::NotDeclaredJson);
        }
        Ok(&self.body)
    }

    /// The versions that `If-Match` allows; `None` if every version will do.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidHeader`] if there are too many.
    pub fn if_match<V: FromStr + Display>(&self) -> Result<Option<Vec<V>>> {
        Ok(match self.header("if-match").map(|value| Tags::parse("If-Match", value, false)).transpose()? {
            None | Some(Tags::Any) => None,
            Some(Tags::Versions(versions)) => Some(versions),
        })
    }

    /// Whether the caller already has this version.
    pub(super) fn if_none_match<V: FromStr + Display + PartialEq>(&self, version: &V) -> Result<bool> {
        Ok(match self.header("if-none-match").map(|value| Tags::parse("If-None-Match", value, true)).transpose()? {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::Versions(versions)) => versions.contains(version),
        })
    }

    /// Whether an answer may be compressed with gzip. Not unless it is asked for.
    pub(super) fn accepts_gzip(&self) -> bool {
        self.header("accept-encoding").is_some_and(accepts_gzip)
    }

    /// What makes this request have its effect once, if it carries an `Idempotency-Key`. `respond` makes the response to what it
    /// made, which is saved for repetitions.
    pub fn idempotency<'a, T>(
        &self,
        caller: &Caller,
        now: Timestamp,
        respond: impl Fn(&T) -> Result<Response> + 'a,
    ) -> Result<Option<Idempotency<'a, T>>> {
        let Some(value) = self.header("idempotency-key") else {
            return Ok(None);
        };
        let key = idempotency_key(value).ok_or(Error::InvalidIdempotencyKey)?;
        let mut hash = Sha256::new();
        hash.update(format!("{} {}\n", self.method(), self.path()));
        hash.update(&self.body);
        Ok(Some(Idempotency {
            user_id: caller.user_id,
            role: caller.role,
            key: key.into_owned(),
            fingerprint: BASE64_URL_SAFE_NO_PAD.encode(hash.finalize()),
            now,
            save_response: Box::new(move |made| save(&respond(made)?)),
        }))
    }

    /// A header. The gateway writes their names in lower case, `sam local` as they come.
    fn header(&self, name: &str) -> Option<&str> {
        self.event.headers.iter().find(|(its, _)| its.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The key of an `Idempotency-Key`: 1 to 255 printable ASCII characters, bare or as one quoted string. `None` for anything else.
///
/// A header that is sent twice arrives joined by a comma and is not the key that either of them was: it must not pass for one.
fn idempotency_key(value: &str) -> Option<Cow<'_, str>> {
    let value = trim(value);
    let key =
        if value.starts_with('"') { unquoted(value)? } else { (!value.contains(['"', ','])).then_some(Cow::Borrowed(value))? };
    let printable = key.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    (printable && (1..=255).contains(&key.len())).then_some(key)
}

/// Whether a `Content-Type` is JSON in UTF-8 (RFC 9110, 8.3.1). Parameters other than `charset` say nothing about how it is read.
fn is_json(value: &str) -> bool {
    let mut parts = split(value, ';');
    let media_type = parts.next().unwrap_or_default();
    media_type.eq_ignore_ascii_case("application/json")
        && parts.filter(|part| !part.is_empty()).all(|part| {
            parameter(part)
                .is_some_and(|(name, value)| !name.eq_ignore_ascii_case("charset") || value.eq_ignore_ascii_case("utf-8"))
        })
}

/// Whether a `Content-Encoding` leaves the body as it is.
fn is_identity(value: &str) -> bool {
    split(value, ',').all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
}

/// Whether an `Accept-Encoding` names gzip, or any coding, with a weight above 0 (RFC 9110, 12.5.3).
fn accepts_gzip(value: &str) -> bool {
    let codings = || {
        split(value, ',').map(|part| {
            let mut parts = split(part, ';');
            let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
            let wanted = parts.all(|part| {
                let weight = parameter(part).filter(|(name, _)| name.eq_ignore_ascii_case("q"));
                weight.and_then(|(_, weight)| weight.parse().ok()).is_some_and(|weight: f32| weight > 0.0 && weight <= 1.0)
            });
            (coding, wanted)
        })
    };
    let named = codings().find(|(coding, _)| coding == "gzip" || coding == "x-gzip");
    named.or_else(|| codings().find(|(coding, _)| coding == "*")).is_some_and(|(_, wanted)| wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_names_without_case() {
        let event = r#"{"routeKey": "", "rawPath": "/", "headers": {"If-Match": "\"7\""}, "requestContext": {"requestId": "", "http": {"method": "PUT"}}}"#;
        assert_eq!(Request::new(serde_json::from_str(event).unwrap()).if_match::<u64>().unwrap(), Some(vec![7]));
    }

    #[test]
    fn an_idempotency_key_is_bare_or_quoted() {
        for (value, key) in [
            ("abc", "abc"),
            (" a b ", "a b"),
            ("\"a b\"", "a b"),
            ("\" a,b \"", " a,b "),
            (r#""a\"\\""#, r#"a"\"#),
            ("7f0c1c56-8d5e-4f0e-8a53-0f3d0a3d7b11", "7f0c1c56-8d5e-4f0e-8a53-0f3d0a3d7b11"),
        ] {
            assert_eq!(idempotency_key(value).as_deref(), Some(key), "{value:?}");
        }
        let long = "x".repeat(255);
        assert_eq!(idempotency_key(&long).as_deref(), Some(&*long));
        assert_eq!(idempotency_key(&format!("\"{long}\"")).as_deref(), Some(&*long));
        for bad in [
            "",
            " ",
            "\"",
            "\"\"",
            "a\tb",
            "\"a\tb\"",
            "é",
            "\"é\"",
            &format!("{long}x"),
            &format!("\"{long}x\""),
            "abc,abc",
            "abc, abc",
            "\"abc\",\"abc\"",
            "\"abc\", \"abc\"",
            "\"abc\",abc",
            "\"abc",
            "abc\"",
            "\"a\"b\"",
            "a\"b\"",
            "\"abc\";x=1",
            "\"abc\" ;",
            r#""abc\""#,
        ] {
            assert_eq!(idempotency_key(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_media_type_is_json_whatever_its_case_and_parameters() {
        for good in [
            "application/json",
            "Application/JSON ;charset=UTF-8",
            "application/json; charset=\"utf-8\"",
            "application/json;\tCharset=Utf-8;",
            "application/json; profile=\"a;b,c\"; charset=utf-8",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/jsonp",
            "application/json charset=utf-8",
            "application/json; charset=iso-8859-1",
            "application/json; charset=\"utf-16\"",
            "application/json; charset=utf-8; charset=latin1",
            "application/json; charset=",
            "application/json; charset",
            "application/json; charset=\"utf-8",
            "application/json,application/json",
            "application/json; charset=utf-8,application/json; charset=utf-8",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn gzip_is_for_who_asks_for_it() {
        for yes in
            ["gzip", "GZIP", "x-gzip", "br, gzip", "gzip;q=0.5", "gzip ; q=1.000", "*", "identity;q=0, *;q=0.1", "br;q=0,gzip"]
        {
            assert!(accepts_gzip(yes), "{yes}");
        }
        for no in [
            "",
            "br",
            "identity",
            "gzip;q=0",
            "gzip;q=0.000, *",
            "*;q=0",
            "gzipped",
            "gzip;q=x",
            "gzip;q=2",
            "gzip;q=-1",
            "\"gzip\"",
        ] {
            assert!(!accepts_gzip(no), "{no}");
        }
    }

    #[test]
    fn only_identity_leaves_a_body_as_it_is() {
        for good in ["identity", "Identity", "identity, identity", ""] {
            assert!(is_identity(good), "{good}");
        }
        for bad in ["gzip", "GZIP", "identity, gzip", "br", "\"identity\"", "*"] {
            assert!(!is_identity(bad), "{bad}");
        }
    }
}
