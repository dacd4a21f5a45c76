// Command cases performs the shared cases of tests/cases through this binding. The README there tells the format
// and what a runner does.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	notHeld    = 1
	unreadable = 2
)

func main() {
	arguments, err := parseArguments(os.Args[1:])
	if err != nil {
		stop(err)
	}
	cases, err := readList(arguments.list)
	if err != nil {
		stop(err)
	}
	shared := saved{}
	if arguments.load != "" {
		if shared, err = loadSaved(arguments.load); err != nil {
			stop(err)
		}
	}
	status := 0
	for _, c := range cases {
		run := &runner{dir: arguments.dir, saved: shared, requests: map[string]bool{}}
		if !arguments.together() {
			run.dir = filepath.Join(arguments.dir, c.name)
			run.saved = saved{}
			if err := os.Mkdir(run.dir, 0o700); err != nil {
				stop(err)
			}
		}
		failure, err := run.perform(c)
		if err != nil {
			stop(fmt.Errorf("%s: %w", arguments.list, err))
		}
		if failure != nil {
			fmt.Printf("not ok %s: %v\n", c.name, failure)
			status = notHeld
		} else {
			fmt.Printf("ok %s\n", c.name)
		}
	}
	if arguments.save != "" {
		if err := shared.store(arguments.save); err != nil {
			stop(err)
		}
	}
	os.Exit(status)
}

type arguments struct{ list, dir, load, save string }

// together: all cases share the folder and what is saved.
func (a *arguments) together() bool { return a.load != "" || a.save != "" }

func parseArguments(words []string) (*arguments, error) {
	var a arguments
	places := map[string]*string{"--dir": &a.dir, "--load": &a.load, "--save": &a.save}
	for i := 0; i < len(words); i++ {
		place, option := places[words[i]]
		switch {
		case option && i+1 < len(words):
			i++
			*place = words[i]
		case !option && a.list == "":
			a.list = words[i]
		default:
			return nil, fmt.Errorf("unexpected argument %q", words[i])
		}
	}
	if a.list == "" || a.dir == "" {
		return nil, fmt.Errorf("usage: cases LIST --dir DIR [--load FILE] [--save FILE]")
	}
	dir, err := filepath.Abs(a.dir)
	a.dir = dir
	return &a, err
}

func stop(err error) {
	fmt.Fprintf(os.Stderr, "cases: %v\n", err)
	os.Exit(unreadable)
}
