//! The functions that answer no route of the API, and what calls them.

use crate::store::schema::{self, ItemKind};

/// A function that answers no route of the API.
pub struct Function {
    pub name: &'static str,
    pub invocation: Invocation,
}

/// What the example event of a function is.
pub enum Invocation {
    /// A request outside of the API: the key of its route, and its path.
    Request { route: &'static str, path: &'static str },
    /// The gateway asks whether a request for this route may pass.
    Authorization { route: &'static str },
    /// The function's schedule, in an event with this id.
    Schedule { id: &'static str },
    /// Lambda hands over a record of the table's stream: of an item of this kind.
    Stream { of: &'static ItemKind },
    /// An operator sends this JSON.
    Operator { payload: &'static str },
}

/// In an order in which each finds what it needs, after all of the routes.
pub const FUNCTIONS: &[Function] = &[
    Function { name: "authorizer", invocation: Invocation::Authorization { route: "POST /products" } },
    Function { name: "fallback", invocation: Invocation::Request { route: "$default", path: "/nowhere" } },
    Function { name: "docs", invocation: Invocation::Request { route: "GET /openapi.json", path: "/openapi.json" } },
    Function { name: "order-expire", invocation: Invocation::Schedule { id: "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa" } },
    Function { name: "secret-rotate", invocation: Invocation::Schedule { id: "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eab" } },
    Function { name: "event-publish", invocation: Invocation::Stream { of: &schema::ORDER } },
    Function { name: "mail-send", invocation: Invocation::Stream { of: &schema::TICKET } },
    Function {
        name: "mail-feedback",
        invocation: Invocation::Operator {
            payload: r#"{"version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eac", "detail-type": "Email Bounced", "source": "aws.ses", "account": "123456789012", "time": "2026-11-22T10:12:35Z", "region": "eu-central-1", "resources": ["arn:aws:ses:eu-central-1:123456789012:configuration-set/stockroom"], "detail": {"eventType": "Bounce", "mail": {"messageId": "01070193a1b2c3d4", "destination": ["ada@example.com"], "tags": {"ses:configuration-set": ["stockroom"]}}, "bounce": {"bounceType": "Transient", "bounceSubType": "MailboxFull", "bouncedRecipients": [{"emailAddress": "ada@example.com", "status": "4.2.2"}], "timestamp": "2026-11-22T10:12:34.567Z"}}}"#,
        },
    },
    Function { name: "event-replay", invocation: Invocation::Operator { payload: r#"{"kind": "products"}"# } },
    Function {
        name: "account-admin",
        invocation: Invocation::Operator { payload: r#"{"email": "ada@example.com", "role": "admin"}"# },
    },
];
