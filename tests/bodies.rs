//! Bodies of requests that are accepted: a test says what it is about, and the rest is here.

use serde_json::{Value, json};

/// A new product.
#[derive(Clone)]
pub struct ProductDraft(Value);

/// One piece for 1.00, but for what else is said of it.
pub fn product(name: impl AsRef<str>) -> ProductDraft {
    ProductDraft(json!({"name": name.as_ref(), "price": "1.00", "quantity": 1}))
}

impl ProductDraft {
    pub fn description(self, text: &str) -> Self {
        self.with("description", text)
    }

    pub fn price(self, price: impl Into<Value>) -> Self {
        self.with("price", price)
    }

    pub fn quantity(self, pieces: u64) -> Self {
        self.with("quantity", pieces)
    }

    pub fn stock_shards(self, shards: u32) -> Self {
        self.with("stock_shards", shards)
    }

    /// Whatever it is, in a field or what is none.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }

    pub fn json(self) -> Value {
        self.0
    }
}

/// A line of an order, or one to add to it.
pub fn line(product_id: impl AsRef<str>, quantity: u64) -> Value {
    json!({"product_id": product_id.as_ref(), "quantity": quantity})
}

/// An order of these products and quantities.
pub fn order<'a>(wanted: impl IntoIterator<Item = (&'a str, u64)>) -> Value {
    let items: Vec<_> = wanted.into_iter().map(|(product_id, quantity)| line(product_id, quantity)).collect();
    json!({"items": items})
}

/// A registration.
pub struct AccountDraft(Value);

/// With the address that goes with the name.
pub fn account(username: impl AsRef<str>, password: impl AsRef<str>) -> AccountDraft {
    let (username, password) = (username.as_ref(), password.as_ref());
    AccountDraft(json!({"email": format!("{username}@example.com"), "username": username, "password": password}))
}

impl AccountDraft {
    pub fn email(self, email: &str) -> Self {
        self.with("email", email)
    }

    /// Whatever it is, in a field or what is none.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.0[field] = value.into();
        self
    }

    pub fn json(self) -> Value {
        self.0
    }
}

/// A login with the address of an account.
pub fn by_email(email: impl AsRef<str>, password: impl AsRef<str>) -> Value {
    json!({"email": email.as_ref(), "password": password.as_ref()})
}

/// A login with the name of an account.
pub fn by_username(username: impl AsRef<str>, password: impl AsRef<str>) -> Value {
    json!({"username": username.as_ref(), "password": password.as_ref()})
}
