package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/config"
	"postroad/internal/server"
	"postroad/internal/sim"
)

// world is a whole Internet within the process, with one server in it, so that days pass in seconds.
type world struct {
	t    *testing.T
	net  *sim.Network
	dns  *sim.DNS
	data string
	log  *sim.Output
}

const (
	serverAddr  = "192.0.2.10"
	primaryAddr = "198.51.100.1"
	senderAddr  = "198.51.100.2"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, net: sim.NewNetwork(t), dns: sim.NewDNS(t, sim.Zones{}), data: filepath.Join(t.TempDir(), "data"), log: &sim.Output{}}
	w.net.DNS("192.0.2.53:53", w.dns)
	cfg := config.Config{
		DataDir: w.data, Addresses: []netip.Addr{netip.MustParseAddr(serverAddr)},
		Listen: config.Listen{
			SMTP: []string{serverAddr + ":25"}, Submission: []string{}, Submissions: []string{}, HTTP: []string{}, IMAP: []string{}, IMAPS: []string{}, DNS: []string{},
		},
		Resolver: config.Resolver{Servers: []string{"192.0.2.53:53"}},
		Deliver:  config.Deliver{Allow: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}},
	}
	s, err := server.Start(t.Context(), cfg.WithDefaults("mx.test.example"), server.Options{
		Dialer: w.net,
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			if network == "unix" { // the server sets the file's mode
				if err := os.WriteFile(address, nil, 0o600); err != nil {
					return nil, err
				}
			}
			return w.net.Listen(ctx, network, address)
		},
	}, slog.New(slog.NewTextHandler(w.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			text := w.log.String()
			t.Logf("log of the server:\n%s", text[max(0, len(text)-6000):])
		}
	})
	return w
}

// api asks the operator's socket for something that must succeed.
func (w *world) api(method, path string, body any) {
	w.t.Helper()
	w.ask(method, path, body)
}

// get reads something that must be there.
func (w *world) get(path string) []byte {
	w.t.Helper()
	return w.ask(http.MethodGet, path, struct{}{})
}

// ask asks the operator's socket, and gives the answer.
func (w *world) ask(method, path string, body any) []byte {
	w.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return w.net.DialContext(ctx, "unix", filepath.Join(w.data, config.SocketName))
	}}
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, "http://postroad/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	all, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s\n%s", method, path, answer.Status, all)
	}
	return all
}

// mail hands in a message as a stranger and gives the reply that decided.
func (w *world) mail(from, to, subject string) string {
	w.t.Helper()
	conn, err := w.net.DialContext(w.t.Context(), "tcp", serverAddr+":25")
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // everything has been answered
	c := textproto.NewConn(conn)
	if _, _, err := c.ReadResponse(220); err != nil {
		w.t.Fatal(err)
	}
	for _, line := range []string{"EHLO sender.example", "MAIL FROM:<" + from + ">", "RCPT TO:<" + to + ">", "DATA", "Subject: " + subject + "\r\n\r\nHello.\r\n."} {
		if err := c.PrintfLine("%s", line); err != nil {
			w.t.Fatal(err)
		}
		code, text, err := c.ReadResponse(0)
		if err != nil {
			w.t.Fatal(err)
		}
		if code >= 400 {
			return fmt.Sprint(code, " ", text)
		}
	}
	return "250"
}

// subjects are those of the messages that a peer holds.
func subjects(p *sim.Peer) map[string]int {
	out := map[string]int{}
	for _, m := range p.Messages() {
		header := string(m.Body)
		_, rest, _ := strings.Cut(header, "Subject: ")
		subject, _, _ := strings.Cut(rest, "\r\n")
		out[subject]++
	}
	return out
}

// TestS5_9APrimaryThatIsAwayFor36HoursLosesNothing: a backup holds mail of all kinds of senders for a day and a half,
// knows who exists by a list, and hands everything on within seconds when the primary is back.
func TestS5_9APrimaryThatIsAwayFor36HoursLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dns.SetZone("acme.example", "$TTL 300\n@ SOA ns x 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n@ MX 10 primary\n@ MX 20 backup\nprimary A "+primaryAddr+"\nbackup A "+serverAddr+"\n")
		w.dns.SetZone("far.example", "$TTL 300\n@ SOA ns x 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n@ MX 10 mx\nmx A "+senderAddr+"\n")
		sender := sim.NewPeer(t, sim.Script{})
		w.net.Peer(senderAddr+":25", sender)
		w.net.Refuse(primaryAddr + ":25")
		w.api(http.MethodPost, "/domains?confirm=true", map[string]any{"name": "acme.example", "mode": "backup", "recipients": "list", "proved": true})
		w.know("acme.example", "ann@acme.example", "bob@acme.example")

		sent := 0
		for hour := range 36 {
			for _, from := range []string{"x@far.example", "", "list-bounces@far.example"} {
				subject := fmt.Sprintf("%d from %s", hour, from)
				if reply := w.mail(from, []string{"ann@acme.example", "bob@acme.example"}[hour%2], subject); reply != "250" {
					t.Fatalf("%s: %s", subject, reply)
				}
				sent++
			}
			if reply := w.mail("victim@far.example", "nobody@acme.example", "spam"); !strings.HasPrefix(reply, "550 5.1.1") {
				t.Fatalf("an unknown recipient is answered %s", reply)
			}
			time.Sleep(time.Hour)
		}

		primary := sim.NewPeer(t, sim.Script{Rcpt: map[string]string{"ann@acme.example": "", "bob@acme.example": "", "*": "550 5.1.1 unknown"}})
		w.net.Peer(primaryAddr+":25", primary)
		time.Sleep(5 * time.Second)
		got := subjects(primary)
		if len(got) != sent {
			t.Errorf("%d of %d messages have arrived 5 s after the primary came back", len(got), sent)
		}
		for subject, n := range got {
			if n != 1 {
				t.Errorf("%q has arrived %d times", subject, n)
			}
		}
		time.Sleep(time.Hour)
		for _, m := range sender.Messages() {
			if to := m.Accepted(); len(to) != 1 || to[0] != "x@far.example" && to[0] != "list-bounces@far.example" || strings.Contains(string(m.Body), "Action: failed") {
				t.Errorf("a message went back to %v:\n%.600s", to, m.Body)
			}
		}
	})
}

// know uploads the list of a domain's recipients.
func (w *world) know(domain string, addresses ...string) {
	w.t.Helper()
	w.api(http.MethodPut, "/domains/"+domain+"/recipients?confirm=true", map[string]any{"addresses": addresses})
}
