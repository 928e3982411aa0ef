package judge

import (
	"context"
	"net/netip"

	"postroad/internal/core/directory"
	"postroad/internal/core/policy"
)

// Foresee tells in sentences what would be found out about a stranger's message for a domain before its header is there:
// what its client is to the domain, and what SPF says of its sender. It waits for DNS, within the budget of a message.
func (s *Service) Foresee(ctx context.Context, d *directory.Domain, client netip.Addr, sender string) []string {
	if d.Judging.Mode == directory.JudgeOff {
		return []string{"Strangers' mail for " + d.Name + " is not judged."}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Budget)
	defer cancel()
	trust := relation(d, client, func() naming { return named(ctx, s.resolver, client) })
	what := ""
	switch trust.Relation {
	case policy.Stranger:
		e := &policy.Evidence{Client: client, Sender: sender, SPF: s.spf(ctx, s.resolver, client, "", sender)}
		out := []string{policy.Checks(e, trust)[0].Sentence}
		if trust.Unsure {
			out = append(out, "Whether "+client.String()+" is a trusted forwarder of "+d.Name+" cannot be told now: DNS does not say what its name is.")
		}
		return append(out, "DKIM and DMARC are judged by the message itself.")
	case policy.Forwarder:
		what = "the trusted forwarder " + trust.Name
	case policy.Gateway:
		what = "the gateway " + trust.Name
	}
	return []string{client.String() + " is " + what + " of " + d.Name + ": SPF and DMARC are judged at where it had the message from, by its Received fields."}
}
