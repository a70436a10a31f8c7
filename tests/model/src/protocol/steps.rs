//! The next call of a request, everything that may come of it, and what the store makes of that.

use std::sync::Arc;

use super::{
    Action, Answer, Call, Late, OnShelf, Purpose, Request, Running, Sale, Seen, Sender, Shop, State, Wanted, note_shortage,
};
use crate::{
    faults::Fault,
    table::{
        Field::{Price, Quantity, Reserved, Shards, Status, StockShards},
        Item, Key, Meaning, Table, Transaction,
    },
    transactions::{self, Line, Moved, PENDING, ProductChange, Source, StockEffect, demand, effect, lines},
};

/// All that may come next.
pub(super) struct Steps<'a> {
    pub shop: &'a Shop,
    pub actions: &'a mut Vec<Action>,
}

impl Steps<'_> {
    fn push(&mut self, sender: usize, what: &'static str, next: State) {
        self.actions.push(Action { sender, what, next: Arc::new(next) });
    }

    /// The next call of a sender's request. `faults`: and what may go wrong with it, and with its function.
    pub fn of_sender(&mut self, state: &State, at: usize, faults: bool) {
        let Some(request) = state.senders[at].request().cloned() else { return };
        let Some(running) = state.senders[at].running.clone() else {
            let mut next = state.clone();
            let mut short = Vec::new();
            note_shortage(&next.table, &request, &mut short);
            let call = self.first_call(at, &next.senders[at], &request);
            Arc::make_mut(&mut next.senders[at]).running = Some(Running { sale: Sale::default(), call, short });
            return self.push(at, "sends", next);
        };
        let run = Run { at, request: &request, running };
        if faults && state.crashes > 0 {
            self.crash(state, &run);
        }
        match run.running.call.clone() {
            Call::Read { purpose, left, seen } => self.read(state, &run, purpose, &left, &seen, faults),
            Call::Snapshot { purpose, product, shards } => {
                let keys = (0..shards).map(|shard| Key::Stock(product, shard));
                let seen = keys.map(|key| (key, state.table.find(key).map(|item| item.only(purpose.reads())))).collect();
                self.have_read(state, &run, purpose, &seen, true);
            }
            Call::Consolidate(mut transactions) => {
                let mut next = state.clone();
                if let Ok(table) = state.table.after(&transactions.remove(0)) {
                    next.table = table;
                    next.note_shortage();
                }
                if transactions.is_empty() {
                    self.after_gathering(&next, &run);
                } else {
                    self.proceed("consolidates", &next, &run, Call::Consolidate(transactions));
                }
            }
            Call::Write(transaction) => self.write(state, &run, &transaction, faults),
            Call::Repeat(transaction) => match self.shop.fault {
                Some(Fault::NoToken) => self.write(state, &run, &transaction, false),
                _ => self.tell(state, &run, Answer::Done),
            },
            Call::Existing { order, mut left, mut gone } => {
                let product = left.remove(0);
                if state.table.find(Key::Stock(product, 0)).is_none() {
                    gone.push(product);
                }
                if left.is_empty() {
                    self.step(state, &run, &order, &gone);
                } else {
                    self.proceed("looks for products", state, &run, Call::Existing { order, left, gone });
                }
            }
            Call::SavedResponse(refusal) => {
                let record = Key::Record(id(at, &state.senders[at], 0));
                let answer = if state.table.find(record).is_some() { Answer::Done } else { refusal };
                self.tell(state, &run, answer);
            }
        }
    }

    fn first_call(&self, at: usize, sender: &Sender, request: &Request) -> Call {
        let read = |purpose, left| Call::Read { purpose, left, seen: Vec::new() };
        match request {
            Request::Place { wanted, .. } => {
                read(Purpose::Offers, wanted.iter().map(|(product, _)| Key::Stock(*product, 0)).collect())
            }
            Request::AddLine { order, product, .. } => read(Purpose::Offers, vec![Key::Stock(*product, 0), Key::Order(*order)]),
            Request::ChangeLine { order, .. }
            | Request::RemoveLine { order, .. }
            | Request::Step { order, .. }
            | Request::DeleteOrder { order } => read(Purpose::Order, vec![Key::Order(*order)]),
            Request::Reprice { product, .. }
            | Request::Reshard { product, .. }
            | Request::Count { product, .. }
            | Request::DeleteProduct { product } => self.read_product(*product),
            Request::Move { product, amount, key } => {
                let (movement, record) = (id(at, sender, sender.again), key.then(|| id(at, sender, 0)));
                Call::Write(transactions::move_alone(*product, *amount, movement, record, self.shop.fault))
            }
        }
    }

    fn shards_of(&self, product: u16) -> impl Iterator<Item = Key> + use<> {
        (0..self.shop.scope.shards).map(move |shard| Key::Stock(product, shard))
    }

    fn read_product(&self, product: u16) -> Call {
        let left = std::iter::once(Key::Product(product)).chain(self.shards_of(product)).collect();
        Call::Read { purpose: Purpose::Product, left, seen: Vec::new() }
    }

    fn query_shards(&self, purpose: Purpose, product: u16) -> Call {
        Call::Read { purpose, left: self.shards_of(product).collect(), seen: Vec::new() }
    }

    /// One more item of several, which may be of another instant than the others, whichever comes next.
    fn read(&mut self, state: &State, run: &Run, purpose: Purpose, left: &[Key], seen: &Seen, any: bool) {
        let choices = if any && self.shop.scope.torn { left.len() } else { 1 };
        for choice in 0..choices {
            let (mut left, mut seen) = (left.to_vec(), seen.clone());
            let look = |key: Key| {
                let found = state.table.find(key);
                match key {
                    Key::Order(_) => found.cloned(),
                    _ => found.map(|item| item.only(purpose.reads())),
                }
            };
            let mut next = vec![left.remove(choice)];
            if !self.shop.scope.torn {
                next.append(&mut left);
            }
            seen.extend(next.into_iter().map(|key| (key, look(key))));
            seen.sort_unstable_by_key(|(key, _)| *key);
            if left.is_empty() {
                self.have_read(state, run, purpose, &seen, false);
            } else {
                self.proceed("reads", state, run, Call::Read { purpose, left, seen });
            }
        }
    }

    /// What follows from what was read.
    fn have_read(&mut self, state: &State, run: &Run, purpose: Purpose, seen: &Seen, at_one_instant: bool) {
        match purpose {
            Purpose::Offers => self.offers(state, run, seen),
            Purpose::Survey => self.on_shelf(state, run, seen, at_one_instant),
            Purpose::Order => self.have_order(state, run, seen[0].1.as_ref()),
            Purpose::Product => self.have_product(state, run, seen),
            Purpose::Spread => self.spread(state, run, seen, at_one_instant),
        }
    }

    /// `stock.rs` `offer`: a product's price, and one of its shards at random.
    fn offers(&mut self, state: &State, run: &Run, seen: &Seen) {
        let mut sales = vec![Vec::new()];
        for (key, item) in seen {
            match (key, item) {
                (Key::Stock(product, _), Some(first)) => {
                    let sold_from = u8::try_from(first.find(StockShards).unwrap_or(1)).expect("few shards");
                    let with = |sale: &Vec<_>, shard| sale.iter().copied().chain([(*product, first.get(Price), shard)]).collect();
                    sales = sales.iter().flat_map(|sale| (0..sold_from).map(move |shard| with(sale, shard))).collect();
                }
                (_, Some(_)) => {}
                (_, None) => return self.refuse(state, run, Answer::Refused),
            }
        }
        for offers in sales {
            let mut run = run.clone();
            run.running.sale.offers = offers;
            let write = self.sale(state, &run);
            self.proceed("has its offers", state, &run, write);
        }
    }

    /// The transaction that sells, in `place` and in `add_item`.
    fn sale(&self, state: &State, run: &Run) -> Call {
        let sender = &state.senders[run.at];
        let (made, record) = (id(run.at, sender, sender.again), id(run.at, sender, 0));
        let Sale { offers, moved, .. } = &run.running.sale;
        let source = |product: u16| {
            let (_, price, shard) = *offers.iter().find(|(its, ..)| *its == product).expect("an offer");
            let moved = moved.iter().find(|(its, _)| *its == product).map(|(_, moved)| moved.clone()).unwrap_or_default();
            (price, Source { shard, moved })
        };
        let line = |at: usize, product: u16, quantity: i32| {
            let (price, Source { shard, .. }) = source(product);
            Line { id: made * 4 + u16::try_from(at).expect("few lines"), product, shard, quantity, price }
        };
        Call::Write(match run.request {
            Request::Place { wanted, key } => {
                let lines: Vec<_> =
                    wanted.iter().enumerate().map(|(at, (product, quantity))| line(at, *product, *quantity)).collect();
                let sources: Vec<_> = wanted.iter().map(|(product, _)| (*product, source(*product).1)).collect();
                transactions::place(made, &lines, &sources, key.then_some(record), self.shop.fault)
            }
            Request::AddLine { order, product, quantity, key } => {
                let line = line(0, *product, *quantity);
                transactions::add_line(*order, line, &source(*product).1, key.then_some(record), self.shop.fault)
            }
            _ => unreachable!("nothing else sells"),
        })
    }

    /// `orders::find`, and what each request does with an order that was read at one instant.
    fn have_order(&mut self, state: &State, run: &Run, order: Option<&Item>) {
        let Some(order) = order else { return self.refuse(state, run, Answer::Refused) };
        match run.request {
            Request::ChangeLine { order: id, line, quantity } => {
                let line = lines(order).into_iter().find(|its| its.id == *line);
                let Some(line) = line.filter(|_| order.get(Status) == PENDING) else {
                    return self.refuse(state, run, Answer::Refused);
                };
                if line.quantity == *quantity {
                    return self.tell(state, run, Answer::Done);
                }
                let mut run = run.clone();
                let moved = std::mem::take(&mut run.running.sale.moved).pop().map(|(_, moved)| moved).unwrap_or_default();
                let write = transactions::change_line(*id, line, *quantity, moved, self.shop.fault);
                self.proceed("has its line", state, &run, Call::Write(write));
            }
            Request::RemoveLine { order: id, line } => {
                let line = lines(order).into_iter().find(|its| its.id == *line);
                let Some(line) = line.filter(|_| order.get(Status) == PENDING) else {
                    return self.refuse(state, run, Answer::Refused);
                };
                self.proceed("has its line", state, run, Call::Write(transactions::remove_line(*id, line)));
            }
            Request::Step { to, restock, .. } => match effect(order.get(Status), *to, *restock) {
                _ if order.get(Status) == *to => self.tell(state, run, Answer::Done),
                None => self.refuse(state, run, Answer::Refused),
                Some(StockEffect::Restocked) => {
                    let mut left: Vec<_> = lines(order).into_iter().map(|line| line.product).collect();
                    left.sort_unstable();
                    left.dedup();
                    if left.is_empty() {
                        return self.step(state, run, order, &[]);
                    }
                    self.proceed("has its order", state, run, Call::Existing { order: order.clone(), left, gone: Vec::new() });
                }
                Some(_) => self.step(state, run, order, &[]),
            },
            Request::DeleteOrder { order: id } => match order.get(Status) {
                PENDING | transactions::CANCELLED => {
                    let write = transactions::delete_order(*id, order, self.shop.fault);
                    self.proceed("has its order", state, run, Call::Write(write));
                }
                _ => self.refuse(state, run, Answer::Refused),
            },
            _ => unreachable!("no other request reads an order"),
        }
    }

    /// `status.rs` `write`
    fn step(&mut self, state: &State, run: &Run, order: &Item, gone: &[u16]) {
        let Request::Step { order: id, to, restock } = run.request else { unreachable!("a step") };
        let effect = effect(order.get(Status), *to, *restock).expect("a step that there is");
        let mut demand = demand(&lines(order));
        demand.retain(|((product, _), _)| !gone.contains(product));
        let write = transactions::step(*id, order, Some(*to), &demand, effect, self.shop.fault);
        self.proceed("has its order", state, run, Call::Write(write));
    }

    /// `products.rs` `update` and `delete`, with a product as its query showed it.
    fn have_product(&mut self, state: &State, run: &Run, seen: &Seen) {
        let row = seen.iter().find_map(|(key, item)| matches!(key, Key::Product(_)).then_some(item.as_ref()).flatten());
        let shards = found_shards(seen);
        let (Some(row), Some((_, first))) = (row, shards.first()) else { return self.refuse(state, run, Answer::Refused) };
        let (Request::Reprice { product, .. }
        | Request::Reshard { product, .. }
        | Request::Count { product, .. }
        | Request::DeleteProduct { product }) = run.request
        else {
            unreachable!("a request about a product")
        };
        let product = *product;
        if !are_all(first, shards.len()) {
            return self.proceed("sees shards that are not all", state, run, self.read_product(product));
        }
        let shards: Vec<_> = shards.into_iter().map(|(_, shard)| shard).collect();
        let sender = &state.senders[run.at];
        let change = match run.request {
            Request::Reprice { price, .. } => ProductChange { price: Some(*price), ..ProductChange::default() },
            Request::Reshard { shards, .. } => ProductChange { stock_shards: Some(*shards), ..ProductChange::default() },
            Request::Count { quantity, .. } => ProductChange { quantity: Some(*quantity), ..ProductChange::default() },
            _ if shards.iter().any(|shard| shard.get(Reserved) > 0) => return self.refuse(state, run, Answer::Refused),
            _ => {
                let write = transactions::delete_product(product, row, &shards, self.shop.fault);
                return self.proceed("has its product", state, run, Call::Write(write));
            }
        };
        let movement = id(run.at, sender, sender.again);
        let write = transactions::change_product(product, row, &shards, change, movement, self.shop.fault);
        self.proceed("has its product", state, run, Call::Write(write));
    }

    /// `stock.rs` `on_shelf`, for the first product that is depleted and not surveyed yet.
    fn on_shelf(&mut self, state: &State, run: &Run, seen: &Seen, at_one_instant: bool) {
        let Wanted { product, pieces, .. } = run.running.sale.depleted[run.running.sale.surveyed.len()];
        match self.enough(product, pieces, seen, at_one_instant, Purpose::Survey) {
            Err(look_again) => self.proceed("looks again", state, run, look_again),
            Ok(on_shelf) => {
                let mut run = run.clone();
                run.running.sale.surveyed.push(on_shelf);
                self.survey(state, &run);
            }
        }
    }

    /// The pieces in each shard; or, if they seem to be too few, how to look at all at one instant.
    fn enough(&self, product: u16, wanted: i32, seen: &Seen, at_one_instant: bool, purpose: Purpose) -> Result<OnShelf, Call> {
        let shards = found_shards(seen);
        let on_shelf: OnShelf = shards.iter().map(|(number, shard)| (*number, shard.get(Quantity))).collect();
        let at_one_instant = at_one_instant || shards.len() < 2 || self.shop.fault == Some(Fault::TornReadBelieved);
        let Some((_, first)) = shards.first() else { return Ok(on_shelf) };
        if total(&on_shelf) >= wanted || at_one_instant && are_all(first, shards.len()) {
            return Ok(on_shelf);
        }
        let shards = u8::try_from(first.find(Shards).unwrap_or(1)).expect("few shards");
        Err(Call::Snapshot { purpose, product, shards })
    }

    /// `stock.rs` `Survey`: all that is depleted is looked at, one after the other here, before anything is told or taken.
    fn survey(&mut self, state: &State, run: &Run) {
        let Sale { depleted, surveyed, refusal, .. } = &run.running.sale;
        if let Some(next) = depleted.get(surveyed.len()) {
            return self.proceed("surveys", state, run, self.query_shards(Purpose::Survey, next.product));
        }
        let too_few = depleted.iter().zip(surveyed).find(|(wanted, on_shelf)| total(on_shelf) < wanted.pieces);
        if let Some((Wanted { product, .. }, _)) = too_few {
            return self.refuse(state, run, Answer::OutOfStock(*product));
        }
        if let Some(refusal) = refusal {
            return self.refuse(state, run, *refusal);
        }
        // `Survey::sources`: every choice of shards.
        let mut plans = vec![Plan { run: run.clone(), before: Vec::new(), room: self.shop.scope.room }];
        for (wanted, on_shelf) in depleted.iter().zip(surveyed) {
            plans = plans.iter().flat_map(|plan| plan.with(*wanted, on_shelf, self.shop.fault)).collect();
        }
        for Plan { mut run, before, .. } in plans {
            run.running.sale.depleted.clear();
            run.running.sale.surveyed.clear();
            if before.is_empty() {
                self.after_gathering(state, &run);
            } else {
                self.proceed("must gather", state, &run, Call::Consolidate(before));
            }
        }
    }

    /// What was surveyed, and gathered, is tried.
    fn after_gathering(&mut self, state: &State, run: &Run) {
        let call = match run.request {
            Request::ChangeLine { order, .. } => {
                Call::Read { purpose: Purpose::Order, left: vec![Key::Order(*order)], seen: Vec::new() }
            }
            _ => self.sale(state, run),
        };
        self.proceed("has its sources", state, run, call);
    }

    /// `movements.rs` `spread`
    fn spread(&mut self, state: &State, run: &Run, seen: &Seen, at_one_instant: bool) {
        let Request::Move { product, amount, key } = run.request else { unreachable!("a movement") };
        let shares: Vec<Vec<(u8, i32)>> = if *amount < 0 {
            match self.enough(*product, -amount, seen, at_one_instant, Purpose::Spread) {
                Err(look_again) => return self.proceed("looks again", state, run, look_again),
                Ok(on_shelf) if on_shelf.is_empty() => return self.refuse(state, run, Answer::Refused),
                Ok(on_shelf) if total(&on_shelf) < -amount => {
                    return self.refuse(state, run, Answer::OutOfStock(*product));
                }
                Ok(on_shelf) => {
                    let out = |moved: Moved| moved.into_iter().map(|(shard, pieces)| (shard, -pieces)).collect();
                    taken(&on_shelf, -amount).into_iter().map(out).collect()
                }
            }
        } else {
            let shards = found_shards(seen);
            let Some((_, first)) = shards.first() else { return self.refuse(state, run, Answer::Refused) };
            let sold_from = first.find(StockShards).unwrap_or(1);
            let all = (0..self.shop.scope.shards).map(|shard| (shard, transactions::share(sold_from, *amount, shard)));
            vec![all.filter(|(_, share)| *share > 0).collect()]
        };
        let sender = &state.senders[run.at];
        let (movement, record) = (id(run.at, sender, sender.again), key.then(|| id(run.at, sender, 0)));
        for shares in shares {
            let write = transactions::move_spread(*product, &shares, movement, record, self.shop.fault);
            self.proceed("has its shares", state, run, Call::Write(write));
        }
    }

    /// `transaction.rs` `attempt`
    fn write(&mut self, state: &State, run: &Run, transaction: &Transaction, faults: bool) {
        match state.table.after(transaction) {
            Ok(table) => {
                let mut done = state.clone();
                let request = done.senders[run.at].answered;
                done.committed(table, run.at, request, transaction);
                if self.shop.fault != Some(Fault::NoToken) {
                    done.late.retain(|late| usize::from(late.sender) != run.at || !late.tried_again);
                }
                if faults && state.losses > 0 {
                    let mut lost = done.clone();
                    lost.losses -= 1;
                    self.proceed("is done and does not hear of it", &lost, run, Call::Repeat(transaction.clone()));
                }
                if faults && state.crashes > 0 {
                    let mut crashed = done.clone();
                    crashed.crashes -= 1;
                    crashed.send_again(run.at);
                    self.push(run.at, "is done and ends without an answer", crashed);
                }
                self.tell(&done, run, Answer::Done);
            }
            Err(failed) => self.cancelled(state, run, transaction, &failed),
        }
        let already = state.late.iter().any(|late| usize::from(late.sender) == run.at && late.tried_again);
        if faults && state.delays > 0 && !already {
            let mut delayed = state.clone();
            delayed.delays -= 1;
            delayed.delay(run.at, transaction, true);
            self.push(run.at, "has a write under way, and sends it once more", delayed);
        }
    }

    /// What failed conditions mean, in the order of the writes.
    fn cancelled(&mut self, state: &State, run: &Run, transaction: &Transaction, failed: &[usize]) {
        let mut run = run.clone();
        // The same is not tried again: its token is another from here on.
        let mut state = state.clone();
        state.forget_token(run.at);
        let meant = failed.iter().map(|at| (transaction.writes[*at].0, transaction.writes[*at].2));
        let met: Vec<_> = meant.map(|(key, meaning)| met(state.table.find(key), key, meaning)).collect();
        let sells = matches!(run.request, Request::Place { .. } | Request::AddLine { .. });
        for met in met {
            match met {
                // `sale.rs` `learn`
                Met::PriceChanged { product, price } => {
                    let offer = run.running.sale.offers.iter_mut().find(|(its, ..)| *its == product);
                    offer.expect("an offer").1 = price;
                }
                Met::ShardDepleted { product, wanted } if sells => {
                    let depleted = &mut run.running.sale.depleted;
                    if depleted.iter().all(|before| before.product != product) {
                        depleted.push(Wanted { product, pieces: wanted, shard: None });
                    }
                }
                Met::Repeated => return self.tell(&state, &run, Answer::Done),
                Met::Refused(answer) if sells && !run.running.sale.depleted.is_empty() => {
                    run.running.sale.refusal = Some(answer);
                    return self.survey(&state, &run);
                }
                Met::Refused(answer) => return self.refuse(&state, &run, answer),
                // `why_not_added`: the line is there already.
                Met::Changed if matches!(run.request, Request::AddLine { .. }) => {
                    return self.tell(&state, &run, Answer::Unavailable);
                }
                // Of all others, only the first counts.
                Met::Changed | Met::ShardDepleted { .. } => {
                    let shard = match transaction.writes.get(1) {
                        Some((Key::Stock(_, shard), ..)) => Some(*shard),
                        _ => None,
                    };
                    if let (Met::ShardDepleted { product, wanted }, Request::ChangeLine { .. }) = (met, run.request) {
                        run.running.sale.depleted = vec![Wanted { product, pieces: wanted, shard }];
                        return self.survey(&state, &run);
                    }
                    return self.start_over(&state, &run);
                }
            }
        }
        let depleted = run.running.sale.depleted.clone();
        run.running.sale.moved.retain(|(product, _)| depleted.iter().all(|wanted| wanted.product != *product));
        if depleted.is_empty() {
            let write = self.sale(&state, &run);
            self.proceed("is told another price", &state, &run, write);
        } else {
            self.survey(&state, &run);
        }
    }

    /// `retry.rs` `until_done`: everything is read again.
    fn start_over(&mut self, state: &State, run: &Run) {
        let call = match run.request {
            Request::Move { product, .. } => self.query_shards(Purpose::Spread, *product),
            request => self.first_call(run.at, &state.senders[run.at], request),
        };
        self.proceed("starts over", state, run, call);
    }

    /// A function ends: its client sends the request again. What it was writing is lost, or still under way.
    fn crash(&mut self, state: &State, run: &Run) {
        let mut crashed = state.clone();
        crashed.crashes -= 1;
        if let Call::Write(transaction) = &run.running.call
            && state.delays > 0
        {
            let mut under_way = crashed.clone();
            under_way.delays -= 1;
            under_way.send_again(run.at);
            under_way.delay(run.at, transaction, false);
            self.push(run.at, "ends, and its write is under way", under_way);
        }
        crashed.send_again(run.at);
        self.push(run.at, "ends", crashed);
    }

    /// A late write arrives. One that is refused has no effect, and nobody hears of either.
    pub fn arrive(&mut self, state: &State, at: usize) {
        let mut next = state.clone();
        let Late { sender, request, transaction, tried_again } = next.late.remove(at);
        let sender = usize::from(sender);
        if let Ok(table) = state.table.after(&transaction) {
            next.committed(table, sender, request, &transaction);
            if tried_again && self.shop.fault != Some(Fault::NoToken) {
                let its = Arc::make_mut(&mut next.senders[sender]);
                let running = its.running.as_mut().expect("a request that is tried again");
                running.call = Call::Repeat(transaction);
            } else if request == next.senders[sender].answered {
                Arc::make_mut(&mut next.senders[sender]).uncertain = true;
            }
        }
        self.push(sender, "has a late write that arrives", next);
    }

    fn proceed(&mut self, what: &'static str, state: &State, run: &Run, call: Call) {
        let mut next = state.clone();
        let running = Arc::make_mut(&mut next.senders[run.at]).running.as_mut().expect("a request under way");
        running.sale = run.running.sale.clone();
        running.call = call;
        self.push(run.at, what, next);
    }

    /// A refusal, unless the request is the repetition of one that was carried out.
    fn refuse(&mut self, state: &State, run: &Run, refusal: Answer) {
        if run.request.has_key() && matches!(refusal, Answer::Refused | Answer::OutOfStock(_)) {
            self.proceed("looks for a saved response", state, run, Call::SavedResponse(refusal));
        } else {
            self.tell(state, run, refusal);
        }
    }

    fn tell(&mut self, state: &State, run: &Run, answer: Answer) {
        let mut next = state.clone();
        next.forget_token(run.at);
        let sender = Arc::make_mut(&mut next.senders[run.at]);
        let running = sender.running.take().expect("a request under way");
        let effects = sender.effects[usize::from(sender.answered)];
        // A write that arrives when nobody tries the same any more: what is answered then says nothing of it.
        let uncertain = std::mem::take(&mut sender.uncertain);
        let is_known = !uncertain && (run.request.has_key() || sender.again == 0);
        sender.answered += 1;
        sender.again = 0;
        let what = match answer {
            Answer::Done => "is done",
            Answer::Broken => "is answered 500",
            Answer::Unavailable => "is answered 503",
            Answer::Refused => "is refused",
            Answer::OutOfStock(_) => "is told that there is too little",
        };
        match answer {
            Answer::Done | Answer::Unavailable => {}
            Answer::Broken => next.wrongs.broken |= !uncertain,
            Answer::Refused => next.wrongs.denied |= is_known && effects > 0,
            Answer::OutOfStock(product) => {
                next.wrongs.denied |= is_known && effects > 0;
                let wanted = run.request.wanted().into_iter().chain(run.request.taken_out());
                let is_about = wanted.into_iter().any(|(its, _)| its == product);
                next.wrongs.turned_away |= is_about && !running.short.contains(&product);
            }
        }
        self.push(run.at, what, next);
    }
}

/// What a failed condition has met.
#[derive(Clone, Copy, Debug)]
enum Met {
    Refused(Answer),
    Repeated,
    Changed,
    PriceChanged { product: u16, price: i32 },
    ShardDepleted { product: u16, wanted: i32 },
}

/// `why_not_reserved` and its like: what the item says that made a condition fail.
fn met(found: Option<&Item>, key: Key, meaning: Meaning) -> Met {
    let is_spread = |item: &Item| item.find(StockShards).is_some() || !matches!(key, Key::Stock(_, 0));
    match (meaning, found) {
        (Meaning::Changed, _) | (Meaning::NotRestocked, None) => Met::Changed,
        (Meaning::Repeated, _) => Met::Repeated,
        (Meaning::Broken | Meaning::NotRestocked, _) | (Meaning::NotHeld { price: None, .. }, None) => {
            Met::Refused(Answer::Broken)
        }
        (Meaning::NotEditable, Some(order)) if order.get(Status) == PENDING => Met::Changed,
        (Meaning::NotEditable, _) | (Meaning::NotMoved { .. } | Meaning::NotHeld { .. }, None) => Met::Refused(Answer::Refused),
        (Meaning::NotTaken { product, wanted }, _) => Met::ShardDepleted { product, wanted },
        (Meaning::NotHeld { product, wanted, here, price }, Some(shard)) => {
            if shard.get(Quantity) >= here {
                match price.filter(|price| *price != shard.get(Price)) {
                    Some(_) => Met::PriceChanged { product, price: shard.get(Price) },
                    None => Met::Refused(Answer::Broken),
                }
            } else if is_spread(shard) {
                Met::ShardDepleted { product, wanted }
            } else {
                Met::Refused(Answer::OutOfStock(product))
            }
        }
        (Meaning::NotMoved { .. }, Some(shard)) if is_spread(shard) => Met::Changed,
        (Meaning::NotMoved { product, .. }, Some(_)) => Met::Refused(Answer::OutOfStock(product)),
    }
}

/// A request at work.
#[derive(Clone)]
struct Run<'a> {
    at: usize,
    request: &'a Request,
    running: Running,
}

/// A number that no other request has, for what the present one of a sender makes when it is sent for the n-th time.
fn id(at: usize, sender: &Sender, again: u8) -> u16 {
    let at = u16::try_from(at).expect("few senders");
    (at * 8 + u16::from(sender.answered)) * 4 + u16::from(again)
}

impl State {
    fn committed(&mut self, table: Table, sender: usize, request: u8, transaction: &Transaction) {
        for (_, _, meaning) in &transaction.writes {
            if let Meaning::NotHeld { product, price: Some(price), .. } = meaning {
                let now = self.table.find(Key::Product(*product)).map(|product| product.get(Price));
                self.wrongs.mispriced |= now != Some(*price);
            }
        }
        self.table = table;
        self.note_shortage();
        let Sender { todo, answered, again, effects, .. } = Arc::make_mut(&mut self.senders[sender]);
        let asked = &todo[usize::from(request)];
        if let Request::Count { product, quantity } = asked {
            self.wrongs.miscounted |= self.table.on_shelf(*product) != *quantity;
        }
        let effects = &mut effects[usize::from(request)];
        *effects += 1;
        let is_known = asked.has_key() || request == *answered && *again == 0;
        self.wrongs.twice |= is_known && *effects > 1;
    }

    fn send_again(&mut self, at: usize) {
        self.forget_token(at);
        let sender = Arc::make_mut(&mut self.senders[at]);
        sender.again += 1;
        sender.running = None;
    }

    fn delay(&mut self, at: usize, transaction: &Transaction, tried_again: bool) {
        let (sender, request) = (u8::try_from(at).expect("few senders"), self.senders[at].answered);
        self.late.push(Late { sender, request, transaction: transaction.clone(), tried_again });
    }

    /// What a sender has under way is not tried again.
    fn forget_token(&mut self, at: usize) {
        for late in self.late.iter_mut().filter(|late| usize::from(late.sender) == at) {
            late.tried_again = false;
        }
    }
}

/// From where what was surveyed is taken.
#[derive(Clone)]
struct Plan<'a> {
    run: Run<'a>,
    /// What is gathered before.
    before: Vec<Transaction>,
    /// How many moves the transaction that sells can take along.
    room: usize,
}

impl Plan<'_> {
    fn with(&self, wanted: Wanted, on_shelf: &OnShelf, fault: Option<Fault>) -> Vec<Self> {
        let mut plans = Vec::new();
        let shards = wanted.shard.map_or_else(|| picks(on_shelf, wanted.pieces), |shard| vec![shard]);
        for shard in shards {
            let here = on_shelf.iter().find(|(its, _)| *its == shard).map_or(0, |(_, pieces)| *pieces);
            let others: OnShelf = on_shelf.iter().copied().filter(|(its, _)| *its != shard).collect();
            for moved in taken(&others, (wanted.pieces - here).max(0)) {
                let mut plan = self.clone();
                if let Some(offer) = plan.run.running.sale.offers.iter_mut().find(|(its, ..)| *its == wanted.product) {
                    offer.2 = shard;
                }
                match plan.room.checked_sub(moved.len()) {
                    Some(rest) => {
                        plan.room = rest;
                        plan.run.running.sale.moved.push((wanted.product, moved));
                    }
                    None => plan.before.push(transactions::consolidate(wanted.product, shard, &moved, fault)),
                }
                plans.push(plan);
            }
        }
        plans
    }
}

fn found_shards(seen: &Seen) -> Vec<(u8, Item)> {
    let shard = |(key, item): &(Key, Option<Item>)| match (key, item) {
        (Key::Stock(_, shard), Some(item)) => Some((*shard, item.clone())),
        _ => None,
    };
    seen.iter().filter_map(shard).collect()
}

/// `stock.rs` `are_all`
fn are_all(first: &Item, found: usize) -> bool {
    usize::try_from(first.find(Shards).unwrap_or(1)) == Ok(found)
}

fn total(on_shelf: &OnShelf) -> i32 {
    on_shelf.iter().map(|(_, pieces)| pieces).sum()
}

/// `stock.rs` `pick_shard`: each that it may pick.
fn picks(on_shelf: &OnShelf, wanted: i32) -> Vec<u8> {
    let most = on_shelf.iter().map(|(_, pieces)| *pieces).max().unwrap_or_default().min(wanted);
    on_shelf.iter().filter(|(_, pieces)| *pieces >= most).map(|(shard, _)| *shard).collect()
}

/// `stock.rs` `taken`: the fullest first, and among equals each order.
fn taken(shards: &OnShelf, missing: i32) -> Vec<Moved> {
    let most = shards.iter().map(|(_, pieces)| *pieces).max().unwrap_or_default();
    if missing <= 0 || most <= 0 {
        return vec![Moved::new()];
    }
    let mut plans = Vec::new();
    for (shard, pieces) in shards.iter().filter(|(_, pieces)| *pieces == most) {
        let others: OnShelf = shards.iter().copied().filter(|(its, _)| its != shard).collect();
        for mut rest in taken(&others, missing - pieces) {
            rest.insert(0, (*shard, missing.min(*pieces)));
            plans.push(rest);
        }
    }
    plans
}
