//! Filter patterns of CloudWatch Logs: terms such as `"request" -healthy ?ERROR`, and conditions on JSON such as
//! `{ $.status >= 500 && $.route = "GET *" }`.

use regex_lite::Regex;
use serde_json::Value;

pub enum Filter {
    Terms { all: Vec<Term>, any: Vec<Term>, none: Vec<Term> },
    Json(Condition),
}

/// A part of a line.
pub enum Term {
    Text(String),
    Regex(Regex),
}

pub enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Compare(Selector, Operator, Operand),
    NotExists(Selector),
    Is(Selector, Value),
}

/// `$.a.b[0]`, step by step.
pub type Selector = Vec<Step>;

pub enum Step {
    Field(String),
    Item(usize),
    EveryItem,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

pub enum Operand {
    Number(f64),
    /// May have `*` in it.
    Text(String),
    Regex(Regex),
}

impl Filter {
    /// Reads a pattern; the empty one matches everything.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let mut rest = Reader(pattern.trim());
        if rest.0.starts_with('[') {
            return Err("patterns of columns, [a, b, …], are not understood here".to_owned());
        }
        if rest.take("{") {
            let condition = rest.any_of()?;
            rest.expect("}")?;
            return if rest.0.is_empty() { Ok(Self::Json(condition)) } else { Err(format!("{:?} after its end", rest.0)) };
        }
        let (mut all, mut any, mut none) = (Vec::new(), Vec::new(), Vec::new());
        while !rest.0.is_empty() {
            let kind = if rest.take("-") {
                &mut none
            } else if rest.take("?") {
                &mut any
            } else {
                &mut all
            };
            kind.push(rest.term()?);
        }
        // CloudWatch Logs ignores alternatives beside terms that must be there.
        if !all.is_empty() {
            any.clear();
        }
        Ok(Self::Terms { all, any, none })
    }

    pub fn matches(&self, line: &str) -> bool {
        match self {
            Self::Terms { all, any, none } => {
                let has = |term: &Term| match term {
                    Term::Text(text) => line.contains(text.as_str()),
                    Term::Regex(regex) => regex.is_match(line),
                };
                all.iter().all(has) && (any.is_empty() || any.iter().any(has)) && !none.iter().any(has)
            }
            Self::Json(condition) => serde_json::from_str(line).is_ok_and(|value| condition.holds(&value)),
        }
    }
}

impl Condition {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.holds(value)),
            Self::Or(any) => any.iter().any(|one| one.holds(value)),
            Self::Compare(selector, operator, operand) => {
                selected(value, selector).into_iter().any(|found| operand.compares(found, *operator))
            }
            Self::NotExists(selector) => selected(value, selector).is_empty(),
            Self::Is(selector, wanted) => selected(value, selector).into_iter().any(|found| found == wanted),
        }
    }
}

impl Operand {
    fn compares(&self, found: &Value, operator: Operator) -> bool {
        let equal = match (self, found) {
            (Self::Number(number), Value::Number(found)) => {
                let Some(found) = found.as_f64() else { return false };
                return match operator {
                    Operator::Equal => (found - number).abs() < f64::EPSILON,
                    Operator::NotEqual => (found - number).abs() >= f64::EPSILON,
                    Operator::Less => found < *number,
                    Operator::LessOrEqual => found <= *number,
                    Operator::Greater => found > *number,
                    Operator::GreaterOrEqual => found >= *number,
                };
            }
            (Self::Number(number), Value::String(found)) => {
                found.parse().is_ok_and(|found: f64| (found - number).abs() < f64::EPSILON)
            }
            (Self::Text(pattern), Value::String(found)) => is_like(pattern, found),
            (Self::Regex(regex), Value::String(found)) => regex.is_match(found),
            (_, Value::Array(_) | Value::Object(_) | Value::Null) => return false,
            (Self::Text(pattern), other) => is_like(pattern, &other.to_string()),
            (Self::Number(_) | Self::Regex(_), _) => false,
        };
        match operator {
            Operator::Equal => equal,
            Operator::NotEqual => !equal,
            // Only numbers have an order.
            _ => false,
        }
    }
}

/// Whether a pattern with `*` is all of a text.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    text.ends_with(end)
}

fn selected<'v>(value: &'v Value, selector: &[Step]) -> Vec<&'v Value> {
    selector.iter().fold(vec![value], |values, step| {
        let next = values.into_iter().flat_map(|value| match step {
            Step::Field(name) => value.get(name).into_iter().collect::<Vec<_>>(),
            Step::Item(index) => value.get(index).into_iter().collect(),
            Step::EveryItem => value.as_array().into_iter().flatten().collect(),
        });
        next.collect()
    })
}

/// What is left of a pattern.
struct Reader<'p>(&'p str);

impl<'p> Reader<'p> {
    fn take(&mut self, token: &str) -> bool {
        let taken = self.0.strip_prefix(token);
        self.0 = taken.unwrap_or(self.0).trim_start();
        taken.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("{token:?} is expected at {:?}", self.0)) }
    }

    /// As far as the characters are of this kind, and what is behind that.
    fn while_(&mut self, is_part: impl Fn(char) -> bool) -> &'p str {
        let end = self.0.find(|letter| !is_part(letter)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        taken
    }

    fn term(&mut self) -> Result<Term, String> {
        if let Some(text) = self.quoted()? {
            return Ok(Term::Text(text));
        }
        if let Some(regex) = self.regex()? {
            return Ok(Term::Regex(regex));
        }
        match self.while_(|letter| !letter.is_whitespace()) {
            "" => Err("a term is expected at the end".to_owned()),
            text => Ok(Term::Text(text.to_owned())),
        }
    }

    /// `"…"`, in which a backslash stands before a quotation mark or a backslash.
    fn quoted(&mut self) -> Result<Option<String>, String> {
        let Some(inside) = self.0.strip_prefix('"') else { return Ok(None) };
        let mut text = String::new();
        let mut letters = inside.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = inside[at + 1..].trim_start();
                    return Ok(Some(text));
                }
                '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
                letter => text.push(letter),
            }
        }
        Err(format!("{:?} has no end", self.0))
    }

    /// `%…%`
    fn regex(&mut self) -> Result<Option<Regex>, String> {
        let Some(inside) = self.0.strip_prefix('%') else { return Ok(None) };
        let (regex, rest) = inside.split_once('%').ok_or_else(|| format!("{:?} has no end", self.0))?;
        self.0 = rest.trim_start();
        Regex::new(regex).map(Some).map_err(|error| error.to_string())
    }

    fn any_of(&mut self) -> Result<Condition, String> {
        let mut any = vec![self.all_of()?];
        while self.take("||") {
            any.push(self.all_of()?);
        }
        Ok(Condition::Or(any))
    }

    fn all_of(&mut self) -> Result<Condition, String> {
        let mut all = vec![self.condition()?];
        while self.take("&&") {
            all.push(self.condition()?);
        }
        Ok(Condition::And(all))
    }

    fn condition(&mut self) -> Result<Condition, String> {
        if self.take("(") {
            let inside = self.any_of()?;
            self.expect(")")?;
            return Ok(inside);
        }
        let selector = self.selector()?;
        for (symbol, operator) in [
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.take(symbol) {
                return Ok(Condition::Compare(selector, operator, self.operand()?));
            }
        }
        let words = [self.while_(char::is_alphabetic), self.while_(char::is_alphabetic)].map(str::to_ascii_uppercase);
        match words.each_ref().map(String::as_str) {
            ["NOT", "EXISTS"] => Ok(Condition::NotExists(selector)),
            ["IS", "NULL"] => Ok(Condition::Is(selector, Value::Null)),
            ["IS", "TRUE"] => Ok(Condition::Is(selector, true.into())),
            ["IS", "FALSE"] => Ok(Condition::Is(selector, false.into())),
            _ => Err(format!("a comparison is expected before {:?}", self.0)),
        }
    }

    fn selector(&mut self) -> Result<Selector, String> {
        let fault = |rest: &str| format!("a selector such as $.status is expected at {rest:?}");
        let mut steps = Vec::new();
        let mut rest = self.0.strip_prefix('$').ok_or_else(|| fault(self.0))?;
        loop {
            if let Some(inside) = rest.strip_prefix('[').or_else(|| rest.strip_prefix(".[")) {
                let (step, after) = inside.split_once(']').ok_or_else(|| fault(rest))?;
                let quoted = |mark| step.strip_prefix(mark).and_then(|step| step.strip_suffix(mark));
                steps.push(match (step, quoted('\'').or_else(|| quoted('"'))) {
                    (_, Some(name)) => Step::Field(name.to_owned()),
                    ("*", None) => Step::EveryItem,
                    (index, None) => Step::Item(index.parse().map_err(|_| fault(rest))?),
                });
                rest = after;
            } else if let Some(named) = rest.strip_prefix('.') {
                let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '@');
                let end = named.find(|letter| !is_part(letter)).unwrap_or(named.len());
                if end == 0 {
                    return Err(fault(rest));
                }
                steps.push(Step::Field(named[..end].to_owned()));
                rest = &named[end..];
            } else if steps.is_empty() {
                return Err(fault(rest));
            } else {
                self.0 = rest.trim_start();
                return Ok(steps);
            }
        }
    }

    fn operand(&mut self) -> Result<Operand, String> {
        if let Some(text) = self.quoted()? {
            return Ok(Operand::Text(text));
        }
        if let Some(regex) = self.regex()? {
            return Ok(Operand::Regex(regex));
        }
        let text = self.while_(|letter| !letter.is_whitespace() && !matches!(letter, ')' | '}' | '&' | '|'));
        // Without the words that Rust takes for numbers, such as `inf`.
        let number = text.parse().ok().filter(|_| text.ends_with(|last: char| last.is_ascii_digit()));
        match (text, number) {
            ("", _) => Err(format!("a value is expected at {:?}", self.0)),
            (_, Some(number)) => Ok(Operand::Number(number)),
            (text, None) => Ok(Operand::Text(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"level":"ERROR","status":503,"route":"PUT /products/{product_id}","tries":[1,{"code":"busy"}],"cold":true,"x-y":null}"#;

    #[test]
    fn patterns_match_as_cloudwatch_logs_has_it() {
        for (pattern, expected) in [
            ("", true),
            ("ERROR", true),
            ("error", false),
            ("ERROR status", true),
            ("ERROR healthy", false),
            ("ERROR -healthy", true),
            ("-ERROR", false),
            ("?healthy ?ERROR", true),
            ("?healthy ?fine", false),
            ("ERROR ?healthy", true),
            (r#""level":"ERROR""#, true),
            (r#""\"status\":503""#, true),
            (r#""status 503""#, false),
            ("%status.:5\\d\\d%", true),
            ("%status.:4\\d\\d%", false),
            ("{ $.status = 503 }", true),
            ("{$.status>=500&&$.status<600}", true),
            ("{ $.status != 503 }", false),
            ("{ $.status > 503 || $.level = ERROR }", true),
            (r#"{ $.level = "ERROR" && ($.status = 500 || $.status = 503) }"#, true),
            (r#"{ $.route = "PUT *" }"#, true),
            (r#"{ $.route = "*{product_id}" }"#, true),
            (r#"{ $.route = "GET *" }"#, false),
            ("{ $.route = %^P.T % }", true),
            ("{ $.tries[1].code = busy }", true),
            ("{ $.tries[*].code = busy }", true),
            ("{ $.tries[0] = 2 }", false),
            ("{ $.['level'] = ERROR }", true),
            ("{ $.cold IS TRUE }", true),
            ("{ $.cold is false }", false),
            ("{ $.x-y IS NULL }", true),
            ("{ $.error NOT EXISTS }", true),
            ("{ $.level NOT EXISTS }", false),
            ("{ $.error != x }", false),
            ("{ $.level > 5 }", false),
        ] {
            assert_eq!(Filter::new(pattern).map(|filter| filter.matches(LINE)), Ok(expected), "{pattern}");
        }
        assert!(!Filter::new("{ $.status = 503 }").unwrap().matches("no JSON"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in [
            "[a, b]",
            "{ $.status }",
            "{ $.status = 5",
            "{ status = 5 }",
            "{ $.status = }",
            "\"open",
            "%(%",
            "-",
            "{ $.a = 1 } x",
            "{ $. = 1 }",
        ] {
            assert!(Filter::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn asterisks_stand_for_anything() {
        for (pattern, text, expected) in [
            ("a*c", "abc", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c", false),
            ("*", "", true),
            ("ab", "abc", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
