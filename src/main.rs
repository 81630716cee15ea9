//! The binary: flags in, exit code out.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use external_ips::args::{Cli, Command, RunArgs};
use external_ips::clock::SharedClock;
use external_ips::logging;
use external_ips::process;
use external_ips::system::SystemClock;

/// Exit code for a command line that can't be used, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Version => say(&mut std::io::stdout(), &format!("external-ips {}", env!("CARGO_PKG_VERSION")), 0),
        Command::Run(arguments) => run(*arguments),
    }
}

fn run(arguments: RunArgs) -> ExitCode {
    let config = match arguments.config(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(why) => return say(&mut std::io::stderr(), &format!("error: {why}"), USAGE),
    };
    let clock: SharedClock = Arc::new(SystemClock::new());
    let (log, written) = logging::logger(config.log_format, config.log_level, clock.clone(), std::io::stderr());
    if let Err(why) = logging::install_facades(&log) {
        return say(&mut std::io::stderr(), &format!("error: {why}"), 1);
    }
    // One thread: all work is waiting for others, and a second one would only cost memory.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return say(&mut std::io::stderr(), &format!("error: can't start: {why}"), 1),
    };
    let code = runtime.block_on(process::run(config, clock, log));
    // Not waited for: a look-up of a name can take minutes, in a thread that nothing ends.
    runtime.shutdown_background();
    // Waits until all lines are written.
    drop(written);
    code
}

/// A line for the person at the terminal.
fn say(to: &mut dyn Write, line: &str, code: u8) -> ExitCode {
    // Nobody may be reading any more: the exit code says it as well.
    let _ = writeln!(to, "{line}");
    ExitCode::from(code)
}
