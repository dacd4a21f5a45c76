//! encrypt_file.c: files come back, and nothing else is taken for one of them.

use super::*;

const CHUNK: usize = 65536;
const TAG: usize = 16;
const HEADER: usize = 10 + 142;
const CONTEXT: [&str; 4] = [
    "--context",
    "table=orders",
    "--context",
    "owner=Łukasz \"L\"",
];

/// A keystore with a CMK, and the program.
struct Files {
    place: Place,
    cmk: String,
    link: Link,
}

impl Files {
    fn new(link: Link) -> Files {
        let place = Place::new();
        let cmk = place.new_cmk("keystore", "root.key");
        Files { place, cmk, link }
    }

    /// encrypt_file with keystore and root key named, and these arguments in between.
    fn run(&self, mode: &str, between: &[&str], files: [&str; 2]) -> Output {
        let mut command = Command::new(program("encrypt_file", self.link));
        self.run_by(&mut command, mode, between, files)
    }

    fn run_by(
        &self,
        command: &mut Command,
        mode: &str,
        between: &[&str],
        files: [&str; 2],
    ) -> Output {
        command.args([
            mode,
            "--keystore",
            "keystore",
            "--root-key",
            "file:root.key",
        ]);
        self.place.run(command.args(between), &files)
    }

    fn encrypt(&self, from: &str, to: &str) {
        let key_id = ["--key-id", &self.cmk];
        let output = self.run("encrypt", &[&key_id[..], &CONTEXT].concat(), [from, to]);
        assert_ended(&output, 0, "");
        assert!(output.stdout.contains(&self.cmk), "{output:?}");
    }

    /// Decrypting these bytes fails so, with these arguments, and changes no file.
    #[track_caller]
    fn assert_refused(&self, sealed: &[u8], between: &[&str], status: i32, says: &str) {
        self.place.write("refused.sealed", sealed);
        let before = self.place.files();
        let output = self.run("decrypt", between, ["refused.sealed", "refused.out"]);
        assert_ended(&output, status, says);
        assert!(output.stderr.starts_with("encrypt_file: "), "{output:?}");
        assert_eq!(self.place.files(), before, "something was left behind");
    }
}

#[test]
fn files_of_every_size_come_back() {
    if !need(Need::OpenSsl) {
        return;
    }
    for link in BOTH {
        let files = Files::new(link);
        for len in [
            0,
            1,
            31,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            2 * CHUNK,
            3 * CHUNK + 5,
        ] {
            let text = noise(len);
            files.place.write("in", &text);
            files.encrypt("in", "sealed");
            let sealed = files.place.read("sealed");
            let chunks = len.div_ceil(CHUNK).max(1);
            assert_eq!(sealed.len(), HEADER + len + chunks * TAG);
            fs::remove_file(files.place.path("in")).expect("it is mine");
            let _ = fs::remove_file(files.place.path("out")); // of the length before
            if len > 30 {
                files.place.assert_nowhere(&text[..31]);
                files.place.assert_nowhere(&text[len - 31..]);
            }

            // The pairs in another order; and the CMK may be named or not.
            let turned = [CONTEXT[2], CONTEXT[3], CONTEXT[0], CONTEXT[1]];
            let key_id = ["--key-id", &files.cmk];
            for between in [turned.to_vec(), [&turned[..], &key_id].concat()] {
                let output = files.run("decrypt", &between, ["sealed", "out"]);
                assert_ended(&output, 0, "");
                assert!(files.place.read("out") == text, "another text came back");
            }
            for made in ["sealed", "out"] {
                let metadata = fs::metadata(files.place.path(made)).expect("it was made");
                assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{made}");
            }
            let mut left = files.place.files();
            left.remove("keystore.lock");
            assert!(
                left.iter()
                    .eq(["keystore", "out", "root.key", "sealed"].iter()),
                "{left:?}"
            );
        }
    }
}

#[test]
fn a_file_needs_no_memory_of_its_size() {
    if !need(Need::OpenSsl) {
        return;
    }
    let files = Files::new(Link::Shared);
    let len: u64 = 256 << 20;
    let file = fs::File::create(files.place.path("in")).expect("it is new");
    file.set_len(len).expect("a file with a hole");
    // The shell limits the address space, which holds the libraries as well, to half of the file.
    let limited = || {
        let mut shell = Command::new("sh");
        let script = "ulimit -v 131072 && exec \"$@\"";
        shell
            .args(["-c", script, "sh"])
            .arg(program("encrypt_file", files.link));
        shell
    };
    let key_id = ["--key-id", &files.cmk];
    let output = files.run_by(&mut limited(), "encrypt", &key_id, ["in", "sealed"]);
    assert_ended(&output, 0, "");
    fs::remove_file(files.place.path("in")).expect("it is mine");
    let output = files.run_by(&mut limited(), "decrypt", &key_id, ["sealed", "out"]);
    assert_ended(&output, 0, "");
    run_ok(
        Command::new("cmp")
            .args(["-n", &len.to_string(), "/dev/zero"])
            .arg(files.place.path("out")),
    );
    assert_eq!(
        fs::metadata(files.place.path("out"))
            .expect("it was made")
            .len(),
        len
    );
}

#[test]
fn another_context_is_refused() {
    if !need(Need::OpenSsl) {
        return;
    }
    let files = Files::new(Link::Static);
    files.place.write("in", &noise(1000));
    files.encrypt("in", "sealed");
    let sealed = files.place.read("sealed");
    let [name, table, _, owner] = CONTEXT;
    let others: [&[&str]; 8] = [
        &[],
        &[name, table],
        &[name, owner],
        &[name, table, name, owner, name, "more=x"],
        &[name, "table=Orders", name, owner],
        &[name, "table=orders ", name, owner],
        &[name, "tabl=eorders", name, owner],
        &[name, "table=owner", name, "orders=Łukasz \"L\""],
    ];
    for other in others {
        files.assert_refused(&sealed, other, REFUSED, "KMS_ERR_CIPHERTEXT_INVALID");
    }
    let twice = [name, table, name, owner, name, table];
    files.assert_refused(&sealed, &twice, FAILED, "KMS_ERR_INVALID_PARAMETER");
    files.assert_refused(&sealed, &[name, "orders"], USAGE, "'='");
}

#[test]
fn another_key_is_refused() {
    if !need(Need::OpenSsl) {
        return;
    }
    let files = Files::new(Link::Shared);
    files.place.write("in", &noise(1000));
    files.encrypt("in", "sealed");
    let sealed = files.place.read("sealed");

    // Another CMK of this keystore was expected.
    let other = files.place.new_cmk("keystore", "root.key");
    let expecting = [&["--key-id", &other][..], &CONTEXT].concat();
    files.assert_refused(&sealed, &expecting, REFUSED, "KMS_ERR_KEY_MISMATCH");

    // Options given again replace the earlier ones: another keystore, and another root key.
    files.place.root_key("other.key", 0x92);
    files.place.new_cmk("other.keystore", "other.key");
    let elsewhere = [
        "--keystore",
        "other.keystore",
        "--root-key",
        "file:other.key",
    ];
    let elsewhere = [&elsewhere[..], &CONTEXT].concat();
    files.assert_refused(&sealed, &elsewhere, REFUSED, "KMS_ERR_KEY_NOT_FOUND");
    let wrong_root = [&["--root-key", "file:other.key"][..], &CONTEXT].concat();
    files.assert_refused(&sealed, &wrong_root, FAILED, "KMS_ERR_ROOT_KEY");
    let missing = [&["--keystore", "no.keystore"][..], &CONTEXT].concat();
    files.assert_refused(&sealed, &missing, FAILED, "KMS_ERR_KEYSTORE_NOT_FOUND");
}

#[test]
fn a_changed_byte_is_refused() {
    if !need(Need::OpenSsl) {
        return;
    }
    let files = Files::new(Link::Shared);
    files.place.write("in", &noise(2 * CHUNK + 100));
    files.encrypt("in", "sealed");
    let sealed = files.place.read("sealed");
    // All of the header; the edges of every chunk and tag; and places all over the file.
    let mut offsets: BTreeSet<usize> = (0..HEADER).collect();
    for chunk in 0..3 {
        let begin = HEADER + chunk * (CHUNK + TAG);
        let end = sealed.len().min(begin + CHUNK + TAG);
        offsets.extend([begin, begin + 1, end - TAG - 1, end - TAG, end - 1]);
    }
    offsets.extend((0..sealed.len()).step_by(4999));
    for offset in offsets {
        let mut changed = sealed.clone();
        changed[offset] ^= 1 << (offset % 8);
        files.assert_refused(&changed, &CONTEXT, REFUSED, "");
    }
}

#[test]
fn chunks_cut_moved_or_added_are_refused() {
    if !need(Need::OpenSsl) {
        return;
    }
    let files = Files::new(Link::Static);
    files.place.write("in", &noise(3 * CHUNK));
    files.encrypt("in", "sealed");
    let sealed = files.place.read("sealed");
    let chunk = |n: usize| &sealed[HEADER + n * (CHUNK + TAG)..HEADER + (n + 1) * (CHUNK + TAG)];
    let header = &sealed[..HEADER];
    files.encrypt("in", "again");
    let other_header = &files.place.read("again")[..HEADER];

    let mut cuts: BTreeSet<usize> = (0..=HEADER + TAG + 1).collect();
    for n in 1..=3 {
        let end = HEADER + n * (CHUNK + TAG);
        cuts.extend([end - TAG - 1, end - TAG, end - 1, end, end + 1, end + TAG]);
    }
    for cut in cuts.into_iter().filter(|&cut| cut < sealed.len()) {
        files.assert_refused(&sealed[..cut], &CONTEXT, REFUSED, "");
    }
    for put_together in [
        vec![header, chunk(1), chunk(0), chunk(2)],
        vec![header, chunk(0), chunk(2)],
        vec![header, chunk(2)],
        vec![header, chunk(0), chunk(0), chunk(1), chunk(2)],
        vec![header, chunk(0), chunk(1), chunk(2), &[0]],
        vec![header, chunk(0), chunk(1), chunk(2), &[0; TAG]],
        vec![header, chunk(0), chunk(1), chunk(2), chunk(2)],
        vec![other_header, chunk(0), chunk(1), chunk(2)],
    ] {
        files.assert_refused(&put_together.concat(), &CONTEXT, REFUSED, "");
    }
}

#[test]
fn a_failure_leaves_the_output_as_it_was() {
    if !need(Need::OpenSsl) {
        return;
    }
    let files = Files::new(Link::Shared);
    files.place.write("in", &noise(CHUNK + 1));
    files.encrypt("in", "sealed");
    let mut sealed = files.place.read("sealed");
    let last = sealed.len() - 1;
    sealed[last] ^= 1;
    files.place.write("sealed", &sealed);
    files.place.write("out", b"of before");
    let directory = files.place.path("directory");
    fs::create_dir(&directory).expect("it is new");
    let before = files.place.files();

    let refused = files.run("decrypt", &CONTEXT, ["sealed", "out"]);
    assert_ended(&refused, REFUSED, "chunk 1");
    assert_eq!(files.place.read("out"), b"of before");

    let key_id = ["--key-id", &files.cmk];
    for (paths, says) in [
        (["missing", "new"], "missing"),
        (["directory", "new"], "reading"),
        (["in", "nowhere/new"], "nowhere/new"),
        (["in", "directory"], "directory"),
    ] {
        assert_ended(&files.run("encrypt", &key_id, paths), FAILED, says);
    }
    let unknown = ["--key-id", "alias/unknown"];
    let output = files.run("encrypt", &unknown, ["in", "new"]);
    assert_ended(&output, FAILED, "KMS_ERR_ALIAS_NOT_FOUND");
    assert_ended(&files.run("encrypt", &[], ["in", "new"]), USAGE, "usage");
    assert_ended(
        &files.run("decrypt", &["--unknown", "x"], ["in", "new"]),
        USAGE,
        "usage",
    );
    assert_eq!(files.place.files(), before, "something was left behind");
}

#[test]
fn is_clean_under_valgrind() {
    if !need(Need::OpenSsl) || !need(Need::Valgrind) {
        return;
    }
    for link in BOTH {
        let files = Files::new(link);
        let text = noise(CHUNK + 1000);
        files.place.write("in", &text);
        let encrypt_file = program("encrypt_file", link);
        let run = |mode, between: &[&str], paths| {
            let between = [between, &CONTEXT].concat();
            files.run_by(&mut under_valgrind(&encrypt_file), mode, &between, paths)
        };
        assert_ended(
            &run("encrypt", &["--key-id", &files.cmk], ["in", "sealed"]),
            0,
            "",
        );
        assert_ended(&run("decrypt", &[], ["sealed", "out"]), 0, "");
        assert!(files.place.read("out") == text);

        let refused = run("decrypt", &["--context", "more=x"], ["sealed", "none"]);
        assert_ended(&refused, REFUSED, "KMS_ERR_CIPHERTEXT_INVALID");
        let mut sealed = files.place.read("sealed");
        sealed.pop();
        files.place.write("sealed", &sealed);
        assert_ended(&run("decrypt", &[], ["sealed", "none"]), REFUSED, "chunk 1");
        files.place.write("sealed", &sealed[..100]);
        assert_ended(
            &run("decrypt", &[], ["sealed", "none"]),
            REFUSED,
            "cut short",
        );
    }
}
