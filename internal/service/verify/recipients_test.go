package verify_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/facts"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/obs"
	"postroad/internal/service/deliver"
	"postroad/internal/service/resolver"
	"postroad/internal/service/verify"
	"postroad/internal/sim"
)

// real is where the domain's real server is.
const real = "192.0.2.25:25"

// world is a bubble with a domain d.example, whose real server is a peer, and the service that asks it.
type world struct {
	t       *testing.T
	net     *sim.Network
	peer    *sim.Peer
	agent   *deliver.Service
	service *verify.Service
	metrics *obs.Metrics

	mu      sync.Mutex
	version int64
	dom     directory.Domain
	stored  map[string]verify.Answer
	reads   int
	list    verify.List
	listed  []string
}

func (w *world) View() routing.View {
	w.mu.Lock()
	defer w.mu.Unlock()
	return routing.View{Directory: directory.NewSnapshot(w.version, []directory.Domain{w.dom}, nil, nil, nil), Now: time.Now()}
}

func (w *world) Answers(netip.Addr) bool     { return false }
func (w *world) Listens(netip.AddrPort) bool { return false }

func (w *world) Answer(_ context.Context, _ account.Scope, domain, local string) (verify.Answer, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	a, ok := w.stored[local+"@"+domain]
	return a, ok, nil
}

func (w *world) Listed(_ context.Context, _ account.Scope, _ string, locals []string) (verify.List, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	l := w.list
	l.Has = slices.ContainsFunc(locals, func(s string) bool { return slices.Contains(w.listed, s) })
	return l, nil
}

func (w *world) Syncs(context.Context, account.Scope) ([]verify.Sync, error) { return nil, nil }

func (w *world) Synced(context.Context, account.Scope, verify.Sync, bool, []string) error { return nil }

func (w *world) KeepAnswer(_ account.Scope, domain, local string, a verify.Answer, done func(error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stored[local+"@"+domain] = a
	done(nil)
}

func (w *world) ForgetAnswers(context.Context, account.Scope, time.Time, time.Time, int) error {
	return nil
}

type hosts struct{ *deliver.Service }

func (h hosts) Hosts(ctx context.Context, lane mail.Lane) ([]verify.Host, error) {
	list, err := h.Service.Hosts(ctx, lane)
	var out []verify.Host
	for _, x := range list {
		out = append(out, host{x})
	}
	return out, err
}

type host struct{ deliver.Host }

func (h host) Open(ctx context.Context) (verify.Session, error) {
	s, err := h.Host.Open(ctx)
	if err != nil {
		return nil, err
	}
	return s, nil
}

const zone = "$TTL 60\n@ SOA ns x 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n@ MX 10 mx\n@ MX 20 worse\nmx A 192.0.2.25\nworse A 192.0.2.26\n"

// play runs a scenario in a bubble.
func play(t *testing.T, script sim.Script, scenario func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, net: sim.NewNetwork(t), peer: sim.NewPeer(t, script), metrics: obs.NewMetrics(), stored: map[string]verify.Answer{},
			dom: directory.Domain{ID: "d", Account: "a", Name: "d.example", Proved: true, Mode: directory.ModeSplit},
		}
		w.net.DNS("192.0.2.53:53", sim.NewDNS(t, sim.Zones{"d.example": zone}))
		w.net.Peer(real, w.peer)
		w.net.Refuse("192.0.2.26:25")
		w.restart()
		scenario(w)
		w.service.Close()
		w.agent.Close()
		pass(time.Hour) // for a peer that sleeps by script
		for _, line := range w.peer.Commands() {
			if strings.HasPrefix(line, "DATA") || strings.HasPrefix(line, "BDAT") {
				t.Errorf("the server was sent %s", line)
			}
		}
		w.peer.CheckFaults(t)
		if n := w.peer.Open(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

// restart begins with nothing but the store.
func (w *world) restart() {
	if w.service != nil {
		w.service.Close()
		w.agent.Close()
	}
	quiet := slog.New(slog.DiscardHandler)
	r := resolver.New(resolver.Config{Servers: []string{"192.0.2.53:53"}}, quiet, resolver.WithDialer(w.net))
	everywhere := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} // the addresses of the test world are those of documentation
	w.agent = deliver.New(deliver.Config{Hostname: "us.example", Allow: everywhere}, w, r, w.net, w, w.metrics, quiet)
	w.service = verify.New(verify.Options{Resolver: r, Hosts: hosts{w.agent}, Directory: w, Store: w, Metrics: w.metrics})
}

// down takes the server away, up brings it back.
func (w *world) down() { w.net.Refuse(real); w.peer.Drop() }
func (w *world) up()   { w.net.Peer(real, w.peer) }

// ask learns of an address as RCPT does; no fact is "needed".
func (w *world) ask(address string) string {
	if a, ok := w.fact(address); ok {
		return a.Presence.String()
	}
	return "needed"
}

func (w *world) fact(address string) (facts.RecipientAnswer, bool) {
	a, ok := w.service.Recipient("d.example", address)
	if !ok {
		w.service.Fetch(w.t.Context(), routing.Need{Kind: routing.NeedRecipient, Domain: "d.example", Address: address})
		a, ok = w.service.Recipient("d.example", address)
	}
	return a, ok
}

// want asks for an address and says what must come of it.
func (w *world) want(address, presence string) {
	w.t.Helper()
	if got := w.ask(address); got != presence {
		w.t.Errorf("%s is %s, want %s", address, got, presence)
	}
}

// asked is how often the server was asked for an address.
func (w *world) asked(address string) int {
	n := 0
	for _, line := range w.peer.Commands() {
		if strings.EqualFold(line, "RCPT TO:<"+address+">") {
			n++
		}
	}
	return n
}

// knows is a server that knows some addresses only.
func knows(addresses ...string) sim.Script {
	s := sim.Script{Rcpt: map[string]string{"*": "550 5.1.1 who is that?"}}
	for _, a := range addresses {
		s.Rcpt[a] = "250 2.1.5 yes"
	}
	return s
}

func TestTheRealServerIsAskedOnce(t *testing.T) {
	play(t, knows("ann@d.example"), func(w *world) {
		for range 3 {
			w.want("ann@d.example", "present")
			w.want("Ann@d.example", "present")
			w.want("bob@d.example", "absent")
		}
		if a, b := w.asked("ann@d.example"), w.asked("bob@d.example"); a != 1 || b != 1 || w.reads != 2 {
			w.t.Errorf("asked %d and %d times, the store read %d times", a, b, w.reads)
		}
		a, _ := w.fact("ann@d.example")
		if a.Source != "mx.d.example" || a.Age(time.Now()) != 0 || a.Detail != "" || a.Address != "ann@d.example" {
			w.t.Errorf("%+v", a)
		}
		if !slices.Contains(w.peer.Commands(), "MAIL FROM:<>") || w.peer.Connections() != 1 {
			w.t.Errorf("%d connections: %q", w.peer.Connections(), w.peer.Commands())
		}
		w.restart()
		w.want("ann@d.example", "present")
		w.want("bob@d.example", "absent")
		if a, b := w.asked("ann@d.example"), w.asked("bob@d.example"); a != 1 || b != 1 {
			w.t.Errorf("after a restart: asked %d and %d times", a, b)
		}
	})
}

func TestAnswersHoldForTheirTime(t *testing.T) {
	play(t, knows("ann@d.example"), func(w *world) {
		w.want("ann@d.example", "present")
		w.want("bob@d.example", "absent")
		pass(time.Hour)
		w.peer.SetScript(knows("bob@d.example"))
		w.want("bob@d.example", "present") // he got a mailbox
		w.want("ann@d.example", "present") // nobody asked again
		pass(7*24*time.Hour - time.Hour)
		w.want("ann@d.example", "absent")
	})
}

func TestWhileTheServerIsDownOldAnswersCount(t *testing.T) {
	play(t, knows("ann@d.example"), func(w *world) {
		w.want("ann@d.example", "present")
		w.want("bob@d.example", "absent")
		w.down()
		w.want("bob@d.example", "absent")
		w.want("carol@d.example", "unreachable")
		pass(time.Hour)
		w.want("bob@d.example", "outdated") // neither taken nor refused for good
		pass(8 * 24 * time.Hour)
		w.want("ann@d.example", "present")
		if a, _ := w.fact("ann@d.example"); a.Age(time.Now()) < 8*24*time.Hour {
			w.t.Errorf("the answer looks %v old", a.Age(time.Now()))
		}
		w.want("bob@d.example", "unreachable")
		pass(24 * 24 * time.Hour)
		w.want("ann@d.example", "unreachable")
		w.up()
		pass(time.Minute)
		w.want("ann@d.example", "present")
		w.want("bob@d.example", "absent")
	})
}

func TestARefusalOfUsIsNoAnswer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		script sim.Script
		want   string
		asked  int // how often in a day, for five addresses
	}{
		{"no enhanced code", sim.Script{Rcpt: map[string]string{"*": "550 No Such User Here"}}, "absent", 5},
		{"moved", sim.Script{Rcpt: map[string]string{"*": "551 5.1.6 moved"}}, "absent", 5},
		{"Exchange Online", sim.Script{Rcpt: map[string]string{"*": "550 5.4.1 Recipient address rejected: Access denied"}}, "absent", 5},
		{"disabled", sim.Script{Rcpt: map[string]string{"*": "550 5.2.1 disabled"}}, "absent", 5},
		{"full", sim.Script{Rcpt: map[string]string{"*": "552 5.2.2 full"}}, "unreachable", 5},
		{"greylisting", sim.Script{Rcpt: map[string]string{"*": "450 4.7.1 come again"}}, "unreachable", 5},
		{"null sender", sim.Script{Mail: "550 5.7.1 no null sender"}, "unreachable", 0},
		{"policy", sim.Script{Rcpt: map[string]string{"*": "550 5.7.1 your network is blocked"}}, "unreachable", 1},
		{"policy without a code", sim.Script{Rcpt: map[string]string{"*": "550 relay not permitted"}}, "unreachable", 1},
		{"other code", sim.Script{Rcpt: map[string]string{"*": "554 5.7.1 no"}}, "unreachable", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			play(t, tc.script, func(w *world) {
				for i := range 5 {
					w.want(fmt.Sprintf("u%d@d.example", i), tc.want)
					pass(time.Hour)
				}
				n := 0
				for i := range 5 {
					n += w.asked(fmt.Sprintf("u%d@d.example", i))
				}
				if n != tc.asked || tc.script.Mail != "" && w.peer.Connections() != 1 {
					w.t.Errorf("asked %d times in %d connections, want %d", n, w.peer.Connections(), tc.asked)
				}
			})
		})
	}
}

func TestAServerThatTakesEverybodySaysNothing(t *testing.T) {
	play(t, sim.Script{}, func(w *world) {
		for _, who := range []string{"ann@d.example", "bob@d.example"} {
			if a, ok := w.fact(who); !ok || a.Presence != facts.Present || a.Detail != "it takes every address" {
				w.t.Errorf("%s: %+v", who, a)
			}
		}
		tests := 0
		for _, line := range w.peer.Commands() {
			if strings.HasPrefix(line, "RCPT TO:<no-such-mailbox-") {
				tests++
			}
		}
		if tests != 1 {
			w.t.Errorf("%d random addresses were asked for", tests)
		}
	})
}

func TestABackupThatTakesEverybodyIsNotBelieved(t *testing.T) {
	play(t, knows("ann@d.example"), func(w *world) {
		w.want("ann@d.example", "present") // the best one does not take everybody
		w.net.Peer("192.0.2.26:25", sim.NewPeer(w.t, sim.Script{}))
		w.down()
		w.want("bob@d.example", "unreachable")
		w.up()
		pass(time.Minute)
		w.want("bob@d.example", "absent")
	})
}

// Who knows an address that the server guards cannot keep others from being asked for.
func TestARefusalOfOneAddressIsNoObjection(t *testing.T) {
	script := knows("ann@d.example")
	script.Rcpt["board@d.example"] = "550 5.7.1 for members only"
	play(t, script, func(w *world) {
		w.want("board@d.example", "unreachable")
		w.want("ann@d.example", "present")
		w.want("bob@d.example", "absent")
	})
}

func TestAServerThatEndsItsSessionIsAskedAgain(t *testing.T) {
	script := knows("ann@d.example")
	script.Rcpt["bob@d.example"] = sim.InTurn(sim.ThenClose("421 4.7.0 too many errors"), "550 5.1.1 who?")
	play(t, script, func(w *world) {
		w.want("carol@d.example", "absent")
		w.want("bob@d.example", "absent")
	})
}

func TestAnLMTPServerIsAsked(t *testing.T) {
	script := knows("ann@d.example")
	script.LMTP = true
	play(t, script, func(w *world) {
		w.dom.NextHops = []directory.NextHop{{Host: "192.0.2.25", Port: 25, LMTP: true}}
		w.want("ann@d.example", "present")
		w.want("bob@d.example", "absent")
		if !slices.Contains(w.peer.Commands(), "LHLO us.example") {
			w.t.Errorf("%q", w.peer.Commands())
		}
	})
}

func TestManyAskForOneAddress(t *testing.T) {
	play(t, knows("ann@d.example"), func(w *world) {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { w.want("ann@d.example", "present") })
		}
		wg.Wait()
		if n := w.asked("ann@d.example"); n != 1 {
			w.t.Errorf("asked %d times", n)
		}
	})
}

// Who asks for many addresses gets none of them taken by it, and the server hardly notices.
func TestManyQuestionsAreAskedSlowly(t *testing.T) {
	play(t, knows("ann@d.example"), func(w *world) {
		w.dom.Unreachable = directory.UnreachableQueue
		var mu sync.Mutex
		got := map[string]int{}
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				p := w.ask(fmt.Sprintf("u%d@d.example", i))
				mu.Lock()
				defer mu.Unlock()
				got[p]++
			})
		}
		wg.Wait()
		if got["absent"]+got["needed"] != 1000 || got["absent"] < 100 {
			w.t.Errorf("%v", got)
		}
		n := 0
		for _, line := range w.peer.Commands() {
			if strings.HasPrefix(line, "RCPT") {
				n++
			}
		}
		if n > 100+20*10 || w.peer.Peak() > 2 {
			w.t.Errorf("%d questions in 20 seconds, %d connections at once", n, w.peer.Peak())
		}
	})
}

func TestASilentServerDoesNotHoldUpEverybody(t *testing.T) {
	play(t, sim.Script{}, func(w *world) {
		w.net.BlackHole(real)
		w.net.BlackHole("192.0.2.26:25")
		start := time.Now()
		w.want("ann@d.example", "unreachable")
		if d := time.Since(start); d > 20*time.Second {
			w.t.Errorf("it took %v", d)
		}
		start = time.Now()
		w.want("bob@d.example", "unreachable")
		if d := time.Since(start); d != 0 {
			w.t.Errorf("the next took %v", d)
		}
		var wg sync.WaitGroup
		pass(time.Minute)
		for i := range 100 {
			wg.Go(func() { w.ask(fmt.Sprintf("u%d@d.example", i)) })
		}
		wg.Wait()
		if n := w.net.Dialled(real); n > 3 {
			w.t.Errorf("dialled %d times", n)
		}
	})
}

func TestAnotherWayIsAskedAnew(t *testing.T) {
	play(t, knows("ann@d.example"), func(w *world) {
		w.want("ann@d.example", "present")
		other := sim.NewPeer(w.t, knows("bob@d.example"))
		w.net.Peer("192.0.2.99:25", other)
		w.mu.Lock()
		w.dom.NextHops = []directory.NextHop{{Host: "192.0.2.99", Port: 25}}
		w.mu.Unlock()
		w.want("ann@d.example", "absent")
		w.want("bob@d.example", "present")
		w.restart()
		w.want("ann@d.example", "absent")
		w.mu.Lock()
		w.dom.ID = "another" // somebody else's domain of this name
		w.mu.Unlock()
		w.want("ann@d.example", "absent")
		if n := len(slices.DeleteFunc(other.Commands(), func(c string) bool { return c != "RCPT TO:<ann@d.example>" })); n != 2 {
			w.t.Errorf("the other server was asked %d times", n)
		}
	})
}

func TestSessionsAreEndedSoon(t *testing.T) {
	play(t, knows("ann@d.example"), func(w *world) {
		for i := range 20 {
			w.want(fmt.Sprintf("u%d@d.example", i), "absent")
		}
		if n := w.peer.Connections(); n != 3 { // eight refusals each
			w.t.Errorf("%d connections", n)
		}
		pass(6 * time.Second)
		synctest.Wait()
		if n := w.peer.Open(); n != 0 {
			w.t.Errorf("%d connections are open after a while", n)
		}
		w.want("ann@d.example", "present")
		w.peer.Drop() // the server goes while the session waits
		w.want("bob@d.example", "absent")
	})
}

// pass lets the bubble's clock run.
func pass(d time.Duration) { <-time.After(d) }

func TestAListTellsWhoIsThere(t *testing.T) {
	play(t, sim.Script{}, func(w *world) {
		w.dom.Recipients = directory.RecipientsList
		w.want("ann@d.example", "outdated") // there is none
		w.list, w.listed = verify.List{There: true, Source: "upload", Learned: time.Now()}, []string{"ann"}
		w.version++
		for range 3 {
			w.want("Ann@d.example", "present")
			w.want("ann+news@d.example", "present")
			w.want("bob@d.example", "absent")
		}
		if w.reads != 4 {
			w.t.Errorf("the store was read %d times", w.reads)
		}
		w.listed = []string{"bob"}
		w.version++ // an import is a change
		w.want("bob@d.example", "present")
		w.want("ann@d.example", "absent")
		pass(7*24*time.Hour - time.Minute)
		w.want("ann@d.example", "absent")
		pass(time.Minute)
		w.want("bob@d.example", "present")
		w.want("ann@d.example", "outdated")
		w.listed = []string{""}
		w.version++
		w.want("ann@d.example", "present")
		if a, _ := w.fact("ann@d.example"); a.Source != "list by upload" || a.Age(time.Now()) != 7*24*time.Hour {
			w.t.Errorf("%+v", a)
		}
		if n := w.peer.Connections(); n != 0 {
			w.t.Errorf("the real server was asked in %d connections", n)
		}
	})
}
