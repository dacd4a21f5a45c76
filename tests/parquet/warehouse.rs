//! A keystore and a folder of Parquet files for each test, and the example's command on them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{
    Need, Output, installed, kmsbox, need, python, root, run, run_ok, scratch_dir,
};

pub const CSV: &str = "\"number\",\"total\",\"name\",\"email\"\n\
    1,31415926,\"Ada Lovelace\",\"ada@example.org\"\n\
    2,27182818,\"Grace Hopper\",\"grace@example.org\"\n";

pub const DATA: &str = "orders.parquet";
pub const MATERIAL: &str = "_KEY_MATERIAL_FOR_orders.parquet.json";

/// A keystore with two CMKs, `alias/orders` and `alias/people`, and a folder for files.
pub struct Warehouse {
    scratch: tempfile::TempDir,
    pub orders: String,
    pub people: String,
}

impl Warehouse {
    pub fn new() -> Warehouse {
        let mut warehouse = Warehouse {
            scratch: scratch_dir(),
            orders: String::new(),
            people: String::new(),
        };
        warehouse.kmsbox(&["init", "--make-root-key"]);
        warehouse.orders = warehouse.kmsbox(&["create-key", "--alias", "alias/orders"]);
        warehouse.people = warehouse.kmsbox(&["create-key", "--alias", "alias/people"]);
        fs::write(warehouse.path().join("orders.csv"), CSV).unwrap();
        warehouse
    }

    /// With a file in it, each two of its columns under one CMK.
    pub fn with_file() -> Warehouse {
        let warehouse = Warehouse::new();
        warehouse.done(&[
            "write",
            "orders.csv",
            DATA,
            "--footer-key=alias/orders",
            "--column-key=alias/orders=number,total",
            "--column-key=alias/people=name,email",
        ]);
        warehouse
    }

    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// The command, which must succeed; what it printed.
    #[track_caller]
    pub fn kmsbox(&self, arguments: &[&str]) -> String {
        let output = run_ok(kmsbox(self.path()).args(arguments));
        output.stdout.trim().to_owned()
    }

    pub fn python(&self) -> Command {
        let package = root().join("bindings/python");
        let paths = [package.join("src"), package.join("examples/parquet")];
        let mut command = Command::new(python());
        command
            .env("PYTHONPATH", std::env::join_paths(paths).unwrap())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("KMSBOX_LIBRARY", installed().lib.join("libkmsbox.so.0"))
            .current_dir(self.path());
        command
    }

    /// `parquet_kms.py` on the data set "orders".
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_on("orders", arguments)
    }

    pub fn run_on(&self, dataset: &str, arguments: &[&str]) -> Output {
        run(self
            .python()
            .args([
                "-m",
                "parquet_kms",
                "--keystore=keystore",
                "--root-key=file:root.key",
            ])
            .args(["--dataset", dataset])
            .args(arguments))
    }

    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", output.stderr);
        output.stdout
    }

    /// What must be refused, with these words.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str], words: &[&str]) {
        refused(&self.run(arguments), words);
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    /// The CMK and version of each key of the file, sorted by the key's name.
    pub fn keys(&self) -> Vec<(String, String, String)> {
        let told = self.done(&["keys", DATA]);
        let mut keys: Vec<_> = told
            .lines()
            .map(|line| {
                let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
                let [name, _, key_id, version] = <[String; 4]>::try_from(words).unwrap();
                (name, key_id, version)
            })
            .collect();
        keys.sort();
        assert_eq!(keys.len(), 5, "{told}");
        keys
    }
}

#[track_caller]
pub fn refused(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stdout, "");
    for word in words {
        assert!(output.stderr.contains(word), "{word}: {}", output.stderr);
    }
}

/// Whether these tests can run here.
pub fn can_run() -> bool {
    need(Need::PyArrow) && need(Need::Make)
}
