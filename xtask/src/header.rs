//! `cargo xtask header`: include/prewire.h out of the sources of `ffi`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::workspace::root;

pub(crate) const USAGE: &str = "\
Writes ffi/include/prewire.h from the sources of the crate `ffi`, with their documentation as comments.

    --check   change nothing; fail if the header is not what the sources say";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let mut check = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("check") => check = true,
            _ => return Err(argument.unexpected().into()),
        }
    }
    let made = generate()?;
    let path = path();
    if !check {
        fs::write(&path, made).with_context(|| format!("cannot write {}", path.display()))?;
        return Ok(Outcome::Passed);
    }
    Ok(Outcome::from_success(is_current(&made)?))
}

/// Where the header is.
pub(crate) fn path() -> PathBuf {
    root().join("ffi/include/prewire.h")
}

/// Whether the header is what the sources say; if not, says where they part and what to run.
pub(crate) fn is_current(made: &str) -> Result<bool> {
    let path = path();
    let kept = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let Some((line, (is, should))) = first_difference(&kept, made) else { return Ok(true) };
    say!("{}:{line}: the header is not what the sources of `ffi` say", path.display());
    say!("  it is      {is}");
    say!("  it must be {should}");
    say!("run `cargo xtask header` and keep what it writes");
    Ok(false)
}

/// The first line in which two texts differ, from 1.
fn first_difference<'a>(kept: &'a str, made: &'a str) -> Option<(usize, (&'a str, &'a str))> {
    if kept == made {
        return None;
    }
    let (mut kept, mut made) = (kept.lines(), made.lines());
    for line in 1.. {
        match (kept.next(), made.next()) {
            (Some(is), Some(should)) if is == should => {}
            (None, None) => return Some((line, ("another end of the last line", ""))),
            (is, should) => return Some((line, (is.unwrap_or("(its end)"), should.unwrap_or("(its end)")))),
        }
    }
    None
}

/// The header as the sources say it.
pub(crate) fn generate() -> Result<String> {
    let folder = root().join("ffi");
    let settings = folder.join("cbindgen.toml");
    let mut config =
        cbindgen::Config::from_file(&settings).map_err(|error| anyhow::anyhow!("{}: {error}", settings.display()))?;
    let trailer =
        fs::read_to_string(folder.join("src/header_trailer.h")).context("cannot read ffi/src/header_trailer.h")?;
    config.after_includes = Some(version_macros());
    config.trailer = Some(trailer);
    let bindings = cbindgen::Builder::new()
        .with_crate(&folder)
        .with_config(config)
        .generate()
        .context("the sources of `ffi` cannot be turned into a header")?;
    let mut bytes = Vec::new();
    bindings.write(&mut bytes);
    let text = String::from_utf8(bytes).context("the header is not UTF-8")?;
    Ok(tidied(&text))
}

/// The version as numbers, for the preprocessor.
fn version_macros() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let name = "PREWIRE_VERSION";
    let part = |part: &str, number: &str| format!("#define {name}_{part} {number}\n");
    let mut text = String::from("\n/** The version of the library that this header is from. */\n");
    for (which, number) in ["MAJOR", "MINOR", "PATCH"].into_iter().zip(version.split(['.', '-'])) {
        text.push_str(&part(which, number));
    }
    text.push_str(&format!("#define {name} \"{version}\"\n"));
    text
}

/// Comments as C programs write them, and no white space at the ends of lines.
fn tidied(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.replace(" * # Safety", " * @par Contract").replace('`', "");
        lines.push(line.trim_end().to_owned());
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_what_the_sources_say() {
        let made = generate().expect("the sources can be read");
        assert!(is_current(&made).expect("there is a header"), "run `cargo xtask header`");
    }

    #[test]
    fn a_changed_signature_is_found() {
        let made = generate().expect("the sources can be read");
        let (before, function) = made.split_once(" prewire_buffer_create(").expect("the function is there");
        let old =
            format!("{before} prewire_buffer_create({}", function.replacen("uint64_t bytes", "uint32_t bytes", 1));
        let (line, (is, should)) = first_difference(&old, &made).expect("they differ");
        assert!(
            line > 1 && is.contains("uint32_t bytes") && should.contains("uint64_t bytes"),
            "{line}: {is} / {should}"
        );
        assert_eq!(first_difference(&made, &made), None);
    }
}
