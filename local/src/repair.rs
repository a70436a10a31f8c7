//! Puts right what an audit finds in a table, as far as a machine can decide it.
//!
//! Each finding has one remedy: writes that happen together or not at all, on the condition that everything it rests on is still
//! as it was read. So a repair that is interrupted, or that somebody gets in the way of, leaves some of the remedies undone and
//! nothing worse. A table is read twice, and only what was found both times in the very same state is touched: what is being
//! written meanwhile is not mistaken for a tear.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use indicatif::ProgressBar;
use serde_json::Value;

use crate::audit::source::{self, Source, Table};
use crate::audit::{self, AsRead, Finding, Remedy, Report, Write};
use crate::error::{Error, Result};

/// How often the table is looked at again: a remedy can bring to light what another hid.
const ROUNDS: usize = 4;

/// What became of a repair.
#[derive(Debug)]
pub struct Repair {
    /// Remedies that were carried out, or would be.
    pub remedies: u64,
    /// What a person has to decide.
    pub undecided: u64,
    /// Whether anything was written.
    applied: bool,
    /// The audit after it; before it if nothing was written.
    pub report: Report,
}

/// `2 remedies proposed, 1 thing to decide` or `2 remedies carried out; 12 items, no violation`
impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (remedies, things) =
            (if self.remedies == 1 { "remedy" } else { "remedies" }, if self.undecided == 1 { "thing" } else { "things" });
        let done = if self.applied { "carried out" } else { "proposed" };
        write!(f, "{} {remedies} {done}", self.remedies)?;
        if self.undecided > 0 {
            write!(f, ", {} {things} to decide", self.undecided)?;
        }
        write!(f, "; {}", self.report)
    }
}

/// Tells what it would write to the table to put right what is found at the source, and writes it if `apply` says so.
pub async fn run(
    from: &Source,
    table: &Table,
    apply: bool,
    progress: &ProgressBar,
    tell: &mut dyn FnMut(&str),
) -> Result<Repair> {
    let (mut findings, mut report) = audit::look_twice(from, progress).await?;
    let mut repair = Repair { remedies: 0, undecided: 0, applied: apply, report: Report::default() };
    for _ in 0..ROUNDS {
        repair.undecided = 0;
        let mut written = 0;
        for finding in &findings {
            match &finding.remedy {
                Remedy::Elsewhere => tell(&format!("{finding}\n  what puts another finding right does so here, too")),
                Remedy::Decide(what) => {
                    repair.undecided += 1;
                    tell(&format!("{finding}\n  to decide: {what}"));
                }
                Remedy::Write { writes, note } => {
                    tell(&described(finding, writes, *note));
                    repair.remedies += 1;
                    if apply {
                        let done = carry_out(table, writes).await?;
                        written += u64::from(done);
                        repair.remedies -= u64::from(!done);
                        tell(if done { "  done" } else { "  not done: something of it has changed since it was read" });
                    }
                }
            }
        }
        if !apply || written == 0 {
            break;
        }
        (findings, report) = audit::look_twice(&Source::Table(table.clone()), progress).await?;
    }
    repair.report = report;
    Ok(repair)
}

fn described(finding: &Finding, writes: &[Write], note: Option<&str>) -> String {
    let mut text = finding.to_string();
    for write in writes {
        text.push_str(&format!("\n  {write}"));
    }
    if let Some(note) = note {
        text.push_str(&format!("\n  afterwards: {note}"));
    }
    text
}

/// Whether it was done; otherwise something is not as it was read any more.
async fn carry_out(table: &Table, writes: &[Write]) -> Result<bool> {
    let writes = writes.iter().map(|write| transact(table, write)).collect::<Result<Vec<_>>>()?;
    let Err(error) = table.client().transact_write_items().set_transact_items(Some(writes)).send().await else { return Ok(true) };
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(_)) => Ok(false),
        _ => Err(table.fault(error)),
    }
}

/// What is written: an item, on a condition. The four kinds of it take that alike, and share no trait.
macro_rules! action {
    ($builder:expr, $table:expr, $condition:expr, $expression:expr) => {
        $builder
            .table_name(&$table.name)
            .condition_expression($condition)
            .set_expression_attribute_names($expression.names())
            .set_expression_attribute_values($expression.values())
            .build()
    };
}

fn transact(table: &Table, write: &Write) -> Result<TransactWriteItem> {
    const ABSENT: &str = "attribute_not_exists(pk)";
    let fault = |reason: &str| Error::Table { at: table.at.clone(), reason: format!("{write}: {reason}") };
    let attribute = |value: &Value| source::from_json(value).ok_or_else(|| fault("an attribute that is neither text nor number"));
    let key = |pk: &str, sk: &str| {
        HashMap::from([("pk".to_owned(), AttributeValue::S(pk.to_owned())), ("sk".to_owned(), AttributeValue::S(sk.to_owned()))])
    };
    let mut expression = Expression::default();
    let item = TransactWriteItem::builder();
    let built = match write {
        Write::Update { pk, sk, set, as_read } => {
            let mut assignments = Vec::new();
            for (name, value) in set {
                assignments.push(format!("{} = {}", expression.name(name), expression.value(attribute(value)?)));
            }
            let condition = expression.condition(as_read, attribute)?;
            let update =
                Update::builder().set_key(Some(key(pk, sk))).update_expression(format!("SET {}", assignments.join(", ")));
            action!(update, table, condition, expression).map(|update| item.update(update))
        }
        Write::Put { pk, sk, attributes } => {
            let mut row = key(pk, sk);
            for (name, value) in attributes {
                row.insert(name.clone(), attribute(value)?);
            }
            action!(Put::builder().set_item(Some(row)), table, ABSENT, expression).map(|put| item.put(put))
        }
        Write::Delete { pk, sk, as_read } => {
            let condition = expression.condition(as_read, attribute)?;
            action!(Delete::builder().set_key(Some(key(pk, sk))), table, condition, expression).map(|delete| item.delete(delete))
        }
        Write::Check { pk, sk, as_read } => {
            let condition = expression.condition(as_read, attribute)?;
            let check = ConditionCheck::builder().set_key(Some(key(pk, sk)));
            action!(check, table, condition, expression).map(|check| item.condition_check(check))
        }
        Write::Absent { pk, sk } => {
            let check = ConditionCheck::builder().set_key(Some(key(pk, sk)));
            action!(check, table, ABSENT, expression).map(|check| item.condition_check(check))
        }
    };
    built.map(aws_sdk_dynamodb::types::builders::TransactWriteItemBuilder::build).map_err(|error| fault(&error.to_string()))
}

/// Names and values of one write.
#[derive(Default)]
struct Expression {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    fn condition(&mut self, as_read: &AsRead, attribute: impl Fn(&Value) -> Result<AttributeValue>) -> Result<String> {
        let mut conditions = vec!["attribute_exists(pk)".to_owned()];
        for (name, value) in as_read {
            let name = self.name(name);
            conditions.push(match value {
                Some(value) => format!("{name} = {}", self.value(attribute(value)?)),
                None => format!("attribute_not_exists({name})"),
            });
        }
        Ok(conditions.join(" AND "))
    }

    fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}
