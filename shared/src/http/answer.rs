//! Answers: entities with their `ETag`, pages with their cursor, and what a repeated request gets again.

use std::{fmt::Display, str::FromStr};

use lambda_http::{
    Body,
    http::{HeaderValue, StatusCode, header},
};
use serde::Serialize;

use super::{
    page::Cursor,
    reply::{Response, at_version, empty, etag, json},
    request::Request,
    saved::replay,
};
use crate::{
    Error, Result,
    domain::{OrderDetails, Product, ProductVersion},
    store::Idempotent,
};

/// An entity that is answered with a strong `ETag`.
pub trait Versioned {
    type Version: Display + FromStr + PartialEq;

    fn version(&self) -> Self::Version;
}

impl Versioned for Product {
    type Version = ProductVersion;

    fn version(&self) -> ProductVersion {
        self.version
    }
}

impl Versioned for OrderDetails {
    type Version = u64;

    fn version(&self) -> u64 {
        self.order.version
    }
}

/// 200 with the entity and its `ETag`.
pub fn ok<T: Serialize + Versioned>(entity: &T) -> Result<Response> {
    Ok(tagged(StatusCode::OK, entity))
}

/// 200 with the entity and its `ETag`; 304 if the caller has it already.
pub fn ok_unless_known<T: Serialize + Versioned>(request: &Request, entity: &T) -> Result<Response> {
    if !request.if_none_match(&entity.version())? {
        return ok(entity);
    }
    Ok(at_version(empty(StatusCode::NOT_MODIFIED), entity.version()))
}

/// 200 with a public entity that clients and proxies may keep if they ask each time whether it has changed; 304 if it has not.
pub fn cacheable<T: Serialize + Versioned>(request: &Request, entity: &T) -> Result<Response> {
    let mut response = ok_unless_known(request, entity)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// 201 with the new entity, its `ETag` and its path.
pub fn created<T: Serialize + Versioned>(path: &str, entity: &T) -> Result<Response> {
    let mut response = tagged(StatusCode::CREATED, entity);
    let location = HeaderValue::from_str(path).map_err(|_| Error::Internal(format!("{path:?} is no path")))?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// The response to what was done now, or the one that was saved when it was done before.
pub fn idempotent<T>(outcome: Idempotent<T>, respond: impl Fn(&T) -> Result<Response>) -> Result<Response> {
    match outcome {
        Idempotent::Done(made) => respond(&made),
        Idempotent::Repeated(response) => replay(&response),
    }
}

/// 200 with a part of an entity, and the `ETag` of the whole.
pub fn part(part: &impl Serialize, version: u64) -> Result<Response> {
    Ok(at_version(json(StatusCode::OK, part), version))
}

/// 201 with a new part of an entity, and the `ETag` of the whole.
pub fn part_created(part: &impl Serialize, version: u64) -> Result<Response> {
    Ok(at_version(json(StatusCode::CREATED, part), version))
}

/// 204 for a part that is gone, with the `ETag` of the whole.
pub fn part_gone(version: u64) -> Result<Response> {
    Ok(at_version(empty(StatusCode::NO_CONTENT), version))
}

/// 200 with something that has no `ETag`.
pub fn plain(value: &impl Serialize) -> Result<Response> {
    Ok(json(StatusCode::OK, value))
}

/// 200 with something public that may be kept for some seconds.
pub fn kept_for(seconds: u32, value: &impl Serialize) -> Result<Response> {
    let mut response = json(StatusCode::OK, value);
    let control = HeaderValue::from_str(&format!("public, max-age={seconds}"));
    response.headers_mut().extend(control.map(|control| (header::CACHE_CONTROL, control)));
    Ok(response)
}

/// 201 with something that has no `ETag` and no path of its own.
pub fn plainly_created(value: &impl Serialize) -> Result<Response> {
    Ok(json(StatusCode::CREATED, value))
}

/// Something that is the same for everybody and as old as the function that answers it.
#[derive(Debug)]
pub struct File {
    pub media_type: &'static str,
    pub plain: Representation,
    /// For who asks for it.
    pub gzip: Option<Representation>,
}

/// The bytes of a file in one content coding.
#[derive(Debug)]
pub struct Representation {
    pub bytes: &'static [u8],
    /// Another for other bytes: what the `ETag` is made of.
    pub version: u64,
}

/// A page may load what this origin serves and talk to it, and nothing else; and no script may read text as markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
);

/// 200 with a file, which may be kept for an hour; 304 if the caller has it already.
pub fn file(request: &Request, file: &File) -> Result<Response> {
    let gzip = file.gzip.as_ref().filter(|_| request.accepts_gzip());
    let Representation { bytes, version } = gzip.unwrap_or(&file.plain);
    let mut response = if request.if_none_match(version)? {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        let mut response = Response::new(Body::Binary(bytes.to_vec()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
        if gzip.is_some() {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag(version));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    if file.gzip.is_some() {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    Ok(response)
}

/// 204 with the methods of a path.
pub fn options(methods: &'static str) -> Result<Response> {
    let mut response = empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    Ok(response)
}

/// 202: it is taken note of, and done later.
pub fn accepted() -> Result<Response> {
    Ok(empty(StatusCode::ACCEPTED))
}

/// 204.
pub fn no_content() -> Result<Response> {
    Ok(empty(StatusCode::NO_CONTENT))
}

/// 200 with a list that has no pages: `{"<name>": […]}`.
pub fn whole_list<T: Serialize>(name: &'static str, entries: &[T]) -> Result<Response> {
    Ok(json(StatusCode::OK, &std::collections::BTreeMap::from([(name, entries)])))
}

/// 200 with one page of a list: `{"<name>": […], "next_cursor": …}`, and a `Link` to the next page.
pub fn page<T: Serialize>(request: &Request, name: &'static str, entries: &[T], next: Option<Cursor>) -> Result<Response> {
    let next = next.map(|cursor| cursor.to_string());
    let mut object = serde_json::Map::new();
    let entries = serde_json::to_value(entries).map_err(|error| Error::Internal(error.to_string()))?;
    object.insert(name.into(), entries);
    object.insert("next_cursor".into(), next.as_deref().into());
    let mut response = json(StatusCode::OK, &object);
    if let Some(next) = next {
        let link = format!("<{}>; rel=\"next\"", request.path_with("cursor", &next));
        response.headers_mut().extend(HeaderValue::from_str(&link).map(|link| (header::LINK, link)));
    }
    Ok(response)
}

fn tagged<T: Serialize + Versioned>(status: StatusCode, entity: &T) -> Response {
    at_version(json(status, entity), entity.version())
}
