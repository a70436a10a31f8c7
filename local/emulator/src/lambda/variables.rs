//! The environment variables of a function: what Lambda sets, and the template's.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use time::OffsetDateTime;

use crate::ids;
use crate::names::REGION;
use crate::template::Function;

/// Where the process finds the Runtime API. Not among [`variables`], because it is another one for every process.
pub const RUNTIME_API: &str = "AWS_LAMBDA_RUNTIME_API";

/// The log stream that the process writes to.
pub const LOG_STREAM: &str = "AWS_LAMBDA_LOG_STREAM_NAME";

/// What a function sees of the machine that it runs on, but for the Runtime API, the endpoints of AWS and the `PATH`.
///
/// The template has the last word, as it has on AWS.
pub fn variables(function: &Function, binary: &Path, access_key: &str) -> BTreeMap<String, OsString> {
    let Function { name, memory, variables, log_group, .. } = function;
    let lambda = [
        ("AWS_LAMBDA_FUNCTION_NAME", name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", log_group.clone()),
        (LOG_STREAM, log_stream(function)),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", access_key.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_SESSION_TOKEN", "local".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", "UTC".to_owned()),
    ];
    let task_root = ("LAMBDA_TASK_ROOT".to_owned(), binary.parent().unwrap_or(binary).into());
    let lambda = lambda.into_iter().map(|(variable, value)| (variable.to_owned(), value.into()));
    let own = variables.iter().map(|(variable, value)| (variable.clone(), value.into()));
    lambda.chain([task_root]).chain(own).collect()
}

/// A new environment's stream, such as `2026/11/22/[$LATEST]0123456789abcdef0123456789abcdef`; in a group that others may write to as
/// well, it names the function.
fn log_stream(function: &Function) -> String {
    let owner = if function.log_group.ends_with(&function.name) { "" } else { function.name.as_str() };
    let today = OffsetDateTime::now_utc().date();
    let (year, month, day) = (today.year(), u8::from(today.month()), today.day());
    format!("{year:04}/{month:02}/{day:02}/{owner}[$LATEST]{}", ids::uuid().replace('-', ""))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_template_has_the_last_word() {
        let function = Function {
            id: "F".into(),
            name: "demo-F".into(),
            arn: "arn:aws:lambda:us-east-1:000000000000:function:demo-F".into(),
            binary: "f".into(),
            timeout: Duration::from_secs(3),
            memory: 128,
            variables: BTreeMap::from([("TABLE".to_owned(), "demo-Table".to_owned()), ("TZ".to_owned(), "CET".to_owned())]),
            log_group: "/demo/functions".into(),
            statements: Vec::new(),
            boundary: None,
        };
        let variables = variables(&function, Path::new("/built/f"), "AKIA1");
        for (name, expected) in [
            ("AWS_LAMBDA_FUNCTION_NAME", "demo-F"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/demo/functions"),
            ("AWS_ACCESS_KEY_ID", "AKIA1"),
            ("LAMBDA_TASK_ROOT", "/built"),
            ("TABLE", "demo-Table"),
            ("TZ", "CET"),
        ] {
            assert_eq!(variables[name], expected, "{name}");
        }
        assert!(variables[LOG_STREAM].to_str().unwrap().contains("/demo-F[$LATEST]"), "{:?}", variables[LOG_STREAM]);
    }
}
