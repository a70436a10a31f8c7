//! A flash sale: one product and many buyers per second, with the real functions over a DynamoDB that conflicts as on AWS.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use emulator::Contention;
use fastrand::Rng;
use futures_util::future::{join_all, try_join};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::plot::Lines;
use crate::report::{Chapter, figure, table};
use crate::scene::{Ask, Person, Scene};
use crate::stats::{count, quantile};
use crate::{Bench, Result, bodies};

/// More buyers than any of these never wait for an environment, as they would not on AWS.
const ENVIRONMENTS: usize = 160;
const CUSTOMERS: usize = 20;
/// The rate that designs are compared at, in buyers per second.
const RATE: u32 = 200;
/// So many shards are compared with one.
const SHARDS: u32 = 16;
const SEED: u64 = 7;
/// What may be turned away for a rate to count as sold.
const TOLERATED: f64 = 0.01;

#[derive(Debug, Serialize, Deserialize)]
pub struct Figures {
    contention: String,
    /// Every number of shards at every rate.
    sales: Vec<Sale>,
    /// Other lengths of a transaction, at [`RATE`].
    lengths: Vec<(u64, Vec<Sale>)>,
    live: Live,
}

/// So many buyers of one product for a while.
#[derive(Debug, Serialize, Deserialize)]
struct Sale {
    shards: u32,
    /// Per second.
    buyers: u32,
    seconds: f64,
    sold: usize,
    failed: usize,
    /// Of all calls, those that met another's transaction, and those that a partition had no units for.
    conflicts: u64,
    throttles: u64,
    /// Of those who were answered with an order, in milliseconds.
    latencies: Vec<f64>,
}

impl Sale {
    fn rate(&self) -> f64 {
        count(self.sold) / self.seconds
    }

    fn turned_away(&self) -> f64 {
        count(self.failed) / count((self.sold + self.failed).max(1))
    }
}

/// A sale in the middle of which the stock is spread.
#[derive(Debug, Serialize, Deserialize)]
struct Live {
    /// When it was, in seconds from the start, and how long that took.
    at: f64,
    took: f64,
    /// Sold, and turned away, in each second by when the buyer came.
    seconds: Vec<(usize, usize)>,
}

pub async fn measure(bench: &Bench) -> Result<Figures> {
    let functions = bench.functions().await?;
    let contention = Contention::default();
    let (shards, rates, lengths, seconds) = if bench.quick {
        (&[1, SHARDS][..], &[20][..], &[5][..], 1)
    } else {
        (&[1, 4, SHARDS, 32][..], &[25, 50, 100, RATE, 250][..], &[5, 10, 25][..], 6)
    };
    let rate = if bench.quick { 20 } else { RATE };

    let scene = Scene::open(bench, functions, ENVIRONMENTS).await?;
    let mut shop = Shop { admin: scene.admin().await?, customers: Vec::new(), scene };
    for _ in 0..CUSTOMERS {
        shop.customers.push(shop.scene.customer("buyer").await?);
    }
    let mut figures = Figures {
        contention: contention.to_string(),
        sales: Vec::new(),
        lengths: Vec::new(),
        live: Live { at: 0.0, took: 0.0, seconds: Vec::new() },
    };
    // Environments that all of it can use.
    shop.sale(contention, 1, rate, seconds).await?;
    for &shards in shards {
        for &buyers in rates {
            figures.sales.push(shop.sale(contention, shards, buyers, seconds).await?);
        }
    }
    for &milliseconds in lengths {
        let contention = Contention { transaction: Duration::from_millis(milliseconds), ..contention };
        let plain = shop.sale(contention, 1, rate, seconds).await?;
        let spread = shop.sale(contention, SHARDS, rate, seconds).await?;
        figures.lengths.push((milliseconds, vec![plain, spread]));
    }
    figures.live = shop.live(contention, rate, 2 * seconds).await?;
    shop.scene.shop.stop().await;
    Ok(figures)
}

struct Shop {
    scene: Scene,
    admin: Person,
    customers: Vec<Person>,
}

/// When somebody came, whether they have their order, and how long they waited, in seconds.
type Bought = (f64, bool, f64);

impl Shop {
    async fn sale(&self, contention: Contention, shards: u32, buyers: u32, seconds: u32) -> Result<Sale> {
        let product = self.product(shards).await?;
        self.scene.shop.contend(Some(contention));
        let before = self.scene.shop.contention_counts();
        let started = Instant::now();
        let bought = self.buy(&product, buyers, seconds).await?;
        let took = started.elapsed().as_secs_f64();
        let after = self.scene.shop.contention_counts();
        self.scene.shop.contend(None);

        let sold: Vec<_> = bought.iter().filter(|(_, sold, _)| *sold).collect();
        let sale = Sale {
            shards,
            buyers,
            seconds: took,
            sold: sold.len(),
            failed: bought.len() - sold.len(),
            conflicts: after.conflicts - before.conflicts,
            throttles: after.throttles - before.throttles,
            latencies: sold.iter().map(|(_, _, waited)| waited * 1e3).collect(),
        };
        self.check(&product, sale.sold, bought.len()).await?;
        eprintln!(
            "sale: {shards} shards, {buyers} buyers/s: {:.0} sold/s, {:.1} % turned away",
            sale.rate(),
            sale.turned_away() * 100.0
        );
        Ok(sale)
    }

    /// A sale from one item that is spread over [`SHARDS`] after a third of the time.
    async fn live(&self, contention: Contention, buyers: u32, seconds: u32) -> Result<Live> {
        let product = self.product(1).await?;
        self.scene.shop.contend(Some(contention));
        let at = f64::from(seconds) / 3.0;
        let spread = async {
            tokio::time::sleep(Duration::from_secs_f64(at)).await;
            let asked = Instant::now();
            // Whoever is turned away asks again, as a buyer would.
            loop {
                let change = Ask::put(&product, json!({"stock_shards": SHARDS}));
                match self.scene.send(&change, Some(&self.admin)).await?.status {
                    200 => return Ok(asked.elapsed().as_secs_f64()),
                    503 => {}
                    status => return Err(format!("the stock was not spread: {status}").into()),
                }
            }
        };
        let (bought, took) = try_join(self.buy(&product, buyers, seconds), spread).await?;
        self.scene.shop.contend(None);
        self.check(&product, bought.iter().filter(|(_, sold, _)| *sold).count(), bought.len()).await?;
        let in_second = |second: u32| {
            let those = bought.iter().filter(|(came, _, _)| (f64::from(second)..f64::from(second + 1)).contains(came));
            let (sold, all) = those.fold((0, 0), |(sold, all), (_, has, _)| (sold + usize::from(*has), all + 1));
            (sold, all - sold)
        };
        Ok(Live { at, took, seconds: (0..seconds).map(in_second).collect() })
    }

    async fn product(&self, shards: u32) -> Result<String> {
        let path = self.scene.product(&self.admin).await?;
        if shards > 1 {
            self.scene.expect(200, &Ask::put(&path, json!({"stock_shards": shards})), Some(&self.admin)).await?;
        }
        Ok(path)
    }

    /// Buyers who come by chance, so many per second on average, and buy one piece each.
    async fn buy(&self, product: &str, buyers: u32, seconds: u32) -> Result<Vec<Bought>> {
        let order = Ask::post("/orders", bodies::order([(product.trim_start_matches("/products/"), 1)]));
        let mut chance = Rng::with_seed(SEED);
        let mut comes = 0.0;
        let mut visits = Vec::new();
        for customer in self.customers.iter().cycle() {
            comes -= (1.0 - chance.f64()).ln() / f64::from(buyers);
            if comes >= f64::from(seconds) {
                break;
            }
            visits.push((comes, customer));
        }
        let opened = Instant::now();
        let visits = visits.into_iter().map(async |(comes, customer)| {
            tokio::time::sleep_until((opened + Duration::from_secs_f64(comes)).into()).await;
            let came = Instant::now();
            let answer = self.scene.send(&order, Some(customer)).await?;
            match answer.status {
                201 => Ok((comes, true, came.elapsed().as_secs_f64())),
                503 => Ok((comes, false, came.elapsed().as_secs_f64())),
                _ => Err(format!("a buyer was answered {answer:?}").into()),
            }
        });
        join_all(visits).await.into_iter().collect()
    }

    /// Nothing was sold twice and nothing lost. Whoever is turned away does not know: where a machine has more to do than it can, an
    /// order may be placed after its deadline, which is what an `Idempotency-Key` is for.
    async fn check(&self, product: &str, sold: usize, all: usize) -> Result {
        let read = self.scene.expect(200, &Ask::get(product), None).await?;
        let reserved = read.body["reserved"].as_u64().and_then(|reserved| usize::try_from(reserved).ok());
        if reserved.is_none_or(|reserved| reserved < sold || all < reserved) {
            return Err(format!("{sold} of {all} were sold, but the product says {}", read.body).into());
        }
        let violations = self.scene.shop.audit().await?;
        if violations.is_empty() { Ok(()) } else { Err(format!("the audit found {violations:?}").into()) }
    }
}

pub fn chapter(figures: &Figures) -> Chapter {
    let sales = &figures.sales;
    let mut rates: Vec<_> = sales.iter().map(|sale| sale.buyers).collect();
    rates.sort_unstable();
    rates.dedup();
    let mut shards: Vec<_> = sales.iter().map(|sale| sale.shards).collect();
    shards.dedup();
    let of = |shards: u32, buyers: u32| sales.iter().find(|sale| sale.shards == shards && sale.buyers == buyers);
    let compared = rates.iter().copied().filter(|rate| *rate <= RATE).max().unwrap_or_default();
    let greatest = |shards: u32| {
        let all = rates.iter().copied().filter(|rate| of(shards, *rate).is_some_and(|sale| sale.turned_away() <= TOLERATED));
        all.max()
    };
    let sustained = |shards: u32| {
        greatest(shards)
            .map_or_else(|| format!("less than {}", rates.first().copied().unwrap_or_default()), |rate| rate.to_string())
    };
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let plain = of(1, compared);
    let ratios = shards.iter().filter_map(|shards| {
        let (sale, plain) = (of(*shards, compared)?, plain?);
        Some(vec![
            shards.to_string(),
            figure(sale.rate() / plain.rate()),
            percent(sale.turned_away()),
            figure(count(sale.conflicts) / count(sale.sold.max(1))),
            figure(quantile(&sale.latencies, 0.99) / quantile(&plain.latencies, 0.99)),
            sustained(*shards),
        ])
    });
    let row = |sale: &Sale| {
        vec![
            sale.shards.to_string(),
            sale.buyers.to_string(),
            figure(sale.rate()),
            percent(sale.turned_away()),
            figure(quantile(&sale.latencies, 0.5)),
            figure(quantile(&sale.latencies, 0.99)),
            sale.conflicts.to_string(),
            sale.throttles.to_string(),
        ]
    };
    let lengths = figures.lengths.iter().map(|(length, sales)| {
        let cells = sales.iter().flat_map(|sale| [figure(sale.rate()), percent(sale.turned_away())]);
        std::iter::once(length.to_string()).chain(cells).collect()
    });

    let x: Vec<_> = rates.iter().map(ToString::to_string).collect();
    let names: Vec<_> = shards.iter().map(|shards| format!("{shards} shard{}", if *shards == 1 { "" } else { "s" })).collect();
    let lines = |value: fn(&Sale) -> f64| {
        let series = shards.iter().zip(&names).map(|(shards, name)| {
            let values = rates.iter().filter_map(|rate| of(*shards, *rate)).map(value).collect();
            (name.as_str(), values)
        });
        series.collect::<Vec<_>>()
    };
    let sold = Lines {
        title: "A flash sale of one product: orders placed",
        unit: "per second",
        x_title: "buyers per second",
        x: x.clone(),
        series: lines(Sale::rate),
    };
    let turned_away = Lines {
        title: "A flash sale of one product: buyers turned away",
        unit: "%",
        x_title: "buyers per second",
        x,
        series: lines(|sale| sale.turned_away() * 100.0),
    };
    let live = Lines {
        title: "Spread while it is sold",
        unit: "buyers in each second",
        x_title: "second of the sale",
        x: (1..=figures.live.seconds.len()).map(|second| second.to_string()).collect(),
        series: vec![
            ("sold", figures.live.seconds.iter().map(|(sold, _)| count(*sold)).collect()),
            ("turned away", figures.live.seconds.iter().map(|(_, failed)| count(*failed)).collect()),
        ],
    };

    Chapter {
        title: "A flash sale",
        remember: shards
            .iter()
            // More shards than a machine has CPUs for sell no more.
            .max_by_key(|shards| (greatest(**shards), Reverse(**shards)))
            .map(|best| {
                format!(
                    "Of one product in one item, {} buyers a second get what they want, and in {best} shards {}; the others are told to \
                     come again, and never more is sold than there is.",
                    sustained(1),
                    sustained(*best)
                )
            })
            .into_iter()
            .collect(),
        ratios: format!(
            "At {compared} buyers per second of one product, against its stock in one item (1 shard). The last column is the \
             greatest rate tried of whose buyers no more than {} % were turned away.\n\n{}",
            TOLERATED * 100.0,
            table(
                &[
                    "`stock_shards`",
                    "orders/s ÷ 1 shard",
                    "turned away",
                    "conflicts per order",
                    "p99 ÷ 1 shard",
                    "buyers/s sold to"
                ],
                ratios
            )
        ),
        figures: format!(
            "![Orders placed](benchmarks/sale-rate.svg)\n\n![Turned away](benchmarks/sale-turned-away.svg)\n\n{}\n\
             Other lengths of a transaction, at {compared} buyers per second:\n\n{}\n\
             ![Spread while it is sold](benchmarks/sale-live.svg)\n\n\
             A product that {compared} people per second want to buy is spread over {SHARDS} items after {} seconds, which took \
             {} seconds.\n",
            table(
                &["shards", "buyers/s", "orders/s", "turned away", "p50 ms", "p99 ms", "conflicts", "throttled"],
                sales.iter().map(row)
            ),
            table(
                &["transaction, ms", "1 shard: orders/s", "turned away", &format!("{SHARDS} shards: orders/s"), "turned away"],
                lengths
            ),
            figure(figures.live.at),
            figure(figures.live.took),
        ),
        meaning: format!(
            "- The real functions behind the local gateway; in front of the embedded DynamoDB stands `--contention` with `{}`: a \
             transaction has its items to itself for so long, and whoever else wants one of them is refused. The times are \
             assumptions, which is why there are others beside them; the conflicts follow from them.\n\
             - Buyers come by chance (a Poisson process with a fixed seed) and do not wait for each other. Each places an order of \
             one piece. A buyer is turned away when the function has tried five times: 503 with `Retry-After`, nothing written; or when its time is over, and then an order may have been placed all the same.\n\
             - One item can take 1 ÷ length transactions per second at the very most, and less when they come by chance. Retries \
             do not help: they add to the crowd.\n\
             - `stock_shards` spreads the pieces over so many items, and every sale picks one. At the end of every sale the product's \
             sums are compared with the orders, and the whole table is audited: nothing was sold twice, nothing lost.\n",
            figures.contention
        ),
        pictures: vec![("sale-rate", sold.svg()), ("sale-turned-away", turned_away.svg()), ("sale-live", live.svg())],
    }
}
