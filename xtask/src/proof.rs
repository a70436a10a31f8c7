//! `cargo xtask proof`: the last figures of every instrument in docs/proof.md. An instrument leaves what it found in
//! `target/proof/<instrument>.json` when it has run in full; one that has not keeps the figures that are there.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::tables;

const DOCUMENT: &str = "docs/proof.md";

#[derive(Serialize, Deserialize)]
pub struct Figures {
    instrument: String,
    /// As in 2026-11-30.
    date: String,
    /// A sentence each.
    #[serde(rename = "figures")]
    sentences: Vec<String>,
}

impl Figures {
    /// Leaves them for the next `cargo xtask proof`.
    #[expect(clippy::disallowed_methods, reason = "the clock is the functions' business; here it is this machine's")]
    pub fn keep(workspace: &Path, instrument: &str, sentences: Vec<String>) -> Result<(), Box<dyn Error>> {
        let folder = workspace.join("target/proof");
        fs::create_dir_all(&folder)?;
        let date = time::OffsetDateTime::now_utc().date().to_string();
        let text = serde_json::to_string_pretty(&Self { instrument: instrument.to_owned(), date, sentences })?;
        Ok(fs::write(folder.join(instrument).with_extension("json"), text)?)
    }
}

pub fn write(workspace: &Path) -> Result<(), Box<dyn Error>> {
    let path = workspace.join(DOCUMENT);
    let document = fs::read_to_string(&path)?;
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for row in tables::rows(&document, "figures") {
        let instrument = row.trim_start_matches("| ").split(" |").next().unwrap_or_default();
        rows.insert(instrument.to_owned(), format!("{row}\n"));
    }
    for entry in fs::read_dir(workspace.join("target/proof"))? {
        let Figures { instrument, date, sentences } = serde_json::from_str(&fs::read_to_string(entry?.path())?)?;
        let row = format!("| {instrument} | {date} | {} |\n", sentences.join(" "));
        rows.insert(instrument, row);
    }
    let rows: String = rows.into_values().collect();
    let table = format!("| instrument | last run in full | what it found |\n|---|---|---|\n{rows}");
    Ok(fs::write(path, tables::replaced(&document, "figures", &table)?)?)
}
