package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	badger "github.com/dgraph-io/badger/v4"

	"kmsbox"
)

// A place is a directory with a keystore and a database.
type place struct {
	dir    string
	kms    *kmsbox.Client
	config Config
}

const records = 300

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{dir: t.TempDir()}
	must(t, os.Chmod(p.dir, 0o700))
	p.config = Config{Dir: filepath.Join(p.dir, "orders"), Name: "orders", CMK: "alias/badger"}
	p.kms = p.client(t)
	key, err := p.kms.CreateKey(nil)
	must(t, err)
	must(t, p.kms.CreateAlias(key.KeyID, p.config.CMK))
	return p
}

func (p *place) client(t *testing.T) *kmsbox.Client {
	t.Helper()
	kms, err := kmsbox.Open(kmsbox.Options{
		Keystore: filepath.Join(p.dir, "keystore"), Create: true,
		RootKeyBytes: bytes.Repeat([]byte{0xA7}, kmsbox.RootKeyLen), RefreshInterval: kmsbox.Immediately,
	})
	must(t, err)
	t.Cleanup(func() { must(t, kms.Close()) })
	return kms
}

func (p *place) fill(t *testing.T) {
	t.Helper()
	db, err := Open(p.kms, p.config)
	must(t, err)
	must(t, db.Update(func(txn *badger.Txn) error {
		for i := 0; i < records; i++ {
			if err := txn.Set([]byte(fmt.Sprint("order", i)), []byte(fmt.Sprint("customer", i))); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, db.Close())
}

// holds opens the database and finds everything in it.
func (p *place) holds(t *testing.T) {
	t.Helper()
	db, err := Open(p.kms, p.config)
	must(t, err)
	must(t, db.View(func(txn *badger.Txn) error {
		for i := 0; i < records; i++ {
			item, err := txn.Get([]byte(fmt.Sprint("order", i)))
			if err != nil {
				return err
			}
			value, err := item.ValueCopy(nil)
			if err != nil || string(value) != fmt.Sprint("customer", i) {
				return fmt.Errorf("%q, %w", value, err)
			}
		}
		return nil
	}))
	must(t, db.Close())
}

// data is every file of Badger by name.
func (p *place) data(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(p.config.data())
	must(t, err)
	files := map[string]string{}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(p.config.data(), entry.Name()))
		must(t, err)
		files[entry.Name()] = string(text)
	}
	return files
}

// changed are the files that are not the same.
func changed(before, after map[string]string) (names []string) {
	for name := range before {
		if text, found := after[name]; !found || text != before[name] {
			names = append(names, name)
		}
	}
	for name := range after {
		if _, found := before[name]; !found {
			names = append(names, name)
		}
	}
	return names
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestADatabaseIsWrittenAndReadAgain(t *testing.T) {
	p := newPlace(t)
	p.fill(t)
	p.holds(t)
	for name, text := range p.data(t) {
		if shows(text) {
			t.Errorf("plaintext in %s", name)
		}
	}
	info, err := os.Stat(p.config.keyFile())
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Error(info.Mode())
	}
}

func shows(text string) bool {
	return strings.Contains(text, "customer1") || strings.Contains(text, "order1")
}

// Without a key the same data can be read on the disk: so looking for it there proves something.
func TestPlaintextWouldBeSeen(t *testing.T) {
	p := newPlace(t)
	must(t, os.Mkdir(p.config.Dir, 0o700))
	db, err := badger.Open(badger.DefaultOptions(p.config.data()).WithLoggingLevel(badger.WARNING))
	must(t, err)
	must(t, db.Update(func(txn *badger.Txn) error { return txn.Set([]byte("order1"), []byte("customer1")) }))
	must(t, db.Close())
	for _, text := range p.data(t) {
		if shows(text) {
			return
		}
	}
	t.Error("it is not there")
}

func TestRewrappingTouchesNoData(t *testing.T) {
	p := newPlace(t)
	p.fill(t)
	before := p.data(t)
	old, err := p.config.Key()
	must(t, err)
	version, err := p.kms.CreateKeyVersion(old.KeyID)
	must(t, err)
	must(t, Rewrap(p.kms, p.config, ""))
	key, err := p.config.Key()
	must(t, err)
	if key.KeyVersionID != version.KeyVersionID || key.KeyID != old.KeyID || bytes.Equal(key.Blob, old.Blob) {
		t.Errorf("%+v", key)
	}
	other, err := p.kms.CreateKey(nil)
	must(t, err)
	must(t, Rewrap(p.kms, p.config, other.KeyID))
	if names := changed(before, p.data(t)); names != nil {
		t.Errorf("changed: %v", names)
	}
	must(t, p.kms.DisableKey(old.KeyID))
	p.holds(t)
}

func TestTheMasterKeyIsRotated(t *testing.T) {
	p := newPlace(t)
	p.fill(t)
	before := p.data(t)
	registry := filepath.Join(p.config.data(), badger.KeyRegistryFileName)
	must(t, RotateMasterKey(p.kms, p.config))
	names := changed(before, p.data(t))
	if len(names) != 1 || names[0] != badger.KeyRegistryFileName {
		t.Errorf("changed: %v", names)
	}
	p.holds(t)
	// The registry of before does not open any more.
	must(t, os.WriteFile(registry, []byte(before[badger.KeyRegistryFileName]), 0o600))
	if _, err := Open(p.kms, p.config); !errors.Is(err, badger.ErrEncryptionKeyMismatch) {
		t.Error(err)
	}
}

func TestNobodyRotatesTheMasterKeyOfAnOpenDatabase(t *testing.T) {
	p := newPlace(t)
	p.fill(t)
	db, err := Open(p.kms, p.config)
	must(t, err)
	before, err := os.ReadFile(p.config.keyFile())
	must(t, err)
	if err := RotateMasterKey(p.kms, p.config); !errors.Is(err, ErrInUse) {
		t.Error(err)
	}
	after, err := os.ReadFile(p.config.keyFile())
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the key file has changed")
	}
	// The blob can be moved, though.
	must(t, Rewrap(p.kms, p.config, ""))
	must(t, db.Close())
	p.holds(t)
}

func TestWhatIsRefused(t *testing.T) {
	p := newPlace(t)
	p.fill(t)
	key, err := p.config.Key()
	must(t, err)
	try := func(wanted error, says string) {
		t.Helper()
		db, err := Open(p.kms, p.config)
		if db != nil || !errors.Is(err, wanted) || !strings.Contains(err.Error(), says) {
			t.Errorf("expected %v with %q, came %v", wanted, says, err)
		}
	}
	must(t, p.kms.DisableKey(key.KeyID))
	try(kmsbox.ErrDisabled, `the key of the database "orders"`)
	must(t, p.kms.EnableKey(key.KeyID))
	p.config.Name = "people"
	try(kmsbox.ErrCiphertextInvalid, `"people"`)
	p.config.Name = "orders"

	text, err := os.ReadFile(p.config.keyFile())
	must(t, err)
	put := func(file keyFile) {
		t.Helper()
		must(t, file.replace(p.config.keyFile()))
	}
	other, err := p.kms.CreateKey(nil)
	must(t, err)
	put(keyFile{Current: WrappedKey{KeyID: other.KeyID, Blob: key.Blob}})
	try(kmsbox.ErrKeyMismatch, "orders")
	put(keyFile{Current: WrappedKey{Blob: key.Blob}})
	try(kmsbox.ErrMissingParameter, "orders")
	stranger, err := p.kms.NewDataKey(kmsbox.DataKeyRequest{KeyID: other.KeyID, Context: p.config.context()})
	must(t, err)
	defer stranger.Close()
	put(keyFile{Current: wrapped(stranger)})
	try(badger.ErrEncryptionKeyMismatch, `the database "orders"`)
	with := wrapped(stranger)
	put(keyFile{Current: wrapped(stranger), Next: &with})
	try(badger.ErrEncryptionKeyMismatch, "orders")

	for _, wrong := range []string{"", "{}", `{"format":2}`, string(text[:len(text)/2])} {
		must(t, os.WriteFile(p.config.keyFile(), []byte(wrong), 0o600))
		if db, err := Open(p.kms, p.config); db != nil || !strings.Contains(err.Error(), "key.json") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	must(t, os.Remove(p.config.keyFile()))
	try(ErrNoKey, "key.json")
	must(t, os.WriteFile(p.config.keyFile(), text, 0o600))
	p.holds(t)
}

// Badger would make new keys, read the data with those, and panic.
func TestDataWhoseKeysAreGoneIsLeftAlone(t *testing.T) {
	p := newPlace(t)
	p.fill(t)
	before := p.data(t)
	registry := filepath.Join(p.config.data(), badger.KeyRegistryFileName)
	must(t, os.Remove(registry))
	if _, err := Open(p.kms, p.config); !errors.Is(err, ErrNoRegistry) || !strings.Contains(err.Error(), registry) {
		t.Error(err)
	}
	if names := changed(before, p.data(t)); len(names) != 1 {
		t.Errorf("changed: %v", names)
	}
	must(t, os.WriteFile(registry, []byte(before[badger.KeyRegistryFileName]), 0o600))
	p.holds(t)

	// All of it, as on a disk that is not mounted.
	must(t, os.Rename(p.config.data(), p.config.data()+".away"))
	if _, err := Open(p.kms, p.config); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), p.config.data()) {
		t.Error(err)
	}
	must(t, os.Rename(p.config.data()+".away", p.config.data()))
	p.holds(t)
}

// Badger makes its manifest before its registry, and can be killed in between.
func TestADatabaseWithAManifestOnlyIsNew(t *testing.T) {
	p := newPlace(t)
	must(t, changes["make"](p))
	for name := range p.data(t) {
		if name != badger.ManifestFilename {
			must(t, os.Remove(filepath.Join(p.config.data(), name)))
		}
	}
	p.fill(t)
	p.holds(t)
}

func TestWhereThereIsNoDatabaseNothingIsMade(t *testing.T) {
	p := newPlace(t)
	must(t, os.Mkdir(p.config.Dir, 0o700))
	for name, call := range map[string]func() error{
		"Key":             func() error { _, err := p.config.Key(); return err },
		"Rewrap":          func() error { return Rewrap(p.kms, p.config, "") },
		"RotateMasterKey": func() error { return RotateMasterKey(p.kms, p.config) },
	} {
		if err := call(); !errors.Is(err, errNoKeyFile) || !strings.Contains(err.Error(), p.config.keyFile()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.config.DataKeyAge = -1
	if _, err := Open(p.kms, p.config); err == nil || !strings.Contains(err.Error(), "age") {
		t.Error(err)
	}
	if entries, err := os.ReadDir(p.config.Dir); err != nil || len(entries) > 0 {
		t.Error(entries, err)
	}
}

// The changes that a process may be killed in.
var changes = map[string]func(*place) error{
	"make": func(p *place) error {
		db, err := Open(p.kms, p.config)
		if err != nil {
			return err
		}
		return db.Close()
	},
	"rewrap":            func(p *place) error { return Rewrap(p.kms, p.config, "") },
	"rotate master key": func(p *place) error { return RotateMasterKey(p.kms, p.config) },
}

func TestKilledBetweenAnyTwoSteps(t *testing.T) {
	for name, steps := range map[string]int{"make": 3, "rewrap": 3, "rotate master key": 6} {
		for at := 1; ; at++ {
			p := newPlace(t)
			if name != "make" {
				p.fill(t)
			}
			if !p.killedAt(t, name, at) {
				if at != steps+1 {
					t.Errorf("%s has %d steps", name, at-1)
				}
				break
			}
			if name == "make" {
				p.fill(t)
			} else {
				_, err := p.kms.CreateKeyVersion("alias/badger")
				must(t, err)
			}
			p.holds(t)
			var file keyFile
			text, err := os.ReadFile(p.config.keyFile())
			must(t, err)
			must(t, json.Unmarshal(text, &file))
			if file.Next != nil {
				t.Errorf("%s, step %d: not settled", name, at)
			}
			must(t, changes["rotate master key"](p))
			must(t, changes["rewrap"](p))
			p.holds(t)
		}
	}
}

// killedAt makes a change in a process that is killed after this many steps; false where it has fewer.
func (p *place) killedAt(t *testing.T, name string, at int) bool {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestHelperThatIsKilled$", "-test.v")
	child.Env = append(os.Environ(), "STORE_TEST_DIR="+p.dir, "STORE_TEST_CHANGE="+name, "STORE_TEST_STEP="+strconv.Itoa(at))
	output, err := child.CombinedOutput()
	if err == nil {
		if !strings.Contains(string(output), "--- PASS: TestHelperThatIsKilled") {
			t.Fatalf("%s", output)
		}
		return false
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%v: %s", err, output)
	}
	return true
}

// TestHelperThatIsKilled is run by TestKilledBetweenAnyTwoSteps as another process.
func TestHelperThatIsKilled(t *testing.T) {
	name, given := os.LookupEnv("STORE_TEST_CHANGE")
	if !given {
		t.Skip("it is the other half of TestKilledBetweenAnyTwoSteps")
	}
	left, err := strconv.Atoi(os.Getenv("STORE_TEST_STEP"))
	must(t, err)
	p := &place{dir: os.Getenv("STORE_TEST_DIR")}
	p.config = Config{Dir: filepath.Join(p.dir, "orders"), Name: "orders", CMK: "alias/badger"}
	p.kms = p.client(t)
	step = func(string) {
		if left--; left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	must(t, changes[name](p))
}
