//! What the tests are tested with. A build with the feature `mutants` can leave out one condition, effect, write or repetition, named
//! by its place in the sources, and `cargo xtask mutants` asks which test notices. In any other build nothing is ever left out, and
//! nothing of this remains.

/// What can be left out at a place.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    Condition,
    Effect,
    Write,
    Retry,
    /// What makes two attempts at one transaction a single one.
    Token,
}

/// Whether this part of what the caller's caller builds is left out.
#[cfg(not(feature = "mutants"))]
pub const fn is_left_out(_: Part) -> bool {
    false
}

/// Whether this part of what the caller's caller builds is left out.
#[cfg(feature = "mutants")]
#[track_caller]
pub fn is_left_out(part: Part) -> bool {
    switch::is_at(part, std::panic::Location::caller())
}

#[cfg(feature = "mutants")]
mod switch {
    use std::{
        collections::HashSet,
        env, fs,
        io::Write as _,
        panic::Location,
        sync::{LazyLock, Mutex},
    };

    use super::Part;

    /// Two files in the folder of the executable: `mutant` names what is left out; `trace`, if it is there, gets every place that this
    /// function comes by.
    struct Switch {
        mutant: Option<String>,
        trace: Option<fs::File>,
        function: String,
        come_by: Mutex<HashSet<String>>,
    }

    static SWITCH: LazyLock<Switch> = LazyLock::new(|| {
        // What `.ci/run` looks for in everything that is to be deployed.
        eprintln!("this function was built with the feature mutants");
        let beside = |name| env::current_exe().ok().map(|executable| executable.with_file_name(name));
        Switch {
            mutant: beside("mutant").and_then(|file| fs::read_to_string(file).ok()),
            trace: beside("trace").and_then(|file| fs::OpenOptions::new().append(true).open(file).ok()),
            function: env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default(),
            come_by: Mutex::default(),
        }
    });

    pub fn is_at(part: Part, place: &Location<'_>) -> bool {
        if SWITCH.mutant.is_none() && SWITCH.trace.is_none() {
            return false;
        }
        let name = format!("{part:?} {place}").to_lowercase();
        if let (Some(mut trace), Ok(mut come_by)) = (SWITCH.trace.as_ref(), SWITCH.come_by.lock())
            && come_by.insert(name.clone())
        {
            // One call per line, so that those of several processes stay apart. A line that is lost only makes a test less likely.
            let _ = trace.write_all(format!("{} {name}\n", SWITCH.function).as_bytes());
        }
        SWITCH.mutant.as_deref().is_some_and(|mutant| mutant.trim() == name)
    }
}
