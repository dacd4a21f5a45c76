package main

import (
	"fmt"
	"net/url"
	"os"
	"strings"

	"kmsbox"
)

// A testCase is a case of the list.
type testCase struct {
	name  string
	steps []step
}

// A step is a line of a case, still percent-encoded.
type step struct {
	line           int
	verb           string
	arguments      []pair
	status, code   string
	checks         []pair
	placeForResult string
}

type pair struct{ name, value string }

func readList(path string) ([]testCase, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var cases []testCase
	for at, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if name, found := strings.CutPrefix(line, "case "); found {
			cases = append(cases, testCase{name: name})
			continue
		}
		if len(cases) == 0 {
			return nil, fmt.Errorf("%s: line %d: a step before the first case", path, at+1)
		}
		s, err := readStep(line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, at+1, err)
		}
		s.line = at + 1
		last := &cases[len(cases)-1]
		last.steps = append(last.steps, *s)
	}
	return cases, nil
}

func readStep(line string) (*step, error) {
	asked, told, found := strings.Cut(line, " -> ")
	if !found {
		return nil, fmt.Errorf("no expectation")
	}
	words := strings.Split(asked, " ")
	s := &step{verb: words[0]}
	for _, word := range words[1:] {
		p, err := readPair(word)
		if err != nil {
			return nil, err
		}
		if p.name == "save" {
			s.placeForResult = p.value
		} else {
			s.arguments = append(s.arguments, p)
		}
	}
	words = strings.Split(told, " ")
	s.status, words = words[0], words[1:]
	if s.status != "KMS_OK" {
		if len(words) == 0 {
			return nil, fmt.Errorf("no API code after %s", s.status)
		}
		s.code, words = words[0], words[1:]
	}
	for _, word := range words {
		p, err := readPair(word)
		if err != nil {
			return nil, err
		}
		s.checks = append(s.checks, p)
	}
	return s, nil
}

// readable: the status is one, and the checks go with it.
func (s *step) readable() error {
	if !statuses[s.status] {
		return fmt.Errorf("unknown status %q", s.status)
	}
	for _, check := range s.checks {
		isLength := check.name == "plaintext_len" || check.name == "blob_len"
		if s.status != "KMS_OK" && !(isLength && s.status == "KMS_ERR_BUFFER_TOO_SMALL") {
			return fmt.Errorf("the check %q does not go with %s", check.name, s.status)
		}
	}
	return nil
}

// statuses are the names of all that there are.
var statuses = func() map[string]bool {
	names := map[string]bool{}
	for number := kmsbox.OK; number < 1000; number++ {
		if name := number.String(); name != "KMS_ERR_UNKNOWN" {
			names[name] = true
		}
	}
	return names
}()

func readPair(word string) (pair, error) {
	name, value, found := strings.Cut(word, "=")
	if !found {
		return pair{}, fmt.Errorf("%q is not name=value", word)
	}
	name, err := url.PathUnescape(name)
	return pair{name, value}, err
}

// saved is what steps have given, by NAME.FIELD.
type saved map[string]string

func loadSaved(path string) (saved, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := saved{}
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		p, err := readPair(line)
		if err != nil {
			return nil, err
		}
		if all[p.name], err = url.PathUnescape(p.value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (s saved) store(path string) error {
	var text strings.Builder
	for name, value := range s {
		fmt.Fprintf(&text, "%s=%s\n", encoded(name), encoded(value))
	}
	return os.WriteFile(path, []byte(text.String()), 0o600)
}

// encoded encodes more than must be, and nothing that readers trip over.
func encoded(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// value puts in what is saved, and then undoes the encoding.
func (r *runner) value(text string) (string, error) {
	var whole strings.Builder
	for {
		before, after, found := strings.Cut(text, "{")
		whole.WriteString(before)
		if !found {
			break
		}
		name, rest, closed := strings.Cut(after, "}")
		known, isThere := r.saved[name], false
		if name == "dir" {
			known, isThere = r.dir, true
		} else {
			_, isThere = r.saved[name]
		}
		if !closed || !isThere {
			return "", fmt.Errorf("nothing is saved as {%s}", name)
		}
		whole.WriteString(encoded(known))
		text = rest
	}
	return url.PathUnescape(whole.String())
}
