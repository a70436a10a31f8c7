//! When each problem is answered. Its status stands in [`crate::http::PROBLEMS`].

use crate::http::{PROBLEMS, ProblemType};

/// A problem that a route may answer.
pub(super) struct Problem {
    pub code: &'static str,
    pub status: u16,
    /// When it is answered.
    pub when: &'static str,
}

/// The code, and when it is answered.
const WHEN: &[(&str, &str)] = &[
    ("malformed-json", "The body is not JSON"),
    ("invalid-header", "A header lists more than 20 entity tags"),
    (
        "invalid-idempotency-key",
        "The Idempotency-Key is not 1 to 255 printable ASCII characters, bare or as one quoted string, or was sent twice",
    ),
    ("unauthenticated", "The route needs an access token"),
    ("token-expired", "The access token has expired: refresh it"),
    ("token-revoked", "The session of the access token has ended: log in"),
    ("invalid-credentials", "The account or the password is wrong, or the account is closed: which, is not told"),
    ("invalid-refresh-token", "The refresh token is not ours, was replaced, or its session has ended"),
    ("invalid-token", "The token of a mail is not ours, was used, has expired, or a newer one took its place"),
    ("email-not-verified", "The shop wants to know first that the account's address is its owner's"),
    ("forbidden", "Known, and not allowed"),
    ("not-found", "There is no such thing, or not for the caller"),
    ("name-taken", "Another product has this name"),
    ("sku-taken", "Another product has this SKU"),
    ("email-taken", "Another account has this e-mail address"),
    ("username-taken", "Another account has this username"),
    ("product-in-use", "Orders hold stock of the product"),
    ("out-of-stock", "There is less of a product than is asked for; `product_id` and `available` tell of which, and how much"),
    ("illegal-transition", "No order goes from the one status to the other"),
    ("empty-order", "An order without items cannot be confirmed"),
    ("order-not-editable", "The order is past the point where its items may change"),
    ("order-not-deletable", "The order is past the point where it may be deleted, or not yet at it"),
    ("too-many-open-orders", "The customer has as many PENDING orders as the shop allows"),
    ("already-verified", "The address is verified, and no other waits to be"),
    ("open-orders", "Orders of the account are CONFIRMED or SHIPPED"),
    ("last-admin", "Without this account, nobody active would be an admin"),
    ("too-many-items", "The order has as many items as an order may have"),
    ("precondition-failed", "What the caller saw is not what is there now"),
    ("body-too-large", "The body is over 64 KiB"),
    ("unsupported-media-type", "The body is not declared as application/json in UTF-8, or has a content encoding"),
    ("invalid-request", "Fields or parameters cannot be accepted; `errors` has all that are wrong"),
    ("unknown-product", "A line names a product that there is not"),
    ("unknown-customer", "There is no such active account"),
    ("weak-password", "The password is too easily guessed"),
    ("invalid-cursor", "The cursor was made for another list, or not by us"),
    ("idempotency-key-reused", "The key was used for another request in the last 24 hours"),
    (
        "too-many-attempts",
        "Too many logins have failed, or too many accounts were made, of this account or from this address; `Retry-After` says for how long",
    ),
    ("internal-error", "A fault of ours, logged under the `request_id`"),
    ("mail-not-configured", "The shop sends no mail, and there is no other way"),
    ("unavailable", "The database did not answer in time; the same request may be sent again"),
];

/// The codes of paths that have no such method, which is the answer of no route.
const OF_NO_ROUTE: &[&str] = &["method-not-allowed"];

/// All problems that routes may answer.
pub(super) fn problems() -> impl Iterator<Item = Problem> {
    WHEN.iter().filter_map(|(code, when)| {
        let ProblemType { status, .. } = PROBLEMS.iter().find(|problem| problem.code == *code)?;
        Some(Problem { code, status: *status, when })
    })
}

/// All codes.
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    WHEN.iter().map(|(code, _)| *code).chain(OF_NO_ROUTE.iter().copied())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_problem_is_described() {
        let there: BTreeSet<_> = PROBLEMS.iter().map(|problem| problem.code).collect();
        assert_eq!(codes().collect::<BTreeSet<_>>(), there);
    }
}
