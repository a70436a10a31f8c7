//! Every place in the store at which something can be left out, found in its sources.

use std::{collections::BTreeMap, fs, path::Path};

use syn::{
    Attribute, Expr, ExprCall, ExprMethodCall, ImplItemFn, ItemFn, ItemMod,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::Failure;

/// What can be left out at one place.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// Its name for people, which stays the same when lines are added above it.
    pub id: String,
    /// Its name for `shared::store::mutant`: the part and `file:line:column`.
    pub switch: String,
    /// The file's path in the workspace.
    pub file: String,
}

/// The methods of `Expression` and `Transaction` that build a part. How many arguments each has tells namesakes of other types apart.
const METHODS: [(&str, usize, &[&str]); 24] = [
    ("existing", 0, &["condition"]),
    ("has", 1, &["condition"]),
    ("lacks", 1, &["condition"]),
    ("unchanged", 2, &["condition"]),
    ("has_fewer_entries_than", 2, &["condition"]),
    ("has_more_entries_than", 2, &["condition"]),
    ("equal", 2, &["condition"]),
    ("at_least", 2, &["condition"]),
    ("below", 2, &["condition"]),
    ("either_below", 2, &["condition"]),
    ("in_open_window", 3, &["condition"]),
    ("open_or_over", 3, &["condition"]),
    ("set_if_absent", 2, &["effect"]),
    ("set", 2, &["effect"]),
    ("set_or_remove", 2, &["effect"]),
    ("remove", 1, &["effect"]),
    ("add", 2, &["effect"]),
    ("add_to_set", 2, &["effect"]),
    ("remove_from_set", 2, &["effect"]),
    ("insert", 3, &["condition", "write"]),
    ("put", 4, &["write"]),
    ("update", 3, &["write"]),
    ("delete", 3, &["write"]),
    ("check", 3, &["write"]),
];

/// The same for what is called by its path. The store itself asks only once whether something is left out: for the token.
const FUNCTIONS: [(&str, &[&str]); 9] = [
    ("Expression::exists", &["condition"]),
    ("Expression::absent", &["condition"]),
    ("Expression::absent_or_expired", &["condition"]),
    ("Expression::lacks_or_below", &["condition"]),
    ("require_version", &["condition"]),
    ("Backoff::new", &["retry"]),
    ("Backoff::steady", &["retry"]),
    ("until_done", &["retry"]),
    ("is_left_out", &["token"]),
];

/// All mutants of the store, in the order of its files.
pub fn find(workspace: &Path) -> Result<Vec<Mutant>, Failure> {
    let mut mutants = Vec::new();
    for file in files(&workspace.join("shared/src/store"))? {
        let name = file.strip_prefix(workspace)?.to_str().ok_or("a file's name is no text")?.to_owned();
        let text = fs::read_to_string(&file)?;
        let mut sites =
            Sites { lines: text.lines().collect(), file: &name, function: String::new(), seen: BTreeMap::new(), mutants };
        sites.visit_file(&syn::parse_file(&text)?);
        mutants = sites.mutants;
    }
    Ok(mutants)
}

fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if path.extension() == Some("rs".as_ref()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

struct Sites<'a> {
    lines: Vec<&'a str>,
    file: &'a str,
    /// The function that is being read.
    function: String,
    /// How often a name was given.
    seen: BTreeMap<String, usize>,
    mutants: Vec<Mutant>,
}

impl Sites<'_> {
    fn add(&mut self, parts: &[&str], span: proc_macro2::Span, name: &str, argument: Option<&Expr>) {
        let start = span.start();
        // As `Location` counts them: both from 1.
        let place = format!("{}:{}:{}", self.file, start.line, start.column + 1);
        let argument = argument.map(|argument| self.text(argument.span())).unwrap_or_default();
        for part in parts {
            let file = self.file.trim_start_matches("shared/src/store/").trim_end_matches(".rs");
            let id = format!("{file} {}: {part} {name}({argument})", self.function);
            let count = self.seen.entry(id.clone()).and_modify(|count| *count += 1).or_insert(1);
            let id = if *count == 1 { id } else { format!("{id} #{count}") };
            self.mutants.push(Mutant { id, switch: format!("{part} {place}"), file: self.file.to_owned() });
        }
    }

    /// The source of an expression; only the first line of one that has several.
    fn text(&self, span: proc_macro2::Span) -> String {
        let (start, end) = (span.start(), span.end());
        let line: Vec<_> = self.lines[start.line - 1].chars().collect();
        let until = if end.line == start.line { end.column } else { line.len() };
        line[start.column..until].iter().collect()
    }

    /// Reads a function. One that passes its caller's place on has none of its own.
    fn read(&mut self, name: &syn::Ident, attributes: &[Attribute], read: impl FnOnce(&mut Self)) {
        if attributes.iter().any(|attribute| attribute.path().is_ident("track_caller")) {
            return;
        }
        let outer = std::mem::replace(&mut self.function, name.to_string());
        read(self);
        self.function = outer;
    }
}

impl<'ast> Visit<'ast> for Sites<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        // Tests build expressions that nobody sends.
        if !module.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.read(&function.sig.ident, &function.attrs, |sites| visit::visit_item_fn(sites, function));
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.read(&function.sig.ident, &function.attrs, |sites| visit::visit_impl_item_fn(sites, function));
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        visit::visit_expr_method_call(self, call);
        let name = call.method.to_string();
        let parts = METHODS.iter().find(|(method, arguments, _)| *method == name && *arguments == call.args.len());
        // A map is asked to remove what a key refers to; an expression is told the attribute.
        let of_a_map = name == "remove"
            && matches!(call.args.first(), Some(Expr::Reference(key)) if matches!(*key.expr, Expr::Path(_) | Expr::Field(_)));
        if let (Some((.., parts)), false) = (parts, of_a_map) {
            self.add(parts, call.method.span(), &name, call.args.first());
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        visit::visit_expr_call(self, call);
        let name: String = self.text(call.func.span()).split_whitespace().collect();
        if let Some((_, parts)) = FUNCTIONS.iter().find(|(function, _)| *function == name) {
            // A closure says nothing about what is done.
            let argument = call.args.first().filter(|argument| !matches!(argument, Expr::Closure(_)));
            self.add(parts, call.span(), &name, argument);
        }
    }
}
