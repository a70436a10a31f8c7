//! Into how many parts the admins' list of orders is written.
//!
//! The number is a setting of each function, and while a new one is deployed, some functions have the old and some the new. So the
//! table says how many parts there are: whoever writes to more of them says so first, and readers look at as many as it says.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde::Deserialize;

use super::{Table, expression::Expression, key::Key};
use crate::Result;

/// What a function knows about the parts.
#[derive(Debug, Clone)]
pub(super) struct OrderShards {
    /// The setting, at least 1.
    pub setting: u32,
    /// Whether the table is known to say as many.
    raised: Arc<AtomicBool>,
}

/// What the table says; nothing for one part.
#[derive(Debug, Deserialize)]
struct Row {
    order_shards: u32,
}

impl OrderShards {
    pub fn new(setting: u32) -> Self {
        Self { setting: setting.max(1), raised: Arc::new(AtomicBool::new(setting <= 1)) }
    }
}

impl Table {
    /// How many parts orders may be in.
    pub(super) async fn order_shards(&self) -> Result<u32> {
        let row: Option<Row> = self.read_eventually(Key::OrderShards).await?;
        Ok(row.map_or(1, |row| row.order_shards).max(self.order_shards.setting))
    }

    /// Lets readers know of all parts that this function writes to, before it does; once per environment.
    pub(super) async fn raise_order_shards(&self) -> Result {
        let OrderShards { setting, raised } = &self.order_shards;
        if !raised.load(Ordering::Relaxed) {
            let more = Expression::lacks_or_below("order_shards", u64::from(*setting)).set("order_shards", u64::from(*setting));
            // Refused if the table says so already.
            let _: super::table::Write<Row> = self.update(Key::OrderShards, &more).await?;
            raised.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
