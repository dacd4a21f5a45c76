package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	badger "github.com/dgraph-io/badger/v4"

	"kmsbox"
)

// Rewrap moves the blob to the present version of its CMK, or to another CMK where one is named. The master key
// stays what it is and is not shown; the database may be open meanwhile, and no file of it is touched.
func Rewrap(kms *kmsbox.Client, config Config, cmk string) error {
	// Before a lock file is made where there is no database.
	if _, err := config.Key(); err != nil {
		return err
	}
	held, err := config.lockKey()
	if err != nil {
		return err
	}
	defer held.Close()
	file, err := readKeyFile(config.keyFile())
	if err != nil {
		return err
	}
	keys := []*WrappedKey{&file.Current}
	if file.Next != nil {
		keys = append(keys, file.Next)
	}
	for _, key := range keys {
		destination := cmk
		if destination == "" {
			destination = key.KeyID
		}
		blob, result, err := kms.ReEncryptToBlob(kmsbox.ReEncryptRequest{
			ExpectedKeyID: key.KeyID, Blob: key.Blob, SourceContext: config.context(),
			DestinationKeyID: destination, DestinationContext: config.context(),
		})
		if err != nil {
			return config.aboutKey(err)
		}
		*key = WrappedKey{result.KeyID, result.KeyVersionID, blob}
	}
	step("re-encrypted")
	return file.replace(config.keyFile())
}

// RotateMasterKey gives the database another master key, under the CMK that the present one is under. Badger's
// key registry is written anew, and no other file. Nobody may have the database open.
//
// Two files change, one after the other. In between the key file has both keys, and whoever opens the database
// then finds out with which one the registry was written.
func RotateMasterKey(kms *kmsbox.Client, config Config) error {
	// Before a lock file is made where there is no database.
	if _, err := config.Key(); err != nil {
		return err
	}
	held, err := config.lockKey()
	if err != nil {
		return err
	}
	defer held.Close()
	data, err := config.lockData()
	if err != nil {
		return err
	}
	defer data.Close()
	current, err := config.master(kms)
	if err != nil {
		return config.aboutKey(err)
	}
	defer current.Close()
	file, err := readKeyFile(config.keyFile())
	if err != nil {
		return err
	}
	registry, err := config.registry(current)
	if err != nil {
		return fmt.Errorf("the database %q: %w", config.Name, err)
	}
	next, err := kms.NewDataKey(kmsbox.DataKeyRequest{KeyID: file.Current.KeyID, Context: config.context()})
	if err != nil {
		return config.aboutKey(err)
	}
	defer next.Close()
	with := wrapped(next)
	file.Next = &with
	if err := file.replace(config.keyFile()); err != nil {
		return err
	}
	step("both keys")
	if err := badger.WriteKeyRegistry(registry, config.registryOptions(next.Plaintext)); err != nil {
		return err
	}
	step("registry")
	file = &keyFile{Current: with}
	return file.replace(config.keyFile())
}

// settle ends a rotation of the master key that was interrupted: the key that opens the registry stays.
func (c Config) settle(kms *kmsbox.Client, file *keyFile) (*kmsbox.Secret, error) {
	for _, key := range []WrappedKey{*file.Next, file.Current} {
		master, err := c.unwrap(kms, key)
		if err != nil {
			return nil, err
		}
		_, err = c.registry(master)
		if err == nil {
			settled := keyFile{Current: key}
			err = settled.replace(c.keyFile())
		}
		if err == nil {
			return master, nil
		}
		if err = errors.Join(err, master.Close()); !errors.Is(err, badger.ErrEncryptionKeyMismatch) {
			return nil, err
		}
	}
	return nil, badger.ErrEncryptionKeyMismatch
}

func (c Config) registry(master *kmsbox.Secret) (*badger.KeyRegistry, error) {
	// For Badger a registry that is not there is an empty one.
	if _, err := os.Stat(filepath.Join(c.data(), badger.KeyRegistryFileName)); err != nil {
		return nil, err
	}
	return badger.OpenKeyRegistry(c.registryOptions(master))
}

func (c Config) registryOptions(master *kmsbox.Secret) badger.KeyRegistryOptions {
	return badger.KeyRegistryOptions{Dir: c.data(), ReadOnly: true, EncryptionKey: master.Bytes()}
}
