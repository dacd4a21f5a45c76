// Command kmsbox-badger keeps pairs of keys and values in a Badger database that is encrypted under a CMK.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	badger "github.com/dgraph-io/badger/v4"

	"kmsbox"
	"kmsbox-badger/store"
)

const usage = `usage: kmsbox-badger [OPTIONS] COMMAND

  put                stores what standard input has: KEY=VALUE, one in each line
  get KEY            prints a value
  status             shows what the database's key is under
  rotate             makes a new version of the CMK and moves the database's key to it
  rewrap [CMK]       moves the key to the present version of its CMK, or to another CMK
  rotate-master-key  gives Badger a new master key; the database must not be open

options:
`

type command struct {
	arguments   [2]int // at least, at most
	permissions []string
	run         func(*kmsbox.Client, store.Config, []string) error
}

var open = []string{"Decrypt", "GenerateDataKey"}

// A command's client can do what the command is for, and nothing else.
var commands = map[string]command{
	"put":    {[2]int{0, 0}, open, put},
	"get":    {[2]int{1, 1}, []string{"Decrypt"}, get},
	"status": {[2]int{0, 0}, []string{"DescribeKey"}, status},
	"rotate": {[2]int{0, 0}, []string{"CreateKeyVersion", "ReEncryptFrom", "ReEncryptTo"}, rotate},
	"rewrap": {[2]int{0, 1}, []string{"ReEncryptFrom", "ReEncryptTo"}, rewrap},
	"rotate-master-key": {[2]int{0, 0}, open, func(kms *kmsbox.Client, config store.Config, _ []string) error {
		return store.RotateMasterKey(kms, config)
	}},
}

func main() {
	var options kmsbox.Options
	var config store.Config
	flags := flag.NewFlagSet("kmsbox-badger", flag.ContinueOnError)
	flags.StringVar(&options.Keystore, "keystore", "", "the keystore `file`")
	flags.StringVar(&options.RootKey, "root-key", "", "where the root key is, such as `file:PATH`")
	flags.StringVar(&config.Dir, "dir", "", "the `directory` of the database")
	flags.StringVar(&config.Name, "name", "", "the `name` of the database, always the same")
	flags.StringVar(&config.CMK, "cmk", "alias/badger", "the `CMK` for the key of a new database")
	flags.DurationVar(&config.DataKeyAge, "data-key-age", 10*24*time.Hour, "how long Badger uses one data key")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	switch err := flags.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		os.Exit(2)
	}
	command, found := commands[flags.Arg(0)]
	arguments := flags.NArg() - 1
	if !found || arguments < command.arguments[0] || arguments > command.arguments[1] {
		flags.Usage()
		os.Exit(2)
	}
	if err := run(command, options, config, flags.Args()[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "kmsbox-badger: %v\n", err)
		os.Exit(1)
	}
}

func run(command command, options kmsbox.Options, config store.Config, arguments []string) error {
	options.Permissions = command.permissions
	kms, err := kmsbox.Open(options)
	if err != nil {
		return err
	}
	return errors.Join(command.run(kms, config, arguments), kms.Close())
}

func put(kms *kmsbox.Client, config store.Config, _ []string) (err error) {
	pairs, err := readPairs()
	if err != nil {
		return err
	}
	db, err := store.Open(kms, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	batch := db.NewWriteBatch()
	defer batch.Cancel()
	for _, pair := range pairs {
		if err := batch.Set([]byte(pair[0]), []byte(pair[1])); err != nil {
			return err
		}
	}
	return batch.Flush()
}

// readPairs reads all of standard input: where a line is wrong, nothing is stored.
func readPairs() (pairs [][2]string, err error) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		key, value, found := strings.Cut(lines.Text(), "=")
		if !found || key == "" {
			return nil, fmt.Errorf("line %d is not KEY=VALUE", len(pairs)+1)
		}
		pairs = append(pairs, [2]string{key, value})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", len(pairs)+1, err)
	}
	return pairs, nil
}

func get(kms *kmsbox.Client, config store.Config, arguments []string) (err error) {
	// A database that is not there must not be made by reading from it.
	if _, err := config.Key(); err != nil {
		return err
	}
	db, err := store.Open(kms, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(func(txn *badger.Txn) error {
		item, err := txn.Get([]byte(arguments[0]))
		if err != nil {
			return err
		}
		return item.Value(func(value []byte) error {
			_, err := fmt.Printf("%s\n", value)
			return err
		})
	})
}

func status(kms *kmsbox.Client, config store.Config, _ []string) error {
	key, err := config.Key()
	if err != nil {
		return err
	}
	cmk, err := kms.DescribeKey(key.KeyID)
	if err != nil {
		return err
	}
	present := "the present one"
	if cmk.PrimaryKeyVersion != key.KeyVersionID {
		present = "not the present one, " + cmk.PrimaryKeyVersion + ": rewrap"
	}
	fmt.Printf("CMK:     %s, %s\nversion: %s, %s\n", key.KeyID, cmk.KeyState, key.KeyVersionID, present)
	return nil
}

func rotate(kms *kmsbox.Client, config store.Config, _ []string) error {
	key, err := config.Key()
	if err != nil {
		return err
	}
	if _, err := kms.CreateKeyVersion(key.KeyID); err != nil {
		return err
	}
	return store.Rewrap(kms, config, "")
}

func rewrap(kms *kmsbox.Client, config store.Config, arguments []string) error {
	destination := ""
	if len(arguments) == 1 {
		destination = arguments[0]
	}
	return store.Rewrap(kms, config, destination)
}
