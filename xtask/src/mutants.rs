//! `cargo xtask mutants`: whether the tests notice what is wrong.
//!
//! One condition, effect, write or repetition of the store at a time is left out (`shared::store::mutant`), and the tests of the API that
//! come by it are run until one fails. `tests/mutants.toml` names each that may survive, with the reason; any other that does is a
//! failure.

mod sites;
mod trials;

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
    time::Instant,
};

use serde::Deserialize;

use crate::proof::Figures;
use sites::Mutant;
use trials::{Built, Noticed, Trace, Verdict};

type Failure = Box<dyn Error>;

/// Leaves out parts of the store, one at a time, and fails when no test notices
#[derive(clap::Args)]
pub struct Arguments {
    /// Only in files that have changed since this commit
    #[arg(long, value_name = "COMMIT", num_args = 0..=1, default_missing_value = "HEAD^")]
    changed: Option<String>,
    /// Only mutants whose names contain this; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// No more than so many, from all files alike
    #[arg(long, value_name = "NUMBER")]
    at_most: Option<usize>,
    /// Try those, too, that tests/mutants.toml names: one that is noticed by now is a failure
    #[arg(long)]
    named: bool,
    /// Print the names of all mutants, and try none
    #[arg(long)]
    list: bool,
    /// Put the functions into this folder, with the one mutant that --only names: for `local --functions`
    #[arg(long, value_name = "FOLDER", requires = "only")]
    prepare: Option<PathBuf>,
}

/// tests/mutants.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    #[serde(default)]
    survivors: Vec<Survivor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivor {
    mutant: String,
    /// Why nothing that anybody could see is different.
    because: String,
}

/// What became of all mutants that were tried, or need not be.
#[derive(Default)]
struct Tally {
    killed: usize,
    named: usize,
    /// Each with what is wrong about it.
    failures: Vec<String>,
    /// By file: how many there are, were noticed, and are named.
    files: BTreeMap<String, [usize; 3]>,
}

pub fn run(workspace: &Path, arguments: &Arguments) -> Result<(), Failure> {
    let all = sites::find(workspace)?;
    if arguments.list {
        for mutant in &all {
            println!("{}", mutant.id);
        }
        return Ok(());
    }
    let wanted = |text: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| text.contains(only.as_str()));
    if let Some(folder) = &arguments.prepare {
        let chosen: Vec<_> = all.iter().filter(|mutant| wanted(&mutant.id)).collect();
        let [mutant] = chosen.as_slice() else {
            return Err(format!("--only must name one mutant, and names {}", chosen.len()).into());
        };
        return Built::build(workspace)?.prepare(folder, Some(&mutant.switch));
    }
    let named: Named = toml::from_str(&fs::read_to_string(workspace.join("tests/mutants.toml"))?)?;
    let changed = arguments.changed.as_deref().map(|since| changed(workspace, since)).transpose()?;
    let is_in_scope = |file: &str| changed.as_ref().is_none_or(|changed| changed.contains(file));
    let started = Instant::now();
    let mut tally = Tally::default();
    let in_scope = |mutant: &Mutant| wanted(&mutant.id) && is_in_scope(&mutant.file);
    try_all(workspace, arguments, &all, &named.survivors, &in_scope, &mut tally)?;
    if arguments.named && arguments.changed.is_none() && arguments.only.is_empty() && arguments.at_most.is_none() {
        tally.keep(workspace, started)?;
    }
    tally.tell(started)
}

/// The files that are different since a commit, those included that are in no commit yet.
fn changed(workspace: &Path, since: &str) -> Result<BTreeSet<String>, Failure> {
    let output = Command::new("git").args(["diff", "--name-only", since]).current_dir(workspace).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

fn try_all(
    workspace: &Path,
    arguments: &Arguments,
    all: &[Mutant],
    named: &[Survivor],
    in_scope: &dyn Fn(&Mutant) -> bool,
    tally: &mut Tally,
) -> Result<(), Failure> {
    for survivor in named.iter().filter(|survivor| !all.iter().any(|mutant| mutant.id == survivor.mutant)) {
        tally.failures.push(format!("tests/mutants.toml names what is not there: {}", survivor.mutant));
    }
    let reason = |mutant: &Mutant| named.iter().find(|survivor| survivor.mutant == mutant.id).map(|survivor| &survivor.because);
    let mut queue = Vec::new();
    for mutant in all.iter().filter(|mutant| in_scope(mutant)) {
        tally.files.entry(mutant.file.clone()).or_default()[0] += 1;
        if reason(mutant).is_none() || arguments.named {
            queue.push(mutant);
        } else {
            tally.name(mutant);
        }
    }
    if queue.is_empty() {
        return Ok(());
    }
    if let Some(limit) = arguments.at_most.filter(|limit| *limit < queue.len()) {
        println!("{limit} of {} mutants", queue.len());
        queue = (0..limit).map(|n| queue[n * queue.len() / limit]).collect();
    }
    let built = Built::build(workspace)?;
    let folders: Vec<_> =
        (0..thread::available_parallelism()?.get()).map(|n| workspace.join(format!("target/mutants/{n}"))).collect();
    let noticed = Noticed::read(workspace, all)?;
    let tally = Mutex::new(tally);
    let judge = |mutant: &Mutant, verdict: &Verdict| {
        tally.lock().expect("nobody panics with the tally").judge(mutant, verdict, reason(mutant).is_some());
    };
    // Which test comes by what takes as long to find out as all tests take. Most mutants need only the one that noticed them last.
    let left = side_by_side(&folders, queue, &judge, |folder, mutant| trials::run_last(&built, &noticed, folder, mutant))?;
    if left.is_empty() {
        return Ok(());
    }
    let trace = Trace::read_or_take(&built, &folders[0])?;
    side_by_side(&folders, left, &judge, |folder, mutant| trials::run(&built, &trace, &noticed, folder, mutant).map(Some))
        .map(drop)
}

/// Tries mutants in several folders at once. Gives back those without a verdict.
fn side_by_side<'a>(
    folders: &[PathBuf],
    mut queue: Vec<&'a Mutant>,
    judge: &(dyn Fn(&Mutant, &Verdict) + Sync),
    run: impl Fn(&Path, &Mutant) -> Result<Option<Verdict>, Failure> + Sync,
) -> Result<Vec<&'a Mutant>, Failure> {
    // Taken from the end.
    queue.reverse();
    let (queue, left) = (Mutex::new(queue), Mutex::new(Vec::new()));
    let failed: Mutex<Option<String>> = Mutex::default();
    thread::scope(|scope| {
        for folder in folders {
            scope.spawn(|| {
                let next = || queue.lock().expect("nobody panics with the queue").pop();
                while let Some(mutant) = next() {
                    let began = Instant::now();
                    match run(folder, mutant) {
                        Ok(Some(verdict)) => {
                            println!("{:>6.1} s  {verdict}  {}", began.elapsed().as_secs_f64(), mutant.id);
                            judge(mutant, &verdict);
                        }
                        Ok(None) => left.lock().expect("nobody panics with it").push(mutant),
                        Err(error) => {
                            failed.lock().expect("nobody panics with it").get_or_insert(error.to_string());
                            return;
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner()? {
        Some(failed) => Err(failed.into()),
        None => Ok(left.into_inner().expect("nobody panics with it")),
    }
}

impl Tally {
    fn name(&mut self, mutant: &Mutant) {
        self.named += 1;
        self.files.entry(mutant.file.clone()).or_default()[2] += 1;
    }

    fn judge(&mut self, mutant: &Mutant, verdict: &Verdict, is_named: bool) {
        match (verdict, is_named) {
            (Verdict::Killed(_), false) => {
                self.killed += 1;
                self.files.entry(mutant.file.clone()).or_default()[1] += 1;
            }
            (Verdict::Killed(test), true) => {
                self.failures.push(format!("tests/mutants.toml names what {test} notices by now: {}", mutant.id));
            }
            (Verdict::Survived | Verdict::Unreached, true) => self.name(mutant),
            (Verdict::Survived, false) => self.failures.push(format!("no test notices: {}", mutant.id)),
            (Verdict::Unreached, false) => self.failures.push(format!("no test comes by: {}", mutant.id)),
        }
    }

    fn keep(&self, workspace: &Path, started: Instant) -> Result<(), Failure> {
        let all: usize = self.files.values().map(|[all, ..]| all).sum();
        let figure = format!(
            "{all} mutants in {} minutes: {} noticed, {} named with a reason, {} neither.",
            started.elapsed().as_secs().div_ceil(60),
            self.killed,
            self.named,
            self.failures.len()
        );
        Figures::keep(workspace, "mutants", vec![figure])
    }

    fn tell(&self, started: Instant) -> Result<(), Failure> {
        println!("\n{:<40} {:>7} {:>7} {:>6}", "", "mutants", "noticed", "named");
        for (file, [all, killed, named]) in &self.files {
            println!("{file:<40} {all:>7} {killed:>7} {named:>6}");
        }
        for failure in &self.failures {
            println!("{failure}");
        }
        println!("in {} s", started.elapsed().as_secs());
        println!("{} passed, {} failed", self.killed + self.named, self.failures.len());
        if self.failures.is_empty() { Ok(()) } else { Err("the tests do not notice all that is wrong".into()) }
    }
}
