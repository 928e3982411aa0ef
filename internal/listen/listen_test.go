package listen_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/budget"
	"postroad/internal/listen"
	"postroad/internal/obs"
	"postroad/internal/sim"
)

// socket is a listener that gives what it is sent.
type socket struct {
	arrives chan any // net.Conn or error
	closed  chan struct{}
	asked   atomic.Int64
}

func (l *socket) Accept() (net.Conn, error) {
	l.asked.Add(1)
	select {
	case next := <-l.arrives:
		if err, failed := next.(error); failed {
			return nil, &net.OpError{Op: "accept", Err: err}
		}
		return next.(net.Conn), nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *socket) Close() error {
	close(l.closed)
	return nil
}

func (l *socket) Addr() net.Addr { return &net.TCPAddr{} }

// service answers lines: "hand over" lets another goroutine go on, "rest" and "nap" do so after a long and a short rest, "panic" and "panic twice" panic, "store" begins what must
// get its answer, and all else is said again. A session says "bye" when it is asked to end.
type service struct {
	t        *testing.T
	sessions *listen.Sessions
	socket   *socket
	served   chan error
	tls      *tls.Config
	secure   bool // from the first octet
	metrics  *obs.Metrics
	log      bytes.Buffer
}

func begin(t *testing.T, cfg listen.Config, change func(*service)) *service {
	t.Helper()
	s := &service{t: t, socket: &socket{arrives: make(chan any), closed: make(chan struct{})}, served: make(chan error, 1), metrics: obs.NewMetrics()}
	if change != nil {
		change(s)
	}
	cfg.Meters = listen.Meters{Now: s.metrics.SMTPSessions, Total: s.metrics.SMTPSessionsTotal, Refused: s.metrics.SMTPSessionsRefused, Handshakes: s.metrics.SMTPTLSHandshakes, Panics: s.metrics.SMTPPanics}
	if cfg.Sessions == 0 {
		cfg.Sessions = 100
	}
	if cfg.PerCustomer == 0 {
		cfg.PerCustomer = 100
	}
	s.sessions = listen.New(cfg, slog.New(slog.NewTextHandler(&s.log, nil)))
	kind := listen.Kind{Name: "smtp", Full: []byte("full\n"), Begin: func(c *listen.Client) listen.Session { return &session{service: s, client: c, conn: c.Conn} }}
	go func() { s.served <- s.sessions.Serve(s.socket, &kind) }()
	return s
}

// stop ends the service within a time and gives how long that took.
func (s *service) stop(limit time.Duration) time.Duration {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	from := time.Now()
	s.sessions.Stop(ctx)
	took := time.Since(from)
	if err := <-s.served; err != nil {
		s.t.Errorf("Serve: %v", err)
	}
	return took
}

// counts holds metrics against what they should be.
func (s *service) counts(want map[string]float64) {
	s.t.Helper()
	got, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for name, n := range want {
		if got["postroad_smtp_"+name] != n {
			s.t.Errorf("%s is %v, want %v", name, got["postroad_smtp_"+name], n)
		}
	}
}

// client is the other end of a connection.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (s *service) dial(from string) *client {
	near, far := sim.Pipe(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 4711)), &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25})
	s.socket.arrives <- far
	return &client{t: s.t, conn: near, in: bufio.NewReader(near)}
}

// say sends a line and expects one; "" is the end of the connection.
func (c *client) say(line, want string) {
	c.t.Helper()
	if line != "" {
		if _, err := io.WriteString(c.conn, line+"\n"); err != nil {
			c.t.Fatal(err)
		}
	}
	got, err := c.in.ReadString('\n')
	if got = strings.TrimSuffix(got, "\n"); got != want || want == "" && err == nil {
		c.t.Errorf("after %q came %q (%v), want %q", line, got, err, want)
	}
}

type session struct {
	service *service
	client  *listen.Client
	conn    net.Conn
	in      *bufio.Reader
	stores  atomic.Bool
	ending  atomic.Bool
	wants   atomic.Bool // to say when it is awake
	rounds  int
}

func (s *session) Run() (again bool) {
	s.rounds++
	if s.in == nil && s.service.secure {
		conn, err := s.client.Secure(s.service.tls)
		if err != nil {
			return false
		}
		s.conn = conn
	}
	if s.in == nil {
		s.in = bufio.NewReader(s.conn)
	}
	if s.wants.CompareAndSwap(true, false) {
		_, _ = fmt.Fprintf(s.conn, "awake in round %d\n", s.rounds)
	}
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			if s.ending.Load() {
				_, _ = io.WriteString(s.conn, "bye\n")
			}
			return false
		}
		switch line = strings.TrimSuffix(line, "\n"); line {
		case "hand over":
			_, _ = fmt.Fprintf(s.conn, "round %d\n", s.rounds)
			return true
		case "rest", "nap":
			_, _ = fmt.Fprintf(s.conn, "round %d\n", s.rounds)
			if s.in.Buffered() > 0 {
				continue
			}
			until := time.Now().Add(time.Hour)
			if line == "nap" {
				until = time.Now()
				s.wants.Store(true)
			}
			s.client.Rest(until)
			return true
		case "panic":
			panic("as it was told")
		case "store":
			s.stores.Store(true)
		case "stored":
			s.stores.Store(false)
			if s.ending.Load() {
				_ = s.conn.SetReadDeadline(time.Now())
			}
		}
		if _, err := io.WriteString(s.conn, line+"\n"); err != nil {
			return false
		}
	}
}

func (s *session) End(why listen.Cause) {
	s.ending.Store(true)
	if why == listen.Crowded || !s.stores.Load() {
		_ = s.client.Conn.SetReadDeadline(time.Now())
	}
}

func TestSessionsRunBesideOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, listen.Config{}, nil)
		a, b := s.dial("192.0.2.10"), s.dial("192.0.2.11")
		b.say("hello", "hello")
		a.say("hand over", "round 1")
		a.say("hand over", "round 2")
		a.say("hi", "hi")
		s.counts(map[string]float64{"sessions": 2, "sessions_total": 2})
		_ = a.conn.Close()
		synctest.Wait()
		s.counts(map[string]float64{"sessions": 1})
		s.stop(time.Minute)
		b.say("", "bye")
		b.say("", "")
		s.counts(map[string]float64{"sessions": 0, "sessions_total": 2, "sessions_refused_total": 0, "panics_total": 0})
	})
}

func TestAPanicEndsItsSessionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, listen.Config{PerCustomer: 2}, nil)
		a, b := s.dial("192.0.2.10"), s.dial("192.0.2.10")
		a.say("hand over", "round 1")
		a.say("panic", "")
		b.say("hello", "hello")
		synctest.Wait()
		s.dial("192.0.2.10").say("the place is free", "the place is free")
		s.counts(map[string]float64{"panics_total": 1, "sessions": 2})
		s.stop(time.Minute)
		if !strings.Contains(s.log.String(), `panic="as it was told"`) || !strings.Contains(s.log.String(), "client=192.0.2.10") {
			t.Error(s.log.String())
		}
	})
}

func TestOneCustomerHasSoManySessions(t *testing.T) {
	for name, c := range map[string]struct{ first, second, third, other string }{
		"of one address":         {"192.0.2.10", "192.0.2.10", "192.0.2.10", "192.0.2.11"},
		"of one address written": {"192.0.2.10", "::ffff:192.0.2.10", "192.0.2.10", "192.0.2.11"},
		"of one /64":             {"2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::", "2001:db8:0:2::1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := begin(t, listen.Config{PerCustomer: 2}, nil)
				first := s.dial(c.first)
				first.say("1", "1")
				s.dial(c.second).say("2", "2")
				refused := s.dial(c.third)
				refused.say("", "full")
				refused.say("", "")
				s.dial(c.other).say("3", "3")
				_ = first.conn.Close()
				synctest.Wait()
				s.dial(c.third).say("4", "4")
				s.counts(map[string]float64{"sessions": 3, "sessions_total": 4, "sessions_refused_total": 1})
				s.stop(time.Minute)
			})
		})
	}
}

func TestThereAreSoManySessionsInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, listen.Config{Sessions: 2}, nil)
		s.dial("192.0.2.10").say("1", "1")
		s.dial("192.0.2.11").say("2", "2")
		s.dial("192.0.2.12").say("", "full")
		s.stop(time.Minute)
	})
}

func TestTheOldestStrangersMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		settled := make(chan *listen.Client, 10)
		s := begin(t, listen.Config{Sessions: 4, Strangers: true}, nil)
		kind := listen.Kind{Name: "imap", Begin: func(c *listen.Client) listen.Session {
			settled <- c
			return &session{service: s, client: c, conn: c.Conn}
		}}
		admit := func() (*client, *listen.Client) {
			near, far := sim.Pipe(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 10), Port: 4711}, &net.TCPAddr{})
			s.sessions.Admit(far, &kind)
			return &client{t: t, conn: near, in: bufio.NewReader(near)}, <-settled
		}
		user, known := admit()
		user.say("hello", "hello")
		known.Settle()
		first, _ := admit()
		second, place := admit()
		third, _ := admit()
		first.say("", "bye")
		second.say("2", "2")
		place.Settle()
		fourth, fifth := first, first
		fourth, _ = admit()
		fifth, _ = admit() // two users and two strangers
		third.say("", "bye")
		user.say("still here", "still here")
		for _, c := range []*client{fourth, fifth} {
			_ = c.conn.Close()
		}
		synctest.Wait()
		for range 2 {
			c, at := admit()
			c.say("mine", "mine")
			at.Settle()
		}
		late, _ := admit()
		late.say("", "")
		s.stop(time.Minute)
	})
}

func TestSlowHandshakes(t *testing.T) {
	config := sim.NewCA(t).TLS("localhost")
	secure := func(s *service) { s.secure, s.tls = true, config }
	shake := func(c *client) {
		conn := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // its own server
		if err := conn.Handshake(); err != nil {
			c.t.Fatal(err)
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	t.Run("hold up nobody, and end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			memory := budget.New(1 << 20)
			s := begin(t, listen.Config{Memory: memory, TLSBuffers: 1000}, secure)
			silent, byTheOctet := s.dial("192.0.2.10"), s.dial("192.0.2.10")
			from := time.Now()
			go func() {
				for {
					if _, err := byTheOctet.conn.Write([]byte{22}); err != nil {
						return
					}
					<-time.After(time.Second)
				}
			}()
			quick := s.dial("192.0.2.10")
			shake(quick)
			quick.say("hello", "hello")
			if took := time.Since(from); took > 0 {
				t.Errorf("another handshake took %v", took)
			}
			if memory.Used() != 3000 {
				t.Errorf("%d octets are counted", memory.Used())
			}
			silent.say("", "")
			if took := time.Since(from); took != 30*time.Second {
				t.Errorf("a silent client was given up after %v", took)
			}
			_ = byTheOctet.conn.Close()
			_ = quick.conn.Close()
			s.counts(map[string]float64{"tls_handshakes_total": 3})
			s.stop(time.Minute)
			if memory.Used() != 0 {
				t.Errorf("%d octets are counted after the end", memory.Used())
			}
		})
	})
	t.Run("end with the service", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := begin(t, listen.Config{}, secure)
			s.dial("192.0.2.10")
			synctest.Wait()
			if took := s.stop(time.Minute); took > 0 {
				t.Errorf("the end took %v", took)
			}
		})
	})
	t.Run("make room", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := begin(t, listen.Config{Sessions: 1, Strangers: true}, secure)
			slow := s.dial("192.0.2.10")
			synctest.Wait()
			shake(s.dial("192.0.2.11"))
			slow.say("", "")
			s.stop(time.Minute)
		})
	})
	t.Run("begin only while there is memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			memory := budget.New(1000)
			s := begin(t, listen.Config{Memory: memory, TLSBuffers: 1000}, secure)
			shake(s.dial("192.0.2.10"))
			s.dial("192.0.2.10").say("", "")
			s.stop(time.Minute)
		})
	})
	t.Run("say that they end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := begin(t, listen.Config{}, secure)
			c := s.dial("192.0.2.10")
			shake(c)
			c.say("hello", "hello")
			s.stop(time.Minute)
			c.say("", "bye")
			if _, err := c.in.ReadByte(); !errors.Is(err, io.EOF) { // an end without close_notify is io.ErrUnexpectedEOF
				t.Errorf("the end came as %v", err)
			}
		})
	})
}

func TestStop(t *testing.T) {
	t.Run("lets end what is being received", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := begin(t, listen.Config{}, nil)
			idle, storing := s.dial("192.0.2.10"), s.dial("192.0.2.11")
			storing.say("store", "store")
			synctest.Wait()
			stopped := make(chan time.Duration)
			go func() { stopped <- s.stop(time.Minute) }()
			idle.say("", "bye")
			select {
			case <-s.sessions.Live().Done():
			case <-stopped:
				t.Fatal("Stop did not wait")
			}
			<-time.After(10 * time.Second)
			storing.say("stored", "stored")
			storing.say("", "bye")
			if took := <-stopped; took != 10*time.Second {
				t.Errorf("Stop took %v", took)
			}
		})
	})
	t.Run("does not wait for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := begin(t, listen.Config{}, nil)
			c := s.dial("192.0.2.11")
			c.say("store", "store")
			if took := s.stop(time.Minute); took != time.Minute {
				t.Errorf("Stop took %v", took)
			}
			c.say("", "")
		})
	})
	t.Run("takes nobody more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := begin(t, listen.Config{}, nil)
			s.stop(time.Minute)
			near, far := sim.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
			s.sessions.Admit(far, &listen.Kind{Name: "smtp", Full: []byte("full\n"), Begin: func(*listen.Client) listen.Session { return nil }})
			c := &client{t: t, conn: near, in: bufio.NewReader(near)}
			c.say("", "full")
			c.say("", "")
			l := &socket{closed: make(chan struct{})}
			if err := s.sessions.Serve(l, &listen.Kind{}); err != nil || l.asked.Load() > 0 {
				t.Errorf("%v, asked %d times", err, l.asked.Load())
			}
			<-l.closed
		})
	})
}

func TestWithoutFilesConnectionsAreTakenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := begin(t, listen.Config{}, nil)
		held := s.dial("192.0.2.10")
		until := time.Now().Add(time.Minute)
		for time.Now().Before(until) {
			s.socket.arrives <- syscall.EMFILE
		}
		if asked := s.socket.asked.Load(); asked > 80 {
			t.Errorf("asked %d times in a minute", asked)
		}
		held.say("hello", "hello")
		s.dial("192.0.2.11").say("hi", "hi")
		if lines := strings.Count(s.log.String(), "connections cannot be taken"); lines < 2 || lines > 13 {
			t.Errorf("told %d times", lines)
		}
		for range 20 {
			s.socket.arrives <- syscall.EMFILE // the last one has it wait for a second
		}
		if took := s.stop(time.Minute); took > 0 {
			t.Errorf("the end took %v", took)
		}
	})
}
