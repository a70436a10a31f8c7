//! What the SDK does not retry and we do: writes that lost against another transaction at the same instant.

use std::time::Duration;

use crate::telemetry::note;

/// Attempts at one contended write, the first included.
const ATTEMPTS: u32 = 5;
/// The longest first pause; it doubles with every further attempt.
const BASE: Duration = Duration::from_millis(25);

/// Counts attempts and pauses between them.
pub struct Backoff {
    attempt: u32,
}

impl Backoff {
    pub fn new() -> Self {
        Self { attempt: 1 }
    }

    /// Waits before the next attempt: anything up to 25, 50, 100, 200 ms ("full jitter"). `false` when there is none left.
    pub async fn again(&mut self) -> bool {
        if self.attempt == ATTEMPTS {
            return false;
        }
        let longest = BASE * 2_u32.pow(self.attempt - 1);
        note(|tally| tally.conflicts += 1);
        tokio::time::sleep(longest.mul_f64(fastrand::f64())).await;
        self.attempt += 1;
        true
    }
}
