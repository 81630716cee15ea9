//! The binary: flags in, exit code out.

use std::process::ExitCode;

use external_ips::args::{Cli, Command};
use external_ips::{logging, process};

fn main() -> ExitCode {
    let cli = Cli::from_command_line();
    match cli.command {
        Command::Version => version(),
        Command::Run(arguments) => run(*arguments),
    }
}
