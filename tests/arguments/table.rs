//! The functions that can fail, and what each of their parameters is.

use std::ffi::c_char;

use kmsbox::error::Status;
use kmsbox::ffi::call::{kms_call, kms_document_free};
use kmsbox::ffi::client::{kms_client_describe, kms_client_free, kms_client_open};
use kmsbox::ffi::context::kms_encryption_context;
use kmsbox::ffi::data_key::{
    kms_decrypt, kms_generate_data_key, kms_generate_data_key_without_plaintext,
};
use kmsbox::ffi::encrypt::{kms_encrypt, kms_re_encrypt};
use kmsbox::ffi::options::{
    kms_options_free, kms_options_new, kms_options_set, kms_options_set_root_key,
};
use kmsbox::ffi::secret::{kms_secret_alloc, kms_secret_free};
use kmsbox::ffi::types::kms_status;

use crate::client::{Ask, Client, Options, ROOT_KEY};

/// An argument as the machine passes it: a pointer, or a number where its address stands.
pub type Word = *mut u8;

/// A function that returns a status.
pub struct Function {
    pub name: &'static str,
    pub params: &'static [Param],
    pub call: fn(&[Word]) -> kms_status,
    /// Frees what the call made.
    pub free: fn(Word),
    /// Whether a refusal comes with a document too.
    pub tells_refusals: bool,
}

/// What a parameter is, with its valid value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    Client,
    /// Options as they are read or changed.
    Options,
    /// Text that must be given.
    Required(&'static str),
    /// Text that may be NULL but not empty.
    Optional(&'static str),
    /// Text that may be NULL or empty.
    Context(&'static str),
    /// The context that the blob was made with: without it, the blob does not open.
    Bound(&'static str),
    /// The request of `kms_call`, refused with a document once it is there.
    Request(&'static str),
    Number(usize),
    /// The blob, which outputs may not touch.
    Blob,
    RootKey,
    Pairs,
    /// The length of the input before it.
    InputLen(usize),
    /// Room for an output.
    Buffer(Buffer),
    Capacity,
    Len,
    /// A pointer that the call makes, and its length.
    Made,
    MadeLen,
    Response,
}

/// What goes into an output buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Whether it is wiped when a call fails.
    pub secret: bool,
    /// The least capacity.
    pub needed: usize,
    /// What `*len` says afterwards.
    pub len: usize,
}

const KEY: Param = Param::Buffer(Buffer {
    secret: true,
    needed: 32,
    len: 32,
});
const BLOB: Param = Param::Buffer(Buffer {
    secret: false,
    needed: 142,
    len: 142,
});
/// The blob of a blob.
const TWICE_WRAPPED: Param = Param::Buffer(Buffer {
    secret: false,
    needed: 252,
    len: 252,
});
/// The NUL needs room, but is not counted.
const JSON: Param = Param::Buffer(Buffer {
    secret: false,
    needed: CONTEXT.len() + 1,
    len: CONTEXT.len(),
});

pub const ALIAS: &str = "alias/arguments";
pub const CONTEXT: &str = r#"{"table":"orders"}"#;
pub const PAIRS: [&str; 2] = ["table", "orders"];

/// What the calls work on.
pub struct Fixture {
    pub client: Client,
    pub options: Options,
    pub blob: Vec<u8>,
}

impl Fixture {
    pub fn new() -> Fixture {
        let client = Client::in_memory();
        let key_id = client.create_key();
        client.done(&format!(
            "Action=CreateAlias&KeyId={key_id}&AliasName={ALIAS}"
        ));
        let ask = Ask {
            key_id: ALIAS,
            context: Some(CONTEXT),
            ..Ask::default()
        };
        let blob = client.generate(ask).unwrap().blob;
        let mut options = Options::new();
        options.set("keystore", "memory:");
        options.root_key(&ROOT_KEY);
        Fixture {
            client,
            options,
            blob,
        }
    }
}

impl Param {
    pub fn is_pointer(self) -> bool {
        !matches!(
            self,
            Param::Number(_) | Param::InputLen(_) | Param::Capacity
        )
    }

    /// A handle comes from the library; everything else lies on the stage.
    pub fn is_handle(self) -> bool {
        matches!(self, Param::Client | Param::Options)
    }

    pub fn text(self) -> Option<&'static str> {
        match self {
            Param::Required(text)
            | Param::Optional(text)
            | Param::Context(text)
            | Param::Bound(text)
            | Param::Request(text) => Some(text),
            _ => None,
        }
    }

    pub fn status_of_null(self) -> kms_status {
        match self {
            Param::Optional(_) | Param::Context(_) | Param::Response => 0,
            Param::Required(_) | Param::Request(_) => Status::MissingParameter.number(),
            Param::Bound(_) => Status::CiphertextInvalid.number(),
            _ => Status::InvalidArgument.number(),
        }
    }
}

/// Type and name of each parameter of a declaration.
pub fn parameters(declaration: &str) -> Vec<(String, String)> {
    let (_, list) = declaration.split_once('(').unwrap();
    let list = list.strip_suffix(')').unwrap();
    list.split(',')
        .map(|parameter| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let start = parameter.rfind(|c| !is_name(c)).unwrap() + 1;
            (parameter.to_owned(), parameter[start..].to_owned())
        })
        .collect()
}

fn int(word: Word) -> i32 {
    i32::from_le_bytes(low(word))
}

fn unsigned(word: Word) -> u32 {
    u32::from_le_bytes(low(word))
}

fn low(word: Word) -> [u8; 4] {
    *word.addr().to_le_bytes().first_chunk().unwrap()
}

fn nothing(_: Word) {}

fn free_document(document: Word) {
    c!(kms_document_free(document.cast::<c_char>()));
}

pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "kms_options_new",
        params: &[Param::Made],
        call: |a| c!(kms_options_new(a[0].cast())),
        free: |made| c!(kms_options_free(made.cast())),
        tells_refusals: false,
    },
    Function {
        name: "kms_options_set",
        params: &[
            Param::Options,
            Param::Required("create"),
            Param::Required("true"),
            Param::Response,
        ],
        call: |a| {
            c!(kms_options_set(
                a[0].cast(),
                a[1].cast(),
                a[2].cast(),
                a[3].cast()
            ))
        },
        free: nothing,
        tells_refusals: false,
    },
    Function {
        name: "kms_options_set_root_key",
        params: &[
            Param::Options,
            Param::RootKey,
            Param::InputLen(ROOT_KEY.len()),
            Param::Response,
        ],
        call: |a| {
            c!(kms_options_set_root_key(
                a[0].cast(),
                a[1],
                a[2].addr(),
                a[3].cast()
            ))
        },
        free: nothing,
        tells_refusals: false,
    },
    Function {
        name: "kms_client_open",
        params: &[Param::Options, Param::Made, Param::Response],
        call: |a| c!(kms_client_open(a[0].cast(), a[1].cast(), a[2].cast())),
        free: |made| c!(kms_client_free(made.cast())),
        tells_refusals: false,
    },
    Function {
        name: "kms_client_describe",
        params: &[Param::Client, Param::Made, Param::MadeLen],
        call: |a| c!(kms_client_describe(a[0].cast(), a[1].cast(), a[2].cast())),
        free: free_document,
        tells_refusals: false,
    },
    Function {
        name: "kms_generate_data_key",
        params: &[
            Param::Client,
            Param::Required(ALIAS),
            Param::Number(0),
            Param::Number(0),
            Param::Context(CONTEXT),
            KEY,
            Param::Capacity,
            Param::Len,
            BLOB,
            Param::Capacity,
            Param::Len,
            Param::Response,
        ],
        call: |a| {
            c!(kms_generate_data_key(
                a[0].cast(),
                a[1].cast(),
                int(a[2]),
                unsigned(a[3]),
                a[4].cast(),
                a[5],
                a[6].addr(),
                a[7].cast(),
                a[8],
                a[9].addr(),
                a[10].cast(),
                a[11].cast(),
            ))
        },
        free: nothing,
        tells_refusals: false,
    },
    Function {
        name: "kms_generate_data_key_without_plaintext",
        params: &[
            Param::Client,
            Param::Required(ALIAS),
            Param::Number(0),
            Param::Number(0),
            Param::Context(CONTEXT),
            BLOB,
            Param::Capacity,
            Param::Len,
            Param::Response,
        ],
        call: |a| {
            c!(kms_generate_data_key_without_plaintext(
                a[0].cast(),
                a[1].cast(),
                int(a[2]),
                unsigned(a[3]),
                a[4].cast(),
                a[5],
                a[6].addr(),
                a[7].cast(),
                a[8].cast(),
            ))
        },
        free: nothing,
        tells_refusals: false,
    },
    Function {
        name: "kms_decrypt",
        params: &[
            Param::Client,
            Param::Optional(ALIAS),
            Param::Blob,
            Param::InputLen(142),
            Param::Bound(CONTEXT),
            KEY,
            Param::Capacity,
            Param::Len,
            Param::Response,
        ],
        call: |a| {
            c!(kms_decrypt(
                a[0].cast(),
                a[1].cast(),
                a[2],
                a[3].addr(),
                a[4].cast(),
                a[5],
                a[6].addr(),
                a[7].cast(),
                a[8].cast(),
            ))
        },
        free: nothing,
        tells_refusals: false,
    },
    Function {
        name: "kms_encrypt",
        params: &[
            Param::Client,
            Param::Required(ALIAS),
            Param::Blob,
            Param::InputLen(142),
            Param::Context(CONTEXT),
            TWICE_WRAPPED,
            Param::Capacity,
            Param::Len,
            Param::Response,
        ],
        call: |a| {
            c!(kms_encrypt(
                a[0].cast(),
                a[1].cast(),
                a[2],
                a[3].addr(),
                a[4].cast(),
                a[5],
                a[6].addr(),
                a[7].cast(),
                a[8].cast(),
            ))
        },
        free: nothing,
        tells_refusals: false,
    },
    Function {
        name: "kms_re_encrypt",
        params: &[
            Param::Client,
            Param::Optional(ALIAS),
            Param::Blob,
            Param::InputLen(142),
            Param::Bound(CONTEXT),
            Param::Required(ALIAS),
            Param::Context(CONTEXT),
            BLOB,
            Param::Capacity,
            Param::Len,
            Param::Response,
        ],
        call: |a| {
            c!(kms_re_encrypt(
                a[0].cast(),
                a[1].cast(),
                a[2],
                a[3].addr(),
                a[4].cast(),
                a[5].cast(),
                a[6].cast(),
                a[7],
                a[8].addr(),
                a[9].cast(),
                a[10].cast(),
            ))
        },
        free: nothing,
        tells_refusals: false,
    },
    Function {
        name: "kms_encryption_context",
        params: &[
            Param::Pairs,
            Param::InputLen(1),
            JSON,
            Param::Capacity,
            Param::Len,
        ],
        call: |a| {
            c!(kms_encryption_context(
                a[0].cast(),
                a[1].addr(),
                a[2].cast(),
                a[3].addr(),
                a[4].cast()
            ))
        },
        free: nothing,
        tells_refusals: false,
    },
    Function {
        name: "kms_call",
        params: &[
            Param::Client,
            Param::Request("Action=ListKeys"),
            Param::Made,
            Param::MadeLen,
            Param::Response,
        ],
        call: |a| {
            c!(kms_call(
                a[0].cast(),
                a[1].cast(),
                a[2].cast(),
                a[3].cast(),
                a[4].cast()
            ))
        },
        free: free_document,
        tells_refusals: true,
    },
    Function {
        name: "kms_secret_alloc",
        params: &[Param::Number(32), Param::Made],
        call: |a| c!(kms_secret_alloc(a[0].addr(), a[1].cast())),
        free: |made| c!(kms_secret_free(made.cast())),
        tells_refusals: false,
    },
];
