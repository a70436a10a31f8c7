//! A walk through all routes, in an order in which each request finds what those before it have made: what Postman and editors send.
//!
//! It logs in as the admin of a shop that `cargo run -p local` has filled, and as a customer of its own, whom it erases at the end; so it
//! can be repeated. In the texts, `{{name}}` stands for what a step before has kept, and `{{random}}` for nine digits that are others
//! each time.

use super::{Route, accounts::ADMIN_LOGIN, routes};

/// Some of the steps, in their order.
pub struct Chapter {
    pub title: &'static str,
    pub steps: &'static [Step],
}

/// One request.
pub struct Step {
    /// Its name, which no other has.
    pub name: &'static str,
    /// What it is there for, where the summary of the route would not say.
    title: Option<&'static str>,
    operation_id: &'static str,
    /// Whose token it carries.
    pub token: Option<&'static str>,
    pub query: &'static [(&'static str, &'static str)],
    pub headers: &'static [(&'static str, &'static str)],
    /// JSON.
    pub body: Option<&'static str>,
    /// What it is answered.
    pub status: u16,
    /// The code of the problem that it is answered.
    pub code: Option<&'static str>,
    pub keeps: &'static [Kept],
}

/// What is kept of an answer, under a name for the steps after it.
pub struct Kept {
    pub name: &'static str,
    pub from: Place,
}

/// Where in an answer.
pub enum Place {
    /// A path in the JSON of the body.
    Body(&'static str),
    Header(&'static str),
}

const fn body(name: &'static str, path: &'static str) -> Kept {
    Kept { name, from: Place::Body(path) }
}

const fn tag(name: &'static str) -> Kept {
    Kept { name, from: Place::Header("ETag") }
}

const ADMIN: Option<&str> = Some("admin_token");
const CUSTOMER: Option<&str> = Some("customer_token");

impl Step {
    const PLAIN: Self = Self {
        name: "",
        title: None,
        operation_id: "",
        token: None,
        query: &[],
        headers: &[],
        body: None,
        status: 200,
        code: None,
        keeps: &[],
    };

    const fn new(name: &'static str) -> Self {
        Self { name, operation_id: name, ..Self::PLAIN }
    }

    const fn by(token: Option<&'static str>, name: &'static str) -> Self {
        Self { token, ..Self::new(name) }
    }

    /// The route that answers.
    pub fn route(&self) -> &'static Route {
        routes().find(|route| route.operation_id == self.operation_id).unwrap_or(&Route::PLAIN)
    }

    pub fn title(&self) -> &'static str {
        self.title.unwrap_or(self.route().summary)
    }
}

pub const CHAPTERS: &[Chapter] = &[
    Chapter {
        title: "Accounts, as an admin",
        steps: &[
            Step {
                name: "loginAdmin",
                title: Some("Log in as the admin of a shop on this machine"),
                operation_id: "login",
                body: Some(ADMIN_LOGIN),
                keeps: &[body("admin_token", "access_token")],
                ..Step::PLAIN
            },
            Step {
                body: Some(
                    r#"{"email": "ada-{{random}}@example.com", "username": "ada-{{random}}", "password": "Zwetschgenmus mit Zimt"}"#,
                ),
                status: 201,
                keeps: &[body("user_id", "user_id"), body("email", "email")],
                ..Step::new("register")
            },
            Step { query: &[("prefix", "ada"), ("limit", "10")], ..Step::by(ADMIN, "listUsers") },
            Step::by(ADMIN, "getUser"),
            Step { body: Some(r#"{"is_active": true}"#), ..Step::by(ADMIN, "updateUser") },
            Step::new("keys"),
        ],
    },
    Chapter {
        title: "One's own account",
        steps: &[
            Step {
                body: Some(r#"{"email": "{{email}}", "password": "Zwetschgenmus mit Zimt"}"#),
                keeps: &[body("first_token", "access_token")],
                ..Step::new("login")
            },
            Step::by(Some("first_token"), "me"),
            Step {
                body: Some(r#"{"username": "lovelace-{{random}}", "password": "Zwetschgenmus mit Zimt"}"#),
                ..Step::by(Some("first_token"), "updateMe")
            },
            Step { status: 202, body: Some(r#"{"email": "{{email}}"}"#), ..Step::new("startRecovery") },
            Step {
                title: Some("Set another password with a mailed token: only a mail has one that is good"),
                status: 401,
                code: Some("invalid-token"),
                body: Some(r#"{"token": "of-a-mail", "new_password": "Quittengelee mit Nelken"}"#),
                ..Step::new("recover")
            },
            Step { status: 202, ..Step::by(Some("first_token"), "sendVerification") },
            Step {
                title: Some("Verify an address with a mailed token: only a mail has one that is good"),
                status: 401,
                code: Some("invalid-token"),
                body: Some(r#"{"token": "of-a-mail"}"#),
                ..Step::new("verify")
            },
            Step {
                status: 204,
                body: Some(r#"{"password": "Zwetschgenmus mit Zimt", "new_password": "Quittengelee mit Nelken"}"#),
                ..Step::by(Some("first_token"), "changePassword")
            },
            Step {
                name: "loginAgain",
                title: Some("Log in with the new password"),
                operation_id: "login",
                body: Some(r#"{"email": "{{email}}", "password": "Quittengelee mit Nelken"}"#),
                keeps: &[body("customer_token", "access_token"), body("refresh_token", "refresh_token")],
                ..Step::PLAIN
            },
            Step { keeps: &[body("session_id", "sessions[1].session_id")], ..Step::by(CUSTOMER, "listSessions") },
            Step { title: Some("End the session of the first login"), status: 204, ..Step::by(CUSTOMER, "endSession") },
            Step { body: Some(r#"{"refresh_token": "{{refresh_token}}"}"#), ..Step::new("refresh") },
        ],
    },
    Chapter {
        title: "The catalogue",
        steps: &[
            Step {
                headers: &[("Idempotency-Key", "{{user_id}}")],
                body: Some(
                    r#"{"name": "Ruler {{random}}", "sku": "RULER-{{random}}", "description": "30 cm, brass", "price": "19.90", "quantity": 12, "low_stock_at": 5}"#,
                ),
                status: 201,
                keeps: &[body("product_id", "product_id"), tag("product_tag")],
                ..Step::by(ADMIN, "createProduct")
            },
            Step { query: &[("prefix", "ruler"), ("limit", "10")], ..Step::new("listProducts") },
            Step::new("getProduct"),
            Step {
                name: "getProductAgain",
                title: Some("Get a product that has not changed"),
                operation_id: "getProduct",
                headers: &[("If-None-Match", "{{product_tag}}")],
                status: 304,
                ..Step::PLAIN
            },
            Step {
                headers: &[("If-Match", "{{product_tag}}")],
                body: Some(r#"{"price": "17.90"}"#),
                ..Step::by(ADMIN, "updateProduct")
            },
            Step {
                name: "updateProductAgain",
                title: Some("Change a product that has changed since it was seen"),
                operation_id: "updateProduct",
                token: ADMIN,
                headers: &[("If-Match", "{{product_tag}}")],
                body: Some(r#"{"price": "18.90"}"#),
                status: 412,
                code: Some("precondition-failed"),
                ..Step::PLAIN
            },
            Step {
                headers: &[("Idempotency-Key", "{{product_id}}")],
                body: Some(r#"{"amount": 50, "reason": "delivery 4711"}"#),
                status: 201,
                ..Step::by(ADMIN, "createMovement")
            },
            Step { query: &[("limit", "10")], ..Step::by(ADMIN, "listMovements") },
            Step::by(ADMIN, "getStock"),
        ],
    },
    Chapter {
        title: "Orders",
        steps: &[
            Step {
                headers: &[("Idempotency-Key", "{{product_id}}")],
                body: Some(r#"{"items": [{"product_id": "{{product_id}}", "quantity": 2}]}"#),
                status: 201,
                keeps: &[body("order_id", "order_id"), tag("order_tag")],
                ..Step::by(CUSTOMER, "createOrder")
            },
            Step {
                name: "createOrderAgain",
                title: Some("Place an order under the key of another: it is the same"),
                operation_id: "createOrder",
                token: CUSTOMER,
                headers: &[("Idempotency-Key", "{{product_id}}")],
                body: Some(r#"{"items": [{"product_id": "{{product_id}}", "quantity": 2}]}"#),
                status: 201,
                ..Step::PLAIN
            },
            Step { query: &[("status", "PENDING"), ("limit", "10")], ..Step::by(CUSTOMER, "listOrders") },
            Step { headers: &[("If-None-Match", "{{order_tag}}")], status: 304, ..Step::by(CUSTOMER, "getOrder") },
            Step {
                headers: &[("Idempotency-Key", "{{order_id}}"), ("If-Match", "{{order_tag}}")],
                body: Some(r#"{"product_id": "{{product_id}}", "quantity": 2}"#),
                status: 201,
                keeps: &[body("item_id", "order_item_id")],
                ..Step::by(CUSTOMER, "addItem")
            },
            Step {
                name: "addTooMany",
                title: Some("Add more of a product than there is"),
                operation_id: "addItem",
                token: CUSTOMER,
                body: Some(r#"{"product_id": "{{product_id}}", "quantity": 10000}"#),
                status: 409,
                code: Some("out-of-stock"),
                ..Step::PLAIN
            },
            Step { body: Some(r#"{"quantity": 3}"#), ..Step::by(CUSTOMER, "updateItem") },
            Step { status: 204, ..Step::by(CUSTOMER, "removeItem") },
            Step {
                name: "confirmOrder",
                title: Some("Confirm an order"),
                operation_id: "updateOrder",
                token: CUSTOMER,
                body: Some(r#"{"status": "CONFIRMED"}"#),
                ..Step::PLAIN
            },
            Step {
                title: Some("Cancel an order"),
                body: Some(r#"{"status": "CANCELLED"}"#),
                ..Step::by(CUSTOMER, "updateOrder")
            },
        ],
    },
    Chapter {
        title: "The end of all that was made",
        steps: &[
            Step { status: 204, ..Step::by(ADMIN, "deleteOrder") },
            Step { status: 204, ..Step::by(ADMIN, "deleteProduct") },
            Step { status: 204, body: Some(r#"{"password": "Quittengelee mit Nelken"}"#), ..Step::by(CUSTOMER, "eraseMe") },
            Step { status: 204, body: Some(r#"{"all": false}"#), ..Step::by(ADMIN, "logout") },
        ],
    },
];

/// All steps, in their order.
pub fn steps() -> impl Iterator<Item = &'static Step> {
    CHAPTERS.iter().flat_map(|chapter| chapter.steps)
}

/// The text with each `{{name}}` in it replaced.
pub fn filled(text: &str, mut value: impl FnMut(&str) -> String) -> String {
    let mut filled = String::new();
    for (n, part) in text.split("{{").enumerate() {
        match part.split_once("}}").filter(|_| n > 0) {
            Some((name, rest)) => filled += &(value(name) + rest),
            None => filled += part,
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::contract::openapi;

    #[test]
    fn every_route_has_a_step_and_every_step_has_a_route() {
        let stepped: BTreeSet<_> = steps().map(|step| step.operation_id).collect();
        let there: BTreeSet<_> = routes().map(|route| route.operation_id).collect();
        assert_eq!(stepped, there);
        let names: BTreeSet<_> = steps().map(|step| step.name).collect();
        assert_eq!(names.len(), steps().count(), "a name twice");
    }

    /// Nothing is used that was not kept before, and the document promises what is answered.
    #[test]
    fn each_step_finds_what_it_needs() {
        let document = openapi::document();
        let mut kept = BTreeSet::from(["random"]);
        for step in steps() {
            let route = step.route();
            let texts = step.headers.iter().chain(step.query).map(|(_, text)| *text).chain(step.body);
            for text in texts {
                filled(text, |name| {
                    assert!(kept.contains(name), "{}: nothing has kept {name}", step.name);
                    String::new()
                });
            }
            for name in route.ids().map(|id| id.name).chain(step.token) {
                assert!(kept.contains(name), "{}: nothing has kept {name}", step.name);
            }
            for thing in step.keeps {
                assert!(kept.insert(thing.name), "{}: {} is kept twice", step.name, thing.name);
            }
            assert_eq!(step.token.is_some(), route.caller.is_some(), "{}", step.name);
            assert_eq!(step.body.is_some(), route.body.is_some(), "{}", step.name);
            if let Some(body) = step.body {
                serde_json::from_str::<Value>(body).unwrap_or_else(|error| panic!("{}: {error}", step.name));
            }
            let operation = &document["paths"][route.path()][route.method().to_lowercase()];
            assert!(operation["responses"].get(step.status.to_string()).is_some(), "{}: {}", step.name, step.status);
            if let Some(code) = step.code {
                assert!(operation["x-problem-codes"].as_array().unwrap().contains(&json!(code)), "{}: {code}", step.name);
            }
            for (name, _) in step.headers {
                assert!(route.parameters.contains(name), "{}: {name}", step.name);
            }
        }
    }

    #[test]
    fn names_in_texts_are_replaced() {
        assert_eq!(filled("a {{b}} c {{d}}{{b}}", |name| format!("<{name}>")), "a <b> c <d><b>");
        assert_eq!(filled("none }} here", |_| String::new()), "none }} here");
    }
}
