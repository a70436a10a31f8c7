//! How AWS is asked and answers: which service a request is for and which of its operations, told in one place whatever the protocol,
//! and answers in the form that the protocol gives them.
//!
//! A service is told by what it alone has: the target of JSON's protocols, and elsewhere the name that a request is signed for. What is
//! not served here is refused by name, in the form in which the client expects errors, so that each tool shows the sentence.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::ids;
use crate::signature;

/// Every service that answers here, as the AWS CLI calls it.
const SERVED: &str = "cloudformation, dynamodb, dynamodbstreams, events, lambda, logs, secretsmanager, sesv2, sqs and sts";

/// The operations of services that are asked by method and path: the names between braces are members of the input.
const ROUTES: &[(Service, &str, &str, &str)] = &[
    (Service::Lambda, "GET", "/2015-03-31/functions", "ListFunctions"),
    (Service::Lambda, "GET", "/2015-03-31/functions/{FunctionName}", "GetFunction"),
    (Service::Lambda, "GET", "/2015-03-31/functions/{FunctionName}/configuration", "GetFunctionConfiguration"),
    (Service::Lambda, "POST", "/2015-03-31/functions/{FunctionName}/invocations", "Invoke"),
    (Service::Ses, "POST", "/v2/email/outbound-emails", "SendEmail"),
    (Service::Ses, "GET", "/v2/email/account", "GetAccount"),
    (Service::Ses, "GET", "/v2/email/suppression/addresses", "ListSuppressedDestinations"),
    (Service::Ses, "GET", "/v2/email/suppression/addresses/{EmailAddress}", "GetSuppressedDestination"),
    (Service::Ses, "DELETE", "/v2/email/suppression/addresses/{EmailAddress}", "DeleteSuppressedDestination"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    CloudFormation,
    DynamoDb,
    DynamoDbStreams,
    EventBridge,
    Lambda,
    Logs,
    SecretsManager,
    Ses,
    Sqs,
    Sts,
    Other,
}

/// AWS's protocols, as far as they differ in how an error is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Json10,
    Json11,
    Query,
    Ec2,
    RestJson,
    RestXml,
    Cbor,
}

/// What a request asks for.
#[derive(Debug)]
pub struct Call {
    pub service: Service,
    /// Such as `GetItem`; the method and the path, if they are all that says so.
    pub operation: String,
    /// The service's name, as far as the request says.
    name: String,
    protocol: Protocol,
    /// What the path says.
    members: Map<String, Value>,
}

/// Why AWS does not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    /// AWS's name of the error.
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, ..Self::new(code, message) }
    }

    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new("AccessDeniedException", message)
    }
}

impl Call {
    pub fn of(head: &Parts, body: &[u8]) -> Self {
        let Parts { headers, method, uri, .. } = head;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty());
        let signed = signature::service(headers).unwrap_or_default();
        let call = |service, name: &str, operation: &str, protocol| {
            let name = if signed.is_empty() { name } else { signed };
            Self { service, operation: operation.to_owned(), name: name.to_owned(), protocol, members: Map::new() }
        };
        if text("smithy-protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("rpc-v2-cbor")) {
            // `/service/<name>/operation/<name>`
            let part = |position| uri.path().split('/').nth(position).unwrap_or_default();
            return call(Service::Other, part(2), part(4), Protocol::Cbor);
        }
        let written = text("content-type").unwrap_or_default();
        if let Some(target) = text("x-amz-target") {
            let (target, operation) = target.rsplit_once('.').unwrap_or((target, ""));
            let protocol = if written.starts_with("application/x-amz-json-1.0") { Protocol::Json10 } else { Protocol::Json11 };
            let service = match target {
                "AmazonSQS" => Service::Sqs,
                "AWSEvents" => Service::EventBridge,
                "DynamoDB_20120810" => Service::DynamoDb,
                "DynamoDBStreams_20120810" => Service::DynamoDbStreams,
                "Logs_20140328" => Service::Logs,
                "secretsmanager" => Service::SecretsManager,
                _ => Service::Other,
            };
            return call(service, target, operation, protocol);
        }
        if written.starts_with("application/x-www-form-urlencoded") {
            let action = form_urlencoded::parse(body).find(|(name, _)| name == "Action").map(|(_, action)| action);
            let service = match signed {
                "cloudformation" => Service::CloudFormation,
                "sts" => Service::Sts,
                _ => Service::Other,
            };
            let protocol = if signed == "ec2" { Protocol::Ec2 } else { Protocol::Query };
            return call(service, "", action.as_deref().unwrap_or_default(), protocol);
        }
        let protocol =
            if matches!(signed, "s3" | "s3express" | "cloudfront" | "route53") { Protocol::RestXml } else { Protocol::RestJson };
        let service = match signed {
            "lambda" => Service::Lambda,
            "ses" => Service::Ses,
            // What is not signed is told by its path.
            "" if uri.path().starts_with("/2015-03-31/") => Service::Lambda,
            "" if uri.path().starts_with("/v2/email/") => Service::Ses,
            _ => Service::Other,
        };
        let mut routes = ROUTES.iter().filter(|(its, verb, ..)| *its == service && *verb == method.as_str());
        let found = routes.find_map(|(_, _, path, operation)| Some((*operation, matched(path, uri.path())?)));
        match found {
            Some((operation, members)) => Self { members, ..call(service, "", operation, protocol) },
            None => call(service, "", &format!("{method} {}", uri.path()), protocol),
        }
    }

    /// What the operation is given: the body, and what path and query say beside it.
    pub fn input(&self, head: &Parts, body: &[u8]) -> Result<Value, Refusal> {
        let pairs = |text: &[u8]| -> Map<String, Value> {
            let pairs = form_urlencoded::parse(text).filter(|(name, _)| !matches!(name.as_ref(), "Action" | "Version"));
            pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect()
        };
        if self.protocol == Protocol::Query {
            return Ok(pairs(body).into());
        }
        let mut input: Map<String, Value> = match body {
            b"" => Map::new(),
            body => serde_json::from_slice(body).map_err(|error| Refusal::new("SerializationException", error.to_string()))?,
        };
        if self.protocol == Protocol::RestJson {
            input.extend(pairs(head.uri.query().unwrap_or_default().as_bytes()));
            input.extend(self.members.clone());
        }
        Ok(input.into())
    }

    /// What the path says of this member.
    pub fn member(&self, name: &str) -> &str {
        self.members.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Refuses an operation of a service that has only these here.
    pub fn not_served(&self, operations: &[&str]) -> Refusal {
        let name = &self.name;
        let there_is = if operations.is_empty() {
            format!("there are {SERVED}")
        } else {
            format!("of {name} there are {}", operations.join(", "))
        };
        self.not_served_because(&there_is)
    }

    pub fn not_served_because(&self, reason: &str) -> Refusal {
        let asked = [self.name.as_str(), &self.operation].join(" ");
        Refusal {
            status: StatusCode::NOT_IMPLEMENTED,
            code: "NotServedLocally",
            message: format!("{} is not served locally; {reason}", asked.trim()),
        }
    }

    pub fn answer(&self, outcome: Result<Value, Refusal>) -> Response<Full<Bytes>> {
        match outcome {
            Ok(output) => self.done(&output),
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn done(&self, output: &Value) -> Response<Full<Bytes>> {
        let body = match self.protocol {
            Protocol::Query => {
                let operation = &self.operation;
                let metadata = json!({"RequestId": ids::uuid()});
                let mut text = String::new();
                xml(&mut text, &format!("{operation}Result"), output);
                xml(&mut text, "ResponseMetadata", &metadata);
                format!("<{operation}Response>{text}</{operation}Response>")
            }
            _ => output.to_string(),
        };
        response(StatusCode::OK, self.protocol.content_type(), body.into())
    }

    fn refuse(&self, refusal: &Refusal) -> Response<Full<Bytes>> {
        let &Refusal { status, code, ref message } = refusal;
        let (id, error) = (ids::uuid(), json!({"Code": code, "Message": message}));
        let element = |name: &str, value: &Value| {
            let mut text = String::new();
            xml(&mut text, name, value);
            text
        };
        let body: Bytes = match self.protocol {
            Protocol::Json10 | Protocol::Json11 => json!({"__type": code, "message": message}).to_string().into(),
            // Lambda spells it with a capital.
            Protocol::RestJson if self.service == Service::Lambda => {
                json!({"Type": "User", "Message": message}).to_string().into()
            }
            Protocol::RestJson => json!({"message": message}).to_string().into(),
            Protocol::RestXml if self.name.starts_with("s3") => element("Error", &error).into(),
            Protocol::Query | Protocol::RestXml => {
                element("ErrorResponse", &json!({"Error": {"Type": "Sender", "Code": code, "Message": message}, "RequestId": id}))
                    .into()
            }
            Protocol::Ec2 => element("Response", &json!({"Errors": {"Error": error}, "RequestID": id})).into(),
            Protocol::Cbor => cbor(&[("__type", code), ("message", message.as_str())]).into(),
        };
        let mut refused = response(status, self.protocol.content_type(), body);
        let headers = refused.headers_mut();
        if self.protocol == Protocol::RestJson {
            headers.insert(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(code));
        }
        if self.protocol == Protocol::Cbor {
            headers.insert(HeaderName::from_static("smithy-protocol"), HeaderValue::from_static("rpc-v2-cbor"));
        }
        refused
    }
}

impl Protocol {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json10 => "application/x-amz-json-1.0",
            Self::Json11 => "application/x-amz-json-1.1",
            Self::RestJson => "application/json",
            Self::Query | Self::Ec2 | Self::RestXml => "text/xml",
            Self::Cbor => "application/cbor",
        }
    }
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::try_from(ids::uuid()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// The members that a path names, if it is of this form.
fn matched(form: &str, path: &str) -> Option<Map<String, Value>> {
    let path = path.trim_end_matches('/');
    if form.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut members = Map::new();
    for (wanted, part) in form.split('/').zip(path.split('/')) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => {
                let value = percent_decode_str(part).decode_utf8().ok()?;
                members.insert(name.to_owned(), value.into_owned().into());
            }
            None if wanted == part => {}
            None => return None,
        }
    }
    Some(members)
}

/// What an operation is given, as far as it is understood here.
pub fn read<T: DeserializeOwned>(input: &Value) -> Result<T, Refusal> {
    T::deserialize(input).map_err(|error| Refusal::new("ValidationException", error.to_string()))
}

/// The input of an operation that is given nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// One page of a list, and the token of the next, if there is one: how many came before it.
pub fn page(all: Vec<Value>, token: Option<&str>, size: usize) -> Result<(Vec<Value>, Option<String>), Refusal> {
    let start: usize = match token.map(str::parse) {
        None => 0,
        Some(Ok(start)) => start,
        Some(Err(_)) => return Err(Refusal::new("ValidationException", "the token is none that was given out")),
    };
    let next = start.saturating_add(size.max(1));
    let more = (next < all.len()).then(|| next.to_string());
    Ok((all.into_iter().skip(start).take(size.max(1)).collect(), more))
}

/// A value as an element: what is in a list are its members, and what is null is not there.
fn xml(text: &mut String, name: &str, value: &Value) {
    if value.is_null() {
        return;
    }
    text.extend(["<", name, ">"]);
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| xml(text, name, value)),
        Value::Array(items) => items.iter().for_each(|item| xml(text, "member", item)),
        Value::String(plain) => text.push_str(&escaped(plain)),
        other => text.push_str(&other.to_string()),
    }
    text.extend(["</", name, ">"]);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A map of texts (RFC 8949, sections 3.1 and 4.2.1).
fn cbor(fields: &[(&str, &str)]) -> Vec<u8> {
    let head = |major: u8, length: usize| -> Vec<u8> {
        let major = major << 5;
        if let 0..24 = length {
            vec![major | u8::try_from(length).unwrap_or_default()]
        } else {
            let length = u16::try_from(length).unwrap_or(u16::MAX);
            [vec![major | 0x19], length.to_be_bytes().to_vec()].concat()
        }
    };
    let text = |text: &str| [head(3, text.len()), text.as_bytes().to_vec()].concat();
    let mut bytes = head(5, fields.len());
    for (name, value) in fields {
        bytes.extend([text(name), text(value)].concat());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use hyper::Request;

    use super::*;

    /// A request that is signed for this service, unless that is empty.
    fn head(signed: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        if !signed.is_empty() {
            let scope = format!("AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/{signed}/aws4_request, Signature=0");
            request = request.header("authorization", scope);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn target(target: &'static str) -> [(&'static str, &'static str); 2] {
        [("x-amz-target", target), ("content-type", "application/x-amz-json-1.1")]
    }

    const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    const CBOR: [(&str, &str); 1] = [("smithy-protocol", "rpc-v2-cbor")];

    #[test]
    fn services_and_operations_are_told_apart() {
        let functions = "/2015-03-31/functions/";
        for (head, body, expected) in [
            (head("dynamodb", "POST", "/", &target("DynamoDB_20120810.GetItem")), "", (Service::DynamoDb, "GetItem")),
            (head("", "POST", "/", &target("DynamoDB_20120810.GetItem")), "", (Service::DynamoDb, "GetItem")),
            (
                head("dynamodb", "POST", "/", &target("DynamoDBStreams_20120810.GetRecords")),
                "",
                (Service::DynamoDbStreams, "GetRecords"),
            ),
            (head("events", "POST", "/", &target("AWSEvents.PutEvents")), "", (Service::EventBridge, "PutEvents")),
            (head("logs", "POST", "/", &target("Logs_20140328.FilterLogEvents")), "", (Service::Logs, "FilterLogEvents")),
            (head("kms", "POST", "/", &target("TrentService.Decrypt")), "", (Service::Other, "Decrypt")),
            (head("sts", "POST", "/", &FORM), "Action=GetCallerIdentity&Version=1", (Service::Sts, "GetCallerIdentity")),
            (head("iam", "POST", "/", &FORM), "Version=1&Action=ListRoles", (Service::Other, "ListRoles")),
            (head("", "POST", "/", &FORM), "Action=AssumeRoleWithSAML", (Service::Other, "AssumeRoleWithSAML")),
            (head("lambda", "GET", functions, &[]), "", (Service::Lambda, "ListFunctions")),
            (head("lambda", "GET", &format!("{functions}f"), &[]), "", (Service::Lambda, "GetFunction")),
            (head("", "POST", &format!("{functions}f/invocations"), &[]), "", (Service::Lambda, "Invoke")),
            (head("lambda", "DELETE", &format!("{functions}f"), &[]), "", (Service::Lambda, "DELETE /2015-03-31/functions/f")),
            (head("ses", "GET", "/v2/email/account", &[]), "", (Service::Ses, "GetAccount")),
            // Of another service, whose requests are signed alike.
            (head("ses", "POST", "/", &FORM), "Action=SendEmail", (Service::Other, "SendEmail")),
            (head("ses", "POST", "/service/MailManagerSvc/operation/ListRelays", &CBOR), "", (Service::Other, "ListRelays")),
            (head("s3", "GET", "/v2/email/account", &[]), "", (Service::Other, "GET /v2/email/account")),
            (head("", "GET", "/", &[("x-amz-target", "")]), "", (Service::Other, "GET /")),
        ] {
            let call = Call::of(&head, body.as_bytes());
            assert_eq!((call.service, call.operation.as_str()), expected, "{head:?}");
        }
    }

    #[tokio::test]
    async fn what_is_not_served_is_told_in_the_form_that_the_client_reads() {
        let sentence = |asked: &str| format!("{asked} is not served locally; there are {SERVED}");
        let xml = |inside: &str| format!("<Code>NotServedLocally</Code><Message>{}</Message>", sentence(inside));
        for (head, body, kind, expected) in [
            (
                head("kms", "POST", "/", &target("TrentService.Decrypt")),
                "{}",
                "application/x-amz-json-1.1",
                vec![json!({"__type": "NotServedLocally", "message": sentence("kms Decrypt")}).to_string()],
            ),
            (
                head("iam", "POST", "/", &FORM),
                "Action=ListRoles",
                "text/xml",
                vec![format!("<ErrorResponse><Error>{}<Type>Sender</Type></Error>", xml("iam ListRoles"))],
            ),
            (
                head("ec2", "POST", "/", &FORM),
                "Action=DescribeVpcs",
                "text/xml",
                vec![format!("<Response><Errors><Error>{}</Error></Errors>", xml("ec2 DescribeVpcs"))],
            ),
            (head("s3", "GET", "/bucket", &[]), "", "text/xml", vec![format!("<Error>{}</Error>", xml("s3 GET /bucket"))]),
            (
                head("apigateway", "GET", "/v2/apis", &[]),
                "",
                "application/json",
                vec![json!({"message": sentence("apigateway GET /v2/apis")}).to_string()],
            ),
            (
                head("monitoring", "POST", "/service/GraniteServiceVersion20100801/operation/DescribeAlarms", &CBOR),
                "",
                "application/cbor",
                vec!["\u{fffd}f__typepNotServedLocallygmessage".to_owned(), sentence("monitoring DescribeAlarms")],
            ),
            (head("", "POST", "/", &FORM), "Action=AssumeRoleWithSAML", "text/xml", vec![xml("AssumeRoleWithSAML")]),
        ] {
            let call = Call::of(&head, body.as_bytes());
            let answer = call.answer(Err(call.not_served(&[])));
            assert_eq!(
                (answer.status().as_u16(), answer.headers()["content-type"].as_bytes()),
                (501, kind.as_bytes()),
                "{head:?}"
            );
            let text = String::from_utf8_lossy(&answer.into_body().collect().await.unwrap().to_bytes()).into_owned();
            for part in expected {
                assert!(text.contains(&part), "{text} has no {part}");
            }
        }
    }

    #[test]
    fn path_query_and_body_are_one_input() {
        let path = "/2015-03-31/functions/arn%3Aaws%3Alambda/configuration?Qualifier=%24LATEST";
        let named = head("lambda", "GET", path, &[]);
        let input = Call::of(&named, b"").input(&named, b"").unwrap();
        assert_eq!(input, json!({"FunctionName": "arn:aws:lambda", "Qualifier": "$LATEST"}));

        let form = head("cloudformation", "POST", "/", &FORM);
        let body = b"Action=DescribeStacks&Version=2010-05-15&StackName=a%26b";
        assert_eq!(Call::of(&form, body).input(&form, body).unwrap(), json!({"StackName": "a&b"}));
    }

    #[tokio::test]
    async fn values_are_elements() {
        let head = head("sts", "POST", "/", &FORM);
        let call = Call::of(&head, b"Action=Show");
        let answer = call.answer(Ok(json!({"A": ["<1>", {"B": true, "C": null}]})));
        let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let expected = "<ShowResponse><ShowResult><A><member>&lt;1&gt;</member><member><B>true</B></member></A></ShowResult>";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_list_is_read_in_pages() {
        let all = || (0..5).map(Value::from).collect::<Vec<_>>();
        assert_eq!(page(all(), None, 3), Ok((vec![0.into(), 1.into(), 2.into()], Some("3".to_owned()))));
        assert_eq!(page(all(), Some("3"), 3), Ok((vec![3.into(), 4.into()], None)));
        assert!(page(all(), Some("x"), 3).is_err());
    }
}
