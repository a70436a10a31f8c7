//! The order of the modules, which is said in `lib.rs` and kept here: a module imports only what stands above it, and no
//! files import each other in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A module by its path below the crate, such as `store::key`; the crate itself is the empty path.
type Module = String;

#[derive(Default)]
struct Sources {
    /// The text of every module.
    texts: BTreeMap<Module, String>,
}

impl Sources {
    fn read(folder: &Path) -> Self {
        let mut sources = Self::default();
        sources.read_into(folder, "");
        sources
    }

    fn read_into(&mut self, folder: &Path, module: &str) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let child = |name: &str| if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") };
            if entry.path().is_dir() {
                self.read_into(&entry.path(), &child(&name));
            } else if let Some(name) = name.strip_suffix(".rs") {
                let module = if ["lib", "main", "mod"].contains(&name) { module.to_owned() } else { child(name) };
                self.texts.entry(module).or_default().push_str(&fs::read_to_string(entry.path()).unwrap());
            }
        }
    }

    /// The modules of the crate, as `lib.rs` declares them.
    fn order(&self) -> Vec<Module> {
        let declared = |line: &str| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned);
        self.texts[""].lines().filter_map(declared).collect()
    }

    /// What a module imports from its crate: the modules that have what it names.
    fn imports(&self, module: &str) -> BTreeSet<Module> {
        let code =
            self.texts[module].lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
        let mut imports = BTreeSet::new();
        for (at, root) in [("crate::", None), ("super::", Some(parent(module)))]
            .into_iter()
            .flat_map(|(word, root)| code.match_indices(word).map(move |(at, _)| (at, word, root.clone())).collect::<Vec<_>>())
            .filter(|(at, ..)| !code[..*at].ends_with("::"))
            .map(|(at, word, root)| (at + word.len(), root))
        {
            let root = root.unwrap_or_default();
            for path in paths(&code[at..]) {
                imports.insert(self.find(&root, &path));
            }
        }
        imports.remove(module);
        imports
    }

    /// The module that has what is at a path below another: through whatever that exports again.
    fn find(&self, from: &str, path: &[String]) -> Module {
        let mut module = from.to_owned();
        let mut path = path.iter().peekable();
        while path.next_if(|name| *name == "super").is_some() {
            module = parent(&module);
        }
        for name in path {
            let child = if module.is_empty() { name.clone() } else { format!("{module}::{name}") };
            if self.texts.contains_key(&child) {
                module = child;
                continue;
            }
            return self.exporter(&module, name).unwrap_or(module);
        }
        module
    }

    /// The module that a name really comes from, where another exports it with `pub use`.
    fn exporter(&self, module: &str, name: &str) -> Option<Module> {
        let text = self.texts.get(module)?;
        let exports = text.match_indices("pub use ").map(|(at, word)| &text[at + word.len()..]);
        let path = exports.flat_map(paths).find(|path| path.last().is_some_and(|last| last == name))?;
        let (root, path) = match path.split_first() {
            Some((first, rest)) if first == "crate" => (String::new(), rest.to_vec()),
            _ => (module.to_owned(), path),
        };
        Some(self.find(&root, &path))
    }
}

fn parent(module: &str) -> Module {
    module.rsplit_once("::").map_or(String::new(), |(parent, _)| parent.to_owned())
}

/// All paths of an import such as `a::{b, c::{self, D}}`, of which `text` is what follows its root.
fn paths(text: &str) -> Vec<Vec<String>> {
    let (mut paths, mut open, mut path, mut word) = (Vec::new(), Vec::new(), Vec::new(), String::new());
    let mut finish = |path: &mut Vec<String>, word: &mut String| {
        if !word.is_empty() {
            path.extend((word != "self").then(|| word.clone()));
            paths.push(path.clone());
            word.clear();
        }
    };
    for c in text.chars() {
        match c {
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            ':' => path.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            '{' => open.push(path.clone()),
            ',' | '}' if !open.is_empty() => {
                finish(&mut path, &mut word);
                path = open.last().cloned().unwrap_or_default();
                if c == '}' {
                    open.pop();
                    if open.is_empty() {
                        break;
                    }
                    path = open.last().cloned().unwrap_or_default();
                }
            }
            c if c.is_whitespace() && !open.is_empty() => {}
            _ => break,
        }
    }
    if open.is_empty() {
        finish(&mut path, &mut word);
    }
    paths
}

/// Modules that import what stands below them, as `domain::order imports error`.
fn out_of_order(sources: &Sources) -> Vec<String> {
    let order = sources.order();
    let layer = |module: &str| order.iter().position(|name| Some(name.as_str()) == module.split("::").next());
    let mut wrong = Vec::new();
    for module in sources.texts.keys().filter(|module| !module.is_empty()) {
        for import in sources.imports(module).iter().filter(|import| layer(import) > layer(module)) {
            wrong.push(format!("{module} imports {import}"));
        }
    }
    wrong
}

/// A circle of modules, if there is one. A module that only declares and exports others is none of them.
fn circle(sources: &Sources) -> Option<Vec<Module>> {
    fn visit(
        module: &str,
        imports: &BTreeMap<&str, BTreeSet<Module>>,
        path: &mut Vec<Module>,
        done: &mut BTreeSet<Module>,
    ) -> bool {
        if let Some(at) = path.iter().position(|before| before == module) {
            path.drain(..at);
            return true;
        }
        if !done.insert(module.to_owned()) {
            return false;
        }
        path.push(module.to_owned());
        if imports.get(module).into_iter().flatten().any(|import| visit(import, imports, path, done)) {
            return true;
        }
        path.pop();
        false
    }
    let imports: BTreeMap<_, _> = sources.texts.keys().map(|module| (module.as_str(), sources.imports(module))).collect();
    let mut done = BTreeSet::new();
    sources.texts.keys().find_map(|module| {
        let mut path = Vec::new();
        visit(module, &imports, &mut path, &mut done).then_some(path)
    })
}

fn shared() -> Sources {
    Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn modules_import_what_stands_above_them() {
    assert_eq!(out_of_order(&shared()), [""; 0]);
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    assert_eq!(circle(&shared()), None);
}

#[test]
fn an_import_that_is_turned_round_is_noticed() {
    let mut sources = shared();
    let order = sources.order();
    let (first, last) = (&order[0], &order[order.len() - 1]);
    sources.texts.get_mut(first).unwrap().push_str(&format!("use crate::{last}::{{self, Something}};\n"));
    assert!(out_of_order(&sources).contains(&format!("{first} imports {last}")));
}

#[test]
fn a_circle_is_noticed() {
    let text = |text: &str| text.to_owned();
    let sources = |texts: [(&str, &str); 4]| Sources { texts: texts.map(|(module, code)| (text(module), text(code))).into() };
    let straight = [
        ("", "mod a;\nmod b;"),
        ("a", ""),
        ("b", "mod c;\npub use c::C;"),
        ("b::c", "use crate::a;\nuse crate::{a::{self, A}};"),
    ];
    assert_eq!(circle(&sources(straight)), None);
    let mut round = straight;
    round[1].1 = "use crate::b::C;";
    assert_eq!(circle(&sources(round)), Some(vec![text("a"), text("b::c")]));
}
