//! A local shop with people in it, who ask for things: through the gateway, or as the events that the gateway would make.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use emulator::dynamodb;
use emulator::gateway::Routes;
use emulator::template::{Function, Template};
use emulator::{Options, Outcome};
use local::Shop;
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};

use crate::{Bench, Result, bodies};

const PASSWORD: &str = "Zwetschgenmus mit Zimt";

pub struct Scene {
    pub shop: Shop,
    pub template: Template,
    routes: Routes,
    client: Client,
    /// How many names were made up.
    named: AtomicU64,
}

/// Somebody who is logged in.
pub struct Person {
    pub email: String,
    pub access_token: String,
    pub refresh_token: String,
    /// What the authorizer says of them.
    pub caller: Value,
}

/// What somebody asks the API for.
pub struct Ask {
    method: Method,
    path: String,
    query: String,
    body: Option<Value>,
}

impl Ask {
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), query: String::new(), body: None }
    }

    pub fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }

    pub fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(path) }
    }

    pub fn put(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PUT, ..Self::post(path, body) }
    }

    /// With a body.
    pub fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    pub fn query(self, query: impl Into<String>) -> Self {
        Self { query: query.into(), ..self }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u64,
    pub body: Value,
}

impl Answer {
    /// The text in this place of the body.
    pub fn text(&self, pointer: &str) -> Result<String> {
        let text = self.body.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| format!("no {pointer} in {self:?}").into())
    }
}

impl Scene {
    /// `limit` is how many environments a function may have.
    pub async fn open(bench: &Bench, binaries: BTreeMap<String, PathBuf>, limit: usize) -> Result<Self> {
        let stack = "bench".to_owned();
        let path = bench.workspace.join("template.yaml");
        // All load comes from one address, and a few customers place all orders.
        let unlimited = ["AttemptsPerAddress", "MaxOpenOrders"];
        let mut parameters: BTreeMap<_, _> = unlimited.map(|name| (name.to_owned(), "0".to_owned())).into();
        parameters.insert("MailFrom".to_owned(), "shop@example.com".to_owned());
        let template = Template::read(&path, &stack, &parameters)?;
        let options = Options { template: path, binaries, stack, parameters, limit, ..Options::default() };
        let shop = Shop::start(options).await?;
        let routes = Routes::new(template.routes.clone());
        Ok(Self { shop, template, routes, client: Client::new(), named: AtomicU64::default() })
    }

    /// A name that nobody has yet.
    pub fn name(&self, stem: &str) -> String {
        format!("{stem}-{}", self.named.fetch_add(1, Ordering::Relaxed))
    }

    /// What it takes to open an account.
    pub fn registration(&self, stem: &str) -> Value {
        let name = self.name(stem);
        bodies::account(name, PASSWORD).json()
    }

    /// A new customer, logged in.
    pub async fn customer(&self, stem: &str) -> Result<Person> {
        let registration = self.registration(stem);
        let registered = self.expect(201, &Ask::post("/auth/register", registration), None).await?;
        self.login(&registered.text("/email")?).await
    }

    /// A new admin, logged in.
    pub async fn admin(&self) -> Result<Person> {
        let customer = self.customer("admin").await?;
        self.invoke("account-admin", json!({"email": customer.email, "role": "admin"})).await?;
        self.login(&customer.email).await
    }

    pub fn credentials(email: &str) -> Value {
        bodies::by_email(email, PASSWORD)
    }

    /// The token of the last mail to an address.
    pub async fn mailed_token(&self, email: &str) -> Result<String> {
        self.shop.settled().await;
        let mails = self.shop.mails();
        let token =
            |text: &str| text.split_whitespace().find(|word| word.split('.').count() == 4 && word.len() > 80).map(str::to_owned);
        let token = mails.iter().rev().filter(|mail| mail.to == [email]).find_map(|mail| token(&mail.text));
        token.ok_or_else(|| format!("no token was sent to {email}").into())
    }

    /// The password that everybody has.
    pub fn password() -> Value {
        json!({"password": PASSWORD})
    }

    /// The body of a change of it to itself.
    pub fn new_password() -> Value {
        json!({"password": PASSWORD, "new_password": PASSWORD})
    }

    pub async fn login(&self, email: &str) -> Result<Person> {
        let tokens = self.expect(200, &Ask::post("/auth/login", Self::credentials(email)), None).await?;
        let mut person = Person {
            email: email.to_owned(),
            access_token: tokens.text("/access_token")?,
            refresh_token: tokens.text("/refresh_token")?,
            caller: Value::Null,
        };
        person.caller = self.authorize(&Ask::get("/auth/me"), &person).await?;
        Ok(person)
    }

    /// Adds a product with more than enough in stock; its path.
    pub async fn product(&self, admin: &Person) -> Result<String> {
        let name = self.name("Fountain pen");
        let product = bodies::product(name).description("Black, with a steel nib").price("19.90").quantity(1_000_000).json();
        let made = self.expect(201, &Ask::post("/products", product), Some(admin)).await?;
        Ok(format!("/products/{}", made.text("/product_id")?))
    }

    /// Asks through the gateway for what must have this status.
    pub async fn expect(&self, status: u64, ask: &Ask, person: Option<&Person>) -> Result<Answer> {
        let answer = self.send(ask, person).await?;
        if answer.status == status { Ok(answer) } else { Err(format!("{} {}: {answer:?}", ask.method, ask.path).into()) }
    }

    /// Asks through the gateway.
    pub async fn send(&self, ask: &Ask, person: Option<&Person>) -> Result<Answer> {
        let mut url = format!("{}{}", self.shop.url(), ask.path);
        if !ask.query.is_empty() {
            url = format!("{url}?{}", ask.query);
        }
        let mut request = self.client.request(ask.method.clone(), url);
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        if let Some(person) = person {
            request = request.bearer_auth(&person.access_token);
        }
        let response = request.send().await?;
        let status = response.status().as_u16().into();
        let body = response.bytes().await?;
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    /// Asks the same functions without the gateway: the authorizer, if the route has one, and the route's own.
    pub async fn send_directly(&self, ask: &Ask, person: Option<&Person>) -> Result<Answer> {
        let caller = match person {
            Some(person) => Some(self.authorize(ask, person).await?),
            None => None,
        };
        let (function, event) = self.event(ask, person, caller.as_ref())?;
        let answer = self.invoke(&function, event).await?;
        let body = answer["body"].as_str().unwrap_or_default();
        Ok(Answer {
            status: answer["statusCode"].as_u64().unwrap_or_default(),
            body: serde_json::from_str(body).unwrap_or_default(),
        })
    }

    /// Who the authorizer says that somebody is.
    async fn authorize(&self, ask: &Ask, person: &Person) -> Result<Value> {
        let mut verdict = self.invoke("authorizer", self.authorizer_event(ask, person)?).await?;
        if verdict["isAuthorized"] == true { Ok(verdict["context"].take()) } else { Err(format!("{verdict}").into()) }
    }

    async fn invoke(&self, function: &str, event: Value) -> Result<Value> {
        match self.shop.invoke(function, event).await.outcome {
            Outcome::Payload(payload) => Ok(serde_json::from_slice(&payload)?),
            failed => Err(format!("{function}: {failed:?}").into()),
        }
    }

    /// The binary of the function that answers, and the event that the gateway would hand to it.
    pub fn event(&self, ask: &Ask, person: Option<&Person>, caller: Option<&Value>) -> Result<(String, Value)> {
        let Ask { method, path, query, body } = ask;
        let (route, parameters) = self.routes.find(method.as_str(), path).ok_or_else(|| format!("no route for {path}"))?;
        let function = self.function(&route.function)?;
        let body = body.as_ref().map(Value::to_string);
        let mut headers = json!({
            "accept": "*/*",
            "content-length": body.as_ref().map_or(0, String::len).to_string(),
            "host": "api.example.com",
            "user-agent": "bench",
            "x-amzn-trace-id": "Root=1-6921a0ae-0123456789abcdef01234567",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        });
        if body.is_some() {
            headers["content-type"] = "application/json".into();
        }
        if let Some(person) = person {
            headers["authorization"] = format!("Bearer {}", person.access_token).into();
        }
        let mut event = json!({
            "version": "2.0",
            "routeKey": route.key,
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "abcdef1234",
                "domainName": "api.example.com",
                "domainPrefix": "api",
                "http": {
                    "method": method.as_str(),
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "203.0.113.7",
                    "userAgent": "bench",
                },
                "requestId": "JKJaXmPLvHcESHA=",
                "routeKey": route.key,
                "stage": "$default",
                "time": "22/Nov/2026:10:12:30 +0000",
                "timeEpoch": 1_795_342_350_123_u64,
            },
            "pathParameters": parameters,
            "isBase64Encoded": false,
        });
        if let Some(caller) = caller {
            event["requestContext"]["authorizer"] = json!({"lambda": caller});
        }
        if let Some(body) = body {
            event["body"] = body.into();
        }
        if !query.is_empty() {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            event["queryStringParameters"] =
                pairs.map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>().into();
        }
        Ok((function.binary.clone(), event))
    }

    /// The event that the gateway would ask the authorizer with.
    pub fn authorizer_event(&self, ask: &Ask, person: &Person) -> Result<Value> {
        let (_, mut event) = self.event(ask, Some(person), None)?;
        if let Some(event) = event.as_object_mut() {
            event.remove("body");
            event.remove("isBase64Encoded");
        }
        event["type"] = "REQUEST".into();
        event["identitySource"] = json!([event["headers"]["authorization"]]);
        let (method, path) = (&ask.method, &ask.path);
        event["routeArn"] = format!("arn:aws:execute-api:us-east-1:123456789012:abcdef1234/$default/{method}{path}").into();
        Ok(event)
    }

    /// A function of the template, by logical id or binary.
    pub fn function(&self, name: &str) -> Result<&Function> {
        let named = |function: &&Function| function.id == name || function.binary == name;
        self.template.functions.iter().find(named).ok_or_else(|| format!("no function {name}").into())
    }

    /// Changes an item behind the functions' backs.
    pub async fn update_item(&self, body: Value) -> Result {
        dynamodb::Client::at(self.shop.dynamodb_url())?.call("UpdateItem", &body).await?;
        Ok(())
    }
}
