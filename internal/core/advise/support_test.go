package advise_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/advise"
)

func TestALinkToSupportCarriesTheFacts(t *testing.T) {
	t.Parallel()
	c := advise.Case{
		Domain: "acme.example", Account: "acme", Server: "mx.host.example", At: time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC), Mode: "auto", Effective: "backup",
		Why: "Mode auto was chosen & public DNS says backup.", Arrangement: "none", Zone: "external", Mailboxes: 2, Findings: []string{"AUTO_UNRESOLVED: 100% +1"},
		Proposed: "backup", Command: "postroad domain set acme.example --mode backup", Reasons: []string{"The main server is elsewhere."},
	}
	for _, to := range []string{"help@host.example", "mailto:help@host.example"} {
		u, err := url.Parse(c.Link(to))
		if err != nil || u.Scheme != "mailto" || u.Opaque != "help@host.example" || strings.Contains(u.RawQuery, "+") {
			t.Fatalf("%s: %v, %v", to, u, err)
		}
		if q := u.Query(); q.Get("subject") != "acme.example" || strings.ReplaceAll(q.Get("body"), "\r\n", "\n") != c.Text() {
			t.Errorf("%s: %q", to, q)
		}
	}
	if got := c.Link("https://host.example/help?d={domain}"); got != "https://host.example/help?d=acme.example" {
		t.Errorf("a page: %s", got)
	}
	if u, err := url.Parse(c.Link("https://host.example/{domain}?t={text}&x=1")); err != nil || u.Path != "/acme.example" || u.Query().Get("x") != "1" || !strings.Contains(u.Query().Get("t"), "100% +1") {
		t.Errorf("a page with the text: %v, %v", u, err)
	}
	if got := c.Link(""); got != "" {
		t.Errorf("without support: %s", got)
	}
	for _, want := range []string{"Mode: auto, effective backup\n", "Proposed mode: backup (postroad domain set acme.example --mode backup)\n", "Because:\n  The main server is elsewhere.\n", "Findings:\n  AUTO_UNRESOLVED"} {
		if !strings.Contains(c.Text(), want) {
			t.Errorf("the text lacks %q:\n%s", want, c.Text())
		}
	}
	c.Findings = []string{strings.Repeat("long ", 1000)}
	if got := c.Link("help@host.example"); len(got) > 2000 || !strings.Contains(got, "Proposed%20mode") {
		t.Errorf("a long text: %d octets", len(got))
	}
}
