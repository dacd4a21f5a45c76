use crate::secret::{Scratch, wipe};

#[test]
fn a_scratch_has_the_length_asked_for_and_starts_as_zeros() {
    for len in [0, 1, 32, 127, 128, 129, 1024, 6254] {
        let mut scratch = Scratch::zeroed(len);
        assert_eq!(*scratch, vec![0; len]);
        scratch.fill(7);
        assert_eq!(*scratch, vec![7; len]);
        assert_eq!(format!("{scratch:?}"), format!("Scratch({len} bytes)"));
    }
}

#[test]
fn a_scratch_is_wiped_when_it_goes() {
    let mut place = std::mem::MaybeUninit::new(Scratch::zeroed(100));
    // SAFETY: initialised above.
    let scratch = unsafe { place.assume_init_mut() };
    scratch.fill(7);
    let bytes = scratch.as_ptr();
    // SAFETY: dropped once; the short bytes lie in `place`, which is still here to be looked at.
    unsafe { place.assume_init_drop() };
    for at in 0..100 {
        // SAFETY: inside `place`.
        assert_eq!(unsafe { bytes.add(at).read_volatile() }, 0);
    }
}

#[test]
fn wiping_reaches_all_of_the_bytes_and_no_others() {
    for len in [0, 1, 31, 1000] {
        let mut bytes = vec![9u8; len + 2];
        wipe(&mut bytes[1..=len]);
        assert_eq!((bytes[0], bytes[len + 1]), (9, 9));
        assert!(bytes[1..=len].iter().all(|byte| *byte == 0));
    }
}
