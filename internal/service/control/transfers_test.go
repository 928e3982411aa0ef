package control_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"postroad/internal/service/control"
)

func TestKeysAreNamedOnceAndKeptWhileInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	add := func(actor control.Actor, spec control.TSIGKeySpec) (control.Plan, error) {
		return w.Transfers().PlanKeyAdd(t.Context(), actor, spec)
	}
	p, err := add(w.ann, control.TSIGKeySpec{Name: "NS2.ann.example."})
	done := w.by(w.ann, p, err)
	if secret, err := base64.StdEncoding.DecodeString(done.Secret); err != nil || len(secret) != 32 {
		t.Errorf("secret %q", done.Secret)
	}
	for _, e := range w.m.Entries {
		if strings.Contains(e.After+e.Before, done.Secret) {
			t.Errorf("the audit log has the secret: %+v", e)
		}
	}
	for name, c := range map[string]struct {
		spec control.TSIGKeySpec
		want error
	}{
		"taken by another account": {control.TSIGKeySpec{Name: "ns2.ANN.example"}, control.ErrExists},
		"no name":                  {control.TSIGKeySpec{Name: "a b"}, control.ErrInvalid},
		"no algorithm":             {control.TSIGKeySpec{Name: "x", Algorithm: "hmac-md5"}, control.ErrInvalid},
		"a short secret":           {control.TSIGKeySpec{Name: "x", Secret: control.NewSecret("c2hvcnQ=")}, control.ErrInvalid},
		"a secret that is none":    {control.TSIGKeySpec{Name: "x", Secret: control.NewSecret("not base64")}, control.ErrInvalid},
		"for another account":      {control.TSIGKeySpec{Name: "x", Account: "ann"}, control.ErrNotFound},
	} {
		if _, err := add(w.bob, c.spec); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err = w.Transfers().PlanAllow(t.Context(), w.ann, control.TransferPeerSpec{Zone: "ann.example", Key: "ns2.ann.example"})
	w.by(w.ann, p, err)
	if _, err := w.Transfers().PlanKeyRemove(t.Context(), w.ann, "ns2.ann.example"); !errors.Is(err, control.ErrInUse) {
		t.Errorf("in use: %v", err)
	}
	if _, err := w.Transfers().PlanKeyRemove(t.Context(), w.bob, "ns2.ann.example"); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("another's: %v", err)
	}
	p, err = w.Transfers().PlanDeny(t.Context(), w.ann, control.TransferPeerSpec{Zone: "ann.example"})
	w.by(w.ann, p, err)
	p, err = w.Transfers().PlanKeyRemove(t.Context(), w.ann, "ns2.ann.example")
	w.by(w.ann, p, err)
}

func TestWhoMayBeNamedForTransfers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"ann", "bob"} {
		w.ok(w.Transfers().PlanKeyAdd(t.Context(), control.Operator(), control.TSIGKeySpec{Name: name + "-key", Account: name}))
	}
	w.ok(w.Transfers().PlanKeyAdd(t.Context(), control.Operator(), control.TSIGKeySpec{Name: "operators"}))
	allow := func(spec control.TransferPeerSpec) error {
		_, err := w.Transfers().PlanAllow(t.Context(), w.ann, spec)
		return err
	}
	notify := func(spec control.TransferPeerSpec) error {
		_, err := w.Transfers().PlanNotify(t.Context(), w.ann, spec)
		return err
	}
	second := func(spec control.SecondarySpec) error {
		_, err := w.Transfers().PlanSecondarySet(t.Context(), w.ann, spec)
		return err
	}
	catalog := func(name string) error {
		_, err := w.Transfers().PlanCatalogOn(t.Context(), w.ann, control.CatalogSpec{Name: name})
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"by key", allow(control.TransferPeerSpec{Zone: "ann.example", Key: "ann-key"}), nil},
		{"by networks", allow(control.TransferPeerSpec{Zone: "ann.example", From: []string{"192.0.2.1", "2001:db8::/32"}}), nil},
		{"nobody", allow(control.TransferPeerSpec{Zone: "ann.example"}), control.ErrInvalid},
		{"everybody", allow(control.TransferPeerSpec{Zone: "ann.example", From: []string{"0.0.0.0/0"}}), control.ErrInvalid},
		{"everybody under the key", allow(control.TransferPeerSpec{Zone: "ann.example", Key: "ann-key", From: []string{"::/0"}}), nil},
		{"no network", allow(control.TransferPeerSpec{Zone: "ann.example", From: []string{"192.0.2.0/99"}}), control.ErrInvalid},
		{"another's key", allow(control.TransferPeerSpec{Zone: "ann.example", Key: "bob-key"}), control.ErrNotFound},
		{"the operator's key", allow(control.TransferPeerSpec{Zone: "ann.example", Key: "operators"}), control.ErrNotFound},
		{"another's zone", allow(control.TransferPeerSpec{Zone: "bob.example", Key: "ann-key"}), control.ErrNotFound},
		{"to tell", notify(control.TransferPeerSpec{Zone: "ann.example", Notify: "192.5.6.30"}), nil},
		{"to tell nobody", notify(control.TransferPeerSpec{Zone: "ann.example"}), control.ErrInvalid},
		{"to tell a name", notify(control.TransferPeerSpec{Zone: "ann.example", Notify: "ns2.example:53"}), control.ErrInvalid},
		{"to tell a private address", notify(control.TransferPeerSpec{Zone: "ann.example", Notify: "10.0.0.1"}), control.ErrDenied},
		{"to tell another port", notify(control.TransferPeerSpec{Zone: "ann.example", Notify: "192.5.6.30:8080"}), control.ErrDenied},
		{"a primary", second(control.SecondarySpec{Domain: "ann.example", Primary: "[2001:500:2::c]:53", Key: "ann-key"}), nil},
		{"a primary here", second(control.SecondarySpec{Domain: "ann.example", Primary: "127.0.0.1"}), control.ErrDenied},
		{"another's domain", second(control.SecondarySpec{Domain: "bob.example", Primary: "192.5.6.30"}), control.ErrNotFound},
		{"a catalog", catalog("catalog.ann.example"), nil},
		{"a catalog that nobody asks for", catalog("ann.invalid"), nil},
		{"a catalog with a domain's name", catalog("ann.example"), control.ErrExists},
		{"a catalog below another's", catalog("x.bob.example"), control.ErrNotFound},
		{"a catalog with a name that somebody may have", catalog("bank.example"), control.ErrDenied},
	} {
		if !errors.Is(c.err, c.want) || c.want == nil && c.err != nil {
			t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
		}
	}
}

func TestAZoneHasOneHome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ok(w.Transfers().PlanSecondarySet(t.Context(), control.Operator(), control.SecondarySpec{Domain: "ann.example", Primary: "127.0.0.1:5300"}))
	if _, err := hosting(w, "ann.example", "hosted"); !errors.Is(err, control.ErrInvalid) || !strings.Contains(err.Error(), "127.0.0.1:5300") {
		t.Errorf("hosted as well: %v", err)
	}
	w.ok(hosting(w, "bob.example", "hosted"))
	if _, err := w.Transfers().PlanSecondarySet(t.Context(), control.Operator(), control.SecondarySpec{Domain: "bob.example", Primary: "127.0.0.1:5300"}); !errors.Is(err, control.ErrInvalid) {
		t.Errorf("a secondary as well: %v", err)
	}
	w.ok(w.Transfers().PlanCatalogOn(t.Context(), control.Operator(), control.CatalogSpec{Name: "all.invalid"}))
	w.ok(w.Transfers().PlanAllow(t.Context(), control.Operator(), control.TransferPeerSpec{Zone: "all.invalid", From: []string{"127.0.0.1"}}))
	w.ok(w.Transfers().PlanCatalogOff(t.Context(), control.Operator(), "all.invalid"))
	if peers, err := w.Transfers().Peers(t.Context(), control.Operator()); err != nil || len(peers) != 0 {
		t.Errorf("peers outlive their catalog: %v, %v", peers, err)
	}
	w.ok(w.Transfers().PlanSecondaryRemove(t.Context(), control.Operator(), "ann.example"))
	w.ok(hosting(w, "ann.example", "hosted"))
}
