//! The bus that events leave the shop by: EventBridge. Another one would be another file like this.

use std::time::Duration;

use aws_sdk_eventbridge::{
    Client,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};

use crate::{
    Error, Result,
    aws::fault,
    domain::{Event, SOURCE},
    telemetry::record,
};

/// Events that one call takes, and bytes of all of them together (EventBridge, `PutEvents` quotas).
const MAX_EVENTS: usize = 10;
const MAX_BYTES: usize = 256 * 1024;

/// How often an event is offered that the bus does not take, while it takes others.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// An EventBridge bus.
#[derive(Debug)]
pub struct Bus {
    client: Client,
    name: String,
}

/// How far a call came.
#[derive(Debug)]
pub struct Put {
    /// How many events are on the bus, from the first on. Some of those behind them may be there as well.
    pub events: usize,
    /// Why the next one is not, if there is one.
    pub failed: Option<Error>,
}

/// An event as it is sent.
#[derive(Clone)]
struct Parcel {
    detail_type: &'static str,
    detail: String,
}

impl Parcel {
    fn of(event: Event) -> Result<Self> {
        let detail_type = event.kind.as_str();
        let write = |event: &Event| serde_json::to_string(event).map_err(|error| Error::Internal(error.to_string()));
        let whole = Self { detail_type, detail: write(&event)? };
        if whole.bytes() <= MAX_BYTES { Ok(whole) } else { Ok(Self { detail_type, detail: write(&event.cut())? }) }
    }

    /// As EventBridge counts them.
    fn bytes(&self) -> usize {
        SOURCE.len() + self.detail_type.len() + self.detail.len()
    }

    fn entry(&self, bus: &str) -> PutEventsRequestEntry {
        let entry = PutEventsRequestEntry::builder().event_bus_name(bus).source(SOURCE);
        entry.detail_type(self.detail_type).detail(&self.detail).build()
    }
}

/// As many of the next parcels as one call takes, at least one.
fn next_call(parcels: &[Parcel]) -> &[Parcel] {
    let mut bytes = 0;
    let fits = |parcel: &&Parcel| {
        bytes += parcel.bytes();
        bytes <= MAX_BYTES
    };
    let count = parcels.iter().take(MAX_EVENTS).take_while(fits).count();
    &parcels[..count.max(1).min(parcels.len())]
}

impl Bus {
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Sends events in their order, and goes no further than the first that the bus does not take.
    pub async fn put(&self, events: impl IntoIterator<Item = Event>) -> Put {
        let parcels: Vec<_> = match events.into_iter().map(Parcel::of).collect() {
            Ok(parcels) => parcels,
            Err(error) => return Put { events: 0, failed: Some(error) },
        };
        let mut done = 0;
        while done < parcels.len() {
            let call = next_call(&parcels[done..]);
            if let Err((taken, error)) = self.put_some(call).await {
                return Put { events: done + taken, failed: Some(error) };
            }
            done += call.len();
            record(|metrics| metrics.events += u32::try_from(call.len()).unwrap_or(u32::MAX));
        }
        Put { events: done, failed: None }
    }

    /// Sends what one call takes, and again what of it was not taken.
    ///
    /// # Errors
    ///
    /// How many were taken before the first that was not, and why that was not.
    async fn put_some(&self, parcels: &[Parcel]) -> Result<(), (usize, Error)> {
        let mut waiting: Vec<usize> = (0..parcels.len()).collect();
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let entries = waiting.iter().map(|position| parcels[*position].entry(&self.name)).collect();
            let sent = self.client.put_events().set_entries(Some(entries)).send().await;
            let output = sent.map_err(|error| (waiting.first().copied().unwrap_or_default(), fault(error)))?;
            let results = output.entries.unwrap_or_default();
            let refused: Vec<_> =
                waiting.iter().zip(&results).filter_map(|(position, result)| Some((*position, refusal(result)?))).collect();
            let Some((first, why)) = refused.first().cloned() else { break };
            if attempt == ATTEMPTS {
                return Err((first, Error::Unavailable(why)));
            }
            waiting = refused.into_iter().map(|(position, _)| position).collect();
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }
}

/// Why an event was not taken, if it was not.
fn refusal(result: &PutEventsResultEntry) -> Option<String> {
    let message = result.error_message().unwrap_or("no message");
    result.error_code().map(|code| format!("{code}: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Metadata, Money, Order, OrderDetails, Status, Timestamp};

    fn parcel(bytes: usize) -> Parcel {
        Parcel { detail_type: "order.placed", detail: " ".repeat(bytes) }
    }

    #[test]
    fn calls_are_as_large_as_they_may_be() {
        let small = vec![parcel(10); 25];
        assert_eq!((next_call(&small).len(), next_call(&small[20..]).len()), (10, 5));
        let large = vec![parcel(100 * 1024); 4];
        assert_eq!(next_call(&large).len(), 2);
        assert_eq!(next_call(&[parcel(300 * 1024)]).len(), 1, "one is always tried");
        assert_eq!(next_call(&[]).len(), 0);
    }

    #[test]
    fn an_event_that_is_too_large_is_cut_and_not_dropped() {
        let id = uuid::Uuid::nil();
        let order = Order {
            order_id: id.into(),
            customer_id: id.into(),
            status: Status::Pending,
            total_price: Money::ZERO,
            item_count: 0,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
            version: 1,
        };
        let details = OrderDetails { order, metadata: Metadata::default(), items: Vec::new(), history: Vec::new() };
        let sent = |details: OrderDetails| Parcel::of(Event::state_of_order(details)).unwrap().detail;
        assert!(sent(details.clone()).contains("\"data\":{"));
        let entry = crate::domain::HistoryEntry {
            at: Timestamp::from_millis(0),
            by: None,
            from: Status::Pending,
            to: Status::Cancelled,
            version: 2,
            reason: Some("x".repeat(300 * 1024)),
            stock: crate::domain::StockEffect::Released,
            not_restocked: Vec::new(),
        };
        let cut = sent(OrderDetails { history: vec![entry], ..details });
        assert!(cut.len() < 500 && cut.contains("\"note\":") && cut.contains("\"version\":1"), "{cut}");
    }
}
