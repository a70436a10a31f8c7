//! docs/benchmarks.md and its pictures, from the figures of all parts.

use std::fs;

use crate::machine::Machine;
use crate::parts::Part;
use crate::{Bench, Result, scale, start};

/// The picture that the report opens with: by the part that makes it.
pub const SUMMARY: &str = "summary";

/// What the report says about one part, in Markdown; pictures by their file's stem.
#[derive(Default)]
pub struct Chapter {
    pub title: &'static str,
    /// Sentences that a reader remembers.
    pub remember: Vec<String>,
    /// What travels to other machines: how one thing compares with another.
    pub ratios: String,
    pub figures: String,
    pub meaning: String,
    pub pictures: Vec<(&'static str, String)>,
}

/// Writes the report about all parts that have been measured.
pub fn write(bench: &Bench) -> Result {
    let mut machines: Vec<Machine> = Vec::new();
    let mut chapters = Vec::new();
    let mut remember: Vec<String> = Vec::new();
    for part in Part::ALL {
        if let Some((machine, chapter)) = part.chapter(bench)? {
            machines.push(machine);
            remember.extend(chapter.remember.iter().map(|line| format!("| `-- {}` | {line} |\n", part.name())));
            chapters.push(chapter);
        }
    }
    if chapters.is_empty() {
        return Err("nothing has been measured yet".into());
    }
    machines.dedup();

    let pictures = bench.docs().join("benchmarks");
    fs::create_dir_all(&pictures)?;
    for (stem, svg) in chapters.iter().flat_map(|chapter| &chapter.pictures) {
        fs::write(pictures.join(stem).with_extension("svg"), svg)?;
    }
    let path = bench.docs().join("benchmarks.md");
    fs::write(&path, text(&machines, &chapters))?;
    eprintln!("{}", path.strip_prefix(&bench.workspace).unwrap_or(&path).display());
    if !bench.is_trial() {
        let readme = bench.workspace.join("README.md");
        fs::write(&readme, with_rows(&fs::read_to_string(&readme)?, &remember.concat())?)?;
    }
    if let Some(kept) = Part::Start.kept(bench)? {
        fs::write(bench.docs().join("scale.md"), scale::page(bench, &start::costs(&kept.figures))?)?;
    }
    Ok(())
}

/// The README with these rows in its table of what was measured.
fn with_rows(readme: &str, rows: &str) -> Result<String> {
    const HEAD: &str = "<!-- cargo run -p bench: remember -->\n| part | what was found |\n|---|---|\n";
    let (before, after) = readme.split_once(HEAD).ok_or("the README has no table of what was measured")?;
    let old: usize = after.split_inclusive('\n').take_while(|line| line.starts_with('|')).map(str::len).sum();
    Ok(format!("{before}{HEAD}{rows}{}", &after[old..]))
}

fn text(machines: &[Machine], chapters: &[Chapter]) -> String {
    let machines: Vec<_> = machines.iter().map(|machine| format!("- {machine}\n")).collect();
    let section = |heading: &str, of: fn(&Chapter) -> &str| {
        let parts = chapters.iter().map(|chapter| format!("\n### {}\n\n{}\n", chapter.title, of(chapter).trim_end()));
        format!("\n## {heading}\n{}", parts.collect::<Vec<_>>().concat())
    };
    let remember: Vec<_> = chapters.iter().flat_map(|chapter| &chapter.remember).map(|line| format!("- {line}\n")).collect();
    let remember = remember.concat();
    format!(
        "# Benchmarks\n\n\
         ![Cold starts](benchmarks/{SUMMARY}.svg)\n\n\
         {remember}\n\
         This page and its pictures are made by\n\n\
         ```sh\ncargo run --profile bench -p bench\n```\n\n\
         which builds the functions, starts every one of them again and again, loads the local shop and holds a sale in it, and takes \
         about eight minutes beside the building. The machine should have nothing else to do: whatever else runs shows in the p99 \
         first. `-- start`, `-- load` and `-- sale` measure one part only, `-- growth` a shop that is fifty times as large, `-- peers` functions in Go and JavaScript where those are, `-- --quick` proves in a minute that everything can be \
         measured, and `-- --report` writes \
         the page again from the figures in target/bench. These are from:\n\n{}{}{}{}",
        machines.concat(),
        section("Ratios", |chapter| &chapter.ratios),
        section("Figures", |chapter| &chapter.figures),
        section("What they mean", |chapter| &chapter.meaning),
    )
}

/// A table whose first column is text and whose others are figures.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<_> = head.iter().map(ToString::to_string).collect();
    let rule: Vec<_> = (0..head.len()).map(|column| if column == 0 { "---" } else { "--:" }.to_owned()).collect();
    let rows: String = rows.into_iter().map(|row| line(&row)).collect();
    format!("{}{}{rows}", line(&head), line(&rule))
}

/// A figure with three significant digits.
pub fn figure(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    // The sum of nothing is -0.
    let text = format!("{:.digits$}", value + 0.0);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        for (value, expected) in [(-0.0, "0"), (1234.5, "1234"), (12.34, "12.3"), (1.5, "1.5"), (0.1234, "0.123"), (9.0, "9")] {
            assert_eq!(figure(value), expected);
        }
    }

    #[test]
    fn the_readme_has_what_was_measured_last() {
        let readme = include_str!("../../../README.md");
        let written = with_rows(readme, "| `-- start` | fast |\n").unwrap();
        assert_eq!(written.matches("| `-- start` |").count(), 1);
        assert_eq!(with_rows(&written, "| `-- start` | fast |\n").unwrap(), written);
        assert!(with_rows("# Stockroom\n", "").is_err());
    }

    #[test]
    fn tables_are_markdown() {
        let made = table(&["a", "b"], [vec!["x".to_owned(), "1".to_owned()]]);
        assert_eq!(made, "| a | b |\n| --- | --: |\n| x | 1 |\n");
    }
}
