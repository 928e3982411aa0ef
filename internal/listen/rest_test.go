package listen_test

import (
	"bufio"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"postroad/internal/listen"
)

// dialTCP connects over the machine's own network, where a session can rest.
func (s *service) dialTCP() *client {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	s.socket.arrives <- far
	if err := near.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return &client{t: s.t, conn: near, in: bufio.NewReader(near)}
}

// fewer waits until there are at most so many goroutines.
func fewer(t *testing.T, most int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 20_000 {
		if runtime.NumGoroutine() <= most {
			return
		}
		<-tick.C
	}
	t.Fatalf("there are %d goroutines, more than %d", runtime.NumGoroutine(), most)
}

func TestASessionThatRestsHasNoGoroutine(t *testing.T) {
	s := begin(t, listen.Config{}, nil)
	s.dialTCP().say("rest", "round 1") // it begins the watch
	fewer(t, 1000)
	before := runtime.NumGoroutine()
	all := make([]*client, 50)
	for i := range all {
		all[i] = s.dialTCP()
		all[i].say("rest", "round 1")
	}
	fewer(t, before+5)
	for round, want := range []string{"round 2", "round 3", "round 4"} {
		for _, c := range all {
			c.say("rest", want)
		}
		if round > 0 {
			fewer(t, before+5)
		}
	}
	all[0].say("hello", "hello")
	all[0].say("rest", "round 5")
	_ = all[1].conn.Close()
	s.gone(50)
	s.stop(time.Minute)
	for _, c := range all[2:] {
		c.say("", "bye")
		c.say("", "")
	}
	s.counts(map[string]float64{"sessions": 0, "panics_total": 0})
}

// gone waits until there are at most so many sessions.
func (s *service) gone(most int) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 20_000 {
		if len(s.sessions.All()) <= most {
			return
		}
		<-tick.C
	}
	s.t.Fatalf("there are %d sessions, more than %d", len(s.sessions.All()), most)
}

func TestARestEnds(t *testing.T) {
	for name, end := range map[string]func(s *service, c *client){
		"when something was sent before it": func(_ *service, c *client) { c.say("rest\nhello", "round 1"); c.say("", "hello") },
		"at its time": func(_ *service, c *client) {
			c.say("nap", "round 1")
			c.say("", "awake in round 2")
			c.say("hello", "hello")
		},
		"when somebody rouses it": func(s *service, c *client) {
			c.say("rest", "round 1")
			held, _ := s.sessions.All()[0].(*session)
			held.wants.Store(true)
			held.client.Rouse()
			c.say("", "awake in round 2")
			held.client.Rouse() // while it does not rest
			c.say("rest", "round 2")
			c.say("hello", "hello")
		},
		"when the service ends at once": func(s *service, c *client) {
			c.say("rest", "round 1")
			s.stop(0)
			if text, _ := c.in.ReadString('\n'); strings.TrimSpace(text) != "bye" && text != "" {
				s.t.Errorf("%q", text)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, listen.Config{}, nil)
			c := s.dialTCP()
			end(s, c)
			_ = c.conn.Close()
			s.gone(0)
			if name != "when the service ends at once" {
				s.stop(time.Minute)
			}
			s.counts(map[string]float64{"sessions": 0, "panics_total": 0})
		})
	}
}

func TestASessionOverWhatIsNoFileIsHandedOver(t *testing.T) {
	s := begin(t, listen.Config{}, nil)
	c := s.dial("192.0.2.10")
	c.say("rest", "round 1")
	c.say("rest", "round 2")
	c.say("hello", "hello")
	s.stop(time.Minute)
	c.say("", "bye")
}
