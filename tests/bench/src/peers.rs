//! Cold starts of functions in other languages, beside ours: built from the sources in tests/bench/peers, where there are Go and Node.js.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::report::{Chapter, figure, table};
use crate::start::{self, Candidate, Figures};
use crate::stats::{Ratio, count, median};
use crate::{Bench, Result};

/// Ours, of those that are compared.
const OURS: [&str; 2] = ["product-get", "order-create"];

pub async fn measure(bench: &Bench) -> Result<Figures> {
    let functions = bench.functions().await?;
    let mut candidates = start::floors(bench).await?;
    for name in OURS {
        candidates.push(Candidate::function(name, functions.get(name).ok_or("a function is missing")?));
    }
    let sources = bench.workspace.join("tests/bench/peers");
    let built = bench.workspace.join("target/bench/peers");
    fs::create_dir_all(&built)?;
    candidates.extend(go(&sources.join("go"), &built)?);
    candidates.extend(node(&sources.join("node"), &built)?);
    start::compare(bench, functions, candidates)
}

/// Built as AWS's documentation has it: without what only the old runtime needs.
fn go(sources: &Path, built: &Path) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for name in ["hello", "get-item"] {
        let binary = built.join(format!("go-{name}"));
        let build = ["build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w", "-o"];
        run(Command::new("go").args(build).arg(&binary).arg(format!("./{name}")).env("CGO_ENABLED", "0").current_dir(sources))?;
        candidates.push(Candidate::peer(format!("go-{name}"), binary, None));
    }
    Ok(candidates)
}

/// Bundled into one file, as the SDK's documentation advises for a short start.
fn node(sources: &Path, built: &Path) -> Result<Vec<Candidate>> {
    run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(sources))?;
    let mut candidates = Vec::new();
    for name in ["hello", "get-item"] {
        let script = built.join(format!("node-{name}.mjs"));
        let bundle = ["--bundle", "--platform=node", "--format=esm", "--minify", "--main-fields=module,main"];
        // What is no module asks for the parts of Node.js in the old way.
        let require = "--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);";
        let mut esbuild = Command::new(sources.join("node_modules/.bin/esbuild"));
        run(esbuild
            .arg(format!("{name}.mjs"))
            .args(bundle)
            .arg(require)
            .arg(format!("--outfile={}", script.display()))
            .current_dir(sources))?;
        candidates.push(Candidate::peer(format!("node-{name}"), script, Some("node".into())));
    }
    Ok(candidates)
}

fn run(command: &mut Command) -> Result {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

pub fn chapter(figures: &Figures) -> Chapter {
    let mut chapter = Chapter { title: "Other languages", ..Chapter::default() };
    let Some(hello) = figures.functions.first() else { return chapter };
    let rows = figures.functions.iter().map(|its| {
        let Ratio { median, quartiles: (low, high) } = Ratio::of(&its.total, &hello.total);
        vec![start::label(&its.name), format!("{median:.2} ({low:.2}–{high:.2})")]
    });
    chapter.ratios = format!(
        "What a function in Go or JavaScript takes until its first answer, against the same `hello`: the least with and without a \
         database, as its SDK and the documentation have it.\n\n{}",
        table(&["function", "cold start ÷ hello"], rows)
    );
    let total = |name: &str| figures.functions.iter().find(|its| its.name == name).map(|its| its.total.as_slice());
    if let (Some(ours), Some(go), Some(node)) = (total(OURS[0]), total("go-get-item"), total("node-get-item")) {
        chapter.remember = vec![format!(
            "The least function in Go that reads an item takes {:.1} times as long to its first answer, and in JavaScript {:.0} times.",
            Ratio::of(go, ours).median,
            Ratio::of(node, ours).median
        )];
    }
    let rows = figures.functions.iter().map(|its| {
        vec![
            start::label(&its.name),
            (its.binary.bytes / 1024).to_string(),
            figure(median(&its.total)),
            figure(median(&its.warm_cpu)),
            figure(its.memory / 1024.0),
        ]
    });
    let samples = figures.functions.first().map_or(0.0, |its| count(its.total.len()));
    chapter.figures = format!(
        "{samples:.0} cold starts of each, taken in turns; KiB, milliseconds and MiB.\n\n{}",
        table(&["function", "size", "cold start", "warm CPU", "memory"], rows)
    );
    chapter.meaning.push_str(
        "- Go's are built with `lambda.norpc` and stripped. JavaScript's are one bundled file each, over a loop of twenty lines instead \
         of AWS's runtime; Node.js itself is not in their size.\n\
         - On Lambda a runtime that AWS brings along is started by AWS, and may be in a cache; ours and Go's are what the function \
         brings along.\n",
    );
    chapter
}
