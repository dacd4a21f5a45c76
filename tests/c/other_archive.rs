//! Another static library in Rust, for two_archives.c. Compiled by that test with rustc alone.

/// Panics and catches it: 1 where that went well.
#[unsafe(no_mangle)]
pub extern "C" fn other_caught_panic() -> i32 {
    std::panic::set_hook(Box::new(|_| {}));
    let numbers = std::hint::black_box(vec![1, 2, 3]);
    i32::from(std::panic::catch_unwind(|| numbers[std::hint::black_box(7)]).is_err())
}
