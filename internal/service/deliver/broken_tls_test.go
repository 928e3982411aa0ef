package deliver_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"postroad/internal/sim"
)

func TestOpportunisticTLSTakesAnyCertificate(t *testing.T) {
	for _, c := range []struct {
		name string
		tls  func(*sim.CA) *tls.Config
	}{
		{"of an unknown authority", func(ca *sim.CA) *tls.Config { return ca.TLS("mx1.example.net") }},
		{"expired", func(ca *sim.CA) *tls.Config { return ca.Expired("mx1.example.net") }},
		{"wrong name", func(ca *sim.CA) *tls.Config { return ca.TLS("other.example") }},
		{"only TLS 1.2", func(ca *sim.CA) *tls.Config {
			config := ca.TLS("mx1.example.net")
			config.MaxVersion = tls.VersionTLS12
			return config
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, oneExchanger, nil, func(w *world) {
				t := w.t
				p := w.peer("192.0.2.11:25", sim.Script{TLS: c.tls(sim.NewCA(t))})
				w.expect(w.deliver(remote("example.net"), messages(3, "a@example.net")...), times(3, okMX1))
				for _, m := range p.Messages() {
					if m.TLS == nil || m.TLS.ServerName != "mx1.example.net" || string(m.Body) != body {
						t.Errorf("message with TLS %+v", m.TLS)
					}
				}
				if p.Connections() != 1 {
					t.Errorf("%d connections", p.Connections())
				}
			})
		})
	}
}

const go220 = "220 2.0.0 go ahead"

func TestBrokenTLSFallsBackToANewPlainConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		script func(*sim.CA) sim.Script
		takes  time.Duration
	}{
		{"refused for now", func(*sim.CA) sim.Script { return sim.Script{StartTLS: "454 4.7.0 not now"} }, 0},
		{"refused for good", func(*sim.CA) sim.Script { return sim.Script{StartTLS: "554 5.7.3 no"} }, 0},
		{"closes at STARTTLS", func(*sim.CA) sim.Script { return sim.Script{StartTLS: sim.Close} }, 0},
		{"hangs at STARTTLS", func(*sim.CA) sim.Script { return sim.Script{StartTLS: sim.Hang} }, 5 * time.Minute},
		{"alert", func(*sim.CA) sim.Script { return sim.Script{StartTLS: go220, Handshake: sim.Alert} }, 0},
		{"closes in the handshake", func(*sim.CA) sim.Script { return sim.Script{StartTLS: go220, Handshake: sim.Close} }, 0},
		{"resets in the handshake", func(*sim.CA) sim.Script { return sim.Script{StartTLS: go220, Handshake: sim.Reset} }, 0},
		{"garbage in the handshake", func(*sim.CA) sim.Script { return sim.Script{StartTLS: go220, Handshake: sim.Garbage} }, 0},
		{"hangs in the handshake", func(*sim.CA) sim.Script { return sim.Script{StartTLS: go220, Handshake: sim.Hang} }, 30 * time.Second},
		{"only TLS 1.0", func(ca *sim.CA) sim.Script { return sim.Script{TLS: ca.OldTLS("mx1.example.net")} }, 0},
		{"plaintext behind the 220", func(*sim.CA) sim.Script {
			return sim.Script{StartTLS: sim.Raw("220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n")}
		}, 0},
		{"demands our certificate", func(ca *sim.CA) sim.Script {
			config := ca.TLS("mx1.example.net")
			config.ClientAuth = tls.RequireAnyClientCert // under TLS 1.3 we hear of it after the handshake
			return sim.Script{TLS: config}
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, oneExchanger, nil, func(w *world) {
				t := w.t
				script := c.script(sim.NewCA(t))
				script.Extensions = []string{"PIPELINING", "STARTTLS"}
				p := w.peer("192.0.2.11:25", script)
				spent := took(func() {
					w.expect(w.deliver(remote("example.net"), messages(2, "a@example.net")...), times(2, okMX1))
				})
				if spent != c.takes {
					t.Errorf("it took %v", spent)
				}
				if p.Connections() != 2 {
					t.Errorf("%d connections, want the broken one and a plain one", p.Connections())
				}
				for _, m := range p.Messages() {
					if m.TLS != nil || m.Connection != 2 {
						t.Errorf("message over connection %d with TLS %v", m.Connection, m.TLS)
					}
				}
				if !strings.Contains(w.log.String(), "TLS failed, sending in clear") {
					t.Error("the log does not tell")
				}
				if got := w.metric("postroad_deliver_dials_total"); got != 2 {
					t.Errorf("%v dials are counted", got)
				}
			})
		})
	}
}

func TestARefusalUnderTLSIsTheHostsWord(t *testing.T) {
	play(t, twoOfEach, nil, func(w *world) {
		t := w.t
		ca := sim.NewCA(t)
		p := w.peer("[2001:db8::11]:25", sim.Script{TLS: ca.TLS("x"), Hello: sim.InTurn("", "550 5.7.1 not you"), Helo: "550 5.7.1 not you"})
		w.peer("192.0.2.11:25", sim.Script{})
		w.expect(w.deliver(remote("example.net"), message("m1", "a@example.net")), okMX1)
		if p.Connections() != 1 {
			t.Errorf("%d connections", p.Connections())
		}
	})
}

func TestWhatWasOfferedInClearIsForgottenUnderTLS(t *testing.T) {
	play(t, oneExchanger, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:25", sim.Script{
			TLS: sim.NewCA(t).TLS("x"), Extensions: []string{"STARTTLS", "DSN", "SIZE 10"}, TLSExtensions: []string{"SIZE 1000000"},
		})
		m := message("m1", "a@example.net")
		m.Message.EnvID = "e1"
		w.expect(w.deliver(remote("example.net"), m), okMX1)
		if got := p.Messages()[0].Parameters; strings.Contains(got, "ENVID") {
			t.Errorf("MAIL had %q", got)
		}
	})
}

func TestImplicitTLSOnPort465(t *testing.T) {
	zones := sim.Zones{"example.net": "smart A 192.0.2.11"}
	lane := relay("smart.example.net:465")
	play(t, zones, nil, func(w *world) {
		t := w.t
		p := w.peer("192.0.2.11:465", sim.Script{ImplicitTLS: true, TLS: sim.NewCA(t).TLS("other")})
		w.expect(w.deliver(lane, message("m1", "a@example.net")), "delivered 250 2.0.0 smart.example.net")
		if p.Messages()[0].TLS == nil {
			t.Error("no TLS")
		}
	})
	for _, end := range []string{"hangs", "speaks in clear"} {
		play(t, zones, nil, func(w *world) {
			t := w.t
			w.net.Serve("192.0.2.11:465", func(conn net.Conn) {
				defer func() { _ = conn.Close() }() // the other end is gone
				if end != "hangs" {
					_, _ = io.WriteString(conn, "220 in clear\r\n")
				}
				_, _ = io.Copy(io.Discard, conn)
			})
			spent := took(func() {
				w.expect(w.deliver(lane, message("m1", "a@example.net")), "- | down 4.7.5 smart.example.net")
			})
			if spent > 30*time.Second || len(w.dials(0)) != 1 {
				t.Errorf("it took %v and %d connections", spent, len(w.dials(0)))
			}
		})
	}
}
