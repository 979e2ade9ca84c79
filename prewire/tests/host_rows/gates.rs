//! A shared library whose loading and unloading can be held in each process: what a worker does at a command, held from outside.

use prewire::host::Callable;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Marks in a folder say that a process is in it, holds there keep it in; a process that is to meet others waits for their marks.
const SOURCE: &str = r#"
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static void place(char *path, size_t bytes, const char *what) {
    snprintf(path, bytes, "%s/%s.%d", FOLDER, what, (int)getpid());
}
static int is_there(const char *what) {
    char path[512];
    place(path, sizeof path, what);
    return access(path, F_OK) == 0;
}
static void mark(const char *what) {
    char path[512];
    place(path, sizeof path, what);
    FILE *file = fopen(path, "a");
    if (file) { fputs("x", file); fclose(file); }
}
static int marks(const char *what) {
    int count = 0;
    DIR *folder = opendir(FOLDER);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) count += strncmp(entry->d_name, what, strlen(what)) == 0;
    if (folder) closedir(folder);
    return count;
}
__attribute__((constructor)) static void load(void) {
    mark("loaded");
    while (is_there("hold-load")) usleep(1000);
    while (is_there("meet") && marks("loaded.") <= marks("meet.")) usleep(1000);
}
__attribute__((destructor)) static void unload(void) {
    mark("unloaded");
    while (is_there("hold-unload")) usleep(1000);
}
struct tensor { uint64_t address; uint64_t start; };
struct call { const struct tensor *tensors; size_t tensor_count; };
int bump(struct call *call) {
    mark("called");
    while (is_there("hold-call")) usleep(1000);
    ((uint64_t *)call->tensors[0].address)[call->tensors[0].start] += 7;
    return 0;
}
int other(struct call *call) { ((uint64_t *)call->tensors[0].address)[call->tensors[0].start] += 100; return 0; }
"#;

/// The library and what its processes do.
pub(crate) struct Gates {
    folder: PathBuf,
}

impl Gates {
    pub(crate) fn new(name: &str) -> Gates {
        let folder = std::env::temp_dir().join(format!("prewire-gates-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let source = folder.join("source.c");
        std::fs::write(&source, SOURCE).expect("the folder can be written");
        let define = format!("-DFOLDER=\"{}\"", folder.display());
        let mut compiler = Command::new("cc");
        let made = compiler.args(["-shared", "-fPIC", &define, "-o"]).arg(folder.join("libgates.so")).arg(&source);
        assert!(made.status().expect("a compiler").success());
        Gates { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.folder.join("libgates.so")
    }

    /// The function that adds seven to the first word of its first tensor.
    pub(crate) fn bump(&self) -> Callable {
        symbol("bump", &self.library(), "bump")
    }

    /// The function that adds a hundred.
    pub(crate) fn other(&self) -> Callable {
        symbol("other", &self.library(), "other")
    }

    fn place(&self, what: &str, pid: i32) -> PathBuf {
        self.folder.join(format!("{what}.{pid}"))
    }

    /// Says something to a process: `hold-load`, `hold-unload`, `hold-call`, `meet`.
    pub(crate) fn set(&self, what: &str, pid: i32) {
        std::fs::write(self.place(what, pid), []).expect("the folder can be written");
    }

    pub(crate) fn clear(&self, what: &str, pid: i32) {
        std::fs::remove_file(self.place(what, pid)).expect("it was set");
    }

    /// How often a process has been there: `loaded`, `unloaded`, `called`.
    pub(crate) fn count(&self, what: &str, pid: i32) -> usize {
        std::fs::read(self.place(what, pid)).map_or(0, |marks| marks.len())
    }

    /// Whether a process has mapped the library.
    pub(crate) fn is_mapped(&self, pid: i32) -> bool {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process is there");
        maps.contains(&*self.library().to_string_lossy())
    }
}

/// Something that is said to a process until this is dropped, also by a test that fails.
pub(crate) struct Held<'g>(&'g Gates, &'static str, i32);

impl Gates {
    /// Says something to a process for a while.
    pub(crate) fn hold(&self, what: &'static str, pid: i32) -> Held<'_> {
        self.set(what, pid);
        Held(self, what, pid)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.clear(self.1, self.2);
    }
}

impl Drop for Gates {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// A symbol of a library.
pub(crate) fn symbol(name: &str, library: &Path, symbol: &str) -> Callable {
    // SAFETY: the library is compiled above and keeps the contract.
    unsafe { Callable::symbol(name, None, library, symbol) }
}
