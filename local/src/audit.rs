//! Reads a whole table and names everything in it that contradicts something else: what the writes promise, checked at rest.
//!
//! A restored or exported table may hold a part of a transaction. So each finding says whether half of one transaction could have
//! left it, and what puts it right; `repair` carries that out.
//!
//! | file | holds |
//! |---|---|
//! | `layout` | the kinds of items, and what their keys say |
//! | `finding` | what is found, and what puts it right |
//! | `items` | all items of a table, sorted |
//! | `export` | reads an export of a table |
//! | `source` | reads a table, or an export of one |
//! | `owner` | whether unique names belong to what has them |
//! | `order` | whether orders add up |
//! | `product` | whether stock adds up |

mod export;
mod finding;
mod items;
mod layout;
mod order;
mod owner;
mod product;
pub mod source;

use std::fmt;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

pub use finding::{AsRead, Cause, Finding, Remedy, Tear, Violation, Write};
use items::{Incoming, Items};
use source::Source;

use crate::error::Result;

const UNKNOWN: &str = "nothing here writes it: find out who did, and delete it by hand";

/// What an audit has to say: a line per violation and one that counts.
#[derive(Debug, Default)]
pub struct Report {
    pub items: u64,
    pub violations: u64,
    /// How many of them half of a transaction can have left.
    pub torn: u64,
    pub doubts: u64,
}

impl Report {
    fn count(&mut self, finding: &Finding) {
        let many = finding.violations.len() as u64;
        match finding.cause {
            Cause::Doubtful(_) => self.doubts += many,
            Cause::Torn(_) => (self.violations, self.torn) = (self.violations + many, self.torn + many),
            Cause::Broken => self.violations += many,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} items, ", self.items)?;
        match self.violations {
            0 => write!(f, "no violation")?,
            1 => write!(f, "1 violation")?,
            many => write!(f, "{many} violations")?,
        }
        if self.torn > 0 {
            write!(f, ", {} of them torn", self.torn)?;
        }
        match self.doubts {
            0 => Ok(()),
            1 => write!(f, ", 1 doubt"),
            many => write!(f, ", {many} doubts"),
        }
    }
}

/// The violations in one table, wherever it is, sorted by key. Only what nobody writes to meanwhile is seen as it is.
pub async fn run(dynamodb_url: &str, table: &str) -> Result<Vec<Violation>> {
    let source = Source::at(dynamodb_url, table);
    let mut violations = Vec::new();
    look(&source, &ProgressBar::hidden(), &mut |finding| {
        violations.extend(if finding.is_violation() { finding.violations } else { vec![] });
        Ok(())
    })
    .await?;
    violations.sort();
    Ok(violations)
}

/// Reads everything at a source, and tells what it finds as it finds it.
pub async fn look(source: &Source, progress: &ProgressBar, tell: &mut dyn FnMut(Finding) -> Result) -> Result<Report> {
    let mut incoming = Incoming::new()?;
    progress.set_style(bar("reading  "));
    source.read(progress, &mut |item| incoming.add(&item)).await?;
    progress.set_style(bar("sorting  "));
    let items = incoming.sorted()?;
    progress.set_style(bar("judging  "));
    progress.set_length(items.count);
    progress.set_position(0);
    let mut report = Report { items: items.count, ..Report::default() };
    judge(&items, progress, &mut |finding| {
        report.count(&finding);
        tell(finding)
    })?;
    progress.finish_and_clear();
    Ok(report)
}

fn bar(what: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(&format!("{what} {{bar:40}} {{human_pos}} of {{human_len}}, {{elapsed}}"));
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Everything that is wrong with these items, which are all that there are; in the order of their keys.
pub fn check(all: &[Value]) -> Result<Vec<Finding>> {
    let mut incoming = Incoming::new()?;
    for item in all {
        incoming.add(item)?;
    }
    let mut findings = Vec::new();
    judge(&incoming.sorted()?, &ProgressBar::hidden(), &mut |finding| {
        findings.push(finding);
        Ok(())
    })?;
    findings.sort_by(|a, b| a.violations.cmp(&b.violations));
    Ok(findings)
}

/// Orders come first, because products must know what those hold.
fn judge(items: &Items, progress: &ProgressBar, tell: &mut dyn FnMut(Finding) -> Result) -> Result {
    for item in &items.unknown {
        tell(Finding::broken(vec![Violation::of(item, "is no kind of item that this table has")], UNKNOWN))?;
    }
    items.each(layout::ORDERS, |subject, group| {
        progress.inc(group.len() as u64);
        let judged = order::judge(subject, group, items.latest);
        for held in &judged.held {
            items.hold(held)?;
        }
        judged.findings.into_iter().try_for_each(&mut *tell)
    })?;
    items.all_held()?;
    items.each(layout::PRODUCTS, |subject, group| {
        progress.inc(group.len() as u64);
        product::judge(subject, group, items)?.into_iter().try_for_each(&mut *tell)
    })?;
    for id in items.missing_products()? {
        product::missing(&id, items)?.into_iter().try_for_each(&mut *tell)?;
    }
    for names in owner::all() {
        items.each(names.prefix(), |subject, group| {
            progress.inc(1);
            names.judge(subject, group, items)?.into_iter().try_for_each(&mut *tell)
        })?;
    }
    items.each(layout::USERS, |_, group| {
        progress.inc(group.len() as u64);
        owner::judge_user(group).into_iter().try_for_each(&mut *tell)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, json};

    use super::*;

    /// Items in the order of their keys, written as plain JSON.
    struct Hand(BTreeMap<String, Map<String, Value>>);

    impl Hand {
        /// A table in which everything is as it should be.
        fn sound() -> Self {
            let mut items = Self(BTreeMap::new());
            items
                .put(
                    "PRODUCT#p",
                    "PRODUCT",
                    json!({
                        "price": 250, "quantity": 5, "reserved": 3, "version": 1,
                        "gsi1pk": "PRODUCTS", "gsi1sk": "pen", "sku": "PEN-1",
                    }),
                )
                .put("PRODUCT_NAME#pen", "OWNER", json!({"product_id": "p"}))
                .put("PRODUCT_SKU#pen-1", "OWNER", json!({"product_id": "p"}))
                .put(
                    "PRODUCT#q",
                    "PRODUCT",
                    json!({"price": 0, "quantity": 0, "reserved": 0, "version": 1, "gsi1pk": "PRODUCTS", "gsi1sk": "a#b"}),
                )
                .put("PRODUCT_NAME#a#b", "OWNER", json!({"product_id": "q"}))
                .order("new", "PENDING", 500, 2)
                .put("ORDER#new", "ITEM#1", json!({"product_id": "p", "quantity": 1, "price": 300}))
                .put("ORDER#new", "ITEM#2", json!({"product_id": "p", "quantity": 2, "price": 100}))
                .order("empty", "PENDING", 0, 0)
                // Spread over two items, and a third that is not taken from any more.
                .put(
                    "PRODUCT#s",
                    "PRODUCT",
                    json!({
                        "price": 10, "quantity": 5, "reserved": 1, "version": 4, "stock_shards": 2,
                        "gsi1pk": "PRODUCTS", "gsi1sk": "set",
                    }),
                )
                .put("PRODUCT_NAME#set", "OWNER", json!({"product_id": "s"}))
                .put("PRODUCT#s", "STOCK#01", json!({"price": 10, "quantity": 6, "reserved": 0, "version": 0}))
                .put("PRODUCT#s", "STOCK#02", json!({"price": 10, "quantity": 0, "reserved": 2, "version": 3}))
                .order("spread", "CONFIRMED", 30, 2)
                .put("ORDER#spread", "HISTORY#0000000002", json!({"from": "PENDING", "to": "CONFIRMED"}))
                .put("ORDER#spread", "ITEM#1", json!({"product_id": "s", "quantity": 1, "price": 10}))
                .put("ORDER#spread", "ITEM#2", json!({"product_id": "s", "quantity": 2, "price": 10, "shard": 2}))
                // Its product is gone, and may be.
                .order("sent", "SHIPPED", 90, 1)
                .put("ORDER#sent", "ITEM#1", json!({"product_id": "gone", "quantity": 9, "price": 10}))
                .put("ORDER#sent", "HISTORY#0000000002", json!({"from": "PENDING", "to": "CONFIRMED"}))
                .put("ORDER#sent", "HISTORY#0000000010", json!({"from": "CONFIRMED", "to": "SHIPPED"}))
                .put("USER#u", "USER", json!({"email": "Ada@example.com", "username": "Ada"}))
                .put("SESSIONS#u", "SESSIONS", json!({"sessions": {"s": {"counter": {"N": "1"}}}}))
                .put("EMAIL#ada@example.com", "OWNER", json!({"user_id": "u"}))
                .put("ATTEMPTS#u", "TOTAL", json!({"attempts": 1}))
                .put("ATTEMPTS#u", "FROM#203.0.113.7", json!({"attempts": 1}))
                .put("ATTEMPTS#EMAIL#nobody@example.com", "TOTAL", json!({"attempts": 1}))
                .put("ADDRESS#203.0.113.7", "LOGINS", json!({"attempts": 1}))
                .put("ADDRESS#203.0.113.7", "REGISTRATIONS", json!({"attempts": 1}))
                .put("USERNAME#ada", "OWNER", json!({"user_id": "u"}))
                .put("IDEMPOTENCY#u#key", "IDEMPOTENCY", json!({"answer": "{}"}));
            items
        }

        fn put(&mut self, pk: &str, sk: &str, attributes: Value) -> &mut Self {
            let item = self.0.entry(format!("{pk} {sk}")).or_default();
            item.extend([("pk".to_owned(), json!({"S": pk})), ("sk".to_owned(), json!({"S": sk}))]);
            for (name, value) in attributes.as_object().unwrap() {
                let attribute = match value {
                    Value::String(text) => json!({"S": text}),
                    Value::Object(map) => json!({"M": map}),
                    number => json!({"N": number.to_string()}),
                };
                item.insert(name.clone(), attribute);
            }
            self
        }

        fn order(&mut self, id: &str, status: &str, total: i64, item_count: i64) -> &mut Self {
            self.put(
                &format!("ORDER#{id}"),
                "ORDER",
                json!({
                    "customer_id": "u", "status": status, "total": total, "item_count": item_count,
                    "gsi1pk": "CUSTOMER#u", "gsi1sk": id, "gsi2pk": format!("ORDERS#{status}#0"), "gsi2sk": id,
                }),
            )
        }

        fn without(&mut self, key: &str) -> &mut Self {
            assert!(self.0.remove(key).is_some(), "{key}");
            self
        }

        /// Sorted by key, each with how it can have come about.
        fn violations(&self) -> Vec<String> {
            let items: Vec<_> = self.0.values().cloned().map(Value::from).collect();
            let findings = check(&items).unwrap();
            let each = findings.iter().flat_map(|finding| finding.violations.iter().map(|violation| (violation, finding.cause)));
            let mut each: Vec<_> = each.collect();
            each.sort();
            let told = |(violation, cause): (&Violation, Cause)| match cause {
                Cause::Torn(_) => format!("torn {violation}"),
                Cause::Broken => format!("broken {violation}"),
                Cause::Doubtful(_) => format!("doubtful {violation}"),
            };
            each.into_iter().map(told).collect()
        }
    }

    #[test]
    fn a_sound_table_has_no_violation() {
        assert_eq!(Hand::sound().violations(), [] as [&str; 0]);
        assert_eq!(check(&[]).unwrap(), []);
    }

    type Tampering = fn(&mut Hand) -> &mut Hand;

    #[test]
    fn every_violation_is_named() {
        let cases: [(Tampering, &[&str]); 42] = [
            (
                |t| t.put("ORDER#new", "ORDER", json!({"total": 501})),
                &["torn ORDER#new ORDER: total is 501, but the lines come to 500"],
            ),
            (
                |t| t.put("ORDER#new", "ORDER", json!({"item_count": 1})),
                &["torn ORDER#new ORDER: item_count is 1, but there are 2 lines"],
            ),
            (
                |t| t.without("ORDER#new ITEM#1"),
                &[
                    "torn ORDER#new ORDER: item_count is 2, but there are 1 lines",
                    "torn ORDER#new ORDER: total is 500, but the lines come to 200",
                    "torn PRODUCT#p PRODUCT: 3 are reserved, but orders hold 2",
                ],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"reserved": 4})),
                &["torn PRODUCT#p PRODUCT: 4 are reserved, but orders hold 3"],
            ),
            (
                |t| t.put("PRODUCT#q", "PRODUCT", json!({"reserved": 1})),
                &["torn PRODUCT#q PRODUCT: 1 are reserved, but orders hold 0"],
            ),
            (
                |t| t.put("ORDER#new", "ITEM#1", json!({"product_id": "gone"})),
                &[
                    "broken ORDER#new ITEM#1: holds product \"gone\", which does not exist",
                    "torn PRODUCT#p PRODUCT: 3 are reserved, but orders hold 2",
                ],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"quantity": -1})),
                &["broken PRODUCT#p PRODUCT: quantity is {\"N\":\"-1\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"reserved": -3})),
                &["broken PRODUCT#p PRODUCT: reserved is {\"N\":\"-3\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"price": 2.5})),
                &["broken PRODUCT#p PRODUCT: price is {\"N\":\"2.5\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"price": "250"})),
                &["broken PRODUCT#p PRODUCT: price is {\"S\":\"250\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.order("empty", "PENDING", -1, 0),
                &["broken ORDER#empty ORDER: total is {\"N\":\"-1\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.order("empty", "PENDING", 0, -1),
                &["broken ORDER#empty ORDER: item_count is {\"N\":\"-1\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("ORDER#sent", "ITEM#1", json!({"price": -10})),
                &["broken ORDER#sent ITEM#1: price is {\"N\":\"-10\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("ORDER#sent", "ITEM#1", json!({"quantity": 0})).put("ORDER#sent", "ORDER", json!({"total": 0})),
                &["broken ORDER#sent ITEM#1: quantity is 0, not 1 to 10000"],
            ),
            (
                |t| {
                    t.put("ORDER#sent", "ITEM#1", json!({"quantity": 10_001})).put(
                        "ORDER#sent",
                        "ORDER",
                        json!({"total": 100_010}),
                    )
                },
                &["broken ORDER#sent ITEM#1: quantity is 10001, not 1 to 10000"],
            ),
            (
                |t| {
                    for line in 0..41 {
                        t.put("ORDER#empty", &format!("ITEM#{line}"), json!({"product_id": "q", "quantity": 1, "price": 1}));
                    }
                    t.order("empty", "PENDING", 41, 41).put("PRODUCT#q", "PRODUCT", json!({"reserved": 41}))
                },
                &["broken ORDER#empty ORDER: has 41 lines, more than 40"],
            ),
            (
                |t| t.put("PRODUCT#s", "STOCK#02", json!({"price": 11, "reserved": 1})),
                &[
                    "torn PRODUCT#s STOCK#02: 1 are reserved, but orders hold 2",
                    "torn PRODUCT#s STOCK#02: has another price than its product",
                ],
            ),
            (
                |t| t.put("PRODUCT#s", "STOCK#01", json!({"quantity": -1})),
                &["broken PRODUCT#s STOCK#01: quantity is {\"N\":\"-1\"}, and no whole number from 0 up"],
            ),
            (|t| t.without("PRODUCT#s STOCK#01"), &["torn PRODUCT#s PRODUCT: has no shard 1, but 2 shards"]),
            (|t| t.without("PRODUCT#s STOCK#02"), &["broken ORDER#spread ITEM#2: holds pieces of shard 2, which does not exist"]),
            (
                |t| t.put("PRODUCT#gone", "STOCK#01", json!({"price": 1, "quantity": 0, "reserved": 0, "version": 0})),
                &["torn PRODUCT#gone STOCK#01: belongs to a product that does not exist"],
            ),
            (|t| t.put("PRODUCT#s", "STOCK#x", json!({})), &["broken PRODUCT#s STOCK#x: is no shard from 1 up"]),
            (|t| t.without("PRODUCT_SKU#pen-1 OWNER"), &["torn PRODUCT#p PRODUCT: does not own its SKU \"pen-1\""]),
            (
                |t| t.put("PRODUCT_SKU#pen-2", "OWNER", json!({"product_id": "p"})),
                &["torn PRODUCT_SKU#pen-2 OWNER: is owned by product \"p\", whose SKU is another"],
            ),
            (|t| t.without("PRODUCT_NAME#pen OWNER"), &["torn PRODUCT#p PRODUCT: does not own its name \"pen\""]),
            (
                |t| t.put("PRODUCT_NAME#pen", "OWNER", json!({"product_id": "q"})),
                &[
                    "torn PRODUCT#p PRODUCT: does not own its name \"pen\"",
                    "torn PRODUCT_NAME#pen OWNER: is owned by product \"q\", whose name is another",
                ],
            ),
            (
                |t| t.put("PRODUCT_NAME#old", "OWNER", json!({"product_id": "p"})),
                &["torn PRODUCT_NAME#old OWNER: is owned by product \"p\", whose name is another"],
            ),
            (
                |t| t.without("PRODUCT#q PRODUCT"),
                &["torn PRODUCT_NAME#a#b OWNER: is owned by product \"q\", which does not exist"],
            ),
            (|t| t.without("EMAIL#ada@example.com OWNER"), &["torn USER#u USER: does not own its e-mail address"]),
            (|t| t.without("USERNAME#ada OWNER"), &["torn USER#u USER: does not own its username"]),
            (
                |t| t.put("EMAIL#eve@example.com", "OWNER", json!({"user_id": "u"})),
                &["broken EMAIL#eve@example.com OWNER: is owned by user \"u\", whose e-mail address is another"],
            ),
            (
                |t| t.put("USERNAME#eve", "OWNER", json!({"user_id": "gone"})),
                &["torn USERNAME#eve OWNER: is owned by user \"gone\", who does not exist"],
            ),
            (
                |t| t.without("USER#u USER"),
                &[
                    "torn EMAIL#ada@example.com OWNER: is owned by user \"u\", who does not exist",
                    "torn SESSIONS#u SESSIONS: belongs to a user who does not exist",
                    "torn USERNAME#ada OWNER: is owned by user \"u\", who does not exist",
                ],
            ),
            (
                |t| t.without("ORDER#sent ORDER"),
                &[
                    "torn ORDER#sent HISTORY#0000000002: belongs to an order that does not exist",
                    "torn ORDER#sent HISTORY#0000000010: belongs to an order that does not exist",
                    "torn ORDER#sent ITEM#1: belongs to an order that does not exist",
                ],
            ),
            (
                |t| t.put("ORDER#new", "ORDER", json!({"gsi1pk": "CUSTOMER#v", "gsi1sk": "old", "gsi2sk": "older"})),
                &[
                    "broken ORDER#new ORDER: gsi1pk is \"CUSTOMER#v\", not \"CUSTOMER#u\"",
                    "broken ORDER#new ORDER: gsi1sk is \"old\", not \"new\"",
                    "broken ORDER#new ORDER: gsi2sk is \"older\", not \"new\"",
                ],
            ),
            (
                |t| t.put("ORDER#sent", "ORDER", json!({"gsi2pk": "ORDERS#CONFIRMED#0"})),
                &["broken ORDER#sent ORDER: gsi2pk is \"ORDERS#CONFIRMED#0\", not \"ORDERS#SHIPPED#\" and a shard"],
            ),
            (
                |t| t.put("ORDER#sent", "ORDER", json!({"gsi2pk": "ORDERS#SHIPPED#x"})),
                &["broken ORDER#sent ORDER: gsi2pk is \"ORDERS#SHIPPED#x\", not \"ORDERS#SHIPPED#\" and a shard"],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"gsi1pk": "PRODUCT"})),
                &["broken PRODUCT#p PRODUCT: gsi1pk is \"PRODUCT\", not \"PRODUCTS\""],
            ),
            (
                |t| t.order("empty", "LOST", 0, 0),
                &[
                    "broken ORDER#empty ORDER: status is \"LOST\"",
                    "broken ORDER#empty ORDER: status is \"LOST\", but its history ends with \"PENDING\"",
                ],
            ),
            (
                |t| t.without("ORDER#sent HISTORY#0000000010"),
                &["torn ORDER#sent ORDER: status is \"SHIPPED\", but its history ends with \"CONFIRMED\""],
            ),
            (
                |t| t.without("ORDER#sent HISTORY#0000000002"),
                &["broken ORDER#sent HISTORY#0000000010: goes on from \"CONFIRMED\", but the order was \"PENDING\""],
            ),
            (
                |t| t.put("CART#c", "CART", json!({})).put("PRODUCT#p", "OWNER", json!({})),
                &[
                    "broken CART#c CART: is no kind of item that this table has",
                    "broken PRODUCT#p OWNER: is no kind of item that this table has",
                ],
            ),
        ];
        for (tamper, expected) in cases {
            let mut table = Hand::sound();
            tamper(&mut table);
            assert_eq!(table.violations(), expected);
        }
    }

    #[test]
    fn a_report_counts() {
        let of = |violations, torn, doubts| Report { items: 5, violations, torn, doubts }.to_string();
        assert_eq!(of(0, 0, 0), "5 items, no violation");
        assert_eq!(of(1, 0, 0), "5 items, 1 violation");
        assert_eq!(of(2, 1, 0), "5 items, 2 violations, 1 of them torn");
        assert_eq!(of(0, 0, 1), "5 items, no violation, 1 doubt");
        assert_eq!(of(0, 0, 2), "5 items, no violation, 2 doubts");
    }
}
