//! Functions that read the table's stream, which Lambda calls with a batch of its records.

use futures_util::FutureExt;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};

use super::runtime::{carry_out, start, time_left};
use crate::{
    Error, Result,
    app::{FromEnvironment, StartupError},
    http,
    store::stream::Record,
    telemetry::{self, Kind, Work},
};

#[derive(Deserialize)]
struct StreamEvent {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

/// How far a handler has come with a batch.
pub struct Progress {
    /// How many records are done, from the first on.
    pub records: usize,
    /// Why the next one is not, if there is one.
    pub failed: Option<Error>,
}

/// What Lambda is told: where to begin again (`ReportBatchItemFailures`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    batch_item_failures: Vec<Failure>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: String,
}

/// Runs `handler` for every batch until Lambda stops the environment. What it has not done of one, Lambda hands over again. A handler
/// that panics or takes too long has done nothing.
pub async fn serve<A, F, Fut>(handler: F) -> Result<(), StartupError>
where
    A: FromEnvironment + Sync + 'static,
    F: Fn(&'static A, Vec<Record>) -> Fut,
    Fut: Future<Output = Progress>,
{
    let (app, source) = start::<A>().await?;
    let handler = &handler;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<StreamEvent>| async move {
        let (StreamEvent { records }, context) = event.into_parts();
        let limit = time_left(context.deadline, (source.clock)());
        let work =
            Work { kind: Kind::Operation, request_id: context.request_id, route: String::new(), trace: context.xray_trace_id };
        let sequence: Vec<_> = records.iter().map(|record| record.sequence_number().to_owned()).collect();
        let carried_out = async {
            let handled = handler(app, records).map(Ok);
            // Boxed: the types of the futures below are nested deeper than the compiler follows.
            let progress = carry_out(handled, limit).boxed_local().await;
            progress.unwrap_or_else(|error| Progress { records: 0, failed: Some(error) })
        };
        let reported = carried_out.inspect(|progress| {
            if let Some(error) = &progress.failed {
                http::report(error);
            }
        });
        let status = |progress: &Progress| progress.failed.as_ref().map_or(200, http::status);
        let progress = telemetry::instrument(source, work, reported, status).await;
        Ok::<_, Diagnostic>(report(progress, sequence))
    }))
    .await?;
    Ok(())
}

fn report(progress: Progress, sequence: Vec<String>) -> Report {
    let next = sequence.into_iter().nth(progress.records).filter(|_| progress.failed.is_some());
    let failure = next.map(|item_identifier| Failure { item_identifier });
    Report { batch_item_failures: failure.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lambda_is_told_where_to_begin_again() {
        for (records, failed, expected) in [
            (2, None, json!([])),
            (0, Some(Error::Contended), json!([{"itemIdentifier": "7"}])),
            (1, Some(Error::Contended), json!([{"itemIdentifier": "8"}])),
        ] {
            let told = report(Progress { records, failed }, vec!["7".into(), "8".into()]);
            assert_eq!(serde_json::to_value(told).unwrap(), json!({"batchItemFailures": expected}));
        }
    }
}
