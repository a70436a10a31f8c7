//! What the figures were taken on.

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::{Bench, Result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    rustc: String,
    commit: String,
}

impl Machine {
    pub fn this(bench: &Bench) -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let said = |program: &str, arguments: &[&str]| -> Option<String> {
            let output = Command::new(program).args(arguments).current_dir(&bench.workspace).output().ok()?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
        };
        Ok(Self {
            // Arm's kernels name no model.
            cpu: model.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism()?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            rustc: said("rustc", &["--version"]).unwrap_or_else(|| "unknown".into()),
            commit: said("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".into()),
        })
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, kernel, rustc, commit } = self;
        write!(f, "{cpu}, {cores} cores, Linux {kernel}, {rustc}, commit {commit}")
    }
}
