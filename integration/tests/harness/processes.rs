//! Children, and the daemon's runner.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use integration::children::{Process, started_at, tied_to_us};
use integration::daemon::{Daemon, NewDaemon};
use integration::eventually::{eventually, within};
use integration::{Result, unique};

/// A program in the daemon's place: a script of the shell.
fn stand_in(script: &str) -> Result<Daemon> {
    let path = std::env::temp_dir().join(format!("external-ips-stand-in-{}-{}", std::process::id(), unique()));
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    NewDaemon { name: "stand-in".to_owned(), ..NewDaemon::default() }
        .arg("run")
        .flag("cluster-name", "one")
        .flag("cluster-name", "two")
        .env("OURS", "yes")
        .start_binary(&path)
}

#[tokio::test]
async fn a_daemon_gets_its_arguments_and_no_environment_of_ours() -> Result<()> {
    let daemon = stand_in(r#"echo "{\"msg\":\"args\",\"all\":\"$*\",\"ours\":\"$OURS\",\"cargo\":\"$CARGO\"}""#)?;
    let line = daemon.wait_for_log("its arguments", |line| line.message() == "args").await?;
    assert_eq!(line.text("all"), "run --cluster-name=two");
    assert_eq!(line.text("ours"), "yes");
    assert_eq!(line.text("cargo"), "", "cargo sets it for tests");
    assert_eq!(daemon.end().await?.code(), Some(0));
    assert!(daemon.other_output()?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_daemon_that_ends_instead_of_logging_fails_the_wait_at_once_with_its_last_lines() -> Result<()> {
    let daemon = stand_in("echo 'no credentials' >&2; exit 3")?;
    let error = daemon.wait_for_log("listening", |line| line.message() == "listening").await.unwrap_err();
    assert!(error.message().contains("exit status: 3") && error.message().contains("no credentials"), "{error:?}");
    assert_eq!(daemon.other_output()?, ["no credentials"]);
    Ok(())
}

#[tokio::test]
async fn a_daemon_can_be_terminated_frozen_thawed_and_killed() -> Result<()> {
    let script = r#"trap 'echo "{\"msg\":\"bye\"}"; exit 7' TERM; echo '{"msg":"up"}'
        while :; do echo '{"msg":"tick"}'; sleep 0.01; done"#;
    let daemon = stand_in(script)?;
    daemon.wait_for_log("up", |line| line.message() == "up").await?;
    assert!(daemon.resident_memory()? > 100_000);

    daemon.freeze()?;
    let state = || async { Ok(std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid()))?) };
    eventually("it is stopped", state, |stat| stat.contains(") T ")).await?;
    daemon.terminate()?;
    assert_eq!(daemon.ended()?, None, "one who is frozen doesn't react");
    daemon.thaw()?;
    assert_eq!(daemon.end().await?.code(), Some(7));
    assert!(daemon.logs()?.iter().any(|line| line.message() == "bye"));

    let daemon = stand_in("while :; do sleep 0.01; done")?;
    daemon.kill();
    assert!(!daemon.ended()?.unwrap().success());
    assert!(daemon.terminate().is_err());
    Ok(())
}

#[tokio::test]
async fn a_child_outlives_the_thread_that_asked_for_it() -> Result<()> {
    let asked = std::thread::spawn(|| {
        let mut command = tied_to_us("sleep");
        command.arg("600");
        Process::piped("sleep", command)
    });
    let mut child = asked.join().unwrap()?;
    let ended = within(Duration::from_millis(300), "", || std::future::ready(child.ended()), Option::is_some).await;
    assert!(ended.is_err(), "{ended:?}");
    Ok(())
}

/// The other half of the next test: a process that starts a child and dies without a word.
#[test]
#[ignore = "started by a_child_dies_with_us_however_we_end"]
fn one_who_abandons_a_child() {
    let mut command = tied_to_us("sleep");
    command.arg("600");
    let child = Process::piped("sleep", command).unwrap();
    std::fs::write(std::env::var_os("PID_FILE").unwrap(), child.pid().to_string()).unwrap();
    std::process::abort();
}

#[tokio::test]
async fn a_child_dies_with_us_however_we_end() -> Result<()> {
    if integration::children::find_program("setpriv").is_none() {
        assert!(std::env::var_os("CI").is_none(), "setpriv of util-linux is missing");
        return Ok(());
    }
    let file: PathBuf = std::env::temp_dir().join(format!("external-ips-abandoned-{}", std::process::id()));
    let status = Command::new(std::env::current_exe()?)
        .args(["--ignored", "--exact", "harness::processes::one_who_abandons_a_child"])
        .env("PID_FILE", &file)
        // A child that stays would keep a pipe open.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    assert!(!status.success());
    let pid: u32 = std::fs::read_to_string(&file)?.parse()?;
    std::fs::remove_file(file)?;
    // A zombie until its new parent looks after it.
    let gone = || async {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        Ok(started_at(pid).is_none() || state.contains(") Z "))
    };
    eventually("the child is gone", gone, |gone| *gone).await?;
    Ok(())
}
