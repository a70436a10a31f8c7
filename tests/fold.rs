//! Folds the events of a shop: what somebody knows of it who has only ever heard of its events.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use emulator::EventRecord;
use jsonschema::Validator;
use serde_json::{Value, json};
use shared::contract::events;

use crate::app::{Actor, TestApp};

static SCHEMAS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let schemas = events::schemas();
    let compile = |event: &events::EventDescription| {
        let name = event.kind.as_str();
        let reference = format!("#/components/schemas/{name}");
        let schema = json!({"$ref": reference, "components": {"schemas": schemas}});
        (name.to_owned(), jsonschema::options().should_validate_formats(true).build(&schema).expect("a sound schema"))
    };
    events::EVENTS.iter().map(compile).collect()
});

/// Whether an event is one that asyncapi.json promises, and is told as what it is.
pub fn check_schema(record: &EventRecord) {
    let (outside, event) = (&record.event, &record.event["detail"]);
    assert_eq!((&outside["source"], &outside["detail-type"]), (&json!("stockroom"), &event["type"]), "{outside}");
    let kind = event["type"].as_str().expect("a type");
    let schema = SCHEMAS.get(kind).unwrap_or_else(|| panic!("asyncapi.json has no {kind}"));
    let faults: Vec<_> = schema.iter_errors(event).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "asyncapi.json: {kind}: {faults:?}: {event}");
}

/// The events by subject and version.
pub struct Fold(BTreeMap<String, BTreeMap<u64, Value>>);

impl Fold {
    /// What came twice must have been the same.
    pub fn of(records: &[EventRecord]) -> Self {
        let mut subjects: BTreeMap<String, BTreeMap<u64, Value>> = BTreeMap::new();
        let mut ids: BTreeMap<String, Value> = BTreeMap::new();
        for event in records.iter().map(|record| &record.event["detail"]) {
            let text = |name: &str| event[name].as_str().expect("a text").to_owned();
            let (id, subject, version) = (text("id"), text("subject"), event["version"].as_u64().expect("a version"));
            if let Some(before) = ids.get(&id) {
                for name in ["type", "time", "subject", "version"] {
                    assert_eq!(before[name], event[name], "{id}");
                }
                // Stock lies in several items, and is told as it is by now.
                if !["product.", "stock.low", "stock.out", "stock.back"].iter().any(|kind| text("type").starts_with(kind)) {
                    assert_eq!(before["data"], event["data"], "{id}");
                }
            }
            assert!(ids.get(&id).is_none_or(|before| before["subject"] == event["subject"]), "{id} is of two subjects");
            ids.insert(id, event.clone());
            subjects.entry(subject).or_default().insert(version, event.clone());
        }
        Self(subjects)
    }

    /// How many different events there were.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// The types of the events of a subject, in the order of its versions.
    pub fn types(&self, subject: &str) -> Vec<&str> {
        let events = self.0.get(subject).into_iter().flat_map(BTreeMap::values);
        events.map(|event| event["type"].as_str().expect("a type")).collect()
    }

    /// The latest events of all subjects whose path begins with this, and goes on with an id alone.
    fn latest<'f>(&'f self, prefix: &'f str) -> impl Iterator<Item = (&'f str, &'f Value)> {
        let of = move |subject: &str| subject.strip_prefix(prefix).is_some_and(|id| !id.contains('/'));
        let subjects = self.0.iter().filter(move |(subject, _)| of(subject));
        subjects.filter_map(|(subject, events)| Some((subject.as_str(), events.values().next_back()?)))
    }

    /// Whether it comes to exactly what the API shows: all orders, all products with their stock, and these accounts.
    pub async fn check(&self, admin: &Actor, accounts: &[&Actor]) {
        for (subject, events) in &self.0 {
            let versions: Vec<_> = events.keys().copied().collect();
            let last = versions.last().copied().unwrap_or_default();
            assert_eq!(versions, (1..=last).collect::<Vec<_>>(), "{subject} misses a version");
        }

        let (mut reserved, mut shipped) = (BTreeMap::<String, i64>::new(), BTreeMap::<String, i64>::new());
        let mut there = BTreeSet::new();
        for (subject, event) in self.latest("/orders/") {
            let data = &event["data"];
            let shown = admin.get(subject).await;
            let is_deleted = event["type"] == "order.deleted";
            if is_deleted {
                assert_eq!(shown.status, 404, "{subject}");
            } else {
                assert_eq!(shown.json, *data, "{subject}");
                there.insert(subject.to_owned());
            }
            let has = |effect: &str| data["history"].as_array().expect("a history").iter().any(|entry| entry["stock"] == effect);
            let holds = ["PENDING", "CONFIRMED"].iter().any(|status| data["status"] == *status) && !is_deleted;
            for line in data["items"].as_array().expect("lines") {
                let product = line["product_id"].as_str().expect("an id").to_owned();
                let pieces = line["quantity"].as_i64().expect("a number");
                if holds {
                    *reserved.entry(product).or_default() += pieces;
                } else if has("shipped") && !has("restocked") {
                    *shipped.entry(product).or_default() += pieces;
                }
            }
        }
        assert_eq!(there, all(admin, "orders", "order_id").await);

        let mut received = BTreeMap::<String, i64>::new();
        for (subject, events) in &self.0 {
            if let Some((product, _)) = subject.strip_prefix("/products/").and_then(|rest| rest.split_once("/movements/")) {
                let amount = events.values().next_back().and_then(|event| event["data"]["amount"].as_i64());
                *received.entry(product.to_owned()).or_default() += amount.expect("a number");
            }
        }
        let mut there = BTreeSet::new();
        for (subject, event) in self.latest("/products/") {
            let shown = admin.get(subject).await;
            if event["type"] == "product.deleted" {
                assert_eq!(shown.status, 404, "{subject}");
                continue;
            }
            there.insert(subject.to_owned());
            for name in ["product_id", "name", "sku", "description", "price", "low_stock_at", "stock_shards", "created_at"] {
                assert_eq!(shown[name], event["data"][name], "{subject}: {name}");
            }
            let id = subject.trim_start_matches("/products/");
            let of = |pieces: &BTreeMap<String, i64>| pieces.get(id).copied().unwrap_or_default();
            let (received, reserved, shipped) = (of(&received), of(&reserved), of(&shipped));
            let books = admin.get(format!("{subject}/stock")).await;
            let number = |name: &str| books[name].as_i64().expect("a number");
            assert_eq!(
                (received, received - reserved - shipped, reserved, shipped),
                (number("received"), number("quantity"), number("reserved"), number("shipped")),
                "{subject}: received, quantity, reserved, shipped"
            );
        }
        assert_eq!(there, all(admin, "products", "product_id").await);

        for account in accounts {
            let me = account.get("/auth/me").await;
            let subject = format!("/users/{}", me["user_id"].as_str().expect("an id"));
            let latest = self.latest("/users/").find(|(its, _)| *its == subject).expect("an event").1;
            for (name, value) in latest["data"].as_object().expect("data") {
                assert_eq!(me[name.as_str()], *value, "{subject}: {name}");
            }
        }
    }
}

/// The paths of everything in a list.
async fn all(admin: &Actor, list: &str, id: &str) -> BTreeSet<String> {
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = admin.get(format!("/{list}?limit=100{cursor}")).await;
        let entries = page[list].as_array().expect("a list");
        found.extend(entries.iter().map(|entry| format!("/{list}/{}", entry[id].as_str().expect("an id"))));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// Waits for all events, and holds what they come to against what the API shows; gives the events.
pub async fn check(app: &TestApp, admin: &Actor, accounts: &[&Actor]) -> Fold {
    app.shop().settled().await;
    let fold = Fold::of(&app.shop().events());
    fold.check(admin, accounts).await;
    fold
}
