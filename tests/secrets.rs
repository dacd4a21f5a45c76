//! No secret stays where it may not. A process does all that the library can do, one thing after the other,
//! each on a thread that stays, so that nothing overwrites what was left on its stack. After each, all that
//! the process can read is searched for every secret.
#![allow(
    unsafe_code,
    reason = "the C functions are called as a C program calls them"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/hex.rs"]
mod hex;
#[path = "secrets/host.rs"]
mod host;
#[path = "support/material.rs"]
mod material;
mod support;
#[path = "support/worker.rs"]
mod worker;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host::to_hex;
use material::Secret;
use rsa::pkcs8::DecodePublicKey;
use rsa::rand_core::UnwrapErr;
use rsa::{Oaep, RsaPublicKey};
use serde_json::Value;
use sha2::Sha256;
use support::scratch_dir;
use worker::Worker;

/// What the host has in memory of kms_secret_alloc.
const KEPT: &str = "what the host keeps";

#[test]
fn no_secret_is_left_behind() {
    if host::is_here() {
        return host::serve();
    }
    let scratch = scratch_dir();
    let at = |name: &str| scratch.path().join(name);
    let text = |name: &str| at(name).display().to_string();
    let keystore = text("keystore");
    let [first, second] = ["first", "second"].map(|name| random_file(&at(name)));
    let mut search = Search::start(&at("keystore"), first);
    for (name, bytes) in [
        ("the first root key", first),
        ("the second root key", second),
        ("a wrong root key", random_file(&at("wrong"))),
        (KEPT, host::kept()),
    ] {
        search.over.push(Secret::new(name, bytes));
    }
    for name in ["passphrase", "wrong passphrase"] {
        let passphrase = to_hex(&random());
        write_for_owner(&at(name), passphrase.as_bytes());
        search.over.push(Secret::new(name, passphrase));
    }
    let root_key = |kind: &str, name: &str| format!("root_key={kind}:{}", text(name));
    let by_first = root_key("file", "first");
    let by_second = root_key("file", "second");
    let by_passphrase = root_key("passphrase-file", "passphrase");

    // Made, used, changed.
    search.ok(&["open", &keystore, &by_first]);
    let key = search.create("");
    let other = search.create("");
    search.use_keys(&key, &other);
    search.ok(&["call", &format!("Action=CreateKeyVersion&KeyId={key}")]);
    search.use_keys(&key, &other);
    for action in [
        "CreateAlias&AliasName=alias/orders",
        "UpdateRotationPolicy&EnableAutomaticRotation=true&RotationInterval=7d",
        "DisableKey",
        "ScheduleKeyDeletion&PendingWindowInDays=7",
        "CancelKeyDeletion",
        "EnableKey",
        "DescribeKey",
    ] {
        search.ok(&["call", &format!("Action={action}&KeyId={key}")]);
    }
    import(&mut search, &other);

    // Opened in vain, by another root key, and by a new one.
    for wrong in [
        root_key("file", "wrong"),
        root_key("passphrase-file", "wrong passphrase"),
    ] {
        let status = &search.perform(&["open", &keystore, &wrong])[0];
        // One that cannot be a root key of this keystore, and one that is none.
        assert_eq!(status, "KMS_ERR_ROOT_KEY");
    }
    search.ok(&["operate", "add", &keystore, &by_first, &by_passphrase]);
    search.ok(&["free"]);
    search.ok(&["open", &keystore, &by_passphrase]);
    search.use_keys(&key, &other);
    search.ok(&["operate", "add", &keystore, &by_passphrase, &by_second]);
    search.root_key = second;
    search.ok(&["operate", "retire", &keystore, &by_second]);
    search.ok(&["free"]);
    search.ok(&["open", &keystore, &by_second]);
    search.ok(&["operate", "reseal", &keystore, &by_second]);
    search.ok(&["operate", "verify", &keystore, &by_second]);
    search.ok(&["operate", "backup", &keystore, &by_second, &text("copy")]);
    search.ok(&["free"]);
    search.ok(&["open", &text("copy"), &by_second]);
    search.use_keys(&key, &other);

    search.ok(&["keep"]);
    let child = search.ok(&["fork"])[1].parse().unwrap();
    search.look(child, "in a forked child");
    search.ok(&["end", &child.to_string()]);
    search.ok(&["free"]);
}

/// The same of the library for C: its allocator is there too, and wipes.
#[test]
fn the_c_library_leaves_no_rsa_key_behind() {
    let scratch = scratch_dir();
    let keystore = scratch.path().join("keystore");
    let mut worker = Worker::open(&keystore, &["create=true"]);
    let key = worker.call("Action=CreateKey&Origin=EXTERNAL").ok().key_id;
    let offered = Offered::parse(&worker.call(&parameters_request(&key)).ok().result);
    let store_key = &material::of_keystore(&keystore, &worker::ROOT_KEY)[0].bytes;
    let private = material::of_token(&keystore, store_key, &key, &offered.token);
    let look = |worker: &Worker, when: &str| {
        let memory = material::memory_of(worker.id());
        let hits = material::find(&private, &memory);
        let hits: Vec<_> = hits.iter().map(ToString::to_string).collect();
        assert!(hits.is_empty(), "{when}:\n{}", hits.join("\n"));
    };
    look(&worker, "with the parameters made");
    let wrapped = offered.wrap(&random());
    worker
        .call(&import_request(&key, &offered.token, &wrapped))
        .ok();
    look(&worker, "with the material imported");
    worker.free();
    look(&worker, "with the client freed");
}

fn parameters_request(key: &str) -> String {
    let offered = "WrappingAlgorithm=RSAES_OAEP_SHA_256&WrappingKeySpec=RSA_2048";
    format!("Action=GetParametersForImport&KeyId={key}&{offered}")
}

fn import_request(key: &str, token: &[u8], wrapped: &[u8]) -> String {
    let [token, wrapped] = [token, wrapped].map(|bytes| STANDARD.encode(bytes).replace('+', "%2B"));
    let action = format!("Action=ImportKeyMaterial&KeyId={key}");
    format!("{action}&ImportToken={token}&EncryptedKeyMaterial={wrapped}")
}

/// What GetParametersForImport answers.
struct Offered {
    token: Vec<u8>,
    public: RsaPublicKey,
}

impl Offered {
    fn parse(document: &str) -> Offered {
        let made: Value = serde_json::from_str(document).unwrap();
        let field = |name: &str| STANDARD.decode(made[name].as_str().unwrap()).unwrap();
        Offered {
            token: field("ImportToken"),
            public: RsaPublicKey::from_public_key_der(&field("PublicKey")).unwrap(),
        }
    }

    fn wrap(&self, material: &[u8]) -> Vec<u8> {
        let mut rng = UnwrapErr(rand::rngs::SysRng);
        let padding = Oaep::<Sha256>::new();
        self.public.encrypt(&mut rng, padding, material).unwrap()
    }
}

/// Parameters for import, and material taken and refused in every way.
fn import(search: &mut Search, made_here: &str) {
    let [key, foreign] = [(); 2].map(|()| search.create("&Origin=EXTERNAL"));
    let request = parameters_request(&key);
    let offered = Offered::parse(&search.ask(&["call", &request])[1]);
    let token = &offered.token;
    let store_key = &search.in_keystore()[0].bytes;
    let private = material::of_token(&search.keystore, store_key, &key, token);
    search.over.extend(private);
    search.look_at_host(&request);

    let material = random();
    search.over.push(Secret::new("what is imported", material));
    let (wrapped, short) = (offered.wrap(&material), offered.wrap(&material[..31]));
    let altered = |bytes: &[u8]| {
        let mut altered = bytes.to_vec();
        altered[100] ^= 1;
        altered
    };
    let mut expired = token.clone();
    expired[..8].fill(0);
    for (key, token, wrapped, status) in [
        (
            &*key,
            token,
            &altered(&wrapped),
            "KMS_ERR_INVALID_KEY_MATERIAL",
        ),
        (&key, token, &short, "KMS_ERR_INVALID_KEY_MATERIAL"),
        (
            &key,
            &altered(token),
            &wrapped,
            "KMS_ERR_INVALID_IMPORT_TOKEN",
        ),
        (&key, &expired, &wrapped, "KMS_ERR_INVALID_IMPORT_TOKEN"),
        (&foreign, token, &wrapped, "KMS_ERR_INVALID_IMPORT_TOKEN"),
        (made_here, token, &wrapped, "KMS_ERR_UNSUPPORTED_ORIGIN"),
        (&key, token, &wrapped, "KMS_OK"),
        (&key, token, &wrapped, "KMS_OK"),
    ] {
        let request = import_request(key, token, wrapped);
        assert_eq!(search.perform(&["call", &request])[0], status);
    }
    search.use_keys(&key, made_here);
    search.ok(&["call", &format!("Action=DeleteKeyMaterial&KeyId={key}")]);
}

/// The process, and what is searched for in it.
struct Search {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    keystore: PathBuf,
    /// One that opens the keystore.
    root_key: [u8; 32],
    /// The secrets that the keystore had when they were last looked at.
    lasting: Vec<Secret>,
    /// Those that may be nowhere.
    over: Vec<Secret>,
}

impl Search {
    fn start(keystore: &Path, root_key: [u8; 32]) -> Search {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "no_secret_is_left_behind"])
            .env(host::ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Search {
            requests: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
            keystore: keystore.to_owned(),
            root_key,
            lasting: Vec::new(),
            over: Vec::new(),
        }
    }

    /// Has something done; the first word of the answer is a status.
    fn ask(&mut self, request: &[&str]) -> Vec<String> {
        writeln!(self.requests, "{}", request.join("\t")).unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.answers.read_line(&mut line).unwrap();
            assert!(read > 0, "the host ended: {request:?}");
            // The harness writes lines of its own.
            if let Some((_, answer)) = line.split_once('@') {
                return answer.trim_end().split('\t').map(str::to_owned).collect();
            }
        }
    }

    /// Has something done, and searches.
    fn perform(&mut self, request: &[&str]) -> Vec<String> {
        let answer = self.ask(request);
        self.look_at_host(&request.join(" "));
        answer
    }

    /// Has something done that must succeed, and searches.
    fn ok(&mut self, request: &[&str]) -> Vec<String> {
        let answer = self.perform(request);
        assert_eq!(answer[0], "KMS_OK", "{request:?}: {answer:?}");
        answer
    }

    fn create(&mut self, parameters: &str) -> String {
        let made = self.ok(&["call", &format!("Action=CreateKey{parameters}")]);
        let made: Value = serde_json::from_str(&made[1]).unwrap();
        made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    }

    /// Every operation on data keys, accepted and refused; what it made is over when it is done.
    fn use_keys(&mut self, key: &str, other: &str) {
        for operation in ["typed", "bulk", "documents", "refused"] {
            let answer = self.ask(&["use", operation, key, other]);
            assert_eq!(answer[0], "KMS_OK", "{operation}");
            let keystore = self.in_keystore();
            for blob in &answer[1..] {
                self.over
                    .extend(material::of_blob(&keystore, &hex::decode(blob)));
            }
            self.look_at_host(operation);
        }
    }

    fn in_keystore(&self) -> Vec<Secret> {
        material::of_keystore(&self.keystore, &self.root_key)
    }

    fn look_at_host(&mut self, when: &str) {
        if self.keystore.exists() {
            let now = self.in_keystore();
            let before = std::mem::replace(&mut self.lasting, now);
            let gone = |secret: &Secret| self.lasting.iter().all(|now| now.bytes != secret.bytes);
            self.over.extend(before.into_iter().filter(gone));
        }
        self.look(self.child.id(), when);
    }

    /// Searches the memory of a process.
    fn look(&self, process: u32, when: &str) {
        let memory = material::memory_of(process);
        let lasts = |secret: &Secret| self.lasting.iter().any(|now| now.bytes == secret.bytes);
        let over = self.over.iter().filter(|secret| !lasts(secret));
        // Key memory is left out of dumps; whether it may be locked is the system's to say.
        let (kept, wrong): (Vec<_>, Vec<_>) = material::find(over.chain(&self.lasting), &memory)
            .into_iter()
            .partition(|hit| {
                let lawful = lasts(hit.secret) || hit.secret.name == KEPT;
                lawful && hit.region.has("dd")
            });
        assert!(
            when == "free" || kept.iter().any(|hit| hit.secret.name == "the store key"),
            "{when}: this search must see the store key"
        );
        let wrong = wrong.iter().chain(kept.iter().filter(|_| when == "free"));
        let wrong: Vec<_> = wrong.map(ToString::to_string).collect();
        assert!(wrong.is_empty(), "{when}:\n{}", wrong.join("\n"));
    }
}

impl Drop for Search {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    kmsbox::random::fill(&mut bytes).unwrap();
    bytes
}

fn random_file(path: &Path) -> [u8; 32] {
    let bytes = random();
    write_for_owner(path, &bytes);
    bytes
}

fn write_for_owner(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
