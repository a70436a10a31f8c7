//! When each problem is answered, and what one looks like. Its status and title stand in [`crate::http::PROBLEMS`].

use lambda_http::Body;
use serde_json::Value;

use super::examples::{PRODUCT_ID, REQUEST_ID};
use crate::{
    Error,
    domain::{Order, Refusal, Resource, Status},
    fault::Fault,
    http::{self, PROBLEMS},
};

/// A problem that a route may answer.
#[derive(Clone)]
pub(super) struct Problem {
    pub code: &'static str,
    pub status: u16,
    /// When it is answered.
    pub when: &'static str,
    /// One that is answered, as it is answered.
    pub example: Value,
}

impl Problem {
    fn new(error: &Error, when: &'static str) -> Self {
        Self { code: http::code(error), status: http::status(error), when, example: answered(error) }
    }
}

fn answered(error: &Error) -> Value {
    match http::problem(error, REQUEST_ID).into_body() {
        Body::Text(text) => serde_json::from_str(&text).unwrap_or_default(),
        _ => Value::Null,
    }
}

/// One thing of this kind is not there.
pub(super) fn not_found(resource: Resource) -> Value {
    answered(&Refusal::NotFound(resource).into())
}

/// All problems that routes may answer.
pub(super) fn problems() -> Vec<Problem> {
    let product = || Fault::new("/items/0/product_id", "is no product of this shop");
    let out_of_stock = PRODUCT_ID.parse().map(|product_id| Refusal::OutOfStock { product_id, available: 1 });
    let refused = |refusal: Refusal| Error::from(refusal);
    [
        (Error::MalformedJson("EOF while parsing an object at line 1 column 14".into()), "The body is not JSON"),
        (
            Error::InvalidHeader { name: "If-Match", expected: "at most 20 entity tags" },
            "A header lists more than 20 entity tags",
        ),
        (
            Error::InvalidIdempotencyKey,
            "The Idempotency-Key is not 1 to 255 printable ASCII characters, bare or as one quoted string, or was sent twice",
        ),
        (Error::Unauthenticated, "The route needs an access token"),
        (Error::TokenExpired, "The access token has expired: refresh it"),
        (Error::TokenRevoked, "The session of the access token has ended: log in"),
        (Error::InvalidCredentials, "The account or the password is wrong, or the account is closed: which, is not told"),
        (Error::InvalidRefreshToken, "The refresh token is not ours, was replaced, or its session has ended"),
        (Error::InvalidToken, "The token of a mail is not ours, was used, has expired, or a newer one took its place"),
        (Error::EmailNotVerified, "The shop wants to know first that the account's address is its owner's"),
        (refused(Refusal::Forbidden("only an admin may do this")), "Known, and not allowed"),
        (refused(Refusal::NotFound(Resource::Product)), "There is no such thing, or not for the caller"),
        (Error::NameTaken, "Another product has this name"),
        (Error::SkuTaken, "Another product has this SKU"),
        (Error::EmailTaken, "Another account has this e-mail address"),
        (Error::UsernameTaken, "Another account has this username"),
        (refused(Refusal::ProductInUse { reserved: 3 }), "Orders hold stock of the product"),
        (
            out_of_stock.map_or(Error::Contended, refused),
            "There is less of a product than is asked for; `product_id` and `available` tell of which, and how much",
        ),
        (
            refused(Refusal::IllegalTransition { from: Status::Pending, to: Status::Shipped }),
            "No order goes from the one status to the other",
        ),
        (refused(Refusal::EmptyOrder), "An order without items cannot be confirmed"),
        (
            refused(Refusal::OrderNotEditable { status: Status::Confirmed }),
            "The order is past the point where its items may change",
        ),
        (
            refused(Refusal::OrderNotDeletable { status: Status::Shipped }),
            "The order is past the point where it may be deleted, or not yet at it",
        ),
        (refused(Refusal::TooManyOpenOrders { limit: 20 }), "The customer has as many PENDING orders as the shop allows"),
        (Error::AlreadyVerified, "The address is verified, and no other waits to be"),
        (refused(Refusal::OpenOrders), "Orders of the account are CONFIRMED or SHIPPED"),
        (refused(Refusal::LastAdmin), "Without this account, nobody active would be an admin"),
        (refused(Refusal::TooManyItems { max: Order::MAX_ITEMS }), "The order has as many items as an order may have"),
        (Error::PreconditionFailed, "What the caller saw is not what is there now"),
        (Error::BodyTooLarge { limit: 64 * 1024 }, "The body is over 64 KiB"),
        (
            Error::NotDeclaredJson,
            "The body is not declared as application/json in UTF-8, or has a content encoding",
        ),
        (
            Fault::new("/quantity", "must be a whole number from 1 to 10000").into(),
            "Fields or parameters cannot be accepted; `errors` has all that are wrong",
        ),
        (refused(Refusal::UnknownProduct(vec![product()])), "A line names a product that there is not"),
        (refused(Refusal::UnknownCustomer), "There is no such active account"),
        (
            Error::WeakPassword(Fault::new("/password", "must have 8 to 128 characters")),
            "The password is too easily guessed",
        ),
        (Error::InvalidCursor, "The cursor was made for another list, or not by us"),
        (Error::IdempotencyKeyReused, "The key was used for another request in the last 24 hours"),
        (
            Error::TooManyAttempts { retry_after: 840 },
            "Too many logins have failed, or too many accounts were made, of this account or from this address; `Retry-After` says for how long",
        ),
        (Error::Internal(String::new()), "A fault of ours, logged under the `request_id`"),
        (Error::MailNotConfigured, "The shop sends no mail, and there is no other way"),
        (Error::Contended, "The database did not answer in time; the same request may be sent again"),
    ]
    .map(|(error, when)| Problem::new(&error, when))
    .into()
}

/// All codes: with those of paths that have no such method, which is the answer of no route.
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    PROBLEMS.iter().map(|problem| problem.code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_problem_is_described_once() {
        let there: BTreeSet<_> = codes().filter(|code| *code != "method-not-allowed").collect();
        let described: Vec<_> = problems().iter().map(|problem| problem.code).collect();
        assert_eq!(described.len(), there.len(), "{described:?}");
        assert_eq!(described.into_iter().collect::<BTreeSet<_>>(), there);
    }
}
