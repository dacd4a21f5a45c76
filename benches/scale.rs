//! What a large keystore costs: 100 000 CMKs beside one, and 10 000 versions of a CMK beside one.
//!
//! ```text
//! cargo bench --bench scale
//! cargo bench --bench scale -- KEYS VERSIONS
//! ```
//!
//! Each keystore is measured in a process of its own, so that the memory told is that of one client.

#![allow(unsafe_code, reason = "the machine is asked which C library it has")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program of its own: what fails ends it, and its output is for people"
)]

#[path = "data_keys/machine.rs"]
mod machine;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use kmsbox::blob;
use kmsbox::context::Context;
use kmsbox::keystore::file::SealedFile;
use kmsbox::keystore::state::{Origin, Version};
use kmsbox::keystore::store_key::VersionName;
use kmsbox::keystore::{Draft, Keystore, Patience};
use kmsbox::kms::{Kms, NewKey, PageOf};
use kmsbox::options::Options;
use kmsbox::random;
use kmsbox::request_id::Call;
use kmsbox::root_key::RootKey;
use kmsbox::secret::Arena;

const ROOT_KEY: [u8; 32] = [0x97; 32];
const ROUNDS: usize = 9;
const CALLS: usize = 50_000;
const ALL: PageOf = PageOf {
    number: 1,
    size: usize::MAX,
};

fn main() {
    // Cargo adds `--bench` to what the user gave.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = (arguments.iter().map(String::as_str))
        .filter(|argument| *argument != "--bench")
        .collect();
    match arguments[..] {
        [] => print(100_000, 10_000),
        ["whole", keystore] => whole(Path::new(keystore)),
        ["calls", one, many] => calls(Path::new(one), Path::new(many)),
        ["versions", one, many] => versions(Path::new(one), Path::new(many)),
        [keys, versions] => print(number(keys), number(versions)),
        _ => panic!("cargo bench --bench scale -- [KEYS VERSIONS]"),
    }
}

fn print(keys: usize, versions: usize) {
    machine::print();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let place = |name: &str| directory.path().join(name);
    let (one, many, rotated) = (place("one"), place("many"), place("rotated"));

    println!("medians of {ROUNDS}; times in milliseconds, memory in MB (VmRSS)");
    println!("    CMKs |   made |    file | open |  change | reseal | open client | at most");
    for (path, count) in [(&one, 1), (&many, keys)] {
        let began = Instant::now();
        let kms = Kms::open(&options(path)).expect("a keystore");
        kms.create_keys(&Call::default(), &NewKey::default(), count)
            .expect("the CMKs are made");
        let made = milliseconds(began);
        drop(kms);
        let file = fs::metadata(path).expect("the keystore").len();
        print!("{count:>8} | {made:>6.0} | {:>7.2} | ", mb(file));
        std::io::stdout().flush().expect("the output is open");
        run(&["whole"], &[path]);
    }
    println!();
    run(&["calls"], &[&one, &many]);
    println!();
    make_versions(&rotated, versions);
    run(&["versions"], &[&one, &rotated]);
}

/// One line: opening the keystore, changing it, sealing it anew, and the memory of the one who does.
fn whole(keystore: &Path) {
    let bare = resident("VmRSS:");
    let kms = Kms::open(&options(keystore)).expect("a keystore");
    let client = resident("VmRSS:") - bare;
    let open = median_of(|_| {
        let began = Instant::now();
        let kms = Kms::open(&options(keystore)).expect("a keystore");
        let taken = milliseconds(began);
        drop(kms);
        taken
    });
    let key_id = some_key(&kms);
    let change = median_of(|round| {
        let began = Instant::now();
        let call = Call::default();
        match round % 2 {
            0 => kms.disable_key(&call, &key_id),
            _ => kms.enable_key(&call, &key_id),
        }
        .expect("a change");
        milliseconds(began)
    });
    kms.enable_key(&Call::default(), &key_id).expect("a change");
    let most = resident("VmHWM:") - bare;
    let root = RootKey::from_bytes(&ROOT_KEY).expect("a root key");
    let began = Instant::now();
    kms.reseal(&Call::default(), None, &root)
        .expect("everything is sealed anew");
    let reseal = milliseconds(began);
    println!(
        "{open:>4.0} | {change:>7.1} | {reseal:>6.0} | {:>11.1} | {:>7.1}",
        mb(client),
        mb(most)
    );
}

/// Data keys with one CMK and with many, round by round in turn, so that both see the same machine.
fn calls(one: &Path, many: &Path) {
    let clients = [one, many].map(|path| Kms::open(&options(path)).expect("a keystore"));
    let wrapped = clients.each_ref().map(|kms| {
        let key_id = some_key(kms);
        let blob = generate(kms, &key_id);
        (key_id, blob)
    });
    let mut taken = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        for (at, (kms, (key_id, blob))) in clients.iter().zip(&wrapped).enumerate() {
            taken[at].push(nanoseconds(|| drop(generate(kms, key_id))));
            taken[2 + at].push(nanoseconds(|| decrypt(kms, blob)));
        }
    }
    let [g_one, g_many, d_one, d_many] = taken.each_mut().map(|taken| median(taken));
    println!("nanoseconds a call   | one CMK | all of them");
    println!("GenerateDataKey      | {g_one:>7.0} | {g_many:>7.0}");
    println!("Decrypt              | {d_one:>7.0} | {d_many:>7.0}");
}

/// Decrypt under the only version of a CMK, and under the first and the last of many.
fn versions(one: &Path, many: &Path) {
    let clients = [one, many].map(|path| Kms::open(&options(path)).expect("a keystore"));
    let only = generate(&clients[0], &some_key(&clients[0]));
    let first = fs::read(many.with_extension("first")).expect("the blob that was left");
    let last = generate(&clients[1], &some_key(&clients[1]));
    let cases = [
        (&clients[0], &only),
        (&clients[1], &first),
        (&clients[1], &last),
    ];
    let mut taken = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (taken, (kms, blob)) in taken.iter_mut().zip(cases) {
            taken.push(nanoseconds(|| decrypt(kms, blob)));
        }
    }
    let [only, first, last] = taken.each_mut().map(|taken| median(taken));
    let call = Call::default();
    let key = clients[1].describe_key(&call, &some_key(&clients[1]));
    let count = key.expect("the CMK").versions.len();
    println!("nanoseconds a call   | of one version | first of {count} | last of {count}");
    println!("Decrypt              | {only:>14.0} | {first:>14.0} | {last:>13.0}");
}

/// A CMK with so many versions, made in one write, and a blob under its first one beside it.
fn make_versions(path: &Path, count: usize) {
    let kms = Kms::open(&options(path)).expect("a keystore");
    let key = kms.create_key(&Call::default(), &NewKey::default());
    let key_id = key.expect("a CMK").key_id;
    let blob = generate(&kms, &key_id.to_string());
    fs::write(path.with_extension("first"), blob).expect("the blob is left");
    let arena = Arena::new(1 << 16).expect("memory for an arena");
    let file = SealedFile::open(path, &options(path), &arena).expect("a keystore");
    let mut rotate = |draft: &mut Draft| {
        let store_key = Arc::clone(&draft.store_key);
        let key = draft.state.key_mut(key_id)?;
        let created = key.created;
        for _ in 1..count {
            let name = VersionName {
                key_id,
                key_version_id: random::uuid()?,
                origin: Origin::MadeHere,
            };
            let material = store_key.new_material(name)?;
            key.rotate_to(Version::new(name.key_version_id, created, Some(material)));
        }
        Ok(())
    };
    file.change(&mut rotate, Patience::Configured)
        .expect("the versions are made");
}

fn options(path: &Path) -> Options {
    let mut options = Options::default();
    let path = path.to_str().expect("UTF-8");
    for (name, value) in [("keystore", path), ("create", "true")] {
        options.set(name, value).expect("an option");
    }
    options.set_root_key(&ROOT_KEY).expect("a root key");
    options
}

/// One in the middle.
fn some_key(kms: &Kms) -> String {
    let listed = kms.list_keys(&Call::default(), &[], ALL).expect("a list");
    listed.items[listed.items.len() / 2].to_string()
}

fn generate(kms: &Kms, key_id: &str) -> Vec<u8> {
    let (mut key, mut wrapped) = ([0; 32], vec![0; blob::len(32)]);
    let context = Context::empty();
    kms.generate_data_key(&Call::default(), key_id, &context, &mut key, &mut wrapped)
        .expect("a data key");
    wrapped
}

fn decrypt(kms: &Kms, wrapped: &[u8]) {
    let mut key = [0; 32];
    let parsed = blob::parse(wrapped).expect("a blob");
    kms.decrypt(&Call::default(), None, &parsed, &Context::empty(), &mut key)
        .expect("it opens");
}

fn run(words: &[&str], paths: &[&PathBuf]) {
    let program = std::env::current_exe().expect("a program knows its path");
    let status = Command::new(program).args(words).args(paths).status();
    assert!(status.expect("it starts").success());
}

fn nanoseconds(mut call: impl FnMut()) -> f64 {
    let began = Instant::now();
    (0..CALLS).for_each(|_| call());
    milliseconds(began) * 1e6 / f64::from(u32::try_from(CALLS).expect("few calls"))
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn median_of(measure: impl FnMut(usize) -> f64) -> f64 {
    median(&mut (0..ROUNDS).map(measure).collect::<Vec<_>>())
}

fn median(taken: &mut [f64]) -> f64 {
    taken.sort_by(f64::total_cmp);
    taken[taken.len() / 2]
}

/// Bytes of this process, as the system counts them.
fn resident(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.map_or(0, |kib| kib * 1024)
}

fn mb(bytes: u64) -> f64 {
    u32::try_from(bytes).map_or(f64::NAN, f64::from) / 1e6
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}
