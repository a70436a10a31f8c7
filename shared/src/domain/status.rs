//! Where an order is in its life.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::json::{FromJson, Json};

/// Where an order is in its life. The order of the variants is the only direction it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Pending,
    Confirmed,
    Shipped,
    Delivered,
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 5] = [Self::Pending, Self::Confirmed, Self::Shipped, Self::Delivered, Self::Cancelled];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Shipped => "SHIPPED",
            Self::Delivered => "DELIVERED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(())
    }
}

impl FromJson for Status {
    fn from_json(json: Json<'_>) -> Result<Self, String> {
        match json {
            Json::String(text) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| format!("must be one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_is_written() {
        for status in Status::ALL {
            assert_eq!((status.as_str().parse(), status.to_string().as_str()), (Ok(status), status.as_str()));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(Status::from_json(Json::String(status.to_string())), Ok(status));
        }
        assert_eq!(format!("{:9}|", Status::Pending), "PENDING  |");
        assert_eq!("pending".parse::<Status>(), Err(()));
        assert!(Status::from_json(Json::String("LOST".into())).is_err() && Status::from_json(Json::Number("1")).is_err());
    }
}
