package notices

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/notice"
)

// counting is a store that counts looks, and knows no more.
type counting struct {
	Store
	looks int
}

func (c *counting) Memories(context.Context, account.Scope) ([]notice.Memory, error) {
	c.looks++
	return nil, errors.New("no more is known")
}

func TestOneNodeAtATimeTellsPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counting{}
		turns := []bool{false, false, true, true, false}
		asked := 0
		s := New(Config{Turn: func(_ context.Context, now time.Time, lasts time.Duration) (bool, error) {
			if lasts < 2*mostTick || !now.Equal(time.Now()) {
				t.Errorf("asked for %v at %v", lasts, now)
			}
			asked++
			if asked > len(turns) {
				return true, errors.New("the database is away")
			}
			return turns[asked-1], nil
		}}, store, nil, nil, nil, nil, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(turns)+2)*mostTick)
		defer cancel()
		s.Run(ctx)
		if store.looks != 2 || asked < len(turns)+2 {
			t.Errorf("it looked %d times in %d turns", store.looks, asked)
		}
	})
}
