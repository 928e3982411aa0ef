package access_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/proto/sasl"
	"postroad/internal/proto/smtp"
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

// TestGuessesAtTheSameTime starts 500 guesses at once: they are no cheaper than one after the other, whether they are about
// one login or about many.
func TestGuessesAtTheSameTime(t *testing.T) {
	t.Parallel()
	for name, login := range map[string]func(i int) string{
		"one login":   func(int) string { return ann },
		"many logins": func(i int) string { return fmt.Sprintf("user%d@local.example", i) },
	} {
		for _, mechanism := range []string{sasl.Plain, sasl.ScramSHA256} {
			t.Run(name+" "+mechanism, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					o := newOffice(t, access.LoginConfig{Checks: 64})
					o.cost = 100 * time.Millisecond
					begun, answers := time.Now(), make(chan string, 500)
					var wg sync.WaitGroup
					for i := range 500 {
						wg.Go(func() {
							if mechanism == sasl.ScramSHA256 {
								answers <- o.guessProof(t, login(i))
							} else {
								answers <- o.login(t, evil, mechanism, login(i), fmt.Sprint("guess ", i))
							}
						})
					}
					<-time.After(29 * time.Second)
					if n := len(answers); n > 16 {
						t.Errorf("%d answers before half a minute", n)
					}
					wg.Wait()
					close(answers)
					looked := 0
					for answer := range answers {
						if answer == failed {
							looked++
						}
					}
					if looked > 65 || looked < 50 || mechanism == sasl.Plain && looked != len(o.checks) {
						t.Errorf("%d guesses were looked at, with %d checks", looked, len(o.checks))
					}
					if got := o.login(t, evil, sasl.Plain, ann, secret); !strings.HasPrefix(got, refused) {
						t.Errorf("after %v: %q", time.Since(begun), got)
					}
				})
			})
		}
	}
}

// TestAnOfficeLogsInAtOnce has 300 phones behind one address log in after a restart, on a machine that looks at two
// passwords at a time.
func TestAnOfficeLogsInAtOnce(t *testing.T) {
	t.Parallel()
	const cost = 100 * time.Millisecond
	for _, mechanism := range mechanisms {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, access.LoginConfig{Checks: 2})
				o.cost = cost
				begun := time.Now()
				var wg sync.WaitGroup
				for _, login := range o.hire(t, 300) {
					wg.Go(func() {
						if got := o.login(t, home, mechanism, login, secret); got != login+" of acme" {
							t.Errorf("%s: %q", login, got)
						}
					})
				}
				synctest.Wait()
				// Who comes from elsewhere meanwhile waits for the turn of nobody else.
				if got, took := o.timed(t, netip.MustParseAddr("198.51.100.7"), ann, secret); got != annIn || took > 2*cost {
					t.Errorf("from elsewhere: %q after %v", got, took)
				}
				wg.Wait()
				if took := time.Since(begun); took > 151*cost {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestAnOfficeWithOldPasswords has one phone in thirty say an old password: that delays nobody else.
func TestAnOfficeWithOldPasswords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{Checks: 2})
		begun := time.Now()
		for i, login := range o.hire(t, 300) {
			if i%30 == 29 {
				if got := o.login(t, home, sasl.Plain, login, "old"); got != failed {
					t.Fatalf("%s: %q", login, got)
				}
				continue
			}
			if got := o.login(t, home, sasl.Plain, login, secret); got != login+" of acme" {
				t.Fatalf("%s: %q", login, got)
			}
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("took %v", took)
		}
		// Where so many succeed, guessing is slowed all the same.
		for i := range 60 {
			o.login(t, home, sasl.Plain, fmt.Sprintf("user%d@local.example", i), "x")
		}
		if took := time.Since(begun); took < 10*time.Minute {
			t.Errorf("60 guesses took %v", took)
		}
	})
}

// TestWhoIsKnownIsNotKeptWaitingByStrangers fills the queue from many addresses.
func TestWhoIsKnownIsNotKeptWaitingByStrangers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{Checks: 1})
		if got := o.login(t, home, sasl.Plain, ann, secret); got != annIn {
			t.Fatal(got)
		}
		time.Sleep(6 * time.Minute) // the password is looked at again
		o.cost = 100 * time.Millisecond
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				o.login(t, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), sasl.Plain, fmt.Sprintf("user%d@local.example", i), "x")
			})
		}
		synctest.Wait()
		if got, took := o.timed(t, home, ann, secret); got != annIn || took > 2*o.cost {
			t.Errorf("%q after %v", got, took)
		}
		wg.Wait()
	})
}

// TestTurnsAreGivenBack has clients go away while they wait.
func TestTurnsAreGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{Checks: 1})
		o.cost = time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { o.login(t, home, sasl.Plain, ann, secret) })
		synctest.Wait()
		for i := range 20 {
			wg.Go(func() {
				x, _ := o.Begin(ctx, netip.AddrFrom4([4]byte{203, 0, 113, byte(i / 2)}), sasl.Plain)
				_, _, err := x.Next([]byte("\x00bob@local.example\x00" + secret))
				if r, ok := smtp.ReplyOf(err); !ok || r.Code != 454 {
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		if o.Waiting() != 0 {
			t.Errorf("%d wait", o.Waiting())
		}
		o.cost = 0
		if got, took := o.timed(t, evil, "bob@local.example", secret); got != "bob@local.example of acme" || took > 0 {
			t.Errorf("%q after %v", got, took)
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
