package trace_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/policy"
	"postroad/internal/core/routing"
	core "postroad/internal/core/trace"
	"postroad/internal/store/sqldb"
)

var (
	system = account.System()
	begin  = time.Date(2026, 11, 28, 9, 0, 0, 123456000, time.UTC)
)

// newID makes the n-th id after begin, one a minute.
func newID(n int) mail.ID {
	return mail.NewID(begin.Add(time.Duration(n)*time.Minute), 0, 1, uint64(n))
}

// full is a step of every kind with every field that there is.
func full() []core.Step {
	client := mail.Client{Addr: netip.MustParseAddr("2001:db8::1"), Helo: "mx.far.example", TLS: "TLS1.3 TLS_AES_128_GCM_SHA256", Login: "ann@red.example"}
	return []core.Step{
		{At: begin, Kind: core.Accepted, Partial: true, Client: client, Asker: routing.Login, UTF8: true, Size: 1234},
		{
			At: begin, N: 1, Kind: core.Decided, Recipient: "Bob@red.example", Via: true,
			Reasons: []routing.Reason{{Rule: routing.RuleDomainOurs, Fact: "red.example"}, {Rule: routing.RuleExchanger, Fact: "mx.far.example", Age: time.Minute}},
			Targets: []core.Target{{Address: "robert@red.example", Lane: "local/mailboxes"}, {Address: "", Lane: ""}},
		},
		{At: begin.Add(time.Second), N: 2, Kind: core.Refused, Recipient: "x", Content: true, Reply: "550 5.1.1 \x00 \xff nö"},
		{
			At: begin.Add(2 * time.Second), N: 3, Kind: core.Deferred, Recipient: "Bob@red.example", Destination: "x@far.example", Lane: "remote/far.example",
			As: "<srs0=x@us.example>", Note: "It is put aside.", Checks: []policy.Check{{Method: "spf", Result: "fail", Sentence: "SPF fail."}, {Method: "dkim", Result: "none"}}, Host: "mx.far.example", Attempts: 300, Until: begin.Add(time.Hour), Reply: "450 4.3.2 " + strings.Repeat("x", 900),
		},
		{At: begin.Add(3 * time.Second), N: 4, Kind: core.Reported, Report: newID(7), Word: "failed"},
		{At: begin.Add(-time.Second), N: 5, Kind: core.Acted, Word: "hold", By: "operator"},
	}
}

func row(id mail.ID, owner account.ID, recipient string) core.Row {
	return core.Row{ID: id, Account: owner, Sender: "ann@far.example", Recipient: recipient, Steps: full()}
}

func TestWhatIsAddedIsReadBackAlsoAfterARestart(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		var rows []core.Row
		for n := range 23 { // more than one statement of many, and a rest
			rows = append(rows, row(newID(n), "acc-a", "bob@red.example"))
		}
		rows = append(rows, core.Row{ID: newID(0), Account: "acc-a", Recipient: "robert@red.example"})
		must(t, w.Add(t.Context(), system, rows))
		w.restart()
		for n := range 23 {
			got, err := w.Get(t.Context(), system, newID(n))
			must(t, err)
			want := rows[n : n+1]
			if n == 0 {
				want = []core.Row{rows[0], rows[23]}
			}
			slices.SortFunc(got, func(a, b core.Row) int { return strings.Compare(a.Recipient, b.Recipient) })
			if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Fatal(d)
			}
		}
		if got, err := w.Get(t.Context(), system, newID(99)); err != nil || len(got) != 0 {
			t.Errorf("of an id that is not there: %v, %v", got, err)
		}
	})
}

func TestTracesAreFoundNewestFirst(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		var rows []core.Row
		for n := range 10 {
			rows = append(rows, row(newID(n), "acc-a", fmt.Sprintf("bob%d@red.example", n%2)), row(newID(n), "acc-a", "all@red.example"))
		}
		rows[0].Sender = "joe@far.example"
		must(t, w.Add(t.Context(), system, rows))
		for _, c := range []struct {
			name   string
			filter core.Filter
			limit  int
			want   []int
		}{
			{"recipient", core.Filter{Recipient: "bob1@red.example"}, 100, []int{9, 7, 5, 3, 1}},
			{"first page", core.Filter{Recipient: "bob1@red.example"}, 2, []int{9, 7}},
			{"second page", core.Filter{Recipient: "bob1@red.example", Before: newID(7)}, 2, []int{5, 3}},
			{"sender", core.Filter{Sender: "joe@far.example"}, 100, []int{0}},
			{"both", core.Filter{Sender: "ann@far.example", Recipient: "bob0@red.example"}, 100, []int{8, 6, 4, 2}},
			{"time", core.Filter{Recipient: "all@red.example", From: begin.Add(2 * time.Minute), To: begin.Add(5 * time.Minute)}, 100, []int{4, 3, 2}},
			{"nobody", core.Filter{Recipient: "nobody@red.example"}, 100, nil},
		} {
			got, err := w.List(t.Context(), system, c.filter, c.limit)
			must(t, err)
			var ids, want []mail.ID
			for _, r := range got {
				if len(ids) == 0 || ids[len(ids)-1] != r.ID {
					ids = append(ids, r.ID)
				}
			}
			for _, n := range c.want {
				want = append(want, newID(n))
			}
			if !slices.Equal(ids, want) {
				t.Errorf("%s: %v, want %v", c.name, ids, want)
			}
		}
	})
}

func TestWhatIsTooOldIsRemovedInChunks(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		var rows []core.Row
		for n := range 10 {
			rows = append(rows, row(newID(n), "acc-a", "bob@red.example"), row(newID(n), "acc-a", "all@red.example"))
		}
		must(t, w.Add(t.Context(), system, rows))
		for n := 0; ; n++ {
			more, err := w.Sweep(t.Context(), system, begin.Add(6*time.Minute), 5)
			must(t, err)
			if !more {
				break
			}
			if n > 6 {
				t.Fatal("there is always more")
			}
		}
		got, err := w.List(t.Context(), system, core.Filter{Recipient: "bob@red.example"}, 100)
		must(t, err)
		if len(got) != 8 || got[0].ID != newID(9) || got[7].ID != newID(6) {
			t.Errorf("left: %d rows", len(got))
		}
	})
}

// A message that is delivered at once costs less than 500 octets on the disk, indices included.
func TestATraceIsSmall(t *testing.T) {
	t.Parallel()
	w := &world{t: t}
	path := filepath.Join(t.TempDir(), "trace.db")
	w.config.Path = path
	w.open()
	const n = 20_000
	for from := 0; from < n; from += 2000 {
		var rows []core.Row
		for k := from; k < from+2000; k++ {
			at := begin.Add(time.Duration(k) * time.Millisecond)
			box := fmt.Sprintf("user%d@customer%d.example", k*7919%5000, k%500)
			rows = append(rows, core.Row{
				ID: mail.NewID(at, 0, 1, uint64(k)), Account: "abcdefghijklmnopqrstuvwxyz", Sender: fmt.Sprintf("writer%d@elsewhere.example", k%3000), Recipient: box,
				Steps: []core.Step{
					{At: at, Kind: core.Accepted, Size: 4096, Client: mail.Client{Addr: netip.MustParseAddr("192.0.2.7"), Helo: "mx.elsewhere.example", TLS: "TLS1.3 TLS_AES_128_GCM_SHA256"}},
					{
						At: at, N: 1, Kind: core.Decided, Recipient: box, Targets: []core.Target{{Address: box, Lane: "local/mailboxes"}},
						Reasons: []routing.Reason{{Rule: routing.RuleDomainOurs, Fact: "customer.example"}, {Rule: routing.RuleModeLocal, Fact: "customer.example"}, {Rule: routing.RuleMailbox, Fact: box}},
					},
					{At: at.Add(time.Millisecond), N: 2, Kind: core.Delivered, Recipient: box, Destination: box, Lane: "local/mailboxes", Reply: "250 2.1.5 in the mailbox", Attempts: 1},
				},
			})
		}
		must(t, w.Add(t.Context(), system, rows))
	}
	must(t, w.db.Close())
	w.open() // what lay in the log is in the file then
	must(t, w.db.Close())
	info, err := os.Stat(path)
	must(t, err)
	if each := info.Size() / n; each > 500 {
		t.Errorf("%d octets a message", each)
	} else {
		t.Logf("%d octets a message", each)
	}
}

func TestACommitOfTracesFlushesNothing(t *testing.T) {
	engines(t, func(w *world) {
		t := w.t
		setting := sqldb.Stmt("PRAGMA synchronous")
		want := "1" // NORMAL
		if w.db.Engine() == sqldb.Postgres {
			setting, want = "SELECT current_setting('synchronous_commit')", "off"
		}
		var got string
		must(t, w.db.Write(t.Context(), system, func(tx *sqldb.Tx) error {
			rows, err := tx.Query(setting)
			if err != nil {
				return err
			}
			var n int
			for rows.Next() {
				if w.db.Engine() == sqldb.SQLite {
					err = rows.Scan(&n)
					got = fmt.Sprint(n)
				} else {
					err = rows.Scan(&got)
				}
			}
			_ = rows.Close()
			return err
		}))
		if got != want {
			t.Errorf("synchronous is %q, want %q", got, want)
		}
	})
}
