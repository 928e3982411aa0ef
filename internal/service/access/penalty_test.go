package access_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/proto/sasl"
	"postroad/internal/service/access"
)

const (
	annIn   = ann + " of acme"
	refused = "454 4.7.0 too many failed logins"
)

// timed is a login by PLAIN with the time that its answer took.
func (o *office) timed(t *testing.T, from netip.Addr, user, password string) (string, time.Duration) {
	t.Helper()
	begun := time.Now()
	return o.login(t, from, sasl.Plain, user, password), time.Since(begun)
}

func TestFailuresAreAnsweredMoreAndMoreSlowly(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{sasl.Plain, sasl.ScramSHA256} {
		for _, user := range []string{ann, "nobody@local.example"} {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, access.LoginConfig{})
				for i, seconds := range []int{0, 0, 1, 2, 4, 8, 16, 30, 30, 30} {
					want := time.Duration(seconds) * time.Second
					begun := time.Now()
					var got string
					if mechanism == sasl.ScramSHA256 {
						got = o.guessProof(t, user)
					} else {
						got = o.login(t, evil, mechanism, user, fmt.Sprint("guess ", i))
					}
					took := time.Since(begun)
					if got != failed || took != want {
						t.Errorf("%s %s, failure %d: %q after %v, want %v", mechanism, user, i, got, took, want)
					}
				}
				// The right password is answered as late as a wrong one would be.
				if got, took := o.timed(t, evil, ann, secret); user == ann && (got != annIn || took != 30*time.Second) {
					t.Errorf("%s: %q after %v", mechanism, got, took)
				}
			})
		}
	}
}

func TestAHundredBadLogins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		if got := o.login(t, home, sasl.Plain, ann, secret); got != annIn {
			t.Fatal(got)
		}
		begun, looked := time.Now(), len(o.checks)
		answers := map[string]int{}
		for i := range 100 {
			answers[o.login(t, evil, sasl.Plain, ann, fmt.Sprint("guess ", i))]++
		}
		if took := time.Since(begun); took < 30*time.Minute || answers[failed] < 50 || answers[failed] > 95 || answers[failed] != len(o.checks)-looked {
			t.Errorf("%v in %v, %d checks", answers, took, len(o.checks))
		}
		// The address is not listened to for other logins either.
		if got, took := o.timed(t, evil, "bob@local.example", secret); !strings.HasPrefix(got, refused) || took != 0 {
			t.Errorf("another login: %q after %v", got, took)
		}
		// Where the login has succeeded before, nothing is felt of it.
		if got, took := o.timed(t, home, ann, secret); got != annIn || took != 0 {
			t.Errorf("at home: %q after %v", got, took)
		}
		// A new place of the same user waits, and gets in.
		if got, took := o.timed(t, netip.MustParseAddr("198.51.100.7"), ann, secret); got != annIn || took == 0 || took > 30*time.Second {
			t.Errorf("from a new place: %q after %v", got, took)
		}
		// In time the address is listened to again.
		time.Sleep(time.Hour)
		if got, took := o.timed(t, evil, ann, secret); got != annIn || took != 0 {
			t.Errorf("after an hour: %q after %v", got, took)
		}
	})
}

// TestGuessingManyLogins tries one password on many logins from one address, as stolen lists are tried.
func TestGuessingManyLogins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		begun := time.Now()
		for i := range 10 {
			if got := o.login(t, evil, sasl.Plain, fmt.Sprintf("user%d@local.example", i), secret); got != failed {
				t.Fatal(got)
			}
		}
		if took := time.Since(begun); took != (1+2+4+8+16+30+30+30)*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestGuessingFromManyAddresses tries one login from addresses that have not failed before.
func TestGuessingFromManyAddresses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		begun := time.Now()
		for i := range 200 {
			if got := o.login(t, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), sasl.Plain, ann, fmt.Sprint(i)); got != failed {
				t.Fatal(got)
			}
		}
		if took := time.Since(begun); took < 90*time.Minute {
			t.Errorf("took %v", took)
		}
		if got, took := o.timed(t, home, ann, secret); got != annIn || took > 30*time.Second {
			t.Errorf("its owner: %q after %v", got, took)
		}
	})
}

func TestOneIPv6CustomerIsOneClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		addr := evilSix
		for i := range 7 {
			o.login(t, addr, sasl.Plain, fmt.Sprintf("user%d@local.example", i), "x")
			addr = addr.Next()
		}
		if _, took := o.timed(t, addr, "other@local.example", "x"); took != 30*time.Second {
			t.Errorf("the same /64: %v", took)
		}
		if _, took := o.timed(t, netip.MustParseAddr("2001:db8:6:7::1"), "other2@local.example", "x"); took != 0 {
			t.Errorf("another /64: %v", took)
		}
	})
}

// TestADeviceWithAnOldPassword says the same wrong password every ten seconds for a day, beside a device that knows
// the new one.
func TestADeviceWithAnOldPassword(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		if got := o.login(t, home, sasl.Plain, ann, secret); got != annIn {
			t.Fatal(got)
		}
		for range 1000 {
			if got, took := o.timed(t, home, ann, "old"); got != failed || took > 4*time.Second {
				t.Fatalf("%q after %v", got, took)
			}
			time.Sleep(10 * time.Second)
		}
		if got, took := o.timed(t, home, ann, secret); got != annIn || took > 4*time.Second {
			t.Errorf("the new password: %q after %v", got, took)
		}
		if got, took := o.timed(t, home, "bob@local.example", secret); got != "bob@local.example of acme" || took != 0 {
			t.Errorf("a colleague at the same address: %q after %v", got, took)
		}
	})
}

// TestGuessesAtTheSameTime starts 500 guesses at once: they are no cheaper than one after the other.
func TestGuessesAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() { o.login(t, evil, sasl.Plain, ann, fmt.Sprint("guess ", i)) })
		}
		wg.Wait()
		if len(o.checks) > 65 {
			t.Errorf("%d guesses were looked at", len(o.checks))
		}
		if got := o.login(t, evil, sasl.Plain, ann, secret); !strings.HasPrefix(got, refused) {
			t.Errorf("%q", got)
		}
	})
}

func TestManyConnectionsOfAClientAreNoGuesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		var wg sync.WaitGroup
		begun := time.Now()
		for range 10 {
			wg.Go(func() {
				if got := o.login(t, home, sasl.Plain, ann, secret); got != annIn {
					t.Error(got)
				}
			})
		}
		wg.Wait()
		if took := time.Since(begun); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

func TestWaitingHoldsNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{Checks: 1})
		for i := range 7 {
			o.login(t, evil, sasl.Plain, ann, fmt.Sprint(i))
		}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { o.login(t, evil, sasl.Plain, ann, fmt.Sprint("late ", i)) })
		}
		synctest.Wait()
		if got, took := o.timed(t, home, "bob@local.example", secret); got != "bob@local.example of acme" || took != 0 {
			t.Errorf("%q after %v", got, took)
		}
		wg.Wait()
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		o.SetCheck(func(sasl.Verifier, string) bool { return false })
		var addr [16]byte
		copy(addr[:], []byte{0x20, 0x01, 0x0d, 0xb8})
		for i := range 17_000 {
			addr[5], addr[6], addr[7] = byte(i>>16), byte(i>>8), byte(i)
			o.login(t, netip.AddrFrom16(addr), sasl.Plain, fmt.Sprintf("user%d@local.example", i), "x")
		}
		if a, l, p, v := o.Tallies(); a != 16_384 || l != 16_384 || p != 16_384 || v != 0 {
			t.Errorf("%d addresses, %d logins, %d pairs, %d verified", a, l, p, v)
		}
	})
}
