//! Ids that look like those AWS gives out.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use rand::RngExt as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// The gateway's id of a request, such as `JKJaXmPLvHcESHA=`.
pub fn request_id() -> String {
    URL_SAFE.encode(rand::random::<[u8; 11]>())
}

/// The id of an invocation or of a secret's version.
pub fn uuid() -> String {
    Uuid::new_v4().to_string()
}

/// An X-Ray trace header that starts here, such as `Root=1-67891233-abcdef012345678912345678`.
pub fn trace() -> String {
    let seconds = now_millis() / 1000;
    let random: u128 = rand::random();
    format!("Root=1-{seconds:08x}-{:024x}", random >> 32)
}

/// An access key, such as `AKIA0123456789ABCDEF`.
pub fn access_key() -> String {
    format!("AKIA{:016X}", rand::random::<u64>())
}

/// DynamoDB's id of a call: 52 digits and capitals.
pub fn dynamodb_request_id() -> String {
    let mut random = rand::rng();
    (0..52).map(|_| char::from_digit(random.random_range(0..32), 32).unwrap_or('0').to_ascii_uppercase()).collect()
}

/// Milliseconds since 1970.
pub fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-01-31T10:12:31.042Z`, of milliseconds since 1970.
pub fn timestamp(millis: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}
