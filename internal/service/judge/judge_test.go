package judge_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
	"postroad/internal/core/routing"
	"postroad/internal/service/judge"
)

// world is a DNS of lines "name TYPE data", as it is asked; names that are silent never answer.
type world struct {
	mu      sync.Mutex
	records map[string][]string
	silent  bool
	failing string // a name of which nothing is known for now
	asked   int
	most    int // at once
	now     int
}

func dns(lines string) *world {
	w := &world{records: map[string][]string{}}
	for line := range strings.Lines(lines) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			w.records[name] = append(w.records[name], rest)
		}
	}
	return w
}

func (w *world) get(ctx context.Context, name, kind string) ([]string, facts.Status) {
	w.mu.Lock()
	w.asked++
	w.now++
	w.most = max(w.most, w.now)
	silent := w.silent
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.now--; w.mu.Unlock() }()
	if silent {
		<-ctx.Done()
		return nil, facts.Temporary
	}
	if name == w.failing {
		return nil, facts.Temporary
	}
	var out []string
	for _, r := range w.records[name] {
		if data, ok := strings.CutPrefix(r, kind+" "); ok {
			out = append(out, data)
		}
	}
	switch {
	case len(out) > 0:
		return out, facts.Found
	case len(w.records[name]) > 0:
		return nil, facts.NoData
	}
	return nil, facts.NXDomain
}

func (w *world) TXT(ctx context.Context, name string) facts.TXTAnswer {
	out, status := w.get(ctx, name, "TXT")
	return facts.TXTAnswer{Name: name, Status: status, Records: out, Origin: facts.Origin{Detail: "no answer"}}
}

func (w *world) MX(ctx context.Context, name string) facts.MXAnswer {
	out, status := w.get(ctx, name, "MX")
	a := facts.MXAnswer{Name: name, Status: status, Origin: facts.Origin{Detail: "no answer"}}
	for _, host := range out {
		a.Records = append(a.Records, facts.MX{Host: host})
	}
	return a
}

func (w *world) Family(ctx context.Context, name string, six bool) facts.AddrAnswer {
	kind := "A"
	if six {
		kind = "AAAA"
	}
	out, status := w.get(ctx, name, kind)
	a := facts.AddrAnswer{Name: name, Status: status, Origin: facts.Origin{Detail: "no answer"}}
	for _, addr := range out {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(addr))
	}
	return a
}

func (w *world) Names(ctx context.Context, addr netip.Addr) facts.NamesAnswer {
	out, status := w.get(ctx, addr.String(), "PTR")
	return facts.NamesAnswer{Addr: addr, Status: status, Hosts: out, Origin: facts.Origin{Detail: "no answer"}}
}

// domains are those of this installation.
type domains []directory.Domain

func (d domains) View() routing.View {
	return routing.View{Directory: directory.NewSnapshot(1, d, nil, nil, nil)}
}

const header = "Received: from mx.far.test (mx.far.test [203.0.113.5]) by primary.acme.test with ESMTP id 1; x\r\nFrom: Bob <bob@far.test>\r\nSubject: hi\r\n"

const zones = `
	far.test TXT v=spf1 ip4:203.0.113.5 -all
	_dmarc.far.test TXT v=DMARC1; p=reject
	192.0.2.25 PTR primary.acme.test
	primary.acme.test A 192.0.2.25
	192.0.2.66 PTR primary.acme.test`

// ours are domains that see clients each in its own way.
var ours = domains{
	{ID: "1", Name: "plain.example", Account: "a"},
	{ID: "2", Name: "addr.example", Account: "a", Forwarders: []directory.Forwarder{{Network: netip.MustParsePrefix("192.0.2.25/32")}}},
	{ID: "3", Name: "name.example", Account: "a", Forwarders: []directory.Forwarder{{Name: "primary.acme.test"}}},
	{ID: "4", Name: "gate.example", Account: "a", Gateways: []netip.Prefix{netip.MustParsePrefix("192.0.2.25/32")}},
	{ID: "5", Name: "off.example", Account: "a", Judging: directory.Judging{Mode: directory.JudgeOff}},
	{ID: "6", Name: "note.example", Account: "a", Judging: directory.Judging{Mode: directory.JudgeNote}},
	{ID: "7", Name: "later.example", Account: "a", Judging: directory.Judging{Unchecked: directory.SeverityDefer}},
}

// ask has one message judged for recipients.
func ask(t *testing.T, s *judge.Service, client, helo, sender, header string, to ...string) []policy.Ruling {
	t.Helper()
	j := s.Begin(policy.Arrival{Client: netip.MustParseAddr(client), Helo: helo, Sender: sender, Recipient: to[0]})
	defer j.End()
	rows := make([]mail.Recipient, len(to))
	for i := range to {
		rows[i] = mail.Recipient{Original: to[i], Destination: to[i]}
	}
	j.Header([]byte(header), rows)
	if _, err := j.Write([]byte("body\r\n")); err != nil {
		t.Fatal(err)
	}
	return j.Judge(rows)
}

func service(w *world) *judge.Service {
	return judge.New(judge.Config{Hostname: "mx.postroad.example"}, w, ours, nil, slog.New(slog.DiscardHandler))
}

// TestWhoIsTrusted: trust by address or by a confirmed name, for one domain, and never by what a client calls itself.
func TestWhoIsTrusted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, client, helo, to string
		want                   policy.Action
		override               bool
	}{
		{"a stranger's own server", "203.0.113.5", "mx.far.test", "u@plain.example", policy.Accept, false},
		{"a forwarder nobody trusts", "192.0.2.25", "primary.acme.test", "u@plain.example", policy.Reject, false},
		{"trusted by address", "192.0.2.25", "whoever", "u@addr.example", policy.Accept, true},
		{"another address", "192.0.2.26", "primary.acme.test", "u@addr.example", policy.Reject, false},
		{"trusted by name", "192.0.2.25", "whoever", "u@name.example", policy.Accept, true},
		{"the name alone", "192.0.2.26", "primary.acme.test", "u@name.example", policy.Reject, false},
		{"a name that does not lead back", "192.0.2.66", "primary.acme.test", "u@name.example", policy.Reject, false},
		{"a gateway", "192.0.2.25", "filter", "u@gate.example", policy.Accept, true},
		{"around the gateway", "192.0.2.26", "filter", "u@gate.example", policy.Reject, false},
		{"only noted", "192.0.2.26", "x", "u@note.example", policy.Accept, true},
		{"not checked", "192.0.2.26", "x", "u@off.example", policy.Accept, false},
		{"of a domain that has left", "192.0.2.26", "x", "u@gone.example", policy.Accept, true},
	} {
		r := ask(t, service(dns(zones)), c.client, c.helo, "bob@far.test", header, c.to)[0]
		if r.Action != c.want || (r.Override != "") != c.override {
			t.Errorf("%s: %s, %v, %q", c.name, r.Action, r.Reasons, r.Override)
		}
		if off := strings.Contains(c.to, "off."); off != (len(r.Field) == 0) || !off && (len(r.Checks) != 3 || !strings.HasPrefix(string(r.Field), "Authentication-Results: mx.postroad.example;")) {
			t.Errorf("%s: %q %v", c.name, r.Field, r.Checks)
		}
	}
}

// TestEachDomainSeesForItself: one message, and every recipient's domain judges by its own trust.
func TestEachDomainSeesForItself(t *testing.T) {
	t.Parallel()
	w := dns(zones)
	list := ask(t, service(w), "192.0.2.25", "x", "bob@far.test", header, "u@plain.example", "u@addr.example", "u@off.example", "v@plain.example")
	var got []string
	for i := range list {
		got = append(got, string(list[i].Action))
	}
	if strings.Join(got, " ") != "reject accept accept reject" {
		t.Errorf("%v", got)
	}
	if !strings.Contains(string(list[1].Field), "smtp.remote-ip=203.0.113.5") || !strings.Contains(string(list[1].Field), "type=trusted_forwarder") ||
		!strings.Contains(string(list[0].Field), "smtp.remote-ip=192.0.2.25") {
		t.Errorf("%q\n%q", list[0].Field, list[1].Field)
	}
}

// TestTheHopBefore: only what the trusted server itself says counts, through its own network, and SRS is undone.
func TestTheHopBefore(t *testing.T) {
	t.Parallel()
	const from = "From: bob@far.test\r\n"
	forged := "Received: from x (x [203.0.113.5]) by evil; x\r\n"
	for _, c := range []struct {
		name, sender, header string
		want                 policy.Action
		known                bool
	}{
		{"as it was brought", "bob@far.test", "Received: from a (a [203.0.113.5]) by primary; x\r\n" + from, policy.Accept, true},
		{"a forger's field below", "bob@far.test", "Received: from evil (evil [198.51.100.9]) by primary; x\r\n" + forged + from, policy.Quarantine, true},
		{"through its own network", "bob@far.test", "Received: from localhost (localhost [127.0.0.1]) by primary; x\r\nReceived: by primary (Postfix); x\r\n" +
			"Received: from filter (filter [10.0.0.9]) by primary; x\r\nReceived: from a (a [203.0.113.5]) by filter; x\r\n" + from, policy.Accept, true},
		{"by itself twice", "bob@far.test", "Received: from p (p [192.0.2.25]) by p; x\r\nReceived: from a (a [203.0.113.5]) by p; x\r\n" + from, policy.Accept, true},
		{"rewritten by SRS", "SRS0=hash=tt=far.test=bob@primary.acme.test", "Received: from a (a [203.0.113.5]) by primary; x\r\n" + from, policy.Accept, true},
		{"rewritten twice", "SRS1=h=first.test==hash=tt=far.test=bob@primary.acme.test", "Received: from a (a [203.0.113.5]) by primary; x\r\n" + from, policy.Accept, true},
		{"not readable", "bob@far.test", "Received: from somewhere by primary; x\r\n" + forged + from, policy.Accept, false},
		{"none at all", "bob@far.test", from, policy.Accept, false},
		{"too far inside", "bob@far.test", strings.Repeat("Received: by primary; x\r\n", 7) + forged + from, policy.Accept, false},
	} {
		r := ask(t, service(dns(zones)), "192.0.2.25", "x", c.sender, c.header, "u@addr.example")[0]
		if r.Action != c.want || r.Override == "" || strings.Contains(string(r.Field), "not judged at the hop before") == c.known {
			t.Errorf("%s: %s, %v, %s\n%s", c.name, r.Action, r.Reasons, r.Override, r.Field)
		}
	}
}

// TestANameThatCannotBeLookedUp: who may be a forwarder that is trusted by name is not refused for good.
func TestANameThatCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	for _, failing := range []string{"192.0.2.25", "primary.acme.test"} {
		w := dns(zones)
		w.failing = failing
		list := ask(t, service(w), "192.0.2.25", "x", "bob@far.test", header, "u@plain.example", "u@name.example", "u@addr.example")
		for i, want := range []policy.Action{policy.Reject, policy.Quarantine, policy.Accept} {
			if list[i].Action != want {
				t.Errorf("without %s, %d: %s, %v", failing, i, list[i].Action, list[i].Reasons)
			}
		}
		if !strings.Contains(list[1].Override, "cannot be found out for now") {
			t.Errorf("%+v", list[1].Verdict)
		}
	}
}

// TestDNSDown: without DNS nobody waits longer than the budget, nothing is refused for good, and later only where the
// domain says so.
func TestDNSDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := dns(zones)
		w.silent = true
		begun := time.Now()
		signature := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=far.test; s=s1; h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA\r\n"
		list := ask(t, service(w), "192.0.2.25", "x", "bob@far.test", signature+header, "u@plain.example", "u@name.example", "u@later.example")
		if gone := time.Since(begun); gone > 10*time.Second {
			t.Errorf("it took %v", gone)
		}
		for i, want := range []policy.Action{policy.Accept, policy.Accept, policy.Defer} {
			if list[i].Action != want || !strings.Contains(string(list[i].Field), "spf=temperror") || !strings.Contains(string(list[i].Field), "dmarc=temperror") {
				t.Errorf("%d: %s, %q", i, list[i].Action, list[i].Field)
			}
		}
		if list[2].Reply.Code != 451 {
			t.Errorf("reply %v", list[2].Reply)
		}
	})
}

// TestHostileHeader: many signatures and authors cost a bounded number of questions, a few at once.
func TestHostileHeader(t *testing.T) {
	t.Parallel()
	w := dns(zones)
	var b strings.Builder
	for i := range 50 {
		b.WriteString("DKIM-Signature: v=1; a=rsa-sha256; d=d" + string(rune('a'+i%26)) + ".test; s=s; h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA\r\n")
	}
	b.WriteString("From: a@a.a.a.a.a.a.a.a.a.test")
	for i := range 9 {
		b.WriteString(", x@b.b.b.b.b.b.b.b.b" + string(rune('a'+i)) + ".test")
	}
	r := ask(t, service(w), "192.0.2.25", "x", "bob@far.test", b.String()+"\r\n", "u@plain.example")[0]
	if r.Action != policy.Accept || len(r.Field) > mail.MaxHead/2 || w.asked > 8+10*8+5 {
		t.Errorf("%s, %d octets, %d questions", r.Action, len(r.Field), w.asked)
	}
	var many strings.Builder
	many.WriteString("From: a@1.test" + strings.Repeat(", a@", 1))
	for i := range 11 {
		many.WriteString("x" + string(rune('a'+i)) + ".test, b@")
	}
	w = dns(zones)
	if r := ask(t, service(w), "192.0.2.25", "x", "bob@far.test", many.String()+"end.test\r\n", "u@plain.example")[0]; r.Action != policy.Quarantine || w.asked > 5 {
		t.Errorf("%s, %d questions, %v", r.Action, w.asked, r.Reasons)
	}
}

// TestTheAuthor: what From names, however it is written.
func TestTheAuthor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from string
		want policy.Action
	}{
		{"From: bob@far.test\r\n", policy.Reject},
		{"From: evil@x.test\r\nFrom: bob@far.test\r\n", policy.Reject},
		{"From: evil@x.test, bob@far.test\r\n", policy.Reject},
		{"From: bob@FAR.test\r\n", policy.Reject},
		{"From: \"bob@x.test\" <bob@sub.far.test>\r\n", policy.Reject},
		{"From: evil@x.test <bob@far.test>\r\n", policy.Reject},
		{"From: <evil@x.test> <bob@far.test>\r\n", policy.Reject},
		{"From: evil@x.test bob @ far.test\r\n", policy.Reject},
		{"From: evil@x.test <evil@x.test>\r\n", policy.Accept},
		{"From: =?utf-8?q?bob=40far.test=3E?=@x.test\r\n", policy.Quarantine},
		{"From: =?utf-8?q?bob=40far.test?= <evil@x.test>\r\n", policy.Accept},
		{"From: evil@x.test\r\n", policy.Accept},
		{"From: bob@far.test (unfinished\r\n", policy.Quarantine},
		{"From: MAILER-DAEMON\r\n", policy.Accept},
		{"Subject: no author\r\n", policy.Accept},
	} {
		if r := ask(t, service(dns(zones)), "192.0.2.99", "x", "evil@x.test", c.from, "u@plain.example")[0]; r.Action != c.want {
			t.Errorf("%q: %s, %v", c.from, r.Action, r.Reasons)
		}
	}
}

// TestTooManyAtOnce: what finds no place in time is temperror.
func TestTooManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := dns(zones)
		w.silent = true
		s := judge.New(judge.Config{AtOnce: 2}, w, ours, nil, slog.New(slog.DiscardHandler))
		var running sync.WaitGroup
		for range 20 {
			running.Go(func() {
				if r := ask(t, s, "192.0.2.25", "x", "bob@far.test", header, "u@plain.example")[0]; r.Action != policy.Accept || !strings.Contains(string(r.Field), "spf=temperror") {
					t.Errorf("%s %q", r.Action, r.Field)
				}
			})
		}
		running.Wait()
		if w.most > 2 {
			t.Errorf("%d questions at once", w.most)
		}
	})
}

// TestGivenUp: a message that is not finished leaves nothing behind.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := dns(zones)
		w.silent = true
		j := service(w).Begin(policy.Arrival{Client: netip.MustParseAddr("192.0.2.25"), Sender: "bob@far.test", Recipient: "u@plain.example"})
		j.Header([]byte(header), []mail.Recipient{{Original: "u@plain.example"}})
		begun := time.Now()
		j.End()
		if time.Since(begun) > 0 || w.now != 0 {
			t.Errorf("it took %v, %d questions are open", time.Since(begun), w.now)
		}
	})
}

// told remembers findings.
type told struct {
	mu      sync.Mutex
	list    []finding.Finding
	brought map[string]int
}

func (f *told) Find(_ context.Context, found finding.Finding, _ bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, found)
	return nil
}

// Brought sees a pattern in every five messages of a client.
func (f *told) Brought(owner account.ID, domain, client string) (int, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if owner != "a" {
		f.list = append(f.list, finding.Finding{Evidence: "for " + string(owner)})
	}
	if f.brought == nil {
		f.brought = map[string]int{}
	}
	f.brought[domain+" "+client]++
	n := f.brought[domain+" "+client]
	return n, n%5 == 0
}

// TestAForwarderIsSuggested: after five messages that fail only for having come through one client, the domain is told.
func TestAForwarderIsSuggested(t *testing.T) {
	t.Parallel()
	f := &told{}
	s := judge.New(judge.Config{Findings: f, Patterns: f}, dns(zones), ours, nil, slog.New(slog.DiscardHandler))
	forged := strings.Replace(header, "203.0.113.5", "198.51.100.9", 1)
	for range 9 {
		ask(t, s, "192.0.2.31", "forger.test", "bob@far.test", forged, "u@plain.example")
		ask(t, s, "192.0.2.26", "x", "bob@far.test", header, "u@note.example")
	}
	for n := range 9 {
		ask(t, s, "192.0.2.25", "primary.acme.test", "bob@far.test", header, "u@plain.example")
		if want := min((n+1)/5, 1); len(f.list) != want {
			t.Errorf("%d findings after %d messages", len(f.list), n+1)
		}
	}
	if len(f.list) != 1 || f.list[0].Name != finding.ForwarderNotTrusted || f.list[0].Domain != "plain.example" || !strings.HasSuffix(f.list[0].Evidence, "postroad forwarder add plain.example 192.0.2.25") {
		t.Errorf("%+v", f.list)
	}
}

// memory is a part of a DNS, which lacks some of its names.
type memory struct {
	*world
	lacks func(name string) bool
}

func (m memory) TXT(ctx context.Context, name string) facts.TXTAnswer {
	if m.lacks(name) {
		return facts.TXTAnswer{Name: name, Status: facts.Temporary}
	}
	return m.world.TXT(ctx, name)
}

func (m memory) Family(ctx context.Context, name string, six bool) facts.AddrAnswer {
	if m.lacks(name) {
		return facts.AddrAnswer{Name: name, Status: facts.Temporary}
	}
	return m.world.Family(ctx, name, six)
}

func (m memory) Names(ctx context.Context, addr netip.Addr) facts.NamesAnswer {
	if m.lacks(addr.String()) {
		return facts.NamesAnswer{Addr: addr, Status: facts.Temporary}
	}
	return m.world.Names(ctx, addr)
}

// TestWhatIsKnown: whatever part of DNS is remembered, rulings are those of all of it; nobody is asked when that is enough,
// and nothing runs beside the message.
func TestWhatIsKnown(t *testing.T) {
	t.Parallel()
	signature := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=sub.far.test; s=s1; h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA\r\n"
	const more = zones + `
	mail.far.test TXT v=spf1 ptr:acme.test a:primary.acme.test include:far.test ?all`
	names := []string{"far.test", "mail.far.test", "_dmarc.far.test", "s1._domainkey.sub.far.test", "192.0.2.25", "primary.acme.test"}
	to := []string{"u@plain.example", "u@name.example", "u@off.example", "u@addr.example"}
	for _, sender := range []string{"bob@far.test", "bob@mail.far.test", ""} {
		for _, client := range []string{"192.0.2.25", "203.0.113.5"} {
			want := fmt.Sprintf("%+v", ask(t, service(dns(more)), client, "mail.far.test", sender, signature+header, to...))
			for set := range 1 << len(names) {
				lacking, asked := dns(more), dns(more)
				known := memory{lacking, func(name string) bool {
					i := slices.Index(names, name)
					return i >= 0 && set&(1<<i) != 0
				}}
				s := judge.New(judge.Config{Hostname: "mx.postroad.example", Known: known}, asked, ours, nil, slog.New(slog.DiscardHandler))
				if got := fmt.Sprintf("%+v", ask(t, s, client, "mail.far.test", sender, signature+header, to...)); got != want {
					t.Fatalf("%s %s, without %b:\n%s\n%s", client, sender, set, got, want)
				}
				if set == 0 && asked.asked > 0 || set == 1<<len(names)-1 && asked.asked == 0 {
					t.Errorf("%s %s, without %b: %d questions", client, sender, set, asked.asked)
				}
			}
		}
	}
}

// TestPanic: what panics on what is known is tried again beside the message, where it is temperror.
func TestPanic(t *testing.T) {
	t.Parallel()
	known := memory{dns(zones), func(string) bool { panic("no") }}
	s := judge.New(judge.Config{Known: known}, known, ours, nil, slog.New(slog.DiscardHandler))
	r := ask(t, s, "192.0.2.25", "x", "bob@far.test", header, "u@plain.example")[0]
	if r.Action != policy.Accept || !strings.Contains(string(r.Field), "spf=temperror") || !strings.Contains(string(r.Field), "dmarc=temperror") {
		t.Errorf("%s, %q", r.Action, r.Field)
	}
}

// TestNothingIsAskedForWhoWantsNothing: where all recipients' domains have nothing checked, nobody is asked; where one has,
// it is judged as ever, whoever was first.
func TestNothingIsAskedForWhoWantsNothing(t *testing.T) {
	t.Parallel()
	w := dns(zones)
	signature := "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=far.test; s=s1; h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA\r\n"
	r := ask(t, service(w), "192.0.2.26", "x", "bob@far.test", signature+header, "u@off.example", "v@off.example")
	if w.asked != 0 || r[1].Action != policy.Accept || len(r[1].Field)+len(r[1].Checks) != 0 {
		t.Errorf("%d questions, %+v", w.asked, r[1])
	}
	r = ask(t, service(w), "192.0.2.26", "x", "bob@far.test", signature+header, "u@off.example", "u@plain.example")
	if r[0].Action != policy.Accept || r[1].Action != policy.Reject || len(r[1].Checks) != 3 {
		t.Errorf("%+v", r)
	}
}
