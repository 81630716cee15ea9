//! The directory of one run's files (logs, keys, databases), and the list of the processes that belong to it.
//!
//! What an earlier process of ours left behind, directories and processes, is removed at the next start.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::cache::Cache;
use crate::children::{signal, started_at};
use crate::error::{Context, Result};

/// A directory of its own under `run/` of the cache, and the processes listed in it.
#[derive(Debug, Clone)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Makes one, after removing those of processes that are gone.
    pub fn create(cache: &Cache, purpose: &str) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let all = cache.root().join("run");
        fs::create_dir_all(&all)?;
        {
            let _lock = cache.lock("run")?;
            remove_left_behind(&all)?;
        }
        let pid = std::process::id();
        let start = started_at(pid).unwrap_or_default();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = all.join(format!("{pid}-{start}-{number}-{purpose}"));
        fs::create_dir_all(&path).context(format!("create {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Lists a process, to be killed by a later run if this one can't.
    pub fn lists(&self, pid: u32) -> Result<()> {
        let mut file = fs::File::options().create(true).append(true).open(self.file("pids"))?;
        writeln!(file, "{pid} {}", started_at(pid).unwrap_or_default())?;
        Ok(())
    }
}

fn remove_left_behind(all: &Path) -> Result<()> {
    for entry in fs::read_dir(all)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('-').map(str::parse::<u64>);
        let (Some(Ok(pid)), Some(Ok(start))) = (parts.next(), parts.next()) else { continue };
        let alive = u32::try_from(pid).ok().and_then(started_at) == Some(start);
        if alive {
            continue;
        }
        kill_listed(&entry.path().join("pids"));
        fs::remove_dir_all(entry.path())?;
    }
    Ok(())
}

/// Kills the listed processes that are still the ones that were listed.
fn kill_listed(list: &Path) {
    for line in fs::read_to_string(list).unwrap_or_default().lines() {
        let Some((pid, start)) = line.split_once(' ') else { continue };
        let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else { continue };
        if start != 0 && started_at(pid) == Some(start) {
            let _ = signal(pid, "KILL");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_a_dead_run_left_is_removed_and_its_processes_are_killed() {
        let scratch = std::env::temp_dir().join(format!("external-ips-run-{}", std::process::id()));
        let cache = Cache::at(&scratch).unwrap();
        let mut orphan = Command::new("sleep").arg("600").spawn().unwrap();
        // A process id with a start that no process of that id has.
        let left = scratch.join("run").join(format!("{}-1-0-left", std::process::id()));
        fs::create_dir_all(&left).unwrap();
        RunDirectory { path: left.clone() }.lists(orphan.id()).unwrap();

        let ours = RunDirectory::create(&cache, "ours").unwrap();
        assert!(!left.exists());
        assert!(!orphan.wait().unwrap().success());

        let next = RunDirectory::create(&cache, "next").unwrap();
        assert!(ours.path().exists() && next.path().exists());
        fs::remove_dir_all(scratch).unwrap();
    }
}
