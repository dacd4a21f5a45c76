// Package store keeps a Badger database encrypted under a CMK of kmsbox.
//
// Badger encrypts its files with data keys of its own, and those with a master key (Options.WithEncryptionKey),
// which it leaves to its user to keep. Here the master key is a data key of kmsbox: its plaintext is only in
// memory, its blob in a file beside the database. So the CMK can be rotated, and the blob moved to another
// version or CMK, without a byte of data being written anew.
//
//	DIR/key.json    the blob, and the id of its CMK; replaced whole, mode 0600
//	DIR/key.lock    held while key.json is changed
//	DIR/data/       the files of Badger
package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"kmsbox"
)

// Config says which database it is.
type Config struct {
	// Dir is the directory of the database, made if it is missing.
	Dir string
	// Name is the database's identity, such as "orders". It is bound to the blob: the key file of another
	// database does not open, though it be under the same CMK. A copy of the database keeps its name.
	Name string
	// CMK is what a new database's key is wrapped under: an id, ARN or alias.
	CMK string
	// DataKeyAge is how long Badger encrypts with one data key; 0 is Badger's default, ten days.
	DataKeyAge time.Duration
}

// A Store is an open database.
type Store struct {
	*badger.DB
	master *kmsbox.Secret
}

// ErrNoKey says that a database is there, but not the file with its key: nothing can read it without.
var ErrNoKey = errors.New("the database has no key file")

// ErrNoRegistry says that data is there, but not Badger's file with the keys to it. Badger would make another with
// new keys, read the data with those, and panic at what comes out.
var ErrNoRegistry = errors.New("the database has no key registry")

// ErrInUse says that another process has the database open.
var ErrInUse = errors.New("the database is in use")

// Open opens the database, or makes it where there is none.
func Open(kms *kmsbox.Client, config Config) (*Store, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	if err := makeDirectory(config.Dir); err != nil {
		return nil, err
	}
	// Until Badger has its own lock: the key must not be replaced between being read and being used.
	held, err := config.lockKey()
	if err != nil {
		return nil, err
	}
	defer held.Close()
	master, err := config.master(kms)
	if errors.Is(err, errNoKeyFile) {
		master, err = config.newMaster(kms)
	}
	if err != nil {
		return nil, config.aboutKey(err)
	}
	if err := config.checkRegistry(); err != nil {
		return nil, errors.Join(fmt.Errorf("the database %q: %w", config.Name, err), master.Close())
	}
	options := badger.DefaultOptions(config.data()).
		WithEncryptionKey(master.Bytes()).
		// Encrypted indexes are decrypted at each use unless they are cached.
		WithIndexCacheSize(64 << 20).
		WithLoggingLevel(badger.WARNING)
	if config.DataKeyAge > 0 {
		options = options.WithEncryptionKeyRotationDuration(config.DataKeyAge)
	}
	db, err := badger.Open(options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the database %q: %w", config.Name, err), master.Close())
	}
	return &Store{db, master}, nil
}

// Close closes the database and wipes its master key. Badger uses the key until then, for new data keys, and
// leaves copies in what it has expanded for AES; the database must not be used any more.
func (s *Store) Close() error {
	return errors.Join(s.DB.Close(), s.master.Close())
}

// Key tells what the database's key is under.
func (c Config) Key() (WrappedKey, error) {
	if err := c.check(); err != nil {
		return WrappedKey{}, err
	}
	file, err := readKeyFile(c.keyFile())
	if err != nil {
		return WrappedKey{}, err
	}
	return file.Current, nil
}

// master is the database's master key. The lock of the key file must be held.
func (c Config) master(kms *kmsbox.Client) (*kmsbox.Secret, error) {
	file, err := readKeyFile(c.keyFile())
	if err != nil {
		return nil, err
	}
	if file.Next != nil {
		return c.settle(kms, file)
	}
	return c.unwrap(kms, file.Current)
}

// checkRegistry looks whether the keys to the data are there. Badger writes its registry before any data.
func (c Config) checkRegistry() error {
	// The directory is made before the key file: without it the data was moved away, or its disk is not mounted.
	entries, err := os.ReadDir(c.data())
	if err != nil {
		return err
	}
	hasData := false
	for _, entry := range entries {
		switch {
		case entry.Name() == badger.KeyRegistryFileName:
			return nil
		case slices.Contains([]string{".mem", ".sst", ".vlog"}, filepath.Ext(entry.Name())):
			hasData = true
		}
	}
	if hasData {
		return fmt.Errorf("%w: %s", ErrNoRegistry, filepath.Join(c.data(), badger.KeyRegistryFileName))
	}
	return nil
}

// newMaster makes the key of a new database. It is on the disk before anything is encrypted with it, and so is
// the directory for what is.
func (c Config) newMaster(kms *kmsbox.Client) (*kmsbox.Secret, error) {
	entries, err := os.ReadDir(c.data())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoKey, c.keyFile())
	}
	key, err := kms.NewDataKey(kmsbox.DataKeyRequest{KeyID: c.CMK, Context: c.context()})
	if err != nil {
		return nil, err
	}
	file := keyFile{Current: wrapped(key)}
	err = makeDirectory(c.data())
	if err == nil {
		step("directory")
		err = file.replace(c.keyFile())
	}
	if err != nil {
		return nil, errors.Join(err, key.Close())
	}
	return key.Plaintext, nil
}

func (c Config) unwrap(kms *kmsbox.Client, key WrappedKey) (*kmsbox.Secret, error) {
	master, _, err := kms.DecryptToSecret(kmsbox.DecryptRequest{
		ExpectedKeyID: key.KeyID, Blob: key.Blob, Context: c.context(),
	})
	return master, err
}

// context is what the blob is bound to.
func (c Config) context() kmsbox.Context {
	return kmsbox.Pairs{"purpose": "badger", "database": c.Name}
}

func (c Config) check() error {
	if c.Dir == "" || c.Name == "" {
		return errors.New("a database needs a directory and a name")
	}
	if c.DataKeyAge < 0 {
		return fmt.Errorf("the age of a data key is %v, which is negative", c.DataKeyAge)
	}
	return nil
}

func (c Config) aboutKey(err error) error {
	return fmt.Errorf("the key of the database %q: %w", c.Name, err)
}

func (c Config) keyFile() string { return filepath.Join(c.Dir, "key.json") }
func (c Config) data() string    { return filepath.Join(c.Dir, "data") }

func (c Config) lockKey() (*os.File, error) {
	return lock(filepath.Join(c.Dir, "key.lock"), os.O_RDWR|os.O_CREATE, syscall.LOCK_EX)
}

// lockData takes the lock that Badger holds while the database is open.
func (c Config) lockData() (*os.File, error) {
	file, err := lock(c.data(), os.O_RDONLY, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrInUse
	}
	return file, err
}
