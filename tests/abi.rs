//! What a linker and a compiler see: the exported symbols, sizes, offsets and numbers, the name of the
//! shared object, and that programs link with either library, and survive unloading.
#![allow(clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{
    Link, NATIVE_STATIC_LIBS, Need, compile, header, library, need, root, run_ok, scratch_dir,
};

/// The promise: what programs may link against. A name that leaves it breaks them.
fn symbols() -> BTreeSet<String> {
    let text =
        fs::read_to_string(root().join("abi/symbols.txt")).expect("abi/symbols.txt is there");
    let listed: Vec<&str> = text.lines().collect();
    assert!(listed.is_sorted(), "abi/symbols.txt is not in order");
    listed.into_iter().map(str::to_owned).collect()
}

fn shared_object() -> PathBuf {
    library().shared_dir.join("libkmsbox.so")
}

fn dynamic_section(file: &Path) -> String {
    run_ok(
        Command::new("readelf")
            .args(["--dynamic", "--wide"])
            .arg(file),
    )
    .stdout
}

#[test]
fn exports_what_is_promised_and_nothing_else() {
    if !need(Need::Nm) {
        return;
    }
    let listing = run_ok(
        Command::new("nm")
            .args(["-D", "--defined-only"])
            .arg(shared_object()),
    )
    .stdout;
    let exported: BTreeSet<String> = listing
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .map(str::to_owned)
        .collect();
    let promised = symbols();
    let missing: Vec<_> = promised.difference(&exported).collect();
    let unlisted: Vec<_> = exported.difference(&promised).collect();
    assert!(
        missing.is_empty() && unlisted.is_empty(),
        "libkmsbox.so does not export what abi/symbols.txt lists\nmissing: {missing:?}\nnot listed: {unlisted:?}"
    );
}

#[test]
fn the_header_declares_what_is_promised() {
    let declared: BTreeSet<String> = header::functions()
        .into_iter()
        .map(|function| function.name)
        .collect();
    assert_eq!(declared, symbols());
}

/// Only lines for what is new may come to abi/layout.txt: a program that was built against an older
/// header has the numbers of that one compiled in.
#[test]
fn sizes_offsets_numbers_and_prototypes_are_what_is_promised() {
    let scratch = scratch_dir();
    let source = scratch.path().join("layout.c");
    fs::write(&source, layout_program()).expect("a scratch directory can be written");
    let program = scratch.path().join("layout");
    compile_alone(&source, &program, &[]);
    let mut layout = run_ok(&mut Command::new(&program)).stdout;
    for function in header::functions() {
        layout.push_str(&format!("{}\n", function.declaration));
    }
    let kept = root().join("abi/layout.txt");
    if std::env::var_os("KMSBOX_UPDATE_ABI").is_some() {
        fs::write(&kept, &layout).expect("abi/layout.txt can be written");
    }
    let promised = fs::read_to_string(&kept).expect("abi/layout.txt is there");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (promised, found) = (lines(&promised), lines(&layout));
    let broken: Vec<_> = promised.difference(&found).collect();
    let unlisted: Vec<_> = found.difference(&promised).collect();
    assert!(
        broken.is_empty(),
        "the header breaks programs that were built before: it no longer has {broken:#?}"
    );
    assert!(
        unlisted.is_empty(),
        "abi/layout.txt lacks {unlisted:#?}\n`KMSBOX_UPDATE_ABI=1 cargo test --test abi` writes it anew"
    );
}

/// A program that tells the size of each type that is not opaque, where its fields lie, and every number
/// that the header defines but the version's.
fn layout_program() -> String {
    let mut program =
        "#include <kmsbox.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n"
            .to_owned();
    let mut tell = |what: &str, value: &str| {
        program.push_str(&format!(
            "printf(\"{what} %lld\\n\", (long long)({value}));\n"
        ));
    };
    let text = header::text();
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['*', '/', '#']))
        .collect();
    let code = code.join(" ");
    let mut structs = 0;
    for after in code.split("typedef struct ").skip(1) {
        let Some((name, fields)) = after.split_once(" {") else {
            continue;
        };
        if name.contains(';') {
            // Opaque: a pointer to it is all that a program has.
            continue;
        }
        structs += 1;
        tell(&format!("{name} size"), &format!("sizeof({name})"));
        let fields = fields.split('}').next().unwrap_or_default();
        for field in fields
            .split(';')
            .map(str::trim)
            .filter(|field| !field.is_empty())
        {
            let declared = field.split('[').next().unwrap_or_default();
            let field = declared.rsplit([' ', '*']).next().unwrap_or_default();
            tell(
                &format!("{name}.{field} offset"),
                &format!("offsetof({name}, {field})"),
            );
            tell(
                &format!("{name}.{field} size"),
                &format!("sizeof((({name} *)0)->{field})"),
            );
        }
    }
    assert!(structs > 0, "the header has structs");
    for name in ["kms_status", "kms_audit_callback"] {
        tell(&format!("{name} size"), &format!("sizeof({name})"));
    }
    for (name, _) in header::defines() {
        if name.starts_with("KMS_") && !name.starts_with("KMS_VERSION") && name != "KMS_MUST_USE" {
            tell(&name, &name);
        }
    }
    program + "return 0;\n}\n"
}

#[test]
fn names_keep_clear_of_other_libraries() {
    // Of libdrm and of libmongocrypt, which a process may have loaded too.
    const NAMES: [&str; 4] = [
        "kms_create",
        "kms_destroy",
        "kms_get_prop",
        "kms_decrypt_request_new",
    ];
    const PREFIXES: [&str; 5] = [
        "kms_bo_",
        "kms_request_",
        "kms_response_",
        "kms_message_",
        "kms_kmip_",
    ];
    for symbol in symbols() {
        assert!(symbol.starts_with("kms_"), "{symbol}");
        assert!(!NAMES.contains(&symbol.as_str()), "{symbol}");
        assert!(
            !PREFIXES.iter().any(|prefix| symbol.starts_with(prefix)),
            "{symbol}"
        );
    }
}

#[test]
fn the_shared_object_says_its_name_and_stays_loaded() {
    if !need(Need::Readelf) {
        return;
    }
    let dynamic = dynamic_section(&shared_object());
    assert!(
        dynamic.contains("Library soname: [libkmsbox.so.0]"),
        "{dynamic}"
    );
    let flags = dynamic
        .lines()
        .find(|line| line.contains("(FLAGS_1)"))
        .unwrap_or_default();
    assert!(flags.contains("NODELETE"), "{dynamic}");
}

#[test]
fn needs_only_the_c_library() {
    if !need(Need::Readelf) {
        return;
    }
    const SYSTEM: [&str; 5] = [
        "libc.so",
        "libgcc_s.so",
        "libm.so",
        "libpthread.so",
        "ld-linux",
    ];
    for line in dynamic_section(&shared_object())
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
    {
        assert!(SYSTEM.iter().any(|name| line.contains(name)), "{line}");
    }
}

#[test]
fn a_c_program_links_the_shared_library() {
    if need(Need::Readelf) {
        let (_scratch, program) = round_trip("c", Link::Shared);
        assert!(dynamic_section(&program).contains("[libkmsbox.so.0]"));
    }
}

#[test]
fn a_c_program_links_the_static_library() {
    if need(Need::Readelf) {
        let (_scratch, program) = round_trip("c", Link::Static);
        assert!(!dynamic_section(&program).contains("libkmsbox"));
    }
}

#[test]
fn a_cxx_program_links_both() {
    if need(Need::Cxx) {
        round_trip("cpp", Link::Shared);
        round_trip("cpp", Link::Static);
    }
}

fn round_trip(language: &str, link: Link) -> (tempfile::TempDir, PathBuf) {
    let scratch = scratch_dir();
    let source = scratch.path().join("roundtrip").with_extension(language);
    fs::copy(root().join("tests/c/roundtrip.c"), &source).expect("the source can be copied");
    let program = scratch.path().join("roundtrip");
    compile(&source, &program, link, &[]);
    assert_eq!(run_ok(&mut Command::new(&program)).stdout, "round trip\n");
    (scratch, program)
}

#[test]
fn loading_and_unloading_is_harmless() {
    let scratch = scratch_dir();
    let program = scratch.path().join("reload");
    compile_alone(&root().join("tests/c/reload.c"), &program, &["-ldl"]);
    assert_eq!(
        run_ok(Command::new(&program).arg(shared_object())).stdout,
        "reloaded\n"
    );
}

/// Compiled against the header alone: this program opens the library by itself.
fn compile_alone(source: &Path, program: &Path, libraries: &[&str]) {
    let mut compiler = support::compiler_for(source);
    compiler
        .args(support::STRICT)
        .args(["-D_DEFAULT_SOURCE", "-g", "-I"])
        .arg(&library().include);
    run_ok(compiler.arg("-o").arg(program).arg(source).args(libraries));
}

#[test]
fn the_release_profile_keeps_the_static_library_linkable() {
    // With LTO both archives would carry the panic runtime; with abort no panic could be caught.
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml is there");
    let release = manifest
        .split_once("[profile.release]")
        .expect("a release profile")
        .1;
    let release = release.split("\n[").next().unwrap_or_default();
    for setting in [
        "lto = false",
        "panic = \"unwind\"",
        "overflow-checks = true",
    ] {
        assert!(
            release.lines().any(|line| line == setting),
            "{setting} is not in\n{release}"
        );
    }
}

#[test]
fn the_libraries_to_name_with_the_static_one_are_known() {
    let scratch = scratch_dir();
    let empty = scratch.path().join("empty.rs");
    fs::write(&empty, "").expect("a scratch directory can be written");
    let mut rustc = support::tool("RUSTC", "rustc");
    rustc.args(["--crate-type=staticlib", "--print=native-static-libs", "-o"]);
    let said = run_ok(rustc.arg(scratch.path().join("libempty.a")).arg(&empty)).stderr;
    let named: Vec<&str> = said
        .lines()
        .find_map(|line| line.strip_prefix("note: native-static-libs: "))
        .expect("rustc names the libraries")
        .split_whitespace()
        .collect();
    assert_eq!(named, NATIVE_STATIC_LIBS);
}
