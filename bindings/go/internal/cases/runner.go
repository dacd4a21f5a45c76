package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"kmsbox"
)

// A runner performs the steps of a case.
type runner struct {
	dir      string
	saved    saved
	requests map[string]bool
	client   *kmsbox.Client
}

// An outcome is what came of a step.
type outcome struct {
	err error
	// request is the id that a success has told.
	request string
	// facts are what checks can be about.
	facts map[string]string
	// members are the answer's, by their names; nil where the step has none.
	members map[string][]string
	// gives is what can be saved.
	gives saved
	// left says what a failed step has left.
	left string
}

// perform tells what did not hold, or that the list cannot be read.
func (r *runner) perform(c testCase) (failure, unreadable error) {
	defer func() {
		if r.client != nil {
			_ = r.client.Close()
		}
	}()
	if len(c.steps) == 0 || c.steps[0].verb != "open" {
		root := bytes.Repeat([]byte{0x42}, kmsbox.RootKeyLen)
		if err := r.open(kmsbox.Options{Keystore: "memory:", RootKeyBytes: root}); err != nil {
			return err, nil
		}
	}
	for _, s := range c.steps {
		failure, unreadable := r.step(s)
		if unreadable != nil {
			return nil, fmt.Errorf("line %d: %w", s.line, unreadable)
		}
		if failure != nil {
			return fmt.Errorf("line %d: %w", s.line, failure), nil
		}
	}
	return nil, nil
}

func (r *runner) open(options kmsbox.Options) error {
	if r.client != nil {
		_ = r.client.Close()
		r.client = nil
	}
	client, err := kmsbox.Open(options)
	r.client = client
	return err
}

func (r *runner) step(s step) (failure, unreadable error) {
	verb, found := verbs[s.verb]
	if !found {
		return nil, fmt.Errorf("unknown step %q", s.verb)
	}
	if err := s.readable(); err != nil {
		return nil, err
	}
	asked := &asked{values: map[string]string{}}
	for _, argument := range s.arguments {
		value, err := r.value(argument.value)
		if err != nil {
			return nil, err
		}
		asked.values[argument.name] = value
		asked.hadNUL = asked.hadNUL || strings.ContainsRune(argument.name+value, 0)
	}
	came := verb(r, asked)
	if err := asked.unreadable(); err != nil {
		return nil, err
	}
	if failure := r.judge(s, came, asked.hadNUL); failure != nil {
		return failure, nil
	}
	for _, check := range s.checks {
		expected, err := r.value(check.value)
		if err != nil {
			return nil, err
		}
		failure, unreadable := came.check(check.name, expected)
		if failure != nil || unreadable != nil {
			return failure, unreadable
		}
	}
	if s.placeForResult != "" {
		for field, value := range came.gives {
			r.saved[s.placeForResult+"."+field] = value
		}
	}
	return nil, nil
}

var requestID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// judge looks at what every step must keep to.
func (r *runner) judge(s step, came *outcome, hadNUL bool) error {
	status, code, request := kmsbox.OK, "", came.request
	var refused *kmsbox.Error
	switch {
	case errors.As(came.err, &refused):
		status, code, request = refused.Status, refused.Code, refused.RequestID
	case came.err != nil:
		return fmt.Errorf("an error that is no refusal: %w", came.err)
	}
	if status.String() != s.status || code != s.code {
		return fmt.Errorf("expected %s %s, came %v %s (%v)", s.status, s.code, status.String(), code, came.err)
	}
	if came.left != "" {
		return fmt.Errorf("a failed step left %s", came.left)
	}
	if s.verb == "open" && came.err == nil {
		return nil // It answers a client and nothing else.
	}
	if request == "" && hadNUL && came.err != nil {
		return nil // The binding has refused it, and there was no call.
	}
	if !requestID.MatchString(request) {
		return fmt.Errorf("%q is no request id", request)
	}
	if r.requests[request] {
		return fmt.Errorf("the request id %s is also another step's", request)
	}
	r.requests[request] = true
	return nil
}

func (o *outcome) check(name, expected string) (failure, unreadable error) {
	if member, found := strings.CutPrefix(name, "member."); found && o.members != nil {
		for _, value := range o.members[member] {
			if value == expected {
				return nil, nil
			}
		}
		return fmt.Errorf("expected the member %s=%q, came %q", member, expected, o.members[member]), nil
	}
	value, found := o.facts[name]
	if !found {
		return nil, fmt.Errorf("unknown check %q", name)
	}
	if value != expected {
		return fmt.Errorf("expected %s=%q, came %q", name, expected, value), nil
	}
	return nil, nil
}
