//! Faults that are planted in the model, to see that they are found.

/// What the store would do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A write whose answer was lost is sent again without its token.
    NoToken,
    /// A sale does not look whether its shard has as many pieces.
    QuantityUnchecked,
    /// A sale does not look whether the price is the one that was read.
    PriceUnchecked,
    /// A gather does not look whether the other shards still have the pieces.
    GatherUnconditioned,
    /// "Out of stock" is told from a query.
    TornReadBelieved,
    /// A step, a deletion or a change of a product does not look whether it is of the version that was read.
    VersionUnpinned,
    /// Pieces move between shards, or are counted, whatever has become of the shards since they were read.
    ShardsUnpinned,
    /// An addition does not look whether its order has the line already.
    LineUnguarded,
    /// An idempotency record is written whether or not there is one.
    KeyUnchecked,
}

impl Fault {
    pub const ALL: [Self; 9] = [
        Self::NoToken,
        Self::QuantityUnchecked,
        Self::PriceUnchecked,
        Self::GatherUnconditioned,
        Self::TornReadBelieved,
        Self::VersionUnpinned,
        Self::ShardsUnpinned,
        Self::LineUnguarded,
        Self::KeyUnchecked,
    ];
}
