//! How much there is of a product, in a word: whether it has come down to where its admin wants to hear of it, or to nothing.

use serde::{Deserialize, Serialize};

use super::{id::ProductId, timestamp::Timestamp};

/// How much there is of a product, in a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StockState {
    /// More than its `low_stock_at`, or anything if it has none.
    #[default]
    In,
    /// No more than its `low_stock_at`.
    Low,
    /// Nothing.
    Out,
}

impl StockState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Low => "low",
            Self::Out => "out",
        }
    }

    /// The next thing to tell, coming from this state, when there are so many pieces; `None` once all is told. What falls from plenty
    /// to nothing has come to its `low_stock_at` on the way.
    pub fn next(self, quantity: u64, low_stock_at: Option<u64>) -> Option<Self> {
        let is_low = low_stock_at.is_some_and(|level| quantity <= level);
        match self {
            Self::In if is_low => Some(Self::Low),
            Self::In | Self::Low if quantity == 0 => Some(Self::Out),
            Self::Low if !is_low => Some(Self::In),
            Self::Out if quantity > 0 => Some(if is_low { Self::Low } else { Self::In }),
            _ => None,
        }
    }
}

/// What was last told of a product's stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    pub product_id: ProductId,
    pub state: StockState,
    /// How often it was told.
    pub version: u64,
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossings_are_told_one_by_one() {
        use StockState::{In, Low, Out};
        for (from, quantity, low_stock_at, expected) in [
            (In, 10, Some(5), vec![]),
            (In, 5, Some(5), vec![Low]),
            (In, 0, Some(5), vec![Low, Out]),
            (In, 0, Some(0), vec![Low, Out]),
            (In, 0, None, vec![Out]),
            (In, 1, None, vec![]),
            (Low, 5, Some(5), vec![]),
            (Low, 6, Some(5), vec![In]),
            (Low, 0, Some(5), vec![Out]),
            (Low, 3, None, vec![In]),
            (Low, 0, None, vec![Out]),
            (Out, 0, Some(5), vec![]),
            (Out, 3, Some(5), vec![Low]),
            (Out, 6, Some(5), vec![In]),
            (Out, 1, None, vec![In]),
        ] {
            let mut told = Vec::new();
            let mut state = from;
            while let Some(next) = state.next(quantity, low_stock_at) {
                told.push(next);
                state = next;
                assert!(told.len() < 3, "{from:?} {quantity} {low_stock_at:?}: {told:?}");
            }
            assert_eq!(told, expected, "{from:?} {quantity} {low_stock_at:?}");
        }
    }

    #[test]
    fn a_state_is_stored_by_the_word_that_is_read_again() {
        for state in [StockState::In, StockState::Low, StockState::Out] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
