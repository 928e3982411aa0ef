package sqldb

import (
	"context"
	"errors"
	"testing"
)

// fakeReader is a connection that does nothing.
type fakeReader struct {
	readSession
	now    sessionState
	closed *int
}

func (f *fakeReader) state() sessionState { return f.now }
func (f *fakeReader) close() error        { *f.closed++; return nil }

func TestReadersAreOpenedOnlyBesideThoseInUse(t *testing.T) {
	opened, closed, broken := 0, 0, false
	p := newPool(3, func(context.Context) (readSession, error) {
		if broken {
			return nil, errors.New("no connection")
		}
		opened++
		return &fakeReader{closed: &closed}, nil
	})
	take := func(wantUsed bool) *fakeReader {
		t.Helper()
		s, used, err := p.take(t.Context())
		if err != nil || used != wantUsed {
			t.Fatalf("used before: %v, %v", used, err)
		}
		return s.(*fakeReader)
	}
	for n := range 5 {
		p.give(take(n > 0))
	}
	a, b, c := take(true), take(false), take(false)
	if opened != 3 {
		t.Errorf("%d were opened", opened)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := p.take(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a fourth one: %v", err)
	}
	a.now = sessionLost
	p.give(a)
	broken = true
	for range 5 { // a place is not lost with a connection that cannot be opened
		if _, _, err := p.take(t.Context()); !errors.Is(err, ErrStorage) {
			t.Errorf("%v", err)
		}
	}
	broken = false
	d := take(false)
	p.give(b)
	p.give(c)
	p.give(d)
	if err := p.close(); err != nil || closed != 4 || opened != 4 {
		t.Errorf("%d of %d were closed, %v", closed, opened, err)
	}
}
