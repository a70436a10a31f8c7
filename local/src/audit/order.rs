//! An order with its lines, its history and the records of requests that made it: I1, and the history leads to the status.

use shared::domain::{Reason, Role, Status, StatusChange, StockEffect, take_step};
use shared::store::schema;

use super::finding::{Cause, Finding, Remedy, Tear, Violation, Write};
use super::items::Held;
use super::layout::{self, Item, Kind};

const MAX_LINES: usize = 40;
const MAX_QUANTITY: u64 = 10_000;

/// What there is to say of an order, and its lines as products must know of them.
#[derive(Default)]
pub struct Judged<'i> {
    pub findings: Vec<Finding>,
    pub held: Vec<Held<'i>>,
}

/// The items of one order, by what they are.
struct Order<'i> {
    head: &'i Item,
    lines: Vec<&'i Item>,
    /// By version.
    history: Vec<&'i Item>,
}

/// `latest`: the moment that the table is of, as far as its items tell; in milliseconds since the epoch.
pub fn judge<'i>(subject: &str, items: &'i [Item], latest: u64) -> Judged<'i> {
    let of = |kind| items.iter().filter(move |item| item.kind() == Some(kind)).collect::<Vec<_>>();
    let (lines, history) = (of(Kind::Line), of(Kind::History));
    let mut judged = Judged::default();
    judged.findings.extend(records_without_effect(subject, items, latest));
    let Some(head) = of(Kind::Order).first().copied() else {
        judged.findings.extend(without_head(&lines, &history));
        return judged;
    };
    let order = Order { head, lines, history };
    let mut findings = order.of_one_item();
    let (status, shipped_at) = order.agreement(&mut findings);
    judged.findings.extend(findings);
    judged.held = order.held(status, shipped_at);
    judged
}

/// A repetition is answered with what a record remembers, which was made in the same transaction. It may have been deleted since;
/// but not before the moment that the table is of.
pub fn records_without_effect(subject: &str, items: &[Item], latest: u64) -> Vec<Finding> {
    /// Seconds: more than any transaction takes.
    const IN_FLIGHT: u64 = 10;
    let records = items.iter().filter(|item| item.kind() == Some(Kind::Record));
    let torn = records.filter(|record| {
        let made = record.number("expires_at").unwrap_or_default().saturating_sub(layout::RECORD_KEPT);
        !items.iter().any(|item| item.sk == record.text("effect")) && made + IN_FLIGHT >= latest / 1000
    });
    let finding = |record: &Item| Finding {
        cause: Cause::Doubtful(Tear::RecordWithoutEffect),
        violations: vec![Violation::of(record, "remembers that something was made which does not exist")],
        remedy: Remedy::write(vec![
            Write::delete(record, record.as_read(&["fingerprint", "expires_at"])),
            Write::absent(subject, record.text("effect")),
        ]),
    };
    torn.map(finding).collect()
}

/// Nobody can see an order without its own item, and it cannot be made again from the rest.
fn without_head(lines: &[&Item], history: &[&Item]) -> Vec<Finding> {
    /// Parts that one transaction deletes; DynamoDB takes a hundred writes, and no order has so many parts.
    const AT_ONCE: usize = 99;
    let parts = [lines, history].concat();
    let finding = |parts: &[&Item]| {
        let violations = parts.iter().map(|part| Violation::of(part, "belongs to an order that does not exist")).collect();
        let order = Write::absent(&parts[0].pk, schema::ORDER.sk.prefix());
        let writes = parts.iter().map(|part| delete(part)).chain([order]).collect();
        Finding::torn(Tear::PartsWithoutOrder, violations, Remedy::write(writes))
    };
    parts.chunks(AT_ONCE).map(finding).collect()
}

fn delete(part: &Item) -> Write {
    match part.kind() {
        Some(Kind::Line) => Write::delete(part, part.as_read(&["product_id", "quantity", "price"])),
        Some(Kind::History) => Write::delete(part, part.as_read(&["from", "to"])),
        _ => Write::delete(part, part.as_read(&["status", "version"])),
    }
}

impl<'i> Order<'i> {
    /// What can be judged without the other items. No transaction writes half of an item.
    fn of_one_item(&self) -> Vec<Finding> {
        let head = self.head;
        let mut found = Vec::new();
        let status = head.text("status");
        if status.parse::<Status>().is_err() {
            found.push(Violation::of(head, format!("status is {status:?}")));
        }
        expect_text(&mut found, head, "gsi1pk", &schema::ORDERS_OF_CUSTOMER.with(&[&head.text("customer_id")]));
        expect_text(&mut found, head, "gsi1sk", head.id());
        expect_text(&mut found, head, "gsi2sk", head.id());
        let (collection, expected) = (head.text("gsi2pk"), schema::ORDERS_BY_STATUS.with(&[&status]));
        if collection.strip_prefix(&expected).is_none_or(|shard| shard.parse::<u32>().is_err()) {
            found.push(Violation::of(head, format!("gsi2pk is {collection:?}, not {expected:?} and a shard")));
        }
        for name in ["total", "item_count"] {
            expect_number(&mut found, head, name);
        }
        for line in &self.lines {
            for name in ["quantity", "price"] {
                expect_number(&mut found, line, name);
            }
            if let Some(quantity) = line.number("quantity").filter(|quantity| !(1..=MAX_QUANTITY).contains(quantity)) {
                found.push(Violation::of(line, format!("quantity is {quantity}, not 1 to {MAX_QUANTITY}")));
            }
            if line.has("shard") {
                expect_number(&mut found, line, "shard");
            }
        }
        if self.lines.len() > MAX_LINES {
            found.push(Violation::of(head, format!("has {} lines, more than {MAX_LINES}", self.lines.len())));
        }
        let decide = "compare the order with what its customer was sent, and write by hand what it should have";
        let each = |violation| Finding::broken(vec![violation], decide);
        found.into_iter().map(each).collect()
    }

    /// Judges total and history; gives the status that the order has once it is repaired, and when its pieces left the shop.
    fn agreement(&self, findings: &mut Vec<Finding>) -> (Option<Status>, Option<u64>) {
        let head = self.head;
        let (lines, sum) = self.total();
        let (history, step) = self.history();
        let status: Option<Status> = head.text("status").parse().ok();
        let shipped = |entry: &&&Item| entry.text("stock") == "shipped";
        let shipped_at = self.history.iter().find(shipped).and_then(|entry| entry.number("at"));

        // Its lines are there for good, and so is its history: only its deletion takes them.
        let deleted = status == Some(Status::Cancelled) && (!lines.is_empty() || (!history.is_empty() && step.is_none()));
        if deleted {
            let all = [head].into_iter().chain(self.lines.iter().copied()).chain(self.history.iter().copied());
            let remedy = Remedy::write(all.map(delete).collect());
            findings.push(Finding::torn(Tear::HalfDeletedOrder, [lines, history].concat(), remedy));
            return (None, None);
        }
        match (status, sum) {
            _ if lines.is_empty() => {}
            (Some(Status::Pending), Some(sum)) => {
                let version = head.number("version").unwrap_or_default() + 1;
                let set = vec![
                    ("total", layout::number(sum)),
                    ("item_count", layout::number(self.lines.len())),
                    ("version", layout::number(version)),
                ];
                let write = Write::update(head, set, head.as_read(&["status", "total", "item_count", "version"]));
                findings.push(Finding::torn(Tear::TotalWithoutLines, lines, Remedy::write(vec![write])));
            }
            _ => findings.push(Finding::broken(
                lines,
                "its lines were held still when it was confirmed: compare it with what its customer was sent",
            )),
        }
        match step {
            None if history.is_empty() => {}
            None => findings.push(Finding::broken(history, "more than one step is missing: find out what became of the order")),
            Some(Step::Unrecorded { from, to, stock }) => {
                let at = head.number("updated_at").unwrap_or_default();
                findings.push(Finding::torn(Tear::StatusWithoutHistory, history, self.record(from, to, stock, at)));
                return (status, if stock == StockEffect::Shipped { Some(at) } else { shipped_at });
            }
            Some(Step::Recorded(entry)) => {
                findings.push(Finding::torn(Tear::HistoryWithoutStatus, history, self.follow(entry)));
                return (entry.text("to").parse().ok(), shipped_at);
            }
        }
        (status, shipped_at)
    }

    /// What contradicts the total and the count of lines, and what the lines come to if all their numbers can be read.
    fn total(&self) -> (Vec<Violation>, Option<u128>) {
        let head = self.head;
        let line = |line: &&Item| Some(u128::from(line.number("quantity")?) * u128::from(line.number("price")?));
        let sum: Option<u128> = self.lines.iter().map(line).sum();
        let mut violations = Vec::new();
        // Without all the numbers there is nothing to compare, and that has been said.
        if let (Some(total), Some(sum)) = (head.number("total"), sum)
            && u128::from(total) != sum
        {
            violations.push(Violation::of(head, format!("total is {total}, but the lines come to {sum}")));
        }
        if let Some(count) = head.number("item_count").filter(|count| *count != self.lines.len() as u64) {
            violations.push(Violation::of(head, format!("item_count is {count}, but there are {} lines", self.lines.len())));
        }
        (violations, sum)
    }

    /// The history leads from PENDING to the order's status without a gap. Otherwise: the one step that explains it, if there is one.
    fn history(&self) -> (Vec<Violation>, Option<Step<'i>>) {
        let (mut reached, mut before) = ("PENDING", "PENDING");
        let mut violations = Vec::new();
        for entry in &self.history {
            if entry.text("from") != reached {
                let what = format!("goes on from {:?}, but the order was {reached:?}", entry.text("from"));
                violations.push(Violation::of(entry, what));
            }
            (before, reached) = (reached, entry.text("to"));
        }
        let whole = violations.is_empty();
        let status = self.head.text("status");
        if status == reached {
            return (violations, None);
        }
        violations.push(Violation::of(self.head, format!("status is {status:?}, but its history ends with {reached:?}")));
        let last = self.history.last().copied();
        let follows = |entry: &Item| {
            let next = self.head.number("version").map(|version| version + 1);
            before == status && layout::history_version(&entry.sk) == next
        };
        let step = match last.filter(|entry| follows(entry)) {
            _ if !whole => None,
            Some(entry) => Some(Step::Recorded(entry)),
            None => match (reached.parse(), status.parse()) {
                (Ok(from), Ok(to)) => effect(from, to).map(|stock| Step::Unrecorded { from, to, stock }),
                _ => None,
            },
        };
        (violations, step)
    }

    /// Writes down a step that was taken. Who took it is not known.
    fn record(&self, from: Status, to: Status, stock: StockEffect, at: u64) -> Remedy {
        let stock = serde_json::to_value(stock).unwrap_or_default();
        let entry = [
            ("at", layout::number(at)),
            ("from", layout::text(from.as_str())),
            ("to", layout::text(to.as_str())),
            ("stock", layout::text(stock.as_str().unwrap_or_default())),
        ];
        let head = self.head;
        Remedy::Write {
            writes: vec![
                Write::check(head, head.as_read(&["status", "version"])),
                Write::Put {
                    pk: head.pk.clone(),
                    sk: layout::history_sk(head.number("version").unwrap_or_default()),
                    attributes: entry.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                },
            ],
            note: Some("who took the step, and why, is lost; look it up in the logs if it matters"),
        }
    }

    /// Takes the step that is written down.
    fn follow(&self, entry: &Item) -> Remedy {
        let head = self.head;
        let to = entry.text("to");
        let set = vec![
            ("status", layout::text(to)),
            ("gsi2pk", layout::text(layout::moved_to(head.text("gsi2pk"), to))),
            ("updated_at", entry.attributes["at"].clone()),
            ("version", layout::number(head.number("version").unwrap_or_default() + 1)),
        ];
        let unchanged = Write::check(entry, entry.as_read(&["from", "to"]));
        Remedy::write(vec![Write::update(head, set, head.as_read(&["status", "version"])), unchanged])
    }

    /// The lines that hold pieces, or have held them; `then`: the status once the order is repaired.
    fn held(&self, then: Option<Status>, shipped_at: Option<u64>) -> Vec<Held<'i>> {
        let holds = |status: Option<Status>| matches!(status, Some(Status::Pending | Status::Confirmed));
        let now: Option<Status> = self.head.text("status").parse().ok();
        if !holds(now) && !holds(then) && shipped_at.is_none() {
            return Vec::new();
        }
        let held = |line: &&'i Item| {
            Some(Held {
                product_id: line.text("product_id"),
                shard: if line.has("shard") { line.number("shard")? } else { 0 },
                line,
                pieces: line.number("quantity").unwrap_or_default(),
                now: holds(now),
                then: holds(then),
                confirmed: then == Some(Status::Confirmed),
                shipped_at,
                touched: self.head.number("updated_at").unwrap_or_default(),
            })
        };
        self.lines.iter().filter_map(held).collect()
    }
}

/// One change of status that is there in part.
enum Step<'i> {
    /// The order has the status, its history does not.
    Unrecorded { from: Status, to: Status, stock: StockEffect },
    /// This entry of the history is there, and the order has the status of before.
    Recorded(&'i Item),
}

/// What a step does to the stock, if it is one of the lifecycle.
fn effect(from: Status, to: Status) -> Option<StockEffect> {
    let change = StatusChange { status: to, reason: Reason::parse("lost").ok(), restock: false };
    take_step(from, &change, Role::Admin, 1, true).ok().flatten()
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
