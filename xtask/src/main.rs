//! `cargo xtask generate` writes everything that is derived: most of it from `shared::contract`, the paths that `fallback` knows
//! from template.yaml, the code in docs/clients.md from the programs that run it. `cargo xtask mutants` asks whether the tests notice
//! what is wrong.

mod events;
mod mutants;
mod postman;
mod proof;
mod requests;
mod routes;
mod snippets;
mod tables;

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use shared::{
    contract::{self, openapi},
    domain,
    store::schema,
};

/// Tasks of those who change this project
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Write everything that is derived
    Generate {
        /// Write nothing, and fail when a file is not what would be written
        #[arg(long)]
        check: bool,
    },
    /// Print the contract in its strict form, for programs that look for faults in a shop
    Strict,
    Mutants(mutants::Arguments),
    /// Write what every instrument found last into docs/proof.md
    Proof,
}

fn main() -> ExitCode {
    let outcome = match Task::parse() {
        Task::Generate { check: false } => generate(),
        Task::Generate { check: true } => check(),
        Task::Strict => {
            println!("{}", openapi::strict());
            Ok(())
        }
        Task::Proof => proof::write(workspace()),
        Task::Mutants(arguments) => mutants::run(workspace(), &arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// All derived files by their path in the workspace, and what they must contain; `None` for one that must not be there.
fn files() -> Result<BTreeMap<PathBuf, Option<String>>, Box<dyn Error>> {
    let document = openapi::document();
    let mut files = BTreeMap::new();
    // Nobody sends the event of a function that is gone. env.json has the settings of `sam local`, and is no event.
    for entry in fs::read_dir(workspace().join("events"))? {
        let name = entry?.file_name();
        if name != "env.json" {
            files.insert(Path::new("events").join(name), None);
        }
    }
    for (function, event) in events::all(&document)? {
        files.insert(Path::new("events").join(function).with_extension("json"), Some(event));
    }
    let tables = [
        ("docs/api.md", "routes", tables::routes()),
        ("docs/api.md", "lifecycle", domain::markdown()),
        ("docs/events.md", "events", contract::events::markdown()),
        ("ARCHITECTURE.md", "items", schema::markdown()),
    ];
    for (name, table, rows) in tables {
        let document = match files.remove(Path::new(name)) {
            Some(document) => document,
            None => kept(&workspace().join(name))?,
        };
        files.insert(name.into(), Some(tables::replaced(&document.unwrap_or_default(), table, &rows)?));
    }
    let documents = [
        ("openapi.json", &document),
        ("openapi-3.0.json", &openapi::document_3_0()),
        ("asyncapi.json", &contract::events::document()),
    ];
    for (name, document) in documents {
        files.insert(name.into(), Some(escaped(&serde_json::to_string_pretty(document)?) + "\n"));
    }
    files.insert("requests.http".into(), Some(requests::vscode()?));
    files.insert("clients/jetbrains.http".into(), Some(requests::jetbrains()?));
    let collection = serde_json::to_string_pretty(&postman::collection()?)? + "\n";
    files.insert("clients/stockroom.postman_collection.json".into(), Some(collection));
    let source = |file: &str| -> Result<String, Box<dyn Error>> { Ok(fs::read_to_string(workspace().join(file))?) };
    files.insert("docs/clients.md".into(), Some(snippets::replaced(&source("docs/clients.md")?, source)?));
    files.insert("functions/src/routes.rs".into(), Some(routes::source(&workspace().join("template.yaml"))?));
    Ok(files)
}

fn generate() -> Result<(), Box<dyn Error>> {
    for (name, made) in files()? {
        let file = workspace().join(&name);
        match made {
            Some(made) if kept(&file)?.as_ref() != Some(&made) => fs::write(file, made)?,
            Some(_) => continue,
            None => fs::remove_file(file)?,
        }
        println!("{}", name.display());
    }
    Ok(())
}

fn check() -> Result<(), Box<dyn Error>> {
    let mut stale = String::new();
    for (name, made) in files()? {
        let kept = kept(&workspace().join(&name))?;
        if kept != made {
            write!(stale, "{}{}", name.display(), difference(kept.as_deref(), made.as_deref()))?;
        }
    }
    if stale.is_empty() { Ok(()) } else { Err((stale + "Run `cargo xtask generate`.").into()) }
}

fn kept(file: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some),
    }
}

/// Where two texts begin to differ: the number of the line, and the line in both.
fn difference(kept: Option<&str>, made: Option<&str>) -> String {
    let (Some(kept), Some(made)) = (kept, made) else {
        return if made.is_some() { ": is not there\n" } else { ": is the event of no function\n" }.to_owned();
    };
    let same = kept.lines().zip(made.lines()).take_while(|(kept, made)| kept == made).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(the end)").to_owned();
    format!(":{}:\n- {}\n+ {}\n", same + 1, line(kept), line(made))
}

/// JSON with escapes for what many editors and tools do not show, such as the private-use characters in patterns.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c > '\u{ffff}' {
            escaped.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_derived_is_up_to_date() {
        if let Err(stale) = check() {
            panic!("{stale}");
        }
    }

    #[test]
    fn a_check_tells_where_a_file_begins_to_differ() {
        assert_eq!(difference(Some("a\nb\nc\n"), Some("a\nB\nC\n")), ":2:\n- b\n+ B\n");
        assert_eq!(difference(Some("a\n"), Some("a\nb\n")), ":2:\n- (the end)\n+ b\n");
        assert_eq!(difference(None, Some("a\n")), ": is not there\n");
        assert_eq!(difference(Some("a\n"), None), ": is the event of no function\n");
    }

    #[test]
    fn only_a_table_that_is_marked_is_replaced() {
        let text = "before\n\n<!-- cargo xtask generate: routes -->\n| a |\n|---|\n| old |\n\n| a |\nafter\n";
        let replaced = tables::replaced(text, "routes", "| a |\n|---|\n| new |\n").unwrap();
        assert_eq!(replaced, text.replace("old", "new"));
        assert!(tables::replaced(text, "lifecycle", "").is_err(), "a table without a place");
    }

    /// The features that `shared` has in a build of the functions, along these kinds of dependencies.
    fn features_of_shared(edges: &str) -> String {
        let tree = ["tree", "--offline", "--locked", "--package", "functions", "--prefix", "none", "--format", "{lib}: {f}"];
        let output = Command::new(env!("CARGO")).args(tree).args(["--edges", edges]).current_dir(workspace()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout).unwrap();
        let features = tree.lines().find_map(|line| line.strip_prefix("shared: "));
        features.unwrap_or_else(|| panic!("no shared in {tree}")).to_owned()
    }

    #[test]
    fn functions_are_built_without_the_contract() {
        assert!(!features_of_shared("normal,build").contains("contract"));
        assert!(features_of_shared("normal,build,dev").contains("contract"), "their tests are built with it");
    }
}
