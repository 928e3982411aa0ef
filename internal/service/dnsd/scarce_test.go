package dnsd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	codec "github.com/miekg/dns"

	"postroad/internal/core/zone"
	"postroad/internal/obs"
	"postroad/internal/proto/dns"
)

// scarce is a listener of a machine without files, until it has some again.
type scarce struct {
	mu    sync.Mutex
	err   error
	asked int
	conns chan net.Conn
}

func (l *scarce) Accept() (net.Conn, error) {
	l.mu.Lock()
	l.asked++
	err := l.err
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	conn, open := <-l.conns
	if !open {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (l *scarce) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *scarce) Close() error   { close(l.conns); return nil }
func (l *scarce) Addr() net.Addr { return &net.TCPAddr{} }

func TestWithoutFilesTheListenerWaitsAndSaysSoRarely(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			s := New(Config{}, obs.NewMetrics(), slog.New(slog.NewTextHandler(&log, nil)))
			publish, err := s.Prepare(small(t, "example.test", "192.0.2.1"))
			if err != nil {
				t.Fatal(err)
			}
			publish()
			l := &scarce{conns: make(chan net.Conn), err: &net.OpError{Op: "accept", Err: errno}}
			ended := make(chan error, 1)
			go func() { ended <- s.ServeTCP(l) }()
			time.Sleep(time.Minute)
			l.mu.Lock()
			asked := l.asked
			l.mu.Unlock()
			if lines := strings.Count(log.String(), "\n"); asked > 80 || asked < 10 || lines < 2 || lines > 13 {
				t.Errorf("%v: in a minute it was tried %d times and told %d times:\n%s", errno, asked, lines, log.String())
			}
			l.fail(nil)
			time.Sleep(2 * time.Second)
			ours, theirs := net.Pipe()
			l.conns <- theirs
			go func() { _, _ = ours.Write(framed(packed(t, "example.test.", codec.TypeMX))) }()
			if n, err := ours.Read(make([]byte, 512)); err != nil || n < 12 {
				t.Errorf("%v: not answered when there are files again: %d, %v", errno, n, err)
			}
			_ = ours.Close()
			_ = l.Close()
			if err := <-ended; err != nil {
				t.Errorf("%v: %v", errno, err)
			}
			s.Stop(t.Context())
		})
	}
}

func TestASocketThatFailsIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := New(Config{}, obs.NewMetrics(), slog.New(slog.NewTextHandler(&log, nil)))
		var f failing
		begin := time.Now()
		for range 30 {
			f.wait(s, errors.New("recvmmsg: cannot allocate memory"))
		}
		if took := time.Since(begin); took < 20*time.Second || took > 30*time.Second || strings.Count(log.String(), "\n") > 7 {
			t.Errorf("30 failures took %v:\n%s", took, log.String())
		}
		f.over()
		begin = time.Now()
		if f.wait(s, errors.New("again")); time.Since(begin) != acceptWait {
			t.Errorf("the first one after packets took %v", time.Since(begin))
		}
	})
}

// Answers that nobody takes keep no more than the places that there are, and those that keep a place for too long are cut
// off, so that whoever reads is answered meanwhile.
func TestSlowReadersKeepNobodyFromBeingAnswered(t *testing.T) {
	r := start(t, Config{}, "127.0.0.1")
	z := small(t, "example.test", "192.0.2.1")
	for i := range 120 {
		data, err := dns.Data(dns.TypeTXT, fmt.Sprintf("%q", fmt.Sprintf("%03d", i)+strings.Repeat("x", 250)), "example.test.")
		if err != nil {
			t.Fatal(err)
		}
		z.Records = append(z.Records, dns.Record{Name: "large.example.test.", Type: dns.TypeTXT, TTL: 300, Data: data})
	}
	z.Records = zone.Sort(z.Records)
	r.publish(t, z)
	var questions [][]byte
	for range 40 {
		questions = append(questions, packed(t, "large.example.test.", codec.TypeTXT))
	}
	batch := framed(questions...) // more than a megabyte of answers
	const readers = maxAnswering + 40
	cut := make(chan struct{}, readers)
	for i := range readers {
		dialer := net.Dialer{
			LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%4))},
			ControlContext: func(_ context.Context, _, _ string, c syscall.RawConn) error {
				return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
			},
		}
		conn, err := dialer.DialContext(t.Context(), "tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		go func() {
			for { // until it is cut off, or the test ends
				if _, err := conn.Write(batch); err != nil {
					cut <- struct{}{}
					return
				}
			}
		}()
	}
	for begin := time.Now(); len(cut) < readers-maxAnswering; {
		if a := r.ask(t, "tcp", "example.test.", codec.TypeMX); len(a.Answer) != 1 {
			t.Errorf("%v", a)
		}
		if time.Since(begin) > idleTime { // then they end by themselves
			t.Fatalf("%d are cut off", len(cut))
		}
	}
}
