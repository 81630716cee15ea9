//! Child processes that never outlive the test process.
//!
//! Three nets: `setpriv --pdeathsig KILL` (util-linux) kills them with their parent however it ends, dropping
//! [`Process`] kills them, and what still slipped through (no `setpriv`) is killed at the next start from the list in
//! its run directory ([`crate::run_directory`]).

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, OnceLock};

use crate::error::{Context, Result, fail};

/// A running child, killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: Option<PathBuf>,
}

/// A command that dies with this process. Its environment is what the caller adds and `PATH` and `HOME`.
pub fn tied_to_us(program: impl AsRef<OsStr>) -> Command {
    let mut command = match setpriv() {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            // Who dies before setpriv has run is missed by the signal: the child then finds another parent and ends.
            command.args(["--pdeathsig", "KILL", "--", "sh", "-c", "[ \"$PPID\" = \"$0\" ] && exec \"$@\""]);
            command.arg(std::process::id().to_string()).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.env_clear().stdin(Stdio::null());
    for kept in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    command
}

/// The path of `program`, when it is in `PATH`.
pub fn find_program(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|path| path.join(program)).find(|path| path.is_file())
}

fn setpriv() -> Option<&'static Path> {
    static SETPRIV: LazyLock<Option<PathBuf>> = LazyLock::new(|| find_program("setpriv"));
    SETPRIV.as_deref()
}

type Order = (Command, Sender<std::io::Result<Child>>);

/// Starts a child from a thread that lives as long as this process: the death signal follows the *thread* that
/// started the child, and a test's thread ends before the process does.
fn start(command: Command) -> Result<Child> {
    static THREAD: OnceLock<Sender<Order>> = OnceLock::new();
    let thread = THREAD.get_or_init(|| {
        let (orders, received) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let program = command.get_program().to_string_lossy().into_owned();
    let (answer, child) = channel();
    thread.send((command, answer)).context("the thread that starts children is gone")?;
    child.recv()?.context(format!("start {program}"))
}

impl Process {
    /// Starts `command` with its output in the file `log`.
    pub fn logging_to(name: &str, mut command: Command, log: PathBuf) -> Result<Self> {
        let file = File::create(&log).context(format!("create {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        Ok(Self { child: start(command)?, name: name.to_owned(), log: Some(log) })
    }

    /// Starts `command` with the pipes that it asks for; they are in [`Self::child`].
    pub fn piped(name: &str, command: Command) -> Result<Self> {
        Ok(Self { child: start(command)?, name: name.to_owned(), log: None })
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, when it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails with the end of its log when it has ended.
    pub fn still_running(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => fail(format!("{} ended ({status}): {}", self.name, self.last_lines())),
        }
    }

    /// The last lines of its log.
    pub fn last_lines(&self) -> String {
        let Some(log) = &self.log else { return String::new() };
        let text = std::fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Sends the signal `name` (as the command `kill` takes it: `TERM`, `STOP`, `CONT`).
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.pid(), name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to one process by the command `kill`: the crate has no unsafe code, so no libc.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { fail(format!("kill -{name} {pid}: {status}")) }
}

/// When a process started, in clock ticks since boot: with its id it names one process for good. `None`: no such one.
pub fn started_at(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the name, may hold blanks and brackets; the 22nd is the 20th after it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
