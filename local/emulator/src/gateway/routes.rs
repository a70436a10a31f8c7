//! Which route a request takes: the most specific path that matches, then the method named over `ANY`, then `$default`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use crate::template::Route;

pub struct Routes {
    /// Most specific first.
    patterns: Vec<Pattern>,
    default: Option<Route>,
}

struct Pattern {
    route: Route,
    /// Nothing for `ANY`.
    method: Option<String>,
    segments: Vec<Segment>,
}

/// In the order of preference.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    /// `{name}`: one segment that is not empty.
    Parameter(String),
    /// `{name+}`: all that is left.
    Greedy(String),
}

pub type Parameters = BTreeMap<String, String>;

impl Routes {
    pub fn new(routes: Vec<Route>) -> Self {
        let mut patterns = Vec::new();
        let mut default = None;
        for route in routes {
            match route.key.split_once(' ') {
                Some((method, path)) => patterns.push(Pattern {
                    method: (method != "ANY").then(|| method.to_owned()),
                    segments: segments(path).map(Segment::parse).collect(),
                    route,
                }),
                None => default = Some(route),
            }
        }
        patterns.sort_by(|a, b| {
            let preference = |pattern: &Pattern| pattern.segments.iter().map(Segment::rank).collect::<Vec<_>>();
            (preference(a), Reverse(a.method.is_some())).cmp(&(preference(b), Reverse(b.method.is_some())))
        });
        Self { patterns, default }
    }

    /// The route and its path parameters, decoded.
    pub fn find(&self, method: &str, path: &str) -> Option<(&Route, Parameters)> {
        let segments: Vec<_> = segments(path).collect();
        self.patterns
            .iter()
            .filter(|pattern| pattern.method.as_deref().is_none_or(|its| its == method))
            .find_map(|pattern| Some((&pattern.route, pattern.parameters(&segments)?)))
            .or_else(|| Some((self.default.as_ref()?, Parameters::new())))
    }
}

impl Pattern {
    /// The parameters, if the path matches.
    fn parameters(&self, path: &[&str]) -> Option<Parameters> {
        let mut parameters = Parameters::new();
        let mut rest = path;
        for segment in &self.segments {
            let (first, others) = rest.split_first()?;
            match segment {
                Segment::Literal(text) if text == first => rest = others,
                Segment::Parameter(name) if !first.is_empty() => {
                    parameters.insert(name.clone(), decode(first));
                    rest = others;
                }
                Segment::Greedy(name) if !first.is_empty() => {
                    parameters.insert(name.clone(), decode(&rest.join("/")));
                    rest = &[];
                }
                _ => return None,
            }
        }
        rest.is_empty().then_some(parameters)
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            None => Self::Literal(text.to_owned()),
            Some(name) => match name.strip_suffix('+') {
                None => Self::Parameter(name.to_owned()),
                Some(name) => Self::Greedy(name.to_owned()),
            },
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Parameter(_) => 1,
            Self::Greedy(_) => 2,
        }
    }
}

/// An empty last segment counts, which is why `/books/` is not `/books`.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(keys: &[&str]) -> Routes {
        let route = |key: &&str| Route { key: key.to_string(), function: "F".into(), authorizer: None };
        Routes::new(keys.iter().map(route).collect())
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = routes(&[
            "$default",
            "ANY /{proxy+}",
            "GET /books/{proxy+}",
            "ANY /books/{id}",
            "GET /books/{book_id}",
            "GET /books/new",
            "GET /books/{book_id}/notes/{note_id}",
            "GET /",
            "POST /loans",
        ]);
        for (method, path, key, parameters) in [
            ("GET", "/books/new", "GET /books/new", ""),
            ("GET", "/books/1", "GET /books/{book_id}", "book_id=1"),
            ("PUT", "/books/1", "ANY /books/{id}", "id=1"),
            ("GET", "/books/a/b", "GET /books/{proxy+}", "proxy=a/b"),
            ("PUT", "/books/a/b", "ANY /{proxy+}", "proxy=books/a/b"),
            ("GET", "/books/a%2Fb/notes/%C3%A9", "GET /books/{book_id}/notes/{note_id}", "book_id=a/b note_id=é"),
            ("GET", "/", "GET /", ""),
            ("POST", "/", "$default", ""),
            ("HEAD", "/loans", "ANY /{proxy+}", "proxy=loans"),
            ("POST", "/loans", "POST /loans", ""),
            ("POST", "/loans/", "ANY /{proxy+}", "proxy=loans/"),
            ("GET", "/books/", "ANY /{proxy+}", "proxy=books/"),
        ] {
            let (route, found) = routes.find(method, path).unwrap();
            let found: Vec<_> = found.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!((route.key.as_str(), found.join(" ").as_str()), (key, parameters), "{method} {path}");
        }
    }

    #[test]
    fn without_a_default_there_may_be_no_route() {
        let routes = routes(&["GET /books"]);
        for (method, path) in [("GET", "/books/"), ("HEAD", "/books"), ("GET", "/"), ("GET", "//books")] {
            assert!(routes.find(method, path).is_none(), "{method} {path}");
        }
    }
}
