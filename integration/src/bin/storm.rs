//! Random histories, as many as asked for, on all cores; the first that breaks a rule is made short and told.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use clap::Parser;
use integration::sim::points;
use integration::sim::stories::STORIES;
use integration::sim::storm::{History, SEED, Telling, shrink, tell, tell_twice};

/// Each call of a simulated process makes and drops some hundred small things.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// A history that takes longer has no end: a process goes round in circles without a call, and no time passes.
const LONGEST: Duration = Duration::from_secs(120);

#[derive(Parser)]
#[command(
    name = "storm",
    about = "Tells random histories of the daemon in a simulated world, and checks after every change that nothing happens that must never happen",
    long_about = "Tells random histories of the daemon in a simulated world: people, nodes, other controllers, processes \
        that die and faults of all kinds at any moment. After every single change it is checked that nothing happens \
        that must never happen, and at the end that everything is as asked for.\n\n\
        A seed gives one history exactly. One that breaks a rule is made as short as possible and told, with the \
        command that tells it again. Build it with the profile `storm`: it is many times as fast.",
    after_help = "Examples:\n  \
        cargo storm --runs 10000              # that many, from a seed drawn now\n  \
        cargo storm --minutes 30 --seed 1     # as many as fit, from seed 1 on\n  \
        cargo storm --seed 4711 --runs 1 --tell   # this one, told in full\n  \
        cargo storm --seed 4711 --keep 0,3,9      # only these of its happenings\n  \
        cargo storm --points                      # each fault at each call of each story"
)]
struct Cli {
    /// How many histories [default: 1000, or as many as fit into --minutes]
    #[arg(long, value_name = "COUNT")]
    runs: Option<u64>,

    /// Seed of the first one; each further one has the next number [default: drawn from the time, and printed]
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// End after so many minutes
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<f64>,

    /// How many at once [default: as many as there are cores]
    #[arg(long, value_name = "COUNT")]
    jobs: Option<usize>,

    /// Tell one history with these of its happenings only, by number
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',', requires = "seed", conflicts_with_all = ["runs", "minutes"])]
    keep: Vec<usize>,

    /// Print each history as a story; of --points those that break a rule
    #[arg(long)]
    tell: bool,

    /// Tell each history twice, and take any difference for a broken rule
    #[arg(long, conflicts_with_all = ["keep", "points"])]
    twice: bool,

    /// End after so many histories that break a rule; 0: never
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    failures: usize,

    /// Print failing histories as they are
    #[arg(long)]
    no_shrink: bool,

    /// Tell the stories instead, each with a fault of each kind at each of its calls, and a crash at each of its writes
    #[arg(long, conflicts_with_all = ["seed", "minutes", "keep"])]
    points: bool,

    /// Print what the processes logged last, with each story
    #[arg(long)]
    logs: bool,
}

#[derive(Default)]
struct Totals {
    calls: usize,
    faults: usize,
    changes: usize,
    simulated: Duration,
    /// Failing histories by the rules that they break.
    broken: BTreeMap<String, Vec<u64>>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.points {
        return every_point(&cli);
    }
    let seed = cli.seed.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Few digits are easier to say again.
        now.as_millis() as u64 % 1_000_000_000
    });
    if !cli.keep.is_empty() {
        let history = History::of(seed).keeping(&cli.keep);
        let telling = tell(&history, true);
        print_story(&history, &telling, cli.logs);
        return end(telling.broken.is_empty());
    }
    let runs = cli.runs.unwrap_or(if cli.minutes.is_some() { u64::MAX } else { 1000 });
    let until = cli.minutes.map(|minutes| Instant::now() + Duration::from_secs_f64(minutes.clamp(0.0, 1e6) * 60.0));
    let jobs = jobs(&cli);
    println!("histories from seed {seed} on, {jobs} at once");
    let (next, done, failed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicUsize::new(0));
    let totals = Mutex::new(Totals::default());
    let running: Mutex<BTreeMap<u64, (u64, Instant)>> = Mutex::default();
    let running = || running.lock().unwrap_or_else(PoisonError::into_inner);
    let started = Instant::now();
    let enough = || {
        cli.failures > 0 && failed.load(Ordering::Relaxed) >= cli.failures
            || until.is_some_and(|until| Instant::now() >= until)
    };
    let worker = || {
        while !enough() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs {
                break;
            }
            let history = History::of(seed.wrapping_add(number));
            running().insert(number, (history.seed, Instant::now()));
            let telling = if cli.twice { tell_twice(&history) } else { tell(&history, cli.tell) };
            running().remove(&number);
            done.fetch_add(1, Ordering::Relaxed);
            {
                let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
                totals.calls += telling.calls;
                totals.faults += telling.faults;
                totals.changes += telling.changes;
                totals.simulated += telling.simulated;
                if !telling.broken.is_empty() {
                    totals.broken.entry(telling.rules().join(" ")).or_default().push(history.seed);
                }
            }
            if cli.tell {
                print_story(&history, &telling, cli.logs);
            }
            if !telling.broken.is_empty() {
                failed.fetch_add(1, Ordering::Relaxed);
                found(&cli, &history, &telling, number + 1);
            }
        }
    };
    at_once(jobs, worker, || {
        progress(done.load(Ordering::Relaxed), failed.load(Ordering::Relaxed), started.elapsed());
        if let Some((number, (seed, _))) = running().iter().find(|(_, (_, since))| since.elapsed() > LONGEST) {
            // Nothing ends its thread.
            println!("\nhistory {} broke L8: seed {seed}: it comes to no end", number + 1);
            std::process::exit(1);
        }
    });
    let totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (done, seconds) = (done.load(Ordering::Relaxed), started.elapsed().as_secs_f64());
    println!(
        "{done} histories in {seconds:.0} s ({:.0} a second): {:.1} days of simulated time, {} calls, {} faults, {} changes judged",
        done as f64 / seconds.max(0.001),
        totals.simulated.as_secs_f64() / 86400.0,
        totals.calls,
        totals.faults,
        totals.changes
    );
    for (rules, seeds) in &totals.broken {
        let shown: Vec<String> = seeds.iter().take(8).map(u64::to_string).collect();
        println!("broken: {rules}: {} histories, seeds {}", seeds.len(), shown.join(" "));
    }
    if totals.broken.is_empty() {
        println!("no rule was broken");
    }
    end(totals.broken.is_empty())
}

/// Every crash point and every error point of every story.
fn every_point(cli: &Cli) -> ExitCode {
    let mut work = Vec::new();
    for story in STORIES {
        let usual = match points::tell(story, None) {
            Ok(told) if told.broken.is_empty() => Arc::new(told),
            Ok(told) => {
                println!("{}: {}", story.name, told.broken.join("\n"));
                return end(false);
            }
            Err(error) => {
                println!("{}: {error}", story.name);
                return end(false);
            }
        };
        let mishaps = points::crashes(&usual).into_iter().chain(points::errors(&usual));
        work.extend(mishaps.map(|mishap| (story, Arc::clone(&usual), mishap)));
    }
    let jobs = jobs(cli);
    println!("{} points of {} stories, {jobs} at once", work.len(), STORIES.len());
    let (next, done, failed) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicUsize::new(0));
    let started = Instant::now();
    let worker = || {
        while let Some((story, usual, mishap)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let broken = points::judge(story, usual, mishap);
            done.fetch_add(1, Ordering::Relaxed);
            if !broken.is_empty() {
                failed.fetch_add(1, Ordering::Relaxed);
                let happened = match cli.tell.then(|| points::tell(story, Some(mishap))) {
                    Some(Ok(told)) => told.story.join("\n") + "\n",
                    _ => String::new(),
                };
                println!("\n==== {}, {mishap:?}\n{happened}---- broken:\n  {}", story.name, broken.join("\n  "));
            }
        }
    };
    at_once(jobs, worker, || progress(done.load(Ordering::Relaxed), failed.load(Ordering::Relaxed), started.elapsed()));
    let failed = failed.into_inner();
    println!("{} points in {:.0} s, {failed} broke a rule", work.len(), started.elapsed().as_secs_f64());
    end(failed == 0)
}

fn jobs(cli: &Cli) -> usize {
    cli.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from)).max(1)
}

/// Runs so many workers to their ends, and tells of progress meanwhile.
fn at_once(jobs: usize, worker: impl Fn() + Sync, progress: impl Fn()) {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(&worker)).collect();
        let mut told = Instant::now();
        while !workers.iter().all(|worker| worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(50));
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                progress();
            }
        }
    });
}

fn end(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn progress(done: u64, failed: usize, took: Duration) {
    let rate = done as f64 / took.as_secs_f64().max(0.001);
    let line = format!("{done} histories, {rate:.0} a second, {failed} broke a rule");
    let mut out = std::io::stderr().lock();
    // Nobody is left to be told when this fails.
    let _ = if out.is_terminal() { write!(out, "\r{line}  ") } else { writeln!(out, "{line}") };
    let _ = out.flush();
}

fn found(cli: &Cli, history: &History, telling: &Telling, number: u64) {
    let rule = telling.rules().first().copied().unwrap_or_default();
    println!("\nhistory {number} broke {}: {}", telling.rules().join(" "), history.title());
    // Whether a shorter one differs is decided by chance, too.
    if cli.no_shrink || rule == SEED {
        for one in telling.broken.iter().take(5) {
            println!("  {one}");
        }
        return;
    }
    let (short, telling) = shrink(history, rule, 300, |left| eprint!("\rmaking it shorter: {left} happenings left   "));
    eprintln!();
    print_story(&short, &telling, cli.logs);
}

fn print_story(history: &History, telling: &Telling, logs: bool) {
    println!("==== {}", history.title());
    for line in &telling.story {
        println!("{line}");
    }
    if logs {
        println!("---- logged:");
        telling.logged.iter().for_each(|line| println!("{line}"));
    }
    if telling.broken.is_empty() {
        println!("---- no rule was broken");
    } else {
        println!("---- broken:");
    }
    for one in &telling.broken {
        println!("{one}");
    }
    let kept: Vec<String> = history.kept().iter().map(usize::to_string).collect();
    println!("---- tell it again: cargo storm --seed {} --keep {}", history.seed, kept.join(","));
}
