//! How long a write is tried again: what the SDK does not retry, and what was based on a read that has become outdated.

use std::time::Duration;

use aws_sdk_dynamodb::types::CancellationReason;
use tokio::time::Instant;

use super::mutant::{Part, is_left_out};
use crate::{Error, Result, telemetry::record};

/// How long one operation may go on trying. It leaves a last attempt the time to be answered before the request's deadline.
const PATIENCE: Duration = Duration::from_millis(2_800);

/// The longest first pause; it doubles with every further one, up to eight times as much.
const BASE: Duration = Duration::from_millis(25);

/// The longest pause of a write that needs many items at once while others keep taking them one by one: whoever waits for longer meets
/// no fewer of them, and should look more often for the moment at which all are free.
const STEADY: Duration = Duration::from_millis(10);

/// Attempts at one operation, limited by time and not by number: how many it takes depends on how many others want the same.
pub struct Backoff {
    until: Instant,
    /// The longest next pause.
    longest: Duration,
    /// How often it may still double.
    doublings: u32,
    /// Whether a first repetition at once has been had.
    repeated: bool,
}

impl Backoff {
    #[track_caller]
    pub fn new() -> Self {
        if is_left_out(Part::Retry) {
            return Self::none();
        }
        Self { until: Instant::now() + PATIENCE, longest: BASE, doublings: 3, repeated: false }
    }

    /// For a write of many items that others keep writing to.
    #[track_caller]
    pub fn steady() -> Self {
        Self { longest: STEADY, doublings: 0, ..Self::new() }
    }

    /// A single attempt: whoever makes it starts over with another plan.
    pub fn none() -> Self {
        Self { until: Instant::now(), longest: Duration::ZERO, doublings: 0, repeated: true }
    }

    /// Before the same call is made again, because another write had one of its items at the same instant. `false` when the
    /// time is over.
    pub async fn again(&mut self) -> bool {
        let again = self.pause().await.is_ok();
        record(|metrics| metrics.conflicts += u32::from(again));
        again
    }

    /// Before everything is read again, because it has changed since. The first time at once: mostly, nobody is in the way.
    ///
    /// # Errors
    ///
    /// [`Error::Contended`] when the time is over.
    async fn after_change(&mut self) -> Result {
        if self.repeated {
            return self.pause().await;
        }
        self.repeated = true;
        Ok(())
    }

    /// Before the same is tried with what a refusal has told: at once, so that it does not become outdated again.
    ///
    /// # Errors
    ///
    /// [`Error::Contended`] when the time is over.
    fn at_once(&self) -> Result {
        if Instant::now() < self.until { Ok(()) } else { Err(Error::Contended) }
    }

    /// Waits anything up to 25, 50, 100, 200 ms ("full jitter"), or up to 10 ms each time.
    async fn pause(&mut self) -> Result {
        self.at_once()?;
        let pause = self.longest.mul_f64(fastrand::f64());
        if self.doublings > 0 {
            self.doublings -= 1;
            self.longest *= 2;
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Whether a transaction that was cancelled for this reason may well succeed a moment later.
pub fn passes_by_itself(reason: &CancellationReason) -> bool {
    matches!(reason.code(), None | Some("None" | "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"))
}

/// What one round of an operation has come to.
#[derive(Debug)]
#[must_use]
pub enum Round<T> {
    Done(T),
    /// Something is not as it was read: everything is read again.
    Changed,
    /// A failed condition has told what has changed: the same is tried with that, at once, before it changes again.
    Told,
}

impl<T> Round<T> {
    pub fn map<U>(self, done: impl FnOnce(T) -> U) -> Round<U> {
        match self {
            Self::Done(value) => Round::Done(done(value)),
            Self::Changed => Round::Changed,
            Self::Told => Round::Told,
        }
    }
}

/// Carries out an operation that reads, plans and writes, round by round, until it is done or refused.
///
/// # Errors
///
/// Whatever a round fails with; [`Error::Contended`] when the time is over.
#[track_caller]
pub fn until_done<T>(round: impl AsyncFnMut(&mut Backoff) -> Result<Round<T>>) -> impl Future<Output = Result<T>> {
    until_done_with(Backoff::new(), round)
}

/// The same, with pauses of its own.
///
/// # Errors
///
/// As [`until_done`].
pub async fn until_done_with<T>(mut backoff: Backoff, mut round: impl AsyncFnMut(&mut Backoff) -> Result<Round<T>>) -> Result<T> {
    loop {
        match round(&mut backoff).await? {
            Round::Done(value) => return Ok(value),
            Round::Changed => backoff.after_change().await?,
            Round::Told => backoff.at_once()?,
        }
    }
}
