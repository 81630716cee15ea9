//! `cargo demo`: shows the main job on this machine, and checks it.

use std::process::ExitCode;

use clap::Parser;
use integration::demo::{Ending, run};

/// Shows the main job of ExternalIPs on this machine: a real control plane, an emulated AWS, two replicas as
/// processes of their own; exposure, death of the leader, take-over, withdrawal. What it shows is read back from the
/// API server and from AWS, and compared with what it should be.
///
/// The first run builds etcd, kube-apiserver and kubectl from their Go modules, which takes some minutes, and a Python
/// environment with moto; both are kept in integration/.cache, or where EXTERNAL_IPS_CACHE says. It needs Rust, Go,
/// Python 3 and a C compiler.
#[derive(Debug, Parser)]
#[command(name = "cargo demo", version)]
struct Arguments {
    /// End with the story: with 0 when all of it was as it should be, else with 1 and the difference. Without this it
    /// stays up for you to look around, until Ctrl-C
    #[arg(long)]
    once: bool,
}

#[tokio::main]
#[allow(clippy::print_stderr)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ending = if arguments.once { Ending::AtOnce } else { Ending::OnRequest };
    match run(ending).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nNot as it should be: {why}");
            ExitCode::FAILURE
        }
    }
}
