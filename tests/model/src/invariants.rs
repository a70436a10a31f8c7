//! What must be true of every state that can be reached: I1 to I5 of a shop, what requests are answered, and that they end.
//!
//! That a buyer gets what is there is no `eventually` of stateright's, which misses what goes round in circles and what comes to a state by
//! a second way. It is said of states instead: nobody has been turned away who could have been served at every instant since they came,
//! and whoever is left alone is answered after a bounded number of calls, whatever chance picks. That somebody is answered whom others
//! never stop disturbing is not so, and not claimed: the code gives up after 2.8 seconds.

use stateright::Property;

use crate::{
    protocol::{Shop, State},
    scopes::Scope,
    table::{
        Field::{
            Amount, ItemCount, LineQuantity, Price, Quantity, Received, Reserved, Shards, Shipped, Status, StockShards, Total,
        },
        Item, Key, Table,
    },
    transactions::{CONFIRMED, PENDING, lines},
};

/// The order's total and count are those of its lines.
pub const TOTALS: &str = "I1: an order's total and count are its lines'";
/// What is reserved of a shard is on lines of orders that are PENDING or CONFIRMED.
pub const RESERVED: &str = "I2: what is reserved is on lines";
/// In every shard, and together with the movements.
pub const BOOKS: &str = "I3: every piece is accounted for";
/// A product and its shards are of one mind.
pub const AGREEMENT: &str = "I4: a product and its shards agree";
pub const ONCE: &str = "I5: a request has its effect once";
pub const TRUTH: &str = "who was refused has had nothing";
pub const NO_500: &str = "nobody is answered 500";
pub const SERVED: &str = "nobody is told that there is too little while there is enough all the time";
pub const PRICED: &str = "what is sold has the product's price";
pub const COUNTED: &str = "what was counted is what there is";
pub const ENDS: &str = "whoever is left alone is answered, and a buyer who comes then gets what is there";

/// A request that nobody disturbs has ended after so many calls.
const CALLS: u32 = 24;

/// All of them; and what must be reached, or the rest says little.
pub fn properties(scope: &Scope) -> Vec<Property<Shop>> {
    let mut properties = vec![
        Property::always(TOTALS, |_, state: &State| orders(&state.table).all(adds_up)),
        Property::always(RESERVED, |_, state: &State| reserved_is_on_lines(&state.table)),
        Property::always(BOOKS, |_, state: &State| books_balance(&state.table)),
        Property::always(AGREEMENT, |_, state: &State| shards_agree(&state.table)),
        Property::always(ONCE, |_, state: &State| !state.wrongs.twice),
        Property::always(TRUTH, |_, state: &State| !state.wrongs.denied),
        Property::always(NO_500, |_, state: &State| !state.wrongs.broken),
        Property::always(SERVED, |_, state: &State| !state.wrongs.turned_away),
        Property::always(PRICED, |_, state: &State| !state.wrongs.mispriced),
        Property::always(COUNTED, |_, state: &State| !state.wrongs.miscounted),
        Property::always(ENDS, |shop: &Shop, state: &State| shop.each_ends_alone(state, CALLS)),
    ];
    properties.extend(scope.reaches.iter().map(|reached| Property::sometimes(reached.name, reached.condition)));
    properties
}

/// The first of I1 to I4 that does not hold of a table.
pub fn violated(table: &Table) -> Option<&'static str> {
    let checks: [(&str, bool); 4] = [
        (TOTALS, orders(table).all(adds_up)),
        (RESERVED, reserved_is_on_lines(table)),
        (BOOKS, books_balance(table)),
        (AGREEMENT, shards_agree(table)),
    ];
    checks.into_iter().find(|(_, holds)| !holds).map(|(name, _)| name)
}

fn orders(table: &Table) -> impl Iterator<Item = &Item> {
    table.items().filter_map(|(key, item)| matches!(key, Key::Order(_)).then_some(item))
}

fn adds_up(order: &Item) -> bool {
    let lines = lines(order);
    let total: i32 = lines.iter().map(|line| line.quantity * line.price).sum();
    order.get(Total) == total && usize::try_from(order.get(ItemCount)) == Ok(lines.len())
}

fn reserved_is_on_lines(table: &Table) -> bool {
    let open: Vec<_> = orders(table).filter(|order| [PENDING, CONFIRMED].contains(&order.get(Status))).flat_map(lines).collect();
    let on_lines = |product: u16, shard: u8| {
        let its = open.iter().filter(|line| (line.product, line.shard) == (product, shard));
        its.map(|line| line.quantity).sum::<i32>()
    };
    let held = table.items().all(|(key, item)| match key {
        Key::Stock(product, shard) => item.get(Reserved) == on_lines(product, shard),
        _ => true,
    });
    held && open.iter().all(|line| table.find(Key::Stock(line.product, line.shard)).is_some())
}

fn books_balance(table: &Table) -> bool {
    let balances = |shard: &Item| {
        let [quantity, reserved, shipped, received] = [Quantity, Reserved, Shipped, Received].map(|field| shard.get(field));
        [quantity, reserved, shipped, received].iter().all(|pieces| *pieces >= 0) && received == quantity + reserved + shipped
    };
    let accounted = |product: u16| {
        let received: i32 = table.shards(product).map(|(_, shard)| shard.get(Received)).sum();
        let movements = table.items().filter(|(key, _)| matches!(key, Key::Movement(its, _) if *its == product));
        received == movements.map(|(_, movement)| movement.get(Amount)).sum::<i32>()
    };
    table.items().all(|(key, item)| match key {
        Key::Stock(..) => balances(item),
        Key::Product(product) => accounted(product),
        _ => true,
    })
}

fn shards_agree(table: &Table) -> bool {
    table.items().all(|(key, item)| match key {
        Key::Product(product) => {
            let numbers: Vec<_> = table.shards(product).map(|(number, _)| usize::from(number)).collect();
            let Some(first) = table.find(Key::Stock(product, 0)) else { return false };
            let known = usize::try_from(first.find(Shards).unwrap_or(1)).unwrap_or_default();
            let sold_from = usize::try_from(first.find(StockShards).unwrap_or(1)).unwrap_or_default();
            numbers.iter().copied().eq(0..known)
                && (1..=known).contains(&sold_from)
                && table.shards(product).all(|(_, shard)| shard.get(Price) == item.get(Price))
        }
        Key::Stock(product, _) => table.find(Key::Product(product)).is_some(),
        Key::Order(_) => item.fields().all(|(field, value)| !matches!(field, LineQuantity(_)) || value > 0),
        _ => true,
    })
}
