package deliver_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/proto/sasl"
	"postroad/internal/service/deliver"
	"postroad/internal/sim"
)

var smartZone = sim.Zones{"example.net": "smart A 192.0.2.11\nnew A 192.0.2.12"}

const okSmart = "delivered 250 2.0.0 smart.example.net"

// smart plays a scenario with an outbound route to smart.example.net, login "user" with password "secret".
func smart(t *testing.T, port uint16, script func(*sim.CA) sim.Script, scenario func(w *world, send func() report, p *sim.Peer)) {
	t.Helper()
	var ca *sim.CA
	play(t, smartZone, func(c *deliver.Config) { ca = sim.NewCA(t); c.RootCAs = ca.Pool() }, func(w *world) {
		s := script(ca)
		if s.Users == nil {
			s.Users = map[string]string{"user": "secret"}
		}
		address := map[uint16]string{587: "192.0.2.11:587", 465: "192.0.2.11:465"}[port]
		p := w.peer(address, s)
		lane := w.outbound("smart.example.net", port, "user", "secret")
		scenario(w, func() report { return w.deliver(lane, messages(2, "a@far.example")...) }, p)
	})
}

// saidNothing fails when a peer saw the password, in whatever dress, or an AUTH at all.
func saidNothing(t *testing.T, p *sim.Peer) {
	t.Helper()
	for i := 1; i <= p.Connections(); i++ {
		octets := string(p.Octets(i))
		for _, secret := range []string{"AUTH", "secret", base64.StdEncoding.EncodeToString([]byte("secret")), base64.StdEncoding.EncodeToString([]byte("\x00user\x00secret"))} {
			if strings.Contains(octets, secret) {
				t.Errorf("connection %d said %q", i, octets)
			}
		}
	}
	if len(p.Messages()) > 0 {
		t.Error("mail went out")
	}
}

func TestASmartHostIsLoggedInToUnderVerifiedTLS(t *testing.T) {
	for _, c := range []struct {
		name   string
		port   uint16
		script func(*sim.CA) sim.Script
	}{
		{"STARTTLS", 587, func(ca *sim.CA) sim.Script { return sim.Script{TLS: ca.TLS("smart.example.net")} }},
		{"port 465", 465, func(ca *sim.CA) sim.Script {
			return sim.Script{TLS: ca.TLS("smart.example.net"), ImplicitTLS: true}
		}},
		{"LOGIN only", 587, func(ca *sim.CA) sim.Script {
			return sim.Script{TLS: ca.TLS("smart.example.net"), TLSExtensions: []string{"AUTH GSSAPI LOGIN"}}
		}},
		{"as of old", 587, func(ca *sim.CA) sim.Script {
			return sim.Script{TLS: ca.TLS("smart.example.net"), TLSExtensions: []string{"AUTH=LOGIN PLAIN"}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			smart(t, c.port, c.script, func(w *world, send func() report, p *sim.Peer) {
				t := w.t
				w.expect(send(), times(2, okSmart))
				w.expect(send(), times(2, okSmart))
				for _, m := range p.Messages() {
					if m.User != "user" || m.TLS == nil {
						t.Errorf("message of user %q with TLS %v", m.User, m.TLS)
					}
				}
				if p.Connections() != 1 {
					t.Errorf("%d connections", p.Connections())
				}
			})
		})
	}
}

func TestVerifiedTLSIsDemandedWithoutALoginToo(t *testing.T) {
	for _, c := range []struct {
		name                    string
		script                  func(*sim.CA) sim.Script
		verified, opportunistic string
	}{
		{"trusted", func(ca *sim.CA) sim.Script { return sim.Script{TLS: ca.TLS("smart.example.net")} }, okSmart, okSmart},
		{"wrong name", func(ca *sim.CA) sim.Script { return sim.Script{TLS: ca.TLS("other.example.net")} }, "- | down 4.7.5 smart.example.net", okSmart},
		{"no TLS", func(*sim.CA) sim.Script { return sim.Script{} }, "- | down 4.7.5 smart.example.net", okSmart},
		{"broken TLS", func(ca *sim.CA) sim.Script { return sim.Script{TLS: ca.OldTLS("smart.example.net")} }, "- | down 4.7.5 smart.example.net", okSmart},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ca *sim.CA
			play(t, smartZone, func(cfg *deliver.Config) { ca = sim.NewCA(t); cfg.RootCAs = ca.Pool() }, func(w *world) {
				p := w.peer("192.0.2.11:587", c.script(ca))
				w.directory = directory.NewSnapshot(1, nil, nil, nil, []directory.Outbound{{
					ID: "o1", Hop: directory.HostPort{Host: "smart.example.net", Port: 587}, TLS: directory.TLSVerified,
				}})
				w.expect(w.deliver(relay("smart.example.net:587#o1"), message("m1", "a@far.example")), c.verified)
				if c.verified != okSmart {
					saidNothing(w.t, p)
				} else if m := p.Messages()[0]; m.User != "" || m.TLS == nil {
					w.t.Errorf("user %q, TLS %v", m.User, m.TLS)
				}
				w.expect(w.deliver(relay("smart.example.net:587"), message("m2", "a@far.example")), c.opportunistic)
			})
		})
	}
}

func TestASmartHostThatCannotBeTrustedIsNotUsed(t *testing.T) {
	for _, c := range []struct {
		name   string
		port   uint16
		script func(*sim.CA) sim.Script
		reason string
	}{
		{"wrong name", 587, func(ca *sim.CA) sim.Script { return sim.Script{TLS: ca.TLS("other.example.net")} }, "not smart.example.net"},
		{"expired", 587, func(ca *sim.CA) sim.Script { return sim.Script{TLS: ca.Expired("smart.example.net")} }, "expired"},
		{"wrong name on port 465", 465, func(ca *sim.CA) sim.Script {
			return sim.Script{TLS: ca.TLS("other.example.net"), ImplicitTLS: true}
		}, "not smart.example.net"},
		{"only TLS 1.0", 587, func(ca *sim.CA) sim.Script { return sim.Script{TLS: ca.OldTLS("smart.example.net")} }, "protocol version"},
		{"STARTTLS stripped", 587, func(*sim.CA) sim.Script { return sim.Script{Extensions: []string{"AUTH PLAIN LOGIN"}} }, "demands verified TLS"},
		{"STARTTLS refused", 587, func(*sim.CA) sim.Script {
			return sim.Script{Extensions: []string{"STARTTLS", "AUTH PLAIN"}, StartTLS: "454 4.7.0 not now"}
		}, "454 4.7.0 not now"},
		{"EHLO refused", 587, func(ca *sim.CA) sim.Script {
			return sim.Script{TLS: ca.TLS("smart.example.net"), Hello: "502 no EHLO here"}
		}, "demands verified TLS"},
		{"handshake refused", 587, func(*sim.CA) sim.Script {
			return sim.Script{Extensions: []string{"STARTTLS", "AUTH PLAIN"}, StartTLS: go220, Handshake: sim.Alert}
		}, "TLS with smart.example.net"},
		{"plaintext behind the 220", 587, func(*sim.CA) sim.Script {
			return sim.Script{Extensions: []string{"STARTTLS"}, StartTLS: sim.Raw("220 go\r\n250 AUTH PLAIN\r\n")}
		}, "plaintext"},
	} {
		t.Run(c.name, func(t *testing.T) {
			smart(t, c.port, c.script, func(w *world, send func() report, p *sim.Peer) {
				t := w.t
				r := send()
				w.expect(r, "-; - | down 4.7.5 smart.example.net")
				if !strings.Contains(r.reason(), c.reason) {
					t.Errorf("the reason is %q, want %q", r.reason(), c.reason)
				}
				saidNothing(t, p)
				if p.Connections() != 1 {
					t.Errorf("%d connections: a route that demands TLS never goes without", p.Connections())
				}
			})
		})
	}
	t.Run("self-signed", func(t *testing.T) {
		play(t, smartZone, func(c *deliver.Config) { c.RootCAs = sim.NewCA(t).Pool() }, func(w *world) {
			t := w.t
			p := w.peer("192.0.2.11:587", sim.Script{TLS: sim.NewCA(t).TLS("smart.example.net"), Users: map[string]string{"user": "secret"}})
			r := w.deliver(w.outbound("smart.example.net", 587, "user", "secret"), message("m1", "a@far.example"))
			w.expect(r, "- | down 4.7.5 smart.example.net")
			if !strings.Contains(r.reason(), "unknown authority") {
				t.Errorf("the reason is %q", r.reason())
			}
			saidNothing(t, p)
		})
	})
	t.Run("nil means the system's authorities", func(t *testing.T) {
		play(t, smartZone, nil, func(w *world) {
			t := w.t
			p := w.peer("192.0.2.11:587", sim.Script{TLS: sim.NewCA(t).TLS("smart.example.net")})
			w.expect(w.deliver(w.outbound("smart.example.net", 587, "user", "secret"), message("m1", "a@far.example")), "- | down 4.7.5 smart.example.net")
			saidNothing(t, p)
		})
	})
}

func TestALoginThatFailsTakesTheLaneDown(t *testing.T) {
	for _, c := range []struct {
		name   string
		script sim.Script
		reason string
	}{
		{"refused", sim.Script{Users: map[string]string{"user": "changed"}}, "login to the smart host as user by PLAIN: 535 5.7.8 no"},
		{"refused for now", sim.Script{Auth: "454 4.7.0 later"}, "454 4.7.0 later"},
		{"hangs", sim.Script{Auth: sim.Hang}, "i/o timeout"},
		{"closes", sim.Script{Auth: sim.Close}, "login to the smart host"},
		{"not offered", sim.Script{TLSExtensions: []string{"PIPELINING"}}, "no way to log in"},
		{"nothing we speak", sim.Script{TLSExtensions: []string{"AUTH GSSAPI NTLM"}}, "no way to log in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			script := func(ca *sim.CA) sim.Script { c.script.TLS = ca.TLS("smart.example.net"); return c.script }
			smart(t, 587, script, func(w *world, send func() report, p *sim.Peer) {
				t := w.t
				r := send()
				w.expect(r, "-; - | down 4.7.8 smart.example.net")
				if !strings.Contains(r.reason(), c.reason) || strings.Contains(r.reason(), "secret") {
					t.Errorf("the reason is %q, want %q", r.reason(), c.reason)
				}
				if len(p.Messages()) > 0 || strings.Contains(w.log.String(), "secret") {
					t.Error("mail went out, or the password into the log")
				}
			})
		})
	}
}

// scramHost is a smart host that speaks SCRAM-SHA-256 as well as PLAIN and LOGIN; lie ends the exchange before
// it has proved anything.
func scramHost(t *testing.T, config *tls.Config, lie bool, heard *[]string) func(net.Conn) {
	t.Helper()
	verifier, err := sasl.NewVerifier("secret", []byte("0123456789abcdef"), sasl.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	return func(raw net.Conn) {
		conn := tls.Server(raw, config)
		defer func() { _ = conn.Close() }() // the other end is gone
		exchange := sasl.NewScramServer(func(string) (sasl.Verifier, error) { return verifier, nil }, nil)
		in := bufio.NewReader(conn)
		reply, content, open := "220 smart", false, false
		for {
			if _, err := io.WriteString(conn, reply+"\r\n"); err != nil {
				return
			}
			line, err := in.ReadString('\n')
			for err == nil && content && line != ".\r\n" {
				line, err = in.ReadString('\n')
			}
			if err != nil {
				return
			}
			content = false
			words := append(strings.Fields(line), "")
			*heard = append(*heard, words[0])
			reply = "250 ok"
			switch {
			case words[0] == "EHLO":
				reply = "250-smart\r\n250 AUTH LOGIN PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS"
			case words[0] == "AUTH" || open:
				word := words[max(0, len(words)-2)]
				*heard = append(*heard, word)
				response, _ := base64.StdEncoding.DecodeString(word)
				challenge, done, err := exchange.Next(response)
				switch {
				case lie, done:
					reply, open = "235 2.7.0 welcome", false
				case err != nil:
					reply, open = "535 5.7.8 "+err.Error(), false
				default:
					reply, open = "334 "+base64.StdEncoding.EncodeToString(challenge), true
				}
			case words[0] == "DATA":
				reply, content = "354 go on", true
			case words[0] == "QUIT":
				return
			}
		}
	}
}

func TestSCRAMIsPreferred(t *testing.T) {
	for _, c := range []struct{ password, want, reason string }{
		{"secret", okSmart, ""},
		{"wrong", "- | down 4.7.8 smart.example.net", "SCRAM-SHA-256: 535 5.7.8"},
		{"lie", "- | down 4.7.8 smart.example.net", "did not prove"},
	} {
		var ca *sim.CA
		play(t, smartZone, func(cfg *deliver.Config) { ca = sim.NewCA(t); cfg.RootCAs = ca.Pool() }, func(w *world) {
			t := w.t
			var heard []string
			w.net.Serve("192.0.2.11:465", scramHost(t, ca.TLS("smart.example.net"), c.password == "lie", &heard))
			lane := w.outbound("smart.example.net", 465, "user", c.password)
			r := w.deliver(lane, message("m1", "a@far.example"))
			if got := strings.ReplaceAll(r.text(), "250  ", "250 2.0.0 "); !strings.HasPrefix(got, strings.Fields(c.want)[0]) {
				t.Errorf("got %s", got)
			}
			if c.reason != "" && !strings.Contains(r.reason(), c.reason) {
				t.Errorf("the reason is %q, want %q", r.reason(), c.reason)
			}
			for _, word := range heard {
				if octets, err := base64.StdEncoding.DecodeString(word); err == nil && strings.Contains(string(octets), c.password) {
					t.Errorf("the password went out: %q", octets)
				}
			}
			if !slices.Contains(heard, "AUTH") {
				t.Error("no login")
			}
		})
	}
}

func TestThePasswordGoesToTheRoutesHostOnly(t *testing.T) {
	// The route was changed while mail for its old host waited: the lane still has the old name.
	var ca *sim.CA
	play(t, smartZone, func(c *deliver.Config) { ca = sim.NewCA(t); c.RootCAs = ca.Pool() }, func(w *world) {
		t := w.t
		lane := w.outbound("smart.example.net", 587, "user", "secret")
		old := w.peer("192.0.2.11:587", sim.Script{TLS: ca.TLS("smart.example.net"), Users: map[string]string{}})
		p := w.peer("192.0.2.12:587", sim.Script{TLS: ca.TLS("new.example.net"), Users: map[string]string{"user": "secret"}})
		w.outbound("new.example.net", 587, "user", "secret")
		w.expect(w.deliver(lane, message("m1", "a@far.example")), "delivered 250 2.0.0 new.example.net")
		if old.Connections() > 0 || p.Messages()[0].User != "user" {
			t.Error("the old host was asked")
		}
	})
}

func TestARouteThatHasLostItsLoginIsAPlainRoute(t *testing.T) {
	play(t, smartZone, nil, func(w *world) {
		t := w.t
		lane := w.outbound("smart.example.net", 587, "", "")
		p := w.peer("192.0.2.11:587", sim.Script{})
		w.expect(w.deliver(lane, message("m1", "a@far.example")), okSmart)
		if p.Messages()[0].User != "" {
			t.Error("somebody logged in")
		}
		w.directory = directory.NewSnapshot(2, nil, nil, nil, nil)
		pass(10e9)
		w.expect(w.deliver(lane, message("m1", "a@far.example")), "- | down 4.3.5 us.example")
	})
}

func TestASmartHostByItsAddress(t *testing.T) {
	var ca *sim.CA
	play(t, nil, func(c *deliver.Config) { ca = sim.NewCA(t); c.RootCAs = ca.Pool() }, func(w *world) {
		users := map[string]string{"user": "secret"}
		w.peer("[2001:db8::11]:587", sim.Script{TLS: ca.TLS("2001:db8::11"), Users: users})
		w.peer("192.0.2.11:465", sim.Script{TLS: ca.TLS("192.0.2.12"), Users: users, ImplicitTLS: true})
		w.expect(w.deliver(w.outbound("2001:db8::11", 587, "user", "secret"), message("m1", "a@far.example")), "delivered 250 2.0.0 2001:db8::11")
		w.expect(w.deliver(w.outbound("192.0.2.11", 465, "user", "secret"), message("m1", "a@far.example")), "- | down 4.7.5 192.0.2.11")
	})
}

func TestCredentialsThatNoMechanismCanCarry(t *testing.T) {
	var ca *sim.CA
	play(t, smartZone, func(c *deliver.Config) { ca = sim.NewCA(t); c.RootCAs = ca.Pool() }, func(w *world) {
		p := w.peer("192.0.2.11:587", sim.Script{TLS: ca.TLS("smart.example.net"), Users: map[string]string{}})
		w.expect(w.deliver(w.outbound("smart.example.net", 587, "us\x00er", "secret"), message("m1", "a@far.example")), "- | down 4.7.8 smart.example.net")
		saidNothing(w.t, p)
	})
}
