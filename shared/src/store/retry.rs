//! What the SDK does not retry and we do: writes that lost against another transaction at the same instant.

use std::time::Duration;

use crate::telemetry::note;

/// Attempts at one contended write, the first included.
const ATTEMPTS: u32 = 5;
/// The longest first pause; it doubles with every further attempt.
const BASE: Duration = Duration::from_millis(25);

/// Attempts at a write to items that many sales want, and that nobody else is going to make.
const PATIENT_ATTEMPTS: u32 = 20;

/// Counts attempts and pauses between them.
pub struct Backoff {
    attempt: u32,
    attempts: u32,
}

impl Backoff {
    pub fn new() -> Self {
        Self { attempt: 1, attempts: ATTEMPTS }
    }

    /// For as long as a request may take.
    pub fn patient() -> Self {
        Self { attempt: 1, attempts: PATIENT_ATTEMPTS }
    }

    /// Waits before the next attempt: anything up to 25, 50, 100, 200 ms ("full jitter"). `false` when there is none left.
    pub async fn again(&mut self) -> bool {
        if self.attempt == self.attempts {
            return false;
        }
        let longest = BASE * 2_u32.pow((self.attempt - 1).min(3));
        note(|tally| tally.conflicts += 1);
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
        self.attempt += 1;
        true
    }
}
