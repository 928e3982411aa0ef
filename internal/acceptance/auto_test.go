package acceptance

import (
	"slices"
	"strings"
	"testing"

	"postroad/internal/sim"
)

type shownDomain struct {
	EffectiveMode string `json:"effective_mode"`
	Findings      []struct {
		Name, Evidence string
	} `json:"findings"`
}

func TestS5_4AutoIsWhatPublicDNSSays(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	us := "us A 127.0.0.42\nreal A 127.0.0.41\n"
	o.zone("first.example", "@ MX 10 us\n@ MX 20 real\n"+us)
	o.zone("second.example", "@ MX 10 real\n@ MX 20 us\n"+us)
	o.zone("none.example", "@ MX 10 real\n"+us)
	o.zone("implicit.example", "@ A 127.0.0.42\n")
	i := o.instance("", `addresses = ["127.0.0.42"]`)
	for domain, mode := range map[string]string{"first.example": "local", "second.example": "backup", "none.example": "remote", "implicit.example": "local"} {
		i.run("domain", "add", domain, "--mode", "auto", "--proved")
		eventually(t, domain+" to be observed", func() bool {
			return slices.ContainsFunc(ask[[]struct{ Actor string }](i, "audit", "--domain", domain), func(e struct{ Actor string }) bool { return e.Actor == "auto" })
		})
		if got := ask[shownDomain](i, "domain", "show", domain); got.EffectiveMode != mode || len(got.Findings) != 0 {
			t.Errorf("%s: %+v, want %s", domain, got, mode)
		}
	}
}

func TestS5_5AutoKeepsItsModeWhileDNSSaysNothing(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 real\nreal A 127.0.0.43\n")
	o.dns.Script("acme.example", "MX", sim.DNSServFail)
	i := o.instance("")
	i.run("domain", "add", "acme.example", "--mode", "auto", "--proved")
	var got shownDomain
	eventually(t, "the finding", func() bool {
		got = ask[shownDomain](i, "domain", "show", "acme.example")
		return len(got.Findings) > 0
	})
	if f := got.Findings[0]; got.EffectiveMode != "local" || f.Name != "AUTO_UNRESOLVED" || !strings.Contains(f.Evidence, "acme.example") {
		t.Errorf("%+v", got)
	}
}
