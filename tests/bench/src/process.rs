//! A function's process: started as Lambda would start it, on one CPU, and asked what it has used.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use emulator::lambda::RUNTIME_API;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

use crate::Result;

/// What is started: a binary, and everything it sees of the machine.
pub struct Program {
    pub name: String,
    /// The function whose work it does.
    pub like: String,
    /// What runs the binary, if it is none but a script.
    pub interpreter: Option<PathBuf>,
    pub binary: PathBuf,
    pub arn: String,
    pub variables: BTreeMap<String, OsString>,
}

pub struct Process {
    child: Child,
    pub started: Instant,
}

impl Process {
    /// `wrapper` is a command that runs the binary, such as `valgrind`; it may be nothing.
    pub fn start(program: &Program, wrapper: &[&OsStr], runtime_api: &str, cpu: Option<usize>) -> Result<Self> {
        let interpreter = program.interpreter.iter().map(|path| path.as_os_str());
        let mut words = wrapper.iter().copied().chain(interpreter).chain([program.binary.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command
            .args(words)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(&program.variables)
            .env(RUNTIME_API, runtime_api)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // A child inherits the CPUs of the thread that starts it.
        let (started, child) = thread::scope(|scope| {
            let start = || -> Result<_> {
                cpu.map(|cpu| pin([cpu])).transpose()?;
                let started = Instant::now();
                Ok((started, command.spawn()))
            };
            scope.spawn(start).join().map_err(|_| "the thread that starts a process panicked")?
        })?;
        let child = child.map_err(|error| format!("{}: {error}", program.binary.display()))?;
        Ok(Self { child, started })
    }

    /// User and system time of all its threads so far, ended ones included.
    pub fn cpu(&self) -> Result<Duration> {
        // Not from /proc/PID/stat, which counts in steps of 10 ms.
        Ok(clock_getcpuclockid(self.pid())?.now()?.into())
    }

    /// The most memory it has had, in KiB.
    pub fn peak_memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak.ok_or_else(|| "no VmHWM in a process's status".into())
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end and waits until it has.
    pub fn terminate(&mut self) -> Result {
        kill(self.pid(), Signal::SIGTERM)?;
        self.child.wait()?;
        Ok(())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The CPU for what is measured, and the others, for everything else; `None` where there is only one.
pub fn division() -> Result<Option<(usize, Vec<usize>)>> {
    let usable = sched_getaffinity(Pid::from_raw(0))?;
    let mut usable: Vec<_> = (0..CpuSet::count()).filter(|cpu| usable.is_set(*cpu).unwrap_or(false)).collect();
    let last = usable.pop();
    Ok(last.filter(|_| !usable.is_empty()).map(|last| (last, usable)))
}

/// Keeps this thread, and all threads and processes that it will start, on these CPUs.
pub fn pin(cpus: impl IntoIterator<Item = usize>) -> Result {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(cpu)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}
