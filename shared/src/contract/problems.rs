//! When each problem is answered.

/// A problem of the API.
pub(super) struct Problem {
    pub code: &'static str,
    pub status: u16,
    /// When it is answered.
    pub when: &'static str,
}

const fn problem(code: &'static str, status: u16, when: &'static str) -> Problem {
    Problem { code, status, when }
}

pub(super) const PROBLEMS: &[Problem] = &[
    problem("malformed-json", 400, "The body is not JSON"),
    problem("invalid-header", 400, "A header lists more than 20 entity tags"),
    problem(
        "invalid-idempotency-key",
        400,
        "The Idempotency-Key is not 1 to 255 printable ASCII characters, bare or as one quoted string, or was sent twice",
    ),
    problem("unauthenticated", 401, "The route needs an access token"),
    problem("token-expired", 401, "The access token has expired: refresh it"),
    problem("token-revoked", 401, "The session of the access token has ended: log in"),
    problem("invalid-credentials", 401, "The account or the password is wrong, or the account is closed: which, is not told"),
    problem("invalid-refresh-token", 401, "The refresh token is not ours, was replaced, or its session has ended"),
    problem("forbidden", 403, "Known, and not allowed"),
    problem("not-found", 404, "There is no such thing, or not for the caller"),
    problem("name-taken", 409, "Another product has this name"),
    problem("email-taken", 409, "Another account has this e-mail address"),
    problem("username-taken", 409, "Another account has this username"),
    problem("product-in-use", 409, "Orders hold stock of the product"),
    problem(
        "out-of-stock",
        409,
        "There is less of a product than is asked for; `product_id` and `available` tell of which, and how much",
    ),
    problem("illegal-transition", 409, "No order goes from the one status to the other"),
    problem("empty-order", 409, "An order without items cannot be confirmed"),
    problem("order-not-editable", 409, "The order is past the point where its items may change"),
    problem("order-not-deletable", 409, "The order is past the point where it may be deleted"),
    problem("too-many-open-orders", 409, "The customer has as many PENDING orders as the shop allows"),
    problem("too-many-items", 409, "The order has as many items as an order may have"),
    problem("precondition-failed", 412, "What the caller saw is not what is there now"),
    problem("body-too-large", 413, "The body is over 64 KiB"),
    problem("unsupported-media-type", 415, "The body is not declared as application/json in UTF-8, or has a content encoding"),
    problem("invalid-request", 422, "Fields or parameters cannot be accepted; `errors` has all that are wrong"),
    problem("unknown-product", 422, "A line names a product that there is not"),
    problem("unknown-customer", 422, "There is no such active account"),
    problem("weak-password", 422, "The password is too easily guessed"),
    problem("invalid-cursor", 422, "The cursor was made for another list, or not by us"),
    problem("idempotency-key-reused", 422, "The key was used for another request in the last 24 hours"),
    problem(
        "too-many-attempts",
        429,
        "Too many logins have failed, or too many accounts were made, of this account or from this address; `Retry-After` says for how long",
    ),
    problem("internal-error", 500, "A fault of ours, logged under the `request_id`"),
    problem("unavailable", 503, "The database did not answer in time; the same request may be sent again"),
];

/// All codes: those of routes, and that of a path which has no such method.
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    PROBLEMS.iter().map(|problem| problem.code).chain(["method-not-allowed"])
}
