package sim

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func pipe() (near, far *PipeEnd) {
	return Pipe(addrOf("192.0.2.1:1000"), addrOf("192.0.2.25:25"))
}

func TestPipeNeedsNoMeeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe()
		if _, err := near.Write(make([]byte, pipeBuffer)); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := near.Write([]byte("over"))
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("a full buffer took more: %v", err)
		default:
		}
		got, err := io.ReadAll(io.LimitReader(far, pipeBuffer+4))
		if err != nil || !bytes.HasSuffix(got, []byte("over")) || len(got) != pipeBuffer+4 {
			t.Errorf("read %d octets, %v", len(got), err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if near.RemoteAddr().String() != "192.0.2.25:25" || far.RemoteAddr().String() != "192.0.2.1:1000" || near.LocalAddr() != far.RemoteAddr() {
			t.Error("addresses do not match")
		}
	})
}

func TestPipeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe()
		_, _ = near.Write([]byte("last words"))
		_ = near.Close()
		if got, err := io.ReadAll(far); err != nil || string(got) != "last words" {
			t.Errorf("after Close the other reads %q, %v", got, err)
		}
		if _, err := far.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("writing to a closed end: %v", err)
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading on a closed end: %v", err)
		}
		near, far = pipe()
		_, _ = near.Write([]byte("lost"))
		near.Reset()
		if _, err := far.Read(make([]byte, 10)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after Reset the other reads: %v", err)
		}
	})
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe()
		begun := time.Now()
		_ = near.SetReadDeadline(begun.Add(5 * time.Minute))
		_, err := near.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != 5*time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		_ = near.SetDeadline(time.Time{})
		_, _ = far.Write([]byte("x"))
		if n, err := near.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("after the deadline was taken off: %d, %v", n, err)
		}
		_ = near.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := near.Write(make([]byte, 2*pipeBuffer)); n != pipeBuffer || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", n, err)
		}
	})
}
