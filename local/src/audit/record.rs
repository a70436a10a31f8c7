//! Records of requests that made something: what a repetition is answered with, written in the transaction that made it.

use super::finding::{Cause, Finding, Remedy, Tear, Violation, Write};
use super::layout::{self, Item, Kind};

/// Records among these items that remember something which is not. It may have been deleted since it was made; but not before
/// the moment that the table is of.
///
/// `latest`: that moment, as far as its items tell; in milliseconds since the epoch.
pub fn without_effect(items: &[Item], latest: u64) -> Vec<Finding> {
    /// Seconds: more than any transaction takes.
    const IN_FLIGHT: u64 = 10;
    let of_the_moment = |record: &&Item| {
        let made = record.number("expires_at").unwrap_or_default().saturating_sub(layout::RECORD_KEPT);
        record.kind() == Some(Kind::Record) && made + IN_FLIGHT >= latest / 1000
    };
    let finding = |record: &Item| {
        let (pk, sk, line) = (record.text("made_pk"), record.text("made_sk"), record.text("made_line"));
        let unmade = match items.iter().find(|item| (item.pk.as_str(), item.sk.as_str()) == (pk, sk)) {
            None => Write::absent(pk, sk),
            Some(order) if !line.is_empty() && order.attributes["lines"]["M"][line].is_null() => {
                Write::check(order, order.as_read(&["version"]))
            }
            Some(_) => return None,
        };
        Some(Finding {
            cause: Cause::Doubtful(Tear::RecordWithoutEffect),
            violations: vec![Violation::of(record, "remembers that something was made which does not exist")],
            remedy: Remedy::write(vec![Write::delete(record, record.as_read(&["fingerprint", "expires_at"])), unmade]),
        })
    };
    items.iter().filter(of_the_moment).filter_map(finding).collect()
}
