//! The table as DynamoDB keeps it: items, conditions and updates, and transactions that happen as a whole or not at all.

use std::{collections::BTreeMap, sync::Arc};

/// An item's key. Products, orders, lines and idempotency keys have numbers for ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    Product(u16),
    Stock(u16, u8),
    /// Of a product.
    Movement(u16, u16),
    Order(u16),
    Record(u16),
}

/// An attribute that the protocol reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    Price,
    Quantity,
    Reserved,
    Shipped,
    Received,
    /// How many shards sales take from, in the first shard.
    StockShards,
    /// How many shards there are, in the first shard.
    Shards,
    /// Of what is said of a product, and of an order.
    Version,
    Status,
    Total,
    ItemCount,
    /// Of a movement.
    Amount,
    LineProduct(u16),
    LineShard(u16),
    LineQuantity(u16),
    LinePrice(u16),
}

/// Attributes in their order. All of them are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Item(Vec<(Field, i32)>);

impl Item {
    pub fn of(fields: impl IntoIterator<Item = (Field, i32)>) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_unstable();
        Self(fields)
    }

    pub fn find(&self, field: Field) -> Option<i32> {
        self.0.binary_search_by_key(&field, |(field, _)| *field).ok().map(|at| self.0[at].1)
    }

    /// The number, or none.
    pub fn get(&self, field: Field) -> i32 {
        self.find(field).unwrap_or_default()
    }

    pub fn set(&mut self, field: Field, value: i32) {
        match self.0.binary_search_by_key(&field, |(field, _)| *field) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (field, value)),
        }
    }

    fn remove(&mut self, field: Field) {
        self.0.retain(|(its, _)| *its != field);
    }

    pub fn fields(&self) -> impl Iterator<Item = (Field, i32)> {
        self.0.iter().copied()
    }

    /// The part of it that a reader makes use of.
    pub fn only(&self, fields: &[Field]) -> Self {
        Self(self.0.iter().filter(|(field, _)| fields.contains(field)).copied().collect())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Condition {
    Exists,
    Equal(Field, i32),
    Lacks(Field),
    AtLeast(Field, i32),
}

impl Condition {
    fn holds(&self, item: Option<&Item>) -> bool {
        let find = |field: Field| item.and_then(|item| item.find(field));
        match *self {
            Self::Exists => item.is_some(),
            Self::Equal(field, value) => find(field) == Some(value),
            Self::Lacks(field) => find(field).is_none(),
            Self::AtLeast(field, value) => find(field).is_some_and(|its| its >= value),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Change {
    Set(Field, i32),
    Add(Field, i32),
    Remove(Field),
}

/// An update and the conditions under which it happens, in the words of `store/expression.rs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Expression {
    conditions: Vec<Condition>,
    changes: Vec<Change>,
}

impl Expression {
    pub fn exists() -> Self {
        Self { conditions: vec![Condition::Exists], changes: Vec::new() }
    }

    pub fn equal(mut self, field: Field, value: i32) -> Self {
        self.conditions.push(Condition::Equal(field, value));
        self
    }

    pub fn lacks(mut self, field: Field) -> Self {
        self.conditions.push(Condition::Lacks(field));
        self
    }

    pub fn unchanged(self, field: Field, value: Option<i32>) -> Self {
        match value {
            Some(value) => self.equal(field, value),
            None => self.lacks(field),
        }
    }

    pub fn at_least(mut self, field: Field, value: i32) -> Self {
        self.conditions.push(Condition::AtLeast(field, value));
        self
    }

    pub fn set(mut self, field: Field, value: i32) -> Self {
        self.changes.push(Change::Set(field, value));
        self
    }

    pub fn add(mut self, field: Field, value: i32) -> Self {
        self.changes.push(Change::Add(field, value));
        self
    }

    pub fn remove(mut self, field: Field) -> Self {
        self.changes.push(Change::Remove(field));
        self
    }

    pub fn changes(&self) -> bool {
        !self.changes.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// A new item, if there is none with its key.
    Insert(Item),
    /// Makes an item that there is not, as DynamoDB's updates do.
    Update(Expression),
    Delete(Expression),
}

/// What a failed condition means, as the `why_not_…` functions of the store read it from the item that made it fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// The item is not as it was read.
    Changed,
    /// The request was carried out before.
    Repeated,
    /// An order that is gone or no more PENDING, or a line that is not as it was read.
    NotEditable,
    /// Pieces of a product, of which so many were to be in this shard, at this price if it matters.
    NotHeld { product: u16, wanted: i32, here: i32, price: Option<i32> },
    /// Pieces that were to come from another shard.
    NotTaken { product: u16, wanted: i32 },
    /// Pieces that were to come in or go out where there is only one shard.
    NotMoved { product: u16, amount: i32 },
    /// Pieces that were to come back to a product.
    NotRestocked,
    /// What nobody can have brought about: a 500.
    Broken,
}

/// Writes that happen together or not at all, each with what its failed condition means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transaction {
    pub writes: Vec<(Key, Write, Meaning)>,
}

impl Transaction {
    pub fn insert(self, key: Key, item: Item, meaning: Meaning) -> Self {
        self.with(key, Write::Insert(item), meaning)
    }

    pub fn update(self, key: Key, expression: Expression, meaning: Meaning) -> Self {
        self.with(key, Write::Update(expression), meaning)
    }

    pub fn delete(self, key: Key, expression: Expression, meaning: Meaning) -> Self {
        self.with(key, Write::Delete(expression), meaning)
    }

    fn with(mut self, key: Key, write: Write, meaning: Meaning) -> Self {
        self.writes.push((key, write, meaning));
        self
    }
}

/// All items. Those that a state shares with another are one in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Table(BTreeMap<Key, Arc<Item>>);

impl Table {
    pub fn find(&self, key: Key) -> Option<&Item> {
        self.0.get(&key).map(Arc::as_ref)
    }

    pub fn put(&mut self, key: Key, item: Item) {
        self.0.insert(key, Arc::new(item));
    }

    pub fn delete(&mut self, key: Key) {
        self.0.remove(&key);
    }

    pub fn items(&self) -> impl Iterator<Item = (Key, &Item)> {
        self.0.iter().map(|(key, item)| (*key, item.as_ref()))
    }

    /// The shards of a product that there are.
    pub fn shards(&self, product: u16) -> impl Iterator<Item = (u8, &Item)> {
        let shards = self.0.range(Key::Stock(product, 0)..=Key::Stock(product, u8::MAX));
        shards.filter_map(|(key, item)| if let Key::Stock(_, shard) = key { Some((*shard, item.as_ref())) } else { None })
    }

    /// What can be sold of a product, in all shards together at this instant.
    pub fn on_shelf(&self, product: u16) -> i32 {
        self.shards(product).map(|(_, shard)| shard.get(Field::Quantity)).sum()
    }

    /// The table after a transaction.
    ///
    /// # Errors
    ///
    /// The positions of all writes whose conditions do not hold; then nothing is written.
    pub fn after(&self, transaction: &Transaction) -> Result<Self, Vec<usize>> {
        let fails = |(key, write, _): &(Key, Write, Meaning)| {
            let found = self.find(*key);
            match write {
                Write::Insert(_) => found.is_some(),
                Write::Update(Expression { conditions, .. }) | Write::Delete(Expression { conditions, .. }) => {
                    !conditions.iter().all(|condition| condition.holds(found))
                }
            }
        };
        let failed: Vec<_> = (0..transaction.writes.len()).filter(|at| fails(&transaction.writes[*at])).collect();
        if !failed.is_empty() {
            return Err(failed);
        }
        let mut table = self.clone();
        for (key, write, _) in &transaction.writes {
            match write {
                Write::Insert(item) => table.put(*key, item.clone()),
                Write::Delete(_) => table.delete(*key),
                Write::Update(Expression { changes, .. }) => {
                    let item = Arc::make_mut(table.0.entry(*key).or_default());
                    for change in changes {
                        match *change {
                            Change::Set(field, value) => item.set(field, value),
                            Change::Add(field, value) => item.set(field, item.get(field) + value),
                            Change::Remove(field) => item.remove(field),
                        }
                    }
                }
            }
        }
        Ok(table)
    }
}
