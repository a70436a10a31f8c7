//! A product with the items that its stock is in: I2, and every one of them agrees with the product.

use shared::store::schema;

use super::finding::{Finding, Remedy, Tear, Violation, Write};
use super::items::{Holding, Items};
use super::layout::{self, Item, Kind};
use super::order::{expect_number, expect_text, records_without_effect};
use crate::error::Result;

const BY_HAND: &str = "no write leaves this: count what is on the shelf, and write by hand what it should be";

/// The items of one product.
pub fn judge(subject: &str, group: &[Item], items: &Items) -> Result<Vec<Finding>> {
    let id = &subject[layout::PRODUCTS.len()..];
    let mut findings = records_without_effect(subject, group, items.latest);
    let product = group.iter().find(|item| item.kind() == Some(Kind::Product));
    let mut shards = Vec::new();
    for item in group {
        match item.kind() {
            Some(Kind::Stock(Some(number))) => shards.push((number, item)),
            Some(Kind::Stock(None)) => {
                findings.push(Finding::broken(vec![Violation::of(item, "is no shard from 1 up")], BY_HAND));
            }
            _ => {}
        }
    }
    let holdings = items.holdings(id)?;
    let Some(product) = product else {
        findings.extend(shards.iter().map(|(_, shard)| without_product(shard, &holdings)));
        return Ok(findings);
    };

    let mut wrong = Vec::new();
    expect_text(&mut wrong, product, "gsi1pk", schema::CATALOGUE.prefix());
    if product.has("stock_shards") {
        expect_number(&mut wrong, product, "stock_shards");
    }
    for item in [product].into_iter().chain(shards.iter().map(|(_, shard)| *shard)) {
        for name in ["price", "quantity", "reserved", "version"] {
            expect_number(&mut wrong, item, name);
        }
    }
    findings.extend(wrong.into_iter().map(|violation| Finding::broken(vec![violation], BY_HAND)));

    let holding = |number| holdings.iter().find(|holding| holding.shard == number).copied().unwrap_or_default();
    for (number, stock) in [(0, product)].into_iter().chain(shards.iter().copied()) {
        let evidence = || items.evidence(id, number, stock.number("updated_at").unwrap_or_default());
        findings.extend(reserved(stock, holding(number), evidence)?);
    }
    findings.extend(shards.iter().filter_map(|(_, shard)| at_old_price(product, shard)));
    for number in 1..product.number("stock_shards").unwrap_or_default().max(1) {
        if !shards.iter().any(|(there, _)| *there == number) {
            findings.push(without_shard(product, number, holding(number)));
        }
    }
    // Above `stock_shards` there need be none, unless orders hold pieces of it.
    for holding in holdings.iter().filter(|holding| holding.shard > 0 && holding.now > 0) {
        if !shards.iter().any(|(there, _)| *there == holding.shard) {
            findings.push(lines_without_shard(id, product, holding.shard, items)?);
        }
    }
    Ok(findings)
}

/// Lines of orders that hold a product which does not exist.
pub fn missing(id: &str, items: &Items) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for holding in items.holdings(id)?.iter().filter(|holding| holding.now > 0) {
        let lines = items.lines_of(id, holding.shard)?;
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

/// What is reserved is what orders hold.
fn reserved(stock: &Item, held: Holding, evidence: impl FnOnce() -> Result<(u64, u64)>) -> Result<Option<Finding>> {
    let (Some(reserved), Some(quantity), Some(version)) =
        (stock.number("reserved"), stock.number("quantity"), stock.number("version"))
    else {
        return Ok(None);
    };
    if reserved == held.now && reserved == held.then {
        return Ok(None);
    }
    let violation =
        (reserved != held.now).then(|| Violation::of(stock, format!("{reserved} are reserved, but orders hold {}", held.now)));
    let tear =
        if reserved > held.then || reserved > held.now { Tear::ReservationWithoutLine } else { Tear::LineWithoutReservation };
    let remedy = if reserved == held.then {
        Remedy::Elsewhere
    } else {
        let (shipped, shippable) = evidence()?;
        match settle(Pieces { quantity, reserved, held: held.then, shipped, shippable }) {
            Some((quantity, note)) => {
                let set = vec![
                    ("quantity", layout::number(quantity)),
                    ("reserved", layout::number(held.then)),
                    ("version", layout::number(version + 1)),
                ];
                Remedy::Write {
                    writes: vec![Write::update(stock, set, stock.as_read(&["quantity", "reserved", "version"]))],
                    note,
                }
            }
            None => Remedy::Decide(
                "orders hold more than there is: cancel one of them, or count the shelf and raise the quantity, and repair again",
            ),
        }
    };
    Ok(Some(Finding::torn(tear, violation.into_iter().collect(), remedy)))
}

/// What is known about an item of stock that does not agree with its orders.
struct Pieces {
    quantity: u64,
    reserved: u64,
    /// What orders hold.
    held: u64,
    /// Pieces in orders that were shipped after the stock was last written: it was not told that they have left.
    shipped: u64,
    /// Pieces in CONFIRMED orders that were last written before the stock was: it may have been told that they leave.
    shippable: u64,
}

const COUNT: &str =
    "count what is on the shelf: whether pieces of a confirmed order were being shipped or put back cannot be told";

/// The quantity that goes with `reserved` being what orders hold; `None` if there are too few. In doubt it sells too little rather
/// than too much.
fn settle(pieces: Pieces) -> Option<(u64, Option<&'static str>)> {
    let Pieces { quantity, reserved, held, shipped, shippable } = pieces;
    if reserved > held {
        let loose = reserved - held;
        return Some((quantity + loose.saturating_sub(shipped), None));
    }
    let missing = held - reserved;
    match quantity.checked_sub(missing) {
        Some(rest) if shippable < missing => Some((rest, None)),
        Some(rest) => Some((rest, Some(COUNT))),
        // Whoever lets go of pieces puts them on the shelf, and whoever takes them found them there: so these were leaving.
        None if shippable == missing => Some((quantity, Some(COUNT))),
        None => None,
    }
}

fn without_product(shard: &Item, holdings: &[Holding]) -> Finding {
    let violation = vec![Violation::of(shard, "belongs to a product that does not exist")];
    if holdings.iter().any(|holding| holding.then > 0) {
        return Finding::broken(violation, "orders hold pieces of it: make the product again under its id, or cancel them");
    }
    let writes = vec![
        Write::delete(shard, shard.as_read(&["quantity", "reserved", "version"])),
        Write::absent(&shard.pk, layout::stock_sk(0)),
    ];
    Finding::torn(Tear::StockWithoutProduct, violation, Remedy::write(writes))
}

/// The product's price is the one that is shown.
fn at_old_price(product: &Item, shard: &Item) -> Option<Finding> {
    let (price, other) = (product.number("price")?, shard.number("price")?);
    if price == other {
        return None;
    }
    let set =
        vec![("price", layout::number(price)), ("version", layout::number(shard.number("version").unwrap_or_default() + 1))];
    let writes =
        vec![Write::check(product, product.as_read(&["price"])), Write::update(shard, set, shard.as_read(&["price", "version"]))];
    let violation = Violation::of(shard, "has another price than its product");
    Some(Finding::torn(Tear::StockAtOldPrice, vec![violation], Remedy::write(writes)))
}

fn without_shard(product: &Item, number: u64, held: Holding) -> Finding {
    let shards = product.number("stock_shards").unwrap_or_default();
    let violation = Violation::of(product, format!("has no shard {number}, but {shards} shards"));
    let attributes = [
        ("price", product.attributes["price"].clone()),
        ("quantity", layout::number(0)),
        ("reserved", layout::number(held.then)),
        ("version", layout::number(0)),
        ("updated_at", product.attributes["updated_at"].clone()),
    ];
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let writes = vec![
        Write::check(product, product.as_read(&["price", "stock_shards"])),
        Write::Put { pk: product.pk.clone(), sk: layout::stock_sk(number), attributes },
    ];
    let note = Some("count what is on the shelf: how many pieces the item had is lost");
    Finding::torn(Tear::ProductWithoutStock, vec![violation], Remedy::Write { writes, note })
}

fn lines_without_shard(id: &str, product: &Item, shard: u64, items: &Items) -> Result<Finding> {
    let what = format!("holds pieces of shard {shard}, which does not exist");
    let lines = items.lines_of(id, shard)?;
    let violations = lines.into_iter().map(|(pk, sk)| Violation { pk, sk, what: what.clone() }).collect();
    if shard < product.number("stock_shards").unwrap_or_default() {
        return Ok(Finding::torn(Tear::ProductWithoutStock, violations, Remedy::Elsewhere));
    }
    Ok(Finding::broken(violations, BY_HAND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_piece_is_made_up_and_the_shelf_is_right_where_it_can_be_told() {
        let settled = |quantity, reserved, held, shipped, shippable| {
            settle(Pieces { quantity, reserved, held, shipped, shippable }).map(|(quantity, note)| (quantity, note.is_some()))
        };
        // Reserved for nobody: back on the shelf, but for what was sent.
        assert_eq!(settled(5, 3, 1, 0, 0), Some((7, false)));
        assert_eq!(settled(5, 3, 1, 2, 0), Some((5, false)));
        assert_eq!(settled(5, 3, 1, 1, 0), Some((6, false)));
        assert_eq!(settled(5, 3, 1, 9, 0), Some((5, false)));
        // Held by orders and not reserved: off the shelf.
        assert_eq!(settled(5, 1, 3, 0, 0), Some((3, false)));
        assert_eq!(settled(5, 1, 3, 0, 1), Some((3, false)), "one piece that may have been sent does not explain two");
        assert_eq!(settled(5, 1, 3, 0, 2), Some((3, true)));
        assert_eq!(settled(1, 1, 3, 0, 2), Some((1, true)));
        assert_eq!(settled(1, 1, 3, 0, 0), None);
        assert_eq!(settled(1, 1, 3, 0, 5), None);
    }
}
