//! Into how many parts the admins' list of orders is written.
//!
//! The number is a setting of each function, and while a new one is deployed, some functions have the old and some the new. So the
//! table says how many parts there are: whoever writes to more of them says so first, and readers look at as many as it says.

use std::sync::atomic::Ordering;

use serde::Deserialize;

use super::{
    expression::Expression,
    key::Key,
    table::{Table, Write},
};
use crate::Result;

/// What the table says; nothing for one part.
#[derive(Debug, Deserialize)]
struct Row {
    order_shards: u32,
}

impl Table {
    /// How many parts orders may be in.
    pub(super) async fn order_shards(&self) -> Result<u32> {
        let row: Option<Row> = self.read_eventually(Key::OrderShards).await?;
        Ok(row.map_or(1, |row| row.order_shards).max(self.order_shards))
    }

    /// Lets readers know of all parts that this function writes to, before it does; once per environment.
    pub(super) async fn raise_order_shards(&self) -> Result {
        if !self.order_shards_raised.load(Ordering::Relaxed) {
            let setting = u64::from(self.order_shards);
            let more = Expression::lacks_or_below("order_shards", setting).set("order_shards", setting);
            // Refused if the table says so already.
            let _: Write<Row> = self.update(Key::OrderShards, &more).await?;
            self.order_shards_raised.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}
