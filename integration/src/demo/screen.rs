//! What the person who watches sees: lines one after the other, and below them, on a terminal, a few that are drawn
//! anew.

use std::io::{IsTerminal, Write};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// The terminal, or what stands in its place.
#[derive(Default)]
struct Screen {
    /// What is drawn at the bottom now.
    footer: Vec<String>,
}

static SCREEN: LazyLock<Mutex<Screen>> = LazyLock::new(Mutex::default);

fn screen() -> MutexGuard<'static, Screen> {
    SCREEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a person looks: then what stands at the bottom can be drawn anew.
pub(super) fn is_live() -> bool {
    static LIVE: LazyLock<bool> = LazyLock::new(|| {
        std::io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|terminal| terminal != "dumb")
    });
    *LIVE
}

/// A line for the person who watches.
pub(super) fn say(line: &str) {
    let screen = screen();
    write(&format!("{}{line}\n{}", up(&screen.footer), drawn(&screen.footer)));
}

/// Draws lines at the bottom, in the place of those that were there. Does nothing where nobody looks.
pub(super) fn footer(lines: Vec<String>) {
    if !is_live() {
        return;
    }
    let mut screen = screen();
    if screen.footer == lines {
        return;
    }
    write(&format!("{}{}", up(&screen.footer), drawn(&lines)));
    screen.footer = lines;
}

/// Back to where the footer begins, and all below it erased.
fn up(footer: &[String]) -> String {
    if footer.is_empty() { String::new() } else { format!("\x1b[{}A\r\x1b[J", footer.len()) }
}

/// The footer: a line that is too long is cut off rather than broken, so that as many lines are there as were written.
fn drawn(footer: &[String]) -> String {
    if footer.is_empty() { String::new() } else { format!("\x1b[?7l{}\n\x1b[?7h", footer.join("\n")) }
}

/// Whoever has closed the other end of a pipe wants no more.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
