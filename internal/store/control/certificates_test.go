package control_test

import (
	"errors"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/cert"
	"postroad/internal/core/directory"
	"postroad/internal/service/certs"
	"postroad/internal/service/control"
)

func TestAdviceIsOfOneCertificate(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann := w.add(t, "ann")
		name := ann.Certificate.Name.Name
		advice := cert.Advice{From: created.Add(time.Hour), Until: created.Add(2 * time.Hour), Page: "https://ca.example/why", Again: created.Add(time.Minute)}
		of := func() cert.Certificate {
			list, err := w.Certificates(t.Context(), account.Of(ann.Account.ID))
			must(t, err)
			return list[0]
		}
		before := of()
		must(t, w.AdviseCertificate(t.Context(), system, name, before.NotAfter.Add(time.Second), advice))
		same(t, "advice for another certificate", before, of())
		must(t, w.AdviseCertificate(t.Context(), system, name, before.NotAfter, advice))
		after := before
		after.Advice = advice
		same(t, "advice", after, of())
		must(t, w.NoteCertificate(t.Context(), system, name, before.Status))
		same(t, "what came of an attempt", before, of())
	})
}

func TestAssetsAreKeptByTheirKeysAndDroppedWithWhatIsBelow(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		put := func(list ...certs.Asset) { t.Helper(); must(t, w.ChangeAssets(t.Context(), system, list, nil)) }
		put(certs.Asset{Key: "c/mail.a/k", Value: []byte{0, 1}, Modified: created}, certs.Asset{Key: "c/mail.a/c", Value: []byte{2}, Modified: created},
			certs.Asset{Key: "c/mail.ab/k", Value: []byte{3}, Modified: created}, certs.Asset{Key: "c/mail", Value: []byte{4}, Modified: created})
		keys := func(prefix string) (out string) {
			list, err := w.Assets(t.Context(), system, prefix)
			must(t, err)
			for _, a := range list {
				out += a.Key + " "
			}
			return out
		}
		same(t, "all", "c/mail c/mail.a/c c/mail.a/k c/mail.ab/k ", keys(""))
		same(t, "below a name", "c/mail.a/c c/mail.a/k ", keys("c/mail.a/"))
		put(certs.Asset{Key: "c/mail.a/k", Value: []byte{9}, Modified: created.Add(time.Hour)})
		got, err := w.Asset(t.Context(), system, "c/mail.a/k")
		must(t, err)
		same(t, "another value", certs.Asset{Key: "c/mail.a/k", Value: []byte{9}, Modified: created.Add(time.Hour)}, got)
		must(t, w.ChangeAssets(t.Context(), system, []certs.Asset{{Key: "c/mail.a/new", Value: []byte{5}, Modified: created}}, []string{"c/mail.a", "c/none"}))
		same(t, "after dropping a name", "c/mail c/mail.a/new c/mail.ab/k ", keys(""))
		if _, err := w.Asset(t.Context(), system, "c/mail.a/k"); !errors.Is(err, certs.ErrMissing) {
			t.Errorf("what was dropped: %v", err)
		}
	})
}

func TestCertificatesFollowTheirDomain(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		ann, bob := w.add(t, "ann"), w.add(t, "bob")
		moved := ann.Domain
		moved.Account, moved.ExchangerSet, moved.NameServerSet = bob.Account.ID, "", ""
		w.apply(t, control.Tx{PutDomains: []directory.Domain{moved}})
		of := func(scope account.Scope) (out []string) {
			list, err := w.Certificates(t.Context(), scope)
			must(t, err)
			for _, c := range list {
				out = append(out, c.Name.Name)
			}
			return out
		}
		same(t, "what ann has", []string(nil), of(account.Of(ann.Account.ID)))
		same(t, "what bob has", []string{"mail.ann.example", "mail.bob.example"}, of(account.Of(bob.Account.ID)))
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindDomain, moved.ID)}})
		same(t, "after its domain is gone", []string{"mail.bob.example"}, of(system))
		w.apply(t, control.Tx{PutCertificates: []cert.Name{{Name: "mx.example", Account: account.Operator, Source: cert.Server}}})
		w.apply(t, control.Tx{Remove: []control.Removal{gone(control.KindCertificate, "mail.bob.example")}})
		same(t, "after its removal", []string{"mx.example"}, of(system))
	})
}
