package primary

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"postroad/internal/core/account"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
	"postroad/internal/proto/mime"
)

// Return is a probe that has come back, or a report about one.
type Return struct {
	Token       Token
	Account     account.ID // whose the recipient is
	Recipient   string     // as it was given
	Destination string     // after aliases and routing addresses
	Sender      string     // reverse-path
	Client      string     // who brought it, for people
	Header      []byte
	Body        []byte // nil where it was too large to be kept
	Sum         []byte // hash of the body by relaxed canonicalization (RFC 6376 §3.4.4)
}

// signed are the fields that signatures of senders cover and that a forward has no reason to touch.
var signed = []string{"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"}

// Changes tells, as parts of a sentence, what has become of a letter on its way that breaks the signatures of senders
// (RFC 6376): nothing when it has come through as it was.
func (l *Letter) Changes(header, body, sum []byte) ([]string, error) {
	sent, err := l.AppendTo(nil)
	if err != nil {
		return nil, err
	}
	was, _, _ := message.SplitHeader(sent)
	var out []string
	for _, name := range signed {
		before, after := fields(was, name), fields(header, name)
		switch {
		case slices.EqualFunc(before, after, bytes.Equal):
		case len(after) == 0:
			out = append(out, "the field "+name+" was removed")
		case len(after) > 1:
			out = append(out, "there are "+fmt.Sprint(len(after))+" fields "+name)
		default:
			out = append(out, name+" has become "+quoted(message.DecodeWords(message.Values(header, name)[0])))
		}
	}
	if bytes.Equal(sum, l.sum()) {
		return out, nil
	}
	return append(out, l.changedBody(header, body)...), nil
}

// fields gives the fields of a name as signatures cover them.
func fields(header []byte, name string) [][]byte {
	var out [][]byte
	for f := range message.Fields(header) {
		if f.Is(name) {
			out = append(out, dkim.AppendField(nil, f.Raw, dkim.Relaxed))
		}
	}
	return out
}

func quoted(s string) string {
	const most = 80
	if s = line(s); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return `"` + s + `"`
}

// changedBody tells what can be made out of a body that has changed.
func (l *Letter) changedBody(header, body []byte) []string {
	const changed = "the body was changed"
	if body == nil {
		return []string{changed + ", and is too large now to be told how"}
	}
	msg := slices.Concat(header, []byte("\r\n"), body)
	tree := mime.Parse(msg)
	plain, html := l.texts()
	var out []string
	add := func(what string) {
		if !slices.Contains(out, what) {
			out = append(out, what)
		}
	}
	if tree.Type != "multipart" || tree.Subtype != "alternative" {
		add("the message was made into " + line(tree.Type+"/"+tree.Subtype))
	}
	seen := map[string]bool{}
	for _, p := range texts(tree, nil) {
		if p.Encoding != "quoted-printable" {
			add("the transfer encoding of a part was changed to " + line(p.Encoding))
		}
		want := plain
		if p.Subtype == "html" {
			want = html
		}
		if text, ok := p.ReadableText(msg); ok && !seen[p.Subtype] {
			for _, what := range changedText(want, string(text), l.link(), p.Subtype == "html") {
				add(what)
			}
		}
		seen[p.Subtype] = true
	}
	for _, kind := range []string{"plain", "html"} {
		if !seen[kind] {
			add("the part text/" + kind + " was removed")
		}
	}
	if len(out) == 0 {
		add(changed)
	}
	return out
}

// texts gives the text parts of a tree.
func texts(p *mime.Part, out []*mime.Part) []*mime.Part {
	if p.Type == "text" {
		out = append(out, p)
	}
	for _, below := range p.Parts {
		out = texts(below, out)
	}
	return out
}

// changedText tells how a text differs from what it was.
func changedText(was, is, link string, html bool) []string {
	flat := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if html {
		link = escape(link)
	}
	var out []string
	if !strings.Contains(is, link) {
		out = append(out, "links were rewritten")
	}
	a, b := flat(was), flat(is)
	if a == b {
		return out
	}
	before, after, found := strings.Cut(b, a)
	switch {
	case found && strings.TrimSpace(before) != "":
		return append(out, "a text was added above: "+quoted(before))
	case found && strings.TrimSpace(after) != "":
		return append(out, "a text was added below: "+quoted(after))
	case len(out) > 0:
		return out
	case html:
		return append(out, "the HTML was changed")
	}
	return append(out, "the text was changed")
}

// Failure reads a report about a message (RFC 3464): whether it tells that it could not be delivered, and in whose words. ok
// is false for what is no such report.
func Failure(header, body []byte) (failed bool, words string, ok bool) {
	msg := slices.Concat(header, []byte("\r\n"), body)
	tree := mime.Parse(msg)
	if tree.Type != "multipart" || tree.Subtype != "report" {
		return false, "", false
	}
	for _, p := range tree.Parts {
		if p.Type != "message" || p.Subtype != "delivery-status" && p.Subtype != "global-delivery-status" {
			continue
		}
		text, err := mime.Decode(p.Encoding, msg[p.Body:p.End])
		if err != nil {
			return false, "", false
		}
		for len(text) > 0 { // one group of fields for the message, then one for each recipient
			group, rest, _ := message.SplitHeader(text)
			if one := strings.ToLower(value(group, "Action")); one != "" {
				ok = true
				if one == "failed" && !failed {
					failed = true
					_, said, _ := strings.Cut(value(group, "Diagnostic-Code"), ";")
					words = line(strings.TrimSpace(value(group, "Status") + " " + said))
				}
			}
			text = bytes.TrimLeft(rest, "\r\n")
		}
	}
	return failed, words, ok
}

// value is the first field of a name; empty without one.
func value(group []byte, name string) string {
	if list := message.Values(group, name); len(list) > 0 {
		return strings.TrimSpace(list[0])
	}
	return ""
}
