//! The one cipher of kmsbox: XAES-256-GCM with the key commitment of KC-XAES.
//!
//! Every message gets its own AES-256-GCM key, derived from the wrapping key and the first half of a
//! 24-byte nonce with the CMAC counter mode of SP 800-108. Random nonces are then safe for 2^80
//! messages under one key. GCM alone would let one who knows two keys make a message that opens
//! under both; the 32-byte commitment, a CMAC over the whole nonce, ends that.

#![forbid(unsafe_code)]

use aes::Aes256Enc;
use aes::cipher::consts::U12;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::AesGcm;
use aes_gcm::aead::{AeadInOut, Nonce};
use ctutils::{Choice, CtEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::secret::wipe_stack;

/// The length of a wrapping key.
pub const KEY_LEN: usize = 32;
/// The length of a nonce.
pub const NONCE_LEN: usize = 24;
/// The length of the authentication tag.
pub const TAG_LEN: usize = 16;
/// The length of the key commitment.
pub const COMMITMENT_LEN: usize = 32;
/// What a seal adds to its text: nonce, tag and commitment.
pub const SEAL_LEN: usize = NONCE_LEN + TAG_LEN + COMMITMENT_LEN;

/// The largest text that GCM's 32-bit block counter can encrypt.
const MAX_TEXT_LEN: u64 = aes_gcm::P_MAX;

/// How much of the stack is cleared after a message. The ciphers spread round keys over it: over some 7 KiB,
/// and 10 where the compiler optimises little. A test measures it.
const DEAD_STACK: usize = if cfg!(debug_assertions) {
    12 << 10
} else {
    8 << 10
};
/// The same for expanding a key.
const DEAD_STACK_OF_EXPANDING: usize = 4 << 10;

type Block = aes::Block;
/// GCM never decrypts a block, so the schedule for it is not made (nor wiped) for each message.
type MessageCipher = AesGcm<Aes256Enc, U12>;

/// A key that wraps, expanded: AES-256's round keys and the CMAC subkey. It wipes itself when dropped.
pub struct WrappingKey {
    cipher: Aes256Enc,
    k1: Block,
}

// The arena of locked memory has slots of this size.
const _: () = assert!(size_of::<WrappingKey>() == 256);

impl WrappingKey {
    /// Expands a key.
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let new = Self::expand(key);
        // Expanding leaves round keys in stack frames, and the first two are the key itself.
        wipe_stack::<DEAD_STACK_OF_EXPANDING>();
        new
    }

    #[inline(never)]
    fn expand(key: &[u8; KEY_LEN]) -> Self {
        // K1 is computed inside the value that is returned: a move could leave another copy.
        let mut new = Self {
            cipher: Aes256Enc::new(key.into()),
            k1: Block::default(),
        };
        new.cipher.encrypt_block(&mut new.k1);
        double(&mut new.k1);
        new
    }

    /// Encrypts `text` in place.
    ///
    /// # Panics
    ///
    /// If `text` is longer than 64 GiB, which no caller's limits allow.
    pub fn seal(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Closing {
        let closing = self.seal_below(nonce, aad, text);
        wipe_stack::<DEAD_STACK>();
        closing
    }

    /// In a frame of its own, so that what it leaves on the stack lies below that of its caller.
    #[inline(never)]
    fn seal_below(&self, nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Closing {
        assert!(text.len() as u64 <= MAX_TEXT_LEN, "text too long for GCM");
        let message = self.derive(nonce);
        match (message.cipher()).encrypt_inout_detached(&gcm_nonce(nonce), aad, text.into()) {
            Ok(tag) => Closing {
                tag: tag.into(),
                commitment: message.commitment(),
            },
            Err(_) => unreachable!("GCM refuses nothing but a length"),
        }
    }

    /// Decrypts `text` in place. When it does not open, `text` is zeroed.
    ///
    /// Tag and commitment are both computed and both compared, whatever the first says.
    pub fn open(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
        closing: &Closing,
    ) -> Result<(), Invalid> {
        let opened = self.open_below(nonce, aad, text, closing);
        wipe_stack::<DEAD_STACK>();
        opened
    }

    /// As `seal_below`.
    #[inline(never)]
    fn open_below(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
        closing: &Closing,
    ) -> Result<(), Invalid> {
        let message = self.derive(nonce);
        let tag = (&closing.tag).into();
        let opened = message.cipher().decrypt_inout_detached(
            &gcm_nonce(nonce),
            aad,
            (&mut *text).into(),
            tag,
        );
        let tag_holds = Choice::from(u8::from(opened.is_ok()));
        let commitment_holds = message.commits_to(&closing.commitment);
        if (tag_holds & commitment_holds).into() {
            Ok(())
        } else {
            text.zeroize();
            Err(Invalid)
        }
    }

    /// What belongs to one nonce: the message key and the commitment.
    ///
    /// The commitment's two CMACs share their first block, whose encryption goes along with the two
    /// blocks of the message key; so both passes run in parallel inside the processor.
    fn derive(&self, nonce: &[u8; NONCE_LEN]) -> Message {
        let mut message = Message {
            key: [[0, 1, b'X', 0], [0, 2, b'X', 0], *b"XCMT"].map(|prefix| {
                let mut block = Block::default();
                block[..4].copy_from_slice(&prefix);
                block[4..].copy_from_slice(&nonce[..12]);
                block
            }),
            commitment: [Block::default(); 2],
        };
        let [m1, m2, _] = &mut message.key;
        xor(m1, &self.k1);
        xor(m2, &self.k1);
        self.cipher.encrypt_blocks(&mut message.key);

        let [_, _, chained] = &message.key;
        for (block, number) in message.commitment.iter_mut().zip([1, 2]) {
            block[..12].copy_from_slice(&nonce[12..]);
            block[12..].copy_from_slice(&[0, 1, 0, number]);
            xor(block, chained);
            xor(block, &self.k1);
        }
        self.cipher.encrypt_blocks(&mut message.commitment);
        message
    }
}

impl Drop for WrappingKey {
    fn drop(&mut self) {
        // The cipher wipes itself: its crate's feature `zeroize` is on.
        self.k1.zeroize();
    }
}

impl ZeroizeOnDrop for WrappingKey {}

/// What proves a sealed text whole and under the right key. It is public and stands beside the text.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// GCM's tag over the text and what is bound to it.
    pub tag: [u8; TAG_LEN],
    /// The commitment to the wrapping key.
    pub commitment: [u8; COMMITMENT_LEN],
}

/// The text does not open under this key, nonce and AAD. It says no more, so that nobody can ask which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// The derived blocks of one message, wiped when it is done.
struct Message {
    /// The message key, then the commitment's inner CMAC state.
    key: [Block; 3],
    commitment: [Block; 2],
}

impl Message {
    fn cipher(&self) -> MessageCipher {
        let mut key = aes_gcm::Key::<MessageCipher>::default();
        key[..16].copy_from_slice(&self.key[0]);
        key[16..].copy_from_slice(&self.key[1]);
        let cipher = MessageCipher::new(&key);
        key.zeroize();
        cipher
    }

    fn commitment(&self) -> [u8; COMMITMENT_LEN] {
        let mut bytes = [0; COMMITMENT_LEN];
        bytes[..16].copy_from_slice(&self.commitment[0]);
        bytes[16..].copy_from_slice(&self.commitment[1]);
        bytes
    }

    fn commits_to(&self, commitment: &[u8; COMMITMENT_LEN]) -> Choice {
        let (first, second) = commitment.split_at(16);
        let [mine, mine_too] = &self.commitment;
        mine.as_slice().ct_eq(first) & mine_too.as_slice().ct_eq(second)
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // On an opening that fails, the commitment would be what a forger still lacks.
        for block in self.key.iter_mut().chain(&mut self.commitment) {
            block.as_mut_slice().zeroize();
        }
    }
}

/// GCM's nonce: the half that the message key was not derived from.
fn gcm_nonce(nonce: &[u8; NONCE_LEN]) -> Nonce<MessageCipher> {
    let mut half = Nonce::<MessageCipher>::default();
    half.copy_from_slice(&nonce[12..]);
    half
}

/// CMAC's doubling in GF(2^128), without a branch on the secret bit.
fn double(block: &mut Block) {
    let value = u128::from_be_bytes((*block).into());
    let reduction = 0x87 * (value >> 127);
    *block = ((value << 1) ^ reduction).to_be_bytes().into();
}

fn xor(block: &mut Block, with: &Block) {
    for (byte, other) in block.iter_mut().zip(with) {
        *byte ^= other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::tests::stack_used;

    #[test]
    fn the_stack_is_wiped_as_deep_as_it_is_used() {
        let nonce = [2; NONCE_LEN];
        for len in [0, 32, 6144] {
            let mut text = vec![3; len];
            let mut key = None;
            let expanding = stack_used(|| key = Some(WrappingKey::expand(&[1; KEY_LEN])));
            let key = key.unwrap();
            let mut closing = None;
            let sealing = stack_used(|| closing = Some(key.seal_below(&nonce, b"aad", &mut text)));
            let closing = closing.unwrap();
            let opening = stack_used(|| {
                key.open_below(&nonce, b"aad", &mut text, &closing).unwrap();
            });
            let refusing = stack_used(|| {
                assert!(
                    key.open_below(&nonce, b"other", &mut text, &closing)
                        .is_err()
                );
            });
            assert!(expanding < DEAD_STACK_OF_EXPANDING);
            for used in [sealing, opening, refusing] {
                assert!(used < DEAD_STACK, "{used} bytes");
            }
        }
    }

    /// The intermediate values that the XAES-256-GCM specification prints.
    #[test]
    fn the_derivation_is_that_of_the_specification() {
        let cases = [
            (
                0x01,
                0x7298caa565031eadc6ce23d23ea66378,
                0xe531954aca063d5b8d9c47a47d4cc6f0,
                [
                    0xc8612c9ed53fe43e8e005b828a1631a0,
                    0xbbcb6ab2f46514ec4f439fcfd0fa969b,
                ],
            ),
            (
                0x03,
                0x91c08762876dccf9ba204a33768fa5fe,
                0x23810ec50edb99f374409466ed1f4b7b,
                [
                    0xe9c621d4cdd9b11b00a6427ad7e559ae,
                    0xedd66b3857646677748f8ca796cb3fd8,
                ],
            ),
        ];
        let block = |value: u128| Block::from(value.to_be_bytes());
        for (byte, l, k1, message_key) in cases {
            let mut doubled = block(l);
            double(&mut doubled);
            assert_eq!(doubled, block(k1));

            let key = WrappingKey::new(&[byte; KEY_LEN]);
            assert_eq!(key.k1, block(k1));
            let message = key.derive(b"ABCDEFGHIJKLMNOPQRSTUVWX");
            assert_eq!(message.key[..2], message_key.map(block));
        }
        assert_eq!(gcm_nonce(b"ABCDEFGHIJKLMNOPQRSTUVWX")[..], *b"MNOPQRSTUVWX");
    }
}
