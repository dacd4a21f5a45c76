//! Where the numbers were measured.

use std::fs;
use std::process::Command;
use std::thread;

pub fn print() {
    let processors = thread::available_parallelism().map_or(1, |number| number.get());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!(
        "machine: {} ({processors} usable); {} {}; {}; {}",
        processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        std::env::consts::OS,
        kernel.trim(),
        c_library(),
        compiler().unwrap_or_else(|| "rustc unknown".to_owned()),
    );
    println!();
}

fn processor() -> Option<String> {
    let about = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = about.lines().find(|line| line.starts_with("model name"))?;
    let (_, model) = line.split_once(':')?;
    Some(model.trim().to_owned())
}

/// Since 2.41 the GNU C library draws random bytes without entering the kernel.
#[cfg(target_env = "gnu")]
fn c_library() -> String {
    // SAFETY: gives a text that lives as long as the program.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    format!("glibc {}", version.to_string_lossy())
}

#[cfg(not(target_env = "gnu"))]
fn c_library() -> String {
    "not glibc".to_owned()
}

/// Cargo does not tell which compiler it used; here it is asked for by the same name.
fn compiler() -> Option<String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(rustc).arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    let mut words = version.split_whitespace();
    Some(format!("{} {}", words.next()?, words.next()?))
}
