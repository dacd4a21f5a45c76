//! What must not compile, each beside what is almost the same and must.

use std::fs;

use super::*;
use support::{run, scratch_dir};

/// A body of a function that has a client, a request, a context, keys and a blob; the same, right; and
/// what the compiler is heard to say of the wrong one, in one of its voices.
type Misuse = (&'static str, &'static str, &'static [&'static str]);

const DELETED: &[&str] = &["deleted"];
const IGNORED: &[&str] = &["nodiscard", "ignoring", "ignored"];
const NO_MATCH: &[&str] = &[
    "no matching",
    "could not convert",
    "no viable",
    "cannot convert",
];

const NO_BOOL: &[&str] = &["could not convert", "not contextually convertible"];

const MISUSES: &[Misuse] = &[
    // Secrets and handles have one owner.
    (
        "kmsbox::secret copy = secret;",
        "kmsbox::secret copy = secret.clone();",
        DELETED,
    ),
    (
        "kmsbox::secret other; other = secret;",
        "kmsbox::secret other; other = std::move(secret);",
        DELETED,
    ),
    (
        "kmsbox::secret_array<32> copy = array;",
        "kmsbox::secret_array<32> copy; std::copy(array.begin(), array.end(), copy.begin());",
        DELETED,
    ),
    (
        "kmsbox::secret_array<32> copy = std::move(array);",
        "kmsbox::secret_array<32> &same = array; same.wipe();",
        DELETED,
    ),
    (
        "kmsbox::data_key copy = key;",
        "kmsbox::data_key copy = std::move(key);",
        DELETED,
    ),
    (
        "kmsbox::client copy = client;",
        "kmsbox::client moved = std::move(client);",
        DELETED,
    ),
    (
        "kmsbox::options copy = options;",
        "kmsbox::options moved = std::move(options);",
        DELETED,
    ),
    (
        "kmsbox::request copy = request;",
        "kmsbox::request moved = std::move(request);",
        DELETED,
    ),
    (
        "for (auto each : {std::move(secret)}) each.reset();",
        "for (auto *each : {&secret}) each->reset();",
        DELETED,
    ),
    // An error is not passed over.
    (
        "client.try_decrypt(key.key_id, key.blob, context, array);",
        "if (!client.try_decrypt(key.key_id, key.blob, context, array)) return;",
        IGNORED,
    ),
    (
        "client.try_call(request);",
        "auto made = client.try_call(request); if (!made) return;",
        IGNORED,
    ),
    (
        "options.try_set(\"create\", \"true\");",
        "options.set(\"create\", \"true\");",
        IGNORED,
    ),
    // What came out may be shorter than the room for it.
    (
        "unsigned char room[64]; client.decrypt(key.key_id, key.blob, context, room);",
        "unsigned char room[64]; if (client.decrypt(key.key_id, key.blob, context, room).size != 32) return;",
        IGNORED,
    ),
    // Which CMK a blob must be under is said.
    (
        "client.decrypt(nullptr, key.blob, context, array);",
        "client.decrypt(kmsbox::any_key, key.blob, context, array);",
        &["no matching", "deleted"],
    ),
    (
        "client.decrypt({}, key.blob, context, array);",
        "client.decrypt(kmsbox::any_key, key.blob, context, array);",
        &["no matching", "could not convert", "no viable", "ambiguous"],
    ),
    // Bytes are neither a literal with its NUL nor a pointer without a length.
    (
        "client.encrypt(key.key_id, \"text\", context, {});",
        "client.encrypt(key.key_id, std::string_view(\"text\"), context, {});",
        &["deleted", "no matching", "could not convert"],
    ),
    (
        "const unsigned char *at = key.blob.data(); client.decrypt(key.key_id, at, context, array);",
        "const unsigned char *at = key.blob.data(); client.decrypt(key.key_id, {at, 142}, context, array);",
        NO_MATCH,
    ),
    (
        "const std::string room(32, 'x'); (void)client.decrypt(key.key_id, key.blob, context, room);",
        "std::string room(32, 'x'); (void)client.decrypt(key.key_id, key.blob, context, room);",
        NO_MATCH,
    ),
    // What is no text does not become one, and a secret becomes nothing.
    (
        "options.set(\"refresh_interval_ms\", 0);",
        "options.set(\"refresh_interval_ms\", \"0\");",
        &["ambiguous"],
    ),
    (
        "options.set(\"create\", true);",
        "options.set(\"create\", \"true\");",
        NO_MATCH,
    ),
    (
        "client.decrypt(secret, key.blob, context, array);",
        "client.decrypt(key.key_id, key.blob, context, array);",
        NO_MATCH,
    ),
    (
        "kmsbox::secret other = 32;",
        "kmsbox::secret other(32);",
        &["conversion from", "no viable conversion"],
    ),
    (
        "if (secret) return;",
        "if (secret.empty()) return;",
        NO_BOOL,
    ),
    (
        "if (key.blob) return;",
        "if (key.blob.empty()) return;",
        NO_BOOL,
    ),
    (
        "request.set(\"A\", 'a');",
        "request.set(\"A\", 7);",
        &["a character is no number"],
    ),
];

#[test]
fn what_is_wrong_does_not_compile() {
    if need(Need::Cxx) {
        check_all(cxx);
    }
}

#[test]
fn what_is_wrong_does_not_compile_with_clang() {
    if need(Need::Clang) {
        check_all(clang);
    }
}

/// All that is right in one file, which compiles; and in another all that is wrong, where each is refused at
/// its own place, and none of the right ones beside it.
fn check_all(compiler: fn() -> Command) {
    let right: Vec<_> = MISUSES.iter().map(|(_, right, _)| *right).collect();
    let (compiled, said) = compiles(compiler, &right);
    assert!(compiled, "what is right does not compile:\n{said}");

    // A compiler may stop at its twentieth error.
    for misuses in MISUSES.chunks(15) {
        check(compiler, misuses, &right);
    }
}

fn check(compiler: fn() -> Command, misuses: &[Misuse], right: &[&str]) {
    let wrong: Vec<_> = misuses.iter().map(|(wrong, _, _)| *wrong).collect();
    let (_, said) = compiles(compiler, &[&wrong, right].concat());
    for number in misuses.len()..misuses.len() + right.len() {
        assert!(!said.contains(&place(number)), "{said}");
    }
    for (number, (wrong, _, says)) in misuses.iter().enumerate() {
        let place = place(number);
        // An error inside the header names, in a line of its own, from where it was reached.
        let here: Vec<_> = said.split("error:").collect();
        let refused = here.windows(2).any(|two| {
            let before = two[0].rsplit('\n').take(8).collect::<String>();
            (before.contains(&place) || two[1].contains(&place))
                && says.iter().any(|says| two[1].contains(says))
        });
        assert!(
            refused,
            "this compiles, or does not for another reason: {wrong}\n{said}"
        );
    }
}

/// How the compiler names the place of a function.
fn place(number: usize) -> String {
    format!("function_{number}.cpp")
}

fn function(number: usize, body: &str) -> String {
    format!(
        "#line 1 \"{}\"\nvoid f{number}(kmsbox::client &, kmsbox::options &, kmsbox::request &, kmsbox::secret &,\n    \
         kmsbox::secret_array<32> &, kmsbox::data_key &, const kmsbox::encryption_context &);\n\
         void f{number}([[maybe_unused]] kmsbox::client &client, [[maybe_unused]] kmsbox::options &options,\n    \
         [[maybe_unused]] kmsbox::request &request, [[maybe_unused]] kmsbox::secret &secret,\n    \
         [[maybe_unused]] kmsbox::secret_array<32> &array, [[maybe_unused]] kmsbox::data_key &key,\n    \
         [[maybe_unused]] const kmsbox::encryption_context &context)\n{{\n    {body}\n}}\n",
        place(number)
    )
}

/// Whether the bodies compile, and what the compiler said.
fn compiles(compiler: fn() -> Command, bodies: &[&str]) -> (bool, String) {
    let functions: String = bodies
        .iter()
        .enumerate()
        .map(|(number, body)| function(number, body))
        .collect();
    let scratch = scratch_dir();
    let source = scratch.path().join("misuse.cpp");
    let text = format!("#include <kmsbox.hpp>\n#include <algorithm>\n{functions}");
    fs::write(&source, text).expect("a scratch directory can be written");
    let mut command = compiler();
    command.args(["-std=c++17", "-fsyntax-only", "-Wno-unused-variable"]);
    let output = run(command.arg(&source));
    (output.status.success(), output.stderr)
}
