//go:build cgo

package kmsbox

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// contextMax is how many characters the shortest JSON of a context may have.
const contextMax = 8192

// A Context is the encryption context: pairs of texts that are bound to a blob and not stored in it. The blob
// opens with the same pairs only, in any order. It is no secret; it says what the blob is for, such as the
// table and the file that the data key encrypts.
//
// Nil is the empty context, as are Pairs without a pair.
type Context interface {
	// terminated is the JSON with a NUL at its end, or "" for none.
	terminated(name string) (string, error)
}

// Pairs is a Context given as pairs.
type Pairs map[string]string

// ContextJSON is a Context given as JSON text: an object of strings.
type ContextJSON string

// A PreparedContext is a Context made ready by [Prepare], for one that is used over and over: a call with it
// allocates and copies nothing. It does not change, so any number of goroutines may use it. One that Prepare
// has not made, such as the zero value, is refused.
type PreparedContext struct {
	json string // with a NUL at its end
}

// Prepare makes a Context ready. It finds out what is wrong with Pairs; JSON text is read at its first use.
func Prepare(context Context) (*PreparedContext, error) {
	const name = "Context"
	if pairs, ok := context.(Pairs); ok {
		if err := pairs.check(name); err != nil {
			return nil, err
		}
	}
	json, err := contextText(name, context)
	if err != nil {
		return nil, err
	}
	if json == "" {
		json = "{}\x00"
	}
	return &PreparedContext{json}, nil
}

// JSON is the context as JSON text, the same for the same pairs.
func (p *PreparedContext) JSON() string {
	return strings.TrimSuffix(p.json, "\x00")
}

func (p *PreparedContext) terminated(name string) (string, error) {
	if p == nil || p.json == "" {
		// A context that was forgotten must not pass for an empty one.
		return "", refusedHere(ErrInvalidArgument, name+" is a *PreparedContext that Prepare has not made.")
	}
	return p.json, nil
}

func (c ContextJSON) terminated(name string) (string, error) {
	if err := noNUL(name, string(c)); err != nil {
		return "", err
	}
	return string(c) + "\x00", nil
}

func (p Pairs) terminated(string) (string, error) {
	if len(p) == 0 {
		return "", nil
	}
	keys := make([]string, 0, len(p))
	room := len("{}\x00")
	for key, value := range p {
		keys = append(keys, key)
		room += len(key) + len(value) + len(`"":"",`)
	}
	sort.Strings(keys)
	json := make([]byte, 0, room)
	for i, key := range keys {
		json = append(json, "{,"[min(i, 1)])
		json = appendQuoted(json, key)
		json = append(json, ':')
		json = appendQuoted(json, p[key])
	}
	return string(append(json, "}\x00"...)), nil
}

// check finds what the library would refuse, and says which key it is about.
func (p Pairs) check(name string) error {
	for key, value := range p {
		for _, part := range []string{key, value} {
			if !utf8.ValidString(part) {
				return invalidParameter(name, "The pair of the key "+quoted(key)+" is not UTF-8.")
			}
			if strings.IndexByte(part, 0) >= 0 {
				return invalidParameter(name, "The pair of the key "+quoted(key)+" holds a NUL.")
			}
		}
	}
	json, _ := p.terminated(name)
	if utf8.RuneCountInString(json)-len("\x00") > contextMax {
		return invalidParameter(name, "Its JSON has over 8192 characters.")
	}
	return nil
}

func contextText(name string, context Context) (string, error) {
	if context == nil {
		return "", nil
	}
	return context.terminated(name)
}

// appendQuoted writes a JSON string. What is not UTF-8 stays as it is, so that the library sees and refuses
// it: the standard library's writer would replace it, and other pairs would be bound than were given.
func appendQuoted(json []byte, s string) []byte {
	const hex = "0123456789abcdef"
	json = append(json, '"')
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b == '"' || b == '\\':
			json = append(json, '\\', b)
		case b == '\b':
			json = append(json, `\b`...)
		case b == '\f':
			json = append(json, `\f`...)
		case b == '\n':
			json = append(json, `\n`...)
		case b == '\r':
			json = append(json, `\r`...)
		case b == '\t':
			json = append(json, `\t`...)
		case b < ' ':
			json = append(json, `\u00`...)
			json = append(json, hex[b>>4], hex[b&15])
		default:
			json = append(json, b)
		}
	}
	return append(json, '"')
}
