package acceptance

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

// The clients of these tests beside a stranger: the customer's own server, and somebody who says that he is it.
const (
	primary  = "127.0.0.25"
	impostor = "127.0.0.26"
)

// judging is a world in which far.example asks to have refused what it does not stand behind, and soft.example to have it
// put aside. Only 203.0.113.5 may send for them. primary.example is the name of the customer's own server; the impostor
// has it in his reverse zone alone.
func judging(t *testing.T) (*outside, *instance) {
	t.Helper()
	o := newOutside(t)
	o.zone("far.example", "@ TXT \"v=spf1 ip4:203.0.113.5 -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n")
	o.zone("soft.example", "@ TXT \"v=spf1 ip4:203.0.113.5 -all\"\n_dmarc TXT \"v=DMARC1; p=quarantine\"\n")
	o.zone("primary.example", "@ A "+primary+"\n")
	o.zone("127.in-addr.arpa", "25.0.0 PTR primary.example.\n26.0.0 PTR primary.example.\n")
	i := o.strict()
	for _, domain := range []string{"crm.example", "other.example"} {
		i.run("domain", "add", domain, "--proved")
		i.run("mailbox", "add", "ann@"+domain)
	}
	return o, i
}

// received is the field that the customer's server adds to what it had from a client.
func received(client string) string {
	return "Received: from mx.example (mx.example [" + client + "])\r\n\tby primary.example (Postfix) with ESMTP id 4X; Sat, 28 Nov 2026 12:00:00 +0000\r\n"
}

// from is a message of bob at a domain.
func from(domain string) string {
	return "From: Bob <bob@" + domain + ">\r\nSubject: hello\r\n\r\nHello.\r\n"
}

// brings sends a message of bob's and gives the reply to its content.
func (i *instance) brings(client, helo, domain, content string, to ...string) string {
	i.t.Helper()
	c := i.from(client)
	c.say("EHLO "+helo, "250")
	c.say("MAIL FROM:<bob@"+domain+">", "250")
	for _, r := range to {
		c.say("RCPT TO:<"+r+">", "250")
	}
	c.say("DATA", "354")
	return c.say(content+".", "")
}

// wants checks the beginning of a reply.
func wants(t *testing.T, what, got, prefix string) {
	t.Helper()
	if !strings.HasPrefix(got, prefix) {
		t.Errorf("%s: %s, want %s", what, got, prefix)
	}
}

// read gives the newest message in a folder of a mailbox as it lies there, unfolded.
func (i *instance) read(address, folder string, n int) string {
	i.t.Helper()
	var list []message
	eventually(i.t, fmt.Sprintf("%d messages in %s of %s", n, folder, address), func() bool {
		if out, _, code := i.try("mailbox", "messages", address, "--folder", folder, "--json"); code != 0 || strings.Count(out, `"uid"`) < n {
			return false
		}
		list = ask[[]message](i, "mailbox", "messages", address, "--folder", folder)
		return true
	})
	if len(list) != n {
		i.t.Errorf("%d messages in %s of %s, want %d", len(list), folder, address, n)
	}
	text := i.run("mailbox", "message", address, fmt.Sprint(list[len(list)-1].UID), "--folder", folder)
	return strings.NewReplacer("\r\n\t ", " ", "\r\n\t", " ").Replace(text)
}

func TestS3_11SPFIsJudgedAtTheHopBeforeATrustedForwarder(t *testing.T) {
	t.Parallel()
	_, i := judging(t)
	content := received("203.0.113.5") + from("far.example")
	wants(t, "nobody is trusted", i.brings(primary, "primary.example", "far.example", content, "ann@crm.example"), "550 5.7.26")
	i.says("explain ann@crm.example --sender bob@far.example --client "+primary, "SPF fail for far.example from "+primary, "DKIM and DMARC are judged by the message itself.")
	i.run("forwarder", "add", "crm.example", primary, "--yes")
	i.says("explain ann@crm.example --sender bob@far.example --client "+primary, primary+" is the trusted forwarder "+primary+" of crm.example")
	i.says("explain ann@other.example --sender bob@far.example --client 203.0.113.5", "SPF pass for far.example from 203.0.113.5, by ip4:203.0.113.5")
	reply := i.brings(primary, "primary.example", "far.example", content, "ann@crm.example")
	wants(t, "a trusted forwarder", reply, "250")
	text := i.read("ann@crm.example", "INBOX", 1)
	for _, want := range []string{
		"Authentication-Results: mx.test.example; spf=pass (ip4:203.0.113.5) reason=\"judged at the hop before " + primary + "\" smtp.mailfrom=bob@far.example smtp.remote-ip=203.0.113.5",
		"dmarc=pass reason=\"type=trusted_forwarder: ", "header.from=far.example",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the message does not have %q:\n%s", want, text)
		}
	}
	_, id, _ := strings.Cut(reply, "queued as ")
	i.says("trace "+id, "SPF pass for far.example from 203.0.113.5, who brought it to "+primary, "DMARC pass for far.example", "It came from the trusted forwarder "+primary)
	// What had failed there already is no fault of the forwarder: it is put aside, since it would come back from there.
	wants(t, "forged before", i.brings(primary, "primary.example", "far.example", received("198.51.100.9")+received("203.0.113.5")+from("far.example"), "ann@crm.example"), "250")
	if junk := i.read("ann@crm.example", "Junk", 1); !strings.Contains(junk, "spf=fail") || !strings.Contains(junk, "dmarc=fail reason=\"type=trusted_forwarder: ") {
		t.Errorf("%s", junk)
	}
	i.run("forwarder", "remove", "crm.example", primary, "--yes")
	wants(t, "no longer trusted", i.brings(primary, "primary.example", "far.example", content, "ann@crm.example"), "550 5.7.26")
}

// Messages that fail only for having come through one client are counted over a restart.
func TestAForwarderIsSuggestedWhenAPatternIsSeen(t *testing.T) {
	t.Parallel()
	_, i := judging(t)
	content := received("203.0.113.5") + from("far.example")
	for n := range 5 {
		if n == 3 {
			if out := i.run("domain", "show", "crm.example"); strings.Contains(out, "FORWARDER_NOT_TRUSTED") {
				t.Errorf("after %d messages the domain shows\n%s", n, out)
			}
			if err := i.kill(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
			i.start()
		}
		wants(t, "nobody is trusted", i.brings(primary, "primary.example", "far.example", content, "ann@crm.example"), "550 5.7.26")
	}
	if out := i.run("domain", "show", "crm.example"); !strings.Contains(out, "FORWARDER_NOT_TRUSTED") || !strings.Contains(out, "brought 5 messages") || !strings.Contains(out, "postroad forwarder add crm.example "+primary) {
		t.Errorf("the domain shows\n%s", out)
	}
}

func TestS3_12TrustIsForOneDomainAndOneServer(t *testing.T) {
	t.Parallel()
	o, i := judging(t)
	content := received("203.0.113.5") + from("far.example")
	i.run("forwarder", "add", "crm.example", primary, "--yes")
	wants(t, "another domain", i.brings(primary, "primary.example", "far.example", content, "ann@other.example"), "550 5.7.26")
	wants(t, "another address, by the name in EHLO", i.brings(impostor, "primary.example", "far.example", content, "ann@crm.example"), "550 5.7.26")
	wants(t, "the server", i.brings(primary, "anything.example", "far.example", content, "ann@crm.example"), "250")
	i.run("forwarder", "remove", "crm.example", primary, "--yes")
	i.run("forwarder", "add", "crm.example", "primary.example", "--yes")
	wants(t, "by a name that leads to the address and back", i.brings(primary, "anything.example", "far.example", content, "ann@crm.example"), "250")
	wants(t, "by a name that does not lead back", i.brings(impostor, "primary.example", "far.example", content, "ann@crm.example"), "550 5.7.26")
	wants(t, "by the name in EHLO", i.brings(stranger, "primary.example", "far.example", content, "ann@crm.example"), "550 5.7.26")
	// One message for both: each domain sees for itself, and nothing is returned.
	wants(t, "both domains", i.brings(primary, "x.example", "far.example", content, "ann@crm.example", "ann@other.example"), "250")
	if text := i.read("ann@other.example", "Junk", 1); !strings.Contains(text, "spf=fail") || strings.Contains(text, "trusted_forwarder") {
		t.Errorf("%s", text)
	}
	i.read("ann@crm.example", "INBOX", 3)
	i.refuses([]string{"forwarder", "add", "crm.example", "127.0.0.0/8", "--yes"}, "too wide")
	// Whom DNS does not name for now may be the one that is trusted: he is not refused for good.
	o.dns.Script("30.0.0.127.in-addr.arpa", "PTR", sim.DNSServFail)
	wants(t, "a client whose name cannot be looked up", i.brings("127.0.0.30", "x.example", "far.example", content, "ann@crm.example"), "250")
	if text := i.read("ann@crm.example", "Junk", 1); !strings.Contains(text, "dmarc=fail reason=\"Whether its client is a trusted forwarder cannot be found out for now") {
		t.Errorf("%s", text)
	}
	wants(t, "elsewhere", i.brings("127.0.0.30", "x.example", "far.example", content, "ann@other.example"), "550 5.7.26")
	i.run("domain", "set", "crm.example", "--unchecked", "450", "--yes")
	wants(t, "where that is chosen", i.brings("127.0.0.30", "x.example", "far.example", content, "ann@crm.example"), "451 4.4.3")
}

func TestS3_12AServerThatMayDeserveTrustIsSuggested(t *testing.T) {
	t.Parallel()
	_, i := judging(t)
	suggested := func() bool {
		for _, f := range ask[shownDomain](i, "domain", "show", "crm.example").Findings {
			if f.Name == "FORWARDER_NOT_TRUSTED" && strings.Contains(f.Evidence, "postroad forwarder add crm.example "+primary) && strings.Contains(f.Evidence, "203.0.113.5") {
				return true
			}
		}
		return false
	}
	content := received("203.0.113.5") + from("far.example")
	for n := range 5 {
		if suggested() {
			t.Errorf("suggested after %d messages", n)
		}
		wants(t, "it is not trusted yet", i.brings(primary, "primary.example", "far.example", content, "ann@crm.example"), "550 5.7.26")
	}
	eventually(t, "a suggestion", suggested)
	for range 5 { // what would fail there too is no reason for trust
		wants(t, "forged", i.brings(impostor, "primary.example", "far.example", received("198.51.100.9")+from("far.example"), "ann@other.example"), "550 5.7.26")
	}
	if out := i.run("domain", "show", "other.example"); strings.Contains(out, "FORWARDER_NOT_TRUSTED") {
		t.Errorf("suggested for forged mail: %s", out)
	}
}

func TestS3_13OnlyTheOperatorOrTheDomainsOwnerAddsATrustedServer(t *testing.T) {
	t.Parallel()
	_, i := judging(t)
	ann, bea := i.tenant("ann"), i.tenant("bea")
	i.run("domain", "add", "ann.example", "--account", "ann", "--proved", "--yes")
	if _, errs, code := bea.try("forwarder", "add", "ann.example", "192.0.2.25", "--yes"); code == 0 || !strings.Contains(errs, "no domain ann.example") {
		t.Errorf("exit %d: %s", code, errs)
	}
	if _, errs, code := bea.try("forwarder", "list", "ann.example"); code == 0 || !strings.Contains(errs, "no domain ann.example") {
		t.Errorf("exit %d: %s", code, errs)
	}
	ann.run("forwarder", "add", "ann.example", "192.0.2.25", "--yes")
	i.run("forwarder", "add", "ann.example", "mail.ann.example", "--yes")
	if list := ask[[]struct{ Forwarder, By string }](i, "forwarder", "list", "ann.example"); len(list) != 2 || list[0].Forwarder != "192.0.2.25" || list[0].By != "address" || list[1].By != "name" {
		t.Errorf("%+v", list)
	}
	i.says("domain show ann.example", "192.0.2.25, mail.ann.example")
	entries := ask[[]struct {
		Actor, Subject string
		After          struct{ Forwarders []string }
	}](i, "audit")
	if len(entries) < 2 || entries[0].Actor != "operator" || entries[0].Subject != "ann.example" || len(entries[0].After.Forwarders) != 2 || entries[1].Actor == "operator" || len(entries[1].After.Forwarders) != 1 {
		t.Errorf("%+v", entries[:2])
	}
}

func TestS5_7BehindAGatewayTheClientIsTheOneThatItHadTheMailFrom(t *testing.T) {
	t.Parallel()
	_, i := judging(t)
	i.run("domain", "set", "crm.example", "--gateway", primary, "--yes")
	wants(t, "through the gateway", i.brings(primary, "filter.example", "far.example", received("203.0.113.5")+from("far.example"), "ann@crm.example"), "250")
	if text := i.read("ann@crm.example", "INBOX", 1); !strings.Contains(text, "spf=pass") || !strings.Contains(text, "smtp.remote-ip=203.0.113.5") || !strings.Contains(text, "dmarc=pass") {
		t.Errorf("%s", text)
	}
	wants(t, "forged, through the gateway", i.brings(primary, "filter.example", "far.example", received("198.51.100.9")+from("far.example"), "ann@crm.example"), "250")
	if text := i.read("ann@crm.example", "Junk", 1); !strings.Contains(text, "spf=fail") || !strings.Contains(text, "smtp.remote-ip=198.51.100.9") {
		t.Errorf("%s", text)
	}
}

func TestP4_6WhatIsPutAsideWaitsForItsOwner(t *testing.T) {
	t.Parallel()
	o, i := judging(t)
	p := o.peer(11, sim.Script{})
	i.run("domain", "add", "away.example", "--proved", "--mode", "relay", "--recipients", "accept", "--next-hop", "127.0.0.11:"+o.port)
	reply := i.brings(stranger, "x.example", "soft.example", from("soft.example"), "ann@crm.example", "u@away.example")
	wants(t, "asked to be put aside", reply, "250")
	if text := i.read("ann@crm.example", "Junk", 1); !strings.Contains(text, "dmarc=fail") {
		t.Errorf("%s", text)
	}
	i.says("queue list", "quarantined", "u@away.example", "soft.example does not stand behind this message")
	if out := i.run("mailbox", "messages", "ann@crm.example"); strings.Contains(out, "hello") {
		t.Errorf("it lies in the inbox:\n%s", out)
	}
	_, id, _ := strings.Cut(reply, "queued as ")
	i.says("trace "+id, "Put aside for ann@crm.example.", "Put aside for u@away.example.", "SPF fail for soft.example")
	if err := i.kill(syscall.SIGKILL); err == nil {
		t.Error("it was not running")
	}
	i.start()
	i.run("queue", "release", id, "--yes")
	p.Await(1)
	if body := string(p.Messages()[0].Body); !strings.Contains(body, "Authentication-Results: mx.test.example;") {
		t.Errorf("%s", body)
	}
}

// What was to go into a folder for junk does not leave when its domain's mail goes elsewhere before it was stored.
func TestWhatIsPutAsideDoesNotLeaveWithItsDomain(t *testing.T) {
	t.Parallel()
	o, i := judging(t)
	p := o.peer(11, sim.Script{})
	i.run("mailbox", "add", "full@crm.example", "--quota", "1KiB")
	long := strings.Repeat(strings.Repeat("x", 70)+"\r\n", 20)
	junk := i.brings(stranger, "x.example", "soft.example", from("soft.example")+long, "full@crm.example")
	wants(t, "asked to be put aside", junk, "250")
	good := i.brings("127.0.0.2", "x.example", "crm.example", from("crm.example")+long, "full@crm.example")
	wants(t, "of our own", good, "250")
	eventually(t, "both wait for room", func() bool { return strings.Count(i.run("queue", "list"), "the mailbox is full") == 2 })
	i.run("domain", "set", "crm.example", "--mode", "relay", "--recipients", "accept", "--next-hop", "127.0.0.11:"+o.port, "--yes")
	p.Await(1)
	i.says("queue list", "quarantined", "full@crm.example", "it was put aside, and would leave this installation now")
	_, id, _ := strings.Cut(junk, "queued as ")
	i.says("trace "+id, "it was put aside, and would leave this installation now")
	i.run("queue", "release", id, "--yes")
	if list := p.Await(2); !strings.Contains(string(list[1].Body), "dmarc=fail") {
		t.Errorf("%s", list[1].Body)
	}
}

func TestP4_5HowADomainJudgesIsItsOwnChoice(t *testing.T) {
	t.Parallel()
	o, i := judging(t)
	forged := from("far.example")
	i.run("domain", "set", "crm.example", "--judge", "note", "--yes")
	wants(t, "only noted", i.brings(stranger, "x.example", "far.example", forged, "ann@crm.example"), "250")
	if text := i.read("ann@crm.example", "INBOX", 1); !strings.Contains(text, "dmarc=fail") {
		t.Errorf("%s", text)
	}
	i.run("domain", "set", "crm.example", "--judge", "off", "--yes")
	wants(t, "not checked", i.brings(stranger, "x.example", "far.example", "Authentication-Results: mx.test.example; dmarc=pass\r\n"+forged, "ann@crm.example"), "250")
	if text := i.read("ann@crm.example", "INBOX", 2); strings.Contains(text, "Authentication-Results") {
		t.Errorf("%s", text)
	}
	i.run("domain", "set", "crm.example", "--judge", "enforce", "--spf-fail", "reject", "--unchecked", "450", "--yes")
	i.says("domain show crm.example", "enforce; what fails SPF alone: reject; while DNS does not answer: 450")
	o.zone("plain.example", "@ TXT \"v=spf1 -all\"\n")
	wants(t, "SPF alone", i.brings(stranger, "x.example", "plain.example", from("plain.example"), "ann@crm.example"), "550 5.7.23")
	wants(t, "SPF alone, elsewhere", i.brings(stranger, "x.example", "plain.example", from("plain.example"), "ann@other.example"), "250")
	o.dns.Script("*", "*", sim.DNSServFail)
	wants(t, "DNS is down", i.brings(stranger, "x.example", "new.example", from("new.example"), "ann@crm.example"), "451 4.4.3")
	wants(t, "DNS is down, elsewhere", i.brings(stranger, "x.example", "new.example", from("new.example"), "ann@other.example"), "250")
	if text := i.read("ann@other.example", "INBOX", 2); !strings.Contains(text, "spf=temperror") || !strings.Contains(text, "dmarc=temperror") {
		t.Errorf("%s", text)
	}
}

func TestP4_7ToolSPFCountsWhatEachTermCosts(t *testing.T) {
	t.Parallel()
	o, i := judging(t)
	o.zone("big.example", "@ TXT \"v=spf1 include:_a.big.example mx a:gone.big.example ip4:192.0.2.0/24 -all\"\n_a TXT \"v=spf1 a:h.big.example exists:%{i}.x.big.example -all\"\nh A 192.0.2.200\n@ MX 10 h\n")
	var over strings.Builder
	over.WriteString("@ TXT \"v=spf1")
	for n := range 11 {
		over.WriteString(fmt.Sprintf(" a:h%d.big.example", n))
	}
	o.zone("over.example", over.String()+" -all\"\n")
	i.says("tool spf big.example --ip 203.0.113.9", "fail\n", "5 of 10 look-ups", "include:_a.big.example  costs 3", "a:h.big.example  costs 1: 192.0.2.200", "-all  <- decides")
	i.says("tool spf --mail-from bob@big.example --ip 192.0.2.7 --helo x.example", "pass\n", "ip4:192.0.2.0/24  <- decides")
	i.says("tool spf big.example", "usable\n", "5 of 10 look-ups, 1 of 2 for what does not exist", "a:gone.big.example of big.example asks for what does not exist")
	i.says("tool spf over.example", "permerror\n", "11 of 10 look-ups")
	i.says("tool spf far.example --ip 203.0.113.5 --resolver "+o.dns.Addr(), "pass\n")
	i.says("tool spf here.example", "none\n", "here.example has no SPF record")
	i.refuses([]string{"tool", "spf", "big.example", "--ip", "nowhere"}, "is no IP address")
	v := ask[struct {
		Result  string
		Lookups int
		Terms   []struct {
			Text    string
			Lookups int
		}
	}](i, "tool", "spf", "big.example")
	if v.Lookups != 5 || len(v.Terms) != 8 || v.Terms[0].Text != "include:_a.big.example" || v.Terms[0].Lookups != 3 {
		t.Errorf("%+v", v)
	}
}
