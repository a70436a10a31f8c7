//! Amounts of money in the shop's one currency, exact to its minor unit.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use crate::json::{FromJson, Json};

/// An amount with two decimals, never negative. Written and stored exactly: no floating point anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(Decimal);

impl Money {
    /// Decimals of the currency: 1 unit has 100 minor units.
    const SCALE: u32 = 2;

    pub const ZERO: Self = Self(Decimal::from_parts(0, 0, 0, false, Self::SCALE));

    /// `self` times a quantity. At most 10^10 units times 10,000 pieces: far from where the table's integer ends.
    pub fn times(self, quantity: u64) -> Self {
        Self(self.0.saturating_mul(Decimal::from(quantity)))
    }

    /// The sum of two amounts.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Reads a price as clients write it: up to ten digits, optionally a point and one or two more.
    /// No sign, exponent, leading zero, space or separator.
    pub fn parse(text: &str) -> Option<Self> {
        let (units, decimals) = match text.split_once('.') {
            Some((units, decimals)) => (units, Some(decimals)),
            None => (text, None),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let units_fit = digits(units) && (1..=10).contains(&units.len()) && (units == "0" || !units.starts_with('0'));
        let decimals_fit = decimals.is_none_or(|decimals| digits(decimals) && (1..=2).contains(&decimals.len()));
        if !units_fit || !decimals_fit {
            return None;
        }
        let mut amount: Decimal = text.parse().ok()?;
        amount.rescale(Self::SCALE);
        Some(Self(amount))
    }

    /// From the table's integer; `None` if it is negative.
    pub fn from_minor(minor: i64) -> Option<Self> {
        (minor >= 0).then(|| Self(Decimal::new(minor, Self::SCALE)))
    }

    /// The amount in minor units, such as cents: what the table holds.
    pub fn minor(self) -> i64 {
        // `Self::SCALE` decimals always, so the mantissa is the amount in minor units; every constructor keeps it in an `i64`.
        i64::try_from(self.0.mantissa()).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromJson for Money {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        let text = match &json {
            Json::String(text) => text.as_str(),
            Json::Number(text) => text,
            _ => "",
        };
        Self::parse(text)
            .ok_or_else(|| "must be an amount such as \"19.90\": up to ten digits, a point, at most two decimals".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_contract_allows_and_nothing_else() {
        for (text, written) in
            [("0", "0.00"), ("0.5", "0.50"), ("19.9", "19.90"), ("19.90", "19.90"), ("9999999999.99", "9999999999.99")]
        {
            let money = Money::parse(text).unwrap();
            assert_eq!(money.to_string(), written);
            assert_eq!(Money::from_minor(money.minor()), Some(money));
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "01",
            "00",
            "-1",
            "-0",
            "+1",
            "1e2",
            "1E2",
            "1_000",
            "1,5",
            " 1",
            "1 ",
            "0.001",
            "1.0.0",
            "NaN",
            "Infinity",
            "0x10",
            "10000000000",
            "١",
            "１",
            "1.٠",
        ] {
            assert_eq!(Money::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn is_never_negative() {
        assert_eq!(Money::from_minor(-1), None);
        assert_eq!(Money::from_minor(5).unwrap().to_string(), "0.05");
    }

    #[test]
    fn is_counted_without_a_rounding() {
        let price = Money::parse("19.99").unwrap();
        assert_eq!(
            (price.times(3).to_string(), price.plus(Money::parse("0.02").unwrap()).to_string()),
            ("59.97".into(), "20.01".into())
        );
        assert_eq!(Money::parse("9999999999.99").unwrap().times(10_000).minor(), 9_999_999_999_990_000);
    }

    #[test]
    fn is_read_as_a_text_or_a_number_and_written_as_a_text() {
        let read = |json| Money::from_json(json).ok().map(Money::minor);
        assert_eq!((read(Json::String("19.9".into())), read(Json::Number("19.9"))), (Some(1_990), Some(1_990)));
        assert_eq!((read(Json::Null), read(Json::Number("-1"))), (None, None));
        assert_eq!(serde_json::to_value(Money::from_minor(1_990).unwrap()).unwrap(), "19.90");
    }
}
