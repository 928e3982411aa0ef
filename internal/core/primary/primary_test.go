package primary_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/primary"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/message"
)

var (
	key = primary.Key("a secret")
	at  = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
)

func TestATokenIsForOneAddressAndSomeDays(t *testing.T) {
	t.Parallel()
	token := key.Make("a", "ann@crm.acme.example", [primary.ChanceSize]byte{1, 2, 3}, at)
	again, ok := primary.ParseToken(strings.ToUpper(token.String()))
	if !ok || again != token || len(token.String()) != 38 {
		t.Fatalf("%s, %v", token, ok)
	}
	later := func(d time.Duration) time.Time { return at.Add(d) }
	for _, c := range []struct {
		owner   account.ID
		address string
		key     primary.Key
		now     time.Time
		is      bool
	}{
		{"a", "ann@crm.acme.example", key, at, true},
		{"a", "Ann@CRM.acme.example", key, later(primary.TokenLife - 5*time.Minute), true},
		{"a", "ann@crm.acme.example", key, later(primary.TokenLife), false},
		{"a", "ann@crm.acme.example", key, later(-2 * time.Hour), false},
		{"b", "ann@crm.acme.example", key, at, false},
		{"a", "bob@crm.acme.example", key, at, false},
		{"a", "ann@crm.acme.example", primary.Key("another"), at, false},
	} {
		if got := c.key.Is(token, c.owner, c.address, c.now); got != c.is {
			t.Errorf("%s %s at %s: %v", c.owner, c.address, c.now, got)
		}
	}
	text := token.String()
	for i := len(primary.TokenPrefix); i < len(text); i++ { // every letter counts
		changed := text[:i] + map[bool]string{true: "b", false: "a"}[text[i] == 'a'] + text[i+1:]
		if other, ok := primary.ParseToken(changed); ok && key.Is(other, "a", "ann@crm.acme.example", at) {
			t.Errorf("%s is taken for %s", changed, text)
		}
	}
	for _, text := range []string{"", "prfwd-", text[:37], text + "a", "x" + text[1:], strings.Replace(text, text[10:11], "1", 1)} {
		if other, ok := primary.ParseToken(text); ok {
			t.Errorf("%q is read as %s", text, other)
		}
	}
}

func TestATokenIsFoundWhereAProbeHasIt(t *testing.T) {
	t.Parallel()
	token := key.Make("a", "ann@crm.acme.example", [primary.ChanceSize]byte{}, at)
	for header, found := range map[string]bool{
		"Postroad-Probe: " + token.String() + "\r\n":                                           true,
		"postroad-probe:\r\n  " + token.String() + " \r\n":                                     true,
		"From: a\r\nMessage-ID: <" + token.String() + "@mx.test.example>\r\n":                  true,
		"Postroad-Probe: x\r\nMessage-Id: <" + token.String() + "@elsewhere>\r\n":              true,
		"Subject: " + token.String() + "\r\n":                                                  false,
		"In-Reply-To: <" + token.String() + "@mx.test.example>\r\n":                            false,
		"Postroad-Probe: not " + token.String() + "\r\n":                                       false,
		"Message-ID: <x." + token.String() + "@mx.test.example>\r\nReferences: prfwd-\r\n\r\n": false,
	} {
		got, ok := primary.Mark([]byte(header))
		if ok != found || ok && got != token {
			t.Errorf("%q: %v", header, ok)
		}
	}
	sender := primary.Sender(token, "mx.test.example")
	if got, ok := primary.Reported(strings.ToUpper(sender), "mx.test.example"); !ok || got != token {
		t.Errorf("%s is not read", sender)
	}
	for _, address := range []string{"", "postmaster@mx.test.example", strings.Replace(sender, "mx.", "my.", 1), strings.Replace(sender, "postmaster", "postmistres", 1), sender + "x"} {
		if _, ok := primary.Reported(address, "mx.test.example"); ok {
			t.Errorf("%s is read", address)
		}
	}
}

// letter is a probe of ann's forward.
func letter() primary.Letter {
	return primary.Letter{
		Hostname: "mx.test.example", From: "ann@acme.example", To: "ann@crm.acme.example", Date: at,
		Token: key.Make("a", "ann@crm.acme.example", [primary.ChanceSize]byte{7}, at),
	}
}

// changes tells what has become of a probe that a server changed.
func changes(t *testing.T, change func(string) string) []string {
	t.Helper()
	l := letter()
	sent, err := l.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	header, body, _ := message.SplitHeader([]byte("Received: from a by b\r\n" + change(string(sent))))
	h := dkim.NewBody(dkim.Relaxed)
	_, _ = h.Write(body)
	sum, err := h.Sum(dkim.Relaxed)
	if err != nil {
		t.Fatal(err)
	}
	out, err := l.Changes(header, body, sum)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatAServerChangesIsTold(t *testing.T) {
	t.Parallel()
	replace := func(list ...string) func(string) string { return strings.NewReplacer(list...).Replace }
	const plainEnd, htmlEnd = "two  spaces.\r\n", "</p>\r\n</body></html>\r\n"
	for name, c := range map[string]struct {
		change func(string) string
		want   []string
	}{
		"nothing":              {func(s string) string { return s }, nil},
		"fields above":         {func(s string) string { return "X-Spam: no\r\nReturn-Path: <x@y>\r\n" + s }, nil},
		"folding and end":      {func(s string) string { return replace("Subject: Test of", "Subject:  Test\r\n\t of")(s) + "\r\n\r\n" }, nil},
		"a mark":               {replace("Subject: ", "Subject: [EXTERNAL] "), []string{`Subject has become "[EXTERNAL] Test of mail forwarding"`}},
		"an encoded mark":      {replace("Subject: Test of mail forwarding", "Subject: =?utf-8?q?=E2=9A=A0_Test?="), []string{`Subject has become "⚠ Test"`}},
		"a field removed":      {replace("MIME-Version: 1.0\r\n", ""), []string{"the field MIME-Version was removed"}},
		"a field twice":        {replace("Subject:", "Subject: x\r\nSubject:"), []string{"there are 2 fields Subject"}},
		"a footer in the text": {replace(plainEnd, plainEnd+"-- \r\nConfidential\r\n"), []string{`a text was added below: "-- Confidential"`}},
		"a banner in the HTML": {replace("<html><body>", "<html><body><p>Beware</p>"), []string{"the HTML was changed"}},
		"a footer in both":     {replace(plainEnd, plainEnd+"X\r\n", htmlEnd, htmlEnd+"<p>X</p>\r\n"), []string{`a text was added below: "X"`, `a text was added below: "<p>X</p>"`}},
		"links":                {replace("https://mx.test.example/?probe=3D1", "https://safe.example/?u=3Dx"), []string{"links were rewritten"}},
		"only text left": {func(s string) string {
			a, b, _ := strings.Cut(s, "--=_postroad-probe\r\nContent-Type: text/html")
			_, end, _ := strings.Cut(b, "</html>\r\n")
			return a + end
		}, []string{"the part text/html was removed"}},
		"base64": {func(s string) string {
			before, rest, _ := strings.Cut(s, "quoted-printable\r\n\r\n<!DOCTYPE")
			html, end, _ := strings.Cut("<!DOCTYPE"+rest, "--=_postroad")
			text := strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(html)
			return before + "base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(text)) + "\r\n--=_postroad" + end
		}, []string{"the transfer encoding of a part was changed to base64"}},
	} {
		if got := changes(t, c.change); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	l := letter()
	if got, err := l.Changes([]byte("Subject: x\r\n"), nil, nil); err != nil || !strings.Contains(fmt.Sprint(got), "too large now to be told how") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAProbeIsPlainASCIIInShortLines(t *testing.T) {
	t.Parallel()
	l := letter()
	text, err := l.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if len(line) > 80 || !bytes.HasSuffix(line, []byte("\r\n")) || bytes.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
			t.Errorf("%q", line)
		}
	}
	again, err := l.AppendTo(nil)
	if err != nil || !bytes.Equal(text, again) {
		t.Error("it is not the same twice")
	}
}

func TestReportsAreRead(t *testing.T) {
	t.Parallel()
	report := func(status string) string {
		return "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nwords\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" + status + "\r\n--b--\r\n"
	}
	for text, want := range map[string]string{
		report("Reporting-MTA: dns; x\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 no\r\n such user\r\n"): "true true 5.1.1 550 no such user",
		report("Reporting-MTA: dns; x\r\n\r\nAction: Failed\r\nStatus: 5.0.0\r\n"):                                                "true true 5.0.0",
		report("Reporting-MTA: dns; x\r\n\r\nAction: delayed\r\nStatus: 4.0.0\r\n\r\nAction: relayed\r\n"):                        "false true",
		report("Reporting-MTA: dns; x\r\n"):                  "false false",
		"Content-Type: text/plain\r\n\r\nAction: failed\r\n": "false false",
		"": "false false",
	} {
		header, body, _ := message.SplitHeader([]byte(text))
		failed, words, ok := primary.Failure(header, body)
		if got := strings.TrimSpace(fmt.Sprint(failed, ok, " ", words)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func FuzzFailure(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\nDiagnostic-Code: smtp; 550 x\r\n\r\nAction: delayed\r\n--b--\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		header, body, _ := message.SplitHeader(text)
		failed, words, ok := primary.Failure(header, body)
		if failed && !ok || strings.ContainsAny(words, "\r\n") || len(words) > 510 {
			t.Errorf("%v %v %q", failed, ok, words)
		}
		l := letter()
		if list, err := l.Changes(header, body, nil); err != nil || len(list) == 0 || strings.ContainsAny(strings.Join(list, ""), "\r\n") {
			t.Errorf("%q, %v", list, err)
		}
	})
}

func TestForwardsAreThoseOfTheDomainsAddresses(t *testing.T) {
	t.Parallel()
	snap := directory.NewSnapshot(1, []directory.Domain{
		{ID: "1", Name: "crm.acme.example"}, {ID: "2", Name: "acme.example"}, {ID: "3", Name: "acme.co.uk"}, {ID: "4", Name: "other.example", Primary: "acme.test"},
	}, []directory.Mailbox{
		{ID: "a", Domain: "crm.acme.example", Local: "ann"},
		{ID: "p", Domain: "crm.acme.example", Local: "postmaster"},
		{ID: "q", Domain: "crm.acme.example", Local: "a b"},
		{ID: "e", Domain: "acme.example", Local: "eve"},
		{ID: "o", Domain: "other.example", Local: "otto"},
		{ID: "u", Domain: "acme.co.uk", Local: "uma"},
	}, []directory.Rule{
		{ID: "r", Domain: "crm.acme.example", Local: "sales", Kind: directory.RuleAlias},
		{ID: "k", Domain: "crm.acme.example", Local: "ann", Kind: directory.RuleForward, Keep: true},
		{ID: "c", Domain: "crm.acme.example", Kind: directory.RuleCatchAll},
		{ID: "s", Domain: "acme.example", Local: "x", Kind: directory.RuleAlias},
	}, nil)
	routed := func(b *directory.Mailbox) string { return b.Local + "=" + b.Domain + "@in.mx.example" }
	for name, want := range map[string]string{
		"crm.acme.example": `[{a b@crm.acme.example "a b"@acme.example "a b"@crm.acme.example} {ann@crm.acme.example ann@acme.example ann@crm.acme.example} {sales@crm.acme.example sales@acme.example sales@crm.acme.example}]`,
		"acme.example":     "[{eve@acme.example eve@acme.example eve=acme.example@in.mx.example}]",
		"acme.co.uk":       "[{uma@acme.co.uk uma@acme.co.uk uma=acme.co.uk@in.mx.example}]",
		"other.example":    "[{otto@other.example otto@acme.test otto@other.example}]",
	} {
		d, _ := snap.Domain(name)
		if got := fmt.Sprint(primary.List(snap, d, routed)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	d, _ := snap.Domain("acme.example")
	if got := primary.List(snap, d, nil); got != nil {
		t.Errorf("without routing addresses: %v", got)
	}
}

func TestNoSpreadsheetTakesAnAddressForAFormula(t *testing.T) {
	t.Parallel()
	var list []primary.Forward
	for _, local := range []string{`=1+1`, "+x", "-x", "|x", "%x", "ann"} {
		list = append(list, primary.Forward{From: local + "@a.example", To: local + "@b.example"})
	}
	list = append(list, primary.Forward{From: `"a, ""b"@a.example`, To: "c@b.example"})
	e := primary.ExportOf("b.example", "a.example", list)
	text, err := e.Write(primary.FormatCSV)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\r\n"), "\r\n")[1:] {
		if i < 5 && !strings.HasPrefix(line, `"""`) || i == 5 && line != "ann@a.example,ann@b.example" {
			t.Errorf("%s", line)
		}
	}
	if !strings.Contains(string(text), `"""a, """"b""@a.example",c@b.example`) {
		t.Errorf("%s", text)
	}
}
