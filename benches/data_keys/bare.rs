//! What any library must do for the same job: draw the bytes, and run AES-256-GCM under a key that
//! stays expanded. No context is parsed, no CMK looked up, no message key derived, nothing committed
//! to, nothing wiped and nobody told.

use std::hint::black_box;

use aes::Aes256Enc;
use aes::cipher::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit, Nonce, Tag};
use aes_gcm::{AesGcm, Key};

type Cipher = AesGcm<Aes256Enc, U12>;

const NONCE_LEN: usize = 24;
const AAD: &[u8; 60] = b"sixty bytes of additional data, as long as a context's JSON.";

/// A cached cipher, and room for one wrapped key.
pub struct Bare {
    cipher: Cipher,
    nonce: Nonce<Cipher>,
    sealed: [u8; 32],
    tag: Tag<Cipher>,
    plaintext: [u8; 32],
}

impl Bare {
    pub fn new() -> Self {
        let mut key = Key::<Cipher>::default();
        draw(&mut key);
        let mut bare = Bare {
            cipher: Cipher::new(&key),
            nonce: Nonce::<Cipher>::default(),
            sealed: [0; 32],
            tag: Tag::<Cipher>::default(),
            plaintext: [0; 32],
        };
        bare.seal();
        bare
    }

    /// A new key of 32 bytes and, as kmsbox draws them, 24 bytes of nonce; the key shown and sealed.
    pub fn seal(&mut self) {
        let mut drawn = [0; NONCE_LEN + 32];
        draw(&mut drawn);
        let (nonce, key) = drawn.split_at(NONCE_LEN);
        self.nonce.copy_from_slice(&nonce[..12]);
        self.plaintext.copy_from_slice(key);
        self.sealed.copy_from_slice(key);
        self.tag = self
            .cipher
            .encrypt_inout_detached(
                &self.nonce,
                black_box(AAD),
                self.sealed.as_mut_slice().into(),
            )
            .expect("within GCM's limits");
    }

    /// The key that was sealed last.
    pub fn open(&mut self) {
        self.plaintext = self.sealed;
        self.cipher
            .decrypt_inout_detached(
                &self.nonce,
                black_box(AAD),
                self.plaintext.as_mut_slice().into(),
                &self.tag,
            )
            .expect("it was sealed here");
    }
}

fn draw(bytes: &mut [u8]) {
    // SAFETY: the pointer and the length are those of one exclusive slice.
    let drawn = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    assert_eq!(usize::try_from(drawn), Ok(bytes.len()), "getrandom");
}
