//! The parts of the benchmark. A new one is a module with `measure` and `chapter`, and a line in each place here.

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::report::Chapter;
use crate::{Bench, Result, growth, load, peers, sale, start};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Part {
    /// Cold and warm starts of every function
    Start,
    /// The local shop under load
    Load,
    /// A flash sale of one product
    Sale,
    /// Requests in a small shop and in a large one; only if it is named, since it takes a while to fill it
    Growth,
    /// Functions in other languages, where there are Go and Node.js; only if it is named
    Peers,
}

impl Part {
    /// In the order of the report.
    pub const ALL: [Self; 5] = [Self::Start, Self::Peers, Self::Load, Self::Growth, Self::Sale];

    /// Whether it is measured when nothing is named.
    pub fn is_usual(self) -> bool {
        !matches!(self, Self::Growth | Self::Peers)
    }

    /// Measures, and keeps the figures.
    pub async fn measure(self, bench: &Bench) -> Result {
        match self {
            Self::Start => self.keep(bench, start::measure(bench).await?),
            Self::Load => self.keep(bench, load::measure(bench).await?),
            Self::Sale => self.keep(bench, sale::measure(bench).await?),
            Self::Growth => self.keep(bench, growth::measure(bench).await?),
            Self::Peers => self.keep(bench, peers::measure(bench).await?),
        }
    }

    /// What the report says of the figures that were kept; `None` if there are none.
    pub fn chapter(self, bench: &Bench) -> Result<Option<(Machine, Chapter)>> {
        Ok(match self {
            Self::Start => self.kept(bench)?.map(|kept| (kept.machine, start::chapter(&kept.figures))),
            Self::Load => self.kept(bench)?.map(|kept| (kept.machine, load::chapter(&kept.figures))),
            Self::Sale => self.kept(bench)?.map(|kept| (kept.machine, sale::chapter(&kept.figures))),
            Self::Growth => self.kept(bench)?.map(|kept| (kept.machine, growth::chapter(&kept.figures))),
            Self::Peers => self.kept(bench)?.map(|kept| (kept.machine, peers::chapter(&kept.figures))),
        })
    }

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Load => "load",
            Self::Sale => "sale",
            Self::Growth => "growth",
            Self::Peers => "peers",
        }
    }

    fn file(self, bench: &Bench) -> PathBuf {
        bench.figures().join(self.name()).with_extension("json")
    }

    fn keep<F: Serialize>(self, bench: &Bench, figures: F) -> Result {
        fs::create_dir_all(bench.figures())?;
        let kept = Kept { machine: Machine::this(bench)?, figures };
        Ok(fs::write(self.file(bench), serde_json::to_string_pretty(&kept)?)?)
    }

    pub fn kept<F: DeserializeOwned>(self, bench: &Bench) -> Result<Option<Kept<F>>> {
        let path = self.file(bench);
        match fs::read(&path) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// A part's raw figures, and where they come from.
#[derive(Serialize, Deserialize)]
pub struct Kept<F> {
    machine: Machine,
    pub figures: F,
}
