package advise

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Case is what somebody who is asked about a domain needs to know.
type Case struct {
	Domain, Account      string
	Server               string // name of this installation
	At                   time.Time
	Mode, Effective, Why string
	Machine              string // which machine gets the mail, as a sentence
	Arrangement, Zone    string
	NextHops             []string
	Mailboxes, Addresses int
	Findings             []string // a line each
	Proposed, Command    string   // empty where no mode was asked for
	Reasons              []string
}

// Text is the case as lines that end in LF, to be pasted into a message to support. No secret is in it.
func (c *Case) Text() string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	line("Domain", c.Domain)
	line("Account", c.Account)
	line("Server", c.Server)
	line("Time", c.At.UTC().Format("2006-01-02 15:04 UTC"))
	line("Mode", c.Mode+", effective "+c.Effective)
	line("Why", c.Why)
	line("Where mail goes", c.Machine)
	line("Arrangement", c.Arrangement+", zone "+c.Zone)
	line("Next hops", strings.Join(c.NextHops, ", "))
	line("Mailboxes here", strconv.Itoa(c.Mailboxes)+", other addresses "+strconv.Itoa(c.Addresses))
	list := func(name string, lines []string) {
		if len(lines) > 0 {
			b.WriteString(name + ":\n  " + strings.Join(lines, "\n  ") + "\n")
		}
	}
	if c.Proposed != "" {
		line("Proposed mode", c.Proposed+" ("+c.Command+")")
		list("Because", c.Reasons)
	}
	list("Findings", c.Findings)
	return b.String()
}

// maxLink is how long a link may be, in octets: programs that open links cut longer ones.
const maxLink = 1900

// Link is where support is asked: to is an address of mail, or a URL in which {domain} and {text} stand for the domain
// and for the text of the case. A link to an address of mail has both in it (RFC 6068). Where the text has no room its
// end is left out. Empty without to.
func (c *Case) Link(to string) string {
	address, isMail := strings.CutPrefix(to, "mailto:")
	if !isMail && !strings.Contains(to, "://") && strings.Contains(to, "@") {
		address, isMail = to, true
	}
	if isMail {
		to = "mailto:" + address + "?subject={domain}&body={text}"
	}
	to = strings.ReplaceAll(to, "{domain}", escaped(c.Domain))
	if !strings.Contains(to, "{text}") {
		return to
	}
	room := maxLink - len(to)
	var text strings.Builder
	for line := range strings.SplitAfterSeq(strings.ReplaceAll(c.Text(), "\n", "\r\n"), "\r\n") {
		part := escaped(line)
		if text.Len()+len(part) > room {
			break
		}
		text.WriteString(part)
	}
	return strings.Replace(to, "{text}", text.String(), 1)
}

// escaped is a text as a part of a URL's query; spaces as in every URL (RFC 3986), not as in forms.
func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
