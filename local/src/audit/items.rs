//! All items of a table, sorted by what they belong to, in memory that does not grow with them.
//!
//! What belongs together lies anywhere in a table or an export: an order far from its products, a name far from whose it is. So the
//! items are sorted by their subject before anything is judged, and judged one subject at a time. `SQLite` sorts, in a file of its
//! own in `TMPDIR` that nobody else can see and that ends with the audit: some 700 bytes an item on the disk, and a few megabytes
//! of memory however many there are. State that is kept for each order and product in memory would do for a small table only.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};
use serde_json::Value;

use super::layout::{self, Item};
use crate::error::Result;

/// KiB of the file that are kept in memory; as much again is used to sort.
const CACHE: i64 = 4 * 1024;

/// Whoever takes the items, one after the other.
pub type Take<'a> = &'a mut (dyn FnMut(Value) -> Result + Send);

/// Items on their way in.
pub struct Incoming {
    db: Connection,
    items: u64,
    /// Those that are no kind of item.
    unknown: Vec<Item>,
    /// Milliseconds since the epoch.
    latest: u64,
}

/// A line of an order that holds pieces or has held them, with what tells how stock that does not agree came to be so.
pub struct Held {
    pub line: Item,
    pub shard: u64,
    /// Whether the order holds them.
    pub now: bool,
    /// Whether it is CONFIRMED, and may be shipped.
    pub confirmed: bool,
    /// When its pieces left the shop, unless they are back; in milliseconds since the epoch, as is `touched`.
    pub shipped_at: Option<u64>,
    /// When the order was last written.
    pub touched: u64,
}

/// What orders tell of the pieces of one shard.
#[derive(Clone, Copy)]
pub struct Evidence {
    /// Pieces that left the shop after the shard was last written: it was not told.
    pub left: i128,
    /// Pieces in CONFIRMED orders that were last written before the shard was: it may have been told that they leave.
    pub leaving: i128,
    /// Pieces that left the shop and are not back.
    pub gone: i128,
}

impl Incoming {
    pub fn new() -> Result<Self> {
        // An empty name is a temporary file, deleted before it is used.
        let db = Connection::open("")?;
        db.execute_batch(&format!(
            "PRAGMA journal_mode = OFF;
             PRAGMA synchronous = OFF;
             PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA temp_store = FILE;
             PRAGMA cache_size = -{CACHE};
             CREATE TABLE incoming (subject TEXT NOT NULL, pk TEXT NOT NULL, sk TEXT NOT NULL, attributes TEXT NOT NULL);
             CREATE TABLE incoming_lines (
                 product_id TEXT NOT NULL, shard INTEGER NOT NULL, pk TEXT NOT NULL, sk TEXT NOT NULL,
                 pieces INTEGER NOT NULL, now INTEGER NOT NULL, confirmed INTEGER NOT NULL, shipped_at INTEGER,
                 touched INTEGER NOT NULL
             );
             CREATE TABLE moved (product_id TEXT PRIMARY KEY, amount INTEGER) WITHOUT ROWID;
             BEGIN;"
        ))?;
        Ok(Self { db, items: 0, unknown: Vec::new(), latest: 0 })
    }

    /// Takes an item as DynamoDB writes it in JSON.
    pub fn add(&mut self, item: &Value) -> Result {
        self.items += 1;
        let (item, subjects) = match layout::sort(item) {
            Ok(sorted) => sorted,
            Err(unknown) => {
                self.unknown.push(unknown);
                return Ok(());
            }
        };
        self.latest = self.latest.max(layout::moment(&item).unwrap_or_default());
        let attributes = item.attributes.to_string();
        let mut insert = self.db.prepare_cached("INSERT INTO incoming VALUES (?1, ?2, ?3, ?4)")?;
        for subject in subjects {
            // Most are their own subject, and need not be written twice.
            let pk = if subject == item.pk { "" } else { &item.pk };
            insert.execute(params![subject, pk, item.sk, attributes])?;
        }
        Ok(())
    }

    /// Sorts.
    pub fn sorted(self) -> Result<Items> {
        let Self { db, items, unknown, latest } = self;
        db.execute_batch(
            "CREATE TABLE items (
                 subject TEXT, pk TEXT, sk TEXT, attributes TEXT NOT NULL, PRIMARY KEY (subject, pk, sk)
             ) WITHOUT ROWID;
             INSERT INTO items SELECT * FROM incoming ORDER BY subject, pk, sk;
             DROP TABLE incoming;",
        )?;
        Ok(Items { db, count: items, unknown, latest })
    }
}

/// Items in the order of their subjects.
pub struct Items {
    db: Connection,
    /// How many there are.
    pub count: u64,
    /// Those that are no kind of item.
    pub unknown: Vec<Item>,
    /// The latest moment that one of them tells of, in milliseconds since the epoch.
    pub latest: u64,
}

impl Items {
    /// Shows every subject that begins so, with all its items in the order of their keys.
    pub fn each(&self, prefix: &str, mut judge: impl FnMut(&str, &[Item]) -> Result) -> Result {
        // Every prefix ends with `#`, and `$` comes after that.
        let end = format!("{}$", prefix.trim_end_matches('#'));
        let mut statement =
            self.db.prepare_cached("SELECT * FROM items WHERE subject >= ?1 AND subject < ?2 ORDER BY subject, pk, sk")?;
        let mut rows = statement.query(params![prefix, end])?;
        let (mut subject, mut group) = (String::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let next = row.get_ref("subject")?.as_str().map_err(rusqlite::Error::from)?;
            if next != subject {
                if !group.is_empty() {
                    judge(&subject, &group)?;
                }
                next.clone_into(&mut subject);
                group.clear();
            }
            group.push(item(row)?);
        }
        if group.is_empty() { Ok(()) } else { judge(&subject, &group) }
    }

    /// An item that is its own subject.
    pub fn get(&self, pk: &str, sk: &str) -> Result<Option<Item>> {
        let mut statement = self.db.prepare_cached("SELECT * FROM items WHERE subject = ?1 AND pk = '' AND sk = ?2")?;
        Ok(statement.query_row(params![pk, sk], item).optional()?)
    }

    pub fn hold(&self, held: &Held) -> Result {
        let Held { line, shard, now, confirmed, shipped_at, touched } = held;
        // Nobody orders so many; what a broken line says must not make the sum of all overflow.
        let pieces = line.number("quantity").unwrap_or_default().min(1 << 40);
        let mut insert = self.db.prepare_cached("INSERT INTO incoming_lines VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
        insert.execute(params![
            line.text("product_id"),
            signed(*shard),
            line.pk,
            line.sk,
            signed(pieces),
            now,
            confirmed,
            shipped_at.map(signed),
            signed(*touched),
        ])?;
        Ok(())
    }

    /// Adds a movement to the others of its product. `None` cannot be read, and neither can their sum then.
    pub fn carry(&self, product_id: &str, amount: Option<i64>) -> Result {
        let mut add = self.db.prepare_cached(
            "INSERT INTO moved VALUES (?1, ?2) ON CONFLICT (product_id) DO UPDATE SET amount = amount + excluded.amount",
        )?;
        add.execute(params![product_id, amount])?;
        Ok(())
    }

    /// What the movements of a product come to, unless one of them cannot be read.
    pub fn moved(&self, product_id: &str) -> Result<Option<i64>> {
        let mut statement = self.db.prepare_cached("SELECT amount FROM moved WHERE product_id = ?1")?;
        Ok(statement.query_row(params![product_id], |row| row.get(0)).optional()?.unwrap_or(Some(0)))
    }

    /// Sorts what was held by product.
    pub fn all_held(&self) -> Result {
        self.db.execute_batch(
            "CREATE TABLE lines (
                 product_id TEXT, shard INTEGER, pk TEXT, sk TEXT,
                 pieces INTEGER, now INTEGER, confirmed INTEGER, shipped_at INTEGER, touched INTEGER,
                 PRIMARY KEY (product_id, shard, pk, sk)
             ) WITHOUT ROWID;
             INSERT INTO lines SELECT * FROM incoming_lines ORDER BY product_id, shard, pk, sk;
             DROP TABLE incoming_lines;",
        )?;
        Ok(())
    }

    /// What orders hold of a product, by shard.
    pub fn held(&self, product_id: &str) -> Result<BTreeMap<u64, u64>> {
        let mut statement =
            self.db.prepare_cached("SELECT shard, SUM(pieces) FROM lines WHERE product_id = ?1 AND now GROUP BY shard")?;
        let rows = statement.query_map(params![product_id], |row| Ok((unsigned(row.get(0)?), unsigned(row.get(1)?))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The keys of the lines that hold pieces of one shard.
    pub fn lines_of(&self, product_id: &str, shard: u64) -> Result<Vec<(String, String)>> {
        let mut statement = self.db.prepare_cached("SELECT pk, sk FROM lines WHERE product_id = ?1 AND shard = ?2 AND now")?;
        let rows = statement.query_map(params![product_id, signed(shard)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Products that orders hold pieces of and that do not exist.
    pub fn missing_products(&self) -> Result<Vec<String>> {
        let mut statement = self.db.prepare(
            "SELECT DISTINCT product_id FROM lines WHERE now AND NOT EXISTS (
                 SELECT 1 FROM items WHERE subject = 'PRODUCT#' || product_id AND pk = '' AND sk = 'PRODUCT')",
        )?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What orders tell of a shard that was last written when it was `touched`.
    pub fn evidence(&self, product_id: &str, shard: u64, touched: u64) -> Result<Evidence> {
        let mut statement = self.db.prepare_cached(
            "SELECT
                 COALESCE(SUM(CASE WHEN shipped_at > :touched THEN pieces END), 0),
                 COALESCE(SUM(CASE WHEN confirmed AND touched < :touched THEN pieces END), 0),
                 COALESCE(SUM(CASE WHEN shipped_at IS NOT NULL THEN pieces END), 0)
             FROM lines WHERE product_id = :product AND shard = :shard",
        )?;
        let named = named_params! {":product": product_id, ":shard": signed(shard), ":touched": signed(touched)};
        let sums = statement.query_row(named, |row| {
            let sum = |column| row.get::<_, i64>(column).map(i128::from);
            Ok(Evidence { left: sum(0)?, leaving: sum(1)?, gone: sum(2)? })
        })?;
        Ok(sums)
    }
}

fn item(row: &Row<'_>) -> rusqlite::Result<Item> {
    let subject: String = row.get("subject")?;
    let pk: String = row.get("pk")?;
    let attributes = row.get_ref("attributes")?.as_str()?;
    Ok(Item {
        pk: if pk.is_empty() { subject } else { pk },
        sk: row.get("sk")?,
        // What was written a moment ago.
        attributes: serde_json::from_str(attributes).unwrap_or_default(),
    })
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
