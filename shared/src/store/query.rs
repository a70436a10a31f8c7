//! Questions about items that share a partition key, of the table or of an index.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, Select};

use super::{
    expression::Expression,
    key::{Item, Key},
    table::Table,
};
use crate::{Error, Result, aws::fault, domain::ProductId};

/// One `Query`: which items, in which order, and from where.
#[derive(Default)]
pub struct Query {
    index: Option<&'static str>,
    /// The value of the partition key.
    partition: String,
    /// A condition on the sort key, with `:sort` for the value: `begins_with({sk}, :sort)`.
    sort: Option<(&'static str, String)>,
    /// `:end` in that condition.
    end: Option<String>,
    filter: Expression,
    start: Option<Item>,
    limit: Option<usize>,
    descending: bool,
    /// As it is or was a moment ago.
    eventually: bool,
    count_only: bool,
}

/// What a query has found.
pub struct Found {
    pub items: Vec<Item>,
    /// How many, also when the items themselves were not asked for.
    pub count: u64,
    /// The key that the query stopped at, if there is more.
    pub last: Option<Item>,
}

impl Query {
    /// All items with the `pk` of this key, in the order of their `sk`, as they are after every write that was answered before.
    pub fn of(key: Key<'_>) -> Self {
        Self { partition: key.pk(), ..Self::default() }
    }

    /// The movements of a product, oldest first, as they are after every write that was answered before.
    pub fn of_movements(product_id: ProductId) -> Self {
        Self { partition: Key::movements_of(product_id), ..Self::default() }
    }

    /// Entries of one collection of an index, which may be a moment old.
    pub fn of_index(index: &'static str, collection: impl Into<String>) -> Self {
        Self { index: Some(index), partition: collection.into(), eventually: true, ..Self::default() }
    }

    /// Only those whose sort key begins with this.
    pub fn beginning_with(mut self, prefix: &str) -> Self {
        self.sort = Some(("begins_with({}, :sort)", prefix.to_owned()));
        self
    }

    /// Only those whose sort key is less than this.
    pub fn before(mut self, end: impl Into<String>) -> Self {
        self.sort = Some(("{} < :sort", end.into()));
        self
    }

    /// Only those whose sort key is not less than the one, and not more than the other.
    pub fn between(mut self, start: impl Into<String>, end: impl Into<String>) -> Self {
        self.sort = Some(("{} BETWEEN :sort AND :end", start.into()));
        self.end = Some(end.into());
        self
    }

    /// Only those whose sort key is this or more.
    pub fn from(mut self, start: impl Into<String>) -> Self {
        self.sort = Some(("{} >= :sort", start.into()));
        self
    }

    /// Only those for which the conditions hold. Those that are left out are read, and count for the limit.
    pub fn filter(mut self, conditions: Expression) -> Self {
        self.filter = conditions;
        self
    }

    /// Goes on after this key.
    pub fn after(mut self, key: Option<Item>) -> Self {
        self.start = key;
        self
    }

    /// No more items than this are looked at; without a number, what 1 MB holds.
    pub fn limit(mut self, items: impl Into<Option<usize>>) -> Self {
        self.limit = items.into();
        self
    }

    /// The last in the order first.
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Counts, and reads out nothing.
    pub fn count_only(mut self) -> Self {
        self.count_only = true;
        self
    }
}

impl Table {
    /// Takes all that a query finds, in as many calls as it takes: DynamoDB answers at most 1 MB at a time, and no more of it is in
    /// memory at once.
    pub(super) async fn query_all(&self, query: impl Fn() -> Query, mut take: impl FnMut(Vec<Item>) -> Result) -> Result {
        let mut start = None;
        loop {
            let found = self.query(query().after(start)).await?;
            take(found.items)?;
            start = found.last;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    pub(super) async fn query(&self, query: Query) -> Result<Found> {
        let index = query.index.unwrap_or_default();
        let mut condition = format!("{index}pk = :partition");
        let mut values = query.filter.values().unwrap_or_default();
        values.insert(":partition".into(), AttributeValue::S(query.partition));
        if let Some((sort, value)) = query.sort {
            condition = format!("{condition} AND {}", sort.replace("{}", &format!("{index}sk")));
            values.insert(":sort".into(), AttributeValue::S(value));
            values.extend(query.end.map(|end| (":end".into(), AttributeValue::S(end))));
        }
        let output = self
            .client
            .query()
            .table_name(&self.name)
            .set_index_name(query.index.map(str::to_owned))
            .key_condition_expression(condition)
            .set_filter_expression(query.filter.condition())
            .set_expression_attribute_names(query.filter.names())
            .set_expression_attribute_values(Some(values))
            .set_exclusive_start_key(query.start)
            .set_limit(query.limit.map(|limit| i32::try_from(limit).unwrap_or(i32::MAX)))
            .set_scan_index_forward(query.descending.then_some(false))
            .set_select(query.count_only.then_some(Select::Count))
            .set_consistent_read((!query.eventually).then_some(true))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(fault)?;
        let count = u64::try_from(output.count).map_err(|_| Error::Internal("a query counts less than nothing".into()))?;
        Ok(Found { items: output.items.unwrap_or_default(), count, last: output.last_evaluated_key })
    }
}
