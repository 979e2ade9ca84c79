//! Running other programs: the command line is shown, failure is a value, and nothing runs for ever.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Shows the command, runs it with our own output streams, and says whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    eprintln!("$ {}", line(command));
    let status = command.status().with_context(|| format!("cannot start `{}`", line(command)))?;
    Ok(status.success())
}

/// Shows the command, runs it, and shows what it prints while it prints it; returns how it ended and all it printed, both streams in one.
pub(crate) fn shown(command: &mut Command) -> Result<(ExitStatus, String)> {
    say!("$ {}", line(command));
    let (mut reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", line(command)))?;
    // The command keeps copies of the pipe's writing end; the reader would wait for them for ever.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (mut printed, mut part) = (Vec::new(), [0; 1 << 12]);
    loop {
        let length = reader.read(&mut part)?;
        if length == 0 {
            break;
        }
        // A reader of ours that has gone away is no reason to stop.
        let mut out = io::stdout().lock();
        let _ = out.write_all(&part[..length]).and_then(|()| out.flush());
        printed.extend_from_slice(&part[..length]);
    }
    Ok((child.wait()?, String::from_utf8_lossy(&printed).into_owned()))
}

/// Runs a command quietly and returns its standard output; an unsuccessful end is an error that carries standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", line(command), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a command starts and succeeds; its output is thrown away. For asking "is this installed?".
pub(crate) fn is_available(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// How a command with a time limit ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It ended by itself.
    Status(ExitStatus),
    /// It was killed, with everything it had started, because its time was up.
    TimedOut,
}

/// Runs a command in a process group of its own for at most `limit` and returns how it ended and all it printed.
pub(crate) fn run_for(command: &mut Command, limit: Duration) -> Result<(Ended, String)> {
    let (mut reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", line(command)))?;
    // The command keeps copies of the pipe's writing end; the reader would wait for them for ever.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let collector = std::thread::spawn(move || {
        let mut printed = Vec::new();
        let _ = reader.read_to_end(&mut printed);
        String::from_utf8_lossy(&printed).into_owned()
    });
    let deadline = Instant::now() + limit;
    let ended = loop {
        if let Some(status) = child.try_wait()? {
            break Ended::Status(status);
        }
        if Instant::now() >= deadline {
            // A negative id names the whole group, so that processes the test has started end too.
            let group = format!("-{}", child.id());
            is_available(Command::new("kill").args(["-KILL", "--", &group]));
            child.wait()?;
            break Ended::TimedOut;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let printed = collector.join().unwrap_or_default();
    Ok((ended, printed))
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!("{}={}", name.display(), quoted(&value.to_string_lossy())));
        }
    }
    let program = command.get_program().to_string_lossy();
    // Cargo gives us its own full path, which nobody would type.
    words.push(if program.ends_with("/bin/cargo") { "cargo".to_owned() } else { quoted(&program) });
    words.extend(command.get_args().map(|argument| quoted(&argument.to_string_lossy())));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,@+%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_runs_too_long_is_killed_with_what_it_started() {
        let started = Instant::now();
        // The inner sleep holds the pipe open; if only the shell died, reading to the end would take the full minute.
        let mut command = Command::new("sh");
        command.args(["-c", "echo begun; sleep 60 & wait"]);
        let (ended, printed) = run_for(&mut command, Duration::from_millis(300)).expect("sh starts");
        assert!(matches!(ended, Ended::TimedOut));
        assert_eq!(printed, "begun\n");
        assert!(started.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn both_streams_and_the_exit_status_come_back() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 7"]);
        let (ended, printed) = run_for(&mut command, Duration::from_secs(30)).expect("sh starts");
        let Ended::Status(status) = ended else { panic!("it ends by itself") };
        assert_eq!(status.code(), Some(7));
        assert_eq!(printed, "out\nerr\n");
    }

    #[test]
    fn what_is_shown_comes_back_too() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let (status, printed) = shown(&mut command).expect("sh starts");
        assert_eq!((status.code(), printed.as_str()), (Some(3), "out\nerr\n"));
    }

    #[test]
    fn a_failing_command_is_an_error_that_carries_its_words() {
        let error = output(Command::new("sh").args(["-c", "echo broken >&2; exit 1"])).expect_err("it fails");
        assert!(error.to_string().contains("broken"), "{error}");
        assert_eq!(output(Command::new("echo").arg("fine")).expect("it succeeds"), "fine\n");
    }

    #[test]
    fn the_line_shown_can_be_typed() {
        let mut command = Command::new("cargo");
        command.env("RUSTFLAGS", "--cfg loom").args(["test", "it's", "a=b"]);
        assert_eq!(line(&command), r"RUSTFLAGS='--cfg loom' cargo test 'it'\''s' a=b");
    }
}
