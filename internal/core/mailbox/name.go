package mailbox

import (
	"fmt"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Delimiter stands between the levels of a folder's name.
const Delimiter = "/"

// InboxName is the name of the folder that mail is delivered to. It is in any case (RFC 9051 §5.1).
const InboxName = "INBOX"

// maxDepth is the largest number of levels in a name.
const maxDepth = 50

// CleanName gives a folder's name as it is stored: UTF-8 text in which a first level "inbox" in any case is INBOX.
// ErrName for what cannot be one: an empty level, wildcards, control characters, "#" in front (RFC 9051 §5.1.2), and
// "." or ".." as a level, which name something else wherever mailboxes are exported to files.
func CleanName(name string) (string, error) {
	switch {
	case name == "" || len(name) > MaxName:
		return "", fmt.Errorf("%w: it has %d octets, 1 to %d can be", ErrName, len(name), MaxName)
	case !utf8.ValidString(name):
		return "", fmt.Errorf("%w: it is not UTF-8", ErrName)
	case strings.HasPrefix(name, "#"):
		return "", fmt.Errorf("%w: # begins the name of another namespace", ErrName)
	case strings.Count(name, Delimiter) >= maxDepth:
		return "", fmt.Errorf("%w: it has more than %d levels", ErrName, maxDepth)
	}
	for _, c := range name {
		if c == '%' || c == '*' || unicode.IsControl(c) || c == '\u2028' || c == '\u2029' {
			return "", fmt.Errorf("%w: %q stands in it", ErrName, c)
		}
	}
	for level := range strings.SplitSeq(name, Delimiter) {
		if level == "" || level == "." || level == ".." {
			return "", fmt.Errorf("%w: one level is %q", ErrName, level)
		}
	}
	first, rest, below := strings.Cut(name, Delimiter)
	if strings.EqualFold(first, InboxName) {
		name = InboxName
		if below {
			name += Delimiter + rest
		}
	}
	return name, nil
}

// Parents gives the names above a name, from the top down.
func Parents(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(name) {
			if name[i] == Delimiter[0] && !yield(name[:i]) {
				return
			}
		}
	}
}

// Below reports whether a name lies below another one.
func Below(name, above string) bool {
	return len(name) > len(above) && strings.HasPrefix(name, above) && name[len(above)] == Delimiter[0]
}

// Standard is a folder that every new mailbox has.
type Standard struct {
	Name string
	Use  string // RFC 6154 attribute
}

// Standards are the folders that a new mailbox has beside INBOX: those that mail clients look for, by the names that
// most of them use.
func Standards() []Standard {
	return []Standard{{"Drafts", `\Drafts`}, {"Sent", `\Sent`}, {"Junk", `\Junk`}, {"Trash", `\Trash`}, {"Archive", `\Archive`}}
}

// CleanUse gives a special use as it is stored; ErrUse for one that no folder can have here. \All and \Flagged are
// views of other folders' messages (RFC 6154 §2), which there are none of.
func CleanUse(use string) (string, error) {
	for _, s := range Standards() {
		if strings.EqualFold(use, s.Use) {
			return s.Use, nil
		}
	}
	return "", fmt.Errorf("%w: %q", ErrUse, use)
}

// NameOf is the name of the standard folder for a special use.
func NameOf(use string) string {
	for _, s := range Standards() {
		if s.Use == use {
			return s.Name
		}
	}
	return InboxName
}
