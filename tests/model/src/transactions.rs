//! The transactions of `shared/src/store`, each by the function that makes it. What happens between them is in `protocol.rs`.

use crate::{
    faults::Fault,
    table::{
        Expression, Field,
        Field::{
            Amount, ItemCount, LinePrice, LineProduct, LineQuantity, LineShard, Price, Quantity, Received, Reserved, Shards,
            Shipped, Status, StockShards, Total, Version,
        },
        Item, Key, Meaning, Transaction,
    },
};

/// The states of an order, as numbers in its item.
pub const PENDING: i32 = 0;
pub const CONFIRMED: i32 = 1;
pub const SHIPPED: i32 = 2;
pub const DELIVERED: i32 = 3;
pub const CANCELLED: i32 = 4;

/// `domain/lifecycle.rs`: what a step does to the stock of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StockEffect {
    None,
    Released,
    Shipped,
    Restocked,
}

/// `domain/lifecycle.rs` `take_step`: whether there is such a step, and what it does.
pub fn effect(from: i32, to: i32, restock: bool) -> Option<StockEffect> {
    match (from, to) {
        (SHIPPED | DELIVERED, CANCELLED) if restock => Some(StockEffect::Restocked),
        (PENDING | CONFIRMED, CANCELLED) => Some(StockEffect::Released),
        (CONFIRMED, SHIPPED) => Some(StockEffect::Shipped),
        (PENDING, CONFIRMED) | (SHIPPED, DELIVERED) | (SHIPPED | DELIVERED, CANCELLED) => Some(StockEffect::None),
        _ => None,
    }
}

/// A line of an order, which knows the shard that its pieces came from and the price that they were sold at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    pub id: u16,
    pub product: u16,
    pub shard: u8,
    pub quantity: i32,
    pub price: i32,
}

impl Line {
    fn fields(self) -> [(Field, i32); 4] {
        let Self { id, product, shard, quantity, price } = self;
        [(LineProduct(id), product.into()), (LineShard(id), shard.into()), (LineQuantity(id), quantity), (LinePrice(id), price)]
    }

    fn total(self) -> i32 {
        self.quantity * self.price
    }
}

/// The lines in an order's item.
pub fn lines(order: &Item) -> Vec<Line> {
    let number = |value: i32| u16::try_from(value).expect("an id");
    let ids = order.fields().filter_map(|(field, product)| match field {
        LineProduct(id) => Some((id, number(product))),
        _ => None,
    });
    let line = |(id, product)| Line {
        id,
        product,
        shard: u8::try_from(order.get(LineShard(id))).expect("a shard"),
        quantity: order.get(LineQuantity(id)),
        price: order.get(LinePrice(id)),
    };
    ids.map(line).collect()
}

/// `domain/order.rs` `demand`: DynamoDB allows one action per item in a transaction.
pub fn demand(lines: &[Line]) -> Vec<((u16, u8), i32)> {
    let mut demand: Vec<((u16, u8), i32)> = Vec::new();
    for line in lines {
        let stock = (line.product, line.shard);
        match demand.iter_mut().find(|(its, _)| *its == stock) {
            Some((_, needed)) => *needed += line.quantity,
            None => demand.push((stock, line.quantity)),
        }
    }
    demand
}

/// How many pieces are moved from which other shards.
pub type Moved = Vec<(u8, i32)>;

/// `stock.rs` `Source`: the shard that pieces are sold from, and those that are moved there from others to be sold with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Source {
    pub shard: u8,
    pub moved: Moved,
}

impl Source {
    fn more(&self) -> i32 {
        self.moved.iter().map(|(_, pieces)| pieces).sum()
    }

    fn here(&self, quantity: i32) -> i32 {
        (quantity - self.more()).max(0)
    }
}

/// `stock.rs` `moving`.
fn moving(expression: Expression, pieces: i32) -> Expression {
    expression.add(Quantity, pieces).add(Received, pieces)
}

/// `stock.rs` `take_from`.
fn take_from(mut transaction: Transaction, product: u16, moved: &Moved, wanted: i32, fault: Option<Fault>) -> Transaction {
    for (shard, pieces) in moved {
        let unless = match fault {
            Some(Fault::GatherUnconditioned) => Expression::exists(),
            _ => Expression::default().at_least(Quantity, *pieces),
        };
        let meaning = Meaning::NotTaken { product, wanted };
        transaction = transaction.update(Key::Stock(product, *shard), moving(unless, -pieces), meaning);
    }
    transaction
}

/// `stock.rs` `reserve_at_price`, and `reserve` where there is no price: pieces go from the shelf to an order, some of them by way of
/// this shard.
fn reserve(
    transaction: Transaction,
    product: u16,
    source: &Source,
    quantity: i32,
    price: Option<i32>,
    fault: Option<Fault>,
) -> Transaction {
    let (more, here) = (source.more(), source.here(quantity));
    let mut held = match fault {
        Some(Fault::QuantityUnchecked) => Expression::exists(),
        _ => Expression::default().at_least(Quantity, here),
    };
    held = held.add(Quantity, more - quantity).add(Reserved, quantity);
    if more != 0 {
        held = held.add(Received, more);
    }
    if let Some(price) = price.filter(|_| fault != Some(Fault::PriceUnchecked)) {
        held = held.equal(Price, price);
    }
    let meaning = Meaning::NotHeld { product, wanted: quantity, here, price };
    let transaction = transaction.update(Key::Stock(product, source.shard), held, meaning);
    take_from(transaction, product, &source.moved, quantity, fault)
}

/// `stock.rs` `release`, `ship` and `restock`.
fn moved_by(effect: StockEffect, pieces: i32) -> Option<(Expression, Meaning)> {
    let from_to = |from, to| Expression::default().at_least(from, pieces).add(from, -pieces).add(to, pieces);
    match effect {
        StockEffect::None => None,
        StockEffect::Released => Some((from_to(Reserved, Quantity), Meaning::Broken)),
        StockEffect::Shipped => Some((from_to(Reserved, Shipped), Meaning::Broken)),
        StockEffect::Restocked => Some((from_to(Shipped, Quantity), Meaning::NotRestocked)),
    }
}

/// `idempotency.rs` `idempotent`: first of all, so that a repetition is told before anything that it meets of its own effect.
fn idempotent(record: Option<u16>, fault: Option<Fault>) -> Transaction {
    let Some(key) = record else { return Transaction::default() };
    let row = Item::of([(Version, 1)]);
    match fault {
        Some(Fault::KeyUnchecked) => Transaction::default().update(Key::Record(key), Expression::default(), Meaning::Repeated),
        _ => Transaction::default().insert(Key::Record(key), row, Meaning::Repeated),
    }
}

/// The record of a request whose transaction is this.
pub fn with_record(transaction: Transaction, record: Option<u16>) -> Transaction {
    let mut with = idempotent(record, None);
    with.writes.extend(transaction.writes);
    with
}

/// `orders/place.rs` `place`: the order with all its lines and their stock, or none of it. One source for each product.
pub fn place(order: u16, lines: &[Line], sources: &[(u16, Source)], record: Option<u16>, fault: Option<Fault>) -> Transaction {
    let total = lines.iter().map(|line| line.total()).sum();
    let count = i32::try_from(lines.len()).expect("few lines");
    let own = [(Status, PENDING), (Total, total), (ItemCount, count), (Version, 1)];
    let item = Item::of(own.into_iter().chain(lines.iter().flat_map(|line| line.fields())));
    let mut transaction = idempotent(record, fault).insert(Key::Order(order), item, Meaning::Broken);
    for ((product, _), quantity) in demand(lines) {
        let price = lines.iter().find(|line| line.product == product).map(|line| line.price);
        let source = &sources.iter().find(|(its, _)| *its == product).expect("a source for each product").1;
        transaction = reserve(transaction, product, source, quantity, price, fault);
    }
    transaction
}

/// `orders/lines.rs` `editable`: an order whose lines change, while it is PENDING.
fn editable() -> Expression {
    Expression::default().equal(Status, PENDING).add(Version, 1)
}

/// `orders/lines.rs` `add_item`.
pub fn add_line(order: u16, line: Line, source: &Source, record: Option<u16>, fault: Option<Fault>) -> Transaction {
    let unless = match fault {
        Some(Fault::LineUnguarded) => editable(),
        _ => editable().lacks(LineProduct(line.id)),
    };
    let more = line.fields().into_iter().fold(unless, |more, (field, value)| more.set(field, value));
    let more = more.add(Total, line.total()).add(ItemCount, 1);
    let transaction = idempotent(record, fault).update(Key::Order(order), more, Meaning::NotEditable);
    reserve(transaction, line.product, source, line.quantity, Some(line.price), fault)
}

/// `orders/lines.rs` `change_item`, of a line that was read so.
pub fn change_line(order: u16, line: Line, after: i32, moved: Moved, fault: Option<Fault>) -> Transaction {
    let difference = after - line.quantity;
    let change = editable()
        .equal(LineQuantity(line.id), line.quantity)
        .set(LineQuantity(line.id), after)
        .add(Total, difference * line.price);
    let transaction = Transaction::default().update(Key::Order(order), change, Meaning::NotEditable);
    if difference > 0 {
        reserve(transaction, line.product, &Source { shard: line.shard, moved }, difference, None, fault)
    } else {
        with_stock(transaction, &[((line.product, line.shard), -difference)], StockEffect::Released)
    }
}

/// `orders/lines.rs` `remove_item`, of a line that was read so.
pub fn remove_line(order: u16, line: Line) -> Transaction {
    let less = editable().equal(LineQuantity(line.id), line.quantity).add(Total, -line.total()).add(ItemCount, -1);
    let less = line.fields().into_iter().fold(less, |less, (field, _)| less.remove(field));
    let transaction = Transaction::default().update(Key::Order(order), less, Meaning::NotEditable);
    with_stock(transaction, &[((line.product, line.shard), line.quantity)], StockEffect::Released)
}

/// `orders/status.rs` `with_stock`.
fn with_stock(mut transaction: Transaction, demand: &[((u16, u8), i32)], effect: StockEffect) -> Transaction {
    for ((product, shard), pieces) in demand {
        if let Some((expression, meaning)) = moved_by(effect, *pieces) {
            transaction = transaction.update(Key::Stock(*product, *shard), expression, meaning);
        }
    }
    transaction
}

/// The version that a write depends on. Whoever writes to an order changes its version, and so its lines hold still.
fn pinned(version: i32, fault: Option<Fault>) -> Expression {
    match fault {
        Some(Fault::VersionUnpinned) => Expression::exists(),
        _ => Expression::default().equal(Version, version),
    }
}

/// `orders/status.rs` `write`, of an order that was read so: a step to another status, or none and other metadata. `demand` is that of
/// its lines, without products that are gone.
pub fn step(
    order: u16,
    read: &Item,
    to: Option<i32>,
    demand: &[((u16, u8), i32)],
    effect: StockEffect,
    fault: Option<Fault>,
) -> Transaction {
    let mut update = pinned(read.get(Version), fault).add(Version, 1);
    if let Some(to) = to {
        update = update.set(Status, to);
    }
    with_stock(Transaction::default().update(Key::Order(order), update, Meaning::Changed), demand, effect)
}

/// `orders/status.rs` `delete`, of an order that was read so.
pub fn delete_order(order: u16, read: &Item, fault: Option<Fault>) -> Transaction {
    let transaction = Transaction::default().delete(Key::Order(order), pinned(read.get(Version), fault), Meaning::Changed);
    let pending = read.get(Status) == PENDING;
    let effect = if pending { StockEffect::Released } else { StockEffect::None };
    with_stock(transaction, &demand(&lines(read)), effect)
}

/// What an admin changes of a product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProductChange {
    /// A name, a SKU, a description or a level: nothing that the model knows.
    pub text: bool,
    pub price: Option<i32>,
    /// How many pieces there are, as they were counted.
    pub quantity: Option<i32>,
    pub stock_shards: Option<i32>,
}

impl ProductChange {
    /// `domain/product.rs` `is_edit`.
    fn is_edit(&self) -> bool {
        self.text || self.price.is_some() || self.stock_shards.is_some()
    }
}

/// `domain/product.rs` `share`: of pieces that are spread over so many shards.
pub fn share(shards: i32, pieces: i32, shard: u8) -> i32 {
    let shard = i32::from(shard);
    if shard < shards { pieces / shards + i32::from(shard < pieces % shards) } else { 0 }
}

/// `products.rs` `create`.
pub fn create_product(product: u16, price: i32, quantity: i32, shards: i32, movement: u16) -> Transaction {
    let row = Item::of([(Price, price), (Version, 1)]);
    let mut transaction = Transaction::default().insert(Key::Product(product), row, Meaning::Broken);
    for number in 0..u8::try_from(shards).expect("few shards") {
        let mut shard = new_shard(price, share(shards, quantity, number));
        if number == 0 && shards > 1 {
            shard.set(StockShards, shards);
            shard.set(Shards, shards);
        }
        transaction = transaction.insert(Key::Stock(product, number), shard, Meaning::Broken);
    }
    if quantity == 0 { transaction } else { with_movement(transaction, product, movement, quantity) }
}

/// `stock.rs` `NewShard`.
fn new_shard(price: i32, quantity: i32) -> Item {
    Item::of([(Price, price), (Quantity, quantity), (Reserved, 0), (Shipped, 0), (Received, quantity)])
}

/// `movements.rs` `insert`.
fn with_movement(transaction: Transaction, product: u16, movement: u16, amount: i32) -> Transaction {
    transaction.insert(Key::Movement(product, movement), Item::of([(Amount, amount)]), Meaning::Broken)
}

/// `products.rs` `changed`, of a product and shards that were read so, not necessarily at one instant.
pub fn change_product(
    product: u16,
    row: &Item,
    shards: &[Item],
    change: ProductChange,
    movement: u16,
    fault: Option<Fault>,
) -> Transaction {
    let unpinned = fault == Some(Fault::ShardsUnpinned);
    let before: i32 = shards.iter().map(|shard| shard.get(Quantity)).sum();
    let was_sold_from = shards[0].find(StockShards);
    let sold_from = change.stock_shards.or(was_sold_from).unwrap_or(1);
    let pieces = change.quantity.or(change.stock_shards.map(|_| before));
    let known = i32::try_from(shards.len()).expect("few shards");
    let mut transaction = Transaction::default();
    if change.is_edit() {
        let mut own = pinned(row.get(Version), fault).add(Version, 1);
        if let Some(price) = change.price {
            own = own.set(Price, price);
        }
        transaction = transaction.update(Key::Product(product), own, Meaning::Changed);
    }
    for (number, shard) in (0..).zip(shards) {
        let quantity = shard.get(Quantity);
        let share = pieces.map_or(quantity, |pieces| share(sold_from, pieces, number));
        let difference = share - quantity;
        let mut expression = match change.quantity {
            _ if unpinned => Expression::exists(),
            Some(_) => Expression::default().equal(Quantity, quantity),
            None if difference < 0 => Expression::default().at_least(Quantity, -difference),
            None => Expression::exists(),
        };
        // A count touches every shard, whatever it comes to.
        let mut changes = change.quantity.is_some();
        if difference != 0 {
            expression = moving(expression, difference);
        }
        if let Some(price) = change.price {
            expression = expression.set(Price, price);
        }
        if number == 0 && change.stock_shards.is_some() && (was_sold_from.is_some() || sold_from != 1) {
            expression = expression.set(StockShards, sold_from).set(Shards, sold_from.max(known));
        }
        if number == 0 && !unpinned {
            expression = expression.unchanged(Shards, shard.find(Shards));
        }
        changes |= expression.changes();
        if changes {
            transaction = transaction.update(Key::Stock(product, number), expression, Meaning::Changed);
        }
    }
    let price = change.price.unwrap_or(row.get(Price));
    for number in known..sold_from {
        let number = u8::try_from(number).expect("few shards");
        let shard = new_shard(price, share(sold_from, pieces.unwrap_or_default(), number));
        transaction = transaction.insert(Key::Stock(product, number), shard, Meaning::Changed);
    }
    match change.quantity.map(|counted| counted - before).filter(|amount| *amount != 0) {
        Some(amount) => with_movement(transaction, product, movement, amount),
        None => transaction,
    }
}

/// `products.rs` `delete`, of a product and shards that were read so.
pub fn delete_product(product: u16, row: &Item, shards: &[Item], fault: Option<Fault>) -> Transaction {
    let unchanged = pinned(row.get(Version), fault);
    let mut transaction = Transaction::default().delete(Key::Product(product), unchanged, Meaning::Changed);
    for (number, shard) in (0..).zip(shards) {
        let mut unused = Expression::default().equal(Reserved, 0);
        if fault != Some(Fault::ShardsUnpinned) {
            unused = unused.unchanged(Shards, shard.find(Shards));
        }
        transaction = transaction.delete(Key::Stock(product, number), unused, Meaning::Changed);
    }
    transaction
}

/// `movements.rs` `within_bounds`. No product of the model comes near the most that one may have.
fn within_bounds(expression: Expression, amount: i32) -> Expression {
    if amount < 0 { expression.at_least(Quantity, -amount) } else { expression.at_least(Quantity, 0) }
}

/// `movements.rs` `try_to_carry_out`, the first attempt: all of it in the first shard, if there is no other.
pub fn move_alone(product: u16, amount: i32, movement: u16, record: Option<u16>, fault: Option<Fault>) -> Transaction {
    let alone = moving(within_bounds(Expression::default().lacks(StockShards), amount), amount);
    let meaning = Meaning::NotMoved { product, amount };
    let transaction = idempotent(record, fault).update(Key::Stock(product, 0), alone, meaning);
    with_movement(transaction, product, movement, amount)
}

/// The same for stock that is spread.
pub fn move_spread(product: u16, shares: &[(u8, i32)], movement: u16, record: Option<u16>, fault: Option<Fault>) -> Transaction {
    let mut transaction = idempotent(record, fault);
    for (shard, share) in shares {
        let moved = moving(within_bounds(Expression::default(), *share), *share);
        transaction = transaction.update(Key::Stock(product, *shard), moved, Meaning::Changed);
    }
    with_movement(transaction, product, movement, shares.iter().map(|(_, share)| share).sum())
}

/// `stock.rs` `consolidate`.
pub fn consolidate(product: u16, into: u8, moved: &Moved, fault: Option<Fault>) -> Transaction {
    let more = moving(Expression::exists(), moved.iter().map(|(_, pieces)| pieces).sum());
    let transaction = Transaction::default().update(Key::Stock(product, into), more, Meaning::Changed);
    take_from(transaction, product, moved, 0, fault)
}
