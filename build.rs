//! Writes the C header to `OUT_DIR` at every build, and gives the shared object its name.
//!
//! `KMSBOX_UPDATE_HEADER=1` (that is, `make header`) also refreshes the copy in `include/`.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

#[allow(dead_code)]
#[path = "src/error/table.rs"]
mod table;

const INTRODUCTION: &str = "src/ffi/introduction.h";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=src/error/table.rs");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-env-changed=KMSBOX_UPDATE_HEADER");
    // Or `make header` would not mend a header that was changed by hand.
    println!("cargo:rerun-if-changed=include/kmsbox.h");

    let header = header()?;
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("kmsbox.h"),
        &header,
    )?;
    if env::var("KMSBOX_UPDATE_HEADER").is_ok_and(|value| value == "1") {
        fs::write("include/kmsbox.h", &header)?;
    }

    if env::var("CARGO_CFG_TARGET_OS")? == "linux" {
        // An ABI break inside 0.x raises the number.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkmsbox.so.0");
        // The fork handlers and thread-local state cannot be unloaded.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    Ok(())
}

fn header() -> Result<String, Box<dyn Error>> {
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let mut config = cbindgen::Config::from_file("cbindgen.toml")?;
    config.header = Some(fs::read_to_string(INTRODUCTION)?.trim_end().to_owned());
    config.after_includes = Some(preamble()?);
    let mut builder = cbindgen::Builder::new().with_config(config);
    // In the order of the header; nothing else is parsed.
    for file in [
        "types", "options", "client", "data_key", "encrypt", "bulk", "context", "call", "secret",
        "status",
    ] {
        builder = builder.with_src(format!("{root}/src/ffi/{file}.rs"));
    }
    let mut text = Vec::new();
    builder.generate()?.write(&mut text);
    Ok(String::from_utf8(text)?)
}

/// What the sources cannot say in Rust: version macros, the attribute shim, the table of errors.
fn preamble() -> Result<String, Box<dyn Error>> {
    let mut out = String::from("\n");
    for part in ["MAJOR", "MINOR", "PATCH"] {
        let value = env::var(format!("CARGO_PKG_VERSION_{part}"))?;
        writeln!(out, "#define KMS_VERSION_{part} {value}")?;
    }
    writeln!(
        out,
        "#define KMS_VERSION_STRING \"{}\"",
        env::var("CARGO_PKG_VERSION")?
    )?;
    out.push_str(
        "\n/* A result that must be looked at; empty where the compiler has no such attribute. */\n\
         #if defined(__GNUC__) || defined(__clang__)\n\
         #define KMS_MUST_USE __attribute__((warn_unused_result))\n\
         #else\n\
         #define KMS_MUST_USE\n\
         #endif\n\
         \n\
         /*\n\
         \x20* Every status: what it means, its number, and the API's code with its HTTP status.\n\
         \x20*/\n\
         #define KMS_OK 0\n",
    );
    for status in table::Status::ALL {
        writeln!(out, "/* {} */", status.text())?;
        writeln!(
            out,
            "#define KMS_ERR_{} {} /* {}, {} */",
            status.name(),
            status.number(),
            status.code(),
            status.http()
        )?;
    }
    Ok(out)
}
