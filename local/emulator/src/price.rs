//! What a million costs in US dollars. Prices are of us-east-1, from the public lists of 2025.

/// HTTP API.
pub const REQUEST: f64 = 1.00;
/// Of a function. A request whose caller is checked takes two: the authorizer is one of its own.
pub const INVOCATION: f64 = 0.20;
/// DynamoDB on demand.
pub const READ_UNIT: f64 = 0.125;
pub const WRITE_UNIT: f64 = 0.625;
