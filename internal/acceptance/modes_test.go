package acceptance

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"postroad/internal/sim"
)

// strict is instance with 127.0.0.2 as the only trusted client, and 127.0.0.12 as an address of the server: whoever
// connects from elsewhere is a stranger.
func (o *outside) strict() *instance {
	o.t.Helper()
	i := newInstance(o.t, fmt.Sprintf("addresses = [\"127.0.0.12\"]\n[resolver]\nservers = [%q]\n[deliver]\nport = %s\nallow = [\"127.0.0.0/8\"]\n[receive]\ntrusted_networks = [\"127.0.0.2/32\"]\n", o.dns.Addr(), o.port))
	i.run("domain", "add", "here.example", "--proved")
	i.run("mailbox", "add", "ann@here.example")
	return i
}

// from opens a session of the client at a loopback address.
func (i *instance) from(client string) *talk {
	i.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}}
	conn, err := dialer.Dial("tcp", i.smtp)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c := &talk{t: i.t, Conn: conn, r: bufio.NewReader(conn)}
	c.expect("220")
	c.say("EHLO client.example", "250")
	return c
}

// The clients of these tests: a script of ours, and a stranger.
const (
	script   = "127.0.0.2"
	stranger = "127.0.0.3"
)

// asks gives the reply that a recipient gets from a client.
func (i *instance) asks(client, rcpt string) string {
	i.t.Helper()
	c, sender := i.from(client), "x@far.example"
	if client == script { // what it sends as others is a stranger's
		sender = "ann@here.example"
	}
	c.say("MAIL FROM:<"+sender+">", "250")
	if _, err := fmt.Fprintf(c, "RCPT TO:<%s>\r\n", rcpt); err != nil {
		i.t.Fatal(err)
	}
	return c.read()
}

// replies checks the reply that recipients get from a client.
func (i *instance) replies(client string, want map[string]string) {
	i.t.Helper()
	for rcpt, prefix := range want {
		if got := i.asks(client, rcpt); !strings.HasPrefix(got, prefix) {
			i.t.Errorf("%s from %s: %s, want %s", rcpt, client, got, prefix)
		}
	}
}

// says checks that a command's output has all of the texts.
func (i *instance) says(command string, texts ...string) {
	i.t.Helper()
	out := i.run(strings.Fields(command)...)
	for _, want := range texts {
		if !strings.Contains(out, want) {
			i.t.Errorf("%s does not say %q:\n%s", command, want, out)
		}
	}
}

func TestS1_1ArrangementsAndTheirFilter(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("part.example", "@ MX 10 a\na A 127.0.0.11\n")
	i := o.strict()
	i.run("domain", "add", "full.example", "--proved", "--zone", "hosted")
	i.run("domain", "add", "part.example", "--proved", "--mode", "split")
	i.run("domain", "add", "away.example", "--proved", "--mode", "relay", "--next-hop", "192.0.2.1:25")
	for arrangement, want := range map[string]string{"FULL": "full.example", "EMAIL": "here.example,mx.test.example", "PARTIAL": "part.example", "none": "away.example"} {
		var names []string
		for _, d := range ask[[]struct{ Name string }](i, "domain", "list", "--arrangement", arrangement) {
			names = append(names, d.Name)
		}
		if got := strings.Join(names, ","); got != want {
			t.Errorf("%s: %s, want %s", arrangement, got, want)
		}
	}
	if _, errs, code := i.try("domain", "list", "--arrangement", "HALF"); code != 1 || !strings.Contains(errs, "FULL, EMAIL, PARTIAL or none") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// split.example has the mailbox ann here, and its real server at 127.0.0.11.
func splitDomain(t *testing.T) (*instance, *sim.Peer) {
	t.Helper()
	o := newOutside(t)
	o.zone("split.example", "@ MX 10 real\nreal A 127.0.0.11\n")
	real := o.peer(11, sim.Script{Rcpt: map[string]string{"nobody@split.example": "550 5.1.1 who is that?"}})
	i := o.strict()
	i.run("domain", "add", "split.example", "--proved", "--mode", "split", "--recipients", "accept")
	i.run("mailbox", "add", "ann@split.example")
	return i, real
}

func TestS1_15ADomainWhoseExchangersAreElsewhereHasMailboxesHere(t *testing.T) {
	t.Parallel()
	i, _ := splitDomain(t)
	i.says("domain show split.example", "split", "PARTIAL", "real.split.example", "which is another server")
	if out := i.run("domain", "show", "split.example"); strings.Contains(out, "PRIMARY_MX_MISSING") || strings.Contains(out, "LOOP") {
		t.Errorf("exchangers elsewhere are shown as an error:\n%s", out)
	}
	i.from(stranger).send("x@far.example", text("here"), "ann@split.example")
	i.await("ann@split.example", 1)
}

func TestS1_16WhatIsHereIsDeliveredHereAllElseAtTheRealServer(t *testing.T) {
	t.Parallel()
	i, real := splitDomain(t)
	i.from(stranger).send("x@far.example", text("both"), "ann@split.example", "ann+news@split.example", "bob@split.example")
	i.await("ann@split.example", 1)
	real.Await(1)
	if got := real.Messages()[0].Accepted(); len(got) != 1 || got[0] != "bob@split.example" {
		t.Errorf("the real server got mail for %v", got)
	}
	i.says("explain bob@split.example", "real.split.example")
}

func TestS1_17AnyOfOursReachesBothSidesOfASplitDomain(t *testing.T) {
	t.Parallel()
	i, real := splitDomain(t)
	i.run("account", "add", "other")
	i.run("domain", "add", "tenant.example", "--account", "other", "--proved")
	i.run("alias", "add", "in@tenant.example", "ann@split.example")
	i.run("forward", "add", "out@tenant.example", "bob@split.example")
	i.from(script).send("ann@here.example", text("script"), "ann@split.example", "bob@split.example")
	i.await("ann@split.example", 1)
	real.Await(1)
	i.from(stranger).send("x@far.example", text("tenant"), "in@tenant.example", "out@tenant.example")
	i.await("ann@split.example", 2)
	real.Await(2)
	for rcpt, want := range map[string]string{"ann@split.example": "ann@split.example", "bob@split.example": "real.split.example"} {
		i.says("explain "+rcpt+" --as ann@here.example", want)
	}
}

func TestS1_18ASplitDomainThatLeadsToOurselvesAloneIsRefused(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("split.example", "@ MX 10 us\nus A 127.0.0.12\n")
	i := o.strict()
	args := []string{"domain", "add", "split.example", "--proved", "--mode", "split", "--recipients", "accept"}
	out, errs, code := i.try(args...)
	if code != 1 || !strings.Contains(out, "ROUTE_LOOP_SELF") || !strings.Contains(out, "--next-hop") || !strings.Contains(errs, "--yes") {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	i.run(append(args, "--yes")...)
	i.says("domain show split.example", "ROUTE_LOOP_SELF since", "us.split.example")
	i.says("audit --domain split.example --json", "ROUTE_LOOP_SELF")
	i.replies(stranger, map[string]string{"bob@split.example": "451 4.4.6"})
}

// mailboxOf is a mailbox as `mailbox show --json` shows it.
type mailboxOf struct {
	Routing string `json:"routing_address"`
}

func TestS1_19EachMailboxHasARoutingAddress(t *testing.T) {
	t.Parallel()
	i, real := splitDomain(t)
	long := strings.Repeat("l", 60)
	i.run("mailbox", "add", long+"@split.example")
	n := map[string]int{}
	for _, box := range []string{"ann@split.example", long + "@split.example"} {
		to := ask[mailboxOf](i, "mailbox", "show", box).Routing
		want := strings.Replace(box, "@", "=", 1) + "@in.mx.test.example"
		if short := strings.HasPrefix(box, "ann"); short != (to == want) || !short && !strings.HasPrefix(to, "r-") {
			t.Errorf("routing address of %s: %s", box, to)
		}
		i.says("mailbox list --domain split.example", to)
		c := i.from(stranger)
		c.send("x@far.example", text("routed"), strings.ToUpper(to[:1])+to[1:])
		n[box]++
		i.await(box, n[box])
	}
	c := i.from(stranger)
	c.send("x@far.example", text("plus"), "ann+news=split.example@in.mx.test.example")
	i.await("ann@split.example", 2)
	o2, _, _ := i.try("domain", "set", "split.example", "--mode", "remote", "--yes")
	if !strings.Contains(o2, "handed on until") {
		t.Errorf("%s", o2)
	}
	i.from(stranger).send("x@far.example", text("remote"), "ann=split.example@in.mx.test.example")
	i.await("ann@split.example", 3)
	if len(real.Messages()) != 0 {
		t.Errorf("%d messages left for the real server", len(real.Messages()))
	}
}

func TestS1_20ARoutingAddressIsForExistingMailboxesOnly(t *testing.T) {
	t.Parallel()
	i, _ := splitDomain(t)
	i.run("alias", "add", "sales@split.example", "ann@split.example")
	want := map[string]string{
		"ann=split.example@in.mx.test.example":   "250",
		"bob=split.example@in.mx.test.example":   "550 5.1.1",
		"sales=split.example@in.mx.test.example": "550 5.1.1",
		"x=far.example@in.mx.test.example":       "550 5.1.1",
		"postmaster@in.mx.test.example":          "550 5.1.1",
		"r-aaaaaaaaaaaaaaaa@in.mx.test.example":  "550 5.1.1",
		"x%far.example=a@in.mx.test.example":     "550",
	}
	i.replies(stranger, want)
	i.replies(script, want)
}

func TestS2_5AnOnboardingWindowDelaysUnknownRecipients(t *testing.T) {
	t.Parallel()
	i := newOutside(t).strict()
	i.run("domain", "add", "new.example", "--proved", "--onboarding", "2h")
	i.says("domain show new.example", "onboarding", "until")
	i.replies(stranger, map[string]string{"later@new.example": "450 4.2.1"})
	i.run("domain", "set", "new.example", "--onboarding", "0s", "--yes")
	i.replies(stranger, map[string]string{"later@new.example": "550 5.1.1"})
}

func TestS3_1ADomainIsPrimaryOrSecondaryHere(t *testing.T) {
	t.Parallel()
	i, real := splitDomain(t)
	i.run("domain", "add", "main.example", "--proved")
	i.run("mailbox", "add", "ann@main.example")
	i.from(stranger).send("x@far.example", text("primary"), "ann@main.example")
	i.await("ann@main.example", 1)
	i.replies(stranger, map[string]string{"bob@main.example": "550 5.1.1"})
	i.from(stranger).send("x@far.example", text("secondary"), "ann@split.example", "bob@split.example")
	i.await("ann@split.example", 1)
	real.Await(1)
}

func TestS3_7NewMailboxesOfASecondaryDomainHaveSubdomainAddresses(t *testing.T) {
	t.Parallel()
	i, real := splitDomain(t)
	i.run("domain", "add", "crm.split.example", "--proved")
	i.run("mailbox", "add", "new@crm.split.example")
	i.from(script).send("ann@here.example", text("new"), "new@crm.split.example", "new@split.example")
	i.await("new@crm.split.example", 1)
	real.Await(1)
	if got := real.Messages()[0].Accepted(); len(got) != 1 || got[0] != "new@split.example" {
		t.Errorf("the server of the domain above got mail for %v", got)
	}
}

func TestS3_5ASubdomainHereClaimsNothingOfTheDomainAbove(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\nmx A 127.0.0.11\ncrm MX 10 us\nus A 127.0.0.12\n")
	p := o.peer(11, sim.Script{})
	i := o.strict()
	i.run("domain", "add", "crm.acme.example", "--proved")
	i.run("mailbox", "add", "new@crm.acme.example")
	i.from(stranger).send("x@far.example", text("below"), "new@crm.acme.example")
	i.await("new@crm.acme.example", 1)
	i.from(script).send("ann@here.example", text("above"), "boss@acme.example")
	p.Await(1)
	i.replies(stranger, map[string]string{"boss@acme.example": "550 5.7.1"})
}

func TestS4_1PlainWordsWhichMachineGetsTheMail(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\n@ MX 20 us\nmx A 127.0.0.11\nus A 127.0.0.12\n")
	o.zone("null.example", "@ MX 0 .\n")
	i := o.strict()
	i.run("domain", "add", "acme.example", "--proved")
	i.run("domain", "add", "null.example", "--proved")
	i.says("domain show acme.example", "Public DNS tells senders to bring mail for acme.example to mx.acme.example (10) at 127.0.0.11, which is another server; then to us.acme.example (20), which is this installation.")
	i.says("domain show null.example", "says that it takes no mail")
}
