//! The C boundary: the only place with `extern "C"`.
//!
//! Each exported function is one call into [`boundary`], which catches panics and turns a `Result`
//! into a status. `build.rs` says in which order the header shows them.
#![allow(
    unsafe_code,
    reason = "pointers from C are read and written here, and nowhere else"
)]
#![allow(non_camel_case_types, reason = "the types carry the names that C sees")]
#![allow(
    clippy::missing_safety_doc,
    reason = "what a caller must keep to is in the header's conventions, written for C"
)]

pub mod bulk;
pub mod call;
pub mod client;
pub mod context;
pub mod data_key;
pub mod encrypt;
pub mod options;
pub mod secret;
pub mod status;
pub mod types;

mod args;
mod boundary;
mod cancellation;
mod document;
mod outputs;
mod response;
