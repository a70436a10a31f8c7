//! The names by which AWS's services know things: a region, an account, and ARNs.

pub const REGION: &str = "us-east-1";
pub const ACCOUNT: &str = "000000000000";

/// The ARN of a table, which a call may name by its ARN as well.
pub fn table_arn(table: &str) -> String {
    if table.starts_with("arn:") { table.to_owned() } else { arn("dynamodb", &format!("table/{table}")) }
}

/// Where an HTTP API would answer on AWS.
pub fn api_endpoint(api: &str) -> String {
    format!("https://{api}.execute-api.{REGION}.amazonaws.com")
}

pub fn arn(service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}")
}
