//! How often a schedule calls a function: `rate(5 minutes)`.

use std::str::FromStr;
use std::time::Duration;

/// Every so many minutes, hours or days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(Duration);

impl Rate {
    pub fn period(self) -> Duration {
        self.0
    }
}

impl FromStr for Rate {
    type Err = String;

    /// Reads `rate(1 minute)` and `rate(5 minutes)`: AWS insists on the right grammar.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("cron(") || text.starts_with("at(") {
            return Err(format!("{text}: only rate(…) can run here"));
        }
        let rate = || {
            let (number, unit) = text.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
            let number: u32 = number.parse().ok().filter(|number| *number > 0)?;
            let singular = if number == 1 { unit } else { unit.strip_suffix('s')? };
            let period = match singular {
                "minute" => Duration::from_mins(1),
                "hour" => Duration::from_hours(1),
                "day" => Duration::from_hours(24),
                _ => return None,
            };
            Some(Self(period.checked_mul(number)?))
        };
        rate().ok_or_else(|| format!("{text} is no rate such as rate(1 minute), rate(5 minutes) or rate(2 days)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        for (text, minutes) in [
            ("rate(1 minute)", 1),
            ("rate(15 minutes)", 15),
            ("rate(1 hour)", 60),
            ("rate(12 hours)", 720),
            ("rate(1 day)", 1440),
            ("rate(7 days)", 10_080),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap().period(), Duration::from_mins(minutes), "{text}");
        }
    }

    #[test]
    fn other_expressions_are_refused() {
        for text in [
            "",
            "rate()",
            "rate(5)",
            "rate(0 minutes)",
            "rate(-1 minutes)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(5 seconds)",
            "rate(1.5 hours)",
            "rate( 5 minutes)",
            "rate(5 minutes",
            "rate(5 minutess)",
            "5 minutes",
        ] {
            let reason = text.parse::<Rate>().unwrap_err();
            assert!(reason.contains("is no rate"), "{text}: {reason}");
        }
        let reason = "cron(0 12 * * ? *)".parse::<Rate>().unwrap_err();
        assert_eq!(reason, "cron(0 12 * * ? *): only rate(…) can run here");
    }
}
