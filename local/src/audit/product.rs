//! A product with the shards of its stock: I2, I3, and all of them agree with the product and with each other.

use std::collections::BTreeMap;

use shared::domain::Amount;
use shared::store::schema;

use super::finding::{Finding, Remedy, Tear, Violation, Write};
use super::items::{Evidence, Items};
use super::layout::{self, Item, Kind};
use super::order::{expect_number, expect_text};
use super::record;
use crate::error::Result;

const BY_HAND: &str = "no write leaves this: count what is on the shelf, and write by hand what it should be";

/// A movement with the records of requests that made it. What it moved is kept for its product.
pub fn judge_movement(group: &[Item], items: &Items) -> Result<Vec<Finding>> {
    let mut findings = record::without_effect(group, items.latest);
    for movement in group.iter().filter(|item| item.kind() == Some(Kind::Movement)) {
        let amount = movement.attributes["amount"]["N"].as_str().and_then(|amount| amount.parse::<i64>().ok());
        let amount = amount.filter(|amount| (1..=Amount::MAX).contains(&amount.unsigned_abs()));
        if amount.is_none() {
            let what = format!("amount is {}, and no number of pieces that can be moved", movement.attributes["amount"]);
            findings.push(Finding::broken(vec![Violation::of(movement, what)], BY_HAND));
        }
        items.carry(movement.id(), amount)?;
    }
    Ok(findings)
}

/// Where the pieces of a shard are; together they are what it has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pieces {
    quantity: i128,
    reserved: i128,
    shipped: i128,
}

impl Pieces {
    fn received(self) -> i128 {
        self.quantity + self.reserved + self.shipped
    }
}

/// A shard whose numbers can be read.
struct Shard<'i> {
    number: u64,
    item: &'i Item,
    pieces: Pieces,
    received: i128,
    version: u64,
}

impl<'i> Shard<'i> {
    fn read(number: u64, item: &'i Item) -> Option<Self> {
        let read = |name| item.number(name).map(i128::from);
        let pieces = Pieces { quantity: read("quantity")?, reserved: read("reserved")?, shipped: read("shipped")? };
        Some(Self { number, item, pieces, received: read("received")?, version: item.number("version")? })
    }
}

/// The items of one product.
pub fn judge(subject: &str, group: &[Item], items: &Items) -> Result<Vec<Finding>> {
    let id = &subject[layout::PRODUCTS.len()..];
    let mut findings = record::without_effect(group, items.latest);
    let mut stock = BTreeMap::new();
    for item in group {
        match item.kind() {
            Some(Kind::Stock(Some(number))) => {
                stock.insert(number, item);
            }
            Some(Kind::Stock(None)) => {
                findings.push(Finding::broken(vec![Violation::of(item, "is no shard that there can be")], BY_HAND));
            }
            _ => {}
        }
    }
    let held = items.held(id)?;
    let Some(product) = group.iter().find(|item| item.kind() == Some(Kind::Product)) else {
        findings.extend(stock.values().map(|shard| without_product(shard, !held.is_empty())));
        return Ok(findings);
    };
    let Some(first) = stock.get(&0) else {
        findings.push(without_stock(product, !held.is_empty()));
        return Ok(findings);
    };

    let mut wrong = Vec::new();
    expect_text(&mut wrong, product, "gsi1pk", schema::CATALOGUE.prefix());
    for name in ["price", "version"] {
        expect_number(&mut wrong, product, name);
    }
    let mut shards = Vec::new();
    for (number, item) in &stock {
        shards.extend(add_up(&mut wrong, *number, item, held.get(number).copied().unwrap_or_default()));
    }
    let sound = wrong.is_empty();
    findings.extend(wrong.into_iter().map(|violation| Finding::broken(vec![violation], BY_HAND)));

    for shard in &shards {
        let held = held.get(&shard.number).copied().unwrap_or_default();
        if shard.pieces.reserved != i128::from(held) {
            let evidence = items.evidence(id, shard.number, shard.item.number("updated_at").unwrap_or_default())?;
            findings.push(reserved(shard, &shards, held.into(), evidence));
        }
    }
    findings.extend(stock.iter().filter_map(|(number, shard)| unlike_product(product, *number, shard)));

    let said = first.number("shards").unwrap_or(1).min(layout::MAX_SHARDS);
    let count = said.max(stock.last_key_value().map_or(0, |(last, _)| last + 1));
    if said < count {
        findings.push(uncounted(first, said, count));
    }
    for shard in held.keys().filter(|shard| **shard >= count) {
        let what = format!("holds pieces of shard {shard}, which does not exist");
        findings.extend(items.lines_of(id, *shard)?.into_iter().map(|(pk, sk)| {
            let violation = Violation { pk, sk, what: what.clone() };
            Finding::broken(vec![violation], BY_HAND)
        }));
    }

    // What cannot be summed has been named above.
    let moved = items.moved(id)?.filter(|_| sound).map(i128::from);
    let missing: Vec<_> = (0..count).filter(|number| !stock.contains_key(number)).collect();
    if !missing.is_empty() {
        let there = |number| {
            let shipped = items.evidence(id, number, 0)?.gone;
            Ok((number, Pieces { quantity: 0, reserved: held.get(&number).copied().unwrap_or_default().into(), shipped }))
        };
        let lost = missing.into_iter().map(there).collect::<Result<_>>()?;
        findings.push(without_shards(product, &shards, lost, count, moved));
    } else if let Some(moved) = moved {
        findings.extend(unlike_movements(product, &shards, moved));
    }
    Ok(findings)
}

/// Lines of orders that hold a product which does not exist.
pub fn missing(id: &str, items: &Items) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for shard in items.held(id)?.keys() {
        let lines = items.lines_of(id, *shard)?;
        let what = format!("holds product {id:?}, which does not exist");
        findings.extend(lines.into_iter().map(|(pk, sk)| {
            let violation = Violation { pk, sk, what: what.clone() };
            Finding::broken(
                vec![violation],
                "no product is deleted while orders hold it: cancel the order, or make the product again under its id",
            )
        }));
    }
    Ok(findings)
}

/// What one shard says of itself. No transaction writes a part of an item: one whose numbers contradict each other is judged no
/// further, and only others are given back.
fn add_up<'i>(wrong: &mut Vec<Violation>, number: u64, item: &'i Item, held: u64) -> Option<Shard<'i>> {
    expect_text(wrong, item, "gsi1pk", schema::STOCKS.prefix());
    for name in ["price", "quantity", "reserved", "shipped", "received", "version"] {
        expect_number(wrong, item, name);
    }
    for name in ["stock_shards", "shards"].into_iter().filter(|name| item.has(name)) {
        expect_number(wrong, item, name);
    }
    let shard = Shard::read(number, item)?;
    let (received, come_to) = (shard.received, shard.pieces.received());
    if received == come_to {
        return Some(shard);
    }
    wrong.push(Violation::of(item, format!("received is {received}, but quantity, reserved and shipped come to {come_to}")));
    if shard.pieces.reserved != i128::from(held) {
        wrong.push(not_what_orders_hold(&shard, held.into()));
    }
    None
}

fn not_what_orders_hold(shard: &Shard<'_>, held: i128) -> Violation {
    Violation::of(shard.item, format!("{} are reserved, but orders hold {held}", shard.pieces.reserved))
}

/// What is reserved is what orders hold.
fn reserved(shard: &Shard<'_>, shards: &[Shard<'_>], held: i128, evidence: Evidence) -> Finding {
    let violations = vec![not_what_orders_hold(shard, held)];
    let tear = if shard.pieces.reserved > held { Tear::ReservationWithoutLine } else { Tear::LineWithoutReservation };
    let (mut after, note) = settle(shard.pieces, held, evidence);
    // A sale of more than one shard has takes the rest from others.
    let rest = -after.quantity.min(0);
    after.quantity += rest;
    let remedy = match taken(shards.iter().filter(|other| other.number != shard.number), rest) {
        Some(mut changed) => {
            changed.insert(shard.number, after);
            let write = |shard: &Shard<'_>| changed.get(&shard.number).map(|after| shard.write(*after));
            Remedy::Write { writes: shards.iter().filter_map(write).collect(), note }
        }
        None => Remedy::Decide(
            "orders hold more than there is: cancel one of them, or count the shelf and raise the quantity, and repair again",
        ),
    };
    Finding::torn(tear, violations, remedy)
}

const COUNT: &str =
    "count what is on the shelf: whether pieces of a confirmed order were being shipped or put back cannot be told";

/// Where the pieces of a shard are if those are reserved that orders hold. No order changes how many it has received. In doubt it
/// sells too little rather than too much. A quantity below zero is what is missing from the shelf.
fn settle(before: Pieces, held: i128, evidence: Evidence) -> (Pieces, Option<&'static str>) {
    let Pieces { quantity, reserved, shipped } = before;
    let after = |quantity, shipped| Pieces { quantity, reserved: held, shipped };
    if reserved > held {
        let loose = reserved - held;
        let left = evidence.left.min(loose);
        return (after(quantity + loose - left, shipped + left), None);
    }
    let missing = held - reserved;
    // Pieces of orders that may be shipped, as far as the stock has more that left than orders tell of.
    let leaving = evidence.leaving.min(shipped - evidence.gone);
    if leaving < missing {
        (after(quantity - missing, shipped), None)
    } else if quantity >= missing {
        (after(quantity - missing, shipped), Some(COUNT))
    } else {
        // Whoever lets go of pieces puts them on the shelf, and whoever takes them found them there: so these were leaving.
        (after(quantity, shipped - missing), Some(COUNT))
    }
}

impl Shard<'_> {
    fn write(&self, after: Pieces) -> Write {
        let set = vec![
            ("quantity", layout::number(after.quantity)),
            ("reserved", layout::number(after.reserved)),
            ("shipped", layout::number(after.shipped)),
            ("received", layout::number(after.received())),
            ("version", layout::number(self.version + 1)),
        ];
        Write::update(self.item, set, self.item.as_read(&["quantity", "reserved", "shipped", "received", "version"]))
    }
}

/// Takes pieces off the shelves of shards, the fullest first: what each has after it. `None` if there are too few.
fn taken<'s>(shards: impl Iterator<Item = &'s Shard<'s>>, mut rest: i128) -> Option<BTreeMap<u64, Pieces>> {
    let mut shards: Vec<_> = shards.collect();
    shards.sort_by_key(|shard| -shard.pieces.quantity);
    let mut changed = BTreeMap::new();
    for Shard { number, pieces, .. } in shards {
        let taken = rest.min(pieces.quantity);
        if taken > 0 {
            changed.insert(*number, Pieces { quantity: pieces.quantity - taken, ..*pieces });
            rest -= taken;
        }
    }
    (rest == 0).then_some(changed)
}

/// All shards together have received what the movements of the product brought.
fn unlike_movements(product: &Item, shards: &[Shard<'_>], moved: i128) -> Option<Finding> {
    let received: i128 = shards.iter().map(|shard| shard.received).sum();
    if received == moved {
        return None;
    }
    let violation = Violation::of(product, format!("its shards received {received}, but its movements come to {moved}"));
    let changed = match shards.first() {
        Some(first) if received < moved => {
            Some(BTreeMap::from([(first.number, Pieces { quantity: first.pieces.quantity + moved - received, ..first.pieces })]))
        }
        _ => taken(shards.iter(), received - moved),
    };
    let remedy = match changed {
        Some(changed) => {
            let write = |shard: &Shard<'_>| match changed.get(&shard.number) {
                Some(after) => shard.write(*after),
                None => Write::check(shard.item, shard.item.as_read(&["received"])),
            };
            let note = Some("count what is on the shelf: whether the pieces of a movement came or went cannot be told");
            Remedy::Write { writes: shards.iter().map(write).collect(), note }
        }
        None => Remedy::Decide(
            "more was sold than its movements brought: count what is on the shelf, and write by hand what was received",
        ),
    };
    Some(Finding::torn(Tear::MovementWithoutStock, vec![violation], remedy))
}

fn without_product(shard: &Item, is_held: bool) -> Finding {
    let violation = vec![Violation::of(shard, "belongs to a product that does not exist")];
    if is_held {
        return Finding::broken(violation, "orders hold pieces of it: make the product again under its id, or cancel them");
    }
    let writes = vec![
        Write::delete(shard, shard.as_read(&["quantity", "reserved", "version"])),
        Write::absent(&shard.pk, schema::PRODUCT.sk.prefix()),
    ];
    Finding::torn(Tear::StockWithoutProduct, violation, Remedy::write(writes))
}

/// No product has lost its stock but in the transaction that makes it or deletes it, and nobody sees it meanwhile.
fn without_stock(product: &Item, is_held: bool) -> Finding {
    let violation = vec![Violation::of(product, "has no shard 0")];
    if is_held {
        return Finding::broken(violation, "orders hold pieces of it: count what is on the shelf, and write its stock by hand");
    }
    let writes = vec![
        Write::delete(product, product.as_read(&["price", "gsi1sk", "version"])),
        Write::absent(&product.pk, layout::stock_sk(0)),
    ];
    Finding::torn(Tear::ProductWithoutStock, violation, Remedy::write(writes))
}

/// The product's price and name are those that are shown.
fn unlike_product(product: &Item, number: u64, shard: &Item) -> Option<Finding> {
    let (price, other) = (product.number("price")?, shard.number("price")?);
    let name = layout::stock_gsi1sk(product.text("gsi1sk"), number);
    let differ = [("price", price != other), ("name", shard.text("gsi1sk") != name)];
    let violations: Vec<_> = differ
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(what, _)| Violation::of(shard, format!("has another {what} than its product")))
        .collect();
    if violations.is_empty() {
        return None;
    }
    let names = ["price", "gsi1sk"];
    let set = vec![("price", layout::number(price)), ("gsi1sk", layout::text(name))];
    let writes = vec![Write::check(product, product.as_read(&names)), Write::update(shard, set, shard.as_read(&names))];
    Some(Finding::torn(Tear::StockUnlikeProduct, violations, Remedy::write(writes)))
}

/// There are more shards than the first says, which sales and counts go by.
fn uncounted(first: &Item, said: u64, count: u64) -> Finding {
    let violation = Violation::of(first, format!("says that shards are {said}, but there is shard {}", count - 1));
    let sold_from = first.number("stock_shards").unwrap_or(1);
    let set = vec![("stock_shards", layout::number(sold_from)), ("shards", layout::number(count))];
    let write = Write::update(first, set, first.as_read(&["stock_shards", "shards"]));
    Finding::torn(Tear::UncountedStock, vec![violation], Remedy::write(vec![write]))
}

/// `lost`: the numbers of the shards that are not there, with what orders tell of their pieces.
fn without_shards(
    product: &Item,
    shards: &[Shard<'_>],
    mut lost: Vec<(u64, Pieces)>,
    count: u64,
    moved: Option<i128>,
) -> Finding {
    let violations = lost.iter().map(|(number, _)| Violation::of(product, format!("has no shard {number} of {count}"))).collect();
    let Some(moved) = moved else {
        return Finding::torn(Tear::ProductWithoutStock, violations, Remedy::Decide(BY_HAND));
    };
    // What the movements brought that is neither in the other shards nor gone.
    let there = shards.iter().map(|shard| shard.received).sum::<i128>();
    let rest = moved - there - lost.iter().map(|(_, pieces)| pieces.received()).sum::<i128>();
    if let Some((_, pieces)) = lost.first_mut() {
        pieces.quantity = rest.max(0);
    }
    let put = |(number, pieces): &(u64, Pieces)| {
        let attributes = [
            ("gsi1pk", layout::text(schema::STOCKS.prefix())),
            ("gsi1sk", layout::text(layout::stock_gsi1sk(product.text("gsi1sk"), *number))),
            ("price", product.attributes["price"].clone()),
            ("quantity", layout::number(pieces.quantity)),
            ("reserved", layout::number(pieces.reserved)),
            ("shipped", layout::number(pieces.shipped)),
            ("received", layout::number(pieces.received())),
            ("version", layout::number(0)),
            ("updated_at", product.attributes["updated_at"].clone()),
        ];
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Write::Put { pk: product.pk.clone(), sk: layout::stock_sk(*number), attributes }
    };
    let writes = [Write::check(product, product.as_read(&["price", "gsi1sk"]))]
        .into_iter()
        .chain(shards.iter().map(|shard| Write::check(shard.item, shard.item.as_read(&["received", "shards"]))))
        .chain(lost.iter().map(put))
        .collect();
    let note = Some("count what is on the shelf: how many pieces were in what is lost is known from movements and orders alone");
    Finding::torn(Tear::ProductWithoutStock, violations, Remedy::Write { writes, note })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_piece_is_made_up_and_the_shelf_is_right_where_it_can_be_told() {
        let settled = |(quantity, reserved, shipped), held, (left, leaving, gone)| {
            let before = Pieces { quantity, reserved, shipped };
            let (after, note) = settle(before, held, Evidence { left, leaving, gone });
            assert_eq!((after.reserved, after.received()), (held, before.received()));
            (after.quantity, after.shipped, note.is_some())
        };
        // Reserved for nobody: back on the shelf, but for what was sent.
        assert_eq!(settled((5, 3, 0), 1, (0, 0, 0)), (7, 0, false));
        assert_eq!(settled((5, 3, 0), 1, (2, 0, 2)), (5, 2, false));
        assert_eq!(settled((5, 3, 4), 1, (1, 0, 5)), (6, 5, false));
        assert_eq!(settled((5, 3, 0), 1, (9, 0, 9)), (5, 2, false));
        // Held by orders and not reserved: off the shelf.
        assert_eq!(settled((5, 1, 0), 3, (0, 0, 0)), (3, 0, false));
        assert_eq!(settled((5, 1, 0), 3, (0, 2, 0)), (3, 0, false), "none has left");
        assert_eq!(settled((5, 1, 2), 3, (0, 2, 2)), (3, 2, false), "orders tell of all that left");
        assert_eq!(settled((5, 1, 2), 3, (0, 1, 0)), (3, 2, false), "one piece that may have been sent does not explain two");
        assert_eq!(settled((5, 1, 2), 3, (0, 2, 0)), (3, 2, true));
        assert_eq!(settled((1, 1, 2), 3, (0, 2, 0)), (1, 0, true));
        // Other shards must have what is missing here.
        assert_eq!(settled((1, 1, 0), 3, (0, 0, 0)), (-1, 0, false));
    }
}
