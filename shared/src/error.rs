//! Everything that can keep a request from being answered as asked, in the shop's own words.

use crate::{domain::Refusal, fault::Fault, json::Unreadable};

/// Shorthand for what almost every function here returns.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a request was not carried out. `http::problem` gives each variant its status and code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The shop's rules say no.
    #[error(transparent)]
    Refused(#[from] Refusal),

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

    /// The cursor was made for another list, or not by us.
    #[error("the cursor does not belong to this list")]
    InvalidCursor,

    /// The idempotency key is empty, too long, not printable ASCII, or sent twice.
    #[error("an idempotency key is 1 to 255 printable ASCII characters, bare or as one quoted string")]
    InvalidIdempotencyKey,

    /// The key was used before for something else.
    #[error("this idempotency key was used for another request in the last 24 hours")]
    IdempotencyKeyReused,

    /// Nobody known is asking.
    #[error("this route needs an access token")]
    Unauthenticated,

    /// The token is ours and its time is over.
    #[error("the access token has expired")]
    TokenExpired,

    /// The token is ours and its session is over.
    #[error("the session of this access token has ended")]
    TokenRevoked,

    /// The path is one of ours, the method is not; the text lists those that are.
    #[error("this path answers {allowed} only")]
    MethodNotAllowed { allowed: String },

    /// Another product has this name.
    #[error("another product has this name")]
    NameTaken,

    /// Another product has this SKU.
    #[error("another product has this SKU")]
    SkuTaken,

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

    /// The token of a mail is not ours, was used, has expired, or a newer one took its place.
    #[error("the token is not valid")]
    InvalidToken,

    /// The address is its owner's already.
    #[error("the address is verified already")]
    AlreadyVerified,

    /// The shop wants to know first that the address is its owner's.
    #[error("the e-mail address of this account is not verified")]
    EmailNotVerified,

    /// The only way is by mail, and this shop sends none.
    #[error("this shop sends no mail")]
    MailNotConfigured,

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

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Refusal::from(fault).into()
    }
}

impl From<Unreadable> for Error {
    fn from(body: Unreadable) -> Self {
        match body {
            Unreadable::Malformed(where_it_stops) => Self::MalformedJson(where_it_stops),
            Unreadable::Invalid(faults) => Refusal::Invalid(faults).into(),
        }
    }
}
