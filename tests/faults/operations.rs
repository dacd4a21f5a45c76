//! What an engine and an operator do, each beginning with the same keystore.

use std::ptr;

use kmsbox::error::{Error, Status};
use kmsbox::ffi::bulk::{kms_generate_data_keys, kms_re_encrypt_many};
use kmsbox::ffi::call::kms_call;
use kmsbox::keystore::backup::restore;
use kmsbox::kms::NewKey;
use kmsbox::request_id::Call;

use crate::client::{
    Ask, DataKey, Refusal, Response, c_text, check_response, form, take_document, text,
};
use crate::stage::{Stage, Template, kms_options, root_key};

pub struct Operation {
    pub name: &'static str,
    pub writes: Writes,
    /// Makes RSA keys: not in the ordinary run.
    pub slow: bool,
    pub perform: fn(&mut Stage<'_>) -> Outcome,
}

/// What an operation writes where it is done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    Nothing,
    Keystore,
    /// Whoever cannot rotate goes on with the old version.
    KeystoreIfPossible,
    /// Another keystore of this name.
    New(&'static str),
}

/// The data keys that were given out, with their blobs.
pub type Outcome = Result<Vec<DataKey>, Refusal>;

/// The keys of a bulk call: as many as make memory large.
const MANY: usize = 600;

const fn reads(name: &'static str, perform: fn(&mut Stage<'_>) -> Outcome) -> Operation {
    Operation {
        name,
        writes: Writes::Nothing,
        slow: false,
        perform,
    }
}

const fn changes(name: &'static str, perform: fn(&mut Stage<'_>) -> Outcome) -> Operation {
    Operation {
        writes: Writes::Keystore,
        ..reads(name, perform)
    }
}

const fn uses(name: &'static str, perform: fn(&mut Stage<'_>) -> Outcome) -> Operation {
    Operation {
        writes: Writes::KeystoreIfPossible,
        ..reads(name, perform)
    }
}

const fn makes(
    name: &'static str,
    new: &'static str,
    perform: fn(&mut Stage<'_>) -> Outcome,
) -> Operation {
    Operation {
        writes: Writes::New(new),
        ..reads(name, perform)
    }
}

pub const OPERATIONS: &[Operation] = &[
    reads("open", |stage| open(stage, &[])),
    reads("open with a root key file", open_by_file),
    makes("open and create", "new", |stage| {
        let new = stage.place.at("new");
        open(
            stage,
            &[("keystore", new.to_str().unwrap()), ("create", "true")],
        )
    }),
    reads("generate", generate),
    reads("generate without plaintext", generate_without_plaintext),
    reads("decrypt", decrypt),
    reads("generate many", generate_many),
    reads("re-encrypt many", re_encrypt_many),
    reads("close after use", close),
    uses("use after another client's change", use_after_change),
    uses("use that rotates", |stage| {
        call(stage, "Action=GenerateDataKey&KeyId={due}")
    }),
    reads("Encrypt", |stage| {
        call(stage, "Action=Encrypt&KeyId={orders}&Plaintext=text")
    }),
    reads("Decrypt", |stage| {
        let blob = form(&base64(&stage.template.known[0].blob));
        stage.unwraps += 1;
        call(stage, &format!("Action=Decrypt&CiphertextBlob={blob}"))
    }),
    reads("Decrypt of what is no blob", |stage| {
        call(
            stage,
            &format!("Action=Decrypt&CiphertextBlob={}", "QUJD".repeat(9000)),
        )
    }),
    reads("ReEncrypt", |stage| {
        let blob = form(&base64(&stage.template.known[0].blob));
        stage.unwraps += 1;
        call(
            stage,
            &format!("Action=ReEncrypt&DestinationKeyId={{customers}}&CiphertextBlob={blob}"),
        )
    }),
    reads("DescribeKey", |stage| {
        call(stage, "Action=DescribeKey&KeyId={orders}")
    }),
    reads("ListKeys", |stage| {
        call(stage, "Action=ListKeys&PageSize=100")
    }),
    changes("CreateKey", |stage| {
        call(
            stage,
            "Action=CreateKey&EnableAutomaticRotation=true&RotationInterval=7d\
             &Tags=[{\"TagKey\":\"a\",\"TagValue\":\"b\"}]",
        )
    }),
    changes("UpdateKeyDescription", |stage| {
        let long = "%E2%82%AC".repeat(8000);
        call(
            stage,
            &format!("Action=UpdateKeyDescription&KeyId={{customers}}&Description={long}"),
        )
    }),
    changes("DisableKey", |stage| {
        call(stage, "Action=DisableKey&KeyId={customers}")
    }),
    changes("EnableKey", |stage| {
        call(stage, "Action=EnableKey&KeyId={disabled}")
    }),
    changes("ScheduleKeyDeletion", |stage| {
        call(
            stage,
            "Action=ScheduleKeyDeletion&KeyId={customers}&PendingWindowInDays=7",
        )
    }),
    changes("CancelKeyDeletion", |stage| {
        call(stage, "Action=CancelKeyDeletion&KeyId={deleted}")
    }),
    changes("SetDeletionProtection", |stage| {
        call(
            stage,
            "Action=SetDeletionProtection&ProtectedResourceArn={customers}&EnableDeletionProtection=true",
        )
    }),
    changes("CreateKeyVersion", |stage| {
        call(stage, "Action=CreateKeyVersion&KeyId={customers}")
    }),
    changes("UpdateRotationPolicy", |stage| {
        call(
            stage,
            "Action=UpdateRotationPolicy&KeyId={customers}&EnableAutomaticRotation=true&RotationInterval=30d",
        )
    }),
    changes("CreateAlias", |stage| {
        call(
            stage,
            "Action=CreateAlias&KeyId={customers}&AliasName=alias/new",
        )
    }),
    changes("UpdateAlias", |stage| {
        call(
            stage,
            "Action=UpdateAlias&KeyId={customers}&AliasName=alias/orders",
        )
    }),
    changes("DeleteAlias", |stage| {
        call(stage, "Action=DeleteAlias&AliasName=alias/orders")
    }),
    changes("TagResource", |stage| {
        call(
            stage,
            "Action=TagResource&KeyId={customers}&Tags=[{\"TagKey\":\"a\",\"TagValue\":\"b\"}]",
        )
    }),
    changes("UntagResource", |stage| {
        call(
            stage,
            "Action=UntagResource&KeyId={orders}&TagKeys=[\"team\"]",
        )
    }),
    Operation {
        slow: true,
        ..reads("GetParametersForImport", |stage| {
            call(
                stage,
                "Action=GetParametersForImport&KeyId={awaiting}&WrappingAlgorithm=RSAES_OAEP_SHA_256\
                 &WrappingKeySpec=RSA_2048",
            )
        })
    },
    changes("ImportKeyMaterial", |stage| {
        call(
            stage,
            "Action=ImportKeyMaterial&KeyId={external}&EncryptedKeyMaterial={material}\
             &ImportToken={token}&KeyMaterialExpireUnix=4102444800",
        )
    }),
    changes("DeleteKeyMaterial", |stage| {
        call(stage, "Action=DeleteKeyMaterial&KeyId={external}")
    }),
    changes("create many CMKs", |stage| {
        let kms = stage.kms();
        let _armed = stage.fault.arm();
        done(kms.create_keys(&Call::default(), &NewKey::default(), 5))
    }),
    changes("add a root key", |stage| {
        let [current, new] = ["root.key", "c.key"].map(|name| root_key(&stage.place.at(name)));
        let kms = stage.kms();
        let _armed = stage.fault.arm();
        done(kms.add_root_key(&Call::default(), &current, &new))
    }),
    changes("retire a root key", |stage| {
        let present = root_key(&stage.place.at("root.key"));
        let kms = stage.kms();
        let retired = kms.root_keys(None).unwrap()[1].slot_id;
        let _armed = stage.fault.arm();
        done(kms.retire_root_key(&Call::default(), retired, &present))
    }),
    changes("reseal", |stage| {
        let present = root_key(&stage.place.at("root.key"));
        let kms = stage.kms();
        let retired = kms.root_keys(None).unwrap()[1].slot_id;
        let _armed = stage.fault.arm();
        done(kms.reseal(&Call::default(), Some(retired), &present))
    }),
    makes("back up", "copy", |stage| {
        let options = kms_options(&stage.place);
        let kms = stage.kms();
        let copy = stage.place.at("copy");
        let _armed = stage.fault.arm();
        done(kms.backup(&options, &copy))
    }),
    makes("restore", "copy", |stage| {
        let options = kms_options(&stage.place);
        let (from, to) = (stage.place.keystore(), stage.place.at("copy"));
        let _armed = stage.fault.arm();
        done(restore(&from, &to, &options, false))
    }),
];

fn done<T>(outcome: Result<T, Error>) -> Outcome {
    match outcome {
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(Refusal {
            status: error.status(),
            message: error.message().to_owned(),
        }),
    }
}

fn open(stage: &mut Stage<'_>, more: &[(&str, &str)]) -> Outcome {
    let mut options = stage.options();
    for (name, value) in more {
        options.set(name, value);
    }
    let armed = stage.fault.arm();
    let opened = options.open();
    drop(armed);
    if more.is_empty() {
        stage.client = Some(opened?);
    } else {
        opened?;
    }
    Ok(Vec::new())
}

fn open_by_file(stage: &mut Stage<'_>) -> Outcome {
    let mut options = crate::client::Options::new();
    let source = format!("file:{}", stage.place.at("root.key").display());
    options.set("root_key", &source);
    options.set("keystore", stage.place.keystore().to_str().unwrap());
    let armed = stage.fault.arm();
    let opened = options.open();
    drop(armed);
    stage.client = Some(opened?);
    Ok(Vec::new())
}

/// One request of the API; names in it stand for ids.
fn call(stage: &mut Stage<'_>, request: &str) -> Outcome {
    let request = c_text(&stage.template.named(request));
    let client = stage.open();
    let mut response = Response::new();
    let (mut document, mut len) = (ptr::dangling_mut(), usize::MAX);
    let armed = stage.fault.arm();
    let status = c!(kms_call(
        client.raw(),
        request.as_ptr(),
        &mut document,
        &mut len,
        response.raw()
    ));
    drop(armed);
    stage.client = Some(client);
    if document.is_null() {
        assert_eq!(status, Status::NoMemory.number(), "there is no document");
    } else {
        take_document(document, len);
    }
    answered(response, status, Vec::new())
}

fn answered(mut response: Response, status: i32, made: Vec<DataKey>) -> Outcome {
    let response = c!(&*response.raw());
    check_response(response, status);
    match Status::from_number(status) {
        None => Ok(made),
        Some(status) => Err(Refusal {
            status,
            message: text(&response.error_message),
        }),
    }
}

fn ask(template: &Template) -> Ask<'_> {
    Ask {
        key_id: template.id("{orders}"),
        ..Ask::default()
    }
}

fn generate(stage: &mut Stage<'_>) -> Outcome {
    let client = stage.client.insert(stage.open());
    let armed = stage.fault.arm();
    let made = client.generate(ask(stage.template));
    drop(armed);
    made.map(|made| vec![made])
}

fn generate_without_plaintext(stage: &mut Stage<'_>) -> Outcome {
    let client = stage.client.insert(stage.open());
    let armed = stage.fault.arm();
    let made = client.generate_without_plaintext(ask(stage.template));
    drop(armed);
    made.map(|made| vec![made])
}

fn decrypt(stage: &mut Stage<'_>) -> Outcome {
    let known = &stage.template.known[0];
    let client = stage.client.insert(stage.open());
    stage.unwraps += 1;
    let armed = stage.fault.arm();
    let opened = client.decrypt(None, &known.blob, None);
    drop(armed);
    assert_eq!(opened?.plaintext, known.plaintext);
    Ok(Vec::new())
}

/// Counts are written when a client goes.
fn close(stage: &mut Stage<'_>) -> Outcome {
    let client = stage.open();
    for known in &stage.template.known {
        client.decrypt(None, &known.blob, None).unwrap();
        stage.unwraps += 1;
    }
    let armed = stage.fault.arm();
    drop(client);
    drop(armed);
    Ok(Vec::new())
}

/// The client sees at its next call what another one has done.
fn use_after_change(stage: &mut Stage<'_>) -> Outcome {
    let client = stage.open();
    let change = stage
        .template
        .named("Action=CreateKeyVersion&KeyId={orders}");
    let version = stage.place.open().unwrap().call(&change).key_version_id;
    let client = stage.client.insert(client);
    let armed = stage.fault.arm();
    let made = client.generate(ask(stage.template));
    drop(armed);
    let made = made?;
    assert_eq!(made.key_version_id, version);
    Ok(vec![made])
}

fn generate_many(stage: &mut Stage<'_>) -> Outcome {
    let key_id = c_text(stage.template.id("{orders}"));
    let client = stage.client.insert(stage.open());
    let mut response = Response::new();
    let (mut keys, mut blobs) = (vec![0xEE; MANY * 32], vec![0xEE; MANY * 142]);
    let (mut keys_len, mut blobs_len) = (usize::MAX, usize::MAX);
    let armed = stage.fault.arm();
    let status = c!(kms_generate_data_keys(
        client.raw(),
        key_id.as_ptr(),
        0,
        0,
        ptr::null(),
        MANY,
        keys.as_mut_ptr(),
        keys.len(),
        &mut keys_len,
        blobs.as_mut_ptr(),
        blobs.len(),
        &mut blobs_len,
        response.raw(),
    ));
    drop(armed);
    if status != 0 {
        assert!(keys.iter().all(|byte| *byte == 0), "the keys are wiped");
        assert_eq!((keys_len, blobs_len), (0, 0));
    }
    let last = DataKey {
        plaintext: keys[(MANY - 1) * 32..].to_vec(),
        blob: blobs[(MANY - 1) * 142..].to_vec(),
        key_id: String::new(),
        key_version_id: String::new(),
    };
    answered(response, status, vec![last])
}

fn re_encrypt_many(stage: &mut Stage<'_>) -> Outcome {
    let destination = c_text(stage.template.id("{customers}"));
    let known = &stage.template.known[0];
    let client = stage.client.insert(stage.open());
    let (blobs, lens) = (known.blob.repeat(MANY), vec![known.blob.len(); MANY]);
    let mut statuses = vec![-1; MANY];
    let (mut rewrapped, mut rewrapped_len) = (vec![0xEE; blobs.len()], usize::MAX);
    let mut response = Response::new();
    stage.unwraps += MANY as u64;
    let armed = stage.fault.arm();
    let status = c!(kms_re_encrypt_many(
        client.raw(),
        blobs.as_ptr(),
        lens.as_ptr(),
        MANY,
        ptr::null(),
        ptr::null(),
        destination.as_ptr(),
        ptr::null(),
        rewrapped.as_mut_ptr(),
        rewrapped.len(),
        &mut rewrapped_len,
        statuses.as_mut_ptr(),
        response.raw(),
    ));
    drop(armed);
    answered(response, status, Vec::new())?;
    for (status, blob) in statuses.iter().zip(rewrapped.chunks(142)) {
        assert_eq!(*status != 0, blob.iter().all(|byte| *byte == 0));
    }
    let refused = statuses.iter().find(|status| **status != 0);
    if let Some(status) = refused {
        return Err(Refusal {
            status: Status::from_number(*status).unwrap(),
            message: "one of many blobs".to_owned(),
        });
    }
    Ok(vec![DataKey {
        blob: rewrapped[(MANY - 1) * 142..].to_vec(),
        ..known.clone()
    }])
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
