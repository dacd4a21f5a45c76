//! A process that does the steps of an operation over and over, tells of each one that is done, and
//! is killed at any moment. The same steps are done in peace in a second keystore; the two must look
//! the same.

// Every test program compiles this file for itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout)]

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use kmsbox::clock::Timestamp;
use kmsbox::error::{Result, Status};
use kmsbox::keystore::file::SealedFile;
use kmsbox::keystore::state::Origin;
use kmsbox::keystore::{Draft, Keystore, Patience};
use kmsbox::kms::{Kms, NewKey, PageOf};
use kmsbox::request_id::Call;
use kmsbox::secret::Arena;
use rsa::pkcs8::DecodePublicKey;

use crate::keystores::*;
use crate::support::long_tests;

/// How often a process is killed in each test.
fn rounds() -> usize {
    if long_tests() { 1000 } else { 40 }
}

const ALL: PageOf = PageOf {
    number: 1,
    size: usize::MAX,
};

/// What is done, step by step, each in one write; after the last step the first comes again.
pub type Steps = &'static [fn(&Kms, &Place) -> Result<()>];

pub fn call() -> Call {
    Call::default()
}

/// The two CMKs that steps work on: the first, and one for imported material.
pub fn keys(kms: &Kms) -> [String; 2] {
    let listed = kms.list_keys(&call(), &[], ALL).unwrap().items;
    [listed[0].to_string(), listed[1].to_string()]
}

/// Kills whoever does the steps, in the name of a test, again and again.
pub fn killed_in(test: &str, steps: Steps) {
    part("worker", |place| {
        let kms = open_by_either(place);
        say("begins");
        loop {
            let at = steps_done(&kms);
            steps[at % steps.len()](&kms, place).expect("the step is done");
            tell(place, at + 1);
        }
    });

    let place = prepared();
    let peace = prepared();
    let before = {
        let kms = open_by_either(&place);
        keys(&kms).map(|key_id| generate(&kms, &key_id).unwrap())
    };
    let mut shapes = vec![shape(&peace)];
    let began = Instant::now();
    for _ in steps {
        step_in_peace(&peace, steps, &mut shapes);
    }
    let one_step = began.elapsed() / u32::try_from(steps.len()).unwrap();
    let (mut untold, mut left_over) = (0, 0);
    for round in 0..rounds() {
        let before_it = told(&place);
        let mut worker = place.start(test, "worker");
        assert_eq!(worker.hear(), "begins");
        // As long as a step or two take, whatever this machine's disk is like.
        sleep(Duration::from_nanos(random_below(2 * nanos(one_step))));
        worker.kill();
        left_over += place
            .names()
            .iter()
            .filter(|name| name.contains(".tmp-"))
            .count();

        let kms = open_by_either(&place);
        kms.verify().unwrap();
        let done = steps_done(&kms);
        let acknowledged = told(&place);
        assert!(acknowledged >= before_it, "what was told is not taken back");
        assert!(
            [acknowledged, acknowledged + 1].contains(&done),
            "round {round}: {acknowledged} steps were acknowledged, {done} are there"
        );
        untold += usize::from(done > acknowledged);
        tell(&place, done);
        while shapes.len() <= done {
            step_in_peace(&peace, steps, &mut shapes);
        }
        assert_eq!(shape(&place), shapes[done], "round {round}, {done} steps");
        for made in &before {
            match decrypt(&kms, &made.blob) {
                Ok((_, plaintext)) => assert_eq!(plaintext, made.plaintext),
                Err(error) => assert!(
                    [
                        Status::Disabled,
                        Status::PendingDeletion,
                        Status::PendingImport
                    ]
                    .contains(&error.status()),
                    "round {round}: {error}"
                ),
            }
        }
    }
    let all = told(&place);
    println!(
        "{test}: killed {} times in {all} steps; {untold} times one step more was there than \
         was told, {left_over} times a temporary was left",
        rounds()
    );
    assert!(all > 0, "it was always killed before the first step");
    let kms = open_by_either(&place);
    steps[steps_done(&kms) % steps.len()](&kms, &place).unwrap();
    assert!(
        place.names().iter().all(|name| !name.contains(".tmp-")),
        "swept"
    );
}

/// Does the next step where nobody is killed, and adds what the keystore looks like after it.
fn step_in_peace(peace: &Place, steps: Steps, shapes: &mut Vec<String>) {
    let kms = open_by_either(peace);
    let at = steps_done(&kms);
    assert_eq!(at + 1, shapes.len());
    steps[at % steps.len()](&kms, peace).unwrap();
    assert_eq!(steps_done(&kms), at + 1, "a step is one write");
    drop(kms);
    shapes.push(shape(peace));
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

/// A keystore with a CMK of each origin, which has seen the same writes as any other one made here.
fn prepared() -> Place {
    let place = Place::with_keystore();
    place.new_root_key("b.key");
    place.new_root_key("material");
    let kms = place.open(&[]);
    create_key(&kms);
    let external = NewKey {
        origin: Origin::External,
        ..NewKey::default()
    };
    kms.create_key(&call(), &external).unwrap();
    let (wrapped, token) = wrapped_material(&kms, &place);
    fs::write(place.path("wrapped"), wrapped).unwrap();
    fs::write(place.path("token"), token).unwrap();
    import(&kms, &place, None).unwrap();
    fs::write(place.path("told"), "").unwrap();
    fs::write(place.path("first_epoch"), epoch(&kms).to_string()).unwrap();
    place
}

/// Each step is one write.
fn steps_done(kms: &Kms) -> usize {
    let path = described(kms)["Keystore"].as_str().unwrap().to_owned();
    let first = Path::new(&path).with_file_name("first_epoch");
    let first: u64 = fs::read_to_string(first).unwrap().parse().unwrap();
    usize::try_from(epoch(kms) - first).unwrap()
}

fn tell(place: &Place, step: usize) {
    let mut file = OpenOptions::new()
        .append(true)
        .open(place.path("told"))
        .unwrap();
    file.write_all(format!("{step}\n").as_bytes()).unwrap();
}

fn told(place: &Place) -> usize {
    let told = fs::read_to_string(place.path("told")).unwrap();
    told.lines().last().map_or(0, |step| step.parse().unwrap())
}

fn open_by_either(place: &Place) -> Kms {
    let by = |name: &str| {
        let options = place.options_by(&source(&place.path(name)), &[PATIENT, AT_ONCE]);
        Kms::open(&options)
    };
    by("root.key")
        .or_else(|error| {
            assert_eq!(error.status(), Status::RootKey);
            by("b.key")
        })
        .expect("one of the two opens it")
}

/// What can be seen of a keystore, without what differs by chance: ids, dates and seals.
fn shape(place: &Place) -> String {
    let kms = open_by_either(place);
    let file = place.file();
    let mut shape = String::new();
    let listed = kms.list_keys(&call(), &[], ALL).unwrap().items;
    for (at, key_id) in listed.iter().enumerate() {
        let key_id = key_id.to_string();
        let key = kms.describe_key(&call(), &key_id).unwrap();
        let aliases = kms.list_aliases_by_key_id(&call(), &key_id, ALL).unwrap();
        let aliases: Vec<_> = aliases.items.iter().map(|alias| &alias.alias).collect();
        let with_material = key.versions.iter().filter(|v| v.sealed_material.is_some());
        writeln!(
            shape,
            "{at}: {:?} {:?} {:?} {:?} {:?} {:?} {aliases:?} deleted {} expires {} versions {} of {}, last {}",
            key.state(),
            key.origin,
            key.description,
            key.tags,
            key.deletion_protection,
            key.rotation.map(|rotation| rotation.interval_seconds),
            key.delete_date.is_some(),
            key.imported.is_some_and(|imported| imported.expires.is_some()),
            with_material.count(),
            key.versions.len(),
            key.versions.last().unwrap().key_version_id == key.primary_version,
        )
        .unwrap();
    }
    let opens = |name: &str| place.try_open_by(&source(&place.path(name))).is_ok();
    writeln!(
        shape,
        "in the file {}, gone {}, slots {}, opened by root.key {} and b.key {}",
        file["keys"].as_array().unwrap().len(),
        kms.gone_keys().unwrap().len(),
        kms.root_keys(None).unwrap().len(),
        opens("root.key"),
        opens("b.key"),
    )
    .unwrap();
    shape
}

/// Changes what no operation can, such as a date in the past.
pub fn change(place: &Place, mut edit: impl FnMut(&mut Draft) -> Result<()>) -> Result<()> {
    let options = place.options(&[PATIENT]);
    let file = SealedFile::open(&place.keystore, &options, &Arena::new(1 << 16).unwrap())?;
    file.change(&mut |draft: &mut Draft| edit(draft), Patience::Configured)
}

fn wrapped_material(kms: &Kms, place: &Place) -> (Vec<u8>, Vec<u8>) {
    let parameters = kms
        .get_parameters_for_import(&call(), &keys(kms)[1])
        .unwrap();
    let public = rsa::RsaPublicKey::from_public_key_der(&parameters.public_key).unwrap();
    let mut rng = rsa::rand_core::UnwrapErr(rand::rngs::SysRng);
    let material = fs::read(place.path("material")).unwrap();
    let padding = rsa::Oaep::<sha2::Sha256>::new();
    let wrapped = public.encrypt(&mut rng, padding, &material).unwrap();
    (wrapped, parameters.token)
}

/// Imports the material that belongs to this place.
pub fn import(kms: &Kms, place: &Place, expires: Option<Timestamp>) -> Result<()> {
    let wrapped = fs::read(place.path("wrapped")).unwrap();
    let token = fs::read(place.path("token")).unwrap();
    kms.import_key_material(&call(), &keys(kms)[1], &wrapped, &token, expires)
}
