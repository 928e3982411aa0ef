package deliver_test

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/obs"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/deliver"
	"postroad/internal/service/resolver"
	"postroad/internal/sim"
)

// onLoopback is a world of real sockets: peers on 127.0.0.1, a name server beside them.
func onLoopback(t *testing.T, zones sim.Zones, change func(*deliver.Config)) *world {
	t.Helper()
	w := &world{t: t, metrics: obs.NewMetrics(), log: &sim.Output{}, directory: directory.NewSnapshot(1, nil, nil, nil, nil)}
	cfg := deliver.Config{
		Hostname: "us.example", Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		ConnectTimeout: 5 * time.Second,
		Timeouts:       smtp.Timeouts{Greeting: 5 * time.Second, Command: 5 * time.Second, DataInit: 5 * time.Second, DataBlock: 5 * time.Second, DataEnd: 5 * time.Second},
	}
	if change != nil {
		change(&cfg)
	}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	r := resolver.New(resolver.Config{Servers: []string{sim.StartDNS(t, zones).Addr()}}, slog.New(slog.DiscardHandler))
	w.service = deliver.New(cfg, w, r, &net.Dialer{}, w, w.metrics, log)
	t.Cleanup(func() {
		w.service.Close()
		if open := w.metric("postroad_deliver_connections"); open != 0 {
			t.Errorf("%v connections are counted as open after Close", open)
		}
	})
	return w
}

func TestOverRealSockets(t *testing.T) {
	t.Parallel()
	ca := sim.NewCA(t)
	large := bytes.Repeat([]byte(".line with a dot\r\n"), 100_000)
	for _, c := range []struct {
		name   string
		script sim.Script
	}{
		{"in clear", sim.Script{}},
		{"in clear, step by step", sim.Script{Extensions: []string{}}},
		{"TLS", sim.Script{TLS: ca.Expired("other.example")}},
		{"broken TLS", sim.Script{Extensions: []string{"STARTTLS", "PIPELINING"}, TLS: ca.OldTLS("x")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := onLoopback(t, sim.Zones{"example.net": "hop A 127.0.0.1"}, nil)
			p := sim.StartPeer(t, c.script)
			_, port, _ := net.SplitHostPort(p.Addr())
			lane := relay("hop.example.net:" + port)
			for range 3 {
				batch := messages(20, "a@example.net")
				batch[7].Content.Inline, batch[7].Message.Size = large, int64(len(large))
				w.expect(w.deliver(lane, batch...), times(20, "delivered 250 2.0.0 hop.example.net"))
			}
			if got := len(p.Messages()); got != 60 {
				t.Errorf("%d messages", got)
			}
			if !bytes.Equal(p.Messages()[7].Body, large) {
				t.Error("a large content has changed")
			}
			p.CheckFaults(t)
		})
	}
}

func TestByMXOverRealSockets(t *testing.T) {
	t.Parallel()
	p := sim.StartPeer(t, sim.Script{})
	port := netip.MustParseAddrPort(p.Addr()).Port()
	zones := sim.Zones{"example.net": "@ MX 5 dead\n@ MX 10 mx1\ndead A 127.0.0.2\nmx1 A 127.0.0.1"}
	w := onLoopback(t, zones, func(c *deliver.Config) { c.Port = port })
	w.expect(w.deliver(remote("example.net"), messages(5, "a@example.net")...), times(5, okMX1))
}

func TestAPeerThatHasLeftMeanwhileOverRealSockets(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"drop", sim.ThenClose("421 4.4.2 idle"), sim.Reset} {
		script := sim.Script{}
		if step != "drop" {
			script.Connection = map[int]sim.Script{1: {Mail: sim.InTurn("", step)}}
		}
		p := sim.StartPeer(t, script)
		w := onLoopback(t, nil, nil)
		lane := relay(p.Addr())
		w.expect(w.deliver(lane, message("m0", "a@example.net")), "delivered 250 2.0.0 127.0.0.1")
		if step == "drop" {
			p.Drop()
		}
		w.expect(w.deliver(lane, messages(5, "a@example.net")...), times(5, "delivered 250 2.0.0 127.0.0.1"))
		if p.Connections() != 2 || len(p.Messages()) != 6 {
			t.Errorf("%d connections, %d messages", p.Connections(), len(p.Messages()))
		}
	}
}

func TestNoReplyAfterTheDotOverRealSockets(t *testing.T) {
	t.Parallel()
	for _, step := range []string{sim.CloseWithoutReply, sim.Reset} {
		p := sim.StartPeer(t, sim.Script{Dot: sim.InTurn(step, "")})
		w := onLoopback(t, nil, nil)
		m := message("m1", "a@example.net")
		r := w.deliver(relay(p.Addr()), m)
		w.expect(r, "deferred 451 4.4.2 127.0.0.1")
		w.expect(w.deliver(relay(p.Addr()), retry(m, r)), "delivered 250 2.0.0 127.0.0.1")
		if len(p.Messages()) != 2 {
			t.Errorf("%d copies", len(p.Messages()))
		}
	}
}

func TestOverLMTPAndARealSocket(t *testing.T) {
	t.Parallel()
	p := sim.StartPeer(t, sim.Script{LMTP: true, DotRcpt: map[string]string{"full@example.net": "452 4.2.2 full"}})
	w := onLoopback(t, nil, nil)
	w.expect(w.deliver(mail.MakeLane(mail.TransportLMTP, p.Addr()), message("m1", "a@example.net", "full@example.net")),
		"delivered 250 2.0.0 127.0.0.1, deferred 452 4.2.2 127.0.0.1")
}

func TestNobodyListensOnARealSocket(t *testing.T) {
	t.Parallel()
	w := onLoopback(t, nil, nil)
	r := w.deliver(relay(sim.FreeAddress(t)), message("m1", "a@example.net"))
	w.expect(r, "- | down 4.4.1 127.0.0.1")
	if !strings.Contains(r.reason(), "connection refused") {
		t.Errorf("the reason is %q", r.reason())
	}
}

func TestOverLMTPAndUnixSockets(t *testing.T) {
	t.Parallel()
	ca := sim.NewCA(t)
	dir := t.TempDir()
	p, q := sim.NewPeer(t, sim.Script{LMTP: true, Rcpt: map[string]string{"b@example.net": "450 4.2.1 not here"}, TLS: ca.TLS("x")}), sim.NewPeer(t, sim.Script{LMTP: true})
	p.Listen(dir + "/p")
	q.Listen(dir + "/q")
	w := onLoopback(t, nil, func(c *deliver.Config) { c.Allow = nil })
	lane := mail.MakeLane(mail.TransportLMTP, dir+"/nobody,"+dir+"/p,"+dir+"/q")
	w.expect(w.deliver(lane, message("m1", "a@example.net", "b@example.net"), message("m2", "a@example.net")),
		"delivered 250 2.0.0 us.example, delivered 250 2.0.0 us.example; delivered 250 2.0.0 us.example")
	if got := len(p.Messages()); got != 2 || len(q.Messages()) != 1 || p.Messages()[0].TLS != nil {
		t.Errorf("%d messages at the first socket, %d at the second; TLS %v", got, len(q.Messages()), p.Messages()[0].TLS)
	}
}
