//! `cargo demo`: shows the main job on this machine, and checks it; or lets random faults loose on it.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use integration::Result;
use integration::demo::{Chaos, Ending, chaos, real, simulated};

/// Shows the main job of ExternalIPs on this machine, and checks it.
///
/// Two replicas of the real daemon run as processes of their own, in a simulated cluster with a simulated AWS: they
/// expose two Services, the leader is killed, the other one takes over, and in the end all is taken back. What is shown
/// is what cluster and account know themselves, and after every change a checker that knows the rules and nothing of
/// the daemon judges it. It needs Rust and a C compiler, nothing else.
#[derive(Debug, Parser)]
#[command(
    name = "cargo demo",
    version,
    bin_name = "cargo demo",
    after_help = "Examples:\n  \
        cargo demo                           # the story; then look around, with kubectl too\n  \
        cargo demo --once                    # the story only\n  \
        cargo demo --chaos                   # what breaks, what holds; until Ctrl-C\n  \
        cargo demo --chaos --once --seed 7   # for a minute; then all must come to rest\n  \
        cargo demo --real                    # on a real kube-apiserver, with moto as AWS\n\n\
        Exits with 0 when all was as it should be, else with 1 and what wasn't.\n\n\
        The first run builds for some minutes. --real needs Go and Python 3 as well, and builds etcd, kube-apiserver \
        and kubectl from their Go modules and an environment with moto: ten minutes, kept in integration/.cache, or \
        where EXTERNAL_IPS_CACHE says. EXTERNAL_IPS_BIN names another daemon to show than the one that is built here."
)]
struct Arguments {
    /// End by itself: with the story, or when chaos has lasted long enough and everything has come to rest
    #[arg(long)]
    once: bool,

    /// Tell the story on a real control plane, with moto in the place of AWS
    #[arg(long, conflicts_with = "chaos")]
    real: bool,

    /// Let random faults loose: calls that are refused, lost, slow or lied to, replicas that are killed, nodes that are
    /// lost or get other addresses, people who edit
    #[arg(long)]
    chaos: bool,

    /// Draw the chaos from this number [default: drawn from the time, and printed]
    #[arg(long, value_name = "NUMBER", requires = "chaos")]
    seed: Option<u64>,

    /// How long the chaos lasts with --once
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "chaos", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nNot as it should be: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let ending = if arguments.once { Ending::AtOnce } else { Ending::OnRequest };
    if arguments.real {
        return tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(real(ending));
    }
    // The checker knows who did what only if one thing happens after the other.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if !arguments.chaos {
        return runtime.block_on(simulated(ending));
    }
    let seed = arguments.seed.unwrap_or_else(drawn);
    runtime.block_on(chaos(Chaos { seed, ending, time: Duration::from_secs(arguments.seconds) }))
}

/// A seed that is short enough to be typed.
fn drawn() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_micros()) + since.as_secs() % 1000 * 1_000_000
}
