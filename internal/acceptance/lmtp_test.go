package acceptance

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postroad/internal/sim"
)

func TestMailIsHandedOnByLMTP(t *testing.T) {
	t.Parallel()
	script := sim.Script{LMTP: true, Rcpt: map[string]string{"who@box.example": "550 5.1.1 who is that?"}, DotRcpt: map[string]string{
		"busy@box.example":  sim.InTurn("452 4.2.2 over quota", "451 4.3.0 busy", ""),
		"virus@box.example": "554 5.7.1 not that one",
	}}
	for _, kind := range []string{"port", "socket"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			o := newOutside(t)
			p := sim.NewPeer(t, script)
			hop := "lmtp://" + sim.FreeAddress(t)
			if kind == "socket" {
				hop = "lmtp://" + filepath.Join(t.TempDir(), "lmtp")
			}
			p.Listen(strings.TrimPrefix(hop, "lmtp://"))
			i := o.instance("retry = [\"1s\"]")
			i.run("domain", "add", "box.example", "--mode", "relay", "--recipients", "accept", "--proved", "--next-hop", hop)
			if x := i.run("explain", "good@box.example"); !strings.Contains(x, "(lmtp,") || !strings.Contains(x, strings.TrimPrefix(hop, "lmtp://")) {
				t.Errorf("explain does not show the transport:\n%s", x)
			}
			if d := i.run("domain", "show", "box.example"); !strings.Contains(d, hop) {
				t.Errorf("domain show does not show %s:\n%s", hop, d)
			}
			i.sender().send("ann@here.example", text("by LMTP"), "good@box.example", "busy@box.example", "who@box.example", "virus@box.example")
			eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
			got := p.Await(3)
			if len(got) != 3 {
				t.Errorf("%d transactions", len(got))
			}
			if first := got[0].Accepted(); !slices.Equal(first, []string{"good@box.example", "busy@box.example", "virus@box.example"}) {
				t.Errorf("the first attempt was for %v", first)
			}
			for _, m := range got[1:] {
				if again := m.Accepted(); !slices.Equal(again, []string{"busy@box.example"}) {
					t.Errorf("a retry was for %v", again)
				}
			}
			list := i.await("ann@here.example", 1)
			report := i.run("mailbox", "message", "ann@here.example", fmt.Sprint(list[0].UID))
			for _, want := range []string{"who@box.example", "virus@box.example", "who is that?", "not that one"} {
				if !strings.Contains(report, want) {
					t.Errorf("the report lacks %q:\n%s", want, report)
				}
			}
			if strings.Contains(report, "good@box.example") || strings.Contains(report, "busy@box.example") || strings.Contains(report, "/lmtp") || len(list) != 1 {
				t.Errorf("%d reports; the report names who got it, or a path:\n%s", len(list), report)
			}
			p.CheckFaults(t)
		})
	}
}

func TestANextHopOfTheOperatorMayBePrivate(t *testing.T) {
	t.Parallel()
	p := sim.StartPeer(t, sim.Script{})
	i := newInstance(t, "")
	i.run("domain", "add", "inside.example", "--mode", "relay", "--recipients", "accept", "--proved", "--next-hop", p.Addr())
	if d := i.run("domain", "show", "inside.example"); !strings.Contains(d, "(named by the operator)") {
		t.Errorf("domain show does not tell who named the next hop:\n%s", d)
	}
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.send("a@far.example", text("inside"), "u@inside.example")
	p.Await(1)
	eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	idle := sim.FreeAddress(t)
	i.run("domain", "set", "inside.example", "--next-hop", idle, "--yes")
	c.send("a@far.example", text("waits"), "u@inside.example")
	for _, to := range []string{idle, "127.0.0.1", "127.0.0.9"} {
		n := strings.Count(i.run("queue", "list", "--to", to), "a@far.example")
		if want := map[bool]int{true: 0, false: 1}[to == "127.0.0.9"]; n != want {
			t.Errorf("%d messages wait for %s", n, to)
		}
	}
}
