//! API Gateway's payload 2.0, as far as it matters here.
//!
//! `lambda_http::run` would make a URI and a header map of every event, and both have rules that a path, a `Host` or a header
//! as sent by strangers can break: it panics, and the caller sees a bare 500. These types take whatever the gateway lets
//! through; what does not fit is refused by whoever looks at it.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use lambda_http::{Body, aws_lambda_events::apigw::ApiGatewayV2httpResponse};
use serde::{Deserialize, Deserializer};

use super::reply::Response;

/// What the gateway hands to a function.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    pub route_key: String,
    pub raw_path: String,
    #[serde(default, deserialize_with = "or_default")]
    pub raw_query_string: String,
    /// Lower-case names; what was sent more than once is joined by commas.
    #[serde(default, deserialize_with = "or_default")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub path_parameters: BTreeMap<String, String>,
    pub request_context: RequestContext,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestContext {
    pub request_id: String,
    pub http: Http,
    pub authorizer: Option<Authorizer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    pub method: String,
    #[serde(default, deserialize_with = "or_default")]
    pub source_ip: String,
    #[serde(default, deserialize_with = "or_default")]
    pub user_agent: String,
}

#[derive(Debug, Deserialize)]
pub struct Authorizer {
    /// What our own authorizer said of the caller. The gateway writes `null` if it said nothing.
    pub lambda: Option<BTreeMap<String, serde_json::Value>>,
}

/// API Gateway leaves out what there is none of; some who speak its language write `null`.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Event {
    /// The body as it was sent.
    pub fn take_body(&mut self) -> Vec<u8> {
        let body = self.body.take().unwrap_or_default();
        if self.is_base64_encoded { BASE64_STANDARD.decode(body).unwrap_or_default() } else { body.into_bytes() }
    }
}

/// A response as the gateway wants it.
pub fn to_gateway(response: Response) -> ApiGatewayV2httpResponse {
    let (parts, body) = response.into_parts();
    let mut answer = ApiGatewayV2httpResponse::default();
    answer.status_code = i64::from(parts.status.as_u16());
    answer.headers = parts.headers;
    answer.is_base64_encoded = matches!(body, Body::Binary(_));
    answer.body = (!matches!(body, Body::Empty)).then_some(body);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_none_of_may_be_missing_or_null() {
        let whole = r#""routeKey": "GET /products", "rawPath": "/products", "requestContext": {"requestId": "id=", "http": {"method": "GET"}"#;
        for (none, authorizer) in [
            ("", ""),
            (r#""rawQueryString": null, "headers": null, "pathParameters": null, "body": null,"#, r#", "authorizer": null"#),
        ] {
            let event: Event = serde_json::from_str(&format!("{{{none} {whole}{authorizer}}}}}")).unwrap();
            assert!(event.raw_query_string.is_empty() && event.headers.is_empty() && event.path_parameters.is_empty());
            assert!(event.body.is_none() && event.request_context.authorizer.is_none());
        }
    }
}
