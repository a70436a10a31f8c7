//! A request, parsed piece by piece as the handler asks for it.

use std::{borrow::Cow, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::{
    authorize::Verdict,
    event::Event,
    page::{Cursor, PageRequest},
    precondition::Tags,
    response::{Response, keep},
};
use crate::{
    Error, Result,
    domain::{Caller, Fields, FromFields, Timestamp},
    error::Fault,
    store::Idempotency,
    telemetry::note,
};

/// Largest body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// An HTTP request as API Gateway hands it to the function.
pub struct Request {
    event: Event,
    body: Vec<u8>,
}

impl Request {
    pub(super) fn new(mut event: Event) -> Self {
        Self { body: event.take_body(), event }
    }

    pub fn method(&self) -> &str {
        &self.event.request_context.http.method
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
        let caller = Verdict::from_context(|name| said.get(name)?.as_str())?;
        note(|tally| tally.user_id = Some(caller.user_id));
        Ok(caller)
    }

    /// An id in the path. One that is none cannot exist: no need to ask the database.
    pub fn path_id<T: FromStr>(&self, parameter: &str, what: &'static str) -> Result<T> {
        let text = self.event.path_parameters.get(parameter);
        text.and_then(|text| text.parse().ok()).ok_or(Error::NotFound(what))
    }

    /// A query parameter, decoded. Given twice, the values are joined by a comma, as the gateway does.
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.event.raw_query_string.as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .reduce(|joined, value| joined + "," + value)
    }

    /// `limit` and `cursor`. `list` names the list and its filters: the cursor must have been made for the same.
    pub fn page(&self, list: &str) -> Result<PageRequest> {
        let limit = match self.query("limit") {
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
        let after = self.query("cursor").map(|text| Cursor::read(&text, list)).transpose()?;
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
        if self.body.len() > MAX_BODY {
            return Err(Error::BodyTooLarge { limit: MAX_BODY });
        }
        let declared = self.header("content-type").unwrap_or_default();
        let media_type = declared.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Error::NotDeclaredJson);
        }
        Fields::parse(&self.body)
    }

    /// The body as an input of the domain, or its default if there is no body at all.
    pub fn json_or_default<T: FromFields + Default>(&self) -> Result<T> {
        if self.body.is_empty() { Ok(T::default()) } else { self.json() }
    }

    /// The versions that `If-Match` allows; `None` if every version will do.
    pub fn if_match(&self) -> Option<Vec<u64>> {
        match Tags::parse(self.header("if-match")?, false) {
            Tags::Any => None,
            Tags::Versions(versions) => Some(versions),
        }
    }

    /// Whether the caller already has this version.
    pub(super) fn if_none_match(&self, version: u64) -> bool {
        match self.header("if-none-match").map(|header| Tags::parse(header, true)) {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::Versions(versions)) => versions.contains(&version),
        }
    }

    /// What makes this request have its effect once, if it carries an `Idempotency-Key`; `answer` is remembered for repetitions.
    pub fn idempotency(&self, caller: &Caller, answer: &Response, now: Timestamp) -> Result<Option<Idempotency>> {
        let Some(value) = self.header("idempotency-key") else {
            return Ok(None);
        };
        let key = idempotency_key(value).ok_or(Error::InvalidIdempotencyKey)?;
        let mut hash = Sha256::new();
        hash.update(format!("{} {}\n", self.method(), self.path()));
        hash.update(&self.body);
        Ok(Some(Idempotency {
            user_id: caller.user_id,
            key: key.to_owned(),
            fingerprint: BASE64_URL_SAFE_NO_PAD.encode(hash.finalize()),
            answer: keep(answer)?,
            now,
        }))
    }

    /// A header. The gateway writes their names in lower case, `sam local` as they come.
    fn header(&self, name: &str) -> Option<&str> {
        self.event.headers.iter().find(|(its, _)| its.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The key without its quotes, if it may be one.
fn idempotency_key(header: &str) -> Option<&str> {
    let bare = header.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(header);
    let printable = bare.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    (printable && (1..=255).contains(&bare.len())).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_names_without_case() {
        let event = r#"{"routeKey": "", "rawPath": "/", "headers": {"If-Match": "\"7\""}, "requestContext": {"requestId": "", "http": {"method": "PUT"}}}"#;
        assert_eq!(Request::new(serde_json::from_str(event).unwrap()).if_match(), Some(vec![7]));
    }

    #[test]
    fn an_idempotency_key_is_bare_or_quoted() {
        assert_eq!(idempotency_key("abc"), Some("abc"));
        assert_eq!(idempotency_key("\"a b\""), Some("a b"));
        assert_eq!(idempotency_key(&"x".repeat(255)).map(str::len), Some(255));
        for bad in ["", "\"\"", "a\tb", &"x".repeat(256)] {
            assert_eq!(idempotency_key(bad), None, "{bad:?}");
        }
    }
}
