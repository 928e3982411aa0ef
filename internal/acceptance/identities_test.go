package acceptance

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"postroad/internal/sim"
)

// anIdentity is a line of `identity list --json`.
type anIdentity struct {
	Mailbox, Address, State, Proof string
}

var mailedCode = regexp.MustCompile(`[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}`)

// besidePrimary is crm.acme.example hosted here beside acme.example, whose mail is elsewhere: mail to ann@acme.example goes to
// its exchanger.
func besidePrimary(t *testing.T) (*outside, *instance, *sim.Peer) {
	t.Helper()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\n@ TXT \"v=spf1 mx -all\"\nmx A 127.0.0.11\n")
	o.zone("far.example", "@ MX 10 a\na A 127.0.0.12\n")
	p := o.peer(11, sim.Script{})
	i := o.instance("", `addresses = ["203.0.113.5"]`)
	i.run("domain", "add", "crm.acme.example", "--proved")
	i.addMailbox("ann@crm.acme.example", "a password")
	return o, i, p
}

// asks sends a message through submission and gives the dialogue.
func (i *instance) sendAs(envelope, header string) string {
	i.t.Helper()
	out, _ := swaks(i.t, "--server", i.submit, "--tls", "--auth", "PLAIN", "--auth-user", "ann@crm.acme.example", "--auth-password", "a password",
		"--from", envelope, "--to", "x@far.example", "--h-From", header, "--h-Subject", "as another")
	return out
}

func TestS3_9AUserSendsAsThePrimaryAddressAfterProof(t *testing.T) {
	t.Parallel()
	o, i, p := besidePrimary(t)
	far := o.peer(12, sim.Script{})
	const own, other = "ann@crm.acme.example", "ann@acme.example"
	refused := func(why string) {
		t.Helper()
		for _, pair := range [][2]string{{other, other}, {own, other}, {other, own}} {
			if out := i.sendAs(pair[0], pair[1]); !strings.Contains(out, "553 5.7.1") {
				t.Errorf("%s: envelope %s, From %s: %s", why, pair[0], pair[1], tail(out, 500))
			}
		}
	}
	refused("without proof")
	if _, errs, code := i.try("identity", "add", own, "bob@here.example"); code != 0 {
		t.Errorf("an address of the same account: %s", errs) // all of it is the operator's here
	}
	i.run("identity", "add", own, other)
	refused("before the code is confirmed")
	p.Await(1)
	letter := string(p.Messages()[0].Body)
	if p.Messages()[0].From != "" || !strings.Contains(letter, "Auto-Submitted: auto-generated") || !strings.Contains(letter, own) {
		t.Errorf("the letter: %s", letter)
	}
	if _, errs, code := i.try("identity", "confirm", own, other, "aaaa-bbbb-cccc"); code != 1 || !strings.Contains(errs, "not the one") {
		t.Errorf("a wrong code: %d %s", code, errs)
	}
	i.run("identity", "confirm", own, other, mailedCode.FindString(letter))
	list := ask[[]anIdentity](i, "identity", "list", own)
	if len(list) != 2 || list[1].Address != other && list[0].Address != other {
		t.Errorf("%+v", list)
	}
	if out := i.sendAs(other, "Ann <"+other+">"); !strings.Contains(out, "250 2.0.0") {
		t.Fatalf("after proof: %s", tail(out, 800))
	}
	far.Await(1)
	if m := far.Messages()[0]; m.From != other || !strings.Contains(string(m.Body), "From: Ann <"+other+">") {
		t.Errorf("it arrives from %s: %s", m.From, m.Body)
	}
	// What is not the login's stays refused, in every field that names a sender.
	for _, header := range []string{"eve@acme.example", other + ", eve@acme.example"} {
		if out := i.sendAs(other, header); !strings.Contains(out, "553 5.7.1") {
			t.Errorf("From %s: %s", header, tail(out, 500))
		}
	}
	out, _ := swaks(t, "--server", i.submit, "--tls", "--auth", "PLAIN", "--auth-user", own, "--auth-password", "a password",
		"--from", own, "--to", "x@far.example", "--h-From", own, "--add-header", "Resent-From: eve@acme.example")
	if !strings.Contains(out, "553 5.7.1") {
		t.Errorf("Resent-From: %s", tail(out, 500))
	}
	i.run("identity", "remove", own, other, "--yes")
	refused("after it was removed")
	if all := i.run("audit", "--json"); strings.Count(all, `"identity `) < 4 || strings.Contains(all, mailedCode.FindString(letter)) {
		t.Errorf("audit: %s", all)
	}
}

func TestS3_9NobodySendsAsAnotherAccountsDomain(t *testing.T) {
	t.Parallel()
	_, i, _ := besidePrimary(t)
	i.run("account", "add", "bob")
	i.run("domain", "add", "bob.example", "--account", "bob", "--proved")
	for _, address := range []string{"ann@bob.example", "ann@mail.bob.example"} {
		if _, errs, code := i.try("identity", "add", "ann@crm.acme.example", address); code != 1 || !strings.Contains(errs, "Nobody here sends as") {
			t.Errorf("%s: %d %s", address, code, errs)
		}
	}
	// An alias in a domain that is nobody's yet gives no right to it.
	i.run("domain", "add", "victim.example")
	i.run("alias", "add", "ann@victim.example", "ann@crm.acme.example")
	for _, pair := range [][2]string{{"ann@victim.example", "ann@victim.example"}, {"ann@crm.acme.example", "ann@victim.example"}} {
		if out := i.sendAs(pair[0], pair[1]); !strings.Contains(out, "553 5.7.1") {
			t.Errorf("envelope %s, From %s: %s", pair[0], pair[1], tail(out, 500))
		}
	}
}

func TestS3_10WhatTheOtherDomainDoesNotAuthoriseIsFound(t *testing.T) {
	t.Parallel()
	o, i, p := besidePrimary(t)
	const own, other = "ann@crm.acme.example", "ann@acme.example"
	said := i.run("identity", "add", own, other)
	for _, want := range []string{"IDENTITY_NOT_AUTHORISED", "SPF of acme.example for 203.0.113.5: fail by -all", "ip4:203.0.113.5", "dkim on"} {
		if !strings.Contains(said, want) {
			t.Errorf("it lacks %q: %s", want, said)
		}
	}
	p.Await(1)
	said = i.run("identity", "confirm", own, other, mailedCode.FindString(string(p.Messages()[0].Body)))
	if !strings.Contains(said, "IDENTITY_NOT_AUTHORISED") {
		t.Errorf("it says %s", said)
	}
	// The domain names this server, and it is believed.
	o.zone("acme.example", "@ MX 10 mx\n@ TXT \"v=spf1 mx ip4:203.0.113.5 -all\"\nmx A 127.0.0.11\n")
	i.run("identity", "remove", own, other, "--yes")
	deadline := time.Now().Add(20 * time.Second)
	for {
		said, errs, code := i.try("identity", "add", own, "sales@acme.example", "--plan")
		if code == 0 && strings.Contains(said, "Receivers can believe it: SPF of acme.example covers this server") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it says %s%s", said, errs)
		}
	}
	// Or the domain is here beside, and its mail is signed.
	o.zone("acme.example", "@ MX 10 mx\n@ TXT \"v=spf1 mx -all\"\nmx A 127.0.0.11\n")
	i.run("domain", "add", "acme.example", "--mode", "remote", "--next-hop", "127.0.0.11:"+o.port, "--proved")
	i.run("dkim", "on", "acme.example", "--algorithms", "ed25519")
	o.zone("acme.example", "@ MX 10 mx\n@ TXT \"v=spf1 mx -all\"\nmx A 127.0.0.11\n"+i.dkim("acme.example").lines())
	i.run("dkim", "activate", "acme.example", "--yes")
	if said := i.run("identity", "add", own, other); !strings.Contains(said, "Receivers can believe it: mail of acme.example is signed here") {
		t.Errorf("it says %s", said)
	}
	far := o.peer(12, sim.Script{})
	if out := i.sendAs(other, other); !strings.Contains(out, "250 2.0.0") {
		t.Fatalf("it says %s", tail(out, 800))
	}
	far.Await(1)
	if body := string(far.Messages()[0].Body); !strings.Contains(body, "d=acme.example;") || strings.Contains(body, "d=crm.acme.example") {
		t.Errorf("it arrives as %s", body)
	}
}
