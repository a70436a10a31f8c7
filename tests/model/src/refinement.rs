//! Recorded histories against the model: what the code has written, the model allows.
//!
//! A history is every committed write of a real run in the order in which it was committed. Each is held against the transaction that the
//! model makes of the same request in the state before: its conditions must hold there, and it must lead to what was recorded.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    invariants,
    table::{
        Field::{
            Amount, ItemCount, LinePrice, LineProduct, LineQuantity, LineShard, Price, Quantity, Received, Reserved, Shards,
            Shipped, Status, StockShards, Total, Version,
        },
        Item, Key, Table, Transaction,
    },
    transactions::{self, Line, ProductChange, Source, StockEffect, demand, lines},
};

/// One item of a transaction before and after it, as a stream's record has it.
#[derive(Clone, Debug)]
pub struct Record {
    pub pk: String,
    pub sk: String,
    pub old: Option<Value>,
    pub new: Option<Value>,
}

/// The records of one transaction.
pub type Commit = Vec<Record>;

/// Why a history is none that the model allows: which of its commits, and what is wrong with it.
#[derive(Debug)]
pub struct Refused {
    pub at: usize,
    pub why: String,
}

/// How many transactions of each kind there were.
pub type Counts = BTreeMap<&'static str, usize>;

/// Carries a history out in the model.
///
/// # Errors
///
/// The first commit that the model does not allow, or after which one of I1 to I4 does not hold.
pub fn replay(history: &[Commit]) -> Result<Counts, Refused> {
    let (mut table, mut ids, mut counts) = (Table::default(), Ids::default(), Counts::new());
    for (at, commit) in history.iter().enumerate() {
        let refused = |why: String| Refused { at, why: format!("{why}: {commit:#?}") };
        let items = ids.items_of(commit).map_err(&refused)?;
        let mut recorded = table.clone();
        for Changed { key, old, new } in &items {
            if table.find(*key) != old.as_ref() {
                return Err(refused(format!("{key:?} was not so before")));
            }
            match new {
                Some(item) => recorded.put(*key, item.clone()),
                None => recorded.delete(*key),
            }
        }
        let written: Vec<_> = items.into_iter().filter(|item| item.old != item.new).collect();
        if written.is_empty() {
            continue;
        }
        let candidates = asked(&table, &written);
        let leads_there = |(_, transaction): &&(&str, Transaction)| table.after(transaction).is_ok_and(|after| after == recorded);
        let Some((kind, _)) = candidates.iter().find(leads_there) else {
            let outcomes: Vec<_> = candidates
                .iter()
                .map(|(kind, transaction)| match table.after(transaction) {
                    Ok(_) => format!("{kind} comes to something else"),
                    Err(failed) => {
                        let unmet = failed.iter().map(|at| &transaction.writes[*at]);
                        format!("{kind} needs {:?}", unmet.collect::<Vec<_>>())
                    }
                })
                .collect();
            return Err(refused(format!("the model has no such step: {}", outcomes.join("; "))));
        };
        if let Some(invariant) = invariants::violated(&recorded) {
            return Err(refused(format!("{kind}: {invariant}")));
        }
        *counts.entry(kind).or_default() += 1;
        table = recorded;
    }
    Ok(counts)
}

/// An item of the model before and after.
struct Changed {
    key: Key,
    old: Option<Item>,
    new: Option<Item>,
}

/// A history's ids as numbers.
#[derive(Default)]
struct Ids(BTreeMap<String, u16>);

impl Ids {
    fn number(&mut self, id: &str) -> u16 {
        let next = u16::try_from(self.0.len()).expect("a history of fewer ids");
        *self.0.entry(id.to_owned()).or_insert(next)
    }

    /// The items of a commit that the model knows.
    fn items_of(&mut self, commit: &Commit) -> Result<Vec<Changed>, String> {
        let mut items = Vec::new();
        for record in commit {
            let Some(key) = self.key(&record.pk, &record.sk) else { continue };
            let mut image = |image: &Option<Value>| image.as_ref().map(|image| self.item(key, image)).transpose();
            let (old, new) = (image(&record.old)?, image(&record.new)?);
            // A record that has expired may be replaced; the model knows no time.
            if !matches!(key, Key::Record(_)) || old.is_none() {
                items.push(Changed { key, old, new });
            }
        }
        Ok(items)
    }

    fn key(&mut self, pk: &str, sk: &str) -> Option<Key> {
        let (kind, id) = pk.split_once('#')?;
        let mut number = || self.number(id);
        Some(match (kind, sk.split_once('#')) {
            ("PRODUCT", None) => Key::Product(number()),
            ("PRODUCT", Some(("STOCK", shard))) => Key::Stock(number(), shard.parse().ok()?),
            ("MOVEMENTS", _) => Key::Movement(number(), self.number(sk)),
            ("ORDER", _) => Key::Order(number()),
            ("IDEMPOTENCY", _) => Key::Record(number()),
            _ => return None,
        })
    }

    /// An item's attributes that the model knows.
    fn item(&mut self, key: Key, image: &Value) -> Result<Item, String> {
        let number = |name: &str| {
            let text = image[name]["N"].as_str().ok_or_else(|| format!("no {name} in {image}"))?;
            text.parse::<i32>().map_err(|error| format!("{name} in {image}: {error}"))
        };
        let fields = |named: &[(crate::table::Field, &str)]| {
            named.iter().map(|(field, name)| Ok((*field, number(name)?))).collect::<Result<Vec<_>, String>>()
        };
        Ok(match key {
            Key::Product(_) => Item::of(fields(&[(Price, "price"), (Version, "version")])?),
            Key::Stock(..) => {
                let mut item = Item::of(fields(&[
                    (Price, "price"),
                    (Quantity, "quantity"),
                    (Reserved, "reserved"),
                    (Shipped, "shipped"),
                    (Received, "received"),
                ])?);
                for (field, name) in [(StockShards, "stock_shards"), (Shards, "shards")] {
                    if image.get(name).is_some() {
                        item.set(field, number(name)?);
                    }
                }
                item
            }
            Key::Movement(..) => Item::of([(Amount, number("amount")?)]),
            Key::Record(_) => Item::of([(Version, 1)]),
            Key::Order(_) => {
                let mut item = Item::of(fields(&[(Total, "total"), (ItemCount, "item_count"), (Version, "version")])?);
                let status = image["status"]["S"].as_str().unwrap_or_default();
                let statuses = ["PENDING", "CONFIRMED", "SHIPPED", "DELIVERED", "CANCELLED"];
                let status = statuses.iter().position(|its| *its == status).ok_or_else(|| format!("a status in {image}"))?;
                item.set(Status, i32::try_from(status).expect("one of five"));
                for (id, line) in image["lines"]["M"].as_object().into_iter().flatten() {
                    let line = &line["M"];
                    let number = |name: &str| line[name]["N"].as_str().and_then(|text| text.parse::<i32>().ok());
                    let missing = || format!("a number in {line}");
                    let product = self.number(line["product_id"]["S"].as_str().ok_or_else(missing)?);
                    let id = self.number(id);
                    item.set(LineProduct(id), product.into());
                    item.set(LineShard(id), number("shard").unwrap_or_default());
                    item.set(LineQuantity(id), number("quantity").ok_or_else(missing)?);
                    item.set(LinePrice(id), number("price").ok_or_else(missing)?);
                }
                item
            }
        })
    }
}

/// The model's transactions for what may have been asked for, as far as what was written shows it; none if that is nothing that can be
/// asked for.
fn asked(before: &Table, written: &[Changed]) -> Vec<(&'static str, Transaction)> {
    let record = written.iter().find_map(|item| if let Key::Record(key) = item.key { Some(key) } else { None });
    let movement = written.iter().find_map(|item| match (item.key, &item.new) {
        (Key::Movement(product, id), Some(row)) => Some((product, id, row.get(Amount))),
        _ => None,
    });
    for Changed { key, old, new } in written {
        match key {
            Key::Order(order) => return of_order(before, written, *order, old.as_ref(), new.as_ref(), record),
            Key::Product(product) => {
                return of_product(before, written, *product, old.as_ref(), new.as_ref(), record, movement);
            }
            _ => {}
        }
    }
    if let Some((product, id, amount)) = movement {
        let shares: Vec<_> = stock_of(written, product).map(|(shard, old, new)| (shard, more(old, new, Quantity))).collect();
        return vec![
            ("movement", transactions::move_alone(product, amount, id, record, None)),
            ("movement", transactions::move_spread(product, &shares, id, record, None)),
            ("count", count(before, product, amount, id)),
        ];
    }
    // Nothing but stock: pieces that move to one shard, or a count that finds as many as there are.
    let Some(Changed { key: Key::Stock(product, _), .. }) = written.first() else { return Vec::new() };
    let into = stock_of(written, *product).find(|(_, old, new)| more(*old, *new, Quantity) > 0).map_or(0, |(shard, ..)| shard);
    vec![
        ("gather", transactions::consolidate(*product, into, &taken_from(written, *product, into), None)),
        ("count", count(before, *product, 0, 0)),
    ]
}

fn count(before: &Table, product: u16, amount: i32, movement: u16) -> Transaction {
    let quantity = Some(before.on_shelf(product) + amount);
    change(before, product, ProductChange { quantity, ..ProductChange::default() }, movement)
}

fn change(before: &Table, product: u16, change: ProductChange, movement: u16) -> Transaction {
    let shards: Vec<_> = before.shards(product).map(|(_, shard)| shard.clone()).collect();
    let row = before.find(Key::Product(product)).cloned().unwrap_or_default();
    transactions::change_product(product, &row, &shards, change, movement, None)
}

/// The shards of a product that were written, before and after.
fn stock_of(written: &[Changed], product: u16) -> impl Iterator<Item = (u8, Option<&Item>, Option<&Item>)> {
    written.iter().filter_map(move |item| match item.key {
        Key::Stock(its, shard) if its == product => Some((shard, item.old.as_ref(), item.new.as_ref())),
        _ => None,
    })
}

fn more(old: Option<&Item>, new: Option<&Item>, field: crate::table::Field) -> i32 {
    let number = |item: Option<&Item>| item.map_or(0, |item| item.get(field));
    number(new) - number(old)
}

/// What came to a shard from others.
fn taken_from(written: &[Changed], product: u16, into: u8) -> Vec<(u8, i32)> {
    let others = stock_of(written, product).filter(|(shard, ..)| *shard != into);
    others.map(|(shard, old, new)| (shard, -more(old, new, Quantity))).collect()
}

fn of_order(
    before: &Table,
    written: &[Changed],
    order: u16,
    old: Option<&Item>,
    new: Option<&Item>,
    record: Option<u16>,
) -> Vec<(&'static str, Transaction)> {
    let source = |line: &Line| Source { shard: line.shard, moved: taken_from(written, line.product, line.shard) };
    let (old, new) = match (old, new) {
        (None, Some(new)) => {
            let lines = lines(new);
            let sources: Vec<_> = lines.iter().map(|line| (line.product, source(line))).collect();
            return vec![("order placed", transactions::place(order, &lines, &sources, record, None))];
        }
        (Some(old), None) => return vec![("order deleted", transactions::delete_order(order, old, None))],
        (Some(old), Some(new)) => (old, new),
        (None, None) => return Vec::new(),
    };
    let (were, are) = (lines(old), lines(new));
    if let Some(line) = are.iter().find(|line| were.iter().all(|before| before.id != line.id)) {
        return vec![("line added", transactions::add_line(order, *line, &source(line), record, None))];
    }
    if let Some(line) = were.iter().find(|line| are.iter().all(|after| after.id != line.id)) {
        return vec![("line removed", transactions::remove_line(order, *line))];
    }
    if let Some((line, after)) = were.iter().zip(&are).find(|(line, after)| line.quantity != after.quantity) {
        let moved = if after.quantity > line.quantity { source(line).moved } else { Vec::new() };
        return vec![("line changed", transactions::change_line(order, *line, after.quantity, moved, None))];
    }
    let (from, to) = (old.get(Status), new.get(Status));
    if from == to {
        return vec![("metadata", transactions::step(order, old, None, &[], StockEffect::None, None))];
    }
    let step = |restock: bool| {
        let effect = transactions::effect(from, to, restock)?;
        let mut demand = demand(&were);
        if effect == StockEffect::Restocked {
            demand.retain(|((product, _), _)| before.find(Key::Stock(*product, 0)).is_some());
        }
        Some(("step", transactions::step(order, old, Some(to), &demand, effect, None)))
    };
    [false, true].into_iter().filter_map(step).collect()
}

fn of_product(
    before: &Table,
    written: &[Changed],
    product: u16,
    old: Option<&Item>,
    new: Option<&Item>,
    record: Option<u16>,
    movement: Option<(u16, u16, i32)>,
) -> Vec<(&'static str, Transaction)> {
    let (_, id, amount) = movement.unwrap_or_default();
    match (old, new) {
        (None, Some(new)) => {
            let made = i32::try_from(stock_of(written, product).count()).expect("few shards");
            let created = transactions::create_product(product, new.get(Price), amount, made, id);
            vec![("product created", transactions::with_record(created, record))]
        }
        (Some(old), None) => {
            let shards: Vec<_> = before.shards(product).map(|(_, shard)| shard.clone()).collect();
            vec![("product deleted", transactions::delete_product(product, old, &shards, None))]
        }
        (Some(old), Some(new)) => {
            let price = (old.get(Price) != new.get(Price)).then(|| new.get(Price));
            let first = stock_of(written, product).find(|(shard, ..)| *shard == 0).and_then(|(_, _, new)| new);
            let sold_from = first.or(before.find(Key::Stock(product, 0))).and_then(|first| first.find(StockShards)).unwrap_or(1);
            let counted = before.on_shelf(product) + amount;
            let asked = ProductChange { text: true, price, quantity: None, stock_shards: None };
            let mut candidates = vec![("product changed", change(before, product, asked, id))];
            let to_shards = ProductChange { stock_shards: Some(sold_from), ..asked };
            let resharded = as_read(before, written, product, sold_from).into_iter();
            candidates.extend(resharded.map(|shards| {
                let row = before.find(Key::Product(product)).cloned().unwrap_or_default();
                ("shards changed", transactions::change_product(product, &row, &shards, to_shards, id, None))
            }));
            for stock_shards in [None, Some(sold_from)] {
                let asked = ProductChange { quantity: Some(counted), stock_shards, ..asked };
                candidates.push(("product changed", change(before, product, asked, id)));
            }
            candidates
        }
        (None, None) => Vec::new(),
    }
}

/// What may have been read of a product's shards by whoever spread its pieces so. Others have sold some since: pieces move by differences,
/// wherever they are still there.
fn as_read(before: &Table, written: &[Changed], product: u16, sold_from: i32) -> Vec<Vec<Item>> {
    let came = |shard: u8| {
        let its = stock_of(written, product).find(|(number, ..)| *number == shard);
        its.map_or(0, |(_, old, new)| more(old, new, Quantity))
    };
    let read = |pieces: i32| {
        let shards = before.shards(product).map(|(number, shard)| {
            let mut shard = shard.clone();
            shard.set(Quantity, transactions::share(sold_from, pieces, number) - came(number));
            shard
        });
        shards.collect::<Vec<_>>()
    };
    let is_one = |pieces: i32, shards: &[Item]| {
        let quantities = shards.iter().map(|shard| shard.get(Quantity));
        quantities.clone().all(|quantity| quantity >= 0) && quantities.sum::<i32>() == pieces
    };
    let received: i32 = before.shards(product).map(|(_, shard)| shard.get(Received)).sum();
    // No more than there have ever been, give or take what a torn read shows twice.
    (0..=2 * received + 10)
        .map(|pieces| (pieces, read(pieces)))
        .filter(|(pieces, read)| is_one(*pieces, read))
        .map(|(_, read)| read)
        .collect()
}
