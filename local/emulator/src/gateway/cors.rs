//! Cross-origin requests, when the template configures them: the gateway answers for the functions.

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;

use crate::template::Cors;

/// Whether a browser asks for permission before it sends the real request.
pub fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS && head.headers.contains_key(ORIGIN)
}

/// The gateway's own answer to a preflight, before [`apply`].
pub fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Replaces whatever a function says about other origins by what the template says.
pub fn apply(cors: &Cors, request: &Parts, headers: &mut HeaderMap) {
    for name in [
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE,
    ] {
        headers.remove(name);
    }
    let Some(allowed) = allowed(cors, request.headers.get(ORIGIN)) else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    if is_preflight(request) {
        list(headers, ACCESS_CONTROL_ALLOW_METHODS, &cors.allow_methods);
        list(headers, ACCESS_CONTROL_ALLOW_HEADERS, &cors.allow_headers);
        if let Some(seconds) = cors.max_age {
            headers.insert(ACCESS_CONTROL_MAX_AGE, seconds.into());
        }
    } else {
        list(headers, ACCESS_CONTROL_EXPOSE_HEADERS, &cors.expose_headers);
    }
    if cors.allow_credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// The origin to allow: the request's own if it is listed, `*` if every one is.
fn allowed(cors: &Cors, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
    let origin = origin?;
    let text = origin.to_str().ok()?;
    cors.allow_origins.iter().find_map(|allowed| match allowed.as_str() {
        "*" => Some(HeaderValue::from_static("*")),
        "http://*" | "https://*" => text.starts_with(allowed.trim_end_matches('*')).then(|| origin.clone()),
        exact => (exact == text).then(|| origin.clone()),
    })
}

fn list(headers: &mut HeaderMap, name: HeaderName, items: &[String]) {
    if let Ok(value) = HeaderValue::try_from(items.join(","))
        && !items.is_empty()
    {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_are_allowed() {
        let cors =
            |origins: &[&str]| Cors { allow_origins: origins.iter().map(ToString::to_string).collect(), ..Cors::default() };
        for (origins, origin, expected) in [
            (&["https://app.example"][..], Some("https://app.example"), Some("https://app.example")),
            (&["https://app.example"], Some("https://evil.example"), None),
            (&["https://app.example"], None, None),
            (&["*"], Some("https://any.example"), Some("*")),
            (&["https://*"], Some("https://any.example"), Some("https://any.example")),
            (&["https://*"], Some("http://any.example"), None),
            (&[], Some("https://any.example"), None),
        ] {
            let origin = origin.map(HeaderValue::from_static);
            let allowed = allowed(&cors(origins), origin.as_ref());
            assert_eq!(allowed, expected.map(HeaderValue::from_static), "{origins:?} {origin:?}");
        }
    }

    #[test]
    fn the_template_overrules_the_function() {
        let cors = Cors {
            allow_origins: vec!["https://app.example".into()],
            expose_headers: vec!["etag".into(), "link".into()],
            ..Cors::default()
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        let request = |origin: Option<&str>| {
            let builder = axum::http::Request::get("/");
            let builder = origin.into_iter().fold(builder, |builder, origin| builder.header(ORIGIN, origin));
            builder.body(()).unwrap().into_parts().0
        };
        apply(&cors, &request(None), &mut headers);
        assert!(headers.is_empty());

        apply(&cors, &request(Some("https://app.example")), &mut headers);
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example");
        assert_eq!(headers[ACCESS_CONTROL_EXPOSE_HEADERS], "etag,link");
    }
}
