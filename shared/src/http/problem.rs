//! The one place that gives errors a status: RFC 9457 problems.

use lambda_http::http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::response::{Response, json};
use crate::{
    Error,
    domain::ProductId,
    error::Fault,
    telemetry::{Refusal, record},
};

/// What `Retry-After` says of a database that is away, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a [Fault]>,
    /// With `out-of-stock`: of which product, and how many are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<ProductId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<u64>,
}

/// The stable name of an error, for programs.
pub fn code(error: &Error) -> &'static str {
    kind(error).1
}

/// The status, the code for programs and the title for people.
fn kind(error: &Error) -> (StatusCode, &'static str, &'static str) {
    match error {
        Error::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed-json", "The body is not JSON"),
        Error::InvalidIdempotencyKey => (StatusCode::BAD_REQUEST, "invalid-idempotency-key", "The idempotency key is not valid"),
        Error::InvalidHeader { .. } => (StatusCode::BAD_REQUEST, "invalid-header", "A header is not valid"),
        Error::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated", "An access token is needed"),
        Error::TokenExpired => (StatusCode::UNAUTHORIZED, "token-expired", "The access token has expired"),
        Error::TokenRevoked => (StatusCode::UNAUTHORIZED, "token-revoked", "The session has ended"),
        Error::InvalidCredentials => (StatusCode::UNAUTHORIZED, "invalid-credentials", "The login failed"),
        Error::InvalidRefreshToken => (StatusCode::UNAUTHORIZED, "invalid-refresh-token", "The refresh token is not valid"),
        Error::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
        Error::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
        Error::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"),
        Error::NameTaken => (StatusCode::CONFLICT, "name-taken", "The name is taken"),
        Error::EmailTaken => (StatusCode::CONFLICT, "email-taken", "The e-mail address is taken"),
        Error::UsernameTaken => (StatusCode::CONFLICT, "username-taken", "The username is taken"),
        Error::ProductInUse { .. } => (StatusCode::CONFLICT, "product-in-use", "The product is in use"),
        Error::OutOfStock { .. } => (StatusCode::CONFLICT, "out-of-stock", "Out of stock"),
        Error::IllegalTransition { .. } => (StatusCode::CONFLICT, "illegal-transition", "The order does not go there"),
        Error::EmptyOrder => (StatusCode::CONFLICT, "empty-order", "The order is empty"),
        Error::OrderNotEditable { .. } => (StatusCode::CONFLICT, "order-not-editable", "The order cannot be changed"),
        Error::OrderNotDeletable { .. } => (StatusCode::CONFLICT, "order-not-deletable", "The order cannot be deleted"),
        Error::TooManyOpenOrders { .. } => (StatusCode::CONFLICT, "too-many-open-orders", "Too many open orders"),
        Error::TooManyItems => (StatusCode::CONFLICT, "too-many-items", "Too many items"),
        Error::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "precondition-failed", "It has changed"),
        Error::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
        Error::NotDeclaredJson => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is not declared as JSON")
        }
        Error::EncodedBody => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is encoded"),
        Error::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request", "The request is not valid"),
        Error::UnknownProduct(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-product", "There is no such product"),
        Error::UnknownCustomer => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-customer", "There is no such customer"),
        Error::WeakPassword(_) => (StatusCode::UNPROCESSABLE_ENTITY, "weak-password", "The password is too weak"),
        Error::InvalidCursor => (StatusCode::UNPROCESSABLE_ENTITY, "invalid-cursor", "The cursor is not valid"),
        Error::IdempotencyKeyReused => {
            (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The idempotency key was used before")
        }
        Error::TooManyAttempts { .. } => (StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", "Too many attempts"),
        Error::Unavailable(_) | Error::TookTooLong(_) | Error::Contended => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again in a moment")
        }
        Error::Internal(_) | Error::IdempotentReplay(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "internal-error", "Something went wrong here")
        }
    }
}

/// The status of an error.
pub fn status(error: &Error) -> u16 {
    kind(error).0.as_u16()
}

/// Tells the log why something was not done, and what went wrong when that is ours to mend.
pub fn report(error: &Error) {
    let (status, code, _) = kind(error);
    let fault = status.is_server_error().then(|| error.to_string());
    let metric = match error {
        // One that is refused before its password is looked at is an attempt all the same: an alarm must see a flood of them.
        Error::InvalidCredentials | Error::TooManyAttempts { .. } => Some("logins_failed"),
        Error::Contended => Some("conflicts_exhausted"),
        _ => None,
    };
    record(|metrics| metrics.refusal = Some(Refusal { code, fault, metric }));
}

/// The answer to a request that was not carried out. The text of a fault of ours goes to the log and no further.
pub fn response(error: &Error, request_id: &str) -> Response {
    report(error);
    let (status, code, title) = kind(error);
    let detail = match error {
        Error::Unavailable(_) | Error::Contended => {
            "the database did not answer in time; the same request may be sent again".to_owned()
        }
        Error::TookTooLong(_) => format!("{error}; the same request may be sent again"),
        Error::Internal(_) | Error::IdempotentReplay(_) => {
            format!("the fault is logged under the request id {request_id}")
        }
        refusal => refusal.to_string(),
    };
    let (product_id, available) = match error {
        Error::OutOfStock { product_id, available } => (Some(*product_id), Some(*available)),
        _ => (None, None),
    };
    let problem = Problem {
        r#type: format!("urn:problem:{code}"),
        title,
        status: status.as_u16(),
        detail,
        code,
        request_id,
        errors: match error {
            Error::Invalid(faults) | Error::UnknownProduct(faults) => Some(faults),
            Error::WeakPassword(fault) => Some(std::slice::from_ref(fault)),
            _ => None,
        },
        product_id,
        available,
    };

    let mut response = json(status, &problem);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    match error {
        Error::Unavailable(_) | Error::TookTooLong(_) | Error::Contended => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        Error::TooManyAttempts { retry_after } => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after));
        }
        // RFC 9110, 15.5.16: tells that the encoding is what was refused.
        Error::EncodedBody => {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        Error::MethodNotAllowed { allowed } => {
            headers.extend(HeaderValue::from_str(allowed).map(|value| (header::ALLOW, value)));
        }
        Error::Unauthenticated | Error::InvalidCredentials | Error::InvalidRefreshToken => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // RFC 6750, 3.1: tells clients to refresh, where a bare challenge would tell them to log in.
        Error::TokenExpired | Error::TokenRevoked => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
        }
        _ => {}
    }
    response
}
