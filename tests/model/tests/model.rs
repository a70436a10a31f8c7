//! The model as it is has no state that it must not have, and a model with a fault has one.

use model::{faults::Fault, scopes, visit};

#[test]
fn every_state_is_visited_and_sound() {
    for scope in scopes::small() {
        let visit = visit::all_of(&scope);
        println!("{}: {} states, {} deep, {:.1} s", scope.name, visit.states, visit.depth, visit.took.as_secs_f64());
        assert!(visit.violations.is_empty(), "{}: {:#?}", scope.name, visit.violations);
        assert!(visit.unreached.is_empty(), "{}: {:?}", scope.name, visit.unreached);
        assert!(visit.whole, "{}: something is left to visit", scope.name);
    }
}

#[test]
fn every_planted_fault_is_found() {
    for fault in Fault::ALL {
        let (scope, property) = scopes::planted(fault);
        let sound = visit::all_of(&scope);
        assert!(sound.whole, "{fault:?}: without it: {:#?}", sound.violations);

        let visit = visit::until(property, &scope, fault);
        let found: Vec<_> = visit.violations.iter().map(|(name, _)| *name).collect();
        assert!(found.contains(&property), "{fault:?}: {property} is not violated, but {found:?}");
        println!("{fault:?}: {property}, after {} states", visit.states);
    }
}
