package sqldb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/store/sqldb"
)

var errOwn = errors.New("the job's own")

func TestValuesComeBackAsTheyWere(t *testing.T) {
	engines(t, func(w world) {
		t, db := w.t, w.DB
		type named string
		blob := []byte{0, 255, '\n'}
		must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error {
			return tx.Post(putSQL, named("'; \"$1 ø"), account.ID("acc-a"), int64(math.MinInt64), blob, true)
		}))
		must(t, db.Read(t.Context(), account.System(), func(tx *sqldb.Tx) error {
			var id named
			var n int64
			var b []byte
			var flag bool
			found, err := tx.Row([]any{&id, &n, &b, &flag}, "SELECT id, n, b, flag FROM thing WHERE @in(id, $1) AND n = $2", []string{"x", "'; \"$1 ø"}, int64(math.MinInt64))
			if !found || id != "'; \"$1 ø" || n != math.MinInt64 || !bytes.Equal(b, blob) || !flag {
				t.Errorf("%v: %q %d %q %v", found, id, n, b, flag)
			}
			return err
		}))
		at := time.Date(2026, 11, 22, 3, 4, 5, 6000, time.UTC)
		if got := sqldb.Time(sqldb.Micros(at)); !got.Equal(at) || got.Location() != time.UTC {
			t.Error(got)
		}
		if sqldb.Micros(time.Time{}) != 0 || !sqldb.Time(0).IsZero() {
			t.Error("the zero time is not zero")
		}
	})
}

func TestTextOfAnyBytesIsStored(t *testing.T) {
	engines(t, func(w world) {
		t, db := w.t, w.DB
		must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error { return put(tx, "\xff\x00\xc3") }))
		if count(t, db) != 1 {
			t.Error("nothing was stored")
		}
	})
}

func TestTextsAreThoseOfAllRows(t *testing.T) {
	engines(t, func(w world) {
		t, db := w.t, w.DB
		must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error { return errors.Join(put(tx, "b"), put(tx, "a")) }))
		must(t, db.Read(t.Context(), account.System(), func(tx *sqldb.Tx) error {
			all, err := tx.Texts("SELECT id FROM thing WHERE n = $1 ORDER BY id", 1)
			if !slices.Equal(all, []string{"a", "b"}) {
				t.Errorf("%q", all)
			}
			none, noErr := tx.Texts("SELECT id FROM thing WHERE n = $1", 2)
			if len(none) != 0 {
				t.Errorf("%q", none)
			}
			return errors.Join(err, noErr)
		}))
	})
}

func TestAFailedJobLeavesNothingAndFailsNobodyElse(t *testing.T) {
	engines(t, func(w world) {
		t, db := w.t, w.DB
		must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error { return put(tx, "taken") }))
		errs := make([]error, 80)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				errs[i] = db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error {
					switch i % 8 {
					case 0: // refuses before it changes anything
						return errOwn
					case 1: // fails after a change
						return errors.Join(put(tx, fmt.Sprint(i)), errOwn)
					case 2: // meets a key that is taken after a change
						if err := put(tx, fmt.Sprint(i)); err != nil {
							return err
						}
						return put(tx, "taken")
					case 3:
						panic(errors.Join(put(tx, fmt.Sprint(i)), errOwn))
					}
					return put(tx, fmt.Sprint(i))
				})
			})
		}
		wg.Wait()
		wants := []error{errOwn, errOwn, sqldb.ErrConflict, sqldb.ErrStorage, nil, nil, nil, nil}
		for i, err := range errs {
			if !errors.Is(err, wants[i%8]) {
				t.Errorf("job %d: %v", i, err)
			}
		}
		if n := count(t, db); n != 41 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestWhatNobodyWaitsForComesInItsTurn(t *testing.T) {
	engines(t, func(w world) {
		t, db := w.t, w.DB
		began := time.Now()
		done := make(chan error, 1)
		db.WriteLater(account.System(), func(tx *sqldb.Tx) error { return put(tx, "later") }, func(err error) { done <- err })
		must(t, <-done)
		if waited := time.Since(began); waited < 50*time.Millisecond {
			t.Errorf("it waited for company %v only", waited)
		}
		db.WriteLater(account.System(), func(tx *sqldb.Tx) error { return put(tx, "first") }, nil)
		must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error {
			var n int
			_, err := tx.Row([]any{&n}, countSQL)
			if n != 2 {
				t.Errorf("%d rows before a job that came later", n)
			}
			return err
		}))
	})
}

func TestACancelledJobIsWithdrawnOrDone(t *testing.T) {
	engines(t, func(w world) {
		t, db := w.t, w.DB
		running, release := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = db.Write(context.Background(), account.System(), func(*sqldb.Tx) error {
				close(running)
				<-release
				return nil
			})
		})
		<-running
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if err := db.Write(ctx, account.System(), func(tx *sqldb.Tx) error { return put(tx, "x") }); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			close(release)
		})
		cancel()
		wg.Wait()
		if n := count(t, db); n != 0 {
			t.Errorf("%d rows of a withdrawn job", n)
		}
		if err := db.Write(ctx, account.System(), func(tx *sqldb.Tx) error { return put(tx, "x") }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestReadersCannotWriteAndSeeOneState(t *testing.T) {
	engines(t, func(w world) {
		t, db := w.t, w.DB
		err := db.Read(t.Context(), account.System(), func(tx *sqldb.Tx) error {
			_, err := tx.Exec(putSQL, "x", "acc-a", 1, []byte{0}, true)
			return err
		})
		if !errors.Is(err, sqldb.ErrStorage) {
			t.Errorf("a reader wrote: %v", err)
		}
		must(t, db.Read(t.Context(), account.System(), func(tx *sqldb.Tx) error {
			var before, after int
			if _, err := tx.Row([]any{&before}, countSQL); err != nil {
				return err
			}
			must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error { return put(tx, "x") }))
			_, err := tx.Row([]any{&after}, countSQL)
			if before != after {
				t.Errorf("%d rows became %d under a reader", before, after)
			}
			return err
		}))
	})
}

func TestTheScopeOfEachJobIsItsOwn(t *testing.T) {
	engines(t, func(w world) {
		t, db := w.t, w.DB
		must(t, db.Write(t.Context(), account.System(), func(tx *sqldb.Tx) error { return put(tx, "x") }))
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				scope, want := account.System(), 1
				switch i % 3 {
				case 1:
					scope, want = account.Of("acc-b"), 0
				case 2:
					scope = account.Of("acc-b", "acc-a")
				}
				must(t, db.Write(t.Context(), scope, func(tx *sqldb.Tx) error {
					for _, stmt := range []sqldb.Stmt{countSQL, "SELECT count(*) FROM thing"} {
						var n int
						if _, err := tx.Row([]any{&n}, stmt); err != nil {
							return err
						}
						if n != want && (stmt == countSQL || db.Engine() == sqldb.Postgres) {
							t.Errorf("job %d sees %d rows", i, n)
						}
					}
					return tx.System(func() error {
						var n int
						_, err := tx.Row([]any{&n}, countSQL)
						if n != 1 {
							t.Errorf("System sees %d rows", n)
						}
						return err
					})
				}))
			})
		}
		wg.Wait()
		for _, id := range []account.ID{"acc-b,acc-a", "", "a\x00"} {
			if err := db.Read(t.Context(), account.Of(id), func(*sqldb.Tx) error { return nil }); !errors.Is(err, sqldb.ErrScope) {
				t.Errorf("account %q: %v", id, err)
			}
		}
	})
}

func TestAfterCloseEverythingIsRefused(t *testing.T) {
	engines(t, func(w world) {
		t, db := w.t, w.DB
		later := make(chan error, 1)
		db.WriteLater(account.System(), func(tx *sqldb.Tx) error { return put(tx, "x") }, func(err error) { later <- err })
		must(t, db.Close())
		must(t, <-later)
		if err := db.Write(t.Context(), account.System(), func(*sqldb.Tx) error { return nil }); !errors.Is(err, sqldb.ErrClosed) {
			t.Error(err)
		}
		if err := db.Read(t.Context(), account.System(), func(*sqldb.Tx) error { return nil }); !errors.Is(err, sqldb.ErrClosed) {
			t.Error(err)
		}
	})
}
