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
//! | `account` | whose table it is |
//! | `source` | reads a table, or an export of one |
//! | `record` | whether what idempotency records remember was made |
//! | `owner` | whether unique names belong to what has them |
//! | `order` | whether orders add up |
//! | `product` | whether stock and its movements add up |

mod account;
mod export;
mod finding;
mod items;
mod layout;
mod order;
mod owner;
mod product;
mod record;
pub mod source;

use std::collections::BTreeMap;
use std::fmt;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

pub use finding::{AsRead, Cause, Finding, Remedy, Tear, Violation, Write};
use items::{Incoming, Items};
use source::Source;

use crate::error::{Error, Result};

const UNKNOWN: &str = "nothing here writes it: find out who did, and delete it by hand";

/// What an audit has to say: a line per violation and one that counts.
#[derive(Debug, Default)]
pub struct Report {
    pub items: u64,
    pub violations: u64,
    /// How many of them half of a transaction can have left.
    pub torn: u64,
    pub doubts: u64,
    /// How many there were in what had changed when it was read again.
    pub passing: u64,
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
            0 => {}
            1 => write!(f, ", 1 doubt")?,
            many => write!(f, ", {many} doubts")?,
        }
        if self.passing > 0 {
            write!(f, ", and {} in what is being written", self.passing)?;
        }
        Ok(())
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

/// What is found at a source, and in a table, what is found there twice: what is being written between two reads looks torn, and has
/// changed by the next. What no part of a transaction leaves is found again on the same items, whatever their numbers are by then.
pub async fn look_twice(source: &Source, progress: &ProgressBar) -> Result<(Vec<Finding>, Report)> {
    let look_once = async || {
        let mut findings = Vec::new();
        let mut collect = |finding| {
            findings.push(finding);
            Ok(())
        };
        let report = look(source, progress, &mut collect).await?;
        Ok::<_, Error>((findings, report))
    };
    let (first, report) = look_once().await?;
    if first.is_empty() || matches!(source, Source::Export(_)) {
        return Ok((first, report));
    }
    let place = |finding: &Finding| finding.violations.first().map(|first| (first.pk.clone(), first.sk.clone()));
    let mut before = BTreeMap::<_, Vec<_>>::new();
    for finding in first {
        before.entry(place(&finding)).or_default().push(finding);
    }
    let (again, seen) = look_once().await?;
    let is_the_same = |one: &Finding, other: &Finding| one == other || (one.cause, other.cause) == (Cause::Broken, Cause::Broken);
    let (mut findings, mut report) = (Vec::new(), Report { items: seen.items, ..Report::default() });
    for finding in again {
        if before.get(&place(&finding)).is_some_and(|before| before.iter().any(|its| is_the_same(its, &finding))) {
            report.count(&finding);
            findings.push(finding);
        } else {
            report.passing += finding.violations.len() as u64;
        }
    }
    Ok((findings, report))
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

/// Orders and movements come first, because products must know what those hold and what these brought.
fn judge(items: &Items, progress: &ProgressBar, tell: &mut dyn FnMut(Finding) -> Result) -> Result {
    for item in &items.unknown {
        tell(Finding::broken(vec![Violation::of(item, "is no kind of item that this table has")], UNKNOWN))?;
    }
    items.each(layout::ORDERS, |_, group| {
        progress.inc(group.len() as u64);
        let (findings, held) = order::judge(group, items.latest);
        held.iter().try_for_each(|held| items.hold(held))?;
        findings.into_iter().try_for_each(&mut *tell)
    })?;
    items.all_held()?;
    items.each(layout::MOVEMENTS, |_, group| {
        progress.inc(group.len() as u64);
        product::judge_movement(group, items)?.into_iter().try_for_each(&mut *tell)
    })?;
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
    items.each(layout::USERS, |subject, group| {
        progress.inc(group.len() as u64);
        owner::judge_user(subject, group).into_iter().try_for_each(&mut *tell)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, json};

    use super::*;

    /// Attributes as DynamoDB writes them in JSON, from plain JSON.
    fn map(attributes: Value) -> Map<String, Value> {
        let Value::Object(attributes) = attributes else { panic!("{attributes} is no object") };
        let attribute = |value| match value {
            Value::String(text) => json!({"S": text}),
            Value::Object(_) => json!({"M": map(value)}),
            number => json!({"N": number.to_string()}),
        };
        attributes.into_iter().map(|(name, value)| (name, attribute(value))).collect()
    }

    /// Items in the order of their keys, written as plain JSON.
    struct Hand(BTreeMap<String, Map<String, Value>>);

    impl Hand {
        /// A table in which everything is as it should be.
        fn sound() -> Self {
            let mut items = Self(BTreeMap::new());
            items
                .product("p", "pen", 250)
                .put("PRODUCT#p", "PRODUCT", json!({"sku": "PEN-1"}))
                .put("SKU#pen-1", "OWNER", json!({"product_id": "p"}))
                .stock("p", "pen", 0, json!({"price": 250, "quantity": 5, "reserved": 3, "shipped": 1, "received": 9}))
                .put("MOVEMENTS#p", "1", json!({"amount": 12, "created_at": 1}))
                .put("MOVEMENTS#p", "2", json!({"amount": -3, "created_at": 2}))
                .product("q", "a#b", 0)
                .stock("q", "a#b", 0, json!({"price": 0, "quantity": 0, "reserved": 0, "shipped": 0, "received": 0}))
                .order("new", "PENDING", 500, 2)
                .part("new", "lines", "1", json!({"product_id": "p", "quantity": 1, "price": 300}))
                .part("new", "lines", "2", json!({"product_id": "p", "quantity": 2, "price": 100}))
                .order("empty", "PENDING", 0, 0)
                // Spread over two shards, and a third that is not sold from any more.
                .product("s", "set", 10)
                .stock("s", "set", 0, json!({"price": 10, "quantity": 5, "reserved": 1, "shipped": 0, "received": 6}))
                .put("PRODUCT#s", "STOCK#00", json!({"stock_shards": 2, "shards": 3}))
                .stock("s", "set", 1, json!({"price": 10, "quantity": 6, "reserved": 0, "shipped": 0, "received": 6}))
                .stock("s", "set", 2, json!({"price": 10, "quantity": 0, "reserved": 2, "shipped": 0, "received": 2}))
                .put("MOVEMENTS#s", "1", json!({"amount": 14, "created_at": 1}))
                .order("spread", "CONFIRMED", 30, 2)
                .part("spread", "history", "2", json!({"from": "PENDING", "to": "CONFIRMED"}))
                .part("spread", "lines", "1", json!({"product_id": "s", "quantity": 1, "price": 10}))
                .part("spread", "lines", "2", json!({"product_id": "s", "quantity": 2, "price": 10, "shard": 2}))
                // Its product is gone, and may be; what moved it is kept.
                .order("sent", "SHIPPED", 90, 1)
                .part("sent", "lines", "1", json!({"product_id": "gone", "quantity": 9, "price": 10}))
                .part("sent", "history", "2", json!({"from": "PENDING", "to": "CONFIRMED"}))
                .part("sent", "history", "10", json!({"from": "CONFIRMED", "to": "SHIPPED"}))
                .put("MOVEMENTS#gone", "1", json!({"amount": 20, "created_at": 1}))
                .put("USER#u", "USER", json!({"email": "Ada@example.com", "username": "Ada"}))
                .put("PASSWORD#u", "PASSWORD", json!({"password": "$argon2id$"}))
                .put("SESSIONS#u", "SESSIONS", json!({"sessions": {"s": {"counter": 1}}}))
                .put("EMAIL#ada@example.com", "OWNER", json!({"user_id": "u"}))
                .put("ATTEMPTS#u", "TOTAL", json!({"attempts": 1}))
                .put("ATTEMPTS#u", "FROM#203.0.113.7", json!({"attempts": 1}))
                .put("ATTEMPTS#EMAIL#nobody@example.com", "TOTAL", json!({"attempts": 1}))
                .put("ADDRESS#203.0.113.7", "LOGINS", json!({"attempts": 1}))
                .put("ADDRESS#203.0.113.7", "REGISTRATIONS", json!({"attempts": 1}))
                .put("USERNAME#ada", "OWNER", json!({"user_id": "u"}))
                .put("IDEMPOTENCY#u#customer#key", "IDEMPOTENCY", json!({"expires_at": 1}));
            items
        }

        /// Adds an item, or attributes to one.
        fn put(&mut self, pk: &str, sk: &str, attributes: Value) -> &mut Self {
            let item = self.0.entry(format!("{pk} {sk}")).or_default();
            item.extend([("pk".to_owned(), json!({"S": pk})), ("sk".to_owned(), json!({"S": sk}))]);
            item.extend(map(attributes));
            self
        }

        fn product(&mut self, id: &str, name: &str, price: i64) -> &mut Self {
            let row = json!({"price": price, "version": 1, "gsi1pk": "PRODUCTS", "gsi1sk": name});
            self.put(&format!("PRODUCT#{id}"), "PRODUCT", row).put(
                &format!("PRODUCT_NAME#{name}"),
                "OWNER",
                json!({"product_id": id}),
            )
        }

        fn stock(&mut self, id: &str, name: &str, shard: u64, mut row: Value) -> &mut Self {
            row["gsi1pk"] = "STOCK".into();
            row["gsi1sk"] = format!("{name}\t{shard:02}").into();
            row["version"] = 1.into();
            self.put(&format!("PRODUCT#{id}"), &format!("STOCK#{shard:02}"), row)
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

        /// Adds a line or an entry of its history to an order, or attributes to one.
        fn part(&mut self, order: &str, name: &str, id: &str, attributes: Value) -> &mut Self {
            let item = self.0.get_mut(&format!("ORDER#{order} ORDER")).unwrap();
            let part = &mut item.entry(name).or_insert_with(|| json!({"M": {}}))["M"][id]["M"];
            let mut before = part.as_object().cloned().unwrap_or_default();
            before.extend(map(attributes));
            *part = before.into();
            self
        }

        fn without_part(&mut self, order: &str, name: &str, id: &str) -> &mut Self {
            let item = self.0.get_mut(&format!("ORDER#{order} ORDER")).unwrap();
            assert!(item[name]["M"].as_object_mut().unwrap().remove(id).is_some(), "{id}");
            self
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
        let cases: [(Tampering, &[&str]); 54] = [
            (
                |t| t.put("ORDER#new", "ORDER", json!({"total": 501})),
                &["broken ORDER#new ORDER: total is 501, but the lines come to 500"],
            ),
            (
                |t| t.put("ORDER#new", "ORDER", json!({"item_count": 1})),
                &["broken ORDER#new ORDER: item_count is 1, but there are 2 lines"],
            ),
            (
                |t| t.without_part("new", "lines", "1"),
                &[
                    "broken ORDER#new ORDER: item_count is 2, but there are 1 lines",
                    "broken ORDER#new ORDER: total is 500, but the lines come to 200",
                    "torn PRODUCT#p STOCK#00: 3 are reserved, but orders hold 2",
                ],
            ),
            (|t| t.without("ORDER#new ORDER"), &["torn PRODUCT#p STOCK#00: 3 are reserved, but orders hold 0"]),
            (
                |t| t.put("PRODUCT#p", "STOCK#00", json!({"reserved": 4, "quantity": 4})),
                &["torn PRODUCT#p STOCK#00: 4 are reserved, but orders hold 3"],
            ),
            (
                |t| t.put("PRODUCT#p", "STOCK#00", json!({"reserved": 2})),
                &[
                    "broken PRODUCT#p STOCK#00: 2 are reserved, but orders hold 3",
                    "broken PRODUCT#p STOCK#00: received is 9, but quantity, reserved and shipped come to 8",
                ],
            ),
            (
                |t| t.put("PRODUCT#p", "STOCK#00", json!({"shipped": 0})),
                &["broken PRODUCT#p STOCK#00: received is 9, but quantity, reserved and shipped come to 8"],
            ),
            (
                |t| t.put("PRODUCT#p", "STOCK#00", json!({"quantity": 6, "received": 10})),
                &["torn PRODUCT#p PRODUCT: its shards received 10, but its movements come to 9"],
            ),
            (|t| t.without("MOVEMENTS#p 2"), &["torn PRODUCT#p PRODUCT: its shards received 9, but its movements come to 12"]),
            (
                |t| t.put("MOVEMENTS#p", "3", json!({"amount": 0})),
                &["broken MOVEMENTS#p 3: amount is {\"N\":\"0\"}, and no number of pieces that can be moved"],
            ),
            (
                |t| t.part("new", "lines", "1", json!({"product_id": "gone"})),
                &[
                    "broken ORDER#new ORDER lines.1: holds product \"gone\", which does not exist",
                    "torn PRODUCT#p STOCK#00: 3 are reserved, but orders hold 2",
                ],
            ),
            (
                |t| t.put("PRODUCT#p", "STOCK#00", json!({"quantity": -1})),
                &["broken PRODUCT#p STOCK#00: quantity is {\"N\":\"-1\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("PRODUCT#p", "STOCK#00", json!({"reserved": -3})),
                &["broken PRODUCT#p STOCK#00: reserved is {\"N\":\"-3\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("PRODUCT#p", "PRODUCT", json!({"price": 2.5})),
                &["broken PRODUCT#p PRODUCT: price is {\"N\":\"2.5\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.put("PRODUCT#p", "STOCK#00", json!({"price": "250"})),
                &["broken PRODUCT#p STOCK#00: price is {\"S\":\"250\"}, and no whole number from 0 up"],
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
                |t| t.part("sent", "lines", "1", json!({"price": -10})),
                &["broken ORDER#sent ORDER lines.1: price is {\"N\":\"-10\"}, and no whole number from 0 up"],
            ),
            (
                |t| t.part("sent", "lines", "1", json!({"quantity": 0})).order("sent", "SHIPPED", 0, 1),
                &["broken ORDER#sent ORDER lines.1: quantity is 0, not 1 to 10000"],
            ),
            (
                |t| t.part("sent", "lines", "1", json!({"quantity": 10_001})).order("sent", "SHIPPED", 100_010, 1),
                &["broken ORDER#sent ORDER lines.1: quantity is 10001, not 1 to 10000"],
            ),
            (
                |t| {
                    for line in 0..41 {
                        t.part("sent", "lines", &format!("a{line}"), json!({"product_id": "gone", "quantity": 1, "price": 1}));
                    }
                    t.order("sent", "SHIPPED", 131, 42)
                },
                &["broken ORDER#sent ORDER: has 42 lines, more than 40"],
            ),
            (
                |t| t.put("PRODUCT#s", "STOCK#02", json!({"price": 11, "reserved": 1, "quantity": 1})),
                &[
                    "torn PRODUCT#s STOCK#02: 1 are reserved, but orders hold 2",
                    "torn PRODUCT#s STOCK#02: has another price than its product",
                ],
            ),
            (
                |t| t.put("PRODUCT#s", "STOCK#02", json!({"gsi1sk": "set\t01"})),
                &["torn PRODUCT#s STOCK#02: has another name than its product"],
            ),
            (
                |t| t.put("PRODUCT#s", "STOCK#01", json!({"gsi1pk": "STOCKS"})),
                &["broken PRODUCT#s STOCK#01: gsi1pk is \"STOCKS\", not \"STOCK\""],
            ),
            (|t| t.without("PRODUCT#p STOCK#00"), &["broken PRODUCT#p PRODUCT: has no shard 0"]),
            (|t| t.without("PRODUCT#q STOCK#00"), &["torn PRODUCT#q PRODUCT: has no shard 0"]),
            (|t| t.without("PRODUCT#s STOCK#01"), &["torn PRODUCT#s PRODUCT: has no shard 1 of 3"]),
            (
                |t| t.put("PRODUCT#s", "STOCK#00", json!({"shards": 2})),
                &["torn PRODUCT#s STOCK#00: says that shards are 2, but there is shard 2"],
            ),
            (
                |t| t.part("spread", "lines", "2", json!({"shard": 7})),
                &[
                    "broken ORDER#spread ORDER lines.2: holds pieces of shard 7, which does not exist",
                    "torn PRODUCT#s STOCK#02: 2 are reserved, but orders hold 0",
                ],
            ),
            (
                |t| t.stock("gone", "gone", 1, json!({"price": 1, "quantity": 0, "reserved": 0, "shipped": 0, "received": 0})),
                &["torn PRODUCT#gone STOCK#01: belongs to a product that does not exist"],
            ),
            (|t| t.put("PRODUCT#s", "STOCK#3", json!({})), &["broken PRODUCT#s STOCK#3: is no shard that there can be"]),
            (|t| t.without("SKU#pen-1 OWNER"), &["torn PRODUCT#p PRODUCT: does not own its SKU \"pen-1\""]),
            (
                |t| t.put("SKU#pen-2", "OWNER", json!({"product_id": "p"})),
                &["torn SKU#pen-2 OWNER: is owned by product \"p\", whose SKU is another"],
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
                &[
                    "torn PRODUCT#q STOCK#00: belongs to a product that does not exist",
                    "torn PRODUCT_NAME#a#b OWNER: is owned by product \"q\", which does not exist",
                ],
            ),
            (|t| t.without("EMAIL#ada@example.com OWNER"), &["torn USER#u USER: does not own its e-mail address"]),
            (|t| t.without("USERNAME#ada OWNER"), &["torn USER#u USER: does not own its username"]),
            (|t| t.without("PASSWORD#u PASSWORD"), &["torn USER#u USER: has no password"]),
            (
                |t| {
                    t.put("USER#u", "USER", json!({"role": "admin"}));
                    t.0.get_mut("USER#u USER").unwrap().insert("is_active".into(), json!({"BOOL": true}));
                    t
                },
                &["torn USER#u USER: is an active admin, and not in the set of those"],
            ),
            (
                |t| {
                    t.put("ADMINS", "ADMINS", json!({}));
                    t.0.get_mut("ADMINS ADMINS").unwrap().insert("admins".into(), json!({"SS": ["u"]}));
                    t
                },
                &["torn ADMINS ADMINS: lists a user who is no active admin"],
            ),
            (|t| t.put("PASSWORD#v", "PASSWORD", json!({})), &["torn PASSWORD#v PASSWORD: belongs to a user who does not exist"]),
            (
                |t| t.put("EMAIL#eve@example.com", "OWNER", json!({"user_id": "u"})),
                &["torn EMAIL#eve@example.com OWNER: is owned by user \"u\", whose e-mail address is another"],
            ),
            (
                |t| t.put("USERNAME#eve", "OWNER", json!({"user_id": "gone"})),
                &["torn USERNAME#eve OWNER: is owned by user \"gone\", who does not exist"],
            ),
            (
                |t| t.without("USER#u USER"),
                &[
                    "torn EMAIL#ada@example.com OWNER: is owned by user \"u\", who does not exist",
                    "torn PASSWORD#u PASSWORD: belongs to a user who does not exist",
                    "torn SESSIONS#u SESSIONS: belongs to a user who does not exist",
                    "torn USERNAME#ada OWNER: is owned by user \"u\", who does not exist",
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
                |t| t.without_part("sent", "history", "10"),
                &["broken ORDER#sent ORDER: status is \"SHIPPED\", but its history ends with \"CONFIRMED\""],
            ),
            (
                |t| t.without_part("sent", "history", "2"),
                &["broken ORDER#sent ORDER history.10: goes on from \"CONFIRMED\", but the order was \"PENDING\""],
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
        let of = |violations, torn, doubts| Report { items: 5, violations, torn, doubts, passing: 0 }.to_string();
        assert_eq!(of(0, 0, 0), "5 items, no violation");
        assert_eq!(of(1, 0, 0), "5 items, 1 violation");
        assert_eq!(of(2, 1, 0), "5 items, 2 violations, 1 of them torn");
        assert_eq!(of(0, 0, 1), "5 items, no violation, 1 doubt");
        assert_eq!(of(0, 0, 2), "5 items, no violation, 2 doubts");
        let passing = Report { items: 5, doubts: 1, passing: 3, ..Report::default() };
        assert_eq!(passing.to_string(), "5 items, no violation, 1 doubt, and 3 in what is being written");
    }
}
