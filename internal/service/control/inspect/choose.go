package inspect

import (
	"context"
	"net"
	"strconv"
	"time"

	"postroad/internal/core/advise"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/settings"
)

// Advice is a mode that is proposed for a domain.
type Advice struct {
	Domain   string   `json:"domain"`
	Mode     string   `json:"mode" enum:"local,split,backup,relay,remote"`
	NextHops []string `json:"next_hops,omitempty"`
	Reasons  []string `json:"reasons" doc:"Sentences"`
	Command  string   `json:"command" doc:"What to type to choose it"`
	Support  *Support `json:"support,omitempty"`
}

// Support is where to ask about a domain, and what to say there.
type Support struct {
	Link string `json:"link,omitempty" doc:"Where to ask; the facts are in it as far as there is room"`
	Text string `json:"text" doc:"The facts, to be pasted into a message"`
}

// Dial tries whether a host takes connections; nil: nobody tries.
type Dial func(ctx context.Context, address string) error

// dialTime is how long an exchanger may take to answer when a mode is proposed.
const dialTime = 5 * time.Second

// Choose proposes a mode for a domain from what can be observed now. For customers nothing but public addresses is tried.
func (e *Explainer) Choose(ctx context.Context, actor rights.Actor, snap *directory.Snapshot, d *directory.Domain, hops []string) Advice {
	reach := e.Reach(ctx, snap, d)
	o := advise.Observed{Name: d.Name, NextHops: hops}
	switch mx := reach.Answer.MX; {
	case !reach.Asked || mx.Status == facts.Temporary || mx.Status == 0:
		o.DNS = advise.Silent
	case mx.Null:
		o.DNS = advise.Null
	case mx.Status == facts.NXDomain || len(reach.Servers) == 0:
		o.DNS = advise.None
	case mx.Status == facts.NoData && len(reach.Servers[0].Addrs) == 0:
		o.DNS = advise.None
	default:
		o.DNS = advise.Names
	}
	tried := false
	for _, s := range reach.Servers {
		if o.DNS != advise.Names {
			break
		}
		server := advise.Server{Host: s.Host, Preference: s.Preference, Ours: s.Ours}
		if !s.Ours && !tried && len(s.Addrs) > 0 && e.Dial != nil && (actor.Operator || settings.Public(s.Addrs[0])) {
			tried, server.Asked = true, true
			try, cancel := context.WithTimeout(ctx, dialTime)
			server.Answers = e.Dial(try, net.JoinHostPort(s.Addrs[0].String(), strconv.Itoa(int(e.DeliverPort)))) == nil
			cancel()
		}
		o.Servers = append(o.Servers, server)
	}
	for range snap.Mailboxes(d.Name) {
		o.Mailboxes++
	}
	for range snap.Rules(d.Name) {
		o.Mailboxes++
	}
	p := advise.Choose(o)
	return Advice{Domain: d.Name, Mode: string(p.Mode), NextHops: p.NextHops, Reasons: p.Reasons, Command: p.Command}
}
