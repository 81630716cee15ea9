//! One record is one line and one write.

use std::fmt::Write as _;
use std::io::{self, Write};

/// Collects what a formatter writes until it flushes, then writes that as one line. Control characters within it
/// (what users and servers write ends up in messages) are escaped, so that nobody can forge a line or drive a
/// terminal.
#[derive(Debug)]
pub(super) struct Lines<W> {
    out: W,
    pending: Vec<u8>,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(out: W) -> Lines<W> {
        Lines { out, pending: Vec::new() }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let line = escaped(&String::from_utf8_lossy(&self.pending));
        self.pending.clear();
        self.out.write_all(line.as_bytes())?;
        self.out.flush()
    }
}

/// `text` with its control characters escaped, and the newline that ends it.
fn escaped(text: &str) -> String {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            c if c.is_control() => {
                // Writing to a String can't fail.
                let _ = write!(line, "{}", c.escape_default());
            }
            c => line.push(c),
        }
    }
    line.push('\n');
    line
}
