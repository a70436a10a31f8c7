//! The one place that gives errors a status: RFC 9457 problems.

use lambda_http::http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::reply::{Response, json};
use crate::{
    Error,
    domain::{ProductId, Refusal},
    fault::Fault,
    telemetry::{Failure, record},
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

/// A kind of problem: the same for every request that it happens to. When it is answered is in `contract::problems`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProblemType {
    /// Its stable name, for programs.
    pub code: &'static str,
    pub status: u16,
    /// For people.
    pub title: &'static str,
}

macro_rules! problem_types {
    ($($name:ident = $status:literal, $code:literal, $title:literal;)*) => {
        $(const $name: ProblemType = ProblemType { code: $code, status: $status, title: $title };)*

        /// All kinds that there are.
        pub const PROBLEMS: &[ProblemType] = &[$($name),*];
    };
}

problem_types! {
    MALFORMED_JSON = 400, "malformed-json", "The body is not JSON";
    INVALID_IDEMPOTENCY_KEY = 400, "invalid-idempotency-key", "The idempotency key is not valid";
    INVALID_HEADER = 400, "invalid-header", "A header is not valid";
    UNAUTHENTICATED = 401, "unauthenticated", "An access token is needed";
    TOKEN_EXPIRED = 401, "token-expired", "The access token has expired";
    TOKEN_REVOKED = 401, "token-revoked", "The session has ended";
    INVALID_CREDENTIALS = 401, "invalid-credentials", "The login failed";
    INVALID_REFRESH_TOKEN = 401, "invalid-refresh-token", "The refresh token is not valid";
    INVALID_TOKEN = 401, "invalid-token", "The token is not valid";
    EMAIL_NOT_VERIFIED = 403, "email-not-verified", "The address is not verified";
    FORBIDDEN = 403, "forbidden", "Not allowed";
    NOT_FOUND = 404, "not-found", "Not found";
    METHOD_NOT_ALLOWED = 405, "method-not-allowed", "Method not allowed";
    NAME_TAKEN = 409, "name-taken", "The name is taken";
    SKU_TAKEN = 409, "sku-taken", "The SKU is taken";
    EMAIL_TAKEN = 409, "email-taken", "The e-mail address is taken";
    USERNAME_TAKEN = 409, "username-taken", "The username is taken";
    PRODUCT_IN_USE = 409, "product-in-use", "The product is in use";
    OUT_OF_STOCK = 409, "out-of-stock", "Out of stock";
    ILLEGAL_TRANSITION = 409, "illegal-transition", "The order does not go there";
    EMPTY_ORDER = 409, "empty-order", "The order is empty";
    ORDER_NOT_EDITABLE = 409, "order-not-editable", "The order cannot be changed";
    ORDER_NOT_DELETABLE = 409, "order-not-deletable", "The order cannot be deleted";
    TOO_MANY_OPEN_ORDERS = 409, "too-many-open-orders", "Too many open orders";
    TOO_MANY_ITEMS = 409, "too-many-items", "Too many items";
    ALREADY_VERIFIED = 409, "already-verified", "The address is verified";
    OPEN_ORDERS = 409, "open-orders", "There are open orders";
    LAST_ADMIN = 409, "last-admin", "The last admin stays";
    PRECONDITION_FAILED = 412, "precondition-failed", "It has changed";
    BODY_TOO_LARGE = 413, "body-too-large", "The body is too large";
    UNSUPPORTED_MEDIA_TYPE = 415, "unsupported-media-type", "The body is not sent as plain JSON";
    INVALID_REQUEST = 422, "invalid-request", "The request is not valid";
    UNKNOWN_PRODUCT = 422, "unknown-product", "There is no such product";
    UNKNOWN_CUSTOMER = 422, "unknown-customer", "There is no such customer";
    WEAK_PASSWORD = 422, "weak-password", "The password is too weak";
    INVALID_CURSOR = 422, "invalid-cursor", "The cursor is not valid";
    IDEMPOTENCY_KEY_REUSED = 422, "idempotency-key-reused", "The idempotency key was used before";
    TOO_MANY_ATTEMPTS = 429, "too-many-attempts", "Too many attempts";
    INTERNAL_ERROR = 500, "internal-error", "Something went wrong here";
    MAIL_NOT_CONFIGURED = 503, "mail-not-configured", "This shop sends no mail";
    UNAVAILABLE = 503, "unavailable", "Try again in a moment";
}

/// What kind of problem an error is.
fn problem_type(error: &Error) -> ProblemType {
    match error {
        Error::Refused(refusal) => refused(refusal),
        Error::MalformedJson(_) => MALFORMED_JSON,
        Error::InvalidIdempotencyKey => INVALID_IDEMPOTENCY_KEY,
        Error::InvalidHeader { .. } => INVALID_HEADER,
        Error::Unauthenticated => UNAUTHENTICATED,
        Error::TokenExpired => TOKEN_EXPIRED,
        Error::TokenRevoked => TOKEN_REVOKED,
        Error::InvalidCredentials => INVALID_CREDENTIALS,
        Error::InvalidRefreshToken => INVALID_REFRESH_TOKEN,
        Error::MethodNotAllowed { .. } => METHOD_NOT_ALLOWED,
        Error::NameTaken => NAME_TAKEN,
        Error::SkuTaken => SKU_TAKEN,
        Error::EmailTaken => EMAIL_TAKEN,
        Error::UsernameTaken => USERNAME_TAKEN,
        Error::InvalidToken => INVALID_TOKEN,
        Error::AlreadyVerified => ALREADY_VERIFIED,
        Error::EmailNotVerified => EMAIL_NOT_VERIFIED,
        Error::MailNotConfigured => MAIL_NOT_CONFIGURED,
        Error::PreconditionFailed => PRECONDITION_FAILED,
        Error::BodyTooLarge { .. } => BODY_TOO_LARGE,
        Error::NotDeclaredJson | Error::EncodedBody => UNSUPPORTED_MEDIA_TYPE,
        Error::WeakPassword(_) => WEAK_PASSWORD,
        Error::InvalidCursor => INVALID_CURSOR,
        Error::IdempotencyKeyReused => IDEMPOTENCY_KEY_REUSED,
        Error::TooManyAttempts { .. } => TOO_MANY_ATTEMPTS,
        Error::Unavailable(_) | Error::TookTooLong(_) | Error::Contended => UNAVAILABLE,
        Error::Internal(_) => INTERNAL_ERROR,
    }
}

fn refused(refusal: &Refusal) -> ProblemType {
    match refusal {
        Refusal::Invalid(_) => INVALID_REQUEST,
        Refusal::Forbidden(_) => FORBIDDEN,
        Refusal::NotFound(_) => NOT_FOUND,
        Refusal::ProductInUse { .. } => PRODUCT_IN_USE,
        Refusal::OutOfStock { .. } => OUT_OF_STOCK,
        Refusal::UnknownProduct(_) => UNKNOWN_PRODUCT,
        Refusal::UnknownCustomer => UNKNOWN_CUSTOMER,
        Refusal::TooManyOpenOrders { .. } => TOO_MANY_OPEN_ORDERS,
        Refusal::IllegalTransition { .. } => ILLEGAL_TRANSITION,
        Refusal::EmptyOrder => EMPTY_ORDER,
        Refusal::OrderNotEditable { .. } => ORDER_NOT_EDITABLE,
        Refusal::OrderNotDeletable { .. } => ORDER_NOT_DELETABLE,
        Refusal::TooManyItems { .. } => TOO_MANY_ITEMS,
        Refusal::OpenOrders => OPEN_ORDERS,
        Refusal::LastAdmin => LAST_ADMIN,
    }
}

/// The stable name of an error, for programs.
pub fn code(error: &Error) -> &'static str {
    problem_type(error).code
}

/// The status of an error.
pub fn status(error: &Error) -> u16 {
    problem_type(error).status
}

/// Tells the log why something was not done, and what went wrong when that is ours to mend.
pub fn report(error: &Error) {
    let ProblemType { code, status, .. } = problem_type(error);
    let fault = (status >= 500).then(|| error.to_string());
    let metric = match error {
        // One that is refused before its password is looked at is an attempt all the same: an alarm must see a flood of them.
        Error::InvalidCredentials | Error::TooManyAttempts { .. } => Some("logins_failed"),
        Error::Contended => Some("conflicts_exhausted"),
        _ => None,
    };
    record(|metrics| metrics.failure = Some(Failure { code, fault, metric }));
}

/// The answer to a request that was not carried out. The text of a fault of ours goes to the log and no further.
pub fn problem(error: &Error, request_id: &str) -> Response {
    report(error);
    let ProblemType { code, status, title } = problem_type(error);
    let detail = match error {
        Error::Unavailable(_) | Error::Contended => {
            "the database did not answer in time; the same request may be sent again".to_owned()
        }
        Error::TookTooLong(_) => format!("{error}; the same request may be sent again"),
        Error::Internal(_) => format!("the fault is logged under the request id {request_id}"),
        refusal => refusal.to_string(),
    };
    let (product_id, available) = match error {
        Error::Refused(Refusal::OutOfStock { product_id, available }) => (Some(*product_id), Some(*available)),
        _ => (None, None),
    };
    let problem = Problem {
        r#type: format!("urn:problem:{code}"),
        title,
        status,
        detail,
        code,
        request_id,
        errors: match error {
            Error::Refused(Refusal::Invalid(faults) | Refusal::UnknownProduct(faults)) => Some(faults),
            Error::WeakPassword(fault) => Some(std::slice::from_ref(fault)),
            _ => None,
        },
        product_id,
        available,
    };

    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
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
        Error::Unauthenticated | Error::InvalidCredentials | Error::InvalidRefreshToken | Error::InvalidToken => {
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
