//! `cargo run --profile bench -p bench`: builds the functions, measures them and the local shop, and writes docs/benchmarks.md.

#![expect(clippy::disallowed_methods, reason = "the clock is the functions' business; here it is this machine's")]

mod binary;
#[path = "../../bodies.rs"]
#[expect(dead_code, reason = "the tests of the API say more of their bodies")]
mod bodies;
mod growth;
mod load;
mod machine;
mod parts;
mod peers;
mod plot;
mod process;
mod proxy;
mod report;
mod sale;
mod scale;
mod scene;
mod start;
mod stats;
mod work;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use local::cargo;

use parts::Part;

type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Measures the shop: builds what it measures, keeps raw figures in target/bench and writes docs/benchmarks.md
#[derive(Parser)]
#[command(name = "bench", version)]
struct Cli {
    /// What to measure; start, load and sale unless told
    parts: Vec<Part>,
    /// Few samples: proves that everything works, and writes its report to target/bench/trial instead
    #[arg(long)]
    quick: bool,
    /// Another cargo profile for what is measured, such as dev; such figures go to target/bench/trial, too
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// What to build the functions for; unless told, what they are deployed for, if Rust has it here
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Measure nothing, and write the report again from what was measured
    #[arg(long, conflicts_with = "parts")]
    report: bool,
}

/// What all parts share.
pub struct Bench {
    pub workspace: PathBuf,
    pub quick: bool,
    profile: Option<String>,
    /// What the functions are built for, if it is not what Rust builds for by itself.
    pub target: Option<String>,
}

impl Bench {
    /// Every function, built: the binaries by their names.
    pub async fn functions(&self) -> Result<BTreeMap<String, PathBuf>> {
        let profile = self.profile.as_deref().unwrap_or("release");
        Ok(cargo::build_alone(&self.workspace, "functions", profile, self.target.as_deref()).await?)
    }

    /// The profile of what they are compared with.
    pub fn floor_profile(&self) -> &str {
        self.profile.as_deref().unwrap_or("floor")
    }

    /// Whether the figures prove no more than that they can be taken.
    pub fn is_trial(&self) -> bool {
        self.quick || self.profile.is_some()
    }

    /// Where raw figures are kept.
    pub fn figures(&self) -> PathBuf {
        let folder = self.workspace.join("target/bench");
        if self.is_trial() { folder.join("trial") } else { folder }
    }

    /// Where the report and the folder of its pictures go.
    pub fn docs(&self) -> PathBuf {
        if self.is_trial() { self.figures() } else { self.workspace.join("docs") }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let target = if cli.target.is_some() { cli.target } else { target()? };
    let bench = Bench { workspace, quick: cli.quick, profile: cli.profile, target };
    let wanted = match cli.parts {
        _ if cli.report => Vec::new(),
        parts if parts.is_empty() => Part::ALL.into_iter().filter(|part| part.is_usual()).collect(),
        parts => parts,
    };
    for part in wanted {
        part.measure(&bench).await?;
    }
    report::write(&bench)
}

/// What functions are deployed for on a machine like this one, if Rust has its library.
fn target() -> Result<Option<String>> {
    let deployed = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let library = Command::new("rustc").args(["--print", "target-libdir", "--target", &deployed]).output()?.stdout;
    if Path::new(String::from_utf8(library)?.trim()).exists() {
        return Ok(Some(deployed));
    }
    eprintln!("what is deployed is for {deployed}, and what is measured is not: `rustup target add {deployed}` first");
    Ok(None)
}
