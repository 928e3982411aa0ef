package judge

import (
	"net/netip"
	"slices"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/policy"
	"postroad/internal/proto/message"
)

// maxHops is how many Received fields are looked at, from the top, for where a trusted server had a message from: it may
// have passed it on inside itself a few times.
const maxHops = 6

// shared is the address space of carriers (RFC 6598), which no sender has.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// inside reports whether an address is of the customer's own network: what came from there has not come in yet.
func inside(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || shared.Contains(a)
}

// hop finds where a domain's trusted server had a message from, by the fields that it added itself: those above the first
// one that names somebody outside. Below it nothing is believed.
func hop(header []byte, d *directory.Domain) (h message.Hop, problem string) {
	n := 0
	for f := range message.Fields(header) {
		if !f.Is("Received") {
			continue
		}
		if n++; n > maxHops {
			return h, "none of its first " + digits(maxHops) + " Received fields names anybody outside"
		}
		h, ok := message.ReadHop(string(f.Body()))
		switch {
		case !ok:
			return message.Hop{}, "its Received field does not say in one way where it had the message from"
		case !h.From || inside(h.Addr) || d.Filters(h.Addr):
			continue
		}
		if _, trusted := d.Trusts(h.Addr, nil); trusted {
			continue
		}
		return h, ""
	}
	return message.Hop{}, "no Received field names anybody outside"
}

func digits(n int) string { return string(rune('0' + n)) }

// original gives the reverse-path that a forwarder has rewritten by SRS, which it says in the address itself; any other as
// it is.
func original(sender string) string {
	at := strings.LastIndexByte(sender, '@')
	if at < 5 {
		return sender
	}
	local := sender[:at]
	tag := strings.ToUpper(local[:4])
	sep := local[4]
	if sep != '=' && sep != '+' && sep != '-' {
		return sender
	}
	switch tag {
	case "SRS0": // hash=timestamp=domain=local
		parts := strings.SplitN(local[5:], "=", 4)
		if len(parts) == 4 && parts[2] != "" && parts[3] != "" {
			return parts[3] + "@" + parts[2]
		}
	case "SRS1": // hash=host==hash=timestamp=domain=local
		_, rest, ok := strings.Cut(local[5:], "==")
		parts := strings.SplitN(rest, "=", 4)
		if ok && len(parts) == 4 && parts[2] != "" && parts[3] != "" {
			return parts[3] + "@" + parts[2]
		}
	}
	return sender
}

// relation is what a client is to a domain, without the hop.
func relation(d *directory.Domain, client netip.Addr, ask func() naming) policy.Trust {
	var names naming
	if slices.ContainsFunc(d.Forwarders, func(f directory.Forwarder) bool { return f.Name != "" }) {
		names = ask()
	}
	if f, ok := d.Trusts(client, names.confirmed); ok {
		return policy.Trust{Relation: policy.Forwarder, Name: f.String()}
	}
	if d.Filters(client) {
		return policy.Trust{Relation: policy.Gateway, Name: client.String()}
	}
	return policy.Trust{Unsure: names.unsure}
}
