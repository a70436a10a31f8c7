//! What is visited as a whole: what there is at first, who asks for what, and how much may go wrong.

use crate::{
    faults::Fault,
    invariants,
    protocol::{Request, Shop, State},
    table::{Field::Status, Key, Table, Transaction},
    transactions::{self, CANCELLED, CONFIRMED, Line, SHIPPED, Source},
};

/// Something that must be reached in a scope, or that nothing goes wrong says little.
#[derive(Clone, Copy)]
pub struct Reached {
    pub name: &'static str,
    pub condition: fn(&Shop, &State) -> bool,
}

#[derive(Clone)]
pub struct Scope {
    pub name: &'static str,
    pub table: Table,
    /// How many shards a product may have.
    pub shards: u8,
    /// For each sender, what they may want: each is a list of requests, one after the other. Senders who may want the same and stand side
    /// by side are alike, so that which of them wants which is the same.
    pub senders: Vec<Vec<Vec<Request>>>,
    /// Whether what is read of several items is of several instants.
    pub torn: bool,
    /// How many moves from shard to shard a transaction that sells can take along.
    pub room: usize,
    /// How many answers are lost, functions end, and writes come late at most.
    pub losses: u8,
    pub crashes: u8,
    pub delays: u8,
    pub reaches: Vec<Reached>,
}

impl Scope {
    /// What each sender wants, in every combination that differs from others by more than who is who.
    pub fn choices(&self) -> Vec<Vec<Vec<Request>>> {
        let mut choices: Vec<Vec<usize>> = vec![Vec::new()];
        for (at, wants) in self.senders.iter().enumerate() {
            let alike = at > 0 && self.senders[at - 1] == *wants;
            let from = |choice: &Vec<usize>| if alike { choice[at - 1] } else { 0 };
            let with = |choice: &Vec<usize>| {
                let choice = choice.clone();
                (from(&choice)..wants.len()).map(move |want| choice.iter().copied().chain([want]).collect())
            };
            choices = choices.iter().flat_map(with).collect();
        }
        let wanted = |choice: &Vec<usize>| choice.iter().zip(&self.senders).map(|(want, wants)| wants[*want].clone()).collect();
        choices.iter().map(wanted).collect()
    }
}

const PEN: u16 = 0;
const INK: u16 = 1;
const PRICE: i32 = 5;

/// The ids of what there is from the beginning, unlike those that requests make.
const ADAS: u16 = 5_000;
const BOBS: u16 = 5_001;

fn carry_out(table: &mut Table, transaction: &Transaction) {
    *table = table.after(transaction).expect("a transaction that can be carried out");
}

fn product(table: &mut Table, product: u16, quantity: i32, shards: i32) {
    carry_out(table, &transactions::create_product(product, PRICE, quantity, shards, 5_000));
}

/// An order whose one line has the order's own number.
fn order(table: &mut Table, order: u16, product: u16, shard: u8, quantity: i32) {
    let line = Line { id: order, product, shard, quantity, price: PRICE };
    let source = Source { shard, moved: Vec::new() };
    carry_out(table, &transactions::place(order, &[line], &[(product, source)], None, None));
}

/// An order that has come as far as this.
fn order_at(table: &mut Table, id: u16, product: u16, shard: u8, quantity: i32, statuses: &[i32]) {
    order(table, id, product, shard, quantity);
    for to in statuses {
        let read = table.find(Key::Order(id)).expect("an order").clone();
        let effect = transactions::effect(read.get(Status), *to, false).expect("a step");
        let demand = transactions::demand(&transactions::lines(&read));
        carry_out(table, &transactions::step(id, &read, Some(*to), &demand, effect, None));
    }
}

fn place(product: u16, quantity: i32) -> Request {
    Request::Place { wanted: vec![(product, quantity)], key: false }
}

fn place_once(wanted: &[(u16, i32)]) -> Request {
    Request::Place { wanted: wanted.to_vec(), key: true }
}

fn add(order: u16, product: u16, quantity: i32, key: bool) -> Request {
    Request::AddLine { order, product, quantity, key }
}

fn change(order: u16, quantity: i32) -> Request {
    Request::ChangeLine { order, line: order, quantity }
}

fn remove(order: u16) -> Request {
    Request::RemoveLine { order, line: order }
}

fn step(order: u16, to: i32) -> Request {
    Request::Step { order, to, restock: true }
}

fn moves(product: u16, amount: i32, key: bool) -> Request {
    Request::Move { product, amount, key }
}

const NONE: Reached = Reached { name: "all are answered", condition: |_, state| state.all_are_answered() };
const SNAPSHOT: Reached = Reached { name: "a snapshot is taken", condition: |_, state| state.has_snapshot() };
const GATHER: Reached = Reached { name: "pieces are gathered by a sale", condition: |_, state| state.has_gather() };
const BEFORE: Reached = Reached { name: "pieces are gathered before", condition: |_, state| state.has_consolidation() };
const REPETITION: Reached = Reached { name: "an answer is lost", condition: |_, state| state.has_repetition() };

fn alone(requests: impl IntoIterator<Item = Request>) -> Vec<Vec<Request>> {
    requests.into_iter().map(|request| vec![request]).collect()
}

/// Buyers of a product whose pieces are scattered over three shards, while an admin takes some out, or brings some, or changes the price.
pub fn sales() -> Scope {
    let mut table = Table::default();
    product(&mut table, PEN, 3, 3);
    order(&mut table, ADAS, PEN, 2, 1);
    let buyer = alone([place(PEN, 1), place_once(&[(PEN, 2)]), add(ADAS, PEN, 1, true), change(ADAS, 2)]);
    let admin = alone([moves(PEN, -1, true), Request::Reprice { product: PEN, price: 7 }, step(ADAS, CANCELLED)]);
    Scope {
        name: "sales: 1 product × 3 shards, 2 buyers, 1 admin",
        table,
        shards: 3,
        senders: vec![buyer.clone(), buyer, admin],
        torn: true,
        room: 100,
        losses: 1,
        crashes: 0,
        delays: 0,
        reaches: vec![NONE, SNAPSHOT, GATHER, REPETITION],
    }
}

/// Gathers that are transactions of their own, before the sale.
pub fn gathers() -> Scope {
    let mut table = Table::default();
    product(&mut table, PEN, 4, 2);
    order(&mut table, ADAS, PEN, 1, 1);
    let buyer = alone([place(PEN, 2), place_once(&[(PEN, 3)]), change(ADAS, 3), remove(ADAS)]);
    Scope {
        name: "gathers before the sale: 1 product × 2 shards, 2 buyers, 1 admin",
        table,
        shards: 2,
        senders: vec![buyer.clone(), buyer, alone([moves(PEN, -2, true), Request::Reshard { product: PEN, shards: 1 }])],
        torn: true,
        room: 0,
        losses: 0,
        crashes: 1,
        delays: 0,
        reaches: vec![NONE, SNAPSHOT, BEFORE],
    }
}

/// Lines of one order that come, change and go while it takes a step, or goes.
pub fn orders() -> Scope {
    let mut table = Table::default();
    product(&mut table, PEN, 3, 1);
    order(&mut table, ADAS, PEN, 0, 1);
    let buyer = alone([add(ADAS, PEN, 1, false), add(ADAS, PEN, 1, true), change(ADAS, 2), remove(ADAS)]);
    let admin = vec![
        vec![step(ADAS, CONFIRMED), step(ADAS, SHIPPED), step(ADAS, CANCELLED)],
        vec![step(ADAS, CANCELLED), Request::DeleteOrder { order: ADAS }],
    ];
    let other = alone([step(ADAS, CONFIRMED), step(ADAS, CANCELLED)]);
    Scope {
        name: "orders: 1 order, 1 who changes its lines, 2 who take steps",
        table,
        shards: 1,
        senders: vec![buyer, admin, other],
        torn: true,
        room: 100,
        losses: 1,
        crashes: 1,
        delays: 0,
        reaches: vec![
            NONE,
            REPETITION,
            Reached {
                name: "what was shipped comes back",
                condition: |_, state| {
                    let is_cancelled = state.table.find(Key::Order(ADAS)).is_some_and(|order| order.get(Status) == CANCELLED);
                    is_cancelled && state.all_are_answered()
                },
            },
        ],
    }
}

/// Admins who change the number of shards, the price and the quantity of a product, and delete it, while it sells.
fn shards_up_to(name: &'static str, most: i32) -> Scope {
    let mut table = Table::default();
    product(&mut table, PEN, 3, 1);
    order_at(&mut table, ADAS, PEN, 0, 1, &[CONFIRMED, SHIPPED]);
    let admin = alone([
        Request::Reshard { product: PEN, shards: most },
        Request::Reprice { product: PEN, price: 7 },
        Request::Count { product: PEN, quantity: 4 },
        moves(PEN, 2, false),
        Request::DeleteProduct { product: PEN },
        step(ADAS, CANCELLED),
    ]);
    Scope {
        name,
        table,
        shards: u8::try_from(most).expect("few shards"),
        senders: vec![admin.clone(), admin, alone([place_once(&[(PEN, 2)])])],
        torn: true,
        room: 100,
        losses: 1,
        crashes: 0,
        delays: 0,
        reaches: vec![
            NONE,
            Reached { name: "there is another shard", condition: |_, state| state.table.find(Key::Stock(PEN, 1)).is_some() },
            Reached { name: "a product is gone", condition: |_, state| state.table.find(Key::Product(PEN)).is_none() },
        ],
    }
}

pub fn shards() -> Scope {
    shards_up_to("shards: 1 product × 1 to 2 shards, 2 admins, 1 buyer", 2)
}

/// Writes that come late: after the same was sent again, by the SDK or by the client.
pub fn late() -> Scope {
    let mut table = Table::default();
    product(&mut table, PEN, 2, 2);
    order(&mut table, ADAS, PEN, 0, 1);
    let buyer = alone([
        place_once(&[(PEN, 1)]),
        add(ADAS, PEN, 1, true),
        add(ADAS, PEN, 1, false),
        change(ADAS, 2),
        moves(PEN, -1, true),
    ]);
    Scope {
        name: "late writes: 1 product × 2 shards, 1 buyer, 2 others",
        table,
        shards: 2,
        senders: vec![
            buyer,
            alone([remove(ADAS), step(ADAS, CANCELLED), moves(PEN, 1, false)]),
            alone([place(PEN, 1), Request::Reprice { product: PEN, price: 7 }]),
        ],
        torn: false,
        room: 100,
        losses: 1,
        crashes: 1,
        delays: 1,
        reaches: vec![NONE, REPETITION],
    }
}

/// What every change is checked with.
pub fn small() -> Vec<Scope> {
    vec![sales(), gathers(), orders(), shards(), late()]
}

/// The full configuration, 2 products × 3 shards × 2 orders × 2 admins, with what is left out of it.
fn full(name: &'static str, torn: bool, losses: u8, crashes: u8) -> Scope {
    let mut table = Table::default();
    product(&mut table, PEN, 3, 3);
    product(&mut table, INK, 2, 3);
    order(&mut table, ADAS, PEN, 0, 1);
    order_at(&mut table, BOBS, INK, 1, 1, &[CONFIRMED]);
    let senders = vec![
        alone([place_once(&[(PEN, 2), (INK, 1)])]),
        alone([add(ADAS, INK, 1, true), change(ADAS, 2)]),
        alone([step(ADAS, CANCELLED), step(BOBS, SHIPPED)]),
        alone([Request::Reprice { product: INK, price: 7 }, moves(PEN, -2, true)]),
    ];
    let mut reaches = vec![
        NONE,
        SNAPSHOT,
        GATHER,
        Reached {
            name: "an order is shipped",
            condition: |_, state| state.table.find(Key::Order(BOBS)).is_some_and(|order| order.get(Status) == SHIPPED),
        },
    ];
    reaches.extend((losses > 0).then_some(REPETITION));
    Scope { name, table, shards: 3, senders, torn, room: 100, losses, crashes, delays: 0, reaches }
}

/// What takes too long for every change.
pub fn nightly() -> Vec<Scope> {
    vec![
        full("torn: 2 products × 3 shards, 2 orders, 2 buyers, 2 admins, torn reads", true, 0, 0),
        full("lost: 2 products × 3 shards, 2 orders, 2 buyers, 2 admins, 1 lost answer or crash", false, 1, 1),
        shards_up_to("three: 1 product × 1 to 3 shards, 2 admins, 1 buyer", 3),
    ]
}

/// For a fault, the fewest requests that show it, and the property that it violates.
pub fn planted(fault: Fault) -> (Scope, &'static str) {
    let mut table = Table::default();
    let scope = |table: Table, senders: Vec<Vec<Request>>| Scope {
        name: "planted",
        table,
        shards: 2,
        senders: senders.into_iter().map(alone).collect(),
        torn: true,
        room: 100,
        losses: 0,
        crashes: 0,
        delays: 0,
        reaches: Vec::new(),
    };
    match fault {
        Fault::NoToken => {
            product(&mut table, PEN, 1, 1);
            order(&mut table, ADAS, PEN, 0, 1);
            (Scope { losses: 1, ..scope(table, vec![vec![remove(ADAS)]]) }, invariants::TRUTH)
        }
        Fault::QuantityUnchecked => {
            product(&mut table, PEN, 1, 1);
            (scope(table, vec![vec![place(PEN, 1)], vec![place(PEN, 1)]]), invariants::BOOKS)
        }
        Fault::PriceUnchecked => {
            product(&mut table, PEN, 1, 1);
            let reprice = Request::Reprice { product: PEN, price: 7 };
            (scope(table, vec![vec![place(PEN, 1)], vec![reprice]]), invariants::PRICED)
        }
        Fault::GatherUnconditioned => {
            product(&mut table, PEN, 2, 2);
            (scope(table, vec![vec![place(PEN, 2)], vec![place(PEN, 1)]]), invariants::BOOKS)
        }
        Fault::TornReadBelieved => {
            product(&mut table, PEN, 2, 2);
            let reshard = Request::Reshard { product: PEN, shards: 1 };
            (scope(table, vec![vec![place(PEN, 2)], vec![reshard]]), invariants::SERVED)
        }
        Fault::VersionUnpinned => {
            product(&mut table, PEN, 2, 1);
            order(&mut table, ADAS, PEN, 0, 1);
            (scope(table, vec![vec![add(ADAS, PEN, 1, false)], vec![step(ADAS, CANCELLED)]]), invariants::RESERVED)
        }
        Fault::ShardsUnpinned => {
            product(&mut table, PEN, 2, 2);
            let reshard = Request::Reshard { product: PEN, shards: 1 };
            (scope(table, vec![vec![place(PEN, 1)], vec![reshard]]), invariants::BOOKS)
        }
        Fault::KeyUnchecked => {
            product(&mut table, PEN, 2, 1);
            (Scope { crashes: 1, ..scope(table, vec![vec![place_once(&[(PEN, 1)])]]) }, invariants::ONCE)
        }
        Fault::LineUnguarded => {
            product(&mut table, PEN, 3, 2);
            order(&mut table, ADAS, PEN, 1, 1);
            let other = vec![vec![Request::Count { product: PEN, quantity: 4 }], vec![place(PEN, 2)]];
            let senders = [vec![vec![add(ADAS, PEN, 1, false)]], other].concat();
            (Scope { delays: 1, ..scope(table, senders) }, invariants::TOTALS)
        }
    }
}
