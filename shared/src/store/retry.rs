//! How long a write is tried again: what the SDK does not retry, and what was based on a read that has become outdated.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Error, Result, telemetry::record};

/// How long one operation may go on trying. It leaves a last attempt the time to be answered before the request's deadline.
const PATIENCE: Duration = Duration::from_millis(2_800);

/// The longest first pause; it doubles with every further one, up to eight times as much.
const BASE: Duration = Duration::from_millis(25);

/// Attempts at one operation, limited by time and not by number: how many it takes depends on how many others want the same.
pub struct Backoff {
    until: Instant,
    /// Pauses so far.
    pauses: u32,
    /// Whether a first repetition at once has been had.
    repeated: bool,
}

impl Backoff {
    pub fn new() -> Self {
        Self { until: Instant::now() + PATIENCE, pauses: 0, repeated: false }
    }

    /// A single attempt: whoever makes it starts over with another plan.
    pub fn none() -> Self {
        Self { until: Instant::now(), pauses: 0, repeated: true }
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
    pub async fn after_change(&mut self) -> Result {
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
    pub fn at_once(&self) -> Result {
        if Instant::now() < self.until { Ok(()) } else { Err(Error::Contended) }
    }

    /// Waits anything up to 25, 50, 100, 200 ms ("full jitter").
    async fn pause(&mut self) -> Result {
        self.at_once()?;
        let longest = BASE * 2_u32.pow(self.pauses.min(3));
        self.pauses += 1;
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
        Ok(())
    }
}
