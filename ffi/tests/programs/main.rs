//! Programs in C and C++, built with the compiler that Rust links with, all warnings errors, under AddressSanitizer and UBSan, and once more under valgrind
//! where there is one. Each test is named after its program, whose comments say which rows it claims.

mod build;
mod layout;

use build::{Program, header, library};
use std::process::Command;

#[test]
fn misuse() {
    Program::c("misuse").run();
}

#[test]
fn chip_calls() {
    Program::c("chip_calls").run();
}

#[test]
fn race() {
    Program::c("race").run();
}

#[test]
fn surface() {
    Program::c("surface").kernels().run();
}

#[test]
fn submissions() {
    Program::c("submissions").run();
}

#[test]
fn flush_writer() {
    Program::c("flush_writer").run();
}

#[test]
fn flush_errors() {
    Program::c("flush_errors").run();
}

#[test]
fn flush_sink() {
    Program::c("flush_sink").run();
}

#[test]
fn flush_writer_cpp() {
    Program::cpp("flush_writer_cpp").run();
}

#[test]
fn wrapper() {
    Program::cpp("wrapper").run();
}

#[test]
fn results() {
    Program::cpp("results").flag("-fno-exceptions").run();
}

/// The header lays out every structure as Rust does: the C compiler asserts what Rust says of each field.
#[test]
fn layout() {
    let program = layout::program();
    let header = header();
    let structures = layout::structures(&header);
    assert!(structures.len() >= 24, "{structures:?}");
    for name in structures {
        assert!(program.contains(&format!("sizeof({name})")), "{name} is not looked at");
    }
    Program::text("layout", &program).run();
}

/// The README's example in C++ is built and run like any other.
#[test]
fn readme() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let example = readme.split("```cpp\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let (includes, body): (Vec<_>, Vec<_>) = example.lines().partition(|line| line.starts_with("#include"));
    let checks = "    return report.counts().tasks == 4 && buffer.read<float>()[1023] == 9.0F ? 0 : 1;\n";
    let main =
        format!("int main()\n{{\n    const std::vector<float> values(1024, -3.0F);\n{}\n{checks}}}\n", body.join("\n"));
    Program::text("readme", &format!("{}\n{main}", includes.join("\n"))).run();
}

/// No function of the header is left out by the program that misuses them.
#[test]
fn every_function_is_misused() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/c/misuse.c")).unwrap();
    let header = header();
    let functions = header
        .split(|character: char| !character.is_ascii_alphanumeric() && !"_(".contains(character))
        .filter_map(|word| word.split_once('(').map(|(name, _)| name))
        .filter(|name| name.starts_with("prewire_"));
    let mut seen = 0;
    for function in functions {
        seen += 1;
        assert!(source.contains(&format!("{function}(")), "{function} is not misused");
    }
    assert!(seen > 50, "{seen} functions were found in the header");
}

/// What a tool of binutils, which come with the compiler, says of the library.
fn told(tool: &str, flags: &[&str]) -> String {
    let output = Command::new(tool).args(flags).arg(library()).output().unwrap();
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Nothing but the functions of the header comes out of the shared library, all of them do, under the name of its binary interface. What it needs of others is looked at
/// where it is installed, by `cargo xtask c`: built with the whole workspace it has codecs beside it that other crates' tests ask for.
#[test]
fn the_library_exports_what_the_header_declares() {
    let symbols = told("nm", &["--dynamic", "--defined-only", "--format=posix"]);
    let exported: Vec<&str> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(exported.iter().all(|name| name.starts_with("prewire_")), "{exported:?}");
    let header = header();
    for name in &exported {
        assert!(header.contains(&format!("{name}(")), "{name} is not declared");
    }
    let version = exported.iter().filter(|name| **name == "prewire_abi_version").count();
    assert!(version == 1 && exported.len() > 50, "{exported:?}");

    let dynamic = told("readelf", &["--dynamic"]);
    let named = |kind: &str| -> Vec<String> {
        let lines = dynamic.lines().filter(|line| line.contains(kind));
        lines.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned())).collect()
    };
    assert_eq!(named("(SONAME)"), [format!("libprewire.so.{}", prewire_ffi::version::PREWIRE_ABI_VERSION)]);
}
