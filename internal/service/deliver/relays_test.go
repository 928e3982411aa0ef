package deliver_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

// sentAs is a message of a login.
func sentAs(id, login string) mail.Delivery {
	d := message(id, "x@far.example")
	d.Message.Client.Login, d.Message.Sender = login, "ann@acme.example"
	return d
}

const relayLane = "relay/smart.example.net:587#o1"

// identityRoutes has two accounts with a domain each, and a route of the first for addresses elsewhere.
func (w *world) identityRoutes(password string) {
	route := func(id, identity string) directory.Outbound {
		return directory.Outbound{
			ID: id, Account: "a", Identity: identity, Hop: directory.HostPort{Host: "smart.example.net", Port: 587}, TLS: directory.TLSVerified, User: "user", Password: password,
		}
	}
	w.directory = directory.NewSnapshot(1, []directory.Domain{{Name: "crm.example", Account: "a", Proved: true}, {Name: "bob.example", Account: "b", Proved: true}}, nil, nil,
		[]directory.Outbound{route("o1", "acme.example"), route("o2", "other.example")})
}

func TestAHostThatRefusesAnIdentitysMailIsFound(t *testing.T) {
	const found, forgotten = "crm.example: IDENTITY_RELAY_REFUSED: acme.example: ", "crm.example: no IDENTITY_RELAY_REFUSED"
	for _, c := range []struct {
		name     string
		script   sim.Script
		password string
		outcome  string
		says     string // empty: nothing is found
	}{
		{"login refused", sim.Script{}, "changed", "- | down 4.7.8 smart.example.net", "login to the smart host as user by PLAIN: 535 5.7.8 no"},
		{"login refused for now", sim.Script{Auth: "454 4.7.0 later"}, "secret", "- | down 4.7.8 smart.example.net", ""},
		{"no password", sim.Script{}, "", "- | down 4.7.8 smart.example.net", "cannot be read on this machine"},
		{"nobody is let in", sim.Script{Greeting: "554 5.7.1 go away"}, "secret", "- | down 4.3.2 smart.example.net", "554 5.7.1 go away"},
		{"busy", sim.Script{Greeting: "421 4.3.2 later"}, "secret", "- | down 4.3.2 smart.example.net", ""},
		{"sender refused", sim.Script{Mail: "550 5.1.8 no"}, "secret", "failed 550 5.1.8 smart.example.net", "refuses mail from <ann@acme.example>: 550 5.1.8 no"},
		{"sender refused at RCPT", sim.Script{Rcpt: map[string]string{"*": "553 5.7.1 not owned by user"}}, "secret", "failed 553 5.7.1 smart.example.net", "553 5.7.1 not owned by user"},
		{"recipient refused", sim.Script{Rcpt: map[string]string{"*": "550 5.1.1 no"}}, "secret", "failed 550 5.1.1 smart.example.net", ""},
		{"content refused", sim.Script{Dot: "552 5.2.3 too large"}, "secret", "failed 552 5.2.3 smart.example.net", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ca *sim.CA
			r := &register{}
			play(t, smartZone, func(cfg *deliver.Config) { ca = sim.NewCA(t); cfg.RootCAs, cfg.Findings = ca.Pool(), r }, func(w *world) {
				t := w.t
				c.script.TLS, c.script.Users = ca.TLS("smart.example.net"), map[string]string{"user": "secret"}
				w.peer("192.0.2.11:587", c.script)
				w.identityRoutes(c.password)
				w.expect(w.deliver(relayLane, sentAs("m1", "ann@crm.example")), c.outcome)
				switch said := r.told(); {
				case c.says == "" && strings.Contains(said, found):
					t.Errorf("it is found: %s", said)
				case c.says != "" && (!strings.HasPrefix(said, found) || !strings.Contains(said, c.says)):
					t.Errorf("it is found: %q, want %q", said, c.says)
				}
				// Another account's login, one of no domain here, and mail without a login are not the route's.
				for _, login := range []string{"bob@bob.example", "x@far.example", ""} {
					w.deliver(relayLane, sentAs("m2", login))
					if said := r.told(); said != "" {
						t.Errorf("of %q: %s", login, said)
					}
				}
			})
		})
	}
	t.Run("mended", func(t *testing.T) {
		var ca *sim.CA
		r := &register{}
		play(t, smartZone, func(cfg *deliver.Config) { ca = sim.NewCA(t); cfg.RootCAs, cfg.Findings = ca.Pool(), r }, func(w *world) {
			t := w.t
			w.peer("192.0.2.11:587", sim.Script{TLS: ca.TLS("smart.example.net"), Users: map[string]string{"user": "secret"}})
			told := func(why, want string) {
				t.Helper()
				if said := r.told(); !strings.HasPrefix(said, want) || want == "" && said != "" {
					t.Errorf("%s: %q, want %q", why, said, want)
				}
			}
			send := func(lane mail.Lane) { w.deliver(lane, sentAs("m", "ann@crm.example")) }
			other := mail.Lane(strings.Replace(relayLane, "o1", "o2", 1))
			w.identityRoutes("secret")
			send(relayLane)
			told("after a start", forgotten)
			send(relayLane)
			told("again", "")
			w.identityRoutes("changed")
			send(relayLane)
			told("refused", found)
			send(other)
			told("another one refused", "crm.example: IDENTITY_RELAY_REFUSED: other.example")
			w.identityRoutes("secret")
			send(relayLane)
			told("one of two works", "")
			r.fail = errors.New("down")
			send(other)
			told("both work", forgotten)
			r.fail = nil
			send(other)
			told("it could not be forgotten", forgotten)
			<-time.After(11 * time.Minute)
			send(other)
			told("a while later", forgotten)
		})
	})
}
