package mail_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"postroad/internal/core/mailbox"
)

func TestKeywordsThatNoMessageHasGiveWay(t *testing.T) {
	shelves(t, func(s *shelf) {
		ctx := s.t.Context()
		all := make([]string, mailbox.MaxKeywords)
		for i := range all {
			all[i] = fmt.Sprintf("k%02d", i)
		}
		other := s.create("other")
		s.append(mailbox.Inbox, s.message("1", all[:40]...), s.message("2"))
		s.append(other, s.message("3", all[40:]...))
		add := func(names ...string) error {
			_, err := s.SetFlags(ctx, s.scope, "a", mailbox.Inbox, mailbox.FlagChange{UIDs: []uint32{2}, Mode: mailbox.FlagsAdd, Flags: names, UnchangedSince: -1})
			return err
		}
		s.check("all are in use", add("more"), mailbox.ErrLimit)
		have := s.index(mailbox.Inbox)
		s.flags(mailbox.Inbox, mailbox.FlagsRemove, []string{"k07", "k08"}, 1)
		s.remove(other, 1)
		s.check("too many at once", add("m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10"), mailbox.ErrLimit)
		must(s.t, add("m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "K39"))
		_, err := s.Append(ctx, s.scope, "a", mailbox.Inbox, []mailbox.Appended{s.message("4", "m9"), s.message("5", "m10")})
		s.check("one too many in two messages", err, mailbox.ErrLimit)
		s.append(mailbox.Inbox, s.message("6", "m9"))
		names := slices.Concat(all[:7], all[9:40])
		want := fmt.Sprintf("1%v 2%v 3%v ", names, []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "k39"}, []string{"m9"})
		fresh, err := s.Index(ctx, s.scope, "a", mailbox.Inbox, have)
		must(s.t, err)
		for what, x := range map[string]*mailbox.Index{"a new index": s.index(mailbox.Inbox), "an index that followed": fresh} {
			var got strings.Builder
			for _, e := range x.All() {
				list := x.Names(e.Flags)
				slices.SortFunc(list, byAge)
				fmt.Fprintf(&got, "%d%v ", e.UID, list)
			}
			if got.String() != want {
				s.t.Errorf("%s: %s\nwant %s", what, got.String(), want)
			}
		}
		if n := slices.IndexFunc(have.Keywords(), func(k string) bool { return k == "k07" }); n < 0 || have.Names(mailbox.Keyword(n))[0] != "k07" {
			s.t.Error("an index that somebody has was changed")
		}
	})
}

// byAge orders m0 to m10 before the rest.
func byAge(a, b string) int {
	if (a[0] == 'm') != (b[0] == 'm') {
		return int(b[0]) - int(a[0])
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return int(a[len(a)-1]) + 10*int(a[1]) - int(b[len(b)-1]) - 10*int(b[1])
}
