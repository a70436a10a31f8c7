//! Who has signed a request to AWS and for which service, as its `Authorization` header says: signatures are not checked here.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue, InvalidHeaderValue};

/// The access key that a request is signed with.
pub fn access_key(headers: &HeaderMap) -> Option<&str> {
    let (_, access_key, _) = credential(headers)?;
    Some(access_key)
}

/// The service that a request is signed for.
pub fn service(headers: &HeaderMap) -> Option<&str> {
    let (_, _, scope) = credential(headers)?;
    // `/<date>/<region>/<service>/aws4_request`
    scope.split('/').nth(3)
}

/// Puts another access key in the place of a request's own, which is returned.
pub fn replace_access_key(headers: &mut HeaderMap, other: &str) -> Result<Option<String>, InvalidHeaderValue> {
    let Some((before, access_key, after)) = credential(headers) else {
        return Ok(None);
    };
    let access_key = access_key.to_owned();
    let replaced = HeaderValue::from_str(&format!("{before}{other}{after}"))?;
    headers.insert(AUTHORIZATION, replaced);
    Ok(Some(access_key))
}

fn credential(headers: &HeaderMap) -> Option<(&str, &str, &str)> {
    split_credential(headers.get(AUTHORIZATION)?.to_str().ok()?)
}

/// `AWS4-HMAC-SHA256 Credential=<key>/<date>/…` as what stands before the key, the key, and the rest.
fn split_credential(authorization: &str) -> Option<(&str, &str, &str)> {
    const FIELD: &str = "Credential=";
    let start = authorization.find(FIELD)? + FIELD.len();
    let (before, rest) = authorization.split_at(start);
    let end = rest.find('/')?;
    let (access_key, after) = rest.split_at(end);
    Some((before, access_key, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_access_key_is_found() {
        for (header, expected) in [
            ("AWS4-HMAC-SHA256 Credential=AKIA1/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host", Some("AKIA1")),
            ("AWS4-HMAC-SHA256 Credential=/x", Some("")),
            ("AWS4-HMAC-SHA256 Credential=AKIA1", None),
            ("Bearer token", None),
            ("", None),
        ] {
            assert_eq!(split_credential(header).map(|(_, key, _)| key), expected, "{header}");
        }
    }

    #[test]
    fn the_access_key_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("AWS4 Credential=A/1, Signature=b"));
        assert_eq!(replace_access_key(&mut headers, "SHARED").unwrap().as_deref(), Some("A"));
        assert_eq!(headers[AUTHORIZATION], "AWS4 Credential=SHARED/1, Signature=b");
    }
}
