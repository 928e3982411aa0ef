package inspect

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/service/control/plan"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// ChangedExplanation is what a proposed change does to one address, and to all others.
type ChangedExplanation struct {
	Sentences     []string           `json:"sentences" nullable:"false" doc:"What the change is, in plain words"`
	Warnings      []string           `json:"warnings,omitempty" doc:"What could stop mail or lose something"`
	Before        Explanation        `json:"before"`
	After         Explanation        `json:"after"`
	AlteredRoutes plan.AlteredRoutes `json:"altered_routes" doc:"Every address whose route is altered, as far as the caller may know"`
}

// ExplainChange explains an address in the states before and after a change, and finds all routes that it alters.
func (e *Explainer) ExplainChange(ctx context.Context, actor rights.Actor, before, after *rights.State, change directory.Delta, q ExplainRequest) (ChangedExplanation, error) {
	var out ChangedExplanation
	var err error
	if out.Before, err = e.Explain(ctx, actor, before, q); err != nil {
		return out, err
	}
	if out.After, err = e.Explain(ctx, actor, after, q); err != nil {
		return out, err
	}
	out.AlteredRoutes = e.Altered(actor, before, change, 0)
	return out, nil
}

// Altered finds the routes that a change alters, as far as the actor may know; limit bounds how many are listed (0:
// all are).
func (e *Explainer) Altered(actor rights.Actor, st *rights.State, change directory.Delta, limit int) plan.AlteredRoutes {
	found := routing.WhatIf(e.World(st.Directory), change, actor.Scope, limit)
	out := plan.AlteredRoutes{Count: found.Count, Stops: found.Stops, Ours: found.Ours, Routes: make([]plan.AlteredRoute, 0, len(found.List))}
	for i := range found.List {
		a := &found.List[i]
		r := plan.AlteredRoute{Address: a.Local + "@" + a.Domain, From: fromWhom(a.Senders, a.Client), Harm: a.Harm.String(), Before: effect(actor, &a.Before), After: effect(actor, &a.After)}
		switch a.Whose {
		case routing.WhoseAddress:
		case routing.WhoseOthers:
			r.Address = "*@" + a.Domain
		case routing.WhoseForeign:
			r.Address = "*"
			if r.From = "our own users at " + a.Domain; a.Domain == "" {
				r.From = "our own users"
			}
		}
		switch a.Presence {
		case facts.Present:
			r.Condition = "if the domain's real server knows it"
		case facts.Absent:
			r.Condition = "if the domain's real server does not know it"
		case facts.Unreachable, facts.Outdated:
			r.Condition = "while the domain's real server cannot be asked"
		}
		out.Routes = append(out.Routes, r)
	}
	return out
}

func fromWhom(s routing.Senders, client netip.Addr) string {
	if s == routing.FromStrangers|routing.FromOwn || s == routing.FromStrangers|routing.FromOwn|routing.FromGateways {
		return "anybody"
	}
	var out []string
	if s&routing.FromStrangers != 0 {
		out = append(out, "strangers")
	}
	if s&routing.FromGateways != 0 {
		out = append(out, "the gateway "+client.String())
	}
	if s&routing.FromOwn != 0 {
		out = append(out, "our own users")
	}
	return strings.Join(out, " and ")
}

// maxPlaces bounds the destinations that are told of one decision.
const maxPlaces = 5

// effect tells what becomes of mail, of others' addresses nothing.
func effect(actor rights.Actor, d *routing.Decision) string {
	if !d.Accepted() {
		return "refused: " + d.Reply.String()
	}
	var places []string
	for i := range d.Destinations {
		if i == maxPlaces {
			places = append(places, strconv.Itoa(len(d.Destinations)-i)+" more")
			break
		}
		places = append(places, place(actor, &d.Destinations[i]))
	}
	return strings.Join(places, ", ")
}

func place(actor rights.Actor, to *routing.Destination) string {
	if to.Account != "" && !actor.Scope.Has(to.Account) {
		return "an address of somebody else's"
	}
	copied := ""
	if to.Copy {
		copied = "a copy "
	}
	switch to.Transport {
	case mail.TransportLocal:
		return copied + "into the mailbox " + to.Address
	case mail.TransportRemote:
		domain, _ := routing.ParseRemote(to.Lane.Key())
		return copied + "to " + to.Address + " by the MX records of " + words.Show(domain)
	case mail.TransportRelay, mail.TransportLMTP:
		hops := make([]string, len(to.Hops))
		for i, h := range to.Hops {
			hops[i] = h.Host
			if !h.Socket() {
				hops[i] += ":" + strconv.Itoa(int(h.Port))
			}
		}
		return copied + "to " + to.Address + " through " + strings.Join(hops, ", then ")
	}
	return to.Address
}
