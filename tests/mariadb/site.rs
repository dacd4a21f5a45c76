//! A MariaDB server of its own for each test: a copy of one fresh data directory, a socket in it, a
//! keystore beside it. No server outlives its test.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{
    Output, Running, contains, installed, kmsbox, root, run, run_ok, scratch_dir, spawn,
};

/// How long a server may take to come up or go down.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a server may live, with all that a test does.
const LIFE: Duration = Duration::from_secs(900);

/// Where everything of these tests goes that is made once.
fn made_here(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mariadb");
    fs::create_dir_all(&folder).expect("the target directory can be written");
    // Two runs at once would make all of it anew under each other's servers: the later one waits.
    static ALONE: OnceLock<File> = OnceLock::new();
    ALONE.get_or_init(|| {
        let lock = File::create(folder.join("lock")).expect("it can be written");
        lock.lock().expect("another run ends");
        lock
    });
    folder.join(name)
}

/// The page that explains the plugin.
pub fn readme() -> String {
    fs::read_to_string(root().join("c_examples/mariadb/README.md")).expect("it is there")
}

/// The plugin, built by the line that the page shows.
pub fn plugin() -> &'static Path {
    static PLUGIN: OnceLock<PathBuf> = OnceLock::new();
    PLUGIN.get_or_init(|| build("kmsbox.so", ""))
}

/// Builds it by that line, with more options.
pub fn build(name: &str, options: &str) -> PathBuf {
    let page = readme();
    let shown = page
        .split("```sh\n")
        .find(|block| block.starts_with("cc "))
        .and_then(|block| block.split("```").next())
        .expect("the page shows how to build it");
    let plugin = made_here("plugin").join(name);
    fs::create_dir_all(plugin.parent().expect("it has one")).expect("it can be written");
    let out = format!("'{}'", plugin.display());
    assert!(shown.contains("-o kmsbox.so"), "{shown}");
    let compiler = format!("cc {options} -g -Wall -Wextra -Wpedantic -Werror ");
    let line = shown
        .replace("-o kmsbox.so", &format!("-o {out}"))
        .replacen("cc ", &compiler, 1);
    let mut build = Command::new("sh");
    build.args(["-e", "-c", &line]).current_dir(root());
    run_ok(build.env("PKG_CONFIG_PATH", &installed().pkg_config));
    plugin
}

/// A data directory as `mariadb-install-db` makes it; copied, because that is much faster.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let template = made_here("template");
        let _ = fs::remove_dir_all(&template); // of an earlier run
        let mut datadir = std::ffi::OsString::from("--datadir=");
        datadir.push(&template);
        let mut install = Command::new("mariadb-install-db");
        install
            .args(["--no-defaults", "--auth-root-authentication-method=normal"])
            .args(["--skip-test-db", "--innodb-log-file-size=4M"])
            .args(user())
            .arg(&datadir);
        run_ok(&mut install);
        template
    })
}

/// A server run by root wants to be told so.
pub fn user() -> Option<&'static str> {
    let own = fs::metadata(made_here(".")).expect("it is there").uid();
    (own == 0).then_some("--user=root")
}

/// The options of an encrypted server, as far as they are not the plugin's.
const ENCRYPTED: &[&str] = &[
    "--innodb-encrypt-tables=FORCE",
    "--innodb-encrypt-log=ON",
    "--innodb-encrypt-temporary-tables=ON",
    "--innodb-encryption-threads=2",
    "--aria-encrypt-tables=ON",
    "--encrypt-tmp-files=ON",
    "--encrypt-tmp-disk-tables=ON",
    "--encrypt-binlog=ON",
    "--log-bin=bin",
];

/// A place with a keystore, a key file and a data directory.
pub struct Site {
    scratch: TempDir,
    options: BTreeMap<String, String>,
}

impl Site {
    /// With two CMKs, `alias/mariadb` for the keys 1 and 2, and `alias/tenants` for 100 to 199.
    pub fn new() -> Site {
        let site = Site::without_data();
        run_ok(
            Command::new("cp")
                .arg("-r")
                .arg(template())
                .arg(site.data()),
        );
        site
    }

    /// For the plugin alone.
    pub fn without_data() -> Site {
        let scratch = scratch_dir();
        let path = |name: &str| scratch.path().join(name).display().to_string();
        let set = |(name, value): (&str, String)| (name.to_owned(), value);
        let options = [
            ("keystore", path("keystore")),
            ("root_key", format!("file:{}", path("root.key"))),
            ("cmk", "1-2=alias/mariadb;100-199=alias/tenants".to_owned()),
            ("server_name", "orders-1".to_owned()),
            ("key_file", path("mariadb.keys")),
            ("create_keys", "ON".to_owned()),
        ];
        let options = options.into_iter().map(set).collect();
        let site = Site { scratch, options };
        site.kmsbox(&["init", "--make-root-key"]);
        site.kmsbox(&["create-key", "--alias", "alias/mariadb"]);
        site.kmsbox(&["create-key", "--alias", "alias/tenants"]);
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Sets one of the plugin's variables.
    pub fn set(&mut self, name: &str, value: &str) {
        self.options.insert(name.to_owned(), value.to_owned());
    }

    pub fn option(&self, name: &str) -> &str {
        &self.options[name]
    }

    /// The plugin's variables as `name=value`.
    pub fn settings(&self) -> Vec<String> {
        let both = |(name, value): (&String, &String)| format!("{name}={value}");
        self.options.iter().map(both).collect()
    }

    /// The command `kmsbox` on this keystore.
    pub fn kmsbox_command(&self, arguments: &[&str]) -> Command {
        let mut command = kmsbox(self.scratch.path());
        command.args(arguments);
        command
    }

    #[track_caller]
    pub fn kmsbox(&self, arguments: &[&str]) -> Output {
        run_ok(&mut self.kmsbox_command(arguments))
    }

    /// The version under which a CMK wraps now.
    #[track_caller]
    pub fn primary_version(&self, cmk: &str) -> String {
        let shown = self.kmsbox(&["describe", cmk, "--json"]).stdout;
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON");
        shown["PrimaryKeyVersion"]
            .as_str()
            .expect("it has one")
            .to_owned()
    }

    /// The lines of the key file, each as its words.
    #[track_caller]
    pub fn key_file(&self) -> Vec<KeyLine> {
        let text = fs::read_to_string(self.path("mariadb.keys")).expect("there is a key file");
        let lines: Vec<_> = text.lines().collect();
        let [head, lines @ .., end] = &lines[..] else {
            panic!("{text}");
        };
        assert_eq!(*head, "kmsbox-mariadb-keys 1");
        assert_eq!(*end, format!("end {}", lines.len()));
        lines.iter().map(|line| KeyLine::of(line)).collect()
    }

    /// What the key file holds for a version, unwrapped by the command.
    #[track_caller]
    pub fn key(&self, line: &KeyLine) -> Vec<u8> {
        let (blob, out) = (self.path("a.blob"), self.path("a.key"));
        fs::write(&blob, &line.blob).expect("it can be written");
        let (blob, out_text) = (blob.display().to_string(), out.display().to_string());
        let context = [
            "purpose=mariadb-data-at-rest".to_owned(),
            format!("server={}", self.options["server_name"]),
            format!("key_id={}", line.key_id),
            format!("key_version={}", line.version),
        ];
        let mut arguments = vec!["decrypt", &blob, "--out", &out_text];
        for pair in &context {
            arguments.extend(["-c", pair]);
        }
        self.kmsbox(&arguments);
        let key = fs::read(&out).expect("the command wrote it");
        fs::remove_file(&out).expect("it is mine");
        key
    }

    /// Every file below a folder that has these bytes in it.
    pub fn files_with(&self, folder: &str, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.path(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("it can be read") {
                let path = entry.expect("it can be read").path();
                let kind = fs::symlink_metadata(&path)
                    .expect("it is there")
                    .file_type();
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() && holds(&path, bytes) {
                    let name = path.file_name().expect("it has a name");
                    found.push(name.to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    }

    /// Starts an encrypted server, which must come up.
    #[track_caller]
    pub fn start(&self) -> Server<'_> {
        self.start_with("--no-defaults", &self.encrypted())
    }

    /// Starts a server by the settings in `my.cnf`.
    #[track_caller]
    pub fn start_by_file(&self) -> Server<'_> {
        let (file, options) = self.by_file();
        self.start_with(&file, &options)
    }

    fn by_file(&self) -> (String, [String; 2]) {
        let file = format!("--defaults-file={}", self.path("my.cnf").display());
        (file, [plugin_dir(), "--log-bin=bin".to_owned()])
    }

    /// Starts a server without the plugin.
    #[track_caller]
    pub fn start_unencrypted(&self) -> Server<'_> {
        self.start_with("--no-defaults", &["--log-bin=bin".to_owned()])
    }

    #[track_caller]
    fn start_with(&self, first: &str, options: &[String]) -> Server<'_> {
        let mut server = self.launch(first, options);
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains("ready for connections") {
            let up = server.running.is_running() && Instant::now() < deadline;
            assert!(up, "no server:\n{}", self.log());
            sleep(Duration::from_millis(5));
        }
        server
    }

    /// Starts an encrypted server, which must give up; tells its log.
    #[track_caller]
    pub fn refused(&self) -> String {
        self.gives_up("--no-defaults", &self.encrypted())
    }

    /// Starts a server by the settings in `my.cnf`, which must give up; tells its log.
    #[track_caller]
    pub fn refused_by_file(&self) -> String {
        let (file, options) = self.by_file();
        self.gives_up(&file, &options)
    }

    #[track_caller]
    fn gives_up(&self, first: &str, options: &[String]) -> String {
        let output = self.launch(first, options).running.finish(PATIENCE);
        let log = self.log();
        assert!(!output.status.success(), "it came up:\n{log}");
        assert!(!log.contains("ready for connections"), "it came up:\n{log}");
        log
    }

    /// What the server that was started last has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("error.log")).unwrap_or_default()
    }

    fn encrypted(&self) -> Vec<String> {
        let mut options = vec![plugin_dir(), "--plugin-load-add=kmsbox.so".to_owned()];
        options.extend(ENCRYPTED.iter().map(|&option| option.to_owned()));
        options.extend(self.settings().iter().map(|set| format!("--kmsbox-{set}")));
        options
    }

    fn launch(&self, first: &str, options: &[String]) -> Server<'_> {
        let _ = fs::remove_file(self.path("error.log"));
        // It dies with the thread that starts it, also where the tests are interrupted or killed.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "mariadbd"])
            .arg(first)
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--log-error={}", self.path("error.log").display()))
            // Relative to the data directory: a socket's path must be short.
            .args(["--socket=socket", "--pid-file=pid", "--skip-networking"])
            .args(["--innodb-log-file-size=4M", "--innodb-buffer-pool-size=16M"])
            .args(user())
            .args(options);
        Server {
            site: self,
            running: spawn(&mut command),
        }
    }
}

/// A line of the key file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    pub key_id: u32,
    pub version: u32,
    pub cmk: String,
    pub cmk_version: String,
    pub blob: Vec<u8>,
}

impl KeyLine {
    fn of(line: &str) -> KeyLine {
        let words: Vec<_> = line.split(' ').collect();
        let [key_id, version, cmk, cmk_version, blob] = words[..] else {
            panic!("{line}");
        };
        let byte = |at| u8::from_str_radix(&blob[at..at + 2], 16).expect("it is hex");
        KeyLine {
            key_id: key_id.parse().expect("it is a number"),
            version: version.parse().expect("it is a number"),
            cmk: cmk.to_owned(),
            cmk_version: cmk_version.to_owned(),
            blob: (0..blob.len()).step_by(2).map(byte).collect(),
        }
    }
}

/// A server; killed with the value.
pub struct Server<'a> {
    site: &'a Site,
    running: Running,
}

impl Server<'_> {
    /// The client program with these statements.
    pub fn client(&self, sql: &str) -> Command {
        let mut client = Command::new("mariadb");
        client
            .args(["--no-defaults", "--user=root", "--socket=socket"])
            .args(["--batch", "--skip-column-names", "--unbuffered", "-e", sql])
            .current_dir(self.site.data());
        client
    }

    /// Statements that must be accepted; tells the rows, columns apart by tabs.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        run_ok(&mut self.client(sql)).stdout.trim_end().to_owned()
    }

    /// Statements of which one must be refused; tells the error.
    #[track_caller]
    pub fn refused(&self, sql: &str) -> String {
        let output = run(&mut self.client(sql));
        assert!(
            !output.status.success(),
            "accepted: {sql}\n{}",
            output.stdout
        );
        output.stderr
    }

    /// One of the plugin's status variables.
    #[track_caller]
    pub fn status(&self, name: &str) -> String {
        let row = self.sql(&format!("SHOW GLOBAL STATUS LIKE 'Kmsbox_{name}'"));
        let (_, value) = row
            .split_once('\t')
            .unwrap_or_else(|| panic!("{name}: {row}"));
        value.to_owned()
    }

    /// Waits until a query answers what it should.
    #[track_caller]
    pub fn wait_for(&self, sql: &str, answer: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut last = self.sql(sql);
        while last != answer {
            assert!(Instant::now() < deadline, "{sql}: {last}, not {answer}");
            sleep(Duration::from_millis(20));
            last = self.sql(sql);
        }
    }

    /// Shuts it down in good order.
    #[track_caller]
    pub fn stop(self) {
        self.sql("SHUTDOWN");
        let output = self.running.finish(LIFE);
        assert!(
            output.status.success(),
            "{}\n{}",
            output.status,
            self.site.log()
        );
    }

    /// SIGKILL, in the midst of whatever it does.
    pub fn kill(mut self) {
        self.running.kill();
        while self.running.is_running() {
            sleep(Duration::from_millis(1));
        }
    }
}

/// The option that names the folder of the plugin.
pub fn plugin_dir() -> String {
    let folder = plugin().parent().expect("it has one");
    format!("--plugin-dir={}", folder.display())
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    let content = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    contains(&content, bytes)
}
