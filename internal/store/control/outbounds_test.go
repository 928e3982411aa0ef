package control_test

import (
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/service/control"
)

// Two accounts have routes for the same addresses elsewhere, and neither has anything of the other's.
func TestRoutesOfIdentities(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		route := func(id string, owner account.ID, identity string) directory.Outbound {
			return directory.Outbound{
				ID: id, Account: owner, Identity: identity, Hop: directory.HostPort{Host: "mail.primary.example", Port: 465},
				TLS: directory.TLSVerified, User: "u", Password: "never written", Sealed: "\x01\x00 " + id,
			}
		}
		put := func(list ...directory.Outbound) control.Tx { return control.Tx{PutOutbounds: list} }
		w.apply(t, put(
			route("a1", ann.Account.ID, "primary.example"), route("a2", ann.Account.ID, "ann@primary.example"), route("b1", bob.Account.ID, "primary.example"),
		))
		w.refused(t, control.ErrExists, put(route("a3", ann.Account.ID, "primary.example")))
		changed := route("a1", ann.Account.ID, "primary.example")
		changed.Hop.Port, changed.User, changed.Sealed = 587, "", ""
		w.apply(t, put(changed))
		routes := func(scope account.Scope) map[string]directory.Outbound {
			out := map[string]directory.Outbound{}
			for _, o := range w.load(t, scope).Outbounds {
				if o.Identity != "" {
					out[o.ID] = o
				}
			}
			return out
		}
		kept := func(o directory.Outbound) directory.Outbound { o.Password = ""; return o }
		a1, a2, b1 := kept(changed), kept(route("a2", ann.Account.ID, "ann@primary.example")), kept(route("b1", bob.Account.ID, "primary.example"))
		same(t, "all", map[string]directory.Outbound{"a1": a1, "a2": a2, "b1": b1}, routes(system))
		same(t, "what the other account sees", map[string]directory.Outbound{"b1": b1}, routes(account.Of(bob.Account.ID)))
		// They are the account's, not its domains'.
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindDomain, ann.Domain.ID), gone(control.KindOutbound, "a2")}})
		same(t, "without the domain", map[string]directory.Outbound{"a1": a1, "b1": b1}, routes(system))
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindAccount, string(ann.Account.ID))}})
		same(t, "without the account", map[string]directory.Outbound{"b1": b1}, routes(system))
	})
}
