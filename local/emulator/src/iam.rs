//! Who calls AWS here, and what they may do: policies are enforced as IAM would, so that a right that is missing here is missing on
//! AWS.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::ids;
use crate::names::ACCOUNT;
use crate::template::Statement;
use crate::usage::Usage;

/// What one function may do.
#[derive(Debug, Default)]
pub struct Policy {
    statements: Vec<Statement>,
    /// The permissions boundary, if there is one: the most that the statements can allow.
    boundary: Option<Vec<Statement>>,
    /// Which parts have been made use of: positions of statement, action, resource and key.
    used: Mutex<BTreeSet<Part>>,
}

type Part = [usize; 4];

/// Something that a call must be allowed to do.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthorizationRequest {
    pub action: String,
    pub resource: String,
    /// The values of `dynamodb:LeadingKeys`: the partition keys that the call reaches for.
    pub keys: Vec<String>,
}

impl AuthorizationRequest {
    /// AWS's message when nothing allows it.
    pub fn denial(&self, function: &str) -> String {
        let Self { action, resource, .. } = self;
        format!(
            "User: arn:aws:sts::{ACCOUNT}:assumed-role/{function} is not authorized to perform: {action} on resource: {resource} \
             because no identity-based policy allows the {action} action"
        )
    }
}

impl Policy {
    pub fn new(statements: Vec<Statement>, boundary: Option<Vec<Statement>>) -> Self {
        Self { statements, boundary, used: Mutex::default() }
    }

    /// Whether all of it is allowed, which counts as use; otherwise the first that is not.
    pub fn authorize(&self, requests: Vec<AuthorizationRequest>) -> Result<(), AuthorizationRequest> {
        for request in requests {
            match self.allowing_parts(&request) {
                Some(parts) => self.used().extend(parts),
                None => return Err(request),
            }
        }
        Ok(())
    }

    /// Whether the permissions boundary lets it be allowed at all.
    pub fn is_within_boundary(&self, request: &AuthorizationRequest) -> bool {
        let within = |boundary: &Vec<Statement>| boundary.iter().any(|statement| allowing_parts(0, statement, request).is_some());
        self.boundary.as_ref().is_none_or(within)
    }

    /// Whether it is allowed, which does not count as use.
    pub fn allows(&self, request: &AuthorizationRequest) -> bool {
        self.allowing_parts(request).is_some()
    }

    /// The parts that allow it, if it is allowed.
    fn allowing_parts(&self, request: &AuthorizationRequest) -> Option<Vec<Part>> {
        let parts =
            self.statements.iter().enumerate().find_map(|(index, statement)| allowing_parts(index, statement, request))?;
        self.is_within_boundary(request).then_some(parts)
    }

    /// Every part of every statement that no call has needed so far, such as `dynamodb:GetItem on … for USER#*`.
    pub fn unused(&self) -> Vec<String> {
        let used = self.used();
        let mut unused = Vec::new();
        for (s, statement) in self.statements.iter().enumerate() {
            for (a, action) in statement.actions.iter().enumerate() {
                for (r, resource) in statement.resources.iter().enumerate() {
                    let every_key = ["*".to_owned()];
                    let keys = if statement.keys.is_empty() { &every_key[..] } else { &statement.keys[..] };
                    for (k, key) in keys.iter().enumerate() {
                        if !used.contains(&[s, a, r, k]) {
                            unused.push(format!("{action} on {resource} for {key}"));
                        }
                    }
                }
            }
        }
        unused
    }

    fn used(&self) -> MutexGuard<'_, BTreeSet<Part>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parts of a statement that allow it, if it is allowed.
fn allowing_parts(index: usize, statement: &Statement, request: &AuthorizationRequest) -> Option<Vec<Part>> {
    let action = statement.actions.iter().position(|action| matches(action, &request.action))?;
    let resource = statement.resources.iter().position(|resource| matches(resource, &request.resource))?;
    if request.keys.is_empty() && statement.needs_keys {
        return None;
    }
    if statement.keys.is_empty() {
        return Some(vec![[index, action, resource, 0]]);
    }
    let keys = request.keys.iter().map(|key| statement.keys.iter().position(|pattern| matches(pattern, key)));
    keys.map(|key| key.map(|key| [index, action, resource, key])).collect()
}

/// Whether a pattern with `*` and `?` is all of a text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches(&pattern[1..], &text[at..])),
        Some(first) => text.chars().next().is_some_and(|other| {
            (first == '?' || first == other) && matches(&pattern[first.len_utf8()..], &text[other.len_utf8()..])
        }),
    }
}

/// Everybody who has credentials here, by access key: each execution environment has its own.
#[derive(Default)]
pub struct Principals(Mutex<HashMap<String, Role>>);

/// The role that an environment has assumed, and what it has done with it.
struct Role {
    /// The function that runs in the environment.
    function: String,
    policy: Arc<Policy>,
    /// Since it was last taken.
    usage: Usage,
    /// Ends the environment.
    end: CancellationToken,
}

impl Principals {
    /// Issues credentials for an environment of the function, which ends when it is told so.
    pub fn issue(self: &Arc<Self>, function: &str, policy: &Arc<Policy>, end: CancellationToken) -> Principal {
        let access_key = ids::access_key();
        let role = Role { function: function.to_owned(), policy: Arc::clone(policy), usage: Usage::default(), end };
        self.lock().insert(access_key.clone(), role);
        Principal { access_key, principals: Arc::clone(self) }
    }

    /// Whether the access key is an environment's.
    pub fn contains(&self, access_key: &str) -> bool {
        self.lock().contains_key(access_key)
    }

    /// The ARN and the id of whoever has this access key: an environment's role, and for everybody else the account itself.
    pub fn identity(&self, access_key: &str) -> (String, String) {
        match self.lock().get(access_key) {
            Some(Role { function, .. }) => {
                (format!("arn:aws:sts::{ACCOUNT}:assumed-role/{function}/{function}"), format!("AROALOCAL:{function}"))
            }
            None => (format!("arn:aws:iam::{ACCOUNT}:root"), ACCOUNT.to_owned()),
        }
    }

    /// Why AWS would not let an environment do this. Callers who are no environments may do anything.
    pub fn denial(&self, access_key: &str, requests: Vec<AuthorizationRequest>) -> Option<String> {
        let (function, policy) = {
            let roles = self.lock();
            let role = roles.get(access_key)?;
            (role.function.clone(), Arc::clone(&role.policy))
        };
        policy.authorize(requests).err().map(|request| request.denial(&function))
    }

    /// Records something that an environment has used.
    pub fn record(&self, access_key: &str, what: impl FnOnce(&mut Usage)) {
        if let Some(role) = self.lock().get_mut(access_key) {
            what(&mut role.usage);
        }
    }

    /// Ends the environment that has this access key.
    pub fn end(&self, access_key: &str) {
        if let Some(role) = self.lock().get(access_key) {
            role.end.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Role>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One environment's credentials; they end when it is dropped.
pub struct Principal {
    access_key: String,
    principals: Arc<Principals>,
}

impl Principal {
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// What it has used since the last time.
    pub fn take_usage(&self) -> Usage {
        let mut roles = self.principals.lock();
        roles.get_mut(&self.access_key).map(|role| std::mem::take(&mut role.usage)).unwrap_or_default()
    }
}

impl Drop for Principal {
    fn drop(&mut self) {
        self.principals.lock().remove(&self.access_key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/t";

    fn statement(action: &str, keys: &[&str]) -> Statement {
        Statement {
            actions: vec![action.to_owned()],
            resources: ["arn:aws:dynamodb:*:*:table/t", "arn:aws:dynamodb:*:*:table/t/index/i"].map(str::to_owned).into(),
            keys: keys.iter().map(ToString::to_string).collect(),
            needs_keys: true,
        }
    }

    fn request(action: &str, keys: &[&str]) -> AuthorizationRequest {
        let keys = keys.iter().map(ToString::to_string).collect();
        AuthorizationRequest { action: action.to_owned(), resource: TABLE.to_owned(), keys }
    }

    #[test]
    fn wildcards_stand_for_anything() {
        for (pattern, text, expected) in [
            ("USER#*", "USER#1", true),
            ("USER#*", "USERNAME#1", false),
            ("USER*", "USER", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("*b*", "abc", true),
            ("ä*", "äö", true),
            ("abc", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn only_null_keeps_out_calls_that_name_no_keys() {
        let scan = || vec![request("dynamodb:Scan", &[])];
        let mut statement = statement("dynamodb:*", &["A#*"]);
        assert!(Policy::new(vec![statement.clone()], None).authorize(scan()).is_err());
        statement.needs_keys = false;
        assert_eq!(Policy::new(vec![statement], None).authorize(scan()), Ok(()), "ForAllValues holds when there are none");
    }

    #[test]
    fn what_is_not_used_is_told() {
        let policy = Policy::new(vec![statement("dynamodb:GetItem", &["A#*", "B#*"])], None);
        assert_eq!(policy.unused().len(), 4);
        policy.authorize(vec![request("dynamodb:GetItem", &["B#1"])]).unwrap();
        assert_eq!(
            policy.unused(),
            [
                "dynamodb:GetItem on arn:aws:dynamodb:*:*:table/t for A#*",
                "dynamodb:GetItem on arn:aws:dynamodb:*:*:table/t/index/i for A#*",
                "dynamodb:GetItem on arn:aws:dynamodb:*:*:table/t/index/i for B#*",
            ]
        );
    }

    #[test]
    fn a_boundary_bounds() {
        let boundary = Statement {
            actions: vec!["dynamodb:GetItem".to_owned()],
            resources: vec!["*".to_owned()],
            keys: Vec::new(),
            needs_keys: false,
        };
        let policy = Policy::new(vec![statement("dynamodb:*", &["A#*"])], Some(vec![boundary]));
        assert!(policy.allows(&request("dynamodb:GetItem", &["A#1"])));
        assert!(!policy.allows(&request("dynamodb:DeleteItem", &["A#1"])));
    }

    #[test]
    fn principals_are_separate_and_end() {
        let principals = Arc::new(Principals::default());
        let policy = Arc::default();
        let (end, goes_on) = (CancellationToken::new(), CancellationToken::new());
        let (one, other) = (principals.issue("One", &policy, end.clone()), principals.issue("Other", &policy, goes_on.clone()));
        principals.record(one.access_key(), |usage| usage.add_call("Query", 0.5));
        principals.record(one.access_key(), |usage| usage.add_call("TransactWriteItems", 6.0));
        principals.record("stranger", |usage| usage.add_call("Query", 1.0));

        assert_eq!(principals.identity(one.access_key()).0, "arn:aws:sts::000000000000:assumed-role/One/One");
        assert_eq!(principals.identity("stranger").0, "arn:aws:iam::000000000000:root");

        let usage = one.take_usage();
        assert_eq!(usage.operations, ["Query", "TransactWriteItems"]);
        assert_eq!((usage.read_units, usage.write_units), (0.5, 6.0));
        assert_eq!(one.take_usage(), Usage::default());
        assert_eq!(other.take_usage(), Usage::default());

        principals.end(one.access_key());
        assert!(end.is_cancelled() && !goes_on.is_cancelled());

        drop((one, other));
        assert!(principals.lock().is_empty());
    }
}
