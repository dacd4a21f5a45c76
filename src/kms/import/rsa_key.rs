//! The RSA keys that wrap material on its way here.
//!
//! Nothing here wipes what its arithmetic leaves behind: whoever calls runs it in
//! [`wiping_after`](crate::secret::wiping_after).
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rand::{TryCryptoRng, TryRng};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use rsa::{Oaep, RsaPrivateKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::{Error, Result, Status};
use crate::keystore::store_key::KeyBytes;
use crate::random;

const BITS: usize = 2048;

/// A new key: its private half as DER of PKCS #8, and its public half as DER of SubjectPublicKeyInfo.
pub(super) fn generate() -> Result<(Zeroizing<Vec<u8>>, Vec<u8>)> {
    let no_encoding = || Error::constant(Status::Internal, "The RSA key could not be encoded.");
    let private = with_kernel_rng(|rng| RsaPrivateKey::new(rng, BITS))?
        .map_err(|_| Error::constant(Status::Internal, "No RSA key could be made."))?;
    let public = private.to_public_key().to_public_key_der();
    let public = public.map_err(|_| no_encoding())?.into_vec();
    let private = private.to_pkcs8_der().map_err(|_| no_encoding())?;
    Ok((private.to_bytes(), public))
}

/// Unwraps material by RSAES_OAEP_SHA_256. Every way in which it does not come out is one error.
pub(super) fn unwrap(private_der: &[u8], encrypted: &[u8], material: &mut KeyBytes) -> Result<()> {
    let private = RsaPrivateKey::from_pkcs8_der(private_der)
        .map_err(|_| Error::new(Status::InvalidImportToken))?;
    let opened =
        with_kernel_rng(|rng| private.decrypt_blinded(rng, Oaep::<Sha256>::new(), encrypted))?;
    let opened = opened.map(Zeroizing::new);
    match opened {
        Ok(opened) if opened.len() == material.len() => material.copy_from_slice(&opened),
        _ => return Err(Error::new(Status::InvalidKeyMaterial)),
    }
    Ok(())
}

/// Lends random bytes of the kernel to code that cannot be told that there are none: it is then left by a
/// panic that ends here.
fn with_kernel_rng<R>(work: impl FnOnce(&mut KernelRng) -> R) -> Result<R> {
    let mut rng = KernelRng { failed: false };
    catch_unwind(AssertUnwindSafe(|| work(&mut rng))).or_else(|panic| match rng.failed {
        true => Err(Error::new(Status::Random)),
        false => resume_unwind(panic),
    })
}

struct KernelRng {
    failed: bool,
}

impl TryRng for KernelRng {
    type Error = Infallible;

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        if random::fill(bytes).is_err() {
            self.failed = true;
            // Unlike `panic!` this calls no hook of the host's.
            resume_unwind(Box::new(()));
        }
        Ok(())
    }

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }
}

impl TryCryptoRng for KernelRng {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::DEAD_STACK_OF_WORK;
    use crate::secret::tests::stack_used;
    use rsa::RsaPublicKey;
    use rsa::pkcs8::DecodePublicKey;

    #[test]
    fn the_stack_is_wiped_as_deep_as_it_is_used() {
        let mut made = Vec::new();
        let generating = stack_used(|| made.push(generate().unwrap()));
        let (private, public) = made.pop().unwrap();
        let public = RsaPublicKey::from_public_key_der(&public).unwrap();
        let padding = Oaep::<Sha256>::new;
        let wrap = |rng: &mut KernelRng| public.encrypt(rng, padding(), &[7; 32]).unwrap();
        let wrapped = with_kernel_rng(wrap).unwrap();
        let mut material = KeyBytes::default();
        let unwrapping = stack_used(|| unwrap(&private, &wrapped, &mut material).unwrap());
        let refusing = stack_used(|| assert!(unwrap(&private, &[7; 256], &mut material).is_err()));
        for used in [generating, unwrapping, refusing] {
            assert!(used < DEAD_STACK_OF_WORK / 4 * 3, "{used} bytes");
        }
        assert_eq!(material[..], [7; 32]);
    }
}
