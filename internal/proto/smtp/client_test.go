package smtp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestGreet(t *testing.T) {
	for in, want := range map[string]string{
		"220 mx ready\r\n":                  "220 mx ready",
		"220-mx\r\n220 ready\r\n":           "220 mx ready",
		"554 5.7.1 go away\r\n":             "554 5.7.1 go away",
		"421 4.3.2 busy\r\n":                "421 4.3.2 busy",
		"* OK IMAP4rev1 ready\r\n":          "",
		"HTTP/1.1 400 Bad Request\r\n":      "",
		"":                                  "",
		strings.Repeat("a", 1<<20) + "\r\n": "",
	} {
		near, far := memPipe()
		_, _ = far.Write([]byte(in))
		far.out.close()
		c := NewClient(near, time.Now, Timeouts{}, false)
		reply, err := c.Greet()
		if reply.String() != want || (err == nil) != (want != "") {
			t.Errorf("%.30q: %v, %v", in, reply, err)
		}
	}
}

func TestHelloFallsBackToHELO(t *testing.T) {
	c, p, _ := newPeer(t, false, "HELO", on("EHLO", "502 5.5.1 what\r\n"))
	ext, reply, err := c.Hello("client.example")
	if err != nil || reply.Code != 250 || ext.Size != -1 || ext.Pipelining {
		t.Error(ext, reply, err)
	}
	p.stop(c)
	if fmt.Sprint(p.lines) != "[EHLO client.example HELO client.example QUIT]" {
		t.Errorf("%q", p.lines)
	}
}

func TestHelloRefused(t *testing.T) {
	for _, tt := range []struct {
		on    []string
		lmtp  bool
		code  int
		lines int
	}{
		{[]string{"EHLO", "450 4.7.1 wait\r\n"}, false, 450, 1},
		{[]string{"EHLO", "550 no\r\n", "HELO", "550 no\r\n"}, false, 550, 2},
		{[]string{"LHLO", "500 no\r\n"}, true, 500, 1},
		{[]string{"EHLO", "421 bye\r\n" + hangUp}, false, 421, 1},
	} {
		c, p, _ := newPeer(t, tt.lmtp, "HELO", on(tt.on...))
		if _, reply, err := c.Hello("client.example"); err != nil || reply.Code != tt.code {
			t.Error(tt.on, reply, err)
		}
		_ = c.Close()
		<-p.done
		if len(p.lines) != tt.lines {
			t.Errorf("%q", p.lines)
		}
	}
	c, _, _ := newPeer(t, false, "HELO", nil)
	if _, _, err := c.Hello("a\r\nMAIL FROM:<>"); code(err) != "501 5.5.4" {
		t.Error(err)
	}
	if _, reply, err := c.Hello("a"); err != nil || reply.Code != 250 {
		t.Error(reply, err)
	}
}

func TestStartTLS(t *testing.T) {
	c, p, _ := newPeer(t, false, "STARTTLS PIPELINING", on("STARTTLS", "220 2.0.0 go ahead\r\n"))
	upgraded := false
	reply, err := c.StartTLS(func(conn Conn) (Conn, error) { upgraded = true; return conn, nil })
	if err != nil || reply.Code != 220 || !upgraded || c.Extensions().Pipelining {
		t.Error(reply, err, upgraded, c.Extensions())
	}
	if ext, _, err := c.Hello("client.example"); err != nil || !ext.Pipelining {
		t.Error(ext, err)
	}
	p.stop(c)
}

func TestStartTLSRefused(t *testing.T) {
	c, p, _ := newPeer(t, false, "STARTTLS PIPELINING", on("STARTTLS", "454 4.7.0 not now\r\n"))
	reply, err := c.StartTLS(func(Conn) (Conn, error) { t.Error("handshake"); return nil, nil })
	if err != nil || reply.Code != 454 || !c.Extensions().Pipelining {
		t.Error(reply, err)
	}
	if err := c.Noop(); err != nil {
		t.Error(err)
	}
	p.stop(c)
}

func TestStartTLSPlaintextBehindReply(t *testing.T) {
	c, _, _ := newPeer(t, false, "STARTTLS", on("STARTTLS", "220 2.0.0 go ahead\r\n250-evil\r\n250 AUTH PLAIN\r\n"))
	_, err := c.StartTLS(func(Conn) (Conn, error) { t.Error("handshake"); return nil, nil })
	if !errors.Is(err, ErrPlaintext) {
		t.Error(err)
	}
	if err := c.Noop(); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrPlaintext) {
		t.Error(err)
	}
}

func TestStartTLSHandshakeFails(t *testing.T) {
	boom := errors.New("bad certificate")
	c, _, _ := newPeer(t, false, "STARTTLS", on("STARTTLS", "220 go\r\n"))
	if _, err := c.StartTLS(func(Conn) (Conn, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Error(err)
	}
	if err := c.Noop(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestAuth(t *testing.T) {
	refuses := errors.New("not like this")
	tests := []struct {
		name      string
		mechanism string
		initial   []byte
		on        []string
		answers   []string
		stepErr   error
		reply     int
		lines     string
	}{
		{"PLAIN", "PLAIN", []byte("\x00u\x00p"), []string{"AUTH", "235 2.7.0 ok\r\n"}, nil, nil, 235, "AUTH PLAIN AHUAcA=="},
		{"empty initial response", "EXTERNAL", []byte{}, []string{"AUTH", "235 2.7.0 ok\r\n"}, nil, nil, 235, "AUTH EXTERNAL ="},
		{"refused", "PLAIN", []byte("x"), []string{"AUTH", "535 5.7.8 no\r\n"}, nil, nil, 535, "AUTH PLAIN eA=="},
		{
			"LOGIN", "LOGIN", nil,
			[]string{"AUTH", "334 VXNlcm5hbWU6\r\n", "dQ==", "334 UGFzc3dvcmQ6\r\n", "cA==", "235 ok\r\n"},
			[]string{"u", "p"},
			nil, 235, "AUTH LOGIN|dQ==|cA==",
		},
		{"empty challenge", "X", nil, []string{"AUTH", "334 \r\n", "dQ==", "235 ok\r\n"}, []string{"u"}, nil, 235, "AUTH X|dQ=="},
		{"cancelled", "X", nil, []string{"AUTH", "334 \r\n", "*", "501 5.0.0 cancelled\r\n"}, nil, refuses, 501, "AUTH X|*"},
		{"challenge is not base64", "X", nil, []string{"AUTH", "334 ???\r\n", "*", "501 5.0.0 cancelled\r\n"}, nil, nil, 501, "AUTH X|*"},
	}
	for _, tt := range tests {
		c, p, _ := newPeer(t, false, "AUTH=PLAIN", on(tt.on...))
		turn := 0
		reply, err := c.Auth(tt.mechanism, tt.initial, func([]byte) ([]byte, error) {
			if tt.stepErr != nil {
				return nil, tt.stepErr
			}
			turn++
			return []byte(tt.answers[turn-1]), nil
		})
		if reply.Code != tt.reply || (err != nil) != (tt.reply == 501) || tt.stepErr != nil && !errors.Is(err, tt.stepErr) {
			t.Errorf("%s: %v, %v", tt.name, reply, err)
		}
		if err := c.Noop(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		p.stop(c)
		if got := strings.Join(p.lines[1:len(p.lines)-2], "|"); got != tt.lines {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

func TestAuthWithoutEnd(t *testing.T) {
	c, _, _ := newPeer(t, false, "AUTH=X", func(line string) string {
		if strings.HasPrefix(line, "AUTH") || line == "" {
			return "334 \r\n"
		}
		return ""
	})
	if _, err := c.Auth("X", nil, func([]byte) ([]byte, error) { return nil, nil }); !errors.Is(err, ErrOutOfStep) {
		t.Error(err)
	}
	c, _, _ = newPeer(t, false, "AUTH=X", nil)
	if _, err := c.Auth("X\r\nMAIL", nil, nil); err == nil {
		t.Error("a mechanism with CRLF was sent")
	}
}

func TestResetAndNoop(t *testing.T) {
	c, p, _ := newPeer(t, false, "SIZE", on("NOOP", "500 what\r\n"))
	if err := c.Noop(); code(err) != "500 0.0.0" {
		t.Error(err)
	}
	if err := c.Reset(); err != nil {
		t.Error(err)
	}
	p.stop(c)
	if err := c.Reset(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := errors.Join(c.Quit(), c.Close()); err != nil {
		t.Error(err)
	}
}

func TestQuitDoesNotWaitLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := newPeer(t, false, "SIZE", on("QUIT", silent))
		near, far := memPipe()
		c.conn = near
		c.r.Reset(near)
		start := time.Now()
		if err := c.Quit(); err != nil || time.Since(start) != quitTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		_ = far.Close()
	})
}
