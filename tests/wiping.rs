//! Keys that wipe themselves. The crates below do so only with a feature that is off by default, and
//! would lose it without a word; so these tests look at the memory that a dropped key lay in.

// A dropped value can only be looked at through raw memory.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc};

use aes::Aes256Enc;
use aes::cipher::KeyInit;
use aes::cipher::consts::U12;
use aes_gcm::AesGcm;
use kmsbox::envelope::WrappingKey;
use zeroize::{Zeroize, ZeroizeOnDrop};

const KEY: [u8; 32] = *b"a key that no other memory holds";

#[test]
fn a_wrapping_key_is_wiped() {
    assert_wiped(|| WrappingKey::new(&KEY));
}

#[test]
fn the_key_of_one_message_is_wiped() {
    assert_wiped(|| AesGcm::<Aes256Enc, U12>::new(&KEY.into()));
}

#[test]
fn a_bare_key_schedule_is_wiped() {
    assert_wiped(|| Aes256Enc::new(&KEY.into()));
}

/// The features in the types: this file does not compile without them.
#[test]
fn the_crates_can_wipe() {
    fn wipes_itself<T: ZeroizeOnDrop>() {}
    fn can_be_wiped<T: Zeroize + Default + AsMut<[u64]>>() {
        let mut block = T::default();
        block.as_mut().fill(u64::MAX);
        block.zeroize();
        assert!(block.as_mut().iter().all(|word| *word == 0));
    }
    wipes_itself::<WrappingKey>();
    wipes_itself::<AesGcm<Aes256Enc, U12>>();
    wipes_itself::<Aes256Enc>();
    can_be_wiped::<argon2::Block>();
}

/// Drops a value where it lies and looks at every byte that it had.
fn assert_wiped<T>(make: impl FnOnce() -> T) {
    let layout = Layout::new::<T>();
    // SAFETY: no type here has size 0. The memory is fresh and zeroed, so that padding can be read;
    // it is read as bytes within its layout, and given back once.
    unsafe {
        let place = alloc_zeroed(layout).cast::<T>();
        assert!(!place.is_null());
        let bytes = || -> Vec<u8> {
            (0..layout.size())
                .map(|at| place.cast::<u8>().add(at).read_volatile())
                .collect()
        };
        place.write(make());
        let while_alive = bytes();
        assert!(
            while_alive.windows(16).any(|window| window == &KEY[..16]),
            "the first round key is the key's first half: this test must see it"
        );
        place.drop_in_place();
        let left = bytes().iter().filter(|byte| **byte != 0).count();
        assert_eq!(left, 0, "bytes left of {}", layout.size());
        dealloc(place.cast(), layout);
    }
}
