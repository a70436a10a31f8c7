//! Visits every state of a scope.

use std::{
    num::NonZero,
    thread,
    time::{Duration, Instant},
};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::{faults::Fault, protocol::Shop, scopes::Scope};

/// What a visit came to.
#[derive(Debug)]
pub struct Visit {
    /// Unique ones, told apart by 64 bits of hash.
    pub states: usize,
    pub depth: usize,
    pub took: Duration,
    /// Properties that do not hold, each with what led there.
    pub violations: Vec<(&'static str, Vec<String>)>,
    /// What was to be reached, and was not.
    pub unreached: Vec<&'static str>,
    /// Whether nothing was left to visit.
    pub whole: bool,
}

/// All of a scope, as it is meant to be.
pub fn all_of(scope: &Scope) -> Visit {
    let began = Instant::now();
    let shop = Shop { scope: scope.clone(), fault: None };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    // Until every state is visited: it stops at the first violation.
    let checker = shop.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
    report(&checker, began)
}

/// A scope with a fault in it, until the property is violated, by as few steps as it takes.
pub fn until(property: &'static str, scope: &Scope, fault: Fault) -> Visit {
    let began = Instant::now();
    let shop = Shop { scope: scope.clone(), fault: Some(fault) };
    let found = HasDiscoveries::AnyOf([property].into());
    report(&shop.checker().finish_when(found).spawn_bfs().join(), began)
}

fn report(checker: &impl Checker<Shop>, began: Instant) -> Visit {
    let discoveries = checker.discoveries();
    let properties = checker.model().properties();
    let is_failure = |name: &str| properties.iter().any(|its| its.name == name && its.expectation != Expectation::Sometimes);
    let unreached = properties
        .iter()
        .filter(|property| property.expectation == Expectation::Sometimes && !discoveries.contains_key(property.name))
        .map(|property| property.name)
        .collect();
    let violations: Vec<_> = discoveries
        .into_iter()
        .filter(|(name, _)| is_failure(name))
        .map(|(name, path)| (name, path.into_actions().into_iter().map(|action| format!("{action:?}")).collect()))
        .collect();
    Visit {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        whole: checker.is_done() && violations.is_empty(),
        violations,
        unreached,
    }
}
