//! Blobs: any bytes, genuine ones that were changed, and what one who has the CMK could make.
#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::document::perform;
use kmsbox::error::Status;
use kmsbox::kms::Kms;
use kmsbox::request_id::Call;
use kmsbox_fuzz::{KEY, MATERIAL, PLACE, VERSION, judge, plain_keystore, seal};
use libfuzzer_sys::fuzz_target;

const CONTEXT: &str = r#"{"table":"orders"}"#;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// No blob, as good as always.
    Any(&'a [u8]),
    /// A genuine blob, changed.
    Changed {
        plaintext: &'a [u8],
        text: bool,
        bits: Vec<(u16, u8)>,
        cut: u8,
        added: &'a [u8],
    },
    /// A genuine blob, opened with another context.
    Moved {
        made_with: &'a str,
        opened_with: &'a str,
    },
    /// The seal holds, whatever the rest is.
    Sealed {
        header: Vec<(u8, u8)>,
        plaintext: &'a [u8],
        xml: bool,
    },
}

static KMS: LazyLock<Kms> = LazyLock::new(|| {
    PLACE.put("keystore", &plain_keystore());
    PLACE.open().expect("the keystore is sound")
});

fuzz_target!(|input: Input<'_>| {
    let context = Context::parse(CONTEXT).unwrap();
    match input {
        Input::Any(bytes) => assert!(opened(bytes, &context).is_err()),
        Input::Changed {
            plaintext,
            text,
            bits,
            cut,
            added,
        } => {
            let genuine = made(header(u8::from(text)), &context, plaintext);
            let mut changed = genuine.clone();
            for (at, mask) in bits {
                if let Some(byte) = changed.get_mut(usize::from(at)) {
                    *byte ^= mask;
                }
            }
            changed.truncate(changed.len() - usize::from(cut).min(changed.len()));
            changed.extend(added);
            match opened(&changed, &context) {
                Ok(opened) => assert!(changed == genuine && opened == plaintext, "forged"),
                Err(status) => {
                    let fits = (1..=blob::MAX_TEXT).contains(&plaintext.len());
                    assert!(changed != genuine || !fits, "{status:?}");
                }
            }
        }
        Input::Moved {
            made_with,
            opened_with,
        } => {
            let (Ok(made_with), Ok(opened_with)) =
                (Context::parse(made_with), Context::parse(opened_with))
            else {
                return;
            };
            let opened = opened(&made(header(0), &made_with, b"plaintext"), &opened_with);
            match made_with.canonical() == opened_with.canonical() {
                true => assert_eq!(opened, Ok(b"plaintext".to_vec())),
                false => assert_eq!(opened, Err(Status::CiphertextInvalid)),
            }
        }
        Input::Sealed {
            header: changes,
            plaintext,
            xml,
        } => {
            let mut header = header(1);
            for (at, mask) in changes {
                header[usize::from(at) % 38] ^= mask;
            }
            let sealed = made(header, &context, plaintext);
            if let Ok(opened) = opened(&sealed, &context) {
                assert_eq!(opened, plaintext);
            }
            use base64::Engine as _;
            let text = base64::engine::general_purpose::URL_SAFE.encode(&sealed);
            let request = format!(
                "Action=Decrypt&EncryptionContext=%7b%22table%22:%22orders%22%7d&Format={}&CiphertextBlob={}",
                if xml { "XML" } else { "JSON" },
                text.replace('-', "%2B").replace('_', "/"),
            );
            let _ = judge(&perform(&KMS, &Call::default(), request.as_bytes()));
        }
    }
});

fn header(content: u8) -> [u8; 38] {
    let header = [
        &[0x89, b'K', b'M', b'B', 1, content],
        &KEY.as_bytes()[..],
        VERSION.as_bytes(),
    ];
    header.concat().try_into().unwrap()
}

/// A blob as docs/blob-format.md has it.
fn made(header: [u8; 38], context: &Context, plaintext: &[u8]) -> Vec<u8> {
    let aad = [b"kmsbox/wrap/v1\0", &header[..], context.canonical()].concat();
    [&header[..], &seal(&MATERIAL, &aad, plaintext)].concat()
}

fn opened(bytes: &[u8], context: &Context) -> Result<Vec<u8>, Status> {
    let open = || {
        let parsed = blob::parse(bytes)?;
        let mut plaintext = vec![0; parsed.ciphertext.len()];
        let used = KMS.decrypt(&Call::default(), None, &parsed, context, &mut plaintext);
        if used.is_err() {
            assert!(
                plaintext.iter().all(|byte| *byte == 0),
                "a refused blob leaves nothing"
            );
        }
        used.map(|_| plaintext)
    };
    open().map_err(|error: kmsbox::error::Error| {
        assert_ne!(error.status(), Status::Internal, "{error}");
        error.status()
    })
}
