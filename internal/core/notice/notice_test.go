package notice_test

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/finding"
	"postroad/internal/core/notice"
)

var (
	begin = time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC)
	rules = notice.Rules{Wait: 5 * time.Minute, Interval: 6 * time.Hour, Digest: 6 * time.Hour}
)

// teller is somebody who looks again and again.
type teller struct {
	memory map[string]notice.Memory
	owners map[string]account.ID
	text   string // of the last notice
}

// look gives what is told, a line each: who, event, "over" for its end, and when it is sent if that is not at once.
func (l *teller) look(after time.Duration, seen []notice.Seen, switches ...notice.Switch) string {
	var remembered []notice.Memory
	for _, m := range l.memory {
		remembered = append(remembered, m)
	}
	now := begin.Add(after)
	r := notice.Look(rules, now, remembered, seen, switches, func(d string) (account.ID, bool) { id, ok := l.owners[d]; return id, ok })
	for _, m := range r.Drop {
		delete(l.memory, m.Domain+string(m.Event))
	}
	for _, m := range r.Put {
		l.memory[m.Domain+string(m.Event)] = m
	}
	var out []string
	for _, n := range r.Notice {
		line := fmt.Sprintf("%s %s", n.Account, n.Event)
		l.text = n.Text
		if n.Ended {
			line += " over"
		}
		if !n.Due.Equal(now) {
			line += " due " + n.Due.Format("2 15:04")
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func newTeller() *teller {
	return &teller{memory: map[string]notice.Memory{}, owners: map[string]account.ID{"d.example": "ann", "own.example": account.Operator}}
}

func seen(event notice.Event, domain string, owner account.ID) []notice.Seen {
	return []notice.Seen{{Event: event, Domain: domain, Account: owner, Since: begin, Evidence: "no answer", Finding: finding.SplitLoop, Held: 3, Hold: 120 * time.Hour}}
}

func TestWhatHoldsIsToldOnceAndItsEndAlways(t *testing.T) {
	t.Parallel()
	down := seen(notice.PrimaryDown, "d.example", "ann")
	l := newTeller()
	for i, step := range []struct {
		after time.Duration
		seen  []notice.Seen
		told  string
	}{
		{time.Minute, down, ""}, // it may pass
		{5 * time.Minute, down, "ann primary-down, operator primary-down"},
		{6 * time.Minute, down, ""},
		{20 * time.Hour, down, ""},
		{21 * time.Hour, nil, "ann primary-down over, operator primary-down over"},
		{22 * time.Hour, nil, ""},
		{23 * time.Hour, down, "ann primary-down, operator primary-down"}, // long after the first time
		{23*time.Hour + time.Minute, nil, "ann primary-down over, operator primary-down over"},
		{23*time.Hour + 2*time.Minute, down, ""}, // it flaps
		{23*time.Hour + 3*time.Minute, nil, ""},
		{24 * time.Hour, down, ""},
		{29 * time.Hour, down, "ann primary-down, operator primary-down"}, // and stays so
		{30 * time.Hour, nil, "ann primary-down over, operator primary-down over"},
		{48 * time.Hour, nil, ""},
	} {
		if got := l.look(step.after, step.seen); got != step.told {
			t.Errorf("step %d: %q, want %q", i+1, got, step.told)
		}
	}
	if len(l.memory) != 0 {
		t.Errorf("what is over is remembered for ever: %+v", l.memory)
	}
}

func TestFindingsAreToldAndTheirEndIsNot(t *testing.T) {
	t.Parallel()
	for _, event := range []notice.Event{notice.RoutingLoop, notice.GatewayBypassed, notice.ForwardFuse, notice.StrandedMailboxes, notice.OwnershipLost, notice.CertExpiring} {
		l := newTeller()
		one := seen(event, "d.example", "ann")
		if got := l.look(time.Hour, append(one, one...)); got != fmt.Sprintf("ann %s, operator %[1]s", event) {
			t.Errorf("%s: %q", event, got)
		}
		if got := l.look(2*time.Hour, nil) + l.look(3*time.Hour, one); got != "" {
			t.Errorf("%s, again: %q", event, got)
		}
		if got := l.look(7*time.Hour, one); got == "" {
			t.Errorf("%s: it is never told again", event)
		}
	}
}

func TestSwitchesGoToTheCustomerAtOnceAndIntoTheOperatorsDigest(t *testing.T) {
	t.Parallel()
	change := func(at time.Duration, to directory.Mode) notice.Switch {
		return notice.Switch{Domain: "d.example", Account: "ann", At: begin.Add(at), From: directory.ModeLocal, To: to, Evidence: "MX 10 elsewhere"}
	}
	l := newTeller()
	if got := l.look(0, nil, change(0, directory.ModeBackup)); got != "ann mode-switched, operator mode-switched due 1 06:00" {
		t.Errorf("the first: %q", got)
	}
	if got := l.look(time.Hour, nil, change(time.Hour, directory.ModeLocal)) + l.look(2*time.Hour, nil, change(2*time.Hour, directory.ModeRemote)); got != "" {
		t.Errorf("soon after it: %q", got)
	}
	if got := l.look(6*time.Hour, nil); got != "ann mode-switched, operator mode-switched due 2 06:00" {
		t.Errorf("both together: %q", got)
	}
	if got := l.look(24*time.Hour, nil); got != "" || len(l.memory) != 0 {
		t.Errorf("at the end: %q, %+v", got, l.memory)
	}
}

func TestNobodyIsToldOfWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	l := newTeller()
	if got := l.look(time.Hour, seen(notice.PrimaryDown, "gone.example", "ann")); got != "" {
		t.Errorf("a domain that is not here: %q", got)
	}
	if got := l.look(time.Hour, seen(notice.PrimaryDown, "d.example", "bob")); got != "" {
		t.Errorf("a domain of another account: %q", got)
	}
	if got := l.look(time.Hour, seen(notice.PrimaryDown, "own.example", account.Operator)); got != "operator primary-down" {
		t.Errorf("the operator's own domain: %q", got)
	}
	l.look(time.Hour, seen(notice.PrimaryDown, "d.example", "ann"))
	l.owners["d.example"] = "bob"
	if got := l.look(2*time.Hour, nil); got != "" {
		t.Errorf("what the old owner was told is told to others: %q", got)
	}
	if got := l.look(3*time.Hour, seen(notice.PrimaryDown, "d.example", "bob")); !strings.Contains(got, "bob primary-down") {
		t.Errorf("the new owner is told: %q", got)
	}
}

func TestNoticesSayWhatHappenedInPlainWords(t *testing.T) {
	t.Parallel()
	hostile := "\x1b[2J evil\r\nBcc: x@y.example \xff " + strings.Repeat("long", 2000)
	for _, event := range []notice.Event{notice.PrimaryDown, notice.RoutingLoop, notice.GatewayBypassed, notice.ForwardFuse, notice.StrandedMailboxes, notice.OwnershipLost, notice.CertExpiring} {
		s := seen(event, "xn--bcher-kva.example", "ann")
		s[0].Evidence = hostile
		r := notice.Look(rules, begin.Add(time.Hour), nil, s, nil, func(string) (account.ID, bool) { return "ann", true })
		var list []notice.Notice
		for range 60 {
			list = append(list, r.Notice[0])
		}
		m := notice.Mail{Hostname: "mx.test.example", To: []string{"a@far.example", "b@far.example"}, ID: "1", Date: begin, Notices: list}
		text, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := string(text)
		parsed, err := mail.ReadMessage(strings.NewReader(got))
		if err != nil {
			t.Fatal(err)
		}
		for field, want := range map[string]string{
			"From": "Postroad <postmaster@mx.test.example>", "To": "a@far.example, b@far.example", "Auto-Submitted": "auto-generated", "Bcc": "", "Content-Type": "text/plain; charset=utf-8",
		} {
			if got := parsed.Header.Get(field); got != want {
				t.Errorf("%s: %s is %q", event, field, got)
			}
		}
		for _, want := range []string{"bücher.example (xn--bcher-kva.example)", "2026-03-01 05:00 UTC", "What was seen: ", "What it means: ", "What to do: ", "postroad domain show xn--bcher-kva.example", "And 10 more"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s lacks %q:\n%.3000s", event, want, got)
			}
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(got, "\r\n"), "\r\n") {
			if len(line) > 998 || strings.ContainsAny(line, "\x1b\r\n") {
				t.Errorf("%s has the line %q", event, line)
			}
		}
	}
}

// A second login that is paused while people know of the first is told as well, each once, and so is one that is paused again.
func TestEachPausedLoginIsToldOnce(t *testing.T) {
	t.Parallel()
	paused := func(logins ...string) []notice.Seen {
		if len(logins) == 0 {
			return nil
		}
		s := seen(notice.SendingPaused, "d.example", "ann")
		s[0].Evidence = strings.Join(logins, finding.Between)
		return s
	}
	const both = "ann sending-paused, operator sending-paused"
	l := newTeller()
	for i, step := range []struct {
		after time.Duration
		seen  []notice.Seen
		told  string
		names string
	}{
		{time.Minute, paused("a: x"), "", ""},
		{5 * time.Minute, paused("a: x", "b: x"), both, "a: x; b: x"},
		{6 * time.Minute, paused("a: x", "b: x"), "", ""},
		{7 * time.Minute, paused("a: x", "b: x", "c: x"), both, "c: x"},
		{8 * time.Minute, paused("a: x", "c: x"), "", ""}, // b is resumed
		{9 * time.Minute, paused("a: x", "b: x", "c: x"), both, "b: x"},
		{10 * time.Minute, paused(), "", ""},
		{11 * time.Minute, paused("a: x"), both, "a: x"}, // it has been so for long enough
		{24 * time.Hour, paused("a: x"), "", ""},
	} {
		if got := l.look(step.after, step.seen); got != step.told {
			t.Errorf("step %d: %q, want %q", i+1, got, step.told)
		}
		if step.names != "" && !strings.Contains(strings.Join(strings.Fields(l.text), " "), "What was seen: "+step.names+" What it means") {
			t.Errorf("step %d tells\n%s", i+1, l.text)
		}
	}
}

// That somebody comes near a limit is told at once, each once, not more often than the rules say, and to the operator once a day.
func TestWhoComesNearALimitIsTold(t *testing.T) {
	t.Parallel()
	near := func(parts ...string) []notice.Seen {
		s := seen(notice.SendingNear, "d.example", "ann")
		s[0].Evidence = strings.Join(parts, finding.Between)
		return s
	}
	l := newTeller()
	for i, step := range []struct {
		after time.Duration
		seen  []notice.Seen
		told  string
	}{
		{time.Second, near("a at 5"), "ann sending-near-limit, operator sending-near-limit due 1 06:00"},
		{time.Minute, near("a at 5", "b at 5"), ""},
		{time.Hour, nil, ""},
		{2 * time.Hour, near("a at 7"), ""},
		{6*time.Hour + time.Minute, near("a at 7"), "ann sending-near-limit, operator sending-near-limit due 2 06:00"},
		{13 * time.Hour, near("a at 7"), ""},
		{14 * time.Hour, near("a at 7", "b at 7"), "ann sending-near-limit, operator sending-near-limit due 2 06:00"},
		{15 * time.Hour, nil, ""},
		{30 * time.Hour, nil, ""},
	} {
		if got := l.look(step.after, step.seen); got != step.told {
			t.Errorf("step %d: %q, want %q", i+1, got, step.told)
		}
	}
	if len(l.memory) != 0 {
		t.Errorf("still remembered: %+v", l.memory)
	}
}
