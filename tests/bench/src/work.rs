//! What each function is given to do: its ordinary work, on things that exist, as often as it is asked.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::scene::{Answer, Ask, Person, Scene};
use crate::{Result, bodies};

/// Access tokens live for 15 minutes.
const LOGIN_AGAIN: Duration = Duration::from_mins(5);

/// An event, and what the answer must have: a field and its value.
pub struct Work {
    pub event: Bytes,
    pub expected: (&'static str, Value),
}

pub struct Workload {
    pub scene: Scene,
    admin: Person,
    /// Has a few orders, and places no more.
    reader: Person,
    buyer: Person,
    /// Whose role changes.
    clerk: Person,
    /// Paths, here and below.
    product: String,
    order: String,
    line: String,
    logged_in: Instant,
    turn: u64,
}

impl Workload {
    pub async fn open(scene: Scene) -> Result<Self> {
        let admin = scene.admin().await?;
        let product = scene.product(&admin).await?;
        for _ in 1..20 {
            scene.product(&admin).await?;
        }
        let (reader, buyer) = (scene.customer("reader").await?, scene.customer("buyer").await?);
        let clerk = scene.customer("clerk").await?;
        let mut workload = Self {
            scene,
            admin,
            reader,
            buyer,
            clerk,
            product,
            order: String::new(),
            line: String::new(),
            logged_in: Instant::now(),
            turn: 0,
        };
        for _ in 0..5 {
            let placed = workload.place(&workload.reader).await?;
            workload.order = order_path(&placed)?;
            let line = bodies::line(workload.product_id(), 1);
            let add = Ask::post(format!("{}/items", workload.order), line);
            workload.scene.expect(201, &add, Some(&workload.reader)).await?;
        }
        let placed = workload.place(&workload.buyer).await?;
        workload.line = line_path(&placed)?;
        Ok(workload)
    }

    /// The next thing to do for a function.
    pub async fn next(&mut self, function: &str) -> Result<Work> {
        self.turn += 1;
        if self.logged_in.elapsed() > LOGIN_AGAIN {
            self.admin = self.scene.login(&self.admin.email).await?;
            self.buyer = self.scene.login(&self.buyer.email).await?;
            self.logged_in = Instant::now();
        }
        let odd = self.turn % 2 == 1;
        let line = bodies::line(self.product_id(), 1);
        let (status, ask, person) = match function {
            "product-get" => (200, Ask::get(&self.product), None),
            "product-list" => (200, Ask::get("/products").query("limit=20"), None),
            "product-create" => {
                let product = bodies::product(self.scene.name("Pencil")).description("HB").price("0.80").quantity(500).json();
                (201, Ask::post("/products", product), Some(&self.admin))
            }
            "product-update" => {
                let price = if odd { "19.95" } else { "19.90" };
                (200, Ask::put(&self.product, json!({"price": price})), Some(&self.admin))
            }
            "product-delete" => (204, Ask::delete(self.scene.product(&self.admin).await?), Some(&self.admin)),
            "movement-create" => {
                let amount = if odd { 50 } else { -50 };
                (201, Ask::post(format!("{}/movements", self.product), json!({"amount": amount})), Some(&self.admin))
            }
            "movement-list" => (200, Ask::get(format!("{}/movements", self.product)), Some(&self.admin)),
            "stock-get" => (200, Ask::get(format!("{}/stock", self.product)), Some(&self.admin)),
            "order-list" => (200, Ask::get("/orders"), Some(&self.reader)),
            "order-get" => (200, Ask::get(&self.order), Some(&self.reader)),
            "order-create" => (201, Ask::post("/orders", bodies::order([(self.product_id(), 1)])), Some(&self.buyer)),
            "order-update" => {
                let order = order_path(&self.place(&self.buyer).await?)?;
                (200, Ask::put(order, json!({"status": "CONFIRMED"})), Some(&self.buyer))
            }
            "order-delete" => (204, Ask::delete(order_path(&self.place(&self.buyer).await?)?), Some(&self.buyer)),
            "order-item-add" => {
                let order = order_path(&self.place(&self.buyer).await?)?;
                (201, Ask::post(format!("{order}/items"), line), Some(&self.buyer))
            }
            "order-item-update" => (200, Ask::put(&self.line, json!({"quantity": if odd { 2 } else { 1 }})), Some(&self.buyer)),
            "order-item-remove" => (204, Ask::delete(line_path(&self.place(&self.buyer).await?)?), Some(&self.buyer)),
            "auth-register" => (201, Ask::post("/auth/register", self.scene.registration("ada")), None),
            "auth-login" => (200, Ask::post("/auth/login", Scene::credentials(&self.reader.email)), None),
            "auth-refresh" => {
                // Of somebody who does nothing else: an account has so many sessions, and the work of many rounds is made at once.
                let tokens = self.scene.customer("refreshing").await?;
                (200, Ask::post("/auth/refresh", json!({"refresh_token": tokens.refresh_token})), None)
            }
            "auth-me" => (200, Ask::get("/auth/me"), Some(&self.reader)),
            "auth-password" => {
                // Somebody who does nothing else: every other session of theirs ends.
                let changing = self.scene.customer("changing").await?;
                return self.work(204, &Ask::put("/auth/password", Scene::new_password()), Some(&changing));
            }
            "auth-session-list" => (200, Ask::get("/auth/sessions"), Some(&self.reader)),
            "auth-session-end" => {
                let leaving = self.scene.customer("leaving").await?;
                let id = leaving.caller["session_id"].as_str().unwrap_or_default();
                return self.work(204, &Ask::delete(format!("/auth/sessions/{id}")), Some(&leaving));
            }
            "auth-me-delete" => {
                let leaving = self.scene.customer("leaver").await?;
                return self.work(204, &Ask::delete("/auth/me").with(Scene::password()), Some(&leaving));
            }
            "auth-me-update" => {
                let mut body = Scene::password();
                body["username"] = json!(self.scene.name("reader").to_lowercase());
                (200, Ask::put("/auth/me", body), Some(&self.reader))
            }
            "auth-recovery-start" => {
                let nobody = format!("{}@example.com", self.scene.name("nobody"));
                (202, Ask::post("/auth/recovery", json!({"email": nobody})), None)
            }
            "auth-recovery" => {
                let forgetful = self.scene.customer("forgetful").await?;
                let start = Ask::post("/auth/recovery", json!({"email": forgetful.email}));
                self.scene.expect(202, &start, None).await?;
                let body =
                    json!({"token": self.scene.mailed_token(&forgetful.email).await?, "new_password": "Quittengelee mit Nelken"});
                (204, Ask::put("/auth/recovery", body), None)
            }
            "auth-verification-send" => {
                let new = self.scene.customer("new").await?;
                return self.work(202, &Ask::post("/auth/verification", json!({})), Some(&new));
            }
            "auth-verification" => {
                let new = self.scene.customer("new").await?;
                let body = json!({"token": self.scene.mailed_token(&new.email).await?});
                (204, Ask::put("/auth/verification", body), None)
            }
            "auth-keys" => (200, Ask::get("/.well-known/jwks.json"), None),
            "user-list" => (200, Ask::get("/users").query("limit=20"), Some(&self.admin)),
            "user-get" => (200, Ask::get(user_path(&self.clerk)), Some(&self.admin)),
            "user-update" => {
                let role = if odd { "admin" } else { "customer" };
                (200, Ask::put(user_path(&self.clerk), json!({"role": role})), Some(&self.admin))
            }
            "auth-logout" => {
                let leaving = self.scene.login(&self.reader.email).await?;
                return self.work(204, &Ask::post("/auth/logout", json!({})), Some(&leaving));
            }
            "docs" => (200, Ask::get("/openapi.json"), None),
            "fallback" => (404, Ask::get("/nowhere"), None),
            "authorizer" => {
                let event = self.scene.authorizer_event(&Ask::get("/auth/me"), &self.buyer)?;
                return Ok(Work::new(&event, "isAuthorized", true));
            }
            "account-admin" => {
                let role = if odd { "admin" } else { "customer" };
                return Ok(Work::new(&json!({"email": self.clerk.email, "role": role}), "role", role));
            }
            "order-expire" => return Ok(Work::new(&schedule(), "cancelled", 1)),
            // On most days there is nothing to do: the secret is young.
            "secret-rotate" => return Ok(Work::new(&schedule(), "rotated", false)),
            "event-publish" => {
                let record: Value = serde_json::from_str(include_str!("../../../events/event-publish.json"))?;
                return Ok(Work::new(&record, "batchItemFailures", json!([])));
            }
            "mail-feedback" => {
                return Ok(Work::new(&json!({"deliverable": self.reader.email}), "marked", 1));
            }
            "mail-send" => {
                let mut event: Value = serde_json::from_str(include_str!("../../../events/mail-send.json"))?;
                let image = &mut event["Records"][0]["dynamodb"]["NewImage"];
                image["pk"]["S"] = json!(format!("TICKETS#{}", self.reader.caller["user_id"].as_str().unwrap_or_default()));
                image["expires_at"]["N"] = json!("4102444800");
                return Ok(Work::new(&event, "batchItemFailures", json!([])));
            }
            // Behind the last product: a start and its questions, and not so many events that they are all that is measured.
            "event-replay" => {
                let last = format!("{} ~", self.product_id());
                return Ok(Work::new(&json!({"kind": "products", "cursor": last}), "published", 0));
            }
            unknown => return Err(format!("tests/bench/src/work.rs has no work for {unknown}").into()),
        };
        self.work(status, &ask, person)
    }

    /// Makes what must be there for the very next invocation and not before.
    pub async fn set_up(&self, function: &str) -> Result {
        match function {
            "order-expire" => self.forget(&order_path(&self.place(&self.buyer).await?)?).await,
            // A session to end.
            "account-admin" => self.scene.login(&self.clerk.email).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    fn work(&self, status: u16, ask: &Ask, person: Option<&Person>) -> Result<Work> {
        let (_, event) = self.scene.event(ask, person, person.map(|person| &person.caller))?;
        Ok(Work::new(&event, "statusCode", status))
    }

    fn product_id(&self) -> &str {
        self.product.trim_start_matches("/products/")
    }

    /// Places an order with one line.
    async fn place(&self, customer: &Person) -> Result<Answer> {
        let lines = bodies::order([(self.product_id(), 1)]);
        self.scene.expect(201, &Ask::post("/orders", lines), Some(customer)).await
    }

    /// Makes an order look as if nobody had touched it for two days.
    async fn forget(&self, order: &str) -> Result {
        let id = order.trim_start_matches("/orders/");
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let then = now.saturating_sub(Duration::from_hours(48)).as_millis();
        // An id tells when its order was made; so that this one was, it gets an older place in the index.
        let made = format!("{:08x}-{:04x}-7000-8000-{}", then >> 16, then & 0xffff, id.get(24..).unwrap_or_default());
        let update = json!({
            "TableName": self.scene.template.tables.first().map(|table| &table.name),
            "Key": {"pk": {"S": format!("ORDER#{id}")}, "sk": {"S": "ORDER"}},
            "UpdateExpression": "SET updated_at = :then, gsi2sk = :made",
            "ExpressionAttributeValues": {":then": {"N": then.to_string()}, ":made": {"S": made}},
        });
        self.scene.update_item(update).await
    }
}

fn user_path(person: &Person) -> String {
    format!("/users/{}", person.caller["user_id"].as_str().unwrap_or_default())
}

impl Work {
    fn new(event: &Value, field: &'static str, value: impl Into<Value>) -> Self {
        Self { event: event.to_string().into(), expected: (field, value.into()) }
    }

    /// A benchmark of errors is none.
    pub fn check(&self, answer: &[u8]) -> Result {
        let (field, expected) = &self.expected;
        let is_so = serde_json::from_slice::<Value>(answer).is_ok_and(|answer| answer[*field] == *expected);
        if is_so { Ok(()) } else { Err(format!("not {field} {expected}: {}", String::from_utf8_lossy(answer)).into()) }
    }
}

fn order_path(placed: &Answer) -> Result<String> {
    Ok(format!("/orders/{}", placed.text("/order_id")?))
}

fn line_path(placed: &Answer) -> Result<String> {
    Ok(format!("{}/items/{}", order_path(placed)?, placed.text("/items/0/order_item_id")?))
}

/// What `EventBridge` sends.
fn schedule() -> Value {
    json!({
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-11-22T10:15:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {},
    })
}
