//! Code in documents, taken from the programs that the gate runs, so that it works.

use std::error::Error;

const MARK: &str = "<!-- cargo xtask generate: ";
const FENCE: &str = "```";

/// The document with the code of a file below each line that names one, in place of the code that is there. `FILE NAME` is the
/// snippet of this name, `FILE` all that have none.
pub fn replaced(document: &str, read: impl Fn(&str) -> Result<String, Box<dyn Error>>) -> Result<String, Box<dyn Error>> {
    let mut made = String::new();
    let mut lines = document.split_inclusive('\n');
    while let Some(line) = lines.next() {
        made += line;
        let Some(named) = line.strip_prefix(MARK).and_then(|rest| rest.trim_end().strip_suffix(" -->")) else { continue };
        let (file, name) = named.split_once(' ').unwrap_or((named, ""));
        let code = snippet(&read(file)?, name).map_err(|fault| format!("{file}: {fault}"))?;
        let fence = lines.next().filter(|fence| fence.starts_with(FENCE));
        let fence = fence.ok_or_else(|| format!("{}: no code follows", line.trim_end()))?;
        if !lines.any(|line| line.trim_end() == FENCE) {
            return Err(format!("{}: the code has no end", line.trim_end()).into());
        }
        made += &format!("{fence}{code}{FENCE}\n");
    }
    Ok(made)
}

/// What a file has between the comments `snippet` or `snippet: NAME` and `end of snippet`: the parts with a blank line between them,
/// each without the indentation that all of its lines have.
fn snippet(source: &str, name: &str) -> Result<String, String> {
    let begin = if name.is_empty() { "snippet".to_owned() } else { format!("snippet: {name}") };
    let mut parts = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if comment(line) == Some(begin.as_str()) {
            let mut part = Vec::new();
            loop {
                let line = lines.next().ok_or_else(|| format!("no end of {begin}"))?;
                if comment(line) == Some("end of snippet") {
                    break;
                }
                part.push(line);
            }
            let indentation = part.iter().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len());
            let indentation = indentation.min().unwrap_or_default();
            let part: Vec<_> = part.iter().map(|line| line.get(indentation..).unwrap_or_default()).collect();
            parts.push(part.join("\n").trim_matches('\n').to_owned() + "\n");
        }
    }
    if parts.is_empty() { Err(format!("no {begin}")) } else { Ok(parts.join("\n")) }
}

/// What a line says that is a comment, in a shell or Python as in the others.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim();
    line.strip_prefix("//").or_else(|| line.strip_prefix('#')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "import a\n// snippet\nimport b\n// end of snippet\n\nfn main() {\n    // snippet\n    let b = {\n        1\n    };\n\n    c();\n    // end of snippet\n    # snippet: named\n    d\n    # end of snippet\n}\n";

    fn of(document: &str) -> Result<String, String> {
        replaced(document, |file| if file == "a" { Ok(SOURCE.into()) } else { Err("no such file".into()) })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn code_below_a_mark_is_that_of_the_file() {
        let document =
            "a\n<!-- cargo xtask generate: a -->\n```rust\nold\n```\nb\n<!-- cargo xtask generate: a named -->\n```sh\n```\n";
        let made = "a\n<!-- cargo xtask generate: a -->\n```rust\nimport b\n\nlet b = {\n    1\n};\n\nc();\n```\nb\n<!-- cargo xtask generate: a named -->\n```sh\nd\n```\n";
        assert_eq!(of(document).as_deref(), Ok(made));
        assert_eq!(of(made).as_deref(), Ok(made), "made from itself");
    }

    #[test]
    fn code_that_is_not_there_is_a_fault() {
        for (document, fault) in [
            ("<!-- cargo xtask generate: b -->\n```\n```\n", "no such file"),
            ("<!-- cargo xtask generate: a other -->\n```\n```\n", "a: no snippet: other"),
            ("<!-- cargo xtask generate: a -->\ntext\n", "no code follows"),
            ("<!-- cargo xtask generate: a -->\n```\ntext\n", "the code has no end"),
        ] {
            let error = of(document).expect_err(document);
            assert!(error.contains(fault), "{error}");
        }
        assert!(snippet("# snippet\na\n", "").is_err(), "without an end");
    }
}
