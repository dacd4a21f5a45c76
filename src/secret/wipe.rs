//! Overwriting with zeros.

// The C library's wipe is called, which takes a raw pointer.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Fills `bytes` with zeros; the compiler cannot leave it out, even where nobody reads them again.
#[inline]
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: the pointer and the length are those of one exclusive slice.
    unsafe { fill_with_zeros(bytes.as_mut_ptr(), bytes.len()) }
}

/// Fills `N` bytes of the stack below the caller with zeros: what the functions that it called just
/// before have left there. They must have frames of their own, so must not be inlined.
#[inline(never)]
pub fn wipe_stack<const N: usize>() {
    let mut dead = MaybeUninit::<[u8; N]>::uninit();
    // SAFETY: the pointer and the length are those of one local array.
    unsafe { fill_with_zeros(dead.as_mut_ptr().cast(), N) }
}

/// Clears the vector registers: ciphers and copies leave in them what they last worked on, and a signal or a
/// core dump writes them into memory.
#[inline]
pub fn wipe_registers() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: writes only registers that a C function may change, each where the processor has it.
    unsafe {
        if std::arch::is_x86_feature_detected!("avx512f") {
            std::arch::asm!(
                "vzeroall",
                "vpxord zmm16, zmm16, zmm16",
                "vpxord zmm17, zmm17, zmm17",
                "vpxord zmm18, zmm18, zmm18",
                "vpxord zmm19, zmm19, zmm19",
                "vpxord zmm20, zmm20, zmm20",
                "vpxord zmm21, zmm21, zmm21",
                "vpxord zmm22, zmm22, zmm22",
                "vpxord zmm23, zmm23, zmm23",
                "vpxord zmm24, zmm24, zmm24",
                "vpxord zmm25, zmm25, zmm25",
                "vpxord zmm26, zmm26, zmm26",
                "vpxord zmm27, zmm27, zmm27",
                "vpxord zmm28, zmm28, zmm28",
                "vpxord zmm29, zmm29, zmm29",
                "vpxord zmm30, zmm30, zmm30",
                "vpxord zmm31, zmm31, zmm31",
                clobber_abi("C"),
                options(nomem, nostack, preserves_flags),
            );
        } else if std::arch::is_x86_feature_detected!("avx") {
            std::arch::asm!(
                "vzeroall",
                clobber_abi("C"),
                options(nomem, nostack, preserves_flags)
            );
        } else {
            std::arch::asm!(
                "xorps xmm0, xmm0",
                "xorps xmm1, xmm1",
                "xorps xmm2, xmm2",
                "xorps xmm3, xmm3",
                "xorps xmm4, xmm4",
                "xorps xmm5, xmm5",
                "xorps xmm6, xmm6",
                "xorps xmm7, xmm7",
                "xorps xmm8, xmm8",
                "xorps xmm9, xmm9",
                "xorps xmm10, xmm10",
                "xorps xmm11, xmm11",
                "xorps xmm12, xmm12",
                "xorps xmm13, xmm13",
                "xorps xmm14, xmm14",
                "xorps xmm15, xmm15",
                clobber_abi("C"),
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}

/// Ten times faster on long stretches than volatile stores of single bytes, which are what is left where
/// the C library has no `explicit_bzero`.
///
/// # Safety
/// `len` bytes at `at` may be written, and nobody else uses them.
#[inline]
pub(super) unsafe fn fill_with_zeros(at: *mut u8, len: usize) {
    #[cfg(any(
        all(target_os = "linux", any(target_env = "gnu", target_env = "musl")),
        target_os = "freebsd",
        target_os = "openbsd"
    ))]
    // SAFETY: as promised to this function.
    unsafe {
        libc::explicit_bzero(at.cast(), len);
    }
    #[cfg(not(any(
        all(target_os = "linux", any(target_env = "gnu", target_env = "musl")),
        target_os = "freebsd",
        target_os = "openbsd"
    )))]
    for offset in 0..len {
        // SAFETY: within the bytes promised to this function.
        unsafe { at.add(offset).write_volatile(0) };
    }
}
