//! Kernels from shared libraries.

use crate::rig::{Rig, chip, payload};
use prewire_platform_sim::{Engine, KernelLibrary, LibraryError};
use prewire_runtime_core::chip::CoreKind;
use prewire_runtime_core::id::CoreId;
use prewire_runtime_core::platform::{BlockFailure, DispatchPayload};
use std::path::PathBuf;
use std::process::Command;

/// A kernel that adds its scalars up into the text and fails with their sum.
const SOURCE: &str = r#"
    #include <stddef.h>
    #include <stdint.h>
    #include <stdio.h>
    struct call {
        const void *tensors; size_t tensor_count; const uint64_t *scalars; size_t scalar_count;
        uint32_t block_index, block_count, part; void *user; char *text; size_t text_bytes;
    };
    int add_up(struct call *call) {
        uint64_t sum = 0;
        for (size_t i = 0; i < call->scalar_count; i++) sum += call->scalars[i];
        if (sum == 0) return 0;
        snprintf(call->text, call->text_bytes, "the sum is %llu", (unsigned long long)sum);
        return (int)sum;
    }
"#;

/// Compiles the source with the C compiler that Rust links with, into a folder of this test's own.
fn library() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("kernel-library-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (source, library) = (folder.join("kernels.c"), folder.join("libkernels.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status().unwrap();
    assert!(compiled.success(), "the C compiler that links Rust programs compiles this too");
    library
}

#[test]
fn a_symbol_of_a_shared_library_is_a_kernel() {
    let path = library();
    // SAFETY: the library was compiled above and has no initialisation code.
    let library = unsafe { KernelLibrary::open(&path) }.unwrap();
    // SAFETY: the function takes a call, and no user pointer.
    let kernel = unsafe { library.kernel("add_up", Some(CoreKind::Vector), std::ptr::null_mut()) }.unwrap();
    assert_eq!((kernel.name.as_str(), kernel.kind), ("add_up", Some(CoreKind::Vector)));

    // SAFETY: as above; nothing of that name is called.
    let missing = unsafe { library.kernel("subtract_up", None, std::ptr::null_mut()) }.unwrap_err();
    let text = missing.to_string();
    assert!(text.contains("subtract_up") && text.contains("libkernels.so"), "{text}");
    assert!(matches!(missing, LibraryError::NoSymbol { .. }));

    // The kernel keeps its library loaded.
    drop(library);
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let mut rig = Rig::new(chip(1), Engine::Inline, vec![kernel]);
    for scalars in [[0_u64, 0], [20, 22]] {
        let block = DispatchPayload { scalars: scalars.as_ptr(), scalar_count: 2, ..payload(CoreId(1), 0, 1) };
        let failure = BlockFailure { code: 42, text: "the sum is 42".to_owned() };
        assert_eq!(rig.run(&block), if scalars[0] == 0 { Ok(()) } else { Err(failure) });
    }
}

#[test]
fn a_missing_library_is_named() {
    // SAFETY: there is nothing to initialise.
    let error = unsafe { KernelLibrary::open("/nowhere/libabsent.so") }.unwrap_err();
    assert!(matches!(error, LibraryError::NotOpened { .. }));
    assert!(error.to_string().contains("/nowhere/libabsent.so"), "{error}");
}
