//! How many attempts are too many.

use super::{Timestamp, timestamp::LEEWAY_SECONDS};

/// Seconds that attempts are counted for, from the first of them.
pub const WINDOW_SECONDS: i64 = 15 * 60;

/// Failed logins from one address that close an account to that address.
pub const FAILURES_FROM_ADDRESS: u64 = 10;

/// Failed logins from all addresses that close an account to addresses without a live session of it.
pub const FAILURES_IN_TOTAL: u64 = 100;

/// The attempts of one kind that have been counted lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub attempts: u64,
    /// When counting starts anew, in seconds since the epoch.
    pub expires_at: i64,
}

/// Whether one more attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Open,
    /// The window has ended; the next attempt starts another.
    Over,
    /// Not for this many seconds.
    Closed(i64),
}

impl Window {
    /// The latest second at which a window that started by `now` can end. One that ends later was started by a clock that is
    /// ahead: its attempts are not to be trusted, and it is closed.
    pub fn latest_end(now: Timestamp) -> i64 {
        now.seconds() + WINDOW_SECONDS + LEEWAY_SECONDS
    }

    /// Judges the window, in which `limit` attempts may be made.
    pub fn standing(self, limit: u64, now: Timestamp) -> Standing {
        let left = self.expires_at - now.seconds();
        if left <= 0 {
            Standing::Over
        } else if self.attempts >= limit || self.expires_at > Self::latest_end(now) {
            Standing::Closed(left)
        } else {
            Standing::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_closed_when_it_is_full_and_open_again_when_it_is_over() {
        let now = Timestamp::from_millis(1_000_000_000);
        for (attempts, ends_in, standing) in [
            (0, 900, Standing::Open),
            (9, 1, Standing::Open),
            (10, 1, Standing::Closed(1)),
            (10, 900, Standing::Closed(900)),
            (11, 900, Standing::Closed(900)),
            (10, 0, Standing::Over),
            (10, -1, Standing::Over),
            // As far as clocks differ, and further.
            (1, 905, Standing::Open),
            (1, 906, Standing::Closed(906)),
            (1, 1500, Standing::Closed(1500)),
        ] {
            let window = Window { attempts, expires_at: now.seconds() + ends_in };
            assert_eq!(window.standing(10, now), standing, "{attempts} attempts, {ends_in} s left");
        }
    }
}
