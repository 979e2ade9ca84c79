//! Programs in C and C++, built with the compiler that Rust links with, all warnings errors, under AddressSanitizer and UBSan, and once more under valgrind
//! where there is one. Each test is named after its program, whose comments say which rows it claims.

mod build;

use build::{Program, header};

#[test]
fn misuse() {
    Program::c("misuse").run();
}

#[test]
fn chip_calls() {
    Program::c("chip_calls").run();
}

#[test]
fn surface() {
    Program::c("surface").kernels().run();
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
