//! Random histories of products and orders, step by step beside a simple model in memory: a product is a few numbers, an order
//! is a status and a list of lines, and a total is a sum that is made when it is asked for.

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::app::{Actor, Order, Product, TestApp, line, lines, unique};

/// One thing that somebody does. Numbers name products, orders and lines, counted round what there is.
#[derive(Debug, Clone)]
enum Step {
    Price { product: usize, cents: u64 },
    Count { product: usize, quantity: u64 },
    Move { product: usize, amount: i64 },
    Spread { product: usize, shards: u64 },
    DeleteProduct { product: usize },
    Place { lines: Vec<(usize, u64)> },
    Add { order: usize, product: usize, quantity: u64 },
    Change { order: usize, line: usize, quantity: u64 },
    Remove { order: usize, line: usize },
    Status { order: usize, to: &'static str, reason: bool, restock: bool, admin: bool },
    DeleteOrder { order: usize, admin: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let (which, few) = (0_usize..12, 1_u64..9);
    let statuses =
        proptest::sample::select(vec!["PENDING", "CONFIRMED", "CONFIRMED", "SHIPPED", "SHIPPED", "DELIVERED", "CANCELLED"]);
    prop_oneof![
        1 => (which.clone(), 0_u64..100_000).prop_map(|(product, cents)| Step::Price { product, cents }),
        1 => (which.clone(), 0_u64..20).prop_map(|(product, quantity)| Step::Count { product, quantity }),
        2 => (which.clone(), (-6_i64..9).prop_filter("nothing is no movement", |amount| *amount != 0))
            .prop_map(|(product, amount)| Step::Move { product, amount }),
        1 => (which.clone(), 1_u64..5).prop_map(|(product, shards)| Step::Spread { product, shards }),
        1 => which.clone().prop_map(|product| Step::DeleteProduct { product }),
        3 => proptest::collection::vec((which.clone(), few.clone()), 0..4).prop_map(|lines| Step::Place { lines }),
        4 => (which.clone(), which.clone(), few.clone()).prop_map(|(order, product, quantity)| Step::Add { order, product, quantity }),
        3 => (which.clone(), which.clone(), few).prop_map(|(order, line, quantity)| Step::Change { order, line, quantity }),
        2 => (which.clone(), which.clone()).prop_map(|(order, line)| Step::Remove { order, line }),
        6 => (which.clone(), statuses, any::<bool>(), proptest::bool::weighted(0.3), any::<bool>())
            .prop_map(|(order, to, reason, restock, admin)| Step::Status { order, to, reason, restock, admin }),
        1 => (which, any::<bool>()).prop_map(|(order, admin)| Step::DeleteOrder { order, admin }),
    ]
}

#[derive(Debug, Clone)]
struct ModelProduct {
    price: u64,
    quantity: u64,
    reserved: u64,
    shipped: u64,
    /// The sum of all movements.
    received: u64,
}

#[derive(Debug, Clone)]
struct ModelOrder {
    status: &'static str,
    /// Product, quantity, price.
    lines: Vec<(usize, u64, u64)>,
}

/// What there is, as the model has it. What was deleted is `None`.
#[derive(Debug, Default, Clone)]
struct Model {
    products: Vec<Option<ModelProduct>>,
    orders: Vec<Option<ModelOrder>>,
}

impl Model {
    /// Takes pieces from the shelf for an order, all or none; the code of the refusal otherwise.
    fn reserve(&mut self, wanted: &[(usize, u64)]) -> Result<(), &'static str> {
        if wanted.iter().any(|(product, _)| self.products[*product].is_none()) {
            return Err("unknown-product");
        }
        let before = self.clone();
        for (product, quantity) in wanted {
            let product = self.products[*product].as_mut().unwrap();
            if product.quantity < *quantity {
                *self = before;
                return Err("out-of-stock");
            }
            product.quantity -= quantity;
            product.reserved += quantity;
        }
        Ok(())
    }

    fn release(&mut self, product: usize, quantity: u64) {
        let product = self.products[product].as_mut().expect("a held product exists");
        product.quantity += quantity;
        product.reserved -= quantity;
    }

    fn order(&mut self, order: usize) -> Result<&mut ModelOrder, &'static str> {
        self.orders[order].as_mut().ok_or("not-found")
    }

    fn pending(&mut self, order: usize) -> Result<&mut ModelOrder, &'static str> {
        let order = self.order(order)?;
        if order.status == "PENDING" { Ok(order) } else { Err("order-not-editable") }
    }

    /// Carries out a step; the code of the problem if it is refused.
    fn take(&mut self, step: &Step) -> Result<(), &'static str> {
        match step {
            Step::Price { product, cents } => self.products[*product].as_mut().ok_or("not-found")?.price = *cents,
            Step::Count { product, quantity } => {
                let product = self.products[*product].as_mut().ok_or("not-found")?;
                product.received = product.received + quantity - product.quantity;
                product.quantity = *quantity;
            }
            Step::Move { product, amount } => {
                let product = self.products[*product].as_mut().ok_or("not-found")?;
                product.quantity = product.quantity.checked_add_signed(*amount).ok_or("out-of-stock")?;
                product.received = product.received.strict_add_signed(*amount);
            }
            // Nothing that anybody can see but the number itself.
            Step::Spread { product, .. } => drop(self.products[*product].as_ref().ok_or("not-found")?),
            Step::DeleteProduct { product } => {
                if self.products[*product].as_ref().ok_or("not-found")?.reserved > 0 {
                    return Err("product-in-use");
                }
                self.products[*product] = None;
            }
            Step::Place { lines } => {
                self.reserve(lines)?;
                let lines = lines
                    .iter()
                    .map(|(product, quantity)| (*product, *quantity, self.products[*product].as_ref().unwrap().price));
                let lines = lines.collect();
                self.orders.push(Some(ModelOrder { status: "PENDING", lines }));
            }
            Step::Add { order, product, quantity } => {
                // Whether there is such a product is looked at first.
                if self.products[*product].is_none() {
                    return Err("unknown-product");
                }
                self.pending(*order)?;
                self.reserve(&[(*product, *quantity)])?;
                let price = self.products[*product].as_ref().unwrap().price;
                self.order(*order)?.lines.push((*product, *quantity, price));
            }
            Step::Change { order, line, quantity } => {
                let (product, before, _) = *self.order(*order)?.lines.get(*line).ok_or("not-found")?;
                self.pending(*order)?;
                if *quantity > before {
                    self.reserve(&[(product, quantity - before)])?;
                } else {
                    self.release(product, before - quantity);
                }
                self.order(*order)?.lines[*line].1 = *quantity;
            }
            Step::Remove { order, line } => {
                let (product, quantity, _) = *self.order(*order)?.lines.get(*line).ok_or("not-found")?;
                self.pending(*order)?;
                self.release(product, quantity);
                self.order(*order)?.lines.remove(*line);
            }
            Step::Status { order, to, reason, restock, admin } => return self.step(*order, to, *reason, *restock, *admin),
            Step::DeleteOrder { order, admin } => {
                let found = self.order(*order)?.clone();
                match found.status {
                    "PENDING" => found.lines.iter().for_each(|(product, quantity, _)| self.release(*product, *quantity)),
                    "CANCELLED" if *admin => {}
                    _ => return Err("order-not-deletable"),
                }
                self.orders[*order] = None;
            }
        }
        Ok(())
    }

    fn step(&mut self, order: usize, to: &'static str, reason: bool, restock: bool, admin: bool) -> Result<(), &'static str> {
        let found = self.order(order)?.clone();
        let (customers, needs_reason) = match (found.status, to) {
            (from, to) if from == to => return Ok(()),
            ("PENDING", "CONFIRMED") | ("PENDING" | "CONFIRMED", "CANCELLED") => (true, false),
            ("CONFIRMED", "SHIPPED") | ("SHIPPED", "DELIVERED") => (false, false),
            ("SHIPPED" | "DELIVERED", "CANCELLED") => (false, true),
            _ => return Err("illegal-transition"),
        };
        if !admin && !customers {
            return Err("forbidden");
        }
        if to == "CONFIRMED" && found.lines.is_empty() {
            return Err("empty-order");
        }
        if needs_reason && !reason || restock && !needs_reason {
            return Err("invalid-request");
        }
        for (product, quantity, _) in &found.lines {
            match to {
                "CANCELLED" if !needs_reason => self.release(*product, *quantity),
                "CANCELLED" if restock => {
                    if let Some(product) = &mut self.products[*product] {
                        product.quantity += quantity;
                        product.shipped -= quantity;
                    }
                }
                "SHIPPED" => {
                    let product = self.products[*product].as_mut().unwrap();
                    product.reserved -= quantity;
                    product.shipped += quantity;
                }
                _ => {}
            }
        }
        self.order(order)?.status = to;
        Ok(())
    }
}

/// The shop that the model is compared with.
struct Real<'a> {
    admin: &'a Actor,
    customer: &'a Actor,
    products: Vec<Product>,
    orders: Vec<Order>,
}

impl Real<'_> {
    /// Path of a line, by its place in the order; one that there is not if there is not.
    async fn line(&self, order: usize, line: usize) -> String {
        let order = &self.orders[order];
        let read = self.customer.get(order).await;
        let id = read["items"][line]["order_item_id"].as_str().unwrap_or("00000000-0000-7000-8000-000000000000");
        format!("{}/{id}", order.items())
    }

    /// Carries out a step; the code of the problem if it is refused.
    async fn take(&mut self, step: &Step) -> Result<(), String> {
        let by = |admin: bool| if admin { self.admin } else { self.customer };
        let answer = match step {
            Step::Price { product, cents } => {
                let price = format!("{}.{:02}", cents / 100, cents % 100);
                self.admin.put(&self.products[*product], json!({"price": price})).await
            }
            Step::Count { product, quantity } => self.admin.put(&self.products[*product], json!({"quantity": quantity})).await,
            Step::Move { product, amount } => {
                self.admin.post(format!("{}/movements", self.products[*product].path), json!({"amount": amount})).await
            }
            Step::Spread { product, shards } => self.admin.put(&self.products[*product], json!({"stock_shards": shards})).await,
            Step::DeleteProduct { product } => self.admin.delete(&self.products[*product]).await,
            Step::Place { lines: wanted } => {
                let body = lines(wanted.iter().map(|(product, quantity)| (&self.products[*product], *quantity)));
                let placed = self.customer.post("/orders", body).await;
                if placed.status == 201 {
                    self.orders.push(Order { path: placed.header("location").to_owned() });
                }
                placed
            }
            Step::Add { order, product, quantity } => {
                self.customer.post(self.orders[*order].items(), line(&self.products[*product], *quantity)).await
            }
            Step::Change { order, line, quantity } => {
                self.customer.put(self.line(*order, *line).await, json!({"quantity": quantity})).await
            }
            Step::Remove { order, line } => self.customer.delete(self.line(*order, *line).await).await,
            Step::Status { order, to, reason, restock, admin } => {
                let mut body = json!({"status": to});
                if *reason {
                    body["reason"] = json!("because");
                }
                if *restock {
                    body["restock"] = json!(true);
                }
                by(*admin).put(&self.orders[*order], body).await
            }
            Step::DeleteOrder { order, admin } => by(*admin).delete(&self.orders[*order]).await,
        };
        if answer.status < 300 { Ok(()) } else { Err(answer.problem().1.to_owned()) }
    }
}

/// Numbers that count round what there is. `None` for a step about an order while there is none.
fn settle(step: &Step, model: &Model) -> Option<Step> {
    let (products, orders) = (model.products.len(), model.orders.len());
    let mut step = step.clone();
    let lines_of = |order: usize| model.orders[order].as_ref().map_or(1, |order| order.lines.len() + 1);
    match &mut step {
        Step::Price { product, .. }
        | Step::Count { product, .. }
        | Step::Move { product, .. }
        | Step::Spread { product, .. }
        | Step::DeleteProduct { product } => *product %= products,
        Step::Place { lines } => lines.iter_mut().for_each(|(product, _)| *product %= products),
        _ if orders == 0 => return None,
        Step::Add { order, product, .. } => (*order, *product) = (*order % orders, *product % products),
        Step::Change { order, line, .. } | Step::Remove { order, line } => {
            *order %= orders;
            // One beyond the last, now and then.
            *line %= lines_of(*order);
        }
        Step::Status { order, .. } | Step::DeleteOrder { order, .. } => *order %= orders,
    }
    Some(step)
}

fn money(cents: u64) -> Value {
    json!(format!("{}.{:02}", cents / 100, cents % 100))
}

async fn compare(model: &Model, real: &Real<'_>) -> Result<(), TestCaseError> {
    for (product, path) in model.products.iter().zip(&real.products) {
        let read = real.admin.get(path).await;
        let Some(product) = product else {
            prop_assert_eq!(read.status, 404);
            continue;
        };
        let expected = json!([money(product.price), product.quantity, product.reserved]);
        prop_assert_eq!(json!([read["price"], read["quantity"], read["reserved"]]), expected);
        let books = real.admin.get(format!("{}/stock", path.path)).await;
        let expected = json!([product.received, product.quantity, product.reserved, product.shipped]);
        prop_assert_eq!(json!([books["received"], books["quantity"], books["reserved"], books["shipped"]]), expected);
    }
    for (order, path) in model.orders.iter().zip(&real.orders) {
        let read = real.customer.get(path).await;
        let Some(order) = order else {
            prop_assert_eq!(read.status, 404);
            continue;
        };
        let total = order.lines.iter().map(|(_, quantity, price)| quantity * price).sum();
        prop_assert_eq!(
            json!([read["status"], read["total_price"], read["item_count"]]),
            json!([order.status, money(total), order.lines.len()])
        );
        let lines: Vec<_> = read["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| json!([line["product_id"], line["quantity"], line["price"]]))
            .collect();
        let expected: Vec<_> = order
            .lines
            .iter()
            .map(|(product, quantity, price)| json!([real.products[*product].id, quantity, money(*price)]))
            .collect();
        prop_assert_eq!(lines, expected);
    }
    Ok(())
}

/// `PROPTEST_CASES` says how many histories, 16 unless given, and proptest prints the seed of one that fails, shrunk to the steps that
/// matter.
#[test]
fn histories_go_as_the_model_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(app) = runtime.block_on(TestApp::start_local(|_| {})) else { return };
    let (admin, customer) = runtime.block_on(async { (app.admin().await, app.customer("ada").await) });
    let cases = std::env::var_os("PROPTEST_CASES").map_or(16, |_| ProptestConfig::default().cases);
    let config = ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let history = proptest::collection::vec(step(), 1..50);

    let outcome = runner.run(&history, |steps| {
        runtime.block_on(async {
            let mut model = Model::default();
            let mut real = Real { admin: &admin, customer: &customer, products: Vec::new(), orders: Vec::new() };
            for (quantity, price) in [(10, 1990), (5, 850), (20, 7)] {
                let product = admin.product(&unique("Product"), quantity).await;
                admin.put(&product, json!({"price": money(price)})).await;
                real.products.push(product);
                model.products.push(Some(ModelProduct { price, quantity, reserved: 0, shipped: 0, received: quantity }));
            }
            for step in &steps {
                let Some(step) = settle(step, &model) else { continue };
                let expected = model.take(&step).map_err(str::to_owned);
                prop_assert_eq!(real.take(&step).await, expected, "{:?}", step);
            }
            compare(&model, &real).await
        })
    });
    if let Err(error) = outcome {
        panic!("{error}\n{runner}");
    }
}
