//! Visits the full configuration, which takes too long for every change, and writes `target/proof/model.json`:
//! `cargo run --profile bench -p model`.

use std::{error::Error, fs, path::Path, process::ExitCode};

use clap::Parser;
use model::{faults::Fault, scopes, visit};
use serde_json::json;
use time::OffsetDateTime;

#[derive(Parser)]
struct Arguments {
    /// Only scopes whose name has this in it; nothing is written then.
    #[arg(long)]
    only: Option<String>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Arguments { only } = Arguments::parse();
    let (mut passed, mut failed, mut figures) = (0, 0, Vec::new());
    let mut count = |holds: bool| if holds { passed += 1 } else { failed += 1 };
    let mut states = 0;
    for scope in scopes::small().into_iter().chain(scopes::nightly()) {
        if only.as_ref().is_some_and(|part| !scope.name.contains(part.as_str())) {
            continue;
        }
        let visit = visit::all_of(&scope);
        let sentence = format!(
            "{}: {} states, the longest way to one {} steps, {} violations, {:.0} s.",
            scope.name,
            visit.states,
            visit.depth,
            visit.violations.len(),
            visit.took.as_secs_f64()
        );
        println!("{sentence}");
        for (property, path) in &visit.violations {
            println!("  {property}, after:\n    {}", path.join("\n    "));
        }
        for name in &visit.unreached {
            println!("  not reached: {name}");
        }
        count(visit.whole && visit.unreached.is_empty());
        states += visit.states;
        figures.push(sentence);
    }
    if only.is_some() {
        println!("{passed} passed, {failed} failed");
        return Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    for fault in Fault::ALL {
        let (scope, property) = scopes::planted(fault);
        let visit = visit::until(property, &scope, fault);
        let found = visit.violations.iter().any(|(name, _)| *name == property);
        println!("{fault:?}: {}", if found { property } else { "not found" });
        count(found);
    }
    figures.insert(0, format!("{states} states in all, each visited; {} planted faults, each found.", Fault::ALL.len()));
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        return Ok(ExitCode::FAILURE);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/proof");
    fs::create_dir_all(&folder)?;
    #[expect(clippy::disallowed_methods, reason = "the clock is the functions' business; here it is this machine's")]
    let date = OffsetDateTime::now_utc().date().to_string();
    let proof = json!({"instrument": "model", "date": date, "figures": figures});
    fs::write(folder.join("model.json"), format!("{proof:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}
