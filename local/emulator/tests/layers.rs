//! The order of a crate's modules, as the tables in `lib.rs` and in the documentation of each folder give it, against what every
//! file imports.

use std::fs;
use std::path::{Path, PathBuf};

/// The names in the table of a module's documentation, in its order.
fn order(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned())).collect()
}

/// The modules that a file's code names behind this path.
fn imports(file: &Path, path: &str) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect();
    // `use crate::{ids, server};` is `use crate::ids; use crate::server;`
    let named = code.split(path).skip(1).flat_map(|rest| match rest.strip_prefix('{') {
        Some(several) => several.split('}').next().unwrap_or_default().split(',').map(str::trim).collect(),
        None => vec![rest],
    });
    let name = |rest: &str| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    named.map(name).filter(|name| !name.is_empty()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Everything in a folder that imports what does not stand above it.
fn turned_round(folder: &Path, table: &Path, path: &str) -> Vec<String> {
    let order = order(table);
    let place = |name: &str| order.iter().position(|its| its == name);
    let mut found = Vec::new();
    for part in files(folder) {
        let module = part.file_stem().unwrap().to_str().unwrap();
        if ["lib", "mod", "tests"].contains(&module) {
            continue;
        }
        let inside = if part.is_dir() { files(&part) } else { vec![part.clone()] };
        for file in inside {
            let is_above = |import: &String| place(import) < place(module) && place(import).is_some();
            let wrong = imports(&file, path).into_iter().filter(|import| !is_above(import));
            found.extend(wrong.map(|import| format!("{} imports {path}{import}", file.display())));
        }
        if part.is_dir() {
            let tables = [part.join("mod.rs"), part.with_extension("rs")];
            let table = tables.iter().find(|file| file.exists()).unwrap();
            found.extend(turned_round(&part, table, "super::"));
        }
    }
    found
}

#[test]
fn every_module_imports_only_what_stands_above_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert_eq!(turned_round(&folder, &folder.join("lib.rs"), "crate::"), [""; 0]);
}

#[test]
fn an_import_that_is_turned_round_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "//! | `one` | … |\n//! | `two` | … |\n");
    write("one.rs", "// crate::two\n");
    write("two.rs", "use crate::{\n    one,\n};\n");
    assert_eq!(turned_round(folder.path(), &folder.path().join("lib.rs"), "crate::"), [""; 0]);
    write("one.rs", "use crate::two::Two;\n");
    assert_eq!(turned_round(folder.path(), &folder.path().join("lib.rs"), "crate::").len(), 1);
}
