//! Runs tests of the API on functions that leave something out.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, mpsc},
    thread,
    time::{Duration, UNIX_EPOCH},
};

use local::cargo::{self, Artifact};
use serde::{Deserialize, Serialize};

use super::{Failure, sites::Mutant};

/// How long it may take until another test ends. What never ends has noticed something.
const PATIENCE: Duration = Duration::from_mins(5);

/// Tests that take longer, in seconds, come by everything, and would look for it longer than all others together.
const TOO_LONG: f64 = 60.0;

/// Tests of one process at once. They wait for each other and for the clock more than they compute.
const THREADS: &str = "4";

/// The tests of the API and the functions, built with the feature `mutants`.
pub struct Built {
    workspace: PathBuf,
    tests: PathBuf,
    functions: Vec<PathBuf>,
}

/// What became of a mutant.
pub enum Verdict {
    /// By this test.
    Killed(String),
    Survived,
    /// No test comes by.
    Unreached,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(test) => write!(formatter, "noticed by {test}:"),
            Self::Survived => write!(formatter, "NOT NOTICED:"),
            Self::Unreached => write!(formatter, "NOT REACHED:"),
        }
    }
}

impl Built {
    pub fn build(workspace: &Path) -> Result<Self, Failure> {
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        // With `local`, as the tests are built without the feature, so that what all depend on is built once.
        let arguments = ["test", "--no-run", "--locked", "--package", "functions", "--package", "local", "--test", "api"];
        let mut command = Command::new(program);
        for name in cargo::told_by_cargo() {
            command.env_remove(name);
        }
        let output = command
            .args(arguments)
            .args(["--features", "functions/mutants", "--message-format", "json-render-diagnostics"])
            .current_dir(workspace)
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err("the functions do not build".into());
        }
        let (mut tests, mut functions) = (None, Vec::new());
        for line in String::from_utf8(output.stdout)?.lines() {
            if let Some(Artifact { executable: Some(executable), target, .. }) = Artifact::read(line) {
                if target.is("test") {
                    tests = Some(executable);
                } else if target.is("bin") && target.name != "local" {
                    functions.push(executable);
                }
            }
        }
        let tests = tests.ok_or("cargo names no tests of the API")?;
        // Whatever else is built meanwhile, these stay as they are.
        let folder = workspace.join("target/mutants/built");
        let mut kept = link(&functions, &folder)?;
        kept.extend(link([&tests], &folder)?);
        let tests = kept.pop().ok_or("no tests were linked")?;
        Ok(Self { workspace: workspace.to_owned(), tests, functions: kept })
    }

    /// Makes a folder of the functions, in which this is left out.
    pub fn prepare(&self, folder: &Path, switch: Option<&str>) -> Result<(), Failure> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        link(&self.functions, folder)?;
        if let Some(switch) = switch {
            fs::write(folder.join("mutant"), switch)?;
        }
        Ok(())
    }

    /// Differs when anything is built anew.
    fn stamp(&self) -> Result<String, Failure> {
        let mut latest = 0;
        for file in self.functions.iter().chain([&self.tests]) {
            latest = latest.max(fs::metadata(file)?.modified()?.duration_since(UNIX_EPOCH)?.as_nanos());
        }
        Ok(format!("{} {latest}", self.tests.display()))
    }

    /// Runs these tests on the functions of a folder until one fails or the time is over.
    fn run(&self, folder: &Path, tests: &[&str]) -> Result<Ran, Failure> {
        let mut child = self.command(folder).arg("--exact").args(tests).spawn()?;
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().ok_or("the tests print nothing")?);
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut ran = Ran::default();
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => match result(&line) {
                    Some((test, "ok")) => drop(ran.passed.insert(test.to_owned())),
                    Some((test, "FAILED")) => {
                        ran.failed = Some(test.to_owned());
                        break;
                    }
                    _ => {}
                },
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    ran.failed = tests.iter().find(|test| !ran.passed.contains(**test)).map(|test| (*test).to_owned());
                    ran.timed_out = true;
                    break;
                }
            }
        }
        // All of its threads at once; functions end when nobody has work for them.
        child.kill()?;
        child.wait()?;
        Ok(ran)
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.tests);
        command
            .current_dir(self.workspace.join("functions"))
            // As Cargo tells a test where a binary is.
            .env("CARGO_BIN_EXE_product-get", folder.join("product-get"))
            .envs([("MIXED_OPERATIONS", "320"), ("RUST_BACKTRACE", "0"), ("INSTA_UPDATE", "no")])
            .args(["--test-threads", THREADS])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }
}

/// Links files into a folder, and gives the links.
fn link<'a>(files: impl IntoIterator<Item = &'a PathBuf>, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    fs::create_dir_all(folder)?;
    let mut links = Vec::new();
    for file in files {
        // A function finds what is beside it by the path that it was started with, which a symbolic link is not.
        let link = folder.join(file.file_name().ok_or("a file has no name")?);
        if link.exists() {
            fs::remove_file(&link)?;
        }
        fs::hard_link(file, &link).or_else(|_| fs::copy(file, &link).map(drop))?;
        links.push(link);
    }
    Ok(links)
}

/// What a line says about a test.
fn result(line: &str) -> Option<(&str, &str)> {
    let (test, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((test.trim_end_matches(" - should panic"), result))
}

#[derive(Default)]
struct Ran {
    passed: BTreeSet<String>,
    failed: Option<String>,
    timed_out: bool,
}

/// Which test comes by which place, and how long it takes.
#[derive(Serialize, Deserialize)]
pub struct Trace {
    stamp: String,
    tests: BTreeMap<String, Traced>,
}

#[derive(Serialize, Deserialize)]
struct Traced {
    seconds: f64,
    switches: BTreeSet<String>,
}

impl Trace {
    /// As it was taken last, if nothing is built anew since.
    pub fn read_or_take(built: &Built, folder: &Path) -> Result<Self, Failure> {
        let file = built.workspace.join("target/mutants/trace.json");
        let stamp = built.stamp()?;
        if let Ok(text) = fs::read_to_string(&file)
            && let Ok(kept) = serde_json::from_str::<Self>(&text)
            && kept.stamp == stamp
        {
            return Ok(kept);
        }
        println!("which test comes by what");
        let trace = Self { stamp, tests: take(built, folder)? };
        fs::write(file, serde_json::to_string_pretty(&trace)?)?;
        Ok(trace)
    }
}

/// Runs all tests once. A function writes down its name and what it comes by, and a test the names of the stacks that it starts.
fn take(built: &Built, folder: &Path) -> Result<BTreeMap<String, Traced>, Failure> {
    built.prepare(folder, None)?;
    let (come_by, stacks) = (folder.join("trace"), folder.join("stacks"));
    fs::write(&come_by, "")?;
    fs::write(&stacks, "")?;
    let mut child = built.command(folder).env("TRACED_TESTS", &stacks).spawn()?;
    let mut ended = BTreeMap::new();
    for line in BufReader::new(child.stdout.take().ok_or("the tests print nothing")?).lines() {
        match result(&line?) {
            Some((test, "ok")) => drop(ended.insert(test.to_owned(), UNIX_EPOCH.elapsed()?.as_millis())),
            // What fails by itself can notice nothing.
            Some((test, "FAILED")) => println!("fails although nothing is left out: {test}"),
            _ => {}
        }
    }
    child.wait()?;

    let (mut tests, mut owners): (BTreeMap<String, Traced>, BTreeMap<String, String>) = Default::default();
    for line in fs::read_to_string(stacks)?.lines() {
        let [stack, began, test] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { return Err(format!("odd: {line}").into()) };
        let Some(ended) = ended.get(test) else { continue };
        owners.insert(stack.to_owned(), test.to_owned());
        // Of a test with several shops, since the first of them.
        #[expect(clippy::cast_precision_loss, reason = "tests last for seconds")]
        let seconds = ended.saturating_sub(began.parse()?) as f64 / 1_000.0;
        let traced = tests.entry(test.to_owned()).or_insert(Traced { seconds, switches: BTreeSet::new() });
        traced.seconds = traced.seconds.max(seconds);
    }
    for line in fs::read_to_string(come_by)?.lines() {
        let (function, switch) = line.split_once(' ').ok_or_else(|| format!("odd: {line}"))?;
        let owner = function.rsplit_once('-').and_then(|(stack, _)| owners.get(stack));
        if let Some(traced) = owner.and_then(|test| tests.get_mut(test)) {
            traced.switches.insert(switch.to_owned());
        }
    }
    Ok(tests)
}

/// Which test has noticed which mutant, in this run and in those before it: tests/mutants.json. Whoever begins with it is done in a
/// fraction of the time, and what it says wrongly costs no more than that.
pub struct Noticed {
    file: PathBuf,
    tests: Mutex<BTreeMap<String, String>>,
}

impl Noticed {
    pub fn read(workspace: &Path, all: &[Mutant]) -> Result<Self, Failure> {
        let file = workspace.join("tests/mutants.json");
        let mut tests: BTreeMap<String, String> = serde_json::from_str(&fs::read_to_string(&file)?)?;
        tests.retain(|id, _| all.iter().any(|mutant| mutant.id == *id));
        Ok(Self { file, tests: Mutex::new(tests) })
    }

    fn add(&self, mutant: &Mutant, test: &str) -> Result<(), Failure> {
        let mut tests = self.lock();
        if tests.insert(mutant.id.clone(), test.to_owned()).as_deref() == Some(test) {
            return Ok(());
        }
        Ok(fs::write(&self.file, serde_json::to_string_pretty(&*tests)? + "\n")?)
    }

    /// The test that has noticed this mutant.
    fn last(&self, mutant: &Mutant) -> Option<String> {
        self.lock().get(&mutant.id).cloned()
    }

    /// How often each test has noticed one of the same file or of the same kind.
    fn often(&self, mutant: &Mutant) -> BTreeMap<String, usize> {
        let (file, kind) = place(&mutant.id);
        let mut often = BTreeMap::new();
        for (id, test) in self.lock().iter() {
            let (its_file, its_kind) = place(id);
            *often.entry(test.clone()).or_default() += usize::from(its_file == file) + usize::from(its_kind == kind);
        }
        often
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.tests.lock().expect("nobody panics with it")
    }
}

fn module(test: &str) -> &str {
    test.split("::").next().unwrap_or_default()
}

/// File and kind of a mutant, as in `orders/list` and `condition equal`.
fn place(id: &str) -> (&str, &str) {
    let (file, rest) = id.split_once(' ').unwrap_or_default();
    let what = rest.split_once(": ").unwrap_or_default().1;
    (file, what.split('(').next().unwrap_or_default())
}

/// How often the test that noticed a mutant last is asked again: what two do at once, they do not do every time.
const AGAIN: u32 = 3;

/// Runs the test that noticed a mutant last, if one has. `None` if it does not notice it now.
pub fn run_last(built: &Built, noticed: &Noticed, folder: &Path, mutant: &Mutant) -> Result<Option<Verdict>, Failure> {
    let Some(test) = noticed.last(mutant) else { return Ok(None) };
    built.prepare(folder, Some(&mutant.switch))?;
    for _ in 0..AGAIN {
        if built.run(folder, &[&test])?.failed.is_some() {
            return Ok(Some(Verdict::Killed(test)));
        }
    }
    Ok(None)
}

/// Runs the tests that come by a mutant until one notices it: those that have noticed its neighbours before, then those that are about
/// the same, and short ones first.
pub fn run(built: &Built, trace: &Trace, noticed: &Noticed, folder: &Path, mutant: &Mutant) -> Result<Verdict, Failure> {
    let stem = Path::new(&mutant.file).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let is_about = |test: &str| module(test) == stem || mutant.file.contains(&format!("/{}/", module(test)));
    // Whoever comes late, twice or beside others.
    let looks_for = match place(&mutant.id).1.split(' ').next() {
        Some("retry") => &["repetition", "contention", "concurrency"][..],
        Some("condition") => &["repetition", "refinement"],
        _ => &[],
    };
    let is_likely = |test: &str| looks_for.contains(&module(test));
    let does = |traced: &Traced| traced.switches.contains(&mutant.switch) && traced.seconds < TOO_LONG;
    let mut reaching: Vec<_> = trace.tests.iter().filter(|(_, traced)| does(traced)).collect();
    if reaching.is_empty() {
        return Ok(Verdict::Unreached);
    }
    let often = noticed.often(mutant);
    let rank = |test: &str, seconds: f64| {
        let times = often.get(test).copied().unwrap_or_default();
        (Reverse(times), !is_likely(test), seconds > 5.0, !is_about(test), seconds)
    };
    reaching.sort_by(|(one, traced), (other, others)| {
        rank(one, traced.seconds).partial_cmp(&rank(other, others.seconds)).expect("seconds are numbers")
    });
    built.prepare(folder, Some(&mutant.switch))?;
    let tests: Vec<_> = reaching.iter().map(|(test, _)| test.as_str()).collect();
    let first = tests.len().min(8);
    for batch in [&tests[..first], &tests[first..]] {
        let mut left = batch.to_vec();
        while !left.is_empty() {
            let ran = built.run(folder, &left)?;
            let Some(failed) = ran.failed else { break };
            // Others were running beside it. What fails alone, too, has noticed.
            if ran.timed_out || built.run(folder, &[&failed])?.failed.is_some() {
                noticed.add(mutant, &failed)?;
                return Ok(Verdict::Killed(failed));
            }
            left.retain(|test| *test != failed && !ran.passed.contains(*test));
        }
    }
    Ok(Verdict::Survived)
}
