//! What is told on the event bus: each type of event, what it means and what it carries, and all of them as an AsyncAPI 3.0 document.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    RESOURCES, conventions,
    examples::{MOVEMENT_ID, ORDER_ID, PRODUCT_ID, USER_ID, example},
    schema::{answer, field, id, merged, public, reference, strict, with},
};
use crate::domain::{EventType, SOURCE};

/// A type of event, and everything that there is to know about it.
pub struct EventDescription {
    pub kind: EventType,
    /// What has happened.
    pub when: &'static str,
    /// Of what its data are.
    data: &'static str,
    /// What its data are, in docs/events.md.
    pub carries: &'static str,
    /// The path of what it is about, with the names of ids in it.
    pub subject: &'static str,
}

const PRODUCT: &str = "/products/{product_id}";
const STOCK: &str = "/products/{product_id}/stock";
const MOVEMENT: &str = "/products/{product_id}/movements/{movement_id}";
const ORDER: &str = "/orders/{order_id}";
const ACCOUNT: &str = "/users/{user_id}";

const fn product(kind: EventType, when: &'static str) -> EventDescription {
    EventDescription { kind, when, data: "Product", carries: "the product", subject: PRODUCT }
}

const fn movement(kind: EventType, when: &'static str) -> EventDescription {
    EventDescription { kind, when, data: "Movement", carries: "the movement", subject: MOVEMENT }
}

const fn level(kind: EventType, when: &'static str) -> EventDescription {
    EventDescription { subject: STOCK, ..product(kind, when) }
}

const fn order(kind: EventType, when: &'static str) -> EventDescription {
    EventDescription { kind, when, data: "OrderDetails", carries: "the order, with its lines and history", subject: ORDER }
}

const fn account(kind: EventType, when: &'static str) -> EventDescription {
    EventDescription { kind, when, data: "Account", carries: "its id, role and whether it is active; no name", subject: ACCOUNT }
}

/// Every type of event.
pub const EVENTS: [EventDescription; EventType::ALL.len()] = [
    product(EventType::ProductCreated, "a product is in the catalogue"),
    product(EventType::ProductChanged, "its texts, price, SKU, level or spread are others; a sale is no change"),
    product(EventType::ProductDeleted, "it is out of the catalogue; the data are its last, without stock"),
    movement(EventType::StockReceived, "pieces came in, or a new product began with them"),
    movement(EventType::StockRemoved, "pieces were taken out"),
    movement(EventType::StockCounted, "somebody counted and found more or fewer"),
    level(EventType::StockLow, "what can be sold is no more than its `low_stock_at`"),
    level(EventType::StockOut, "nothing can be sold any more"),
    level(EventType::StockBack, "more than its `low_stock_at` can be sold again, or anything if it has none"),
    order(EventType::OrderPlaced, "an order is PENDING, and holds its stock"),
    order(EventType::OrderChanged, "its lines are others, or its metadata"),
    order(EventType::OrderConfirmed, "it is CONFIRMED"),
    order(EventType::OrderShipped, "it is SHIPPED, and its pieces have left the stock"),
    order(EventType::OrderDelivered, "it is DELIVERED"),
    order(EventType::OrderCancelled, "it is CANCELLED; the last entry of its history says what became of its pieces"),
    order(EventType::OrderDeleted, "it is gone; the data are its last"),
    account(EventType::AccountRegistered, "there is a new account"),
    account(EventType::AccountVerified, "its e-mail address has been shown to be its owner's"),
    account(EventType::AccountChanged, "its role has changed, whether it is active, or its names"),
    account(EventType::AccountErased, "it is gone; the data are its last"),
];

const DESCRIPTION: &str = "\
What has happened in the shop, on one EventBridge bus: what is committed to the table is told, and nothing else is. Every event is \
told at least once. `id` is the same however often it is; `version` rises by one with every change of its `subject`, so that a consumer \
can sort events and notice one that it has missed. `subject` is a path of the API. The events of one subject are sent in their order, \
and a bus may still deliver them in another.

`data` are what the API shows of the subject: exactly at that version for orders, accounts and movements. What is said of a product \
is as it was at that version, and its stock as it was then or a moment later. Data that are too large for an event are left out, \
with a `note` that says so. No event carries a password, a token, or an e-mail address of an account.";

/// The whole document.
pub fn document() -> Value {
    let names = EVENTS.iter().map(|event| event.kind.as_str());
    let message = |name: &str| json!({"$ref": format!("#/components/messages/{name}")});
    let of_channel = |name: &str| json!({"$ref": format!("#/channels/events/messages/{name}")});
    let schemas = public(&both());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Stockroom events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": {
                "address": SOURCE,
                "title": "Events",
                "description": "The event bus of the stack. EventBridge puts `source` (`stockroom`) and `detail-type` (the `type`) around each event, which is its `detail`. `WebhookUrl` is sent the event itself by POST.",
                "messages": names.clone().map(|name| (name.to_owned(), message(name))).collect::<Map<_, _>>(),
            },
        },
        "operations": {
            "tell": {
                "action": "send",
                "title": "Tell what has happened",
                "channel": {"$ref": "#/channels/events"},
                "messages": names.map(of_channel).collect::<Vec<_>>(),
            },
        },
        "components": {
            "messages": EVENTS.iter().map(|event| (event.kind.as_str().to_owned(), describe(event, &schemas))).collect::<Map<_, _>>(),
            "schemas": schemas,
        },
    })
}

fn describe(event: &EventDescription, schemas: &Value) -> Value {
    let name = event.kind.as_str();
    let whole = json!({"components": {"schemas": schemas}});
    let mut payload = example(&whole, &schemas[name]).unwrap_or_default();
    if let Some(payload) = payload.as_object_mut() {
        // An event has data or a note.
        payload.remove("note");
    }
    json!({
        "name": name,
        "title": name,
        "summary": event.when,
        "payload": reference("schemas", name),
        "examples": [{"payload": payload}],
    })
}

/// The schemas of all events, and what they are made of, in the strict form.
pub fn schemas() -> Value {
    strict(&both())
}

fn both() -> Value {
    let known = RESOURCES.iter().fold(conventions::schemas(), |all, resource| merged(all, (resource.schemas)()));
    let known = merged(known, json!({"Account": account_facts()}));
    let mut schemas: Map<_, _> = EVENTS.iter().map(|event| (event.kind.as_str().to_owned(), schema(event))).collect();
    // What is referred to, and what that refers to.
    let mut wanted: Vec<String> = schemas.values().flat_map(references).collect();
    while let Some(name) = wanted.pop() {
        if !schemas.contains_key(&name) {
            wanted.extend(references(&known[&name]));
            schemas.insert(name.clone(), known[&name].clone());
        }
    }
    schemas.into()
}

/// The names of the schemas that one refers to.
fn references(schema: &Value) -> BTreeSet<String> {
    let text = schema.to_string();
    let named = text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
    named.map(str::to_owned).collect()
}

fn schema(event: &EventDescription) -> Value {
    let name = event.kind.as_str();
    let pattern = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
    let filled = |id: &dyn Fn(&str) -> &'static str| -> String {
        event.subject.split(['{', '}']).enumerate().map(|(n, part)| if n % 2 == 0 { part } else { id(part) }).collect()
    };
    let path = filled(&|_| pattern);
    let example = filled(&|name| match name {
        "movement_id" => MOVEMENT_ID,
        "order_id" => ORDER_ID,
        "user_id" => USER_ID,
        _ => PRODUCT_ID,
    });
    let text = |pattern: String, description: &str, example: String| json!({"type": "string", "pattern": pattern, "description": description, "examples": [example]});
    let properties = json!({
        "id": text(format!("^{path}@[1-9][0-9]*$"), "The same however often the event is delivered, and no other event's", format!("{example}@1")),
        "type": {"type": "string", "const": name, "description": "What has happened"},
        "time": field("Time", "When it happened"),
        "subject": text(format!("^{path}$"), "The path of what it is about", example),
        "version": {"type": "integer", "format": "int64", "minimum": 1, "description": "Rises by one with every change of the subject", "examples": [1]},
        "data": reference("schemas", event.data),
        "note": {"type": "string", "maxLength": 1024, "description": "Why there are no data", "examples": ["The data are too large for an event. Read them from the API."]},
    });
    let schema = answer(properties, &["data", "note"]);
    with(with(schema, "description", event.when.into()), "oneOf", json!([{"required": ["data"]}, {"required": ["note"]}]))
}

fn account_facts() -> Value {
    answer(
        merged(
            json!({
                "user_id": id(USER_ID, "The account"),
                "role": reference("schemas", "Role"),
                "is_active": {"type": "boolean", "description": "Whether it may log in", "examples": [true]},
            }),
            conventions::times(),
        ),
        &[],
    )
}

/// The events, in docs/events.md.
pub fn markdown() -> String {
    let mut table = "| event | when | data |\n|---|---|---|\n".to_owned();
    for event in &EVENTS {
        table += &format!("| `{}` | {} | {} |\n", event.kind.as_str(), event.when, event.carries);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_event_is_described_once() {
        let described: Vec<_> = EVENTS.iter().map(|event| event.kind).collect();
        assert_eq!(described, EventType::ALL);
    }

    #[test]
    fn the_document_is_whole() {
        let document = document();
        let text = document.to_string();
        let references: BTreeSet<_> = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        for pointer in references {
            assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
        }
        for event in &EVENTS {
            let name = event.kind.as_str();
            let whole = json!({"allOf": [reference("schemas", name)], "components": document["components"]});
            let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
            let example = &document["components"]["messages"][name]["examples"][0]["payload"];
            let faults: Vec<_> = validator.iter_errors(example).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{name}: {faults:?}: {example}");
            let mut other = example.clone();
            other["type"] = "another".into();
            assert!(!validator.is_valid(&other));
        }
    }
}
