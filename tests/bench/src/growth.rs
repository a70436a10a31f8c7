//! What a request takes in a small shop and in a large one: no route's work should grow with what others have put into the table.

use std::time::Instant;

use emulator::dynamodb::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::report::{Chapter, figure, table};
use crate::scene::{Ask, Person, Scene};
use crate::stats::median;
use crate::{Bench, Result, bodies};

/// Products, and orders of one customer, in the table. The greatest is what the others are compared with.
const SIZES: [usize; 2] = [1_000, 50_000];
/// Items that DynamoDB writes in one call at most.
const BATCH: usize = 25;
/// How many pages the walk goes before the one that is measured.
const PAGES: usize = 9;

#[derive(Debug, Serialize, Deserialize)]
pub struct Figures {
    sizes: Vec<usize>,
    /// By question, the median of its milliseconds at each size.
    medians: Vec<(String, Vec<f64>)>,
}

pub async fn measure(bench: &Bench) -> Result<Figures> {
    let (sizes, times) = if bench.quick { (vec![100, 1_000], 5) } else { (SIZES.to_vec(), 60) };
    let scene = Scene::open(bench, bench.functions().await?, 2).await?;
    let (admin, customer) = (scene.admin().await?, scene.customer("customer").await?);
    let product = scene.product(&admin).await?;
    let line = bodies::order([(product.trim_start_matches("/products/"), 1)]);
    // The only order of its status, before all others.
    let rare = order(&scene, &customer, line.clone()).await?;
    scene.expect(200, &Ask::put(&rare, json!({"status": "CONFIRMED"})), Some(&customer)).await?;
    let placed = order(&scene, &customer, line).await?;

    let mut copies = Copies::of(&scene, &product, &placed).await?;
    let mut medians: Vec<(String, Vec<f64>)> = Vec::new();
    for &size in &sizes {
        eprintln!("growth: {size} products and orders");
        copies.reach(size).await?;
        let deep = deep(&scene).await?;
        let questions = [
            ("a product", Ask::get(&product), None),
            ("the first page of 100 products", Ask::get("/products").query("limit=100"), None),
            ("the tenth page", Ask::get("/products").query(format!("limit=100&cursor={deep}")), None),
            ("an order", Ask::get(&placed), Some(&customer)),
            ("a page of one's own orders", Ask::get("/orders").query("limit=20"), Some(&customer)),
            ("one's own orders of a rare status", Ask::get("/orders").query("status=CONFIRMED"), Some(&customer)),
            ("a page of all orders", Ask::get("/orders").query("limit=20"), Some(&admin)),
            ("all orders of a status", Ask::get("/orders").query("status=CONFIRMED"), Some(&admin)),
        ];
        for (index, (name, ask, person)) in questions.into_iter().enumerate() {
            let mut latencies = Vec::new();
            for _ in 0..times {
                let sent = Instant::now();
                scene.expect(200, &ask, person).await?;
                latencies.push(sent.elapsed().as_secs_f64() * 1e3);
            }
            if medians.len() == index {
                medians.push((name.to_owned(), Vec::new()));
            }
            medians[index].1.push(median(&latencies));
        }
    }
    scene.shop.stop().await;
    Ok(Figures { sizes, medians })
}

async fn order(scene: &Scene, customer: &Person, body: Value) -> Result<String> {
    Ok(format!("/orders/{}", scene.expect(201, &Ask::post("/orders", body), Some(customer)).await?.text("/order_id")?))
}

/// The cursor after some pages of the catalogue.
async fn deep(scene: &Scene) -> Result<String> {
    let mut query = "limit=10".to_owned();
    let mut cursor = String::new();
    for _ in 0..PAGES {
        cursor = scene.expect(200, &Ask::get("/products").query(query), None).await?.text("/next_cursor")?;
        query = format!("limit=10&cursor={cursor}");
    }
    Ok(cursor)
}

/// Items of a product and of an order, and more and more that are like them but for their ids and names.
struct Copies {
    client: Client,
    table: String,
    items: Vec<String>,
    /// What is another in each copy.
    ids: [String; 2],
    name: String,
    made: usize,
}

impl Copies {
    async fn of(scene: &Scene, product: &str, order: &str) -> Result<Self> {
        let client = Client::at(scene.shop.dynamodb_url())?;
        let table = scene.template.tables.first().ok_or("a shop without a table")?.name.clone();
        let ids = [product, order].map(|path| path.rsplit('/').next().unwrap_or_default().to_owned());
        let mut items = Vec::new();
        for (kind, id) in [("PRODUCT", &ids[0]), ("ORDER", &ids[1])] {
            let query = json!({
                "TableName": table,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": {"S": format!("{kind}#{id}")}},
            });
            let found = client.call("Query", &query).await?;
            items.extend(found["Items"].as_array().into_iter().flatten().map(Value::to_string));
        }
        let named =
            items.iter().find_map(|item| serde_json::from_str::<Value>(item).ok()?["name"]["S"].as_str().map(str::to_owned));
        Ok(Self { client, table, items, ids, name: named.ok_or("a product without a name")?, made: 0 })
    }

    /// Until there are so many of each.
    async fn reach(&mut self, size: usize) -> Result {
        let mut puts = Vec::new();
        while self.made < size {
            self.made += 1;
            let made = self.made;
            for item in &self.items {
                let [product, order] = &self.ids;
                let item = item
                    .replace(product, &format!("01ffffff-0000-7000-8000-{made:012x}"))
                    .replace(order, &format!("01ffffff-0001-7000-8000-{made:012x}"))
                    .replace(&self.name, &format!("Fountain pen {made:08}"))
                    .replace(&self.name.to_lowercase(), &format!("fountain pen {made:08}"));
                puts.push(json!({"PutRequest": {"Item": serde_json::from_str::<Value>(&item)?}}));
            }
            if puts.len() + self.items.len() > BATCH || self.made == size {
                let puts = std::mem::take(&mut puts);
                self.client.call("BatchWriteItem", &json!({"RequestItems": {&self.table: puts}})).await?;
            }
        }
        Ok(())
    }
}

pub fn chapter(figures: &Figures) -> Chapter {
    let sizes: Vec<_> = figures.sizes.iter().map(ToString::to_string).collect();
    let [small, .., large] = sizes.as_slice() else { return Chapter::default() };
    let ratios = figures.medians.iter().filter_map(|(name, medians)| {
        let (small, large) = (medians.first()?, medians.last()?);
        Some(vec![name.clone(), format!("{:.2}", large / small)])
    });
    let rows = figures
        .medians
        .iter()
        .map(|(name, medians)| [name.clone()].into_iter().chain(medians.iter().map(|ms| figure(*ms))).collect());
    let head: Vec<_> = ["request"].into_iter().chain(sizes.iter().map(String::as_str)).collect();
    Chapter {
        title: "Growth",
        ratios: format!(
            "With {large} products and {large} orders of one customer, against {small} of each.\n\n{}",
            table(&["request", "time ÷ time in the small shop"], ratios)
        ),
        figures: format!("Milliseconds through the gateway, medians, by how many products and orders there are.\n\n{}", table(&head, rows)),
        meaning: "- A request reads what it is about, by its key, and nothing that others have put into the table. The one that looks further \
                  is a customer's own orders of a rare status: up to 500, and then up to 1 MB.\n"
            .to_owned(),
        ..Chapter::default()
    }
}
