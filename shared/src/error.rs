//! Everything that can keep a request from being answered as asked, in the shop's own words.

use crate::domain::{ProductId, Status};

/// Shorthand for what almost every function here returns.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a request was not carried out. `http::problem` gives each variant its status and code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not JSON; the text says where it stops being JSON.
    #[error("the body is not valid JSON: {0}")]
    MalformedJson(String),

    /// The body is not declared as JSON in UTF-8.
    #[error("the body must be sent as application/json, in UTF-8")]
    NotDeclaredJson,

    /// The body is compressed, or encoded in another way.
    #[error("the body must be sent as it is, without a content encoding")]
    EncodedBody,

    /// A header has a value that this API does not take.
    #[error("{name} must have {expected}")]
    InvalidHeader { name: &'static str, expected: &'static str },

    /// The body is larger than this API reads.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge { limit: usize },

    /// One or more fields of the request cannot be accepted.
    #[error("{} of the request cannot be accepted", if .0.len() == 1 { "a field" } else { "fields" })]
    Invalid(Vec<Fault>),

    /// The cursor was made for another list, or not by us.
    #[error("the cursor does not belong to this list")]
    InvalidCursor,

    /// The idempotency key is empty, too long, not printable ASCII, or sent twice.
    #[error("an idempotency key is 1 to 255 printable ASCII characters, bare or as one quoted string")]
    InvalidIdempotencyKey,

    /// The key was used before for something else.
    #[error("this idempotency key was used for another request in the last 24 hours")]
    IdempotencyKeyReused,

    /// Not a refusal: the request was carried out before, and this is the answer it got.
    #[error("the request was carried out before")]
    IdempotentReplay(String),

    /// Nobody known is asking.
    #[error("this route needs an access token")]
    Unauthenticated,

    /// The token is ours and its time is over.
    #[error("the access token has expired")]
    TokenExpired,

    /// The token is ours and its session is over.
    #[error("the session of this access token has ended")]
    TokenRevoked,

    /// The caller is known and may not do this.
    #[error("{0}")]
    Forbidden(&'static str),

    /// What was asked for does not exist, or not for this caller.
    #[error("there is no such {0}")]
    NotFound(&'static str),

    /// The path is one of ours, the method is not; the text lists those that are.
    #[error("this path answers {allowed} only")]
    MethodNotAllowed { allowed: String },

    /// Another product has this name.
    #[error("another product has this name")]
    NameTaken,

    /// Orders hold stock of the product.
    #[error("{reserved} of this product are reserved by orders")]
    ProductInUse { reserved: u64 },

    /// Another account has this e-mail address.
    #[error("another account has this e-mail address")]
    EmailTaken,

    /// Another account has this username.
    #[error("another account has this username")]
    UsernameTaken,

    /// The password is short or easily guessed; the fault says how.
    #[error("the password {}", .0.detail)]
    WeakPassword(Fault),

    /// The name, the password, or the account behind them: which, is not told.
    #[error("the account or the password is wrong")]
    InvalidCredentials,

    /// The account, if there is one, is closed to logins from the caller's address, or the address is closed to all logins or
    /// registrations: for some seconds.
    #[error("there have been too many attempts on this account or from this address")]
    TooManyAttempts { retry_after: i64 },

    /// The refresh token is not ours, was replaced, or its session has ended.
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,

    /// There is not as much of a product as is asked for.
    #[error("{available} of this product are available")]
    OutOfStock { product_id: ProductId, available: u64 },

    /// A line names a product that there is not; the faults say which.
    #[error("there is no such product")]
    UnknownProduct(Vec<Fault>),

    /// An order is for a customer that there is not, or whose account is closed.
    #[error("there is no such active account")]
    UnknownCustomer,

    /// The customer has as many PENDING orders as the shop allows.
    #[error("a customer may have {limit} orders that are PENDING at a time")]
    TooManyOpenOrders { limit: u32 },

    /// No order goes from the one status to the other.
    #[error("an order does not go from {from} to {to}")]
    IllegalTransition { from: Status, to: Status },

    /// There is nothing on the order.
    #[error("an order without items cannot be confirmed")]
    EmptyOrder,

    /// The order is past the point where its lines may change.
    #[error("the items of an order that is {status} cannot be changed")]
    OrderNotEditable { status: Status },

    /// The order is past the point, or not yet at it, where it may be deleted.
    #[error("an order that is {status} cannot be deleted")]
    OrderNotDeletable { status: Status },

    /// The order has as many lines as an order may have.
    #[error("an order has at most {} items", crate::domain::Order::MAX_ITEMS)]
    TooManyItems,

    /// What the caller saw is not what is there now.
    #[error("it has changed since it was read")]
    PreconditionFailed,

    /// The database does not answer, or not in time. Nothing is known about the effect; repeating is safe with an idempotency key.
    #[error("the database is not available: {0}")]
    Unavailable(String),

    /// Work of our own took longer than it may, such as when many ask for it at once.
    #[error("{0} took longer than it may")]
    TookTooLong(&'static str),

    /// The write lost every attempt against others to the same items. Nothing was written.
    #[error("other writes to the same items kept coming in between")]
    Contended,

    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// JSON pointer (RFC 6901) into the body, or `?name` for a query parameter.
    pub pointer: String,
    pub detail: String,
}

impl Fault {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Invalid(vec![fault])
    }
}
