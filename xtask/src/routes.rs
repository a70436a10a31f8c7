//! The paths of template.yaml with their methods, which `fallback` tells whoever asks for another one.

use std::{collections::BTreeMap, error::Error, fmt::Write, path::Path};

use emulator::template::Template;

pub fn source(template: &Path) -> Result<String, Box<dyn Error>> {
    // Whom mails come from decides whether there are functions that send any, and they have no routes.
    let template = Template::read(template, "stockroom", &BTreeMap::new())?;
    let mut methods: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for route in &template.routes {
        match route.key.split_once(' ') {
            // Answered on all paths alike.
            Some(("OPTIONS", _)) | None => {}
            Some((method, path)) => methods.entry(path).or_default().push(method),
        }
    }
    let mut source = "//! Written by `cargo xtask generate` from template.yaml.\n\n\
                      /// Every path with the methods it answers.\n\
                      pub const ROUTES: &[(&str, &str)] = &[\n"
        .to_owned();
    for (path, methods) in &mut methods {
        methods.sort_unstable();
        writeln!(source, "    ({path:?}, {:?}),", methods.join(", "))?;
    }
    Ok(source + "];\n")
}
