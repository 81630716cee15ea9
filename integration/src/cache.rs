//! Where things that are built once live: `integration/.cache`, or the directory in `EXTERNAL_IPS_CACHE`.
//!
//! An entry is keyed by a hash of what it is built from; a lock file makes parallel test processes build it once.
//! It knows nothing of what is built.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

/// The directory of everything that is built once.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Opens (and makes) the directory in `EXTERNAL_IPS_CACHE`, else `integration/.cache`.
    pub fn open() -> Result<Self> {
        let root = match std::env::var_os("EXTERNAL_IPS_CACHE") {
            Some(path) if !path.is_empty() => PathBuf::from(path),
            _ => crate::directory().join(".cache"),
        };
        Self::at(root)
    }

    /// Opens (and makes) a directory of the caller's choice.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root).context(format!("create the cache {}", root.display()))?;
        let root = root.canonicalize()?;
        Ok(Self { root })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of `name` as built from `inputs` (files, and directories with all that is in them). When it
    /// isn't there yet `build` fills it, in its final place (a Python environment can't be moved); a build that fails
    /// or is killed counts as never made. Waits while another process builds the same.
    pub fn built(&self, name: &str, inputs: &[PathBuf], build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let directory = self.root.join(format!("{name}-{:016x}", hash_of(inputs)?));
        let complete = directory.join(".complete");
        if complete.exists() {
            return Ok(directory);
        }
        let _lock = self.lock(name)?;
        if complete.exists() {
            return Ok(directory);
        }
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        build(&directory)?;
        fs::write(&complete, "")?;
        Ok(directory)
    }

    /// Holds the lock `name` until the file is dropped; the system frees it when the process dies.
    pub fn lock(&self, name: &str) -> Result<File> {
        let path = self.root.join(format!("{name}.lock"));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .context(format!("open {}", path.display()))?;
        if file.try_lock().is_err() {
            eprintln!("integration: waiting for another process that holds {}", path.display());
            file.lock().context(format!("lock {}", path.display()))?;
        }
        Ok(file)
    }
}

/// FNV-1a over names and contents: the same on every machine and with every compiler.
fn hash_of(inputs: &[PathBuf]) -> Result<u64> {
    let mut files = Vec::new();
    for input in inputs {
        collect(input, &mut files)?;
    }
    let mut hash = Fnv::new();
    for (name, path) in files {
        hash.write(name.as_bytes());
        hash.write(&[0]);
        hash.write(&fs::read(&path).context(format!("read {}", path.display()))?);
        hash.write(&[0]);
    }
    Ok(hash.0)
}

/// All files at and under `path` in the order of their names, which are relative to it.
fn collect(path: &Path, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !path.is_dir() {
        files.push((name, path.to_owned()));
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        let mut below = Vec::new();
        collect(&entry, &mut below)?;
        files.extend(below.into_iter().map(|(file, path)| (format!("{name}/{file}"), path)));
    }
    Ok(())
}

struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::fail;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("external-ips-cache-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn what_is_built_is_built_once_until_an_input_changes() {
        let scratch = scratch("once");
        let input = scratch.join("input");
        fs::create_dir_all(&input).unwrap();
        fs::write(input.join("a"), "1").unwrap();
        let cache = Cache::at(scratch.join("cache")).unwrap();
        let mut builds = 0;
        let mut build = || {
            cache.built("thing", std::slice::from_ref(&input), |_| {
                builds += 1;
                Ok(())
            })
        };
        let first = build().unwrap();
        assert_eq!(build().unwrap(), first);
        fs::write(input.join("a"), "2").unwrap();
        assert_ne!(build().unwrap(), first);
        assert_eq!(builds, 2);
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn a_build_that_failed_is_made_again() {
        let scratch = scratch("failed");
        let cache = Cache::at(scratch.join("cache")).unwrap();
        let failed = cache.built("thing", &[], |directory| {
            fs::write(directory.join("half"), "").unwrap();
            fail("no")
        });
        assert!(failed.is_err());
        let built = cache.built("thing", &[], |_| Ok(())).unwrap();
        assert!(!built.join("half").exists());
        fs::remove_dir_all(scratch).unwrap();
    }
}
