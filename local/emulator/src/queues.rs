//! SQS as far as AWS's other services use it: queues for what nobody took, which people look at, take from and empty.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::iam::AuthorizationRequest;
use crate::ids;
use crate::names::{ACCOUNT, arn};
use crate::protocol::{Call, Refusal, page, read};
use crate::template::Queue;

const OPERATIONS: &[&str] = &["DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ListQueues", "PurgeQueue", "ReceiveMessage"];

/// How long a message that was received is hidden from others, unless somebody says.
const HIDDEN: u64 = 30;

#[derive(Default)]
pub struct Queues {
    all: Vec<Queue>,
    /// Where SQS answers.
    url: String,
    /// By ARN, oldest first.
    messages: Mutex<BTreeMap<String, Vec<Message>>>,
}

struct Message {
    id: String,
    body: Value,
    /// Texts that say where it comes from.
    attributes: Vec<(&'static str, String)>,
    /// In milliseconds since 1970.
    sent: u64,
    /// Until when it is hidden, and what whoever received it last deletes it by.
    received: Option<(Instant, String)>,
    times: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Receive {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<u64>,
    /// All are told.
    #[serde(rename = "AttributeNames")]
    _attribute_names: Option<Vec<String>>,
    #[serde(rename = "MessageSystemAttributeNames")]
    _system_attribute_names: Option<Vec<String>>,
    #[serde(rename = "MessageAttributeNames")]
    _message_attribute_names: Option<Vec<String>>,
}

impl Queues {
    pub fn new(queues: Vec<Queue>, url: &str) -> Self {
        Self { all: queues, url: url.to_owned(), messages: Mutex::default() }
    }

    pub fn send(&self, arn: &str, body: Value, attributes: Vec<(&'static str, String)>) {
        let message = Message { id: ids::uuid(), body, attributes, sent: ids::now_millis(), received: None, times: 0 };
        self.lock().entry(arn.to_owned()).or_default().push(message);
    }

    /// What is in a queue, by logical id, name or ARN.
    pub fn messages(&self, name: &str) -> Vec<Value> {
        let queue = self.all.iter().find(|queue| [&queue.id, &queue.name, &queue.arn].into_iter().any(|its| its == name));
        let messages = self.lock();
        let messages = queue.and_then(|queue| messages.get(&queue.arn)).into_iter().flatten();
        messages.map(|message| message.body.clone()).collect()
    }

    /// What a call must be allowed to do.
    pub fn authorization_requests(&self, operation: &str, input: &Value) -> Vec<AuthorizationRequest> {
        let name = input["QueueName"].as_str().or_else(|| input["QueueUrl"].as_str()?.rsplit('/').next());
        let resource = name
            .map_or_else(|| "*".to_owned(), |name| self.named(name).map_or_else(|_| arn("sqs", name), |queue| queue.arn.clone()));
        vec![AuthorizationRequest { action: format!("sqs:{operation}"), resource, keys: Vec::new() }]
    }

    pub fn answer(&self, call: &Call, input: &Value) -> Result<Value, Refusal> {
        match call.operation.as_str() {
            "ListQueues" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "PascalCase", deny_unknown_fields)]
                struct Wanted {
                    queue_name_prefix: Option<String>,
                    max_results: Option<usize>,
                    next_token: Option<String>,
                }
                let wanted: Wanted = read(input)?;
                let prefix = wanted.queue_name_prefix.unwrap_or_default();
                let queues = self.all.iter().filter(|queue| queue.name.starts_with(&prefix));
                let urls = queues.map(|queue| self.url_of(queue).into()).collect();
                let (urls, next) = page(urls, wanted.next_token.as_deref(), wanted.max_results.unwrap_or(1000))?;
                Ok(json!({"QueueUrls": urls, "NextToken": next}))
            }
            "GetQueueUrl" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "PascalCase", deny_unknown_fields)]
                struct Wanted {
                    queue_name: String,
                }
                let Wanted { queue_name } = read(input)?;
                self.named(&queue_name).map(|queue| json!({"QueueUrl": self.url_of(queue)}))
            }
            "GetQueueAttributes" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "PascalCase", deny_unknown_fields)]
                struct Wanted {
                    queue_url: String,
                    #[serde(default)]
                    attribute_names: Vec<String>,
                }
                let Wanted { queue_url, attribute_names } = read(input)?;
                Ok(json!({"Attributes": self.attributes(self.at(&queue_url)?, &attribute_names)}))
            }
            "ReceiveMessage" => self.receive(&read(input)?),
            "DeleteMessage" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "PascalCase", deny_unknown_fields)]
                struct Given {
                    queue_url: String,
                    receipt_handle: String,
                }
                let Given { queue_url, receipt_handle } = read(input)?;
                let queue = self.at(&queue_url)?;
                let is_other = |message: &Message| message.received.as_ref().is_none_or(|(_, handle)| *handle != receipt_handle);
                self.lock().entry(queue.arn.clone()).or_default().retain(is_other);
                Ok(json!({}))
            }
            "PurgeQueue" => {
                #[derive(Deserialize)]
                #[serde(rename_all = "PascalCase", deny_unknown_fields)]
                struct Given {
                    queue_url: String,
                }
                let Given { queue_url } = read(input)?;
                let queue = self.at(&queue_url)?;
                self.lock().remove(&queue.arn);
                Ok(json!({}))
            }
            _ => Err(call.not_served(OPERATIONS)),
        }
    }

    fn attributes(&self, queue: &Queue, wanted: &[String]) -> Map<String, Value> {
        let messages = self.lock();
        let messages = messages.get(&queue.arn).map(Vec::as_slice).unwrap_or_default();
        let visible = messages.iter().filter(|message| message.is_visible()).count();
        let all = [
            ("QueueArn", queue.arn.clone()),
            ("ApproximateNumberOfMessages", visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", (messages.len() - visible).to_string()),
            ("VisibilityTimeout", HIDDEN.to_string()),
        ];
        let is_wanted = |name: &str| wanted.iter().any(|its| its == name || its == "All");
        all.into_iter().filter(|(name, _)| is_wanted(name)).map(|(name, value)| (name.to_owned(), value.into())).collect()
    }

    fn receive(&self, wanted: &Receive) -> Result<Value, Refusal> {
        let queue = self.at(&wanted.queue_url)?;
        let hidden = Duration::from_secs(wanted.visibility_timeout.unwrap_or(HIDDEN));
        let count = wanted.max_number_of_messages.unwrap_or(1);
        if !(1..=10).contains(&count) {
            return Err(Refusal::new("InvalidParameterValue", "MaxNumberOfMessages is 1 to 10"));
        }
        let mut messages = self.lock();
        let visible = messages.get_mut(&queue.arn).into_iter().flatten().filter(|message| message.is_visible());
        let received = visible.take(count).map(|message| message.receive(hidden));
        Ok(json!({"Messages": received.collect::<Vec<_>>()}))
    }

    fn url_of(&self, queue: &Queue) -> String {
        format!("{}/{ACCOUNT}/{}", self.url, queue.name)
    }

    /// Whatever host it names: containers have a name of their own for this machine.
    fn at(&self, url: &str) -> Result<&Queue, Refusal> {
        self.named(url.rsplit('/').next().unwrap_or_default())
    }

    fn named(&self, name: &str) -> Result<&Queue, Refusal> {
        let missing = || Refusal::new("QueueDoesNotExist", "The specified queue does not exist.");
        self.all.iter().find(|queue| queue.name == name).ok_or_else(missing)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Message>>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message {
    fn is_visible(&self) -> bool {
        self.received.as_ref().is_none_or(|(until, _)| *until <= Instant::now())
    }

    /// Hides it for so long from others.
    fn receive(&mut self, hidden: Duration) -> Value {
        let handle = ids::uuid();
        self.received = Some((Instant::now() + hidden, handle.clone()));
        self.times += 1;
        let body = self.body.to_string();
        let attributes =
            self.attributes.iter().map(|(name, value)| ((*name).to_owned(), json!({"StringValue": value, "DataType": "String"})));
        json!({
            "MessageId": self.id,
            "ReceiptHandle": handle,
            "MD5OfBody": format!("{:x}", md5::compute(&body)),
            "Body": body,
            "Attributes": {"SentTimestamp": self.sent.to_string(), "ApproximateReceiveCount": self.times.to_string()},
            "MessageAttributes": attributes.collect::<Map<_, _>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_received_once_and_deleted() {
        let queue = Queue { id: "Failures".into(), name: "demo-Failures".into(), arn: "queue-arn".into() };
        let queues = Queues::new(vec![queue], "http://127.0.0.1:3002");
        let ask = |operation: &str, input: Value| {
            let request = hyper::Request::post("/").header("x-amz-target", format!("AmazonSQS.{operation}"));
            let call = Call::of(&request.body(()).unwrap().into_parts().0, b"");
            queues.answer(&call, &input).map_err(|refusal| refusal.code)
        };
        let url = ask("GetQueueUrl", json!({"QueueName": "demo-Failures"})).unwrap()["QueueUrl"].clone();
        assert_eq!(url, "http://127.0.0.1:3002/000000000000/demo-Failures");
        assert_eq!(ask("ListQueues", json!({"QueueNamePrefix": "demo"})).unwrap()["QueueUrls"], json!([url]));

        queues.send("queue-arn", json!({"n": 1}), vec![("ERROR_CODE", "x".to_owned())]);
        queues.send("queue-arn", json!({"n": 2}), Vec::new());
        let count = || {
            let answer = ask("GetQueueAttributes", json!({"QueueUrl": url, "AttributeNames": ["ApproximateNumberOfMessages"]}));
            answer.unwrap()["Attributes"].clone()
        };
        assert_eq!(count(), json!({"ApproximateNumberOfMessages": "2"}));
        let receive = || ask("ReceiveMessage", json!({"QueueUrl": url})).unwrap()["Messages"][0].clone();
        let first = receive();
        assert_eq!((&first["Body"], &first["MD5OfBody"]), (&json!(r#"{"n":1}"#), &json!("082c26c8a6bc75226a31da5495cc9292")));
        assert_eq!(first["MessageAttributes"]["ERROR_CODE"]["StringValue"], "x");
        assert_eq!(receive()["Body"], r#"{"n":2}"#);
        assert_eq!((receive(), count()), (Value::Null, json!({"ApproximateNumberOfMessages": "0"})));
        ask("DeleteMessage", json!({"QueueUrl": url, "ReceiptHandle": first["ReceiptHandle"]})).unwrap();
        assert_eq!(queues.messages("Failures"), [json!({"n": 2})]);
        ask("PurgeQueue", json!({"QueueUrl": url})).unwrap();
        assert!(queues.messages("Failures").is_empty());

        assert_eq!(ask("GetQueueUrl", json!({"QueueName": "other"})), Err("QueueDoesNotExist"));
        assert_eq!(ask("SendMessage", json!({"QueueUrl": url})), Err("NotServedLocally"));
    }
}
