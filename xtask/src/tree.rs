//! The files of the repository, as git sees them: tracked ones and new ones that are not ignored.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// One text file, with its path from the root written with forward slashes.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// The part of the name after the last dot, or nothing.
    pub(crate) fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or("");
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// Every text file under `root` that git tracks or would track; where git knows nothing of the folder, as in an unpacked archive, every text
/// file outside of build folders. Files that are not UTF-8 are left out: they hold data, not prose or code.
pub(crate) fn files(root: &Path) -> Result<Vec<File>> {
    let listing = process::output(Command::new("git").current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
    ]));
    let paths: Vec<String> = match listing {
        Ok(listing) => listing.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect(),
        Err(error) => {
            eprintln!("note: git does not list the files here, so all are looked at ({error:#})");
            let mut paths = Vec::new();
            walk(root, "", &mut paths)?;
            paths
        }
    };
    let mut files = Vec::new();
    for path in paths {
        let full = root.join(&path);
        // A tracked file that was deleted and not yet committed is still listed.
        if !full.is_file() {
            continue;
        }
        let bytes = fs::read(&full).with_context(|| format!("cannot read {}", full.display()))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path, text });
        }
    }
    Ok(files)
}

/// Adds the paths of all files below `root`/`folder`, sorted, without what git and cargo keep for themselves.
fn walk(root: &Path, folder: &str, paths: &mut Vec<String>) -> Result<()> {
    let mut names = Vec::new();
    for entry in
        fs::read_dir(root.join(folder)).with_context(|| format!("cannot read {}", root.join(folder).display()))?
    {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for name in names.into_iter().filter(|name| name != ".git" && name != "target") {
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let full = root.join(&path);
        if full.is_dir() && !full.is_symlink() {
            walk(root, &path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_without_git_is_walked_and_build_folders_are_not() {
        let root = std::env::temp_dir().join(format!("prewire-xtask-tree-{}", std::process::id()));
        for folder in ["a/b", "target/debug", ".ci"] {
            fs::create_dir_all(root.join(folder)).expect("the temporary folder can be written");
        }
        for path in ["a/b/c.rs", "a/d.md", "target/debug/e.rs", ".ci/run"] {
            fs::write(root.join(path), "text\n").expect("the temporary folder can be written");
        }
        fs::write(root.join("a/data"), [0xff, 0xfe]).expect("the temporary folder can be written");
        let found = files(&root).expect("it can be read");
        fs::remove_dir_all(&root).expect("it can be removed");
        assert_eq!(found.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), [".ci/run", "a/b/c.rs", "a/d.md"]);
        assert_eq!(found.iter().map(File::extension).collect::<Vec<_>>(), ["", "rs", "md"]);
    }
}
