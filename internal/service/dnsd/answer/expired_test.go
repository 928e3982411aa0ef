package answer

import (
	"testing"

	codec "github.com/miekg/dns"
)

func TestAnExpiredZoneIsAFailure(t *testing.T) {
	z, err := Expired("example.test")
	if err != nil {
		t.Fatal(err)
	}
	var set Set
	set.Put(z)
	r := NewResponder(&set, Options{})
	for _, name := range []string{"example.test.", "www.example.test."} {
		if a := ask(t, r, name, "A", asking{}); a.Rcode != codec.RcodeServerFailure || a.Authoritative || len(a.Answer)+len(a.Ns) > 0 {
			t.Errorf("%s: %v", name, a)
		}
	}
	if a := ask(t, r, "other.test.", "A", asking{}); a.Rcode != codec.RcodeRefused {
		t.Errorf("another zone: %v", a)
	}
}
