//! A process of the daemon in the simulated world: the real composition, on simulated time, that can be killed between
//! any two of its calls, told to stop, or made to stand still.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use clap::Parser as _;
use external_ips::args::{Cli, Command, Config};
use external_ips::daemon;
use slog::{Drain, KV as _, Logger, OwnedKVList, Record, o};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::{Context as _, Result, fail};
use crate::sim::event::{Event, Journal};
use crate::sim::{Random, Stage};

/// What a process of the daemon is given.
pub struct Birth {
    /// Its number: unique in the history, in the order of starts.
    pub number: u32,
    /// Its command line, from `run` on.
    pub arguments: Vec<String>,
    /// Its environment: AWS's settings and keys.
    pub environment: BTreeMap<String, String>,
    /// Its way to the API server, without retries; the second one is for the Lease.
    pub kube: [kube::Client; 2],
    /// Its way to AWS.
    pub aws: aws_api::Transport,
    /// By how many seconds its time of day is wrong.
    pub clock_off: i64,
}

/// Where the lines go that the processes log.
pub type Lines = Arc<dyn Fn(u32, &str) + Send + Sync>;

/// A process of the daemon. Killed when dropped.
pub struct Replica {
    number: u32,
    journal: Journal,
    task: JoinHandle<Result<(), String>>,
    stop: Option<oneshot::Sender<()>>,
    pause: Arc<Mutex<Pause>>,
    doomed: Arc<AtomicBool>,
}

impl Replica {
    /// Starts it. Within a [`tokio::task::LocalSet`], so on one thread: the order of what happens is then decided by the seed alone.
    pub fn start(stage: &Stage, birth: Birth, random: &Random, lines: Lines) -> Result<Replica> {
        let Birth { number, arguments, environment, kube: [kube, lease], aws, clock_off } = birth;
        let config = config(&arguments)?;
        let (stop, stopped) = oneshot::channel();
        let world = daemon::World {
            kube,
            lease,
            aws,
            listener: None,
            aws_settings: aws_api::Settings::load(&environment).context("the daemon's environment")?,
            clock: Arc::new(stage.clock.off_by(clock_off)),
            random: Arc::new(random.fork(&format!("replica {number}"))),
            // A closure that is shown lines leaves nothing half done that a panic could reveal.
            log: Logger::root(ToLines { number, lines: AssertUnwindSafe(lines) }, o!()),
        };
        let pause = Arc::<Mutex<Pause>>::default();
        let work = daemon::run(config, world, async {
            // Dropped without a word: nobody will ever ask it to stop.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        let journal = stage.journal.clone();
        journal.record(Event::Process { replica: number, what: "starts".to_owned() });
        let told = journal.clone();
        let work = Pausable { work: Box::pin(work), pause: Arc::clone(&pause) };
        let task = tokio::task::spawn_local(async move {
            let end = work.await;
            let what = match &end {
                Ok(()) => "ends well".to_owned(),
                Err(why) => format!("ends: {why}"),
            };
            told.record(Event::Process { replica: number, what });
            end
        });
        Ok(Replica { number, journal, task, stop: Some(stop), pause, doomed: Arc::default() })
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// SIGKILL: not one step more.
    pub fn kill(&mut self) {
        if !self.task.is_finished() {
            self.journal.record(Event::Process { replica: self.number, what: "is killed".to_owned() });
        }
        self.task.abort();
    }

    /// SIGTERM: it may finish what it has begun.
    pub fn terminate(&mut self) {
        if let Some(stop) = self.stop.take() {
            self.journal.record(Event::Process { replica: self.number, what: "is told to stop".to_owned() });
            // An error: it has ended already.
            let _ = stop.send(());
        }
    }

    /// SIGSTOP: it stands still and doesn't know.
    pub fn freeze(&self) {
        self.journal.record(Event::Process { replica: self.number, what: "stands still".to_owned() });
        self.pause().frozen = true;
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.journal.record(Event::Process { replica: self.number, what: "goes on".to_owned() });
        let mut pause = self.pause();
        pause.frozen = false;
        if let Some(waker) = pause.waker.take() {
            waker.wake();
        }
    }

    /// What kills it, for whoever decides that in the middle of one of its calls.
    pub fn doom(&self) -> Box<dyn Fn() + Send> {
        let (task, doomed) = (self.task.abort_handle(), Arc::clone(&self.doomed));
        let (journal, number) = (self.journal.clone(), self.number);
        Box::new(move || {
            journal.record(Event::Process { replica: number, what: "is killed".to_owned() });
            doomed.store(true, Ordering::Relaxed);
            task.abort();
        })
    }

    /// Whether it was killed in the middle of a call: it ends when that call is over.
    pub fn is_doomed(&self) -> bool {
        self.doomed.load(Ordering::Relaxed)
    }

    /// Whether it has ended, by itself or not.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for its end; an error says what it ended with. `None`: it was killed, or it panicked.
    pub async fn end(&mut self) -> Option<Result<(), String>> {
        (&mut self.task).await.ok()
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Pause> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config(arguments: &[String]) -> Result<Config> {
    let cli = Cli::try_parse_from(std::iter::once("external-ips".to_owned()).chain(arguments.iter().cloned()));
    match cli.context("the daemon's command line")?.command {
        Command::Run(run) => match run.config(|_| None) {
            Ok(config) => Ok(config),
            Err(why) => fail(format!("the daemon's command line: {why}")),
        },
        Command::Version => fail("a daemon that only says its version"),
    }
}

#[derive(Default)]
struct Pause {
    frozen: bool,
    waker: Option<Waker>,
}

/// Work that can be made to stand still.
struct Pausable<F> {
    work: Pin<Box<F>>,
    pause: Arc<Mutex<Pause>>,
}

impl<F: Future> Future for Pausable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
            pause.waker = Some(context.waker().clone());
            if pause.frozen {
                return Poll::Pending;
            }
        }
        self.work.as_mut().poll(context)
    }
}

/// A drain that makes one line of each record, at once and in order.
struct ToLines {
    number: u32,
    lines: AssertUnwindSafe<Lines>,
}

impl Drain for ToLines {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        let mut line = Line(format!("{} {}", record.level().as_short_str(), record.msg()));
        // Writing to a String doesn't fail.
        let _ = record.kv().serialize(record, &mut line);
        let _ = values.serialize(record, &mut line);
        (self.lines)(self.number, &line.0);
        Ok(())
    }
}

struct Line(String);

impl slog::Serializer for Line {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        let _ = write!(self.0, ", {key}: {value}");
        Ok(())
    }
}
