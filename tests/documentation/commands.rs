//! Sessions at a shell: `console` blocks go as they are written, `sh` blocks succeed.

use std::process::Command;
use std::time::Duration;

use super::page::{Block, blocks};
use super::place::Place;
use super::programs::ended_well;
use super::support::{Need, need, root, run, run_ok, run_within};

/// Commands of a page may build the library, and the command, first.
const LIMIT: Duration = Duration::from_secs(1800);

/// Tools that not every machine has, by the words that call them.
const TOOLS: &[(&str, Need)] = &[
    ("pkg-config", Need::PkgConfig),
    ("cmake ", Need::Cmake),
    ("c++ ", Need::Cxx),
    ("g++ ", Need::Cxx),
    ("go ", Need::Go),
    ("pip ", Need::Pip),
    ("python3 ", Need::Python),
    ("kmsbox_format.py ", Need::PyCryptography),
    ("parquet_kms.py ", Need::PyArrow),
    ("kmsbox-badger ", Need::Badger),
    ("-lcrypto", Need::OpenSsl),
    ("dpkg-deb", Need::DpkgDeb),
    ("make deb", Need::DpkgDeb),
    ("rocksdb", Need::RocksDb),
    ("mariadb", Need::MariaDb),
    ("sqlcipher", Need::SqlCipher),
];

/// The blocks of each page, which are parts of one session.
fn sessions(language: &str) -> Vec<Vec<Block>> {
    let mut sessions: Vec<Vec<Block>> = Vec::new();
    for block in blocks(language) {
        match sessions.last_mut() {
            Some(session) if session[0].page() == block.page() => session.push(block),
            _ => sessions.push(vec![block]),
        }
    }
    sessions
}

/// Whether the words that begin a command, or follow a space, name only tools that are here.
fn has_tools(session: &[Block]) -> bool {
    let text: String = session.iter().map(|block| &*block.text).collect();
    let wanted = TOOLS.iter().filter(|(word, _)| {
        text.match_indices(word).any(|(at, _)| {
            at == 0 || [b' ', b'\n', b'(', b'/', b'-'].contains(&text.as_bytes()[at - 1])
        })
    });
    wanted.fold(true, |all, (_, tool)| need(*tool) && all)
}

#[test]
fn sessions_go_as_they_are_written() {
    let mut wrong = Vec::new();
    for session in sessions("console") {
        if !has_tools(&session) {
            continue;
        }
        let said = perform(&session);
        for (block, said) in session.iter().zip(&said) {
            if !alike(&block.text, said) {
                let place = block.place();
                wrong.push(format!("{place}: written\n{}--- said\n{said}", block.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const NEXT: &str = "@@ next block\n";

/// How the pages name the folder in which a session begins.
const HOME: &str = "/home/you";

/// What each block of a session says, commands included.
fn perform(session: &[Block]) -> Vec<String> {
    let place = Place::empty();
    let mut script = String::from("exec 2>&1\n");
    for block in session {
        let mut lines = block.text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("$ ") else {
                continue;
            };
            let (mut shown, mut command) = (line.to_owned(), first.to_owned());
            // The further lines of a command.
            while let Some(more) = lines.peek().and_then(|line| line.strip_prefix("> ")) {
                shown.push_str(&format!("\n> {more}"));
                command.push_str(&format!("\n{more}"));
                lines.next();
            }
            script.push_str(&format!("cat <<'@@LINE'\n{shown}\n@@LINE\n{command}\n"));
        }
        script.push_str(&format!("printf '{}'\n", NEXT.replace('\n', "\\n")));
    }
    let file = place.write("session.sh", script);
    let mut shell = place.command("sh");
    // The script is not among the user's files.
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let output = run(shell.arg(file).current_dir(&home).env("HOME", &home));
    assert_eq!(output.stderr, "");
    let stdout = output.stdout.replace(&*home.to_string_lossy(), HOME);
    let mut said: Vec<String> = stdout.split(NEXT).map(str::to_owned).collect();
    assert_eq!(
        said.len(),
        session.len() + 1,
        "{}: it ended early\n{}",
        session[0].place(),
        output.stdout
    );
    said.pop();
    said
}

/// Whether a session said what is written, where a line of three dots stands for any number of lines.
fn alike(written: &str, said: &str) -> bool {
    let lines = |text: &str| text.lines().map(settled).collect::<Vec<_>>();
    fits(&lines(written), &lines(said))
}

fn fits(written: &[String], said: &[String]) -> bool {
    match written.split_first() {
        None => said.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=said.len()).any(|from| fits(rest, &said[from..]))
        }
        Some((first, rest)) => said.first() == Some(first) && fits(rest, &said[1..]),
    }
}

/// A line in which what differs from run to run is named by what it is: ids, times, long base64.
fn settled(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if let Some((name, len)) = changing(rest) {
            out.push_str(name);
            rest = &rest[len..];
        } else {
            // A word that only ends like an id is none: it goes over whole.
            let word = rest.find(|c: char| !c.is_ascii_alphanumeric());
            let len = match word {
                Some(0) => first.len_utf8(),
                Some(len) => len,
                None => rest.len(),
            };
            out.push_str(&rest[..len]);
            rest = &rest[len..];
        }
    }
    out
}

/// What changes at each run, if it begins here: its name and length.
fn changing(text: &str) -> Option<(&'static str, usize)> {
    const SHAPES: &[(&str, &str)] = &[
        ("ID", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
        ("TIME", "0000-00-00T00:00:00Z"),
        ("TIME", "0000-00-00 00:00:00"),
        ("DATE", "0000-00-00"),
    ];
    let fits = |shape: &str| {
        text.len() >= shape.len()
            && shape
                .bytes()
                .zip(text.bytes())
                .all(|(shape, byte)| match shape {
                    b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                    b'0' => byte.is_ascii_digit(),
                    shape => shape == byte,
                })
    };
    if let Some((name, shape)) = SHAPES.iter().find(|(_, shape)| fits(shape)) {
        return Some((name, shape.len()));
    }
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let len = text.bytes().take_while(|byte| base64(*byte)).count();
    (len >= 60).then_some(("BASE64", len))
}

#[test]
fn only_what_changes_is_passed_over() {
    let id = "e440ed5c-8af8-473c-93d8-1c2cfae83cd6";
    let other = "d4470422-a660-43e9-a5d0-b8fc8f4f7d4f";
    assert!(alike(&format!("a {id}."), &format!("a {other}.")));
    assert!(!alike(&format!("a {id}."), &format!("a x{other}.")));
    assert!(!alike("2 versions", "3 versions"));
    assert!(alike(
        "\"2026-11-21T18:30:00Z\"",
        "\"2027-01-01T00:00:00Z\""
    ));
    assert!(!alike("2026-11-21", "2026-11-2"));
    assert!(alike("a\n...\nd", "a\nb\nc\nd"));
    assert!(!alike("a\n...\nd", "a\nb\nc"));
    assert!(!alike("a", "a\nb"));
    assert!(!alike("a\nb", "a"));
    let session = |text| perform(&[Block::of("console", text)]).remove(0);
    let text = "$ echo a \\\n> b\na b\n$ nonsense 2>/dev/null || echo no\nno\n";
    assert_eq!(session(text), text);
    assert_ne!(session("$ echo a\nb\n"), "$ echo a\nb\n");
}

/// They run in the checkout, with a home of their own, one page after another.
#[test]
fn commands_succeed() {
    let before = tops();
    let mut wrong = Vec::new();
    for session in sessions("sh") {
        if !has_tools(&session) {
            continue;
        }
        if let Err(what) = perform_commands(&session) {
            wrong.push(format!("{}: {what}", session[0].place()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        tops(),
        before,
        "commands of the documentation left files in the checkout"
    );
}

fn perform_commands(session: &[Block]) -> Result<(), String> {
    let place = Place::empty();
    let home = place.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let text: String = session.iter().map(|block| &*block.text).collect();
    let script = place.write("commands.sh", format!("set -eux\n{text}"));
    let mut shell = place.command("sh");
    // Rust keeps its tools and what it downloaded in the home.
    for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if std::env::var_os(variable).is_none()
            && let Some(own) = std::env::home_dir()
        {
            shell.env(variable, own.join(folder));
        }
    }
    // And Go its own, which it writes read-only.
    if session.iter().any(|block| block.text.contains("go build")) {
        let names = ["GOPATH", "GOCACHE", "GOMODCACHE"];
        let folders = run_ok(Command::new("go").arg("env").args(names));
        shell.envs(names.into_iter().zip(folders.stdout.lines()));
    }
    shell.arg(script).current_dir(root());
    shell.env("HOME", &home).env("TMPDIR", place.path());
    ended_well(&run_within(&mut shell, LIMIT))
}

/// What is not run can at least be read by a shell.
#[test]
fn excused_commands_are_well_formed() {
    let pages = super::pages();
    let excused = pages
        .iter()
        .flat_map(|page| &page.blocks)
        .filter(|block| block.language == "sh" && block.excuse.is_some());
    for block in excused {
        let place = Place::empty();
        let script = place.write("commands.sh", &block.text);
        run_ok(place.command("sh").arg("-n").arg(script));
    }
}

/// What lies at the top of the checkout and among the examples, where programs are compiled.
fn tops() -> Vec<String> {
    let mut names = Vec::new();
    for folder in ["", "c_examples"] {
        let Ok(entries) = std::fs::read_dir(root().join(folder)) else {
            continue;
        };
        names.extend(entries.map(|entry| entry.unwrap().path().display().to_string()));
    }
    names.sort();
    names
}
