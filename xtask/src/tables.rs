//! Tables in documents.

use shared::contract::routes as all;

/// The routes, in docs/api.md.
pub fn routes() -> String {
    let mut table = "| route | who | what |\n|---|---|---|\n".to_owned();
    for route in all() {
        table += &format!("| `{}` | {} | {} |\n", route.key, route.who, route.what);
    }
    table
}

/// The document with this table below the line that names it, in place of the one that is there.
pub fn replaced(document: &str, name: &str, table: &str) -> Result<String, String> {
    let mark = mark(name);
    let (before, after) = document.split_once(&mark).ok_or_else(|| format!("no document has the line {}", mark.trim_end()))?;
    let old: usize = after.split_inclusive('\n').take_while(|line| line.starts_with('|')).map(str::len).sum();
    Ok(format!("{before}{mark}{table}{}", &after[old..]))
}

/// The rows of the table below the line that names it, without its head.
pub fn rows<'a>(document: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let table = document.split_once(&mark(name)).map(|(_, table)| table).unwrap_or_default();
    table.lines().take_while(|line| line.starts_with('|')).skip(2)
}

fn mark(name: &str) -> String {
    format!("<!-- cargo xtask generate: {name} -->\n")
}
