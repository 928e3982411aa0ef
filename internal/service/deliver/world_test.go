package deliver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/obs"
	"postroad/internal/service/deliver"
	"postroad/internal/service/resolver"
	"postroad/internal/sim"
)

const nameServer = "192.0.2.53:53"

// world is a bubble with a network, a name server, peers and the agent under test.
type world struct {
	t        *testing.T
	net      *sim.Network
	dns      *sim.DNS
	service  *deliver.Service
	resolver *resolver.Service
	metrics  *obs.Metrics
	peers    []*sim.Peer
	log      *sim.Output
	lanes    sync.WaitGroup

	mu         sync.Mutex
	open, peak int // connections of the agent

	directory *directory.Snapshot
	ours      []netip.Addr     // addresses at which mail comes back to us
	listeners []netip.AddrPort // of ours
}

// everywhere lifts the guard, as the addresses of the test world are those of documentation.
var everywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// play runs a scenario in a bubble and looks whether anything is left over.
func play(t *testing.T, zones sim.Zones, change func(*deliver.Config), scenario func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := build(t, zones, change)
		scenario(w)
		w.end()
	})
}

func build(t *testing.T, zones sim.Zones, change func(*deliver.Config)) *world {
	t.Helper()
	w := &world{
		t: t, net: sim.NewNetwork(t), dns: sim.NewDNS(t, zones), metrics: obs.NewMetrics(), log: &sim.Output{},
		directory: directory.NewSnapshot(1, nil, nil, nil, nil),
	}
	w.net.DNS(nameServer, w.dns)
	cfg := deliver.Config{Hostname: "us.example", Allow: everywhere}
	if change != nil {
		change(&cfg)
	}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	r := resolver.New(resolver.Config{Servers: []string{nameServer}}, slog.New(slog.DiscardHandler), resolver.WithDialer(w.net))
	w.service, w.resolver = deliver.New(cfg, w, r, w, w, w.metrics, log), r
	return w
}

// DialContext implements deliver.Dialer and counts what is open.
func (w *world) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := w.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	w.peak = max(w.peak, w.open)
	return &countedConn{Conn: conn, w: w}, nil
}

// countedConn is a connection until its first Close.
type countedConn struct {
	net.Conn
	w    *world
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() {
		c.w.mu.Lock()
		defer c.w.mu.Unlock()
		c.w.open--
	})
	return c.Conn.Close()
}

// mostAtOnce is the largest number of connections at the same time.
func (w *world) mostAtOnce() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.peak
}

// View implements deliver.Directory.
func (w *world) View() routing.View { return routing.View{Directory: w.directory} }

// Answers implements deliver.Self.
func (w *world) Answers(a netip.Addr) bool { return slices.Contains(w.ours, a) }

// Listens implements deliver.Self.
func (w *world) Listens(a netip.AddrPort) bool { return slices.Contains(w.listeners, a) }

// end closes the agent: no connection may be left, and the bubble shows that no goroutine is.
func (w *world) end() {
	w.t.Helper()
	w.lanes.Wait()
	w.service.Close()
	pass(time.Hour) // for peers that sleep by script
	synctest.Wait()
	if open := w.metric("postroad_deliver_connections"); open != 0 {
		w.t.Errorf("%v connections are counted as open after Close", open)
	}
	if w.open != 0 {
		w.t.Errorf("%d connections were never closed", w.open)
	}
	for _, p := range w.peers {
		if p.Open() != 0 {
			w.t.Errorf("a peer still has %d connections after Close", p.Open())
		}
		p.CheckFaults(w.t)
	}
}

// metric is a metric's sum over its labels.
func (w *world) metric(name string) float64 {
	w.t.Helper()
	all, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	return all[name]
}

// peer puts a new peer at an address:port.
func (w *world) peer(address string, script sim.Script) *sim.Peer {
	w.t.Helper()
	p := sim.NewPeer(w.t, script)
	w.peers = append(w.peers, p)
	w.net.Peer(address, p)
	return p
}

// dials are the addresses of hosts that were dialled since the last call, in order, without the name server.
func (w *world) dials(since int) []string {
	var out []string
	for _, d := range w.net.Dials()[since:] {
		if d != nameServer {
			out = append(out, d)
		}
	}
	return out
}

const body = "Subject: a letter\r\n\r\n.with a dot\r\nand \xff octets\r\n"

// message is a delivery to some recipients, each a row.
func message(id string, to ...string) mail.Delivery {
	d := mail.Delivery{
		Message: &mail.Message{ID: mail.ID(id), Sender: id + "@sender.example", Size: int64(len(body)), Rows: len(to)},
		Content: mail.Content{Inline: []byte(body)},
	}
	for n, address := range to {
		d.Recipients = append(d.Recipients, mail.Recipient{Row: mail.Row{ID: mail.ID(id), N: n}, Destination: address})
	}
	return d
}

// messages are n deliveries m1, m2 … to one recipient each.
func messages(n int, to string) []mail.Delivery {
	list := make([]mail.Delivery, n)
	for i := range list {
		list[i] = message(fmt.Sprintf("m%d", i+1), to)
	}
	return list
}

// report is what Deliver said.
type report struct {
	outcomes [][]mail.Outcome // nil for deliveries without one
	err      error
}

// deliver attempts a batch.
func (w *world) deliver(lane mail.Lane, batch ...mail.Delivery) report {
	w.t.Helper()
	return w.deliverIn(w.t.Context(), lane, batch...)
}

func (w *world) deliverIn(ctx context.Context, lane mail.Lane, batch ...mail.Delivery) report {
	w.t.Helper()
	r := report{outcomes: make([][]mail.Outcome, len(batch))}
	r.err = w.service.Deliver(ctx, lane, batch, func(i int, outcomes []mail.Outcome) {
		if r.outcomes[i] != nil {
			w.t.Errorf("delivery %d was reported twice", i)
		}
		if len(outcomes) != len(batch[i].Recipients) {
			w.t.Errorf("delivery %d has %d rows and %d outcomes", i, len(batch[i].Recipients), len(outcomes))
		}
		for j, o := range outcomes {
			if o.Row != batch[i].Recipients[j].Row || o.At.IsZero() || o.Result == 0 || o.Reply.Code == 0 {
				w.t.Errorf("delivery %d row %d has an outcome that says too little: %+v", i, j, o)
			}
		}
		r.outcomes[i] = outcomes
	})
	return r
}

// text is a report in one line: for each row the result, code, enhanced code and host; "-" for a delivery
// without outcome; at the end the lane's failure, if any.
func (r report) text() string {
	var parts []string
	for _, rows := range r.outcomes {
		if rows == nil {
			parts = append(parts, "-")
			continue
		}
		var all []string
		for _, o := range rows {
			all = append(all, strings.TrimSpace(fmt.Sprintf("%s %d %s %s", o.Result, o.Reply.Code, o.Reply.Enhanced, o.Host)))
		}
		parts = append(parts, strings.Join(all, ", "))
	}
	text := strings.Join(parts, "; ")
	var down *mail.LaneDown
	switch {
	case r.err == nil:
		return text
	case errors.As(r.err, &down):
		if !down.Reply.Temporary() {
			return text + " | down for good: " + down.Error()
		}
		return fmt.Sprintf("%s | down %s %s", text, down.Reply.Enhanced, down.Host)
	}
	return text + " | " + r.err.Error()
}

// reason is the text of the lane's failure.
func (r report) reason() string {
	var down *mail.LaneDown
	if errors.As(r.err, &down) {
		return down.Reply.String()
	}
	return fmt.Sprint(r.err)
}

func (w *world) expect(r report, want string) {
	w.t.Helper()
	if got := r.text(); got != want {
		w.t.Errorf("got\n %s\nwant\n %s\nlog:\n%s", got, want, w.log)
	}
}

// copies counts the copies that a peer has of each message, by sender.
func copies(p *sim.Peer) map[string]int {
	out := map[string]int{}
	for _, m := range p.Messages() {
		out[strings.TrimSuffix(m.From, "@sender.example")]++
	}
	return out
}

// took is the time that something takes in the bubble.
func took(do func()) time.Duration {
	begun := time.Now()
	do()
	return time.Since(begun)
}

// pass lets the bubble's clock run.
func pass(d time.Duration) { <-time.After(d) }

func remote(domain string) mail.Lane { return mail.MakeLane(mail.TransportRemote, domain) }

func relay(hops string) mail.Lane { return mail.MakeLane(mail.TransportRelay, hops) }

// ownDomain makes a domain one of this installation.
func (w *world) ownDomain(name string, proved bool) {
	w.directory = directory.NewSnapshot(1, []directory.Domain{{ID: "d1", Account: "a1", Name: name, Proved: proved, Mode: directory.ModeRemote}}, nil, nil, nil)
}

// outbound makes an outbound route o1 with a login.
func (w *world) outbound(host string, port uint16, user, password string) mail.Lane {
	w.directory = directory.NewSnapshot(1, nil, nil, nil, []directory.Outbound{{
		ID: "o1", Hop: directory.HostPort{Host: host, Port: port}, User: user, Password: password,
	}})
	return relay(fmt.Sprintf("%s:%d#o1", host, port))
}

// dialogue is a server that answers each line by its first word, and a content's end by the entry ".".
func dialogue(t *testing.T, greeting string, replies map[string]string) func(net.Conn) {
	t.Helper()
	return func(conn net.Conn) {
		defer func() { _ = conn.Close() }() // the other end is gone
		say := func(text string) bool {
			_, err := io.WriteString(conn, text+"\r\n")
			return err == nil
		}
		if !say(greeting) {
			return
		}
		in, content := bufio.NewReader(conn), false
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			if content && word != "." {
				continue
			}
			reply := replies[strings.ToUpper(word)]
			content = strings.HasPrefix(reply, "354")
			if !say(reply) || word == "QUIT" {
				return
			}
		}
	}
}
