//! Something to look at in a new shop: two accounts and a few products, made through the API and the operator's function.

use emulator::Outcome;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

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

/// Seeds the shop unless it has been. Going on where an earlier start was interrupted does no harm.
pub async fn run(shop: &Shop) -> Result {
    let api = Api { url: shop.url(), client: Client::new() };
    if let Ok(token) = api.login(CUSTOMER).await {
        api.send("/auth/logout", Some(&token), json!({})).await?;
        return Ok(());
    }

    api.register(ADMIN, "admin").await?;
    let promoted = shop.invoke("account-admin", json!({"email": ADMIN, "role": "admin"})).await;
    if !matches!(promoted.outcome, Outcome::Payload(_)) {
        return Err(Error::Seed(format!("account-admin: {:?}", promoted.outcome)));
    }
    let admin = api.login(ADMIN).await?;
    for (name, description, price, quantity) in PRODUCTS {
        let product = json!({"name": name, "description": description, "price": price, "quantity": quantity});
        api.make("/products", Some(&admin), product).await?;
    }
    api.send("/auth/logout", Some(&admin), json!({})).await?;
    api.register(CUSTOMER, "customer").await
}

struct Api<'a> {
    url: &'a str,
    client: Client,
}

impl Api<'_> {
    async fn register(&self, email: &str, username: &str) -> Result {
        self.make("/auth/register", None, json!({"email": email, "username": username, "password": PASSWORD})).await
    }

    async fn login(&self, email: &str) -> Result<String> {
        let (status, answer) = self.send("/auth/login", None, json!({"email": email, "password": PASSWORD})).await?;
        let token = answer["access_token"].as_str();
        token.map(str::to_owned).ok_or_else(|| Error::Seed(format!("POST /auth/login: {status}: {answer}")))
    }

    /// Makes something that may be there already.
    async fn make(&self, path: &str, token: Option<&str>, body: Value) -> Result {
        match self.send(path, token, body).await? {
            (StatusCode::CREATED | StatusCode::CONFLICT, _) => Ok(()),
            (status, answer) => Err(Error::Seed(format!("POST {path}: {status}: {answer}"))),
        }
    }

    async fn send(&self, path: &str, token: Option<&str>, body: Value) -> Result<(StatusCode, Value)> {
        let request = self.client.post(format!("{}{path}", self.url)).json(&body);
        let request = token.into_iter().fold(request, RequestBuilder::bearer_auth);
        let failed = |error: reqwest::Error| Error::Seed(format!("POST {path}: {error}"));
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let body = answer.text().await.map_err(failed)?;
        Ok((status, serde_json::from_str(&body).unwrap_or_default()))
    }
}
