//! What requests do between their call and their answer: every call to DynamoDB is a step that others come before and after, every item
//! of a `Query` or a `BatchGetItem` is read at an instant of its own, answers are lost, functions end, and writes arrive late.
//!
//! A state is the table, the requests under way with what each has read, and what was seen on the way that must not have been.

mod steps;

use std::{
    cell::RefCell,
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use stateright::{Model, Property};

use self::steps::Steps;

use crate::{
    faults::Fault,
    invariants,
    scopes::Scope,
    table::{
        Field::{self, Price, Quantity, Reserved, Shards, Status, StockShards, Version},
        Item, Key, Meaning, Table, Transaction,
    },
    transactions::{Moved, PENDING},
};

/// A request, by the function of `shared/src/store` that carries it out. Whoever sends one with a `key` sends it again with the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// `orders::place`: products, and how many pieces of each.
    Place { wanted: Vec<(u16, i32)>, key: bool },
    /// `orders::add_item`
    AddLine { order: u16, product: u16, quantity: i32, key: bool },
    /// `orders::change_item`
    ChangeLine { order: u16, line: u16, quantity: i32 },
    /// `orders::remove_item`
    RemoveLine { order: u16, line: u16 },
    /// `orders::change`
    Step { order: u16, to: i32, restock: bool },
    /// `orders::delete`
    DeleteOrder { order: u16 },
    /// `products::update` of the price
    Reprice { product: u16, price: i32 },
    /// `products::update` of the number of shards
    Reshard { product: u16, shards: i32 },
    /// `products::update` of the quantity, as it was counted
    Count { product: u16, quantity: i32 },
    /// `products::delete`
    DeleteProduct { product: u16 },
    /// `movements::carry_out`
    Move { product: u16, amount: i32, key: bool },
}

impl Request {
    fn has_key(&self) -> bool {
        matches!(self, Self::Place { key: true, .. } | Self::AddLine { key: true, .. } | Self::Move { key: true, .. })
    }

    /// What a buyer wants to have, of which products.
    pub fn wanted(&self) -> Vec<(u16, i32)> {
        match self {
            Self::Place { wanted, .. } => wanted.clone(),
            Self::AddLine { product, quantity, .. } => vec![(*product, *quantity)],
            _ => Vec::new(),
        }
    }

    /// The product whose pieces an admin takes out.
    fn taken_out(&self) -> Option<(u16, i32)> {
        match self {
            Self::Move { product, amount, .. } if *amount < 0 => Some((*product, -amount)),
            _ => None,
        }
    }
}

/// Pieces of a product that are to be in one shard, or in any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    product: u16,
    pieces: i32,
    shard: Option<u8>,
}

/// `sale.rs` `Sale`: at what prices products are sold, from where their pieces are taken, and what stood in the way of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Sale {
    /// Price and shard of each product.
    offers: Vec<(u16, i32, u8)>,
    moved: Vec<(u16, Moved)>,
    depleted: Vec<Wanted>,
    /// The shelves of the first of those that are depleted.
    surveyed: Vec<OnShelf>,
    /// What is answered if there are enough pieces of what is depleted.
    refusal: Option<Answer>,
}

/// Pieces that can be sold, by shard.
type OnShelf = Vec<(u8, i32)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Done,
    /// There are too few pieces of a product.
    OutOfStock(u16),
    /// Something is not there, or not as it must be.
    Refused,
    /// A 500.
    Broken,
    /// A 503, which says nothing of the effect.
    Unavailable,
}

/// What is read, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Purpose {
    /// `stock::offers`, and in `add_item` beside the order.
    Offers,
    /// `stock::on_shelf`
    Survey,
    /// `orders::find`
    Order,
    /// `products::read`
    Product,
    /// `movements::spread`
    Spread,
}

impl Purpose {
    /// The attributes that are made use of.
    fn reads(self) -> &'static [Field] {
        match self {
            Self::Offers => &[Price, StockShards],
            Self::Survey => &[Quantity, Shards],
            Self::Spread => &[Quantity, Shards, StockShards],
            Self::Product => &[Price, Quantity, Reserved, Shards, StockShards, Version],
            Self::Order => unreachable!("an order is read as a whole"),
        }
    }
}

type Seen = Vec<(Key, Option<Item>)>;

/// The next call to DynamoDB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Call {
    /// Items that are still to be read, each at an instant of its own; one alone is read at one instant.
    Read { purpose: Purpose, left: Vec<Key>, seen: Seen },
    /// `table.rs` `snapshot`: `TransactGetItems` of so many shards of a product.
    Snapshot { purpose: Purpose, product: u16, shards: u8 },
    /// `stock.rs` `consolidate`, before the write that needs the pieces.
    Consolidate(Vec<Transaction>),
    /// `transaction.rs` `attempt`
    Write(Transaction),
    /// The same again, by the SDK, because the answer was lost: the transaction was carried out.
    Repeat(Transaction),
    /// `status.rs` `moved`: which products there still are.
    Existing { order: Item, left: Vec<u16>, gone: Vec<u16> },
    /// `idempotency.rs` `unless_repeated`
    SavedResponse(Answer),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Running {
    sale: Sale,
    call: Call,
    /// Products of which there was not enough at some instant since the request came.
    short: Vec<u16>,
}

/// Somebody who sends requests, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sender {
    todo: Arc<[Request]>,
    /// How many of them are answered.
    answered: u8,
    /// How often the present one was sent again.
    again: u8,
    running: Option<Running>,
    /// Whether a write of the present one has arrived that is not tried any more.
    uncertain: bool,
    /// How many transactions each request has carried out.
    effects: Vec<u8>,
}

/// A write that has left its function and not arrived yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Late {
    sender: u8,
    request: u8,
    transaction: Transaction,
    /// Whether the function still tries the same with the same token.
    tried_again: bool,
}

/// What must not have happened on the way. Each is a property of its own.
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wrongs {
    /// A request with a key, or one that was sent once, had its effect twice.
    pub twice: bool,
    /// A request was refused that had had its effect.
    pub denied: bool,
    /// A 500 was answered.
    pub broken: bool,
    /// "Out of stock" was answered though there was enough all the time.
    pub turned_away: bool,
    /// Something was sold at another price than its product had at that instant.
    pub mispriced: bool,
    /// There were other pieces on the shelf after a count than were counted.
    pub miscounted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub table: Table,
    senders: Vec<Arc<Sender>>,
    late: Vec<Late>,
    /// How many answers may still be lost, functions may end, and writes may come late.
    losses: u8,
    crashes: u8,
    delays: u8,
    pub wrongs: Wrongs,
}

/// What happened, and what then is. Two steps with one outcome are one.
#[derive(Clone)]
pub struct Action {
    sender: usize,
    what: &'static str,
    next: Arc<State>,
}

impl PartialEq for Action {
    fn eq(&self, other: &Self) -> bool {
        self.next == other.next
    }
}

impl std::fmt::Debug for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sender, what, next } = self;
        match next.senders[*sender].request().filter(|_| *what == "sends") {
            Some(request) => write!(f, "{sender} {what} {request:?}"),
            None => write!(f, "{sender} {what}"),
        }
    }
}

/// The shop of a scope, with a fault or without.
#[derive(Clone)]
pub struct Shop {
    pub scope: Scope,
    pub fault: Option<Fault>,
}

impl Model for Shop {
    type State = State;
    type Action = Action;

    /// One for each choice of requests.
    fn init_states(&self) -> Vec<State> {
        let Scope { table, losses, crashes, delays, .. } = &self.scope;
        let sender = |todo: &Vec<Request>| Sender {
            todo: todo.as_slice().into(),
            answered: 0,
            again: 0,
            running: None,
            uncertain: false,
            effects: vec![0; todo.len()],
        };
        let state = |choice: &Vec<Vec<Request>>| State {
            table: table.clone(),
            senders: choice.iter().map(|todo| Arc::new(sender(todo))).collect(),
            late: Vec::new(),
            losses: *losses,
            crashes: *crashes,
            delays: *delays,
            wrongs: Wrongs::default(),
        };
        self.scope.choices().iter().map(state).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut steps = Steps { shop: self, actions };
        for sender in 0..state.senders.len() {
            steps.of_sender(state, sender, true);
        }
        for at in 0..state.late.len() {
            steps.arrive(state, at);
        }
    }

    fn next_state(&self, _: &State, action: Action) -> Option<State> {
        Some(Arc::unwrap_or_clone(action.next))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        invariants::properties(&self.scope)
    }
}

impl Shop {
    /// What may come next if nobody but one sender does anything and nothing fails.
    fn alone(&self, state: &State, sender: usize) -> Vec<Action> {
        let mut actions = Vec::new();
        Steps { shop: self, actions: &mut actions }.of_sender(state, sender, false);
        actions
    }

    /// Whether the request of every sender ends within so many calls if all others stand still from here on; and if it has only just
    /// come, whether a buyer then gets what is there.
    pub fn each_ends_alone(&self, state: &State, calls: u32) -> bool {
        (0..state.senders.len()).all(|sender| self.ends_alone(state, sender, calls))
    }

    fn ends_alone(&self, state: &State, sender: usize, calls: u32) -> bool {
        thread_local! {
            /// What is known to end: it depends on the table and the sender alone.
            static END: RefCell<HashSet<u64>> = RefCell::default();
        }
        let Some(request) = state.senders[sender].request() else { return true };
        let mut hasher = DefaultHasher::new();
        (&state.table, &state.senders[sender]).hash(&mut hasher);
        let known = hasher.finish();
        if END.with_borrow(|end| end.contains(&known)) {
            return true;
        }
        let served = state.senders[sender].running.is_none() && state.is_to_be_served(request);
        let before = state.senders[sender].answered;
        let effects = |state: &State| state.senders[sender].effects[usize::from(before)];
        let mut ahead = vec![(Arc::new(state.clone()), calls)];
        while let Some((state, calls)) = ahead.pop() {
            if state.senders[sender].answered > before {
                if served && effects(&state) == 0 {
                    return false;
                }
            } else if calls == 0 {
                return false;
            } else {
                ahead.extend(self.alone(&state, sender).into_iter().map(|action| (action.next, calls - 1)));
            }
        }
        END.with_borrow_mut(|end| end.insert(known));
        true
    }
}

impl State {
    /// Whether there is all that somebody wants to buy.
    fn is_to_be_served(&self, request: &Request) -> bool {
        let wanted = request.wanted();
        let is_open = |order: u16| self.table.find(Key::Order(order)).is_some_and(|order| order.get(Status) == PENDING);
        let open = match request {
            Request::Place { .. } => true,
            Request::AddLine { order, .. } => is_open(*order),
            _ => false,
        };
        open && wanted.iter().all(|(product, pieces)| self.table.on_shelf(*product) >= *pieces)
    }

    /// Whether anybody is at such a call.
    fn is_at(&self, call: impl Fn(&Call) -> bool) -> bool {
        self.senders.iter().any(|sender| sender.running.as_ref().is_some_and(|running| call(&running.call)))
    }

    pub fn has_snapshot(&self) -> bool {
        self.is_at(|call| matches!(call, Call::Snapshot { .. }))
    }

    pub fn has_repetition(&self) -> bool {
        self.is_at(|call| matches!(call, Call::Repeat(_)))
    }

    pub fn has_consolidation(&self) -> bool {
        self.is_at(|call| matches!(call, Call::Consolidate(_)))
    }

    /// A sale that brings pieces along from another shard.
    pub fn has_gather(&self) -> bool {
        let gathers = |(_, _, meaning): &(Key, _, Meaning)| matches!(meaning, Meaning::NotTaken { wanted: 1.., .. });
        self.is_at(|call| matches!(call, Call::Write(transaction) if transaction.writes.iter().any(gathers)))
    }

    pub fn all_are_answered(&self) -> bool {
        self.senders.iter().all(|sender| sender.request().is_none())
    }

    /// What every commit changes for those who are at work: who has too few pieces, now or before.
    fn note_shortage(&mut self) {
        for sender in &mut self.senders {
            let (Some(request), Some(running)) = (sender.request(), &sender.running) else { continue };
            let mut short = running.short.clone();
            note_shortage(&self.table, request, &mut short);
            if short != running.short {
                Arc::make_mut(sender).running.as_mut().expect("a request under way").short = short;
            }
        }
    }
}

fn note_shortage(table: &Table, request: &Request, short: &mut Vec<u16>) {
    for (product, pieces) in request.wanted().into_iter().chain(request.taken_out()) {
        if table.on_shelf(product) < pieces && !short.contains(&product) {
            short.push(product);
            short.sort_unstable();
        }
    }
}

impl Sender {
    fn request(&self) -> Option<&Request> {
        self.todo.get(usize::from(self.answered))
    }
}
