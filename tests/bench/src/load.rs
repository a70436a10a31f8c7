//! The local shop under load: how much it answers and how fast, through its gateway and without it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};

use crate::plot::Lines;
use crate::report::{Chapter, figure, table};
use crate::scene::{Answer, Ask, Person, Scene};
use crate::stats::{count, median, quantile};
use crate::{Bench, Result, bodies};

/// What a customer does, over and over: eight reads and two writes.
const ROUND: [Kind; 10] = [
    Kind::ListProducts,
    Kind::GetProduct,
    Kind::GetOrder,
    Kind::CreateOrder,
    Kind::Me,
    Kind::GetProduct,
    Kind::ListOrders,
    Kind::AddLine,
    Kind::GetOrder,
    Kind::ListProducts,
];
const PRODUCTS: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Kind {
    ListProducts,
    GetProduct,
    GetOrder,
    ListOrders,
    Me,
    CreateOrder,
    AddLine,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::ListProducts, Self::GetProduct, Self::GetOrder, Self::ListOrders, Self::Me, Self::CreateOrder, Self::AddLine];

    fn name(self) -> &'static str {
        match self {
            Self::ListProducts => "list products",
            Self::GetProduct => "get product",
            Self::GetOrder => "get order",
            Self::ListOrders => "list own orders",
            Self::Me => "me",
            Self::CreateOrder => "create order",
            Self::AddLine => "add line",
        }
    }
}

#[derive(Clone, Copy)]
enum Way {
    Gateway,
    Direct,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Figures {
    levels: Vec<Level>,
}

/// What so many clients get when each of them sends its next request as soon as it has its answer.
#[derive(Debug, Serialize, Deserialize)]
struct Level {
    clients: usize,
    gateway: Run,
    direct: Run,
}

#[derive(Debug, Serialize, Deserialize)]
struct Run {
    seconds: f64,
    /// Milliseconds of every request.
    latencies: BTreeMap<Kind, Vec<f64>>,
}

impl Run {
    fn all(&self) -> Vec<f64> {
        self.latencies.values().flatten().copied().collect()
    }

    fn rate(&self) -> f64 {
        count(self.all().len()) / self.seconds
    }

    fn quantile(&self, q: f64) -> f64 {
        quantile(&self.all(), q)
    }
}

pub async fn measure(bench: &Bench) -> Result<Figures> {
    let functions = bench.functions().await?;
    let (levels, warm_up, time) = if bench.quick {
        (&[1, 2][..], Duration::from_millis(200), Duration::from_secs(1))
    } else {
        (&[1, 2, 4, 8, 16][..], Duration::from_secs(1), Duration::from_secs(5))
    };
    let greatest = levels.iter().copied().max().unwrap_or_default();
    let scene = Scene::open(bench, functions, greatest).await?;
    let admin = scene.admin().await?;
    let mut products = Vec::new();
    for _ in 0..PRODUCTS {
        products.push(scene.product(&admin).await?);
    }
    let mut clients = Vec::new();
    for number in 0..greatest {
        clients.push(Client::new(&scene, &products, number).await?);
    }

    let mut figures = Figures { levels: Vec::new() };
    for &clients_now in levels {
        let mut run = async |way: Way| -> Result<Run> {
            let clients = &mut clients[..clients_now];
            run(&scene, way, clients, warm_up).await?;
            run(&scene, way, clients, time).await
        };
        eprintln!("load: {clients_now} clients");
        let (gateway, direct) = (run(Way::Gateway).await?, run(Way::Direct).await?);
        figures.levels.push(Level { clients: clients_now, gateway, direct });
    }
    scene.shop.stop().await;
    Ok(figures)
}

/// Lets all clients work for a while. A failed request ends everything.
async fn run(scene: &Scene, way: Way, clients: &mut [Client<'_>], time: Duration) -> Result<Run> {
    let started = Instant::now();
    let all = try_join_all(clients.iter_mut().map(|client| client.run(scene, way, started + time))).await?;
    let mut latencies: BTreeMap<Kind, Vec<f64>> = BTreeMap::new();
    for (kind, latency) in all.into_iter().flatten() {
        latencies.entry(kind).or_default().push(latency);
    }
    Ok(Run { seconds: started.elapsed().as_secs_f64(), latencies })
}

/// A customer who is at it.
struct Client<'a> {
    person: Person,
    products: &'a [String],
    /// The path of the order that was placed last.
    order: String,
    /// How far it has come. No two clients begin at the same place.
    turn: usize,
}

impl<'a> Client<'a> {
    async fn new(scene: &Scene, products: &'a [String], number: usize) -> Result<Self> {
        let person = scene.customer("customer").await?;
        let mut client = Self { person, products, order: String::new(), turn: number * 3 };
        let placed = scene.expect(201, &client.ask(Kind::CreateOrder).1, Some(&client.person)).await?;
        client.remember(&placed)?;
        Ok(client)
    }

    async fn run(&mut self, scene: &Scene, way: Way, until: Instant) -> Result<Vec<(Kind, f64)>> {
        let mut latencies = Vec::new();
        while Instant::now() < until {
            let kind = ROUND[self.turn % ROUND.len()];
            self.turn += 1;
            let (status, ask) = self.ask(kind);
            let person = (!matches!(kind, Kind::ListProducts | Kind::GetProduct)).then_some(&self.person);
            let sent = Instant::now();
            let answer = match way {
                Way::Gateway => scene.send(&ask, person).await?,
                Way::Direct => scene.send_directly(&ask, person).await?,
            };
            latencies.push((kind, sent.elapsed().as_secs_f64() * 1e3));
            if answer.status != status {
                return Err(format!("{}: {answer:?}", kind.name()).into());
            }
            if kind == Kind::CreateOrder {
                self.remember(&answer)?;
            }
        }
        Ok(latencies)
    }

    /// A request, and the status that it must be answered with.
    fn ask(&self, kind: Kind) -> (u64, Ask) {
        let product = &self.products[self.turn % self.products.len()];
        let product_id = product.trim_start_matches("/products/");
        match kind {
            Kind::ListProducts => (200, Ask::get("/products").query("limit=20")),
            Kind::GetProduct => (200, Ask::get(product)),
            Kind::GetOrder => (200, Ask::get(&self.order)),
            Kind::ListOrders => (200, Ask::get("/orders").query("limit=20")),
            Kind::Me => (200, Ask::get("/auth/me")),
            Kind::CreateOrder => (201, Ask::post("/orders", bodies::order([(product_id, 1)]))),
            Kind::AddLine => (201, Ask::post(format!("{}/items", self.order), bodies::line(product_id, 1))),
        }
    }

    fn remember(&mut self, placed: &Answer) -> Result {
        self.order = format!("/orders/{}", placed.text("/order_id")?);
        Ok(())
    }
}

pub fn chapter(figures: &Figures) -> Chapter {
    let levels = &figures.levels;
    let Some(alone) = levels.first() else { return Chapter::default() };
    let ratios = levels.iter().map(|level| {
        let Level { clients, gateway, direct } = level;
        let ratio = |value: f64, base: f64| format!("{:.2}", value / base);
        vec![
            clients.to_string(),
            ratio(gateway.rate(), alone.gateway.rate()),
            ratio(gateway.rate(), direct.rate()),
            ratio(gateway.quantile(0.5), direct.quantile(0.5)),
            ratio(gateway.quantile(0.99), direct.quantile(0.99)),
        ]
    });
    let rates = levels.iter().map(|Level { clients, gateway, direct }| {
        let [gateway, direct] = [gateway, direct].map(|run| [run.rate(), run.quantile(0.5), run.quantile(0.99)].map(figure));
        [vec![clients.to_string()], gateway.to_vec(), direct.to_vec()].concat()
    });
    let requests = Kind::ALL.into_iter().filter_map(|kind| {
        let [gateway, direct] = [&alone.gateway, &alone.direct].map(|run| run.latencies.get(&kind).map(|list| median(list)));
        let (gateway, direct) = (gateway?, direct?);
        Some(vec![kind.name().to_owned(), figure(gateway), figure(direct), figure(gateway - direct)])
    });

    let x: Vec<_> = levels.iter().map(|level| level.clients.to_string()).collect();
    let of = |value: fn(&Level) -> f64| levels.iter().map(value).collect::<Vec<_>>();
    let rate = Lines {
        title: "The local shop: requests per second",
        unit: "80 % reads",
        x_title: "clients, each of which asks again as soon as it is answered",
        x: x.clone(),
        series: vec![
            ("through the gateway", of(|level| level.gateway.rate())),
            ("the functions alone", of(|level| level.direct.rate())),
        ],
    };
    let latency = Lines {
        title: "The local shop: time to an answer through the gateway",
        unit: "ms",
        x_title: "clients",
        x,
        series: vec![("p50", of(|level| level.gateway.quantile(0.5))), ("p99", of(|level| level.gateway.quantile(0.99)))],
    };

    Chapter {
        title: "The local shop under load",
        remember: levels
            .iter()
            .max_by(|one, other| one.gateway.rate().total_cmp(&other.gateway.rate()))
            .map(|best| {
                format!(
                    "The shop on one machine, emulator included, answers {} requests a second to {} clients, half of them within {} ms.",
                    figure(best.gateway.rate()),
                    best.clients,
                    figure(best.gateway.quantile(0.5))
                )
            })
            .into_iter()
            .collect(),
        ratios: format!(
            "Requests per second against those of one client, and what goes through the gateway against the same invocations \
             without it.\n\n{}",
            table(&["clients", "rate ÷ 1 client", "gateway's rate ÷ direct", "its p50 ÷ direct", "its p99 ÷ direct"], ratios)
        ),
        figures: format!(
            "![Requests per second](benchmarks/load-rate.svg)\n\n![Latency](benchmarks/load-latency.svg)\n\n{}\n\
             One client's requests, p50 in milliseconds:\n\n{}",
            table(
                &["clients", "requests/s", "p50 ms", "p99 ms", "direct requests/s", "direct p50 ms", "direct p99 ms"],
                rates
            ),
            table(&["request", "through the gateway", "direct", "difference"], requests)
        ),
        meaning: "- The shop of `cargo run -p local` with its data in memory, all on one machine: gateway, functions, DynamoDB, and \
                  the clients that load it. It is a shop to develop with; on AWS, each of these is a service of its own, and no \
                  request waits for another one's CPU.\n\
                  - Of ten requests, eight read: two lists of products, two products, two orders, one list of own orders, one own \
                  account. Two write: a new order with one line, a line more. All of them must succeed.\n\
                  - *Direct* invokes the same functions with the events that the gateway would make, the authorizer first where the \
                  route has one. What is left out is HTTP and routing; the bench makes the events itself, so that a difference near zero \
                  means that the gateway costs no more than that.\n"
            .to_owned(),
        pictures: vec![("load-rate", rate.svg()), ("load-latency", latency.svg())],
    }
}
