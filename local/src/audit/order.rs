//! An order: I1, and its history leads to its status. It is one item, so no part of a transaction contradicts the rest of it.

use shared::domain::{Order, Quantity, Status};
use shared::store::schema;

use super::finding::{Finding, Violation};
use super::items::Held;
use super::layout::{Item, Kind};
use super::record;

/// What there is to say of an order with the records of requests that made it or lines of it, and its lines as products must know
/// of them. `latest`: as [`record::without_effect`] wants it.
pub fn judge(items: &[Item], latest: u64) -> (Vec<Finding>, Vec<Held>) {
    let mut findings = record::without_effect(items, latest);
    let Some(order) = items.iter().find(|item| item.kind() == Some(Kind::Order)) else { return (findings, Vec::new()) };
    let lines: Vec<_> = order.parts("lines").into_iter().map(|(_, line)| line).collect();
    let mut history = order.parts("history");
    history.sort_by_key(|(version, _)| version.parse::<u64>().unwrap_or_default());
    let history: Vec<_> = history.into_iter().map(|(_, entry)| entry).collect();

    let mut found = Vec::new();
    keys(&mut found, order);
    total(&mut found, order, &lines);
    steps(&mut found, order, &history);
    let decide = "compare the order with what its customer was sent, and write by hand what it should have";
    findings.extend(found.into_iter().map(|violation| Finding::broken(vec![violation], decide)));
    (findings, held(order, lines, &history))
}

fn keys(found: &mut Vec<Violation>, order: &Item) {
    let status = order.text("status");
    if status.parse::<Status>().is_err() {
        found.push(Violation::of(order, format!("status is {status:?}")));
    }
    expect_text(found, order, "gsi1pk", &schema::ORDERS_OF_CUSTOMER.with(&[&order.text("customer_id")]));
    expect_text(found, order, "gsi1sk", order.id());
    expect_text(found, order, "gsi2sk", order.id());
    let (collection, expected) = (order.text("gsi2pk"), schema::ORDERS_BY_STATUS.with(&[&status]));
    if collection.strip_prefix(&expected).is_none_or(|shard| shard.parse::<u32>().is_err()) {
        found.push(Violation::of(order, format!("gsi2pk is {collection:?}, not {expected:?} and a shard")));
    }
}

fn total(found: &mut Vec<Violation>, order: &Item, lines: &[Item]) {
    for name in ["total", "item_count"] {
        expect_number(found, order, name);
    }
    for line in lines {
        for name in ["quantity", "price"] {
            expect_number(found, line, name);
        }
        if let Some(quantity) = line.number("quantity").filter(|quantity| !(1..=Quantity::MAX).contains(quantity)) {
            found.push(Violation::of(line, format!("quantity is {quantity}, not 1 to {}", Quantity::MAX)));
        }
        if line.has("shard") {
            expect_number(found, line, "shard");
        }
    }
    if lines.len() > Order::MAX_ITEMS {
        found.push(Violation::of(order, format!("has {} lines, more than {}", lines.len(), Order::MAX_ITEMS)));
    }
    let of_line = |line: &Item| Some(u128::from(line.number("quantity")?) * u128::from(line.number("price")?));
    // Without all the numbers there is nothing to compare, and that has been said.
    if let (Some(total), Some(sum)) = (order.number("total"), lines.iter().map(of_line).sum::<Option<u128>>())
        && u128::from(total) != sum
    {
        found.push(Violation::of(order, format!("total is {total}, but the lines come to {sum}")));
    }
    if let Some(count) = order.number("item_count").filter(|count| *count != lines.len() as u64) {
        found.push(Violation::of(order, format!("item_count is {count}, but there are {} lines", lines.len())));
    }
}

/// The history leads from PENDING to the order's status without a gap.
fn steps(found: &mut Vec<Violation>, order: &Item, history: &[Item]) {
    let mut reached = Status::Pending.as_str();
    for entry in history {
        if entry.text("from") != reached {
            found.push(Violation::of(entry, format!("goes on from {:?}, but the order was {reached:?}", entry.text("from"))));
        }
        reached = entry.text("to");
    }
    let status = order.text("status");
    if status != reached {
        found.push(Violation::of(order, format!("status is {status:?}, but its history ends with {reached:?}")));
    }
}

/// The lines of an order that holds pieces, or whose pieces have left the shop and are not back.
fn held(order: &Item, lines: Vec<Item>, history: &[Item]) -> Vec<Held> {
    let status = order.text("status").parse().ok();
    let now = matches!(status, Some(Status::Pending | Status::Confirmed));
    let moved = |stock: &str| history.iter().find(|entry| entry.text("stock") == stock);
    let shipped_at = moved("shipped").filter(|_| moved("restocked").is_none()).and_then(|entry| entry.number("at"));
    if !now && shipped_at.is_none() {
        return Vec::new();
    }
    let held = |line: Item| {
        Some(Held {
            shard: if line.has("shard") { line.number("shard")? } else { 0 },
            line,
            now,
            confirmed: status == Some(Status::Confirmed),
            shipped_at,
            touched: order.number("updated_at").unwrap_or_default(),
        })
    };
    lines.into_iter().filter_map(held).collect()
}

/// A number that must be there, whole and not negative.
pub fn expect_number(found: &mut Vec<Violation>, item: &Item, name: &str) {
    if item.number(name).is_none() {
        found.push(Violation::of(item, format!("{name} is {}, and no whole number from 0 up", item.attributes[name])));
    }
}

/// A text that must be this one.
pub fn expect_text(found: &mut Vec<Violation>, item: &Item, name: &str, expected: &str) {
    let text = item.text(name);
    if text != expected {
        found.push(Violation::of(item, format!("{name} is {text:?}, not {expected:?}")));
    }
}
