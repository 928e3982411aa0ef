package routing_test

import (
	"reflect"
	"strings"
	"testing"

	"postroad/internal/core/directory"
	"postroad/internal/core/mail"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
)

// today is an installation after changes, with ann's mailbox in each domain but gone.example.
func today() routing.View {
	hop := []directory.NextHop{{Host: "real.example", Port: 25}}
	var domains []directory.Domain
	var boxes []directory.Mailbox
	add := func(d directory.Domain) {
		d.Account = "a"
		domains = append(domains, d)
		boxes = append(boxes, directory.Mailbox{ID: "box-" + d.Name, Account: "a", Domain: d.Name, Local: "ann"})
	}
	add(directory.Domain{Name: "local.example", Proved: true, Mode: directory.ModeLocal})
	add(directory.Domain{Name: "dual.example", Proved: true, Mode: directory.ModeLocal, Dual: true, NextHops: hop})
	add(directory.Domain{Name: "split.example", Proved: true, Mode: directory.ModeSplit, NextHops: hop})
	add(directory.Domain{Name: "backup.example", Proved: true, Mode: directory.ModeBackup})
	add(directory.Domain{Name: "relay.example", Proved: true, Mode: directory.ModeRelay, NextHops: hop})
	add(directory.Domain{Name: "remote.example", Proved: true, Mode: directory.ModeRemote})
	add(directory.Domain{Name: "auto.example", Proved: true, Mode: directory.ModeAuto, Auto: directory.ModeBackup})
	add(directory.Domain{Name: "inert.example", Mode: directory.ModeLocal})
	rules := []directory.Rule{
		{ID: "r", Account: "a", Domain: "local.example", Local: "all", Kind: directory.RuleGroup, Targets: []string{"ann@local.example", "x@far.example"}},
	}
	return routing.View{
		Directory: directory.NewSnapshot(1, domains, boxes, rules, nil), Now: noon,
		Self: routing.Self{Hostname: "mx.host.example", RoutingDomain: "in.mx.host.example"},
	}
}

func TestUndeliveredRowsAreDecidedAnew(t *testing.T) {
	t.Parallel()
	const local, relay, other = "local/mailboxes", "relay/real.example:25", "relay/other.example:25"
	for _, c := range []struct {
		to, lane, original string
		copied             bool
		want               string
	}{
		// The domain goes as before.
		{"ann@local.example", local, "", false, "stays"},
		{"gone@local.example", local, "", false, "stays"}, // the agent answers for a mailbox that was removed
		{"ann@relay.example", relay, "", false, "stays"},
		{"x@backup.example", "remote/backup.example", "", false, "stays"},
		{"x@remote.example", "remote/remote.example", "", false, "stays"},
		{"x@far.example", "remote/far.example", "", false, "stays"},
		{"x@far.example", "relay/smart.example:587#o1", "", false, "stays"},
		// It is delivered here now.
		{"ann@local.example", relay, "", false, "box-local.example ann@local.example"},
		{"ann+tag@local.example", relay, "", false, "box-local.example ann@local.example"},
		{"ann@local.example", "remote/local.example", "", false, "box-local.example ann@local.example"},
		{"all@local.example", relay, "", false, "box-local.example ann@local.example, remote/far.example x@far.example"},
		{"nobody@local.example", relay, "", false, "held for local.example: nobody@local.example: no such mailbox here"},
		// It is handed on now, or by another way.
		{"ann@relay.example", local, "", false, relay + " ann@relay.example"},
		{"ann@relay.example", other, "", false, relay + " ann@relay.example"},
		{"ann@relay.example", "remote/relay.example", "", false, relay + " ann@relay.example"},
		{"ann@backup.example", local, "", false, "remote/backup.example ann@backup.example"},
		{"x@backup.example", other, "", false, "remote/backup.example x@backup.example"},
		{"x@remote.example", relay, "", false, "remote/remote.example x@remote.example"},
		{"ann@remote.example", local, "", false, "remote/remote.example ann@remote.example"},
		{"ann@auto.example", local, "", false, "remote/auto.example ann@auto.example"},
		// Split: who is here is delivered here.
		{"ann@split.example", local, "", false, "stays"},
		{"ann@split.example", other, "", false, "box-split.example ann@split.example"},
		{"x@split.example", other, "", false, relay + " x@split.example"},
		{"x@split.example", local, "", false, relay + " x@split.example"},
		// A routing address names a mailbox whatever the domain does.
		{"ann@remote.example", local, "ann=remote.example@in.mx.host.example", false, "stays"},
		// No domain of ours any more, or inert.
		{"ann@removed.example", local, "", false, "held for : the domain is no longer here"},
		{"x@removed.example", relay, "", false, "stays"},
		{"ann@inert.example", local, "", false, "held for inert.example: the domain's ownership is no longer shown"},
		{"x@inert.example", "remote/inert.example", "", false, "stays"},
		{"x@inert.example", "relay/smart.example:587#o1", "", false, "stays"},
		// Dual delivery: the message is here, its copy goes out once.
		{"ann@dual.example", local, "", false, "stays"},
		{"ann@dual.example", relay, "", true, "stays"},
		{"ann@dual.example", other, "", true, relay + " ann@dual.example copy"},
		{"ann@dual.example", relay, "", false, "box-dual.example ann@dual.example, " + relay + " ann@dual.example copy"},
		{"ann@local.example", relay, "", true, "stays"},
	} {
		r := mail.Recipient{Destination: c.to, Original: c.original, Lane: mail.Lane(c.lane), Copy: c.copied, Account: "a"}
		if c.lane == local {
			r.Mailbox = "box-" + c.to[strings.IndexByte(c.to, '@')+1:]
			if !strings.HasPrefix(c.to, "ann@") {
				r.Mailbox = "box-other"
			}
		}
		if got := anewText(routing.DecideAnew(today(), &r)); got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.to, c.lane, got, c.want)
		}
	}
}

func anewText(a routing.Anew) string {
	if a.Stays {
		return "stays"
	}
	if len(a.To) == 0 {
		return "held for " + a.Domain + ": " + a.Why
	}
	text := show(routing.Decision{Reply: smtp.Reply{Code: 250}, Destinations: a.To})
	for _, to := range a.To {
		if to.Mailbox != "" {
			text = strings.Replace(text, to.Mailbox, to.Mailbox+" "+to.Address, 1)
		}
		if to.Copy {
			text += " copy"
		}
	}
	return text
}

func TestADoubtfulViewHoldsNothing(t *testing.T) {
	t.Parallel()
	v := today()
	v.Stale = true
	r := mail.Recipient{Destination: "nobody@local.example", Lane: "relay/real.example:25"}
	if a := routing.DecideAnew(v, &r); !a.Stays {
		t.Error(anewText(a))
	}
}

func TestRowsMadeAnewKeepWhatIsNotTheNextHop(t *testing.T) {
	t.Parallel()
	r := mail.Recipient{
		Row: mail.Row{ID: "id", N: 3}, Account: "a", Original: "o@dual.example", Destination: "ann@dual.example", Notify: smtp.NotifySuccess,
		ORcpt: "rfc822;o@dual.example", State: mail.StateDeferred, Attempts: 4, Lane: "relay/x:25", CheckAge: 5, ExpireAge: 6, BornAge: 1, LastReply: "450", LastHost: "x",
		Head: []byte("X-Own: 1\r\n"), Sender: "srs@dual.example", Rewritten: true,
	}
	rows := routing.RowsAnew(&r, routing.DecideAnew(today(), &r).To)
	box := r
	box.Lane, box.Mailbox = routing.LocalLane, "box-dual.example"
	out := r
	out.Lane, out.Copy, out.Notify, out.ORcpt = "relay/real.example:25", true, smtp.NotifyNever, ""
	if !reflect.DeepEqual(rows, []mail.Recipient{box, out}) {
		t.Errorf("%+v", rows)
	}
}

// TestWhatWasPutAsideDoesNotLeave: what was to go into a folder for junk is quarantined where it would leave by now.
func TestWhatWasPutAsideDoesNotLeave(t *testing.T) {
	t.Parallel()
	out := []routing.Destination{{Transport: mail.TransportRelay, Lane: "relay/real.example:25", Address: "ann@dual.example"}}
	box := []routing.Destination{{Transport: mail.TransportLocal, Lane: routing.LocalLane, Address: "ann@dual.example", Mailbox: "box"}}
	for _, c := range []struct {
		name string
		row  mail.Recipient
		to   []routing.Destination
		want mail.State
	}{
		{"out of a mailbox", mail.Recipient{Junk: true, Lane: routing.LocalLane, State: mail.StateDeferred, LastReply: "452 full", LastHost: "x"}, out, mail.StateQuarantined},
		{"from mailbox to mailbox", mail.Recipient{Junk: true, Lane: routing.LocalLane, State: mail.StateDeferred}, box, mail.StateDeferred},
		{"let go before", mail.Recipient{Junk: true, Lane: "remote/dual.example", State: mail.StateWaiting}, out, mail.StateWaiting},
		{"never put aside", mail.Recipient{Lane: routing.LocalLane, State: mail.StateWaiting}, out, mail.StateWaiting},
	} {
		got := routing.RowsAnew(&c.row, c.to)[0]
		if got.State != c.want || !got.Junk && c.row.Junk {
			t.Errorf("%s: %+v", c.name, got)
		}
		if aside := got.State == mail.StateQuarantined; aside != strings.Contains(got.LastReply, "it was put aside") || aside && got.LastHost != "" {
			t.Errorf("%s: %q by %q", c.name, got.LastReply, got.LastHost)
		}
	}
}

func TestRowsThatStayCostNothing(t *testing.T) {
	v := today()
	for _, r := range []mail.Recipient{
		{Destination: "ann@local.example", Lane: routing.LocalLane, Mailbox: "box-local.example"},
		{Destination: "x@far.example", Lane: "remote/far.example"},
	} {
		if n := testing.AllocsPerRun(100, func() {
			if a := routing.DecideAnew(v, &r); !a.Stays {
				t.Error(anewText(a))
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", r.Destination, n)
		}
	}
}
