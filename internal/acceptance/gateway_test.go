package acceptance

import (
	"strings"
	"testing"
)

type shownGateways struct {
	Gateways   []struct{ Gateway, ExchangerSet string }
	Sentences  []string
	Exchangers []struct {
		Host          string
		Here, Gateway bool
	}
	Bypassed    *struct{ Evidence string }
	Suggestions []struct{ Reason, Command string }
}

func TestS5_7GatewaysAreNamedOneByOneAndShownWithWhoCameAround(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx1.filter.example.\n@ MX 20 us\nus A 127.0.0.12\n")
	o.zone("filter.example", "mx1 A 127.0.0.4\nout A 127.0.0.5\nout A 127.0.0.6\n")
	i := o.strict()
	i.run("exchanger-set", "add", "filtered", "mx1.filter.example", "--gateway", "127.0.0.4")
	i.run("domain", "add", "acme.example", "--proved")
	i.run("mailbox", "add", "ann@acme.example")
	i.says("gateway show acme.example", "Everybody may deliver mail for acme.example.", "mx1.filter.example",
		"postroad gateway add acme.example 127.0.0.4", "postroad domain set acme.example --exchanger-set filtered")

	i.says("gateway add acme.example 127.0.0.4 --plan", "From outside only 127.0.0.4 may deliver")
	i.replies(stranger, map[string]string{"ann@acme.example": "250"})
	i.run("gateway", "add", "acme.example", "127.0.0.4", "--yes")
	i.replies(stranger, map[string]string{"ann@acme.example": "450 4.7.1"})
	i.replies("127.0.0.4", map[string]string{"ann@acme.example": "250"})

	// A host is looked up; what a client calls itself counts for nothing.
	i.replies("127.0.0.5", map[string]string{"ann@acme.example": "450 4.7.1"})
	i.says("gateway add acme.example out.filter.example --yes", "out.filter.example leads to 127.0.0.5, 127.0.0.6 now")
	i.replies("127.0.0.5", map[string]string{"ann@acme.example": "250"})
	c := i.from(stranger)
	c.say("EHLO out.filter.example", "250")
	c.say("MAIL FROM:<x@far.example>", "250")
	c.say("RCPT TO:<ann@acme.example>", "450 4.7.1")

	r := ask[shownGateways](i, "gateway", "show", "acme.example")
	if len(r.Gateways) != 3 || r.Bypassed == nil || !strings.Contains(r.Bypassed.Evidence, "["+stranger+"]") || len(r.Exchangers) != 2 || !r.Exchangers[0].Gateway || !r.Exchangers[1].Here || len(r.Suggestions) != 1 {
		t.Errorf("%+v", r)
	}
	if text := strings.Join(r.Sentences, "\n"); !strings.Contains(text, "postroad mx remove acme.example us.acme.example") || !strings.Contains(text, "comes here around its filter") {
		t.Errorf("%s", text)
	}

	// It is one list with the domain's settings, and a change of it is undone like any other.
	i.says("domain show acme.example", "127.0.0.4/32, 127.0.0.5/32, 127.0.0.6/32")
	i.run("gateway", "remove", "acme.example", "out.filter.example", "--yes")
	i.says("gateway list acme.example", "127.0.0.4")
	if list := ask[[]struct{ Gateway string }](i, "gateway", "list", "acme.example"); len(list) != 1 {
		t.Errorf("%+v", list)
	}
	for _, refused := range []struct{ gateway, says string }{
		{"127.0.0.4", "already"}, {"0.0.0.0/0", "is everybody"}, {"nowhere.filter.example", "DNS knows no address"}, {"none", "is no gateway"}, {"out", "no host, address or network"},
	} {
		i.refuses([]string{"gateway", "add", "acme.example", refused.gateway, "--yes"}, refused.says)
	}
	i.refuses([]string{"gateway", "remove", "acme.example", "127.0.0.9", "--yes"}, "is no gateway of acme.example")
	i.run("gateway", "remove", "acme.example", "127.0.0.4", "--yes")
	i.replies(stranger, map[string]string{"ann@acme.example": "250"})

	// Behind a set the set says who may deliver.
	i.run("domain", "set", "acme.example", "--exchanger-set", "filtered", "--yes")
	i.says("gateway list acme.example", "filtered")
	i.refuses([]string{"gateway", "add", "acme.example", "127.0.0.5", "--yes"}, "follows the exchanger set filtered")
}

func TestS5_7OnlyTheDomainsOwnerOrTheOperatorNamesAGateway(t *testing.T) {
	t.Parallel()
	i := newOutside(t).strict()
	ann, bea := i.tenant("ann"), i.tenant("bea")
	i.run("domain", "add", "ann.example", "--account", "ann", "--proved", "--yes")
	for _, command := range []string{"gateway add ann.example 192.0.2.25 --yes", "gateway remove ann.example 192.0.2.25 --yes", "gateway list ann.example", "gateway show ann.example"} {
		if out, errs, code := bea.try(strings.Fields(command)...); code != 1 || !strings.Contains(errs, "no domain ann.example") || out != "" {
			t.Errorf("%s: exit %d: %s%s", command, code, out, errs)
		}
	}
	ann.run("gateway", "add", "ann.example", "192.0.2.25", "--yes")
	entries := ask[[]struct {
		ID             int64
		Actor, Subject string
		After          struct{ Gateways []string }
	}](i, "audit", "--limit", "1")
	if len(entries) != 1 || entries[0].Actor == "operator" || entries[0].Subject != "ann.example" || len(entries[0].After.Gateways) != 1 {
		t.Errorf("%+v", entries)
	}
}
