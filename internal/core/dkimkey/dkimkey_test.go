package dkimkey_test

import (
	"strings"
	"testing"
	"time"

	"postroad/internal/core/dkimkey"
)

func TestSelectorsAreNamedByTheDateAndTakenOnce(t *testing.T) {
	t.Parallel()
	d := dkimkey.Domain{Name: "acme.example"}
	now := time.Date(2026, 11, 28, 23, 59, 0, 0, time.UTC)
	var got []string
	for _, a := range []dkimkey.Algorithm{dkimkey.RSA, dkimkey.Ed25519, dkimkey.RSA, dkimkey.RSA} {
		s := d.Selector(a, now)
		got = append(got, s)
		d.Keys = append(d.Keys, dkimkey.Key{Selector: s})
	}
	if text := strings.Join(got, " "); text != "pr20261128r pr20261128e pr20261128r2 pr20261128r3" {
		t.Error(text)
	}
}

func TestListsOfAlgorithms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"rsa": 1, "ED25519": 1, "ed25519, rsa": 2, "": 0, "rsa,rsa": 0, "dsa": 0, "rsa,": 0} {
		list, ok := dkimkey.ParseAlgorithms(text)
		if ok != (want > 0) || len(list) != want || want == 2 && list[0] != dkimkey.RSA {
			t.Errorf("%q: %v %v", text, list, ok)
		}
	}
}

// A key's life has one way only, whatever time does.
func TestAdvanceGoesOneWay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	d := dkimkey.Domain{Name: "acme.example", Algorithms: []dkimkey.Algorithm{dkimkey.RSA}, Keys: []dkimkey.Key{
		{Selector: "a", Algorithm: dkimkey.RSA, State: dkimkey.Published, Made: now},
	}}
	step := func(after time.Duration, want string) {
		t.Helper()
		said := d.Advance(now.Add(after), time.Hour)
		var got []string
		for _, k := range d.Keys {
			got = append(got, k.Selector+" "+string(k.State))
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("after %v: %s, want %s; said %v", after, text, want, said)
		}
	}
	step(24*time.Hour, "a published") // not seen
	d.Keys[0].Seen = now
	d.Off = true
	step(time.Minute, "a published")
	d.Off = false
	step(time.Minute, "a active")
	d.Keys = append(d.Keys, dkimkey.Key{Selector: "b", Algorithm: dkimkey.RSA, State: dkimkey.Published, Made: now.Add(time.Hour), Seen: now.Add(time.Hour)})
	step(-time.Hour, "a active, b published") // the clock goes back
	step(2*time.Hour, "a retired, b active")
	step(2*time.Hour, "a retired, b active")
	step(3*time.Hour, "b active")
	d.RetireAll(now, time.Hour)
	step(time.Minute, "b retired")
	if d.Keys[0].Sealed != nil || len(d.Signing()) != 0 {
		t.Errorf("%+v", d.Keys)
	}
}

// What people take out of use is kept for a month, and what another key has replaced is not.
func TestKeysThatAreTakenOutOfUseAreKeptForAWhile(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	d := dkimkey.Domain{Name: "acme.example", Algorithms: dkimkey.Both(), Keys: []dkimkey.Key{
		{Selector: "old", Algorithm: dkimkey.RSA, State: dkimkey.Active, Made: now, Sealed: []byte("1")},
		{Selector: "pr20261228e", Algorithm: dkimkey.Ed25519, State: dkimkey.Published, Made: now, Sealed: []byte("2")},
		{Selector: "next", Algorithm: dkimkey.RSA, State: dkimkey.Published, Made: now, Seen: now, Sealed: []byte("3")},
	}}
	d.Advance(now.Add(time.Hour), 24*time.Hour)
	if len(d.Kept) != 0 {
		t.Errorf("a key that was replaced is kept: %+v", d.Kept)
	}
	d.RetireAll(now, 24*time.Hour)
	if len(d.Kept) != 2 || len(d.Keys) != 2 || d.Keys[1].Sealed != nil {
		t.Fatalf("%+v", d)
	}
	if name := d.Selector(dkimkey.Ed25519, now.Add(30*24*time.Hour)); name != "pr20261228e2" {
		t.Errorf("a new key would be called %s", name)
	}
	if _, ok := d.Take("next", now.Add(time.Second), now); ok {
		t.Error("a key of another time is taken")
	}
	if _, ok := d.Take("next", now, now.Add(30*24*time.Hour)); ok {
		t.Error("a key is taken when its time is over")
	}
	before := d.Clone()
	if k, ok := d.Take("next", now, now.Add(29*24*time.Hour)); !ok || string(k.Sealed) != "3" || k.State != dkimkey.Active || len(d.Kept) != 1 || len(before.Kept) != 2 {
		t.Errorf("%+v, left %+v", k, d.Kept)
	}
	if d.Forget(now.Add(29*24*time.Hour)) || !d.Forget(now.Add(30*24*time.Hour)) || len(d.Kept) != 0 || len(before.Kept) != 2 {
		t.Errorf("%+v", d.Kept)
	}
}
