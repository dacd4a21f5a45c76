use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::panic::{catch_unwind, resume_unwind};

use super::{MARK, is_marked, mark_stack, stack_after};
use crate::secret::wiping_after;

// One test, since blocks are wiped while any thread is at such work.
#[test]
fn stack_and_freed_blocks_are_wiped() {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut left = [0; 512];
    let mut marked_at = |address: usize| {
        memory.read_exact_at(&mut left, address as u64).unwrap();
        is_marked(&left)
    };
    assert!(marked_at(freed()), "this test must see the mark");
    let mut address = 0;
    for leave in [freed, grown] {
        wiping_after(|| address = leave());
        assert!(!marked_at(address));
    }

    let (left, _) = stack_after(mark_stack::<40_000>);
    assert!(is_marked(&left), "this test must see the mark");
    for panics in [false, true] {
        let work = || {
            mark_stack::<40_000>();
            if panics {
                resume_unwind(Box::new(()));
            }
        };
        let (left, _) = stack_after(|| {
            let outcome = catch_unwind(|| wiping_after(work));
            assert_eq!(outcome.is_err(), panics);
        });
        assert!(!is_marked(&left), "after a panic: {panics}");
    }
}

/// The address of a block with the mark in it, that was freed.
fn freed() -> usize {
    let bytes = black_box(vec![MARK; 512]);
    bytes.as_ptr().addr()
}

/// The same of a block that became too small.
fn grown() -> usize {
    let mut bytes = black_box(vec![MARK; 512]);
    let address = bytes.as_ptr().addr();
    // In the way of a block that would grow where it is.
    let _next = black_box(vec![0_u8; 512]);
    bytes.reserve_exact(100_000);
    assert_eq!(black_box(bytes)[..512], [MARK; 512]);
    address
}

#[cfg(target_arch = "x86_64")]
#[test]
fn vector_registers_are_cleared() {
    use std::arch::asm;

    extern "C" fn wipe() {
        crate::secret::wipe_registers();
    }
    let (first, last): (u64, u64);
    // SAFETY: a call of a C function, and registers that it may change.
    unsafe {
        asm!(
            "movq xmm0, {mark}", "movq xmm15, {mark}", "call {wipe}",
            "movq r12, xmm0", "movq r13, xmm15",
            mark = in(reg) u64::MAX, wipe = sym wipe,
            out("r12") first, out("r13") last,
            clobber_abi("C"),
        );
    }
    assert_eq!((first, last), (0, 0));
    if std::arch::is_x86_feature_detected!("avx512f") {
        let (first, last): (u64, u64);
        // SAFETY: as above; the processor has these registers.
        unsafe {
            asm!(
                "vpternlogd zmm16, zmm16, zmm16, 255", "vpternlogd zmm31, zmm31, zmm31, 255",
                "call {wipe}", "vmovq r12, xmm16", "vmovq r13, xmm31",
                wipe = sym wipe, out("r12") first, out("r13") last,
                clobber_abi("C"),
            );
        }
        assert_eq!((first, last), (0, 0));
    }
}
