package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"kmsbox"
)

// A WrappedKey is a master key of Badger as it lies on the disk: under a CMK.
type WrappedKey struct {
	// KeyID is the id of the CMK. It is expected at every unwrapping: an alias can move, and a blob put here by
	// somebody else could be under any CMK.
	KeyID string `json:"key_id"`
	// KeyVersionID is for people; the blob says it too.
	KeyVersionID string `json:"key_version_id"`
	Blob         []byte `json:"blob"`
}

// A keyFile is the file beside the database that holds its wrapped master key.
type keyFile struct {
	Format  int        `json:"format"`
	Current WrappedKey `json:"current"`
	// Next is there while the key registry is being written anew: it opens with one of the two.
	Next *WrappedKey `json:"next,omitempty"`
}

const format = 1

var errNoKeyFile = errors.New("there is no key file")

func wrapped(key *kmsbox.DataKey) WrappedKey {
	return WrappedKey{key.KeyID, key.KeyVersionID, key.Blob}
}

func readKeyFile(path string) (*keyFile, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", errNoKeyFile, path)
	}
	if err != nil {
		return nil, err
	}
	var file keyFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s is not a key file: %w", path, err)
	}
	if file.Format != format {
		return nil, fmt.Errorf("%s has the format %d, which this program does not know", path, file.Format)
	}
	return &file, nil
}

// replace puts the file in place whole, or leaves what was there; what it has returned survives a power cut.
func (f *keyFile) replace(path string) error {
	f.Format = format
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	// Whoever writes holds the lock, so what a killed process left under this name may be overwritten.
	temporary := path + ".tmp"
	if err := writeSynced(temporary, append(text, '\n')); err != nil {
		return err
	}
	step("written")
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	step("renamed")
	return syncDirectory(filepath.Dir(path))
}

func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// makeDirectory makes a directory where it is missing, in a way that survives a power cut.
func makeDirectory(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil // Its parent need not be readable, then.
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(filepath.Clean(path)))
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// lock takes the lock of a file or directory; it ends with the process, or when the file is closed.
func lock(path string, flags int, how int) (*os.File, error) {
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// step is called between the steps of a change. Tests end the process there.
var step = func(string) {}
