//! Where a request comes from, as far as limits on attempts need to know.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// The source address of a request: an IPv4 address, or the /64 network of an IPv6 address, all of which one household or
/// server usually has to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceAddress(String);

impl SourceAddress {
    /// From the gateway's `requestContext.http.sourceIp`. Whatever is no address is one address of its own, so that no request
    /// escapes the limits.
    pub fn parse(text: &str) -> Self {
        Self(match text.trim().parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V4(address)) => address.to_string(),
            Ok(IpAddr::V6(address)) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
                format!("{network}/64")
            }
            Err(_) => "unknown".to_owned(),
        })
    }

    /// From the table, where it was written by [`SourceAddress::as_str`].
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_counts_by_its_network() {
        for (text, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:DB8:1:2:ffff::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
            ("", "unknown"),
            ("test-invoke-source-ip", "unknown"),
        ] {
            let address = SourceAddress::parse(text);
            assert_eq!((address.as_str(), address.to_string().as_str()), (expected, expected), "{text}");
        }
    }
}
