//! Tables in documents.

use shared::contract::routes as all;

/// The routes, in the README.
pub fn routes() -> String {
    let mut table = "| route | who | what |\n|---|---|---|\n".to_owned();
    for route in all() {
        table += &format!("| `{}` | {} | {} |\n", route.key, route.who, route.what);
    }
    table
}

/// The document with this table below the line that names it, in place of the one that is there.
pub fn replaced(document: &str, name: &str, table: &str) -> Result<String, String> {
    let mark = format!("<!-- cargo xtask generate: {name} -->\n");
    let (before, after) = document.split_once(&mark).ok_or_else(|| format!("no document has the line {}", mark.trim_end()))?;
    let old: usize = after.split_inclusive('\n').take_while(|line| line.starts_with('|')).map(str::len).sum();
    Ok(format!("{before}{mark}{table}{}", &after[old..]))
}
