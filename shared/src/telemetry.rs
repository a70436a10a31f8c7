//! What a piece of work did, and the one line of JSON that it leaves in the log. CloudWatch takes its metrics from the same line.
//!
//! The line is in CloudWatch's embedded metric format: `_aws` names the fields that are metrics. Nothing of a body, no e-mail
//! address and no token is ever in it.

use std::{
    cell::RefCell,
    future::Future,
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use serde::Serialize;

use crate::domain::{Role, Status, Timestamp, UserId};

/// Where all metrics are found in CloudWatch.
const NAMESPACE: &str = "Stockroom";

tokio::task_local! {
    static METRICS: RefCell<Metrics>;
}

/// What is counted while a piece of work is under way.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Who asked for it.
    pub user_id: Option<UserId>,
    /// Requests sent to DynamoDB, repetitions included.
    pub calls: u32,
    /// How many of them asked for something that had not been asked for before.
    pub first_attempts: u32,
    /// Calls that were made again because they met a write to the same item at the same instant, or more than the table takes.
    pub conflicts: u32,
    pub read_units: f64,
    pub write_units: f64,
    /// Orders that were brought to a status, and to which.
    pub orders: Option<(Status, u32)>,
    /// Events that were put on the bus.
    pub events: u32,
    /// Mails that were handed over.
    pub mails: u32,
    /// Mails that the mail service will never take.
    pub mails_refused: u32,
    /// What an operator decided about an account.
    pub account: Option<AccountChange>,
    /// Which operator asked, if that is known.
    pub asked_by: Option<String>,
    /// Why the work was not done.
    pub failure: Option<Failure>,
}

/// A change of an account, by the id of the account; `None` leaves something as it is.
#[derive(Debug, Clone, Copy)]
pub struct AccountChange {
    pub user_id: UserId,
    pub role: Option<Role>,
    pub is_active: Option<bool>,
}

/// The part of an error that a log may hold.
#[derive(Debug)]
pub struct Failure {
    /// As the client sees it.
    pub code: &'static str,
    /// What went wrong, when it is ours to mend.
    pub fault: Option<String>,
    /// A metric that counts such errors.
    pub metric: Option<&'static str>,
}

impl Metrics {
    /// An order has been brought to this status.
    pub fn order(&mut self, status: Status) {
        let before = self.orders.filter(|(reached, _)| *reached == status).map_or(0, |(_, orders)| orders);
        self.orders = Some((status, before + 1));
    }
}

/// Writes something down about the work that is under way; outside of any, nobody asks.
pub fn record(change: impl FnOnce(&mut Metrics)) {
    let _ = METRICS.try_with(|metrics| change(&mut metrics.borrow_mut()));
}

/// Who writes lines, the same for the life of a process.
#[derive(Debug)]
pub struct Source {
    /// The stack that this function belongs to: the dimension of every metric.
    pub stack: String,
    /// Name of this Lambda function.
    pub function: String,
    pub clock: fn() -> Timestamp,
}

/// What the work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request of a client.
    Request,
    /// The question who is asking.
    Authorization,
    /// Something that an operator or a schedule asked for.
    Operation,
}

/// One piece of work.
#[derive(Debug)]
pub struct Work {
    pub kind: Kind,
    /// The gateway's id of the request, the same in all its lines; for an operation, Lambda's.
    pub request_id: String,
    /// As template.yaml has it; empty for an operation.
    pub route: String,
    /// The X-Ray header that Lambda has handed over.
    pub trace: Option<String>,
}

/// Waits for the work and writes its line. `status` is what the client sees, or would see.
pub async fn instrument<T>(
    source: &Source,
    work: Work,
    carried_out: impl Future<Output = T>,
    status: impl FnOnce(&T) -> u16,
) -> T {
    static WARM: AtomicBool = AtomicBool::new(false);
    let cold_start = !WARM.swap(true, Ordering::Relaxed);
    let start = Instant::now();
    let (outcome, metrics) = METRICS
        .scope(RefCell::default(), async {
            let outcome = carried_out.await;
            (outcome, METRICS.with(RefCell::take))
        })
        .await;
    let line = Line {
        source,
        status: status(&outcome),
        duration_ms: (start.elapsed().as_secs_f64() * 1_000_000.0).round() / 1000.0,
        cold_start,
        work,
        metrics,
    };
    // In one piece, so that no other line gets into it. A log that takes nothing is no reason to refuse the request.
    let _ = std::io::stdout().lock().write_all(&line.to_bytes((source.clock)()));
    outcome
}

struct Line<'a> {
    source: &'a Source,
    work: Work,
    status: u16,
    duration_ms: f64,
    cold_start: bool,
    metrics: Metrics,
}

impl Line<'_> {
    fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        let Self { source, work, status, metrics, .. } = self;
        let failure = metrics.failure.as_ref();
        let mut fields = Fields { line: Vec::with_capacity(512), metrics: Vec::new() };
        fields.put("timestamp", now);
        fields.put("level", if failure.is_some_and(|failure| failure.fault.is_some()) { "ERROR" } else { "INFO" });
        fields.put("stack", &source.stack);
        fields.put("function", &source.function);
        fields.put("request_id", &work.request_id);
        // X-Ray knows only what was sampled.
        if let Some(trace) = work.trace.as_deref().filter(|trace| trace.contains("Sampled=1")) {
            fields.put("trace_id", trace.split(';').find_map(|part| part.strip_prefix("Root=")));
        }
        if !work.route.is_empty() {
            fields.put("route", &work.route);
        }
        fields.put("status", status);
        if let Some(failure) = failure {
            fields.put("code", failure.code);
            if let Some(fault) = &failure.fault {
                fields.put("error", fault);
            }
        }
        fields.put("duration_ms", self.duration_ms);
        fields.put("cold_start", self.cold_start);
        if let Some(user_id) = metrics.user_id {
            fields.put("user_id", user_id);
        }
        if let Some(asked_by) = &metrics.asked_by {
            fields.put("asked_by", asked_by);
        }
        if let Some(AccountChange { user_id, role, is_active }) = metrics.account {
            fields.put("account_id", user_id);
            role.inspect(|role| fields.put("role", role));
            is_active.inspect(|is_active| fields.put("is_active", is_active));
        }
        fields.put("calls", metrics.calls);
        // Those of the SDK, and those of ours after a conflict.
        fields.put("retries", metrics.calls.saturating_sub(metrics.first_attempts) + metrics.conflicts);

        // What costs nothing when it is nothing is left out: CloudWatch takes the absence of a count for none.
        if work.kind == Kind::Request {
            fields.count("requests", 1.0);
            fields.count("errors", f64::from(u8::from(*status >= 500)));
        }
        fields.count("read_units", metrics.read_units);
        fields.count("write_units", metrics.write_units);
        fields.count("conflicts", f64::from(metrics.conflicts));
        fields.count("events", f64::from(metrics.events));
        fields.count("mails", f64::from(metrics.mails));
        fields.count("mails_refused", f64::from(metrics.mails_refused));
        if let Some(metric) = failure.and_then(|failure| failure.metric) {
            fields.count(metric, 1.0);
        }
        if work.kind == Kind::Authorization && *status >= 500 {
            fields.count("authorizer_errors", 1.0);
        }
        let of_stack = Directive::new(&["stack"], std::mem::take(&mut fields.metrics));
        let of_orders = metrics.orders.map(|(status, orders)| {
            fields.put("order_status", status);
            fields.put("orders", orders);
            Directive::new(&["stack", "order_status"], vec![Metric::count("orders")])
        });
        let directives: Vec<_> =
            [Some(of_stack), of_orders].into_iter().flatten().filter(|directive| !directive.metrics.is_empty()).collect();
        if !directives.is_empty() {
            fields.put("_aws", Aws { timestamp: now.millis(), cloud_watch_metrics: directives });
        }
        fields.line.extend_from_slice(b"}\n");
        fields.line
    }
}

/// What CloudWatch makes metrics of.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Aws {
    timestamp: i64,
    cloud_watch_metrics: Vec<Directive>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [&'static [&'static str]; 1],
    metrics: Vec<Metric>,
}

impl Directive {
    fn new(dimensions: &'static [&'static str], metrics: Vec<Metric>) -> Self {
        Self { namespace: NAMESPACE, dimensions: [dimensions], metrics }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl Metric {
    fn count(name: &'static str) -> Self {
        Self { name, unit: "Count" }
    }
}

/// A line as far as it is written, and which of its fields are metrics. Each request has one: a tree of values first would take more
/// than the line itself.
struct Fields {
    line: Vec<u8>,
    metrics: Vec<Metric>,
}

impl Fields {
    fn put(&mut self, name: &'static str, value: impl Serialize) {
        self.line.extend_from_slice(if self.line.is_empty() { b"{\"" } else { b",\"" });
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
        // Nothing that is put here can fail to be written.
        let _ = serde_json::to_writer(&mut self.line, &value);
    }

    /// A metric, unless there is nothing to count.
    fn count(&mut self, name: &'static str, amount: f64) {
        if amount > 0.0 {
            self.put(name, amount);
            self.metrics.push(Metric::count(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    fn line(kind: Kind, status: u16, metrics: Metrics) -> Value {
        traced(kind, status, metrics, 1)
    }

    fn traced(kind: Kind, status: u16, metrics: Metrics, sampled: u8) -> Value {
        let source = Source { stack: "shop".into(), function: "shop-F".into(), clock: || Timestamp::from_millis(0) };
        let work = Work {
            kind,
            request_id: "id=".into(),
            route: "GET /products".into(),
            trace: Some(format!("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={sampled}")),
        };
        let line = Line { source: &source, work, status, duration_ms: 1.5, cold_start: false, metrics };
        let text = String::from_utf8(line.to_bytes(Timestamp::from_millis(1_700_000_000_000))).unwrap();
        assert!(text.ends_with("}\n") && text.matches('\n').count() == 1, "{text:?}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_request_is_one_line_with_its_metrics() {
        let mut metrics =
            Metrics { calls: 3, first_attempts: 3, conflicts: 1, read_units: 0.5, write_units: 9.0, ..Metrics::default() };
        metrics.order(Status::Confirmed);
        insta::assert_json_snapshot!(line(Kind::Request, 201, metrics), @r#"
        {
          "_aws": {
            "CloudWatchMetrics": [
              {
                "Dimensions": [
                  [
                    "stack"
                  ]
                ],
                "Metrics": [
                  {
                    "Name": "requests",
                    "Unit": "Count"
                  },
                  {
                    "Name": "read_units",
                    "Unit": "Count"
                  },
                  {
                    "Name": "write_units",
                    "Unit": "Count"
                  },
                  {
                    "Name": "conflicts",
                    "Unit": "Count"
                  }
                ],
                "Namespace": "Stockroom"
              },
              {
                "Dimensions": [
                  [
                    "stack",
                    "order_status"
                  ]
                ],
                "Metrics": [
                  {
                    "Name": "orders",
                    "Unit": "Count"
                  }
                ],
                "Namespace": "Stockroom"
              }
            ],
            "Timestamp": 1700000000000
          },
          "calls": 3,
          "cold_start": false,
          "conflicts": 1.0,
          "duration_ms": 1.5,
          "function": "shop-F",
          "level": "INFO",
          "order_status": "CONFIRMED",
          "orders": 1,
          "read_units": 0.5,
          "request_id": "id=",
          "requests": 1.0,
          "retries": 1,
          "route": "GET /products",
          "stack": "shop",
          "status": 201,
          "timestamp": "2023-11-14T22:13:20.000Z",
          "trace_id": "1-5759e988-bd862e3fe1be46a994272793",
          "write_units": 9.0
        }
        "#);
    }

    #[test]
    fn errors_are_counted_where_they_belong() {
        let failed = |metric| Metrics {
            failure: Some(Failure { code: "unavailable", fault: Some("away".into()), metric }),
            ..Metrics::default()
        };
        let counted = |line: &Value| -> Vec<String> {
            let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().cloned().unwrap_or_default();
            metrics.iter().map(|metric| metric["Name"].as_str().unwrap().to_owned()).collect()
        };
        let line_of = |kind, status, metrics| {
            let line = line(kind, status, metrics);
            for name in counted(&line) {
                assert!(line[&name].is_number(), "{name} is named as a metric: {line}");
            }
            line
        };

        let request = line_of(Kind::Request, 503, failed(Some("conflicts_exhausted")));
        assert_eq!(counted(&request), ["requests", "errors", "conflicts_exhausted"]);
        assert_eq!(
            (&request["level"], &request["code"], &request["error"]),
            (&json!("ERROR"), &json!("unavailable"), &json!("away"))
        );
        assert_eq!(counted(&line_of(Kind::Authorization, 503, failed(None))), ["authorizer_errors"]);
        assert_eq!(counted(&line_of(Kind::Authorization, 401, Metrics::default())), [""; 0]);
        let operation = line_of(Kind::Operation, 200, Metrics::default());
        assert!(operation.get("_aws").is_none(), "{operation}");
    }

    #[test]
    fn the_dashboard_and_the_alarms_name_what_is_written() {
        let mut written = BTreeSet::new();
        let mut metrics = Metrics {
            calls: 1,
            conflicts: 1,
            read_units: 1.0,
            write_units: 1.0,
            events: 1,
            mails: 1,
            mails_refused: 1,
            ..Metrics::default()
        };
        metrics.order(Status::Confirmed);
        for (kind, metric) in [(Kind::Request, "logins_failed"), (Kind::Authorization, "conflicts_exhausted")] {
            metrics.failure = Some(Failure { code: "unavailable", fault: None, metric: Some(metric) });
            let line = line(kind, 503, std::mem::take(&mut metrics));
            for directive in line["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
                let names = directive["Metrics"].as_array().unwrap().iter();
                written.extend(names.map(|metric| metric["Name"].as_str().unwrap().to_owned()));
            }
        }
        let template = include_str!("../../template.yaml");
        let alarms = template.split("Namespace: Stockroom\n      MetricName: ").skip(1).map(|rest| rest.lines().next().unwrap());
        let widgets = template.split(r#"["Stockroom", ""#).skip(1).map(|rest| rest.split('"').next().unwrap());
        let watched: BTreeSet<_> = alarms.chain(widgets).map(str::to_owned).collect();
        assert!(watched.len() > 5 && watched.is_subset(&written), "{watched:?} of {written:?}");
    }

    #[test]
    fn only_a_trace_that_x_ray_has_is_named() {
        let named = |sampled| traced(Kind::Request, 200, Metrics::default(), sampled)["trace_id"].clone();
        assert_eq!((named(0), named(1)), (Value::Null, json!("1-5759e988-bd862e3fe1be46a994272793")));
    }
}
