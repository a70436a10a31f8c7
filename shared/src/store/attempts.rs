//! Attempts that are counted: failed logins, and registrations. Each window of them closes when it is full.

use std::cell::RefCell;

use serde::Deserialize;

use super::{
    expression::Expression,
    key::{Attempted, Item, Key},
    retry::{Round, until_done},
    table::{Table, from_item},
    transaction::{Cancellation, Transaction},
};
use crate::{
    Error, Result,
    domain::{
        SourceAddress, Timestamp,
        attempts::{FAILURES_FROM_ADDRESS, FAILURES_IN_TOTAL, Standing, WINDOW_SECONDS, Window},
    },
};

#[derive(Deserialize)]
struct Row {
    attempts: u64,
    expires_at: i64,
}

/// One count, as it was last seen.
#[derive(Debug, Clone, Copy)]
struct Counter<'a> {
    key: Key<'a>,
    limit: u64,
    /// Whether it only keeps out strangers, and this is none.
    spared: bool,
    /// `None` if nothing is counted.
    window: Option<Window>,
}

impl<'a> Counter<'a> {
    fn new(key: Key<'a>, limit: u64) -> Self {
        Self { key, limit, spared: false, window: None }
    }

    fn standing(&self, now: Timestamp) -> Standing {
        self.window.map_or(Standing::Open, |window| window.standing(self.limit, now))
    }

    /// Takes note of the item; `None` if there is none.
    fn saw(&mut self, item: Option<Item>) -> Result {
        self.window = item.map(window_of).transpose()?;
        Ok(())
    }

    /// Counts one more, on the condition that nothing has changed that matters.
    fn one_more(&self, now: Timestamp) -> Expression {
        let ends = now.seconds() + WINDOW_SECONDS;
        match self.window {
            Some(window) if self.standing(now) == Standing::Over => {
                // Of several who begin the next window, one is the first, and the others count in it.
                Expression::default().equal("expires_at", window.expires_at).set("attempts", 1_u64).set("expires_at", ends)
            }
            _ => Expression::default()
                .in_open_window(now.seconds(), Window::latest_end(now), self.limit)
                .add("attempts", 1)
                .set_if_absent("expires_at", ends),
        }
    }

    /// Condition: one more attempt could be made.
    fn not_closed(&self, now: Timestamp) -> Expression {
        Expression::default().open_or_over(now.seconds(), Window::latest_end(now), self.limit)
    }
}

/// What is counted of the logins to one account from one address.
#[derive(Debug, Clone, Copy)]
pub struct LoginAttempts<'a> {
    from_address: Counter<'a>,
    in_total: Counter<'a>,
    /// Over all accounts; `None` if the shop sets no limit.
    of_address: Option<Counter<'a>>,
}

impl<'a> LoginAttempts<'a> {
    /// `per_address` is how many logins may fail from one address over all accounts; 0 is no limit.
    pub(super) fn new(who: Attempted<'a>, address: &'a SourceAddress, per_address: u64) -> Self {
        Self {
            from_address: Counter::new(Key::FailuresFrom(who, address), FAILURES_FROM_ADDRESS),
            in_total: Counter::new(Key::FailuresInTotal(who), FAILURES_IN_TOTAL),
            of_address: (per_address > 0).then(|| Counter::new(Key::LoginsFrom(address), per_address)),
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key<'a>> {
        self.counters().map(|counter| counter.key)
    }

    fn counters(&self) -> impl Iterator<Item = Counter<'a>> {
        [Some(self.from_address), Some(self.in_total), self.of_address].into_iter().flatten()
    }

    /// Takes note of what was read; `item` finds an item by its key.
    pub(super) fn saw(&mut self, mut item: impl FnMut(&Key<'_>) -> Option<Item>) -> Result {
        let counters = [Some(&mut self.from_address), Some(&mut self.in_total), self.of_address.as_mut()];
        counters.into_iter().flatten().try_for_each(|counter| counter.saw(item(&counter.key)))
    }

    /// The account has a live session from this address: failures from elsewhere do not keep it out.
    pub(super) fn spare(&mut self) {
        self.in_total.spared = true;
    }

    /// Refuses if any of the windows is closed.
    pub(super) fn require_open(&self, now: Timestamp) -> Result {
        require_open(self.counters(), now)
    }

    /// Counts a failed login. [`Error::TooManyAttempts`] if others have used a window up in the meantime.
    pub(super) async fn count_failure(self, table: &Table, now: Timestamp) -> Result {
        count(table, self.counters().collect(), now).await
    }

    /// Adds to the transaction of a successful login that the windows are still open, and that the account's failures are
    /// forgotten: of many guesses at once, one that is right comes too late after others have used the window up.
    pub(super) fn clear<'t>(&self, transaction: Transaction<'t>, now: Timestamp) -> Transaction<'t> {
        let refusal = move |limit| move |found: Option<Item>| refusal(found, limit, now);
        let from_address = self.from_address;
        let mut transaction = transaction.delete(from_address.key, &from_address.not_closed(now), refusal(from_address.limit));
        let unless_closed = if self.in_total.spared { Expression::default() } else { self.in_total.not_closed(now) };
        transaction = transaction.delete(self.in_total.key, &unless_closed, refusal(self.in_total.limit));
        match self.of_address {
            Some(counter) => transaction.check(counter.key, &counter.not_closed(now), refusal(counter.limit)),
            None => transaction,
        }
    }
}

/// Counts a registration or a recovery from an address. [`Error::TooManyAttempts`] if there have been `limit` of them lately; 0 is no
/// limit.
pub async fn count_from(table: &Table, address: &SourceAddress, limit: u64, now: Timestamp) -> Result {
    match limit {
        0 => Ok(()),
        limit => count(table, vec![Counter::new(Key::RegistrationsFrom(address), limit)], now).await,
    }
}

/// Refuses if any of the windows is closed, but for those that are spared.
fn require_open<'a>(mut counters: impl Iterator<Item = Counter<'a>>, now: Timestamp) -> Result {
    counters.try_for_each(|counter| match counter.standing(now) {
        Standing::Closed(retry_after) if !counter.spared => Err(Error::TooManyAttempts { retry_after }),
        _ => Ok(()),
    })
}

/// Counts one more of everything, or of nothing if a window is closed; those that are spared are left out when they are.
async fn count(table: &Table, mut counters: Vec<Counter<'_>>, now: Timestamp) -> Result {
    require_open(counters.iter().copied(), now)?;
    until_done(async |backoff| {
        // What stands against it, if there is anything: which counters, and how they are by now.
        let found = RefCell::new(Vec::new());
        let mut transaction = Transaction::new(table);
        for (index, counter) in counters.iter().enumerate() {
            if matches!(counter.standing(now), Standing::Closed(_)) {
                continue;
            }
            let found = &found;
            transaction = transaction.update(counter.key, &counter.one_more(now), move |item| {
                found.borrow_mut().push((index, item));
                Cancellation::Changed
            });
        }
        let round = transaction.attempt(backoff).await?.into_round()?;
        for (index, item) in found.into_inner() {
            counters[index].saw(item)?;
        }
        // Nothing to wait for if others have made the last attempt that there was.
        require_open(counters.iter().copied(), now)?;
        Ok(match round {
            Round::Changed => Round::Told,
            round => round,
        })
    })
    .await
}

/// What a login is told that comes too late.
fn refusal(found: Option<Item>, limit: u64, now: Timestamp) -> Error {
    match found.map(window_of).transpose() {
        Ok(window) => match window.map(|window| window.standing(limit, now)) {
            Some(Standing::Closed(retry_after)) => Error::TooManyAttempts { retry_after },
            _ => Error::Internal("attempts were refused that are open".into()),
        },
        Err(error) => error,
    }
}

fn window_of(item: Item) -> Result<Window> {
    let Row { attempts, expires_at } = from_item(item)?;
    Ok(Window { attempts, expires_at })
}
