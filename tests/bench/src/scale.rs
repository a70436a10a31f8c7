//! docs/scale.md: what a shop costs and how far it goes, reckoned from what was measured, from prices and from limits.

use std::collections::BTreeMap;

use emulator::template::{self, Function, Template};
use emulator::{Contention, price};
use serde_json::Value;

use crate::report::{figure, table};
use crate::start::Cost;
use crate::{Bench, Result};

/// US dollars as [`price`]'s: of arm64, and of what is taken in.
const GB_SECOND: f64 = 0.000_013_333_4;
const LOG_GB: f64 = 0.50;
const LOG_GB_KEPT: f64 = 0.03;
/// By the month.
const STORAGE_GB: f64 = 0.25;
const RECOVERY_GB: f64 = 0.20;
const BACKUP_GB: f64 = 0.10;
/// A thousand mails (Amazon SES).
const MAILS: f64 = 0.10;
const SECRET: f64 = 0.40;
const ALARM: f64 = 0.10;
const METRIC: f64 = 0.30;
/// EventBridge: a million events, and a million calls of an API destination; a GB into an archive, and in it.
const EVENT: f64 = 1.00;
const DELIVERY: f64 = 0.20;
const ARCHIVED_GB: f64 = 0.10;
const ARCHIVE_GB_KEPT: f64 = 0.023;
const DASHBOARD: f64 = 3.00;
/// Out of AWS, to the internet.
const TRANSFER_GB: f64 = 0.09;
/// To another region.
const COPY_GB: f64 = 0.02;
/// The throttle of the docs' files in template.yaml.
const DOCS_PER_SECOND: f64 = 5.0;
/// Bytes that a request leaves in the logs: a function's line, and the gateway's.
const LOG_LINE: f64 = 700.0;
const ACCESS_LINE: f64 = 350.0;
/// What people ask for until an order is delivered, and how often: they look around, one buys, and the shop brings it along.
const A_SALE: [(&str, f64); 7] = [
    ("GET /products", 5.0),
    ("GET /products/{product_id}", 15.0),
    ("POST /auth/refresh", 1.0),
    ("POST /orders", 1.0),
    ("GET /orders", 1.0),
    ("GET /orders/{order_id}", 2.0),
    ("PUT /orders/{order_id}", 3.0),
];
/// A large shop, in orders a day, and how much more its busiest second has than the average.
const LARGE: f64 = 10e6;
const PEAK: f64 = 5.0;
/// KB of an order of two lines with its history, as an item; each index of orders holds it once more.
const ORDER_KB: f64 = 1.2;
/// What AWS gives a new account in a large region: write units of one table, requests of an API, functions at once, and entries for a
/// bus, each in a second.
const TABLE_WRITES: f64 = 40_000.0;
const API_REQUESTS: f64 = 10_000.0;
const CONCURRENCY: f64 = 1000.0;
const BUS_ENTRIES: f64 = 10_000.0;
/// Events that an order makes: it is placed and takes three steps.
const EVENTS_OF_AN_ORDER: f64 = 4.0;
/// So many MB of memory come with one CPU.
const ONE_CPU: f64 = 1769.0;
/// What DynamoDB gives a partition in a second, and a new on-demand table in all.
const PARTITION_WRITES: f64 = 1000.0;
const PARTITION_READS: f64 = 3000.0;
const NEW_TABLE_WRITES: f64 = 4000.0;

pub fn page(bench: &Bench, costs: &[Cost]) -> Result<String> {
    let file = bench.workspace.join("template.yaml");
    let template = Template::read(&file, "bench", &BTreeMap::new())?;
    let document = template::document(&file)?;
    let find = |name: &str| costs.iter().find(|cost| cost.function == name);
    let authorizer = template.functions.iter().find(|function| function.binary == "authorizer");
    let authorizer = authorizer.zip(find("authorizer")).map(|(function, cost)| Bill::of(function, cost));
    let authorizer = authorizer.ok_or("the authorizer was not measured")?;

    let (mut rows, mut sums, mut waits) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for route in &template.routes {
        let function = template.functions.iter().find(|function| function.id == route.function);
        let Some((function, cost)) = function.and_then(|function| Some((function, find(&function.binary)?))) else { continue };
        let bill = Bill::of(function, cost);
        let closed = if route.authorizer.is_some() { authorizer.sum() } else { 0.0 };
        let gateway = price::REQUEST + ACCESS_LINE * LOG_GB / 1000.0;
        let cells = [gateway, bill.requests, bill.time, bill.table, bill.log, closed, gateway + bill.sum() + closed];
        waits.insert(route.key.clone(), bill.milliseconds);
        // As it is shown.
        sums.insert(route.key.clone(), (cells[6] * 100.0).round() / 100.0);
        let named = [format!("`{}`", route.key), function.memory.to_string(), figure(bill.milliseconds)];
        // The sum of nothing is -0.
        rows.push(named.into_iter().chain(cells.map(|dollars| format!("{:.2}", dollars + 0.0))).collect());
    }
    let written = |name: &str| find(name).map_or(0.0, |cost| cost.write_units);
    let order = written("order-create") + written("order-update");
    let contention = Contention::default();
    let ms = contention.transaction.as_millis();
    let day = day(&sums);
    let dollars = day.iter().map(|(_, dollars)| dollars).sum();
    Ok(format!(
        "# Cost and scale\n\n\
         Written by the benchmark (`cargo run --profile bench -p bench`) from the CPU time, the calls and the capacity units that it \
         measured; see [benchmarks.md](benchmarks.md).\n\n\
         ## A million requests\n\n\
         US dollars, arm64, us-east-1. The prices are AWS's public ones of 2025 and change; their places in this sum do not.\n\n{}\n\
         - *ms* is what Lambda bills: the measured CPU time of a warm request, stretched to the share of a CPU that comes with the \
         memory ({ONE_CPU} MB are one), and {} ms for each read, {} for each write and {ms} for each transaction that it waits for. \
         *time* is that times the memory.\n\
         - *authorizer* is all that the authorizer costs when it is asked for every request. `AuthorizerCacheSeconds` lets the gateway \
         keep its answer, and a session that has ended stays good for as long.\n\
         - *log* counts {LOG_LINE} bytes for a function's line and {ACCESS_LINE} for the gateway's, at ingestion.\n\
         - Cold starts are billed too. At one in a hundred, they add a hundredth of what a start takes.\n\
         - Not in here: what leaves AWS's network, and what is paid by the month; both below.\n\n\
         A route's units are explained one by one in [ARCHITECTURE.md](../ARCHITECTURE.md). Writes cost most; a transaction \
         counts each item twice, which is the price of totals and stock that are true.\n\n\
         ## A month\n\n\
         Whatever the traffic, in US dollars, without CloudWatch's free ten alarms, ten metrics and three dashboards.\n\n{}\n\
         ## A flood\n\n\
         What strangers without a token can make a day cost, when they send as much as the gateway's throttle lets through, around the \
         clock. `MonthlyBudget` tells of it; a lower throttle, or WAF ([operations.md](operations.md)), ends it.\n\n{}\n\
         ## What is the first to be too small\n\n\
         DynamoDB gives one partition {PARTITION_WRITES} write units and {PARTITION_READS} read units per second. A partition holds \
         one partition key or many; the rates below are those of a key that has one to itself. From the narrowest:\n\n{}\n\
         The first row is met by one popular product long before anything else, the second on the first busy day of a new table, and \
         the third in a shop that sells {:.0} orders in every second. Nothing is lost at any of them: whoever asks for more is answered \
         503 with `Retry-After`.\n\n\
         ## Ten million orders a day\n\n\
         On paper: nobody has run it. Each order is looked for with {:.0} requests, placed, confirmed, shipped and delivered; the busiest \
         second has {PEAK:.0} times the average, which is {:.0} orders.\n\n{}\n\
         A day costs {} dollars, which is {:.4} an order:\n\n{}\n",
        table(&["route", "MB", "ms", "gateway", "requests", "time", "table", "log", "authorizer", "sum"], rows),
        contention.read.as_millis(),
        contention.write.as_millis(),
        monthly(&document),
        flood(&sums, &document),
        limits(order, ms),
        PARTITION_WRITES / 2.0,
        A_SALE.iter().map(|(_, times)| times).sum::<f64>(),
        per_second(),
        strain(written("order-create") + 3.0 * written("order-update"), &waits, find("authorizer").map_or(0.0, |cost| cost.cpu)),
        thousands(dollars),
        dollars / LARGE,
        table(&["what", "dollars a day"], day.into_iter().map(|(what, dollars)| vec![what, thousands(dollars)])),
    ))
}

/// Orders in the busiest second of a large shop.
fn per_second() -> f64 {
    LARGE / 86_400.0 * PEAK
}

/// `12,345`
fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

/// What each part of a large shop has to bear in its busiest second, and what to turn for it. `life` is in write units.
fn strain(life: f64, waits: &BTreeMap<String, f64>, authorizer: f64) -> String {
    let orders = per_second();
    let requests = orders * A_SALE.iter().map(|(_, times)| times).sum::<f64>();
    // Little's law: as many at once as come in a second, times how long each takes.
    let seconds = A_SALE.iter().map(|(route, times)| times * waits.get(*route).copied().unwrap_or_default() / 1e3);
    let at_once = orders * seconds.sum::<f64>() + requests * authorizer / 1e3;
    let pending = orders * 2.0;
    // One line in twenty is of the product that sells best.
    let best = orders * 2.0 / 20.0;
    let storage = LARGE * 365.0 * ORDER_KB * 3.0 / 1e9;
    let row = |what: &str, load: String, limit: String, turn: String| vec![what.to_owned(), load, limit, turn];
    table(
        &["what", "in the busiest second", "at most", "what to turn"],
        [
            row(
                "the table's writes",
                format!("{} units: {life:.0} for an order's life", thousands(orders * life)),
                format!("{} by quota, half of that for a table that is new", thousands(TABLE_WRITES)),
                format!(
                    "ask for more than {} first; `WarmWrites={:.0}` before the first such day",
                    thousands(orders * life),
                    (orders * life / 1000.0).ceil() * 1000.0
                ),
            ),
            row(
                "the table's partitions",
                format!("{:.0} at {PARTITION_WRITES:.0} units each", (orders * life / PARTITION_WRITES).ceil()),
                "as many as it takes".into(),
                "nothing: orders, products and accounts have keys of their own, and spread by themselves".into(),
            ),
            row(
                "the list of PENDING orders",
                format!("{} units: each order comes and leaves", thousands(pending)),
                format!("{} for each shard", thousands(PARTITION_WRITES)),
                format!(
                    "`OrderShards={:.0}`: half full, and as many queries when an admin lists",
                    (pending / PARTITION_WRITES * 2.0).ceil()
                ),
            ),
            row(
                "the product that sells best, if one line in twenty is of it",
                format!("{best:.0} sales"),
                "about 16 for each shard, when one in a hundred may be turned away".into(),
                format!("`stock_shards` of {:.0}", (best / 16.0).ceil()),
            ),
            row(
                "requests",
                thousands(requests),
                format!("{} by quota of an account", thousands(API_REQUESTS)),
                "ask for more, or a CDN in front of `GET /products`: four requests of five; `RequestsPerSecond` and its burst"
                    .into(),
            ),
            row(
                "functions at once",
                thousands(at_once),
                format!("{} by quota", thousands(CONCURRENCY)),
                "ask for twice that: a database that slows down holds each of them longer".into(),
            ),
            row(
                "events",
                thousands(orders * EVENTS_OF_AN_ORDER),
                format!("{} by quota of a bus, in large regions", thousands(BUS_ENTRIES)),
                "nothing; elsewhere ask for more".into(),
            ),
            row(
                "a year of orders",
                format!("{storage:.0} TB with both indexes"),
                "no limit".into(),
                format!(
                    "{} dollars a month at the end of the first year: export and delete what is closed, or the table class for infrequent access",
                    thousands(storage * 1000.0 * STORAGE_GB)
                ),
            ),
        ],
    )
}

/// What a day of a large shop costs: its requests, its events, and what a day adds to a month's storage.
fn day(sums: &BTreeMap<String, f64>) -> Vec<(String, f64)> {
    let route = |(route, times): &(&str, f64)| {
        let dollars = times * LARGE / 1e6 * sums.get(*route).copied().unwrap_or_default();
        (format!("`{route}`, {times:.0} for each order"), dollars)
    };
    let events = EVENTS_OF_AN_ORDER * LARGE / 1e6 * EVENT;
    A_SALE.iter().map(route).chain([("events on the bus".to_owned(), events)]).collect()
}

/// What is paid by the month, by the size of what there is.
fn monthly(template: &Value) -> String {
    let of_type = |kind: &'static str| {
        let resources = template["Resources"].as_object().into_iter().flatten();
        resources.map(|(_, resource)| resource).filter(move |resource| resource["Type"] == kind)
    };
    // An alarm on a sum pays for each of its metrics.
    let watched: usize = of_type("AWS::CloudWatch::Alarm").map(|alarm| metrics(&alarm["Properties"])).sum();
    let days = setting(template, "BackupDays");
    let row = |what: &str, dollars: String, why: String| vec![what.to_owned(), dollars, why];
    table(
        &["what", "dollars", "why"],
        [
            row(
                "data",
                format!("{STORAGE_GB:.2} a GB"),
                "the table; each index holds whole items, and counts again: up to three times".into(),
            ),
            row("recovery", format!("{RECOVERY_GB:.2} a GB"), "point-in-time recovery, of the table alone".into()),
            row(
                "backups",
                format!("{BACKUP_GB:.2} a GB"),
                format!(
                    "with `BackupVaultArn`, for each that is kept, and each is of the whole table: {:.2} a GB for {days:.0} days of them; \
                     and {COPY_GB:.2} a GB when one goes to another region",
                    BACKUP_GB * days
                ),
            ),
            row("logs", format!("{LOG_GB_KEPT:.2} a GB"), "kept for `LogRetentionDays`, compressed to a tenth or so".into()),
            row(
                "secrets",
                format!("{:.2}", SECRET * number(of_type("AWS::SecretsManager::Secret").count())),
                "and 0.05 for 10,000 reads: one per start of a function that needs one".into(),
            ),
            row("mails", format!("{MAILS:.2} a thousand"), "with `MailFrom`: one or two for each account that is opened".into()),
            row(
                "alarms",
                format!("{:.2}", ALARM * number(watched)),
                format!("{watched} metrics are watched, those of backups if there are any"),
            ),
            row(
                "metrics",
                format!("{METRIC:.2} each"),
                "that had a value: one for each name, and one for each status of an order".into(),
            ),
            row(
                "events",
                format!("{EVENT:.2} a million"),
                format!(
                    "told on the bus, and {DELIVERY:.2} more for those sent to `WebhookUrl`; the archive {ARCHIVED_GB:.2} a GB, and \
                     {ARCHIVE_GB_KEPT:.2} a GB for what it keeps"
                ),
            ),
            row("dashboard", format!("{DASHBOARD:.2}"), "beyond the account's first three".into()),
            row(
                "transfer",
                format!("{TRANSFER_GB:.2} a GB"),
                "what leaves AWS, beyond 100 GB: a million answers of 1 KB are 1 GB, a page of 100 products is some 30 KB".into(),
            ),
        ],
    )
}

/// What a day of as many requests as the gateway lets through costs, on open routes.
fn flood(sums: &BTreeMap<String, f64>, template: &Value) -> String {
    let row = |route: &str, rate: f64, kilobytes: f64| {
        let requests = rate * 86_400.0 / 1e6;
        let transfer = requests * kilobytes * TRANSFER_GB;
        let day = requests * sums.get(route).copied().unwrap_or_default() + transfer;
        vec![format!("`{route}`"), format!("{rate:.0}"), format!("{kilobytes:.1}"), format!("{day:.0}")]
    };
    let (requests, logins) = (setting(template, "RequestsPerSecond"), setting(template, "LoginsPerSecond"));
    table(
        &["route", "requests per second", "KB each", "dollars a day"],
        [
            row("$default", requests, 0.3),
            row("GET /products", requests, 30.0),
            row("GET /products/{product_id}", requests, 0.4),
            row("POST /auth/login", logins, 0.3),
            row("POST /auth/register", logins, 0.3),
            row("GET /docs/{file}", DOCS_PER_SECOND, 413.0),
        ],
    )
}

/// The default of a parameter, which is a number or a text of one.
fn setting(template: &Value, name: &str) -> f64 {
    let default = &template["Parameters"][name]["Default"];
    default.as_f64().or_else(|| default.as_str()?.parse().ok()).unwrap_or_default()
}

/// How many metrics an alarm watches, however deep they stand.
fn metrics(alarm: &Value) -> usize {
    match alarm {
        Value::Object(properties) => {
            usize::from(properties.contains_key("MetricName")) + properties.values().map(metrics).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(metrics).sum(),
        _ => 0,
    }
}

fn number(count: usize) -> f64 {
    u32::try_from(count).unwrap_or(u32::MAX).into()
}

/// What a function's part in a million requests costs, in dollars.
struct Bill {
    /// Per request.
    milliseconds: f64,
    requests: f64,
    time: f64,
    table: f64,
    log: f64,
}

impl Bill {
    fn of(function: &Function, cost: &Cost) -> Self {
        let contention = Contention::default();
        let waits = cost.calls.iter().map(|(operation, calls)| {
            let each = match operation.as_str() {
                "TransactWriteItems" => contention.transaction,
                "PutItem" | "UpdateItem" | "DeleteItem" => contention.write,
                _ => contention.read,
            };
            calls * each.as_secs_f64() * 1e3
        });
        let memory = f64::from(function.memory);
        let milliseconds = (cost.cpu * (ONE_CPU / memory).max(1.0) + waits.sum::<f64>()).ceil();
        Self {
            milliseconds,
            requests: price::INVOCATION,
            time: milliseconds / 1e3 * memory / 1024.0 * GB_SECOND * 1e6,
            table: cost.read_units * price::READ_UNIT + cost.write_units * price::WRITE_UNIT,
            log: LOG_LINE * LOG_GB / 1000.0,
        }
    }

    fn sum(&self) -> f64 {
        let Self { requests, time, table, log, .. } = self;
        requests + time + table + log
    }
}

/// `order`: write units of placing an order and of a step of its life.
fn limits(order: f64, ms: u128) -> String {
    let per_second = |units: f64, each: f64| format!("{:.0} per second", units / each);
    let row = |cells: [String; 4]| cells.to_vec();
    table(
        &["what", "at most", "why", "what to turn"],
        [
            row([
                "sales of one product".into(),
                "about 25 per second before one in a hundred is turned away".into(),
                format!("transactions on one item go one after the other, {ms} ms each; measured in [benchmarks.md](benchmarks.md)"),
                "`stock_shards` of the product, 1 to 32, while it is sold: 16 sell 250 per second and more".into(),
            ]),
            row([
                "orders of a new table".into(),
                per_second(NEW_TABLE_WRITES, order),
                format!("an on-demand table begins with {NEW_TABLE_WRITES} write units; an order placed and confirmed takes {order:.0}"),
                "nothing: it doubles as it is used; or pre-warm the table (`WarmThroughput`) before a sale (**AWS**)".into(),
            ]),
            row([
                "new orders of a shop".into(),
                per_second(PARTITION_WRITES, 2.0),
                "the admins' list has one collection of PENDING orders, newest last: one unit when an order comes and one when it leaves".into(),
                "`OrderShards`: as many times the rate, and as many queries when an admin lists".into(),
            ]),
            row([
                "sales of one product, spread".into(),
                per_second(PARTITION_WRITES, 2.0),
                "its shards share a partition key, and a write in a transaction counts twice".into(),
                "nothing: DynamoDB splits a collection that stays hot by its sort key, and then it is more".into(),
            ]),
            row([
                "lines sold of all products".into(),
                per_second(PARTITION_WRITES, 1.0),
                "each touches an entry of its product's stock in one collection of the index".into(),
                "nothing: the collection is sorted by name, so that DynamoDB can split it by heat".into(),
            ]),
            row([
                "orders of one customer".into(),
                per_second(PARTITION_WRITES, 1.0),
                "their own list is one collection".into(),
                "nothing: nobody buys as fast".into(),
            ]),
            row([
                "readers of one product".into(),
                per_second(PARTITION_READS, 1.0),
                "strongly consistent, one unit".into(),
                "a CDN in front of `GET /products`: answers have an `ETag`".into(),
            ]),
            row([
                "readers of one page of the catalogue".into(),
                per_second(PARTITION_READS, 0.5),
                "half a unit for 4 KB".into(),
                "a CDN, as above".into(),
            ]),
            row([
                "logins and registrations".into(),
                "`PasswordConcurrency` × about 14 per second".into(),
                "argon2 takes 20 to 30 ms of a CPU on purpose, and 1,024 MB come with little more than half of one".into(),
                "`PasswordConcurrency`, `LoginsPerSecond`".into(),
            ]),
            row([
                "requests of one route".into(),
                "500 per second".into(),
                "`RequestsPerSecond`, the gateway's throttle".into(),
                "the parameter; the account's own limit is 10,000 per second, and 1,000 functions at once (**AWS**)".into(),
            ]),
        ],
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn template() -> Value {
        template::document(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml"))).unwrap()
    }

    #[test]
    fn a_flood_costs_what_the_throttle_lets_through() {
        let template = json!({"Parameters": {"RequestsPerSecond": {"Default": 100}, "LoginsPerSecond": {"Default": "10"}}});
        let sums = BTreeMap::from([("$default".to_owned(), 1.0), ("POST /auth/login".to_owned(), 10.0)]);
        let table = flood(&sums, &template);
        // 8.64 million requests of a dollar each million, and 2.6 GB; 0.864 million of ten dollars.
        assert!(table.contains("| `$default` | 100 | 0.3 | 9 |\n"), "{table}");
        assert!(table.contains("| `POST /auth/login` | 10 | 0.3 | 9 |\n"), "{table}");
    }

    /// What nobody has to measure follows from the template, and is to be written again when that changes.
    #[test]
    fn the_page_is_about_this_template() {
        let (template, page) = (template(), include_str!("../../../docs/scale.md"));
        let requests = page.split("\n## A million requests\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
        let sums: BTreeMap<_, _> = requests
            .lines()
            .filter_map(|line| {
                let (route, cells) = line.strip_prefix("| `")?.split_once("` | ")?;
                Some((route.to_owned(), cells.trim_end_matches(" |").rsplit(' ').next()?.parse().ok()?))
            })
            .collect();
        assert!(sums.len() > 20, "{sums:?}");
        for table in [monthly(&template), flood(&sums, &template)] {
            assert!(page.contains(&table), "docs/scale.md should have\n{table}");
        }
    }

    #[test]
    fn a_large_shop_is_reckoned_from_what_was_measured() {
        let waits = A_SALE.map(|(route, _)| (route.to_owned(), 10.0)).into();
        // 579 orders in the busiest second; 28 requests each, of 10 ms, and 1 ms of the authorizer.
        let table = strain(30.0, &waits, 1.0);
        for cell in ["| 17,361 units: 30 for an order's life |", "`WarmWrites=18000`", "`OrderShards=3`", "| 16,204 |", "| 178 |"]
        {
            assert!(table.contains(cell), "{cell} in {table}");
        }
        let sums = A_SALE.map(|(route, _)| (route.to_owned(), 2.0)).into();
        // 280 million requests of two dollars a million, and 40 million events.
        assert!((day(&sums).iter().map(|(_, dollars)| dollars).sum::<f64>() - 600.0).abs() < 1e-9);
        assert_eq!(
            ["0", "999", "1,000", "1,234,567"],
            [0.0, 999.0, 1e3, 1_234_567.0].map(thousands).each_ref().map(String::as_str)
        );
    }

    #[test]
    fn a_month_counts_what_the_template_watches() {
        let template = template();
        let resources = template["Resources"].as_object().unwrap().values();
        let alarms = resources.filter(|resource| resource["Type"] == "AWS::CloudWatch::Alarm").count();
        let table = monthly(&template);
        let watched = table.lines().find(|line| line.starts_with("| alarms |")).unwrap();
        let metrics: usize = watched.split('|').nth(3).unwrap().split_whitespace().next().unwrap().parse().unwrap();
        assert!(metrics >= alarms && alarms > 5, "{watched}");
    }
}
