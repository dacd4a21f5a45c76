//! The Debian packages: what they hold, what they say of themselves, and that programs are built from them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{VERSION, against, copied, cpp_headers, pages, tree};
use crate::support::{
    Installed, Need, compiler_for, installed, make_ok, need, root, run, run_ok, scratch_dir,
};

/// Of 2026-11-21.
const DATE: &str = "1795219200";

struct Packages {
    /// By name.
    files: BTreeMap<String, PathBuf>,
    /// All of them, unpacked.
    unpacked: PathBuf,
}

/// The packages, built once.
fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        installed();
        let files = built(&make_ok(&["deb", &format!("SOURCE_DATE_EPOCH={DATE}")]).stdout);
        let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unpacked");
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked).expect("it was made by this test program");
        }
        for file in files.values() {
            run_ok(Command::new("dpkg-deb").arg("-x").arg(file).arg(&unpacked));
        }
        Packages { files, unpacked }
    })
}

/// `make deb` says which files it has made.
fn built(stdout: &str) -> BTreeMap<String, PathBuf> {
    stdout
        .lines()
        .filter(|line| line.ends_with(".deb"))
        .map(|line| {
            let file = PathBuf::from(line);
            (field(&file, "Package"), file)
        })
        .collect()
}

fn field(package: &Path, name: &str) -> String {
    let output = run_ok(Command::new("dpkg-deb").arg("-f").arg(package).arg(name));
    output.stdout.trim_end().to_owned()
}

/// What `make deb` runs, to put the packages elsewhere.
fn build_script(out: &Path) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let mut script = Command::new(root().join("packaging/deb/build"));
    script
        .arg(
            target
                .expect("it lies in the target directory")
                .join("dist"),
        )
        .arg(out)
        .env("VERSION", VERSION)
        .env("MAINTAINER", "Somebody <somebody@packages.invalid>")
        .env("SOURCE_DATE_EPOCH", DATE);
    script
}

/// What a package holds, by `dpkg-deb -c`: mode and owner before each path.
fn contents(package: &Path) -> BTreeMap<String, String> {
    let listing = run_ok(Command::new("dpkg-deb").arg("-c").arg(package)).stdout;
    listing
        .lines()
        .filter(|line| !line.starts_with('d'))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let path = words[5].trim_start_matches("./");
            (path.to_owned(), format!("{} {}", words[0], words[1]))
        })
        .collect()
}

/// `/usr/lib/x86_64-linux-gnu`, without the first slash.
fn libraries() -> String {
    let held = contents(&packages().files["libkmsbox0"]);
    let path = held.keys().find(|path| path.ends_with("/libkmsbox.so.0"));
    let path = path.expect("the library is there");
    path.trim_end_matches("/libkmsbox.so.0").to_owned()
}

#[test]
fn each_file_is_in_the_package_where_it_belongs() {
    if !need(Need::Make) || !need(Need::DpkgDeb) {
        return;
    }
    let lib = libraries();
    assert!(
        lib.starts_with("usr/lib/") && lib.ends_with("-linux-gnu"),
        "{lib}"
    );
    let mut expected: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    let mut expect = |package, path: String, mode: &str| {
        let held = expected.entry(package).or_default();
        held.insert(path, format!("{mode} root/root"));
    };
    let (file, program, link) = ("-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx");
    expect("libkmsbox0", format!("{lib}/libkmsbox.so.{VERSION}"), file);
    expect("libkmsbox0", format!("{lib}/libkmsbox.so.0"), link);
    expect("libkmsbox-dev", "usr/include/kmsbox.h".to_owned(), file);
    for header in cpp_headers() {
        expect("libkmsbox-dev", format!("usr/include/{header}"), file);
    }
    expect("libkmsbox-dev", format!("{lib}/libkmsbox.a"), file);
    expect("libkmsbox-dev", format!("{lib}/libkmsbox.so"), link);
    expect("libkmsbox-dev", format!("{lib}/pkgconfig/kmsbox.pc"), file);
    for name in ["kmsbox-config.cmake", "kmsbox-config-version.cmake"] {
        expect("libkmsbox-dev", format!("{lib}/cmake/kmsbox/{name}"), file);
    }
    expect("kmsbox", "usr/bin/kmsbox".to_owned(), program);
    for page in pages() {
        let package = if page.starts_with("man3") {
            "libkmsbox-dev"
        } else {
            "kmsbox"
        };
        expect(package, format!("usr/share/man/{page}.gz"), file);
    }
    for package in ["libkmsbox0", "libkmsbox-dev", "kmsbox"] {
        for name in ["changelog.gz", "changelog.Debian.gz", "copyright"] {
            expect(package, format!("usr/share/doc/{package}/{name}"), file);
        }
        expect(
            package,
            format!("usr/share/lintian/overrides/{package}"),
            file,
        );
    }
    for (package, held) in &expected {
        let found: BTreeMap<String, String> =
            contents(&packages().files[*package]).into_iter().collect();
        assert_eq!(found, *held, "{package}");
    }
    assert_eq!(packages().files.len(), expected.len());
}

#[test]
fn what_the_packages_say_of_themselves() {
    if !need(Need::Make) || !need(Need::DpkgDeb) {
        return;
    }
    let of = |package: &str, name: &str| field(&packages().files[package], name);
    for package in ["libkmsbox0", "libkmsbox-dev", "kmsbox"] {
        assert_eq!(of(package, "Version"), format!("{VERSION}-1"));
        assert_eq!(of(package, "Source"), "kmsbox");
        let architecture = of(package, "Architecture");
        let file = &packages().files[package];
        let name = format!("{package}_{VERSION}-1_{architecture}.deb");
        assert_eq!(
            file.file_name().and_then(|name| name.to_str()),
            Some(&*name)
        );
        assert!(of(package, "Maintainer").ends_with('>'));
        let description = of(package, "Description");
        assert!(description.lines().count() > 2, "{description}");
        assert!(
            of(package, "Installed-Size")
                .parse::<u32>()
                .is_ok_and(|size| size > 100)
        );
    }
    assert_eq!(of("libkmsbox0", "Section"), "libs");
    assert_eq!(of("libkmsbox-dev", "Section"), "libdevel");
    assert_eq!(of("libkmsbox0", "Multi-Arch"), "same");
    assert_eq!(of("libkmsbox-dev", "Multi-Arch"), "same");
    assert_eq!(of("kmsbox", "Multi-Arch"), "foreign");
    let depends = of("libkmsbox-dev", "Depends");
    assert_eq!(
        depends,
        format!("libkmsbox0 (= {VERSION}-1), libc6-dev | libc-dev")
    );
    let control = scratch_dir();
    run_ok(
        Command::new("dpkg-deb")
            .arg("-e")
            .arg(&packages().files["libkmsbox0"])
            .arg(control.path()),
    );
    let read = |name: &str| fs::read_to_string(control.path().join(name)).expect("it is there");
    assert_eq!(
        read("shlibs"),
        format!("libkmsbox 0 libkmsbox0 (>= {VERSION})\n")
    );
    assert_eq!(read("triggers"), "activate-noawait ldconfig\n");
}

/// The library would not load with an older one.
#[test]
fn they_depend_on_the_glibc_that_they_ask_for() {
    if !need(Need::Make) || !need(Need::DpkgDeb) || !need(Need::Readelf) {
        return;
    }
    for (package, file) in [
        ("libkmsbox0", format!("{}/libkmsbox.so.0", libraries())),
        ("kmsbox", "usr/bin/kmsbox".to_owned()),
    ] {
        let file = packages().unpacked.join(file);
        let listing = run_ok(Command::new("readelf").args(["-VW"]).arg(&file)).stdout;
        let newest = |base: &str| {
            let numbers = |version: &str| -> Vec<u32> {
                version
                    .split('.')
                    .map_while(|part| part.parse().ok())
                    .collect()
            };
            let asked = listing
                .split_whitespace()
                .filter_map(|word| word.strip_prefix(base))
                .map(|version| numbers(version.trim_end_matches(')')));
            let newest = asked.max().expect("it asks for some");
            let words: Vec<String> = newest.iter().map(u32::to_string).collect();
            words.join(".")
        };
        let glibc = newest("GLIBC_");
        let gcc = newest("GCC_");
        let gcc = gcc.trim_end_matches(".0");
        assert_eq!(
            field(&packages().files[package], "Depends"),
            format!("libc6 (>= {glibc}), libgcc-s1 (>= {gcc})"),
            "{package}"
        );
    }
}

#[test]
fn the_sums_are_those_of_the_files() {
    if !need(Need::Make) || !need(Need::DpkgDeb) {
        return;
    }
    for (package, file) in &packages().files {
        let place = scratch_dir();
        let (files, control) = (place.path().join("files"), place.path().join("control"));
        run_ok(Command::new("dpkg-deb").arg("-x").arg(file).arg(&files));
        run_ok(Command::new("dpkg-deb").arg("-e").arg(file).arg(&control));
        let sums = control.join("md5sums");
        run_ok(
            Command::new("md5sum")
                .args(["--quiet", "--strict", "-c"])
                .arg(&sums)
                .current_dir(&files),
        );
        let listed = fs::read_to_string(&sums)
            .expect("it is there")
            .lines()
            .count();
        let held = tree(&files)
            .values()
            .filter(|(mode, _)| !mode.starts_with("->"))
            .count();
        assert_eq!(listed, held, "{package}");
    }
}

#[test]
fn programs_are_built_from_the_packages() {
    if !need(Need::Make) || !need(Need::DpkgDeb) || !need(Need::PkgConfig) {
        return;
    }
    let unpacked = &packages().unpacked;
    let lib = unpacked.join(libraries());
    let scratch = scratch_dir();
    let data = scratch.path().join("data");
    fs::create_dir(&data).expect("a scratch directory can be written");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("it is mine");
    let source = copied("consumer.c", scratch.path());
    for (more, library, expected) in [
        (&[] as &[&str], "-lkmsbox", "made"),
        (&["--static"], "-l:libkmsbox.a", "opened"),
    ] {
        let mut pkg_config = Command::new("pkg-config");
        pkg_config
            .args(["--cflags", "--libs"])
            .args(more)
            .arg("kmsbox")
            .env("PKG_CONFIG_PATH", lib.join("pkgconfig"))
            .env("PKG_CONFIG_SYSROOT_DIR", unpacked)
            // They are where the system's compiler looks by itself, but not below another root.
            .env("PKG_CONFIG_ALLOW_SYSTEM_CFLAGS", "1")
            .env("PKG_CONFIG_ALLOW_SYSTEM_LIBS", "1");
        let flags = run_ok(&mut pkg_config).stdout.replace("-lkmsbox", library);
        let program = scratch.path().join(library);
        let mut compiler = compiler_for(&source);
        compiler.arg("-o").arg(&program).arg(&source);
        run_ok(compiler.args(flags.split_whitespace()));
        let output = run_ok(against(&program, &lib).arg(&data));
        assert_eq!(output.stdout, format!("{expected}\n"));
    }
    let version = run_ok(Command::new(unpacked.join("usr/bin/kmsbox")).arg("--version")).stdout;
    assert_eq!(version, format!("kmsbox {VERSION}\n"));
}

#[test]
fn a_cmake_project_is_built_from_the_packages() {
    if !need(Need::Make) || !need(Need::DpkgDeb) || !need(Need::Cmake) || !need(Need::Cxx) {
        return;
    }
    let scratch = scratch_dir();
    let unpacked = &packages().unpacked;
    let lib = unpacked.join(libraries());
    let place = Installed {
        lib: lib.clone(),
        ..Installed::below(&unpacked.join("usr"))
    };
    let build = super::consumers::cmake(&place, scratch.path()).expect("it is found");
    run_ok(Command::new("cmake").arg("--build").arg(&build));
    let data = scratch.path().join("data");
    fs::create_dir(&data).expect("a scratch directory can be written");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("it is mine");
    for (program, expected) in [("static_cxx", "made"), ("shared_c", "opened")] {
        let output = run_ok(against(&build.join(program), &lib).arg(&data));
        assert_eq!(output.stdout, format!("{expected}\n"), "{program}");
    }
}

#[test]
fn the_same_input_gives_the_same_packages() {
    if !need(Need::Make) || !need(Need::DpkgDeb) {
        return;
    }
    let read = |files: &BTreeMap<String, PathBuf>| -> Vec<Vec<u8>> {
        files
            .values()
            .map(|file| fs::read(file).expect("it was built"))
            .collect()
    };
    // Other tests read these files: the second lot is made elsewhere.
    let first = read(&packages().files);
    let scratch = scratch_dir();
    let mut again = build_script(scratch.path());
    again.env(
        "MAINTAINER",
        field(&packages().files["kmsbox"], "Maintainer"),
    );
    let second = built(&run_ok(&mut again).stdout);
    assert_eq!(second.len(), first.len());
    assert!(read(&second) == first);
}

#[test]
fn lintian_finds_nothing_wrong() {
    if !need(Need::Make) || !need(Need::DpkgDeb) || !need(Need::Lintian) {
        return;
    }
    let mut lintian = Command::new("lintian");
    lintian.args([
        "--no-user-dirs",
        "--allow-root",
        "--fail-on",
        "error,warning",
    ]);
    let output = run_ok(lintian.args(packages().files.values()));
    assert_eq!(output.stdout, "");
}

/// What is compiled in may be passed on under the licences that the packages name.
#[test]
fn the_licences_of_what_is_compiled_in_are_told() {
    if !need(Need::Make) {
        return;
    }
    let copyright = root().join("packaging/deb/copyright");
    let copyright = fs::read_to_string(copyright).expect("it is there");
    let mut tree = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tree.args([
        "tree",
        "--workspace",
        "--locked",
        "--offline",
        "--prefix",
        "none",
    ])
    .args(["-e", "normal,no-proc-macro", "-f", "{p}|{l}"])
    .current_dir(root());
    let listing = run_ok(&mut tree).stdout;
    let mut told = 0;
    for line in listing.lines().filter(|line| !line.is_empty()) {
        let (package, licence) = line.split_once('|').expect("two columns");
        let name = package.split(' ').next().unwrap_or_default();
        let licence = licence.trim_end_matches(" (*)");
        let apache = licence.split(" OR ").any(|one| one == "Apache-2.0");
        let named = copyright.contains(&format!("\nFiles: {name}/*\n"));
        assert!(
            apache || named,
            "packaging/deb/copyright does not name {name}: {licence}"
        );
        told += u32::from(named);
    }
    assert!(told > 0 && listing.lines().count() > 40, "{listing}");
}

#[test]
fn a_machine_that_is_not_debians_is_told_what_is_missing() {
    if !need(Need::Make) {
        return;
    }
    let scratch = scratch_dir();
    let tools = scratch.path().join("tools");
    fs::create_dir(&tools).expect("a scratch directory can be written");
    for tool in ["sh", "dirname", "mkdir", "date"] {
        let found = run_ok(Command::new("sh").args(["-c", &format!("command -v {tool}")])).stdout;
        symlink(found.trim(), tools.join(tool)).expect("it can be linked");
    }
    installed();
    let mut build = build_script(scratch.path());
    let output = run(build.env("PATH", &tools));
    assert!(!output.status.success());
    assert!(
        output.stderr.contains("dpkg is needed"),
        "{}",
        output.stderr
    );
}
