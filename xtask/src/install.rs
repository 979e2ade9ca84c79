//! `cargo xtask install`: the C library where C and C++ programs find it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use crate::outcome::Outcome;
use crate::process;
use crate::workspace::{Workspace, cargo, root};

pub(crate) const USAGE: &str = "\
Builds the library for C and C++ and puts it, its headers, a pkg-config file and a CMake package below a folder. Other programs then build with
`pkg-config --cflags --libs prewire`, or with `find_package(Prewire)` and the target `Prewire::prewire` (or `Prewire::static`).

    --prefix DIR     the folder, such as /usr/local; it is made where it is missing
    --profile NAME   the profile to build with; release unless said otherwise";

/// The number in the shared library's name: PREWIRE_ABI_VERSION.
const ABI: &str = "1";
/// What a program that links the static library needs besides.
const SYSTEM_LIBRARIES: &str = "-lpthread -ldl -lm -lrt -lgcc_s -lutil";

pub(crate) fn run(mut arguments: lexopt::Parser) -> Result<Outcome> {
    let (mut prefix, mut profile) = (None, "release".to_owned());
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("prefix") => prefix = Some(PathBuf::from(arguments.value()?)),
            Long("profile") => profile = arguments.value()?.string()?,
            _ => return Err(argument.unexpected().into()),
        }
    }
    let Some(prefix) = prefix else { bail!("--prefix DIR says where to install; there is no default") };
    install(&prefix, &profile)?;
    say!("installed in {}", prefix.display());
    Ok(Outcome::Passed)
}

/// Builds and lays out everything.
pub(crate) fn install(prefix: &Path, profile: &str) -> Result<()> {
    if !process::succeeds(cargo().args(["build", "--package", "prewire-ffi", "--lib", "--profile", profile]))? {
        bail!("the library does not build");
    }
    // Cargo calls the folder of its profile `dev` by another name.
    let folder = if profile == "dev" { "debug" } else { profile };
    let built = Workspace::load()?.target().join(folder);
    let prefix = absolute(prefix)?;
    let (include, library) = (prefix.join("include"), prefix.join("lib"));
    for folder in [&include, &library.join("pkgconfig"), &library.join("cmake/Prewire")] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for header in ["prewire.h", "prewire.hpp"] {
        copy(&root().join("ffi/include").join(header), &include.join(header))?;
    }
    let version = env!("CARGO_PKG_VERSION");
    let (real, named) = (format!("libprewire.so.{ABI}.{version}"), format!("libprewire.so.{ABI}"));
    copy(&built.join("libprewire_ffi.so"), &library.join(&real))?;
    link(&real, &library.join(&named))?;
    link(&named, &library.join("libprewire.so"))?;
    copy(&built.join("libprewire_ffi.a"), &library.join("libprewire.a"))?;
    for (template, place) in [
        ("prewire.pc.in", library.join("pkgconfig/prewire.pc")),
        ("PrewireConfig.cmake.in", library.join("cmake/Prewire/PrewireConfig.cmake")),
        ("PrewireConfigVersion.cmake.in", library.join("cmake/Prewire/PrewireConfigVersion.cmake")),
    ] {
        let template = root().join("ffi/packaging").join(template);
        let text = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
        let text =
            text.replace("@VERSION@", version).replace("@SONAME@", &named).replace("@LIBRARIES@", SYSTEM_LIBRARIES);
        fs::write(&place, text).with_context(|| format!("cannot write {}", place.display()))?;
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}

/// Puts a new file in the place of an old one, so that a program that has the old one open keeps it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    remove(to)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn link(name: &str, place: &Path) -> Result<()> {
    remove(place)?;
    std::os::unix::fs::symlink(name, place).with_context(|| format!("cannot link {}", place.display()))
}

fn remove(place: &Path) -> Result<()> {
    match fs::remove_file(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", place.display()))
        }
        _ => Ok(()),
    }
}
