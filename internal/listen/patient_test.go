package listen

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// without is a listener of a machine without files for a while.
type without struct {
	until time.Time
	asked int
}

func (l *without) Accept() (net.Conn, error) {
	l.asked++
	if time.Now().Before(l.until) {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	conn, _ := net.Pipe()
	return conn, nil
}

func (l *without) Close() error   { return nil }
func (l *without) Addr() net.Addr { return &net.TCPAddr{} }

func TestAListenerWithoutFilesIsPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := &without{until: time.Now().Add(time.Minute)}
		p := NewPatient(l, "http", slog.New(slog.NewTextHandler(&log, nil)))
		begin := time.Now()
		conn, err := p.Accept()
		if took := time.Since(begin); err != nil || took < time.Minute || took > 62*time.Second || l.asked > 80 {
			t.Fatalf("after %v, %d times: %v", took, l.asked, err)
		}
		_ = conn.Close()
		if lines := strings.Count(log.String(), "\n"); lines < 2 || lines > 13 || !strings.Contains(log.String(), "listener=http") {
			t.Errorf("%s", log.String())
		}
		l.until = time.Now().Add(time.Hour)
		ended := make(chan error, 1)
		go func() { _, err := p.Accept(); ended <- err }()
		time.Sleep(time.Second)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		if err := <-ended; !errors.Is(err, net.ErrClosed) || time.Since(begin) > 0 {
			t.Errorf("closed: %v after %v", err, time.Since(begin))
		}
	})
}
