package acceptance

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"postroad/internal/sim"
)

func TestS5_1ChosenAndEffectiveModeWithTheReason(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\nmx A 127.0.0.11\n")
	i := o.strict()
	i.run("domain", "add", "acme.example", "--proved", "--mode", "remote")
	i.says("domain show acme.example", "mode            remote", "effective mode  remote", "The mode was chosen.")
	i.run("domain", "set", "acme.example", "--mode", "auto", "--yes")
	i.says("domain show acme.example", "mode            auto", "effective mode  remote", "public DNS")
	for _, mode := range []string{"local", "backup", "split"} {
		i.run("domain", "set", "acme.example", "--mode", mode, "--yes")
		i.says("domain show acme.example", "mode            "+mode)
	}
}

func TestS5_6LocalTakesMailThoughABetterExchangerIsElsewhere(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\n@ MX 20 us\nmx A 127.0.0.11\nus A 127.0.0.12\n")
	p := o.peer(11, sim.Script{})
	i := o.strict()
	i.run("domain", "add", "acme.example", "--proved")
	i.run("mailbox", "add", "ann@acme.example")
	i.from(stranger).send("x@far.example", text("local"), "ann@acme.example")
	i.await("ann@acme.example", 1)
	if p.Connections() != 0 {
		t.Errorf("%d connections to the better exchanger", p.Connections())
	}
}

func TestS5_7OnlyTheGatewayMayDeliver(t *testing.T) {
	t.Parallel()
	i := newOutside(t).strict()
	i.run("domain", "add", "acme.example", "--proved", "--gateway", "127.0.0.4/32")
	i.run("mailbox", "add", "ann@acme.example")
	i.says("domain show acme.example", "127.0.0.4/32")
	i.replies(stranger, map[string]string{"ann@acme.example": "450 4.7.1"})
	i.replies("127.0.0.4", map[string]string{"ann@acme.example": "250"})
	i.replies(script, map[string]string{"ann@acme.example": "250"})
	i.run("domain", "set", "acme.example", "--gateway", "none", "--yes")
	i.replies(stranger, map[string]string{"ann@acme.example": "250"})
}

func TestS5_8DualDeliveryIsOneMessageHereAndOneCopy(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\n@ MX 20 us\nmx A 127.0.0.11\nus A 127.0.0.12\n")
	p := o.peer(11, sim.Script{})
	i := o.strict()
	i.run("domain", "add", "acme.example", "--proved", "--dual")
	i.run("mailbox", "add", "ann@acme.example")
	i.says("domain show acme.example", "dual delivery")
	i.from(stranger).send("x@far.example", text("dual"), "ann@acme.example")
	p.Await(1)
	i.await("ann@acme.example", 1)
	// The better exchanger hands the copy back: it is swallowed.
	back := p.Messages()[0]
	i.from(script).send(back.From, strings.TrimSuffix(string(back.Body), "."), "ann@acme.example")
	i.run("domain", "set", "acme.example", "--dual=false", "--yes")
	i.from(stranger).send("x@far.example", text("once"), "ann@acme.example")
	i.await("ann@acme.example", 2)
	eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	if n := len(p.Messages()); n != 1 {
		t.Errorf("%d copies left, want the one from before", n)
	}
}

func TestS5_10BackupTriesBetterExchangersOnly(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 dead\n@ MX 20 us\n@ MX 20 equal\n@ MX 30 worse\ndead A 127.0.0.11\nus A 127.0.0.12\nequal A 127.0.0.13\nworse A 127.0.0.14\n")
	equal, worse := o.peer(13, sim.Script{}), o.peer(14, sim.Script{})
	i := o.strict()
	i.run("domain", "add", "acme.example", "--proved", "--mode", "backup", "--recipients", "accept", "--hold", "30d")
	i.from(stranger).send("x@far.example", text("held"), "bob@acme.example")
	eventually(t, "an attempt", func() bool {
		return strings.Contains(i.run("queue", "list"), "acme.example") && ask[counts](i, "queue", "count").Messages == 1
	})
	best := o.peer(11, sim.Script{})
	i.run("queue", "retry", "--yes")
	best.Await(1)
	if equal.Connections()+worse.Connections() != 0 {
		t.Errorf("connections: %d to the equal, %d to the worse exchanger", equal.Connections(), worse.Connections())
	}
}

func TestS5_12RemoteRefusesStrangersAfterTheWindowAndOursGoOut(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\nmx A 127.0.0.11\n")
	p := o.peer(11, sim.Script{})
	i := o.strict()
	i.run("domain", "add", "acme.example", "--proved", "--mode", "remote")
	i.run("mailbox", "add", "ann@acme.example")
	i.replies(stranger, map[string]string{"ann@acme.example": "550 5.7.1"})
	i.from(script).send("ann@here.example", text("out"), "ann@acme.example")
	p.Await(1)
	if list := ask[[]message](i, "mailbox", "messages", "ann@acme.example"); len(list) != 0 {
		t.Errorf("%d messages in the mailbox that is here", len(list))
	}
	// After a switch from another mode there is the leaving window.
	i.run("domain", "set", "acme.example", "--mode", "local", "--yes")
	out := i.run("domain", "set", "acme.example", "--mode", "remote", "--yes")
	if !strings.Contains(out, "Mail from strangers who still know the old MX records is handed on until") {
		t.Errorf("%s", out)
	}
	i.says("domain show acme.example", "leaving", "before local")
	i.from(stranger).send("x@far.example", text("late"), "ann@acme.example")
	p.Await(2)
	// So it is when the domain is removed, and then it is listed apart.
	i.run("domain", "set", "acme.example", "--mode", "local", "--yes")
	i.run("domain", "remove", "acme.example", "--yes")
	i.from(stranger).send("x@far.example", text("removed"), "ann@acme.example")
	p.Await(3)
	if out := i.run("domain", "list"); strings.Contains(out, "acme.example") {
		t.Errorf("a removed domain is listed:\n%s", out)
	}
	i.says("domain list --leaving", "acme.example", "removed")
	_ = i.kill(syscall.SIGTERM)
	i.start()
	i.from(stranger).send("x@far.example", text("restarted"), "ann@acme.example")
	p.Await(4)
	i.run("domain", "add", "acme.example", "--proved", "--yes")
	i.replies(stranger, map[string]string{"ann@acme.example": "550 5.1.1"})
}

func TestS5_13AWayThatDNSDoesNotShowIsRefusedUnlessOverridden(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 us\nus A 127.0.0.12\n")
	o.zone("quiet.example", "@ MX 10 mx\nmx A 127.0.0.11\n")
	o.dns.Script("quiet.example", "MX", sim.DNSServFail)
	i := o.strict()
	i.run("domain", "add", "acme.example", "--proved")
	for _, mode := range []string{"remote", "backup"} {
		out, errs, code := i.try("domain", "set", "acme.example", "--mode", mode)
		if code != 1 || !strings.Contains(out, "PRIMARY_MX_MISSING") || !strings.Contains(out, "--next-hop") || !strings.Contains(errs, "--yes") {
			t.Errorf("%s: exit %d: %s%s", mode, code, out, errs)
		}
	}
	i.run("domain", "set", "acme.example", "--mode", "backup", "--yes")
	i.says("domain show acme.example", "PRIMARY_MX_MISSING since")
	i.says("audit --domain acme.example --json", "PRIMARY_MX_MISSING")
	i.run("domain", "set", "acme.example", "--next-hop", "127.0.0.11:"+o.port, "--yes")
	if out := i.run("domain", "show", "acme.example"); strings.Contains(out, "PRIMARY_MX_MISSING") {
		t.Errorf("the finding outlives the way that it is about:\n%s", out)
	}
	// DNS that does not answer stops nobody.
	if out := i.run("domain", "add", "quiet.example", "--proved", "--mode", "remote"); !strings.Contains(out, "no answer just now") {
		t.Errorf("%s", out)
	}
}

func TestS5_14StrandedMailboxesAreFoundWithTheirCount(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\nmx A 127.0.0.11\n")
	i := o.strict()
	i.run("domain", "add", "acme.example", "--proved")
	i.run("mailbox", "add", "ann@acme.example")
	i.run("mailbox", "add", "bob@acme.example")
	i.run("domain", "set", "acme.example", "--mode", "remote", "--yes")
	i.says("domain show acme.example", "STRANDED_MAILBOXES since", "2 mailboxes here")
	i.run("mailbox", "remove", "bob@acme.example", "--yes")
	i.says("domain show acme.example", "1 mailbox here")
	i.run("domain", "set", "acme.example", "--mode", "split", "--yes")
	if out := i.run("domain", "show", "acme.example"); strings.Contains(out, "STRANDED_MAILBOXES") {
		t.Errorf("%s", out)
	}
}

func TestS5_19AModeIsProposedFromWhatIsObserved(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\n@ MX 20 us\nmx A 127.0.0.11\nus A 127.0.0.12\n")
	o.peer(11, sim.Script{})
	i := o.strict()
	i.run("domain", "add", "acme.example", "--proved")
	i.says("domain choose acme.example", "backup", "mx.acme.example answers", "postroad domain set acme.example --mode backup")
	i.run("mailbox", "add", "ann@acme.example")
	i.says("domain choose acme.example", "split", "One mailbox")
	i.says("domain choose acme.example --next-hop mail.corp.example", "postroad domain set acme.example --mode split --next-hop mail.corp.example:25")
}

func TestS5_19ASupportLinkCarriesTheFacts(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx\nmx A 127.0.0.11\n")
	o.peer(11, sim.Script{})
	i := o.instance("[support]\nurl = \"https://help.example/new?about={domain}&facts={text}\"\n")
	token := i.customer("acme", "acme.example")
	i.run("mailbox", "add", "ann@acme.example")
	i.run("domain", "set", "acme.example", "--mode", "remote", "--yes")
	i.says("domain show acme.example", "https://help.example/new?about=acme.example")
	i.says("domain choose acme.example", "If unsure, ask support", "https://help.example/new?about=acme.example")
	text := i.run("domain", "choose", "acme.example", "--for-support")
	for _, want := range []string{
		"Domain: acme.example\n", "Account: acme\n", "Server: mx.test.example\n", "Mode: remote, effective remote\n", "Mailboxes here: 1", "Proposed mode: split (postroad domain set acme.example --mode split)\n",
		"as the best exchanger, and this installation nowhere", "STRANDED_MAILBOXES since ", "Send this to support:\nhttps://help.example/new?about=acme.example&facts=Domain%3A%20acme.example",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the text for support lacks %q:\n%s", want, text)
		}
	}
	if status, body := i.call(token, "/domains/acme.example/choose"); status != http.StatusOK || !strings.Contains(body, `"link":"https://help.example/new?about=acme.example`) {
		t.Errorf("the account reads %d %s", status, body)
	}
	plain := newInstance(t, "")
	plain.run("domain", "add", "acme.example", "--proved")
	plain.says("domain show acme.example", "mailto:postmaster@mx.test.example\n")
}
