//! Builds the functions and learns from cargo itself where their binaries are.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{ErrorKind, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use crate::error::{Error, Result};

/// What cargo says it has made: a line of `--message-format json`.
#[derive(Deserialize)]
pub struct Artifact {
    reason: String,
    pub target: Target,
    /// Of a binary or of tests.
    pub executable: Option<PathBuf>,
}

#[derive(Deserialize)]
pub struct Target {
    pub name: String,
    kind: Vec<String>,
}

impl Artifact {
    /// `None` if the line is about something else.
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().filter(|artifact: &Self| artifact.reason == "compiler-artifact")
    }
}

impl Target {
    /// Whether it is of this kind, such as `bin` or `test`.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.iter().any(|its| its == kind)
    }
}

/// Builds every function of the workspace to be tried out here; returns the binaries' paths by their names. Beside this program: what
/// both depend on has the same features then, and is not built twice.
async fn build_here(workspace: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let sources = workspace.join("functions/src/bin");
    let fault = |source| Error::File { path: sources.clone(), source };
    if !sources.is_dir() {
        return Err(Error::NoFunctions { path: sources });
    }
    let mut arguments = ["--package", "functions", "--package", env!("CARGO_PKG_NAME")].map(OsString::from).to_vec();
    for entry in std::fs::read_dir(&sources).map_err(fault)? {
        let source = PathBuf::from(entry.map_err(fault)?.file_name());
        // Editors keep files of their own beside those that they change.
        let name = source
            .file_stem()
            .filter(|name| source.extension() == Some("rs".as_ref()) && !name.as_encoded_bytes().starts_with(b"."));
        arguments.extend(name.into_iter().flat_map(|name| [OsString::from("--bin"), name.to_owned()]));
    }
    build(workspace, arguments).await
}

/// Builds every function, with a profile of its own if one is named.
pub async fn build_functions(workspace: &Path, profile: Option<&str>) -> Result<BTreeMap<String, PathBuf>> {
    match profile {
        None => build_here(workspace).await,
        Some(profile) => build_alone(workspace, "functions", profile, None).await,
    }
}

/// Builds the binaries of one package by itself, so that no feature is there because another package wants it, with a profile and for
/// this machine unless a target is named.
pub async fn build_alone(
    workspace: &Path,
    package: &str,
    profile: &str,
    target: Option<&str>,
) -> Result<BTreeMap<String, PathBuf>> {
    let arguments = ["--bins", "--package", package, "--profile", profile];
    let target = target.into_iter().flat_map(|target| ["--target", target]);
    build(workspace, arguments.into_iter().chain(target).map(OsString::from).collect()).await
}

/// The variables by which `cargo run` tells this program about itself. To build scripts that ask for them, such as ring's, they are a
/// change: almost everything would be built again.
pub fn told_by_cargo() -> impl Iterator<Item = OsString> {
    let told = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    std::env::vars_os().map(|(name, _)| name).filter(move |name| name.to_str().is_some_and(told))
}

async fn build(workspace: &Path, arguments: Vec<OsString>) -> Result<BTreeMap<String, PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let color = if std::io::stderr().is_terminal() { "always" } else { "never" };
    let mut command = Command::new(cargo);
    for name in told_by_cargo() {
        command.env_remove(name);
    }
    let mut child = command
        .args(["build", "--quiet"])
        .args(arguments)
        .args(["--message-format", "json-render-diagnostics", "--color", color])
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| if error.kind() == ErrorKind::NotFound { Error::NoCargo } else { Error::Cargo(error) })?;
    let bar = progress();
    let (binaries, ()) = tokio::join!(follow(child.stdout.take(), &bar), pass_on(child.stderr.take(), &bar));
    let status = child.wait().await.map_err(Error::Cargo)?;
    bar.finish_and_clear();
    if status.success() { Ok(binaries) } else { Err(Error::Build) }
}

/// Only drawn on a terminal.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} built  {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Reads cargo's messages to their end.
async fn follow(output: Option<impl AsyncRead + Unpin>, bar: &ProgressBar) -> BTreeMap<String, PathBuf> {
    let mut binaries = BTreeMap::new();
    let Some(output) = output else {
        return binaries;
    };
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Some(Artifact { target, executable, .. }) = Artifact::read(&line) else { continue };
        bar.inc(1);
        bar.set_message(target.name.clone());
        if let Some(path) = executable
            && target.is("bin")
        {
            binaries.insert(target.name, path);
        }
    }
    binaries
}

/// Shows what cargo has to say, which with `--quiet` is only about faults.
async fn pass_on(output: Option<impl AsyncRead + Unpin>, bar: &ProgressBar) {
    let Some(output) = output else {
        return;
    };
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        bar.suspend(|| eprintln!("{line}"));
    }
}
