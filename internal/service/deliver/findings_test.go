package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/mail"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

// register notes what is found and forgotten.
type register struct {
	mu   sync.Mutex
	said []string
	fail error
}

func (r *register) Find(_ context.Context, f finding.Finding, gone bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if gone {
		r.said = append(r.said, fmt.Sprintf("%s: no %s", f.Domain, f.Name))
		return r.fail
	}
	if f.Since.IsZero() || f.Evidence == "" || strings.ContainsAny(f.Evidence, "\r\n") {
		r.said = append(r.said, fmt.Sprintf("a finding that says too little: %+v", f))
	}
	r.said = append(r.said, fmt.Sprintf("%s: %s: %s", f.Domain, f.Name, f.Evidence))
	return r.fail
}

// told gives what was said since it was last asked.
func (r *register) told() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := strings.Join(r.said, "\n")
	r.said = nil
	return said
}

func (w *world) domains(list ...directory.Domain) {
	for i := range list {
		list[i].Proved = list[i].Name != "inert.net"
	}
	w.directory = directory.NewSnapshot(1, list, nil, nil, nil)
}

func TestAWayThatLeadsNowhereIsFound(t *testing.T) {
	const hosts = "us A 192.0.2.1\na A 192.0.2.11\n"
	remoteMode := []directory.Domain{{Name: "example.net", Mode: directory.ModeRemote}}
	for _, c := range []struct {
		name, zone string
		lane       mail.Lane
		domains    []directory.Domain
		want       string // beginnings of what is said, a line each
	}{
		{"our own exchangers", "@ MX 10 us\n@ MX 20 a", "remote/example.net", remoteMode, "example.net: ROUTE_LOOP_SELF: MX records of example.net: 10 us.example.net, 20 a.example.net (resolver 192.0.2.53:53): 554 5.4.6"},
		{"null MX", "@ MX 0 .", "remote/example.net", remoteMode, "example.net: PRIMARY_MX_MISSING: MX records of example.net: null MX (resolver 192.0.2.53:53): 556 5.1.10"},
		{"no address", "@ MX 10 none", "remote/example.net", remoteMode, "example.net: PRIMARY_MX_MISSING: MX records of example.net: 10 none.example.net (resolver 192.0.2.53:53): 550 5.4.4"},
		{"a next hop that is us", "", "relay/us.example.net:25", []directory.Domain{{Name: "example.net", Mode: directory.ModeRelay}}, "example.net: ROUTE_LOOP_SELF: the next hop us.example.net:25 is 192.0.2.1:25: 451 4.4.6"},
		{"no domain of ours", "@ MX 10 us", "remote/example.net", nil, ""},
		{"an inert one", "@ MX 10 us", "remote/example.net", []directory.Domain{{Name: "inert.net", Mode: directory.ModeRemote}}, ""},
		{"one that is local by now", "@ MX 10 us", "remote/example.net", []directory.Domain{{Name: "example.net", Mode: directory.ModeLocal}}, ""},
		{"a name server that is silent", "@ MX 10 broken", "remote/example.net", remoteMode, ""},
		{"a next hop without address", "", "relay/none.example.net:25", remoteMode, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &register{}
			play(t, sim.Zones{"example.net": hosts + c.zone}, func(cfg *deliver.Config) { cfg.Findings = r }, func(w *world) {
				w.dns.Script("broken.example.net", "*", sim.DNSServFail)
				w.ours = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
				w.domains(c.domains...)
				w.deliver(c.lane, message("m1", "a@example.net", "b@example.net"))
				if got := r.told(); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
					w.t.Errorf("it said %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestAFindingIsForgottenWhenMailArrives(t *testing.T) {
	r := &register{}
	play(t, sim.Zones{"example.net": "@ MX 10 us\nus A 192.0.2.1\na A 192.0.2.11"}, func(cfg *deliver.Config) { cfg.Findings = r }, func(w *world) {
		t := w.t
		w.ours = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		w.domains(directory.Domain{Name: "example.net", Mode: directory.ModeRemote})
		p := w.peer("192.0.2.11:25", sim.Script{Rcpt: map[string]string{"no@example.net": "550 5.1.1 no"}})
		const gone = "example.net: no ROUTE_LOOP_SELF\nexample.net: no PRIMARY_MX_MISSING"
		expect := func(when, want string) {
			t.Helper()
			if got := r.told(); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
				t.Errorf("%s: it said %q, want %q", when, got, want)
			}
		}
		to := func(rcpt string) {
			w.deliver(relay("a.example.net:25"), message("m1", rcpt))
		}
		w.deliver(remote("example.net"), message("m1", "a@example.net"))
		expect("at first", "example.net: ROUTE_LOOP_SELF")
		to("no@example.net")
		expect("after a refusal", "")
		to("a@foreign.net")
		expect("after mail for others", "")
		r.fail = errors.New("the store is away")
		to("a@example.net")
		expect("with a broken store", gone)
		r.fail = nil
		to("a@example.net")
		expect("after a delivery", gone)
		to("a@example.net")
		expect("after another", "")
		pass(10 * time.Minute)
		to("a@example.net")
		expect("after a while", gone)
		w.deliver(remote("example.net"), message("m1", "a@example.net"))
		expect("when it is back", "example.net: ROUTE_LOOP_SELF")
		to("a@example.net")
		expect("and mended", gone)
		if n := len(p.Messages()); n != 6 || slices.Contains(p.Messages()[0].Accepted(), "no@example.net") {
			t.Errorf("%d messages", n)
		}
	})
}

// What DNS says of a domain that was removed here is not final while senders may still remember that it was here.
func TestADomainThatHasLeftIsNotReturnedByItsOldDNS(t *testing.T) {
	for name, c := range map[string]struct{ zone, during, after string }{
		"we are its exchangers": {"@ MX 10 us\nus A 192.0.2.1", "- | down 4.4.6 us.example", "failed 554 5.4.6"},
		"it has a null MX":      {"@ MX 0 .", "- | down 4.1.10 us.example", "failed 556 5.1.10"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, sim.Zones{"example.net": c.zone}, nil, func(w *world) {
				w.ours = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
				left := directory.Departed{ID: "left", Account: "a", Name: "example.net", Leaving: directory.Leaving{Until: time.Now().Add(time.Hour), From: directory.ModeLocal}}
				w.directory = directory.NewSnapshot(1, nil, nil, nil, nil).With(directory.Delta{PutDeparted: []directory.Departed{left}})
				w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), c.during)
				pass(time.Hour)
				w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), c.after)
			})
		})
	}
}
