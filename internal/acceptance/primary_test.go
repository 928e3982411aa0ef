package acceptance

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// aForward is a forward of `primary show --json`.
type aForward struct {
	Address, From, To, State, Before, Hop, Detail string
	After                                         float64 `json:"after_seconds"`
	Since                                         string
}

// atPrimary is crm.acme.example here, with the mailbox ann, beside acme.example, whose mail is at a server of another sort.
func atPrimary(t *testing.T, boxes ...string) (*outside, *instance, *sim.Peer) {
	t.Helper()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\nmx A 127.0.0.31\n_dmarc TXT \"v=DMARC1; p=reject\"\n")
	o.zone("test.example", "_dmarc TXT \"v=DMARC1; p=reject\"\n@ TXT \"v=spf1 -all\"\nmx TXT \"v=spf1 -all\"\n")
	p := o.peer(31, sim.Script{Rcpt: map[string]string{"bob@acme.example": "550 5.1.1 no such person"}})
	i := o.strict()
	i.run("domain", "add", "crm.acme.example", "--proved")
	for _, box := range append([]string{"ann"}, boxes...) {
		i.run("mailbox", "add", "--", box+"@crm.acme.example")
	}
	return o, i, p
}

// forwards gives the forwards of a domain by the address here.
func (i *instance) forwards(domain string) map[string]aForward {
	i.t.Helper()
	out := map[string]aForward{}
	for _, f := range ask[struct{ Forwards []aForward }](i, "primary", "show", domain).Forwards {
		out[f.Address] = f
	}
	return out
}

// turns waits until a forward has come to a state.
func (i *instance) turns(address, state string) aForward {
	i.t.Helper()
	var f aForward
	eventually(i.t, address+" "+state, func() bool {
		f = i.forwards(address[strings.IndexByte(address, '@')+1:])[address]
		return f.State == state
	})
	return f
}

// found gives the evidence of a finding about a domain; empty without one.
func (i *instance) evidence(domain, finding string) string {
	i.t.Helper()
	for _, f := range ask[struct {
		Findings []struct{ Name, Evidence, Sentence string }
	}](i, "domain", "show", domain).Findings {
		if f.Name == finding {
			return f.Evidence
		}
	}
	return ""
}

// carries brings what the primary's server got back here, as that server changes it.
func (i *instance) carries(m sim.Message, to string, change func(string) string) string {
	i.t.Helper()
	c := i.from("127.0.0.31")
	c.say("MAIL FROM:<"+m.From+">", "250")
	c.say("RCPT TO:<"+to+">", "250")
	c.say("DATA", "354")
	return c.say("Received: from mx.test.example (mx.test.example [127.0.0.12])\r\n\tby mx.acme.example; Sat, 28 Nov 2026 12:00:00 +0000\r\n"+change(string(m.Body))+".", "")
}

func unchanged(s string) string { return s }

func TestS3_8TheForwardsOfThePrimaryAreListedForItsAdministrator(t *testing.T) {
	t.Parallel()
	_, i, _ := atPrimary(t, "bob", "postmaster", "=1+1", "-x")
	i.run("alias", "add", "sales@crm.acme.example", "ann@crm.acme.example")
	i.run("catch-all", "set", "crm.acme.example", "ann@crm.acme.example")
	want := [][]string{
		{"from", "to"},
		{`"-x"@acme.example`, `"-x"@crm.acme.example`},
		{`"=1+1"@acme.example`, `"=1+1"@crm.acme.example`}, // no spreadsheet takes it for a formula
		{"ann@acme.example", "ann@crm.acme.example"},
		{"bob@acme.example", "bob@crm.acme.example"},
		{"sales@acme.example", "sales@crm.acme.example"},
	}
	table := i.run("primary", "export", "crm.acme.example", "--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil || !slices.EqualFunc(rows, want, slices.Equal) {
		t.Errorf("%v, %v", rows, err)
	}
	if !strings.HasPrefix(table, "from,to\r\n\"\"\"-x\"\"@acme.example\"") {
		t.Errorf("%q", table)
	}
	text := i.run("primary", "export", "crm.acme.example")
	for _, line := range []string{"ann@acme.example    ann@crm.acme.example\n", "Import-Csv forwards.csv", "recipient address map", "acme.example\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("the text lacks %q:\n%s", line, text)
		}
	}
	var list struct {
		Domain, Primary string
		Forwards        []struct{ From, To string }
	}
	if err := json.Unmarshal([]byte(i.run("primary", "export", "crm.acme.example", "--format", "json")), &list); err != nil || len(list.Forwards) != 5 || list.Primary != "acme.example" || list.Forwards[0].From != "-x@acme.example" {
		t.Errorf("%+v, %v", list, err)
	}
	for format, kind := range map[string]string{"text": "text/plain; charset=utf-8", "csv": "text/csv; charset=utf-8; header=present", "json": "application/json"} {
		body, is := i.fetches("/api/v1/domains/crm.acme.example/primary/forwards?format=" + format)
		if is != kind || body != i.run("primary", "export", "crm.acme.example", "--format", format) {
			t.Errorf("%s comes from the API as %s:\n%s", format, is, body)
		}
	}
	// Another domain is chosen, and that is taken back.
	i.run("domain", "set", "crm.acme.example", "--primary", "acme.test")
	if text := i.run("primary", "export", "crm.acme.example", "--format", "csv"); !strings.Contains(text, "ann@acme.test,ann@crm.acme.example\r\n") {
		t.Errorf("%s", text)
	}
	i.run("undo", fmt.Sprint(ask[[]struct{ ID int }](i, "audit")[0].ID), "--yes")
	if p := ask[struct {
		Primary string
		Chosen  bool
	}](i, "primary", "show", "crm.acme.example"); p.Primary != "acme.example" || p.Chosen {
		t.Errorf("%+v", p)
	}
	// A domain that is its own primary has some of its mailboxes here: they are reached by their routing addresses.
	i.run("domain", "add", "half.example", "--mode", "split", "--next-hop", "127.0.0.31:25", "--recipients", "accept", "--proved")
	i.run("mailbox", "add", "eve@half.example")
	if text := i.run("primary", "export", "half.example", "--format", "csv"); text != "from,to\r\neve@half.example,eve=half.example@in.mx.test.example\r\n" {
		t.Errorf("%s", text)
	}
}

// fetches asks the API by the socket and gives body and media type.
func (i *instance) fetches(path string) (body, kind string) {
	i.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(i.data, "postroad.sock"))
	}}}
	answer, err := client.Get("http://postroad" + path)
	if err != nil {
		i.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		i.t.Fatalf("%s: %s %v\n%s", path, answer.Status, err, text)
	}
	return string(text), answer.Header.Get("Content-Type")
}

func TestS3_8AProbeTellsWhichForwardsWork(t *testing.T) {
	t.Parallel()
	_, i, p := atPrimary(t, "bob", "carol", "dora", "erik")
	said := i.run("primary", "probe", "crm.acme.example", "--within", "1s")
	if !strings.Contains(said, "Sends a test message to 5 addresses at acme.example") {
		t.Errorf("%s", said)
	}
	sent := map[string]sim.Message{}
	for _, m := range p.Await(4) {
		sent[m.Recipients[0].Address] = m
	}
	ann := sent["ann@acme.example"]
	if !strings.HasPrefix(ann.From, "postmaster+prfwd-") || !strings.HasSuffix(ann.From, "@mx.test.example") || !strings.Contains(string(ann.Body), "Auto-Submitted: auto-generated\r\n") || len(ann.Body) > 4<<10 {
		t.Errorf("from %s:\n%s", ann.From, ann.Body)
	}
	// One that is forwarded as it is, though it fails all that it is judged by; then once more, as a server does that has
	// not seen our answer.
	for range 2 {
		wants(t, "intact", i.carries(ann, "Ann@CRM.acme.example", unchanged), "250 2.0.0 the test of a forward has come back")
	}
	if f := i.turns("ann@crm.acme.example", "intact"); f.After <= 0 || f.Hop != "client.example [127.0.0.31]" || f.Detail != "" || f.Since != "" {
		t.Errorf("%+v", f)
	}
	// One to which a disclaimer is added, and a mark in the subject.
	wants(t, "rewritten", i.carries(sent["carol@acme.example"], "carol@crm.acme.example", func(s string) string {
		s = strings.Replace(s, "\r\nSubject: ", "\r\nSubject: [EXTERNAL] ", 1)
		return strings.Replace(s, "two  spaces.\r\n", "two  spaces.\r\n--\r\nThis mail is confidential.\r\n", 1)
	}), "250 2.0.0")
	if f := i.turns("carol@crm.acme.example", "rewritten"); !strings.Contains(f.Detail, `Subject has become "[EXTERNAL] Test of mail forwarding"; a text was added below: "-- This mail is confidential."`) || f.Since == "" {
		t.Errorf("%+v", f)
	}
	// One that the primary refuses at once, one that it gives back, and one of which nothing is heard.
	if f := i.turns("bob@crm.acme.example", "refused"); !strings.Contains(f.Detail, "bob@acme.example was refused by mx.acme.example: 550 5.1.1 no such person") {
		t.Errorf("%+v", f)
	}
	dsn := "From: MAILER-DAEMON@acme.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n\r\nIt failed.\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n" +
		"Reporting-MTA: dns; mx.acme.example\r\n\r\nFinal-Recipient: rfc822; dora@acme.example\r\nAction: failed\r\nStatus: 5.7.1\r\nDiagnostic-Code: smtp; 550 5.7.1 forwarding outside is not allowed\r\n--x--\r\n"
	c := i.from(stranger)
	c.send("", dsn, strings.ToUpper(sent["dora@acme.example"].From))
	if f := i.turns("dora@crm.acme.example", "refused"); !strings.Contains(f.Detail, "5.7.1 550 5.7.1 forwarding outside is not allowed") {
		t.Errorf("%+v", f)
	}
	if f := i.turns("erik@crm.acme.example", "missing"); !strings.Contains(f.Detail, "has not come back within 1s") || f.Since == "" {
		t.Errorf("%+v", f)
	}
	if e := i.evidence("crm.acme.example", "FORWARD_MISSING"); !strings.Contains(e, "bob@acme.example → bob@crm.acme.example, probed ") || !strings.Contains(e, "550 5.1.1 no such person") || !strings.Contains(e, "2 other addresses") {
		t.Errorf("FORWARD_MISSING: %s", e)
	}
	if e := i.evidence("crm.acme.example", "FORWARD_REWRITES_BODY"); !strings.Contains(e, "carol@acme.example") || !strings.Contains(e, "confidential") {
		t.Errorf("FORWARD_REWRITES_BODY: %s", e)
	}
	// What comes late counts.
	wants(t, "late", i.carries(sent["erik@acme.example"], "erik@crm.acme.example", unchanged), "250")
	i.turns("erik@crm.acme.example", "intact")
	if e := i.evidence("crm.acme.example", "FORWARD_MISSING"); !strings.Contains(e, "1 other address ") {
		t.Errorf("FORWARD_MISSING: %s", e)
	}
	// Nobody has got any of this, and nothing of it is left.
	for _, box := range []string{"ann", "bob", "carol", "dora", "erik"} {
		if list := ask[[]message](i, "mailbox", "messages", box+"@crm.acme.example"); len(list) != 0 {
			t.Errorf("%s has got %+v", box, list)
		}
	}
	if list := ask[[]message](i, "mailbox", "messages", "postmaster@mx.test.example"); len(list) != 0 {
		t.Errorf("postmaster has got %+v", list)
	}
	eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Recipients == 0 })
	// Not again for a while, and no such address.
	if _, errs, code := i.try("primary", "probe", "crm.acme.example"); code != 1 || !strings.Contains(errs, "in the last ten minutes") {
		t.Errorf("%d %s", code, errs)
	}
	if _, errs, code := i.try("primary", "probe", "crm.acme.example", "victim@acme.example"); code != 1 || !strings.Contains(errs, "has no mailbox, alias or group") {
		t.Errorf("%d %s", code, errs)
	}
	if out := i.run("audit", "--json"); !strings.Contains(out, "primary probe") || strings.Contains(out, "prfwd-") {
		t.Errorf("audit: %s", out)
	}
}

func TestS3_8AForwardToTheWrongMailboxIsFound(t *testing.T) {
	t.Parallel()
	_, i, p := atPrimary(t, "fred")
	i.run("primary", "probe", "crm.acme.example", "ann@acme.example")
	m := p.Await(1)[0]
	wants(t, "the wrong one", i.carries(m, "fred@crm.acme.example", unchanged), "250 2.0.0")
	if f := i.turns("ann@crm.acme.example", "missing"); !strings.Contains(f.Detail, "ann@acme.example is forwarded to fred@crm.acme.example and not to ann@crm.acme.example") {
		t.Errorf("%+v", f)
	}
	// It is mended: the same probe comes by its routing address, and the finding goes.
	wants(t, "mended", i.carries(m, "ann=crm.acme.example@in.mx.test.example", unchanged), "250 2.0.0")
	i.turns("ann@crm.acme.example", "intact")
	if e := i.evidence("crm.acme.example", "FORWARD_MISSING"); e != "" {
		t.Errorf("FORWARD_MISSING: %s", e)
	}
}

func TestS3_8WhatOnlyLooksLikeAProbeIsDelivered(t *testing.T) {
	t.Parallel()
	_, i, p := atPrimary(t)
	i.run("account", "add", "eve")
	i.run("domain", "add", "eve.example", "--account", "eve", "--proved")
	i.run("mailbox", "add", "eve@eve.example")
	token := ask[struct{ Secret string }](i, "token", "add", "hers", "--account", "eve").Secret
	for _, args := range [][]string{{"primary", "show", "crm.acme.example"}, {"primary", "export", "crm.acme.example"}, {"primary", "probe", "crm.acme.example"}} {
		if _, errs, code := i.try(append([]string{"--server", "http://" + i.http, "--token", token}, args...)...); code != 1 || !strings.Contains(errs, "There is no domain") {
			t.Errorf("%v for another account: %d %s", args, code, errs)
		}
	}
	for address, why := range map[string]string{"crm.acme.example": "is another account's here", "far.example": "is not known here", "example": "a registry's"} {
		_, errs, code := i.try("--server", "http://"+i.http, "--token", token, "domain", "set", "eve.example", "--primary", address)
		if code != 1 || !strings.Contains(errs, why) {
			t.Errorf("primary %s: %d %s", address, code, errs)
		}
	}
	i.run("primary", "probe", "crm.acme.example")
	m := p.Await(1)[0]
	plain := strings.Replace(string(m.Body), "From: Postroad <postmaster@mx.test.example>", "From: <x@far.example>", 1)
	at := strings.Index(plain, "Postroad-Probe: prfwd-") + len("Postroad-Probe: prfwd-")
	other := func(c byte) string {
		if c == 'a' {
			return "b"
		}
		return "a"
	}
	mark := plain[at : at+32]
	// A token of which one letter is another; one without its field; one for another account's mailbox; one that is quoted.
	forged := strings.ReplaceAll(plain, mark, mark[:31]+other(mark[31]))
	serial := strings.ReplaceAll(plain, mark, other(mark[0])+mark[1:])
	c := i.from(stranger)
	for _, content := range []string{forged, serial, "From: <x@far.example>\r\nSubject: Re: " + mark + " prfwd-" + mark + "\r\nIn-Reply-To: <prfwd-" + mark + "@mx.test.example>\r\n\r\nWhat is that?\r\n"} {
		if id := c.send("x@far.example", content, "ann@crm.acme.example"); id == "" {
			t.Error("it was not queued")
		}
	}
	i.await("ann@crm.acme.example", 3)
	if id := c.send("x@far.example", plain, "eve@eve.example"); id == "" {
		t.Error("another account's mail was swallowed")
	}
	i.await("eve@eve.example", 1)
	// What is no report goes to the postmaster.
	if id := c.send("x@far.example", "From: <x@far.example>\r\nSubject: who are you?\r\n\r\nhello\r\n", m.From); id == "" {
		t.Error("mail of a person was swallowed")
	}
	i.await("postmaster@mx.test.example", 1)
	if f := i.forwards("crm.acme.example")["ann@crm.acme.example"]; f.State != "sent" {
		t.Errorf("%+v", f)
	}
	// For two recipients it is one message less.
	c.say("MAIL FROM:<"+m.From+">", "250")
	c.say("RCPT TO:<ann@crm.acme.example>", "250")
	c.say("RCPT TO:<eve@eve.example>", "250")
	c.say("DATA", "354")
	wants(t, "for two", c.say(plain+".", "250"), "250 2.0.0 queued as ")
	i.await("eve@eve.example", 2)
	if list := ask[[]message](i, "mailbox", "messages", "ann@crm.acme.example"); len(list) != 3 {
		t.Errorf("%+v", list)
	}
	i.turns("ann@crm.acme.example", "rewritten")
}

func TestS3_8WhatAProbeToldIsStoredWhenItIsAnswered(t *testing.T) {
	t.Parallel()
	_, i, p := atPrimary(t)
	i.run("primary", "probe", "crm.acme.example")
	m := p.Await(1)[0]
	wants(t, "it comes back", i.carries(m, "ann@crm.acme.example", unchanged), "250")
	_ = i.kill(syscall.SIGKILL)
	i.start()
	if f := i.forwards("crm.acme.example")["ann@crm.acme.example"]; f.State != "intact" {
		t.Errorf("%+v", f)
	}
	wants(t, "it comes once more", i.carries(m, "ann@crm.acme.example", func(s string) string { return s + "a footer\r\n" }), "250 2.0.0 the test of a forward has come back")
	if f := i.forwards("crm.acme.example")["ann@crm.acme.example"]; f.State != "intact" {
		t.Errorf("%+v", f)
	}
	if list := ask[[]message](i, "mailbox", "messages", "ann@crm.acme.example"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// TestS3_8PostfixIsAPrimaryThatForwards: for a sub-domain beside it, and for a domain of which some mailboxes are here.
func TestS3_8PostfixIsAPrimaryThatForwards(t *testing.T) {
	sim.NewDNS(t, sim.Zones{}).Listen(dnsAddress)
	i := newInstance(t, "addresses = [\"127.0.0.12\"]\n[deliver]\nallow = [\"127.0.0.0/8\"]\n")
	_, port, _ := net.SplitHostPort(i.smtp)
	p := newPostfix(t, `virtual_mailbox_domains = acme.example split.example
virtual_mailbox_maps = inline:{ { eve@acme.example = all/ } }
virtual_alias_maps = inline:{ { ann@acme.example = ann@crm.acme.example } { carl@acme.example = gone@crm.acme.example } { sue@split.example = sue=split.example@in.mx.test.example } }
transport_maps = inline:{ { in.mx.test.example = smtp:[127.0.0.1]:`+port+` } { crm.acme.example = smtp:[127.0.0.1]:`+port+` } { mx.test.example = smtp:[127.0.0.1]:`+port+` } }
`)
	i.run("domain", "add", "acme.example", "--mode", "remote", "--next-hop", p.addr, "--proved")
	i.run("domain", "add", "crm.acme.example", "--proved")
	for _, local := range []string{"ann", "bob", "carl"} {
		i.run("mailbox", "add", local+"@crm.acme.example")
	}
	i.run("domain", "add", "split.example", "--mode", "split", "--next-hop", p.addr, "--proved")
	i.run("mailbox", "add", "sue@split.example")
	i.run("dkim", "on", "mx.test.example", "--algorithms", "ed25519")
	i.run("primary", "probe", "crm.acme.example")
	i.run("primary", "probe", "split.example")
	i.turns("ann@crm.acme.example", "intact")
	i.turns("sue@split.example", "intact")
	if f := i.turns("bob@crm.acme.example", "refused"); !strings.Contains(f.Detail, "bob@acme.example was refused by ") || !strings.Contains(f.Detail, "550 5.1.1") {
		t.Errorf("%+v", f)
	}
	if f := i.turns("carl@crm.acme.example", "refused"); !strings.Contains(f.Detail, "carl@acme.example was given back by ") || !strings.Contains(f.Detail, "5.1.1 550 5.1.1") {
		t.Errorf("%+v", f)
	}
	for _, box := range []string{"ann@crm.acme.example", "sue@split.example", "postmaster@mx.test.example"} {
		if list := ask[[]message](i, "mailbox", "messages", box); len(list) != 0 {
			t.Errorf("%s has got %+v", box, list)
		}
	}
}
