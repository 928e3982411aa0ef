package dnssec

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"postroad/internal/proto/dns"
)

// judge has ldns-verify-zone and dnssec-verify read a signed zone.
func judge(t *testing.T, c *Content, scheme Scheme) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(text(c)), 0o600); err != nil {
		t.Fatal(err)
	}
	flag := "-z" // one key for everything
	if scheme == TwoKeys {
		flag = "-x" // the keys are signed by key signing keys only
	}
	for _, args := range [][]string{{"ldns-verify-zone", "-V", "1", file}, {"dnssec-verify", flag, "-o", apex, file}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s%s", args, err, out, text(c))
		}
	}
}

func TestJudgesBelieveAnyZone(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // zones by chance
	at := time.Now().Truncate(time.Second)
	for range 25 {
		for _, denial := range []Denial{NSEC, NSEC3} {
			s := &Signing{Denial: denial, Scheme: Scheme(random.IntN(2)), Algorithm: []dns.Algorithm{dns.ECDSAP256SHA256, dns.Ed25519}[random.IntN(2)]} //nolint:gosec // 0 or 1
			keys := ring{}
			// Signed, changed in parts after DS records are due, and once more in the middle of a roll-over.
			c, _ := keys.publish(t, s, nil, anyZone(t, random), at.Add(-3*24*time.Hour))
			c, _ = keys.publish(t, s, c, anyZone(t, random), at.Add(-2*24*time.Hour))
			if random.IntN(2) == 0 {
				if err := s.Begin(s.roles()[0]); err != nil {
					t.Fatal(err)
				}
			}
			c, _ = keys.publish(t, s, c, anyZone(t, random), at.Add(-24*time.Hour))
			c, _ = keys.publish(t, s, c, anyZone(t, random), at)
			judge(t, c, s.Scheme)
			if t.Failed() {
				return
			}
		}
	}
}
