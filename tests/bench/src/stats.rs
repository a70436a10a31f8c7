//! Order statistics of samples.

/// The `q` quantile (0 to 1), linearly interpolated; NaN of nothing.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * count(last);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last index")]
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * at.fract()
}

/// A whole number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "nothing here counts that far")]
pub fn count(number: impl TryInto<u64>) -> f64 {
    number.try_into().unwrap_or(u64::MAX) as f64
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// How a sample compares with another one that was taken at the same time.
pub struct Ratio {
    /// Of the medians.
    pub median: f64,
    /// The quartiles of the ratios of neighbours: how far the comparison is to be trusted.
    pub quartiles: (f64, f64),
}

impl Ratio {
    pub fn of(values: &[f64], base: &[f64]) -> Self {
        let neighbours: Vec<_> = values.iter().zip(base).map(|(value, base)| value / base).collect();
        let quartiles = (quantile(&neighbours, 0.25), quantile(&neighbours, 0.75));
        Self { median: median(values) / median(base), quartiles }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        for (values, q, expected) in [
            (&[4.0, 1.0, 3.0, 2.0][..], 0.0, 1.0),
            (&[4.0, 1.0, 3.0, 2.0], 0.5, 2.5),
            (&[4.0, 1.0, 3.0, 2.0], 1.0, 4.0),
            (&[7.0], 0.99, 7.0),
        ] {
            assert!((quantile(values, q) - expected).abs() < 1e-9, "{values:?} {q}");
        }
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn neighbours_are_compared() {
        let ratio = Ratio::of(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]);
        assert_eq!((ratio.median, ratio.quartiles), (2.0, (2.0, 2.0)));
    }
}
