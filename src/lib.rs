//! kmsbox: an embedded key-management service. C programs use `include/kmsbox.h`; this page is the
//! map of the crate for those who work on it.
//!
//! Dependencies point one way, downwards:
//!
//! ```text
//! ffi         the C interface: the only extern "C"
//! document    the API as documents: a request in, JSON or XML out
//! kms         the service: one method per operation
//! audit       the audit log
//! keystore    CMKs on disk, sealed, or in memory
//! root_key    where the root key comes from
//! blob, context, envelope   CiphertextBlob, EncryptionContext, the AEAD
//! options, action, key_name, tree, allocation, error, key_use, clock, random, request_id, files, maps
//! secret      locked, wiped memory; forks
//! ```
//!
//! `unsafe` is allowed in `ffi` and `secret` alone.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod action;
pub mod allocation;
pub mod audit;
pub mod blob;
pub mod clock;
pub mod context;
pub mod document;
pub mod envelope;
pub mod error;
pub mod ffi;
pub mod files;
pub mod key_name;
pub mod key_use;
pub mod keystore;
pub mod kms;
pub mod maps;
pub mod options;
pub mod random;
pub mod request_id;
pub mod root_key;
pub mod secret;
pub mod tree;
