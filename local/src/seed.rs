//! Something to look at in a new shop: two accounts and a few products, made through the API and the operator's function.

use std::time::Duration;

use emulator::{Failure, Outcome, innermost};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::console::Account;
use crate::error::{Error, Result};
use crate::shop::Shop;

/// Of both accounts. Anybody can read it here, so that it is good for a shop on one's own machine only.
pub const PASSWORD: &str = "keep-this-one-local";
pub const ADMIN: &str = "admin@example.com";
/// Registered last: where this account can log in, the shop has been seeded.
pub const CUSTOMER: &str = "customer@example.com";

const PRODUCTS: [(&str, &str, &str, u64); 4] = [
    ("Fountain pen", "Black, with a steel nib", "19.90", 120),
    ("Ink, blue", "50 ml in a glass bottle", "8.50", 40),
    ("Notebook", "A5, 120 dotted pages", "12.00", 200),
    ("Blotting paper", "20 sheets", "3.20", 3),
];

/// How long it may take until what was told of the data is no longer under way.
const TOLD_LIMIT: Duration = Duration::from_secs(5);

/// Seeds the shop unless it has been; gives the accounts that have the password, which the page about the API offers. Going on where an
/// earlier start was interrupted does no harm.
pub async fn run(shop: &Shop) -> Result<Vec<&'static str>> {
    let api = Api { url: shop.url(), client: Client::new() };
    let mut accounts = Vec::new();
    for account in [CUSTOMER, ADMIN] {
        if let Some(token) = api.login(account).await? {
            api.send("/auth/logout", Some(&token), json!({})).await?;
            accounts.insert(0, account);
        } else if accounts.is_empty() {
            break;
        }
    }
    if accounts.is_empty() {
        accounts = api.fill(shop).await?;
        // Nobody waits for these, and they are no more what happens in the shop than the requests that led to them.
        let _ = tokio::time::timeout(TOLD_LIMIT, shop.streams_are_read()).await;
    }
    shop.offer(accounts.iter().map(|email| Account { email, password: PASSWORD }).collect());
    Ok(accounts)
}

struct Api<'a> {
    url: &'a str,
    client: Client,
}

impl Api<'_> {
    /// Makes what is there to look at; gives the accounts.
    async fn fill(&self, shop: &Shop) -> Result<Vec<&'static str>> {
        self.register(ADMIN, "admin").await?;
        let promoted = shop.invoke("account-admin", json!({"email": ADMIN, "role": "admin"})).await;
        match promoted.outcome {
            Outcome::Payload(_) => {}
            Outcome::Error(Failure { error_message, .. }) => {
                return Err(Error::Seed(format!("account-admin: {error_message}")));
            }
            Outcome::TimedOut => return Err(Error::Seed("account-admin: no answer in time".to_owned())),
        }
        // Somebody has given the account another password.
        let Some(admin) = self.login(ADMIN).await? else { return Ok(Vec::new()) };
        for (name, description, price, quantity) in PRODUCTS {
            let product = json!({"name": name, "description": description, "price": price, "quantity": quantity});
            self.make("/products", Some(&admin), product).await?;
        }
        self.send("/auth/logout", Some(&admin), json!({})).await?;
        // One that is there already has another password by now.
        let is_new = self.register(CUSTOMER, "customer").await?;
        Ok([ADMIN].into_iter().chain(is_new.then_some(CUSTOMER)).collect())
    }

    async fn register(&self, email: &str, username: &str) -> Result<bool> {
        self.make("/auth/register", None, json!({"email": email, "username": username, "password": PASSWORD})).await
    }

    /// A token, unless there is no such account with this password.
    async fn login(&self, email: &str) -> Result<Option<String>> {
        let (status, answer) = self.send("/auth/login", None, json!({"email": email, "password": PASSWORD})).await?;
        match (status, answer["access_token"].as_str()) {
            (_, Some(token)) => Ok(Some(token.to_owned())),
            (StatusCode::UNAUTHORIZED, None) => Ok(None),
            _ => Err(refused("/auth/login", status, &answer)),
        }
    }

    /// Makes something unless it is there already; tells whether it was not.
    async fn make(&self, path: &str, token: Option<&str>, body: Value) -> Result<bool> {
        match self.send(path, token, body).await? {
            (status @ (StatusCode::CREATED | StatusCode::CONFLICT), _) => Ok(status == StatusCode::CREATED),
            (status, answer) => Err(refused(path, status, &answer)),
        }
    }

    async fn send(&self, path: &str, token: Option<&str>, body: Value) -> Result<(StatusCode, Value)> {
        let request = self.client.post(format!("{}{path}", self.url)).json(&body);
        let request = token.into_iter().fold(request, RequestBuilder::bearer_auth);
        let failed = |error: reqwest::Error| Error::Seed(format!("POST {path}: {}", innermost(&error)));
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let body = answer.text().await.map_err(failed)?;
        Ok((status, serde_json::from_str(&body).unwrap_or_default()))
    }
}

fn refused(path: &str, status: StatusCode, answer: &Value) -> Error {
    let said = answer["detail"].as_str().or(answer["message"].as_str()).unwrap_or_default();
    Error::Seed(format!("POST {path} was answered {} {said}", status.as_u16()))
}
