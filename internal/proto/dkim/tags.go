package dkim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrSyntax says that a signature or a key record cannot be read.
var ErrSyntax = errors.New("cannot be read")

const white = " \t\r\n"

// Tags is a tag list (RFC 6376 §3.2): values by name, without white space at both ends.
type Tags struct {
	list []tag
	at   map[string]int // the places of names in list, where there are many
	// First is the name of the first tag.
	First string
}

type tag struct{ name, value string }

// few is how many tags are looked through one by one.
const few = 16

// add takes a tag, unless there is one of its name.
func (t *Tags) add(name, value string) bool {
	if _, twice := t.Get(name); twice {
		return false
	}
	t.list = append(t.list, tag{name, value})
	if len(t.list) == few+1 {
		t.at = make(map[string]int, 2*few)
		for i := range t.list {
			t.at[t.list[i].name] = i
		}
	} else if t.at != nil {
		t.at[name] = len(t.list) - 1
	}
	return true
}

// ParseTags reads a tag list. Names are taken as they are written, case included; a name that stands twice, a part
// without a name and anything but a tag between two semicolons is an error ([ErrSyntax]).
func ParseTags(text string) (Tags, error) { return parseTags(text, false) }

// parseTags passes over empty tags on wish: they stand in many a key record, and do no harm there.
func parseTags(text string, passEmpty bool) (Tags, error) {
	t := Tags{list: make([]tag, 0, few)}
	for rest, more := text, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, ";")
		part = strings.Trim(part, white)
		if part == "" && (passEmpty || !more) {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.Trim(name, white), strings.Trim(value, white)
		switch {
		case part == "":
			return Tags{}, fmt.Errorf("%w: an empty tag, \";;\"", ErrSyntax)
		case !ok || !tagName(name):
			return Tags{}, fmt.Errorf("%w: %q is no tag", ErrSyntax, cut(part))
		case !tagValue(value):
			return Tags{}, fmt.Errorf("%w: %s= has characters that it may not have", ErrSyntax, name)
		case !t.add(name, value):
			return Tags{}, fmt.Errorf("%w: %s= stands twice", ErrSyntax, name)
		}
	}
	if len(t.list) == 0 {
		return Tags{}, fmt.Errorf("%w: it is empty", ErrSyntax)
	}
	t.First = t.list[0].name
	return t, nil
}

func tagName(s string) bool {
	for i := range len(s) {
		letter := 'a' <= s[i]|0x20 && s[i]|0x20 <= 'z'
		if !letter && (i == 0 || s[i] != '_' && (s[i] < '0' || s[i] > '9')) {
			return false
		}
	}
	return s != ""
}

// tagValue allows what RFC 6376 §3.2 does, and UTF-8 (RFC 8616).
func tagValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && !isWhite(s[i]) || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// Get gives a tag's value, and whether there is such a tag.
func (t Tags) Get(name string) (string, bool) {
	if t.at != nil {
		i, ok := t.at[name]
		if !ok {
			return "", false
		}
		return t.list[i].value, true
	}
	for i := range t.list {
		if t.list[i].name == name {
			return t.list[i].value, true
		}
	}
	return "", false
}

// Need gives the value of a tag that must be there and must not be empty.
func (t Tags) Need(name string) (string, error) {
	value, ok := t.Get(name)
	switch {
	case !ok:
		return "", fmt.Errorf("%w: %s= is missing", ErrSyntax, name)
	case value == "":
		return "", fmt.Errorf("%w: %s= is empty", ErrSyntax, name)
	}
	return value, nil
}

// List gives the words of a value, such as h=, that colons divide.
func List(value string) []string {
	words := strings.Split(value, ":")
	for i, word := range words {
		words[i] = strings.Trim(word, white)
	}
	return words
}

// Base64 decodes the value of a tag that must be there; white space within it is nothing.
func (t Tags) Base64(name string) ([]byte, error) {
	value, err := t.Need(name)
	if err != nil {
		return nil, err
	}
	octets, err := base64.StdEncoding.DecodeString(squeeze(value))
	if err != nil {
		return nil, fmt.Errorf("%w: %s= is no base64", ErrSyntax, name)
	}
	return octets, nil
}

// Time reads a value of seconds since 1970; without such a tag it is the zero time.
func (t Tags) Time(name string) (time.Time, error) {
	value, ok := t.Get(name)
	if !ok {
		return time.Time{}, nil
	}
	// Twelve digits are the most that anybody needs (RFC 6376 §3.5).
	if len(value) > 12 || strings.Trim(value, "0123456789") != "" {
		return time.Time{}, fmt.Errorf("%w: %s= is no time", ErrSyntax, name)
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %s= is no time", ErrSyntax, name)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// squeeze removes all white space.
func squeeze(s string) string {
	if !strings.ContainsAny(s, white) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		if !isWhite(s[i]) {
			out = append(out, s[i])
		}
	}
	return string(out)
}

func isWhite(o byte) bool { return o == ' ' || o == '\t' || o == '\r' || o == '\n' }

// begin is how a text begins, in octets, without its white space.
func begin(s string, octets int) string {
	end := 0
	for n := 0; end < len(s) && n < octets; end++ {
		if !isWhite(s[end]) {
			n++
		}
	}
	return squeeze(s[:end])
}

// cut shortens what is quoted in a sentence.
func cut(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
