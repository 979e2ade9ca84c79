//! What the house rules need to know of a Rust file: its documented functions and its unsafe code, found among tokens, so that strings,
//! comments and the inside of macros cannot mislead.

use std::collections::VecDeque;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};

/// A function, or a call of a macro that makes one, with what its documentation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    /// The modules within the file that surround it, outermost first.
    pub(crate) modules: Vec<String>,
    pub(crate) name: String,
    /// Its doc comments, one line each.
    pub(crate) documentation: String,
    pub(crate) line: usize,
    /// Whether an attribute says that it is a test, or a macro around it may.
    pub(crate) may_be_test: bool,
}

/// The lines on which an `unsafe` block or an `unsafe impl` begins.
pub(crate) fn unsafe_lines(text: &str) -> Result<Vec<usize>> {
    let mut lines = Vec::new();
    collect_unsafe(tokens(text)?, &mut lines);
    Ok(lines)
}

fn collect_unsafe(stream: TokenStream, lines: &mut Vec<usize>) {
    let mut before = None;
    for token in stream {
        if let Some(line) = before.take() {
            let argued = match &token {
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                TokenTree::Ident(ident) => ident == "impl",
                _ => false,
            };
            if argued {
                lines.push(line);
            }
        }
        match token {
            TokenTree::Ident(ident) if ident == "unsafe" => before = Some(ident.span().start().line),
            TokenTree::Group(group) => collect_unsafe(group.stream(), lines),
            _ => {}
        }
    }
}

/// Every path of the file, such as `std::sync::Arc`, with its line, outside of items that carry an attribute which `excludes` says yes to.
/// Attributes are given without their brackets and without white space. The branches of a `use` are paths of their own.
pub(crate) fn paths(text: &str, excludes: impl Fn(&str) -> bool) -> Result<Vec<(String, usize)>> {
    let mut found = Vec::new();
    collect_paths(tokens(text)?, "", &excludes, &mut found);
    Ok(found)
}

fn collect_paths(stream: TokenStream, prefix: &str, excludes: &dyn Fn(&str) -> bool, found: &mut Vec<(String, usize)>) {
    let mut tokens = stream.into_iter().peekable();
    let mut excluded = false;
    let mut after_hash = false;
    while let Some(token) = tokens.next() {
        let is_hash = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
        match token {
            TokenTree::Ident(first) => {
                let line = first.span().start().line;
                let mut path = format!("{prefix}{first}");
                let mut branches = None;
                // A path goes on with two colons and a word; two colons and a brace begin the branches of a `use`.
                while matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':' && punct.spacing() == Spacing::Joint)
                {
                    tokens.next();
                    tokens.next();
                    match tokens.peek() {
                        Some(TokenTree::Ident(word)) => path.push_str(&format!("::{word}")),
                        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                            branches = Some(group.stream())
                        }
                        _ => break,
                    }
                    tokens.next();
                }
                match branches {
                    _ if excluded => {}
                    Some(branches) => collect_paths(branches, &format!("{path}::"), excludes, found),
                    None => found.push((path, line)),
                }
            }
            TokenTree::Group(group) if after_hash => {
                let attribute: String = group.stream().to_string().split_whitespace().collect();
                excluded |= excludes(&attribute);
            }
            TokenTree::Group(group) => {
                if !excluded {
                    collect_paths(group.stream(), "", excludes, found);
                }
                // An item ends with its body.
                excluded &= group.delimiter() != Delimiter::Brace;
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => excluded = false,
            _ => {}
        }
        after_hash = is_hash;
    }
}

/// Every function of the file, those inside macro calls included, and every documented macro call under the first name it is given.
pub(crate) fn functions(text: &str) -> Result<Vec<Function>> {
    let mut search = Search { modules: Vec::new(), macros: 0, found: Vec::new() };
    search.walk(tokens(text)?);
    Ok(search.found)
}

fn tokens(text: &str) -> Result<TokenStream> {
    text.parse().map_err(|error| anyhow!("not Rust: {error}"))
}

/// Where the search for functions is, and what it has found.
struct Search {
    modules: Vec<String>,
    /// How many macro calls surround the place.
    macros: usize,
    found: Vec<Function>,
}

/// What the attributes seen so far say of the item that follows them.
#[derive(Default)]
struct Attributes {
    documentation: String,
    is_test: bool,
}

impl Attributes {
    fn add(&mut self, attribute: TokenStream) {
        self.documentation.push_str(&doc_line(attribute.clone()));
        // `#[test]`, `#[rstest]`, `#[tokio::test]`, `#[test_case(…)]`; not `#[cfg(test)]`, where the word stands inside.
        let words = attribute.into_iter().filter_map(|token| match token {
            TokenTree::Ident(word) => Some(word.to_string()),
            _ => None,
        });
        self.is_test |= words.into_iter().any(|word| word.contains("test"));
    }
}

impl Search {
    fn add(&mut self, name: &Ident, attributes: Attributes, may_be_test: bool) {
        self.found.push(Function {
            modules: self.modules.clone(),
            name: name.to_string(),
            documentation: attributes.documentation,
            line: name.span().start().line,
            may_be_test: may_be_test || attributes.is_test || self.macros > 0,
        });
    }

    fn walk(&mut self, stream: TokenStream) {
        let mut tokens: VecDeque<TokenTree> = stream.into_iter().collect();
        let mut attributes = Attributes::default();
        while let Some(token) = tokens.pop_front() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    if let Some(TokenTree::Group(group)) = tokens.front() {
                        attributes.add(group.stream());
                        tokens.pop_front();
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => attributes = Attributes::default(),
                TokenTree::Ident(keyword) if keyword == "fn" => {
                    if let Some(TokenTree::Ident(name)) = tokens.front() {
                        self.add(name, std::mem::take(&mut attributes), false);
                    }
                }
                TokenTree::Ident(keyword) if keyword == "mod" => {
                    attributes = Attributes::default();
                    if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                        (tokens.front(), tokens.get(1))
                    {
                        self.modules.push(name.to_string());
                        self.walk(body.stream());
                        self.modules.pop();
                        tokens.drain(..2);
                    }
                }
                TokenTree::Ident(_) => {
                    let bang = matches!(tokens.front(), Some(TokenTree::Punct(punct)) if punct.as_char() == '!');
                    if let (true, Some(TokenTree::Group(group))) = (bang, tokens.get(1)) {
                        let inside = group.stream();
                        if let (Some(TokenTree::Ident(name)), false) =
                            (inside.clone().into_iter().next(), attributes.documentation.is_empty())
                        {
                            self.add(&name, std::mem::take(&mut attributes), true);
                        }
                        self.macros += 1;
                        self.walk(inside);
                        self.macros -= 1;
                        tokens.drain(..2);
                        attributes = Attributes::default();
                    }
                }
                TokenTree::Group(group) => {
                    if group.delimiter() == Delimiter::Brace {
                        attributes = Attributes::default();
                    }
                    self.walk(group.stream());
                }
                _ => {}
            }
        }
    }
}

/// The text of `doc = "…"`, followed by a line end; nothing for any other attribute.
fn doc_line(attribute: TokenStream) -> String {
    let mut parts = attribute.into_iter();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(TokenTree::Ident(name)), Some(TokenTree::Punct(_)), Some(TokenTree::Literal(text))) if name == "doc" => {
            format!("{text}\n")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(String, String)> {
        let path = |function: &Function| {
            let mut path = function.modules.clone();
            path.push(function.name.clone());
            path.join("::")
        };
        functions(text)
            .expect("it is Rust")
            .iter()
            .map(|each| (path(each), each.documentation.trim().to_owned()))
            .collect()
    }

    #[test]
    fn a_doc_comment_belongs_to_the_function_below_it_and_to_no_other() {
        let text = "/// One.\n#[test]\nfn first() { let x = 1; }\nfn second() {}\n/// Three.\npub(crate) async fn third() {}\n";
        let found = names(text);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].0, "first");
        assert!(found[0].1.contains("One."));
        assert_eq!(found[1], ("second".to_owned(), String::new()));
        assert!(found[2].1.contains("Three."));
    }

    #[test]
    fn a_doc_comment_on_a_type_or_a_statement_does_not_leak() {
        let text = "/// Type.\nstruct S { a: u8 }\n/// Constant.\nconst C: u8 = 1;\n/// Module.\nmod m { fn f() {} }\nfn g() {}";
        assert_eq!(names(text), [("m::f".to_owned(), String::new()), ("g".to_owned(), String::new())]);
    }

    #[test]
    fn functions_inside_macro_calls_and_documented_calls_are_found() {
        let text = "mod inner {\nproptest! {\n/// In a macro.\n#[test]\nfn by_macro(x in 0..3u8) { }\n}\n}\n\
                    /// A call.\non_both_chips!(by_call, |runtime| { });";
        let found = names(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].0, "inner::by_macro");
        assert!(found[0].1.contains("In a macro."));
        assert_eq!(found[1].0, "by_call");
        assert!(found[1].1.contains("A call."));
    }

    #[test]
    fn a_test_is_told_from_a_function_that_is_none() {
        let text = "fn helper() {}\n#[cfg(test)]\nfn for_tests() {}\n#[test]\nfn one() {}\n#[tokio::test]\nasync fn two() {}\n\
                    #[test]\nfn calls() { m!(x) }\nfn after() {}\nlater! { fn three() {} }\n/// Doc.\nmade!(four);\n";
        let tests: Vec<_> = functions(text)
            .expect("it is Rust")
            .into_iter()
            .filter(|each| each.may_be_test)
            .map(|each| each.name)
            .collect();
        assert_eq!(tests, ["one", "two", "calls", "three", "four"]);
    }

    #[test]
    fn paths_are_found_in_uses_and_in_code_and_not_in_excluded_items() {
        let text = "use std::{fmt, sync::{Arc, atomic::AtomicU32}};\nfn f(x: thread::Id) -> a::B {\n    thread::spawn(|| c);\n}\n\
                    #[cfg(test)]\nmod tests { use d::e; fn g() { h() } }\n#[cfg(test)]\nuse i::j;\nuse k::l;";
        let found = paths(text, |attribute| attribute == "cfg(test)").expect("it is Rust");
        let has = |path: &str, line: usize| found.contains(&(path.to_owned(), line));
        for (path, line) in [("std::fmt", 1), ("std::sync::Arc", 1), ("std::sync::atomic::AtomicU32", 1), ("k::l", 9)] {
            assert!(has(path, line), "{path} in {found:?}");
        }
        assert!(has("thread::Id", 2) && has("a::B", 2) && has("thread::spawn", 3), "{found:?}");
        assert!(!found.iter().any(|(path, _)| ["d::e", "h", "i::j"].contains(&path.as_str())), "{found:?}");
    }

    #[test]
    fn names_in_strings_and_comments_are_not_functions() {
        assert!(names("const T: &str = \"/// CHIP-1\\nfn no() {}\"; // fn nor() {}\n").is_empty());
    }

    #[test]
    fn unsafe_blocks_and_impls_are_found_and_unsafe_functions_are_not() {
        let text = "unsafe fn f() {}\nunsafe impl Send for S {}\nfn g() {\n    unsafe { f() };\n    m!(unsafe { f() });\n}\n\
                    unsafe extern \"C\" { fn h(); }\n#[unsafe(no_mangle)] fn i() {}\n// unsafe { }\nconst T: &str = \"unsafe { }\";";
        assert_eq!(unsafe_lines(text).expect("it is Rust"), [2, 4, 5]);
    }
}
