package acceptance

import (
	"fmt"
	"strings"
	"testing"
)

// entry is a line of the audit log.
type entry struct {
	ID      int64  `json:"id"`
	Action  string `json:"action"`
	CanUndo bool   `json:"can_undo"`
}

// entries are the lines of the audit log, newest first.
type entries []entry

// newest finds the newest entry about things of a kind, whatever the program itself has changed meanwhile.
func (e entries) newest(kind string) entry {
	for i := range e {
		if strings.HasPrefix(e[i].Action, kind+" ") {
			return e[i]
		}
	}
	return entry{}
}

func TestS5_20EveryChangeHasAnAuditEntryAndAnUndo(t *testing.T) {
	t.Parallel()
	i := twoDomains(t)
	i.run("mailbox", "add", "bob@here.example", "--quota", "1GiB")
	i.run("forward", "add", "away@here.example", "x@far.example")
	i.run("group", "add", "all@here.example", "ann@here.example", "bob@here.example")
	i.run("account", "add", "acme")
	settings := func() string {
		var b strings.Builder
		for _, list := range []string{"domain", "alias", "forward", "group", "catch-all", "outbound", "mailbox"} {
			b.WriteString(i.run(list, "list"))
		}
		for _, d := range ask[[]struct {
			Name        string   `json:"name"`
			Gateways    []string `json:"gateways"`
			Recipients  string   `json:"recipients"`
			Unreachable string   `json:"unreachable"`
			Dual        bool     `json:"dual"`
			Hold        int64    `json:"hold_seconds"`
		}](i, "domain", "list") {
			fmt.Fprintf(&b, "%+v\n", d)
		}
		for _, a := range ask[[]struct {
			Name string `json:"name"`
		}](i, "account", "list") {
			b.WriteString(a.Name + "\n")
		}
		return b.String()
	}
	for _, line := range []string{
		"domain set here.example --mode relay --next-hop 192.0.2.9:25 --recipients accept",
		"domain set here.example --mode split --next-hop 192.0.2.9:25 --recipients probe --unreachable queue --hold 3d",
		"domain set there.example --zone hosted", "domain set there.example --gateway 192.0.2.0/24", "domain set there.example --proved=false",
		"domain set there.example --dual --next-hop 192.0.2.9:25",
		"domain add new.example --account acme", "domain remove here.example",
		"mailbox add kim@here.example", "mailbox set bob@here.example --quota 2GiB", "mailbox remove bob@here.example",
		"alias add info@here.example ann@here.example", "alias set sales@there.example bob@here.example", "alias remove sales@there.example",
		"forward set away@here.example y@far.example", "group remove all@here.example", "catch-all set here.example ann@here.example",
		"outbound set smart.example:25 --domain here.example", "outbound set --source 127.0.0.2 --domain here.example", "account set acme --name emca", "account remove acme",
	} {
		before := settings()
		i.run(append(strings.Fields(line), "--yes")...)
		if settings() == before {
			t.Errorf("%s: nothing has changed", line)
		}
		last := ask[entries](i, "audit", "--limit", "1")[0]
		if !strings.HasPrefix(line, last.Action) && !strings.HasPrefix(last.Action, "catch-all") || !last.CanUndo {
			t.Errorf("%s: the newest entry is %+v", line, last)
		}
		if out, _, code := i.try("undo", fmt.Sprint(last.ID)); code != 1 || !strings.HasSuffix(out, ".\n") && !strings.Contains(out, "after") {
			t.Errorf("%s: undo does not ask: exit %d: %s", line, code, out)
		}
		i.run("undo", fmt.Sprint(last.ID), "--yes")
		if after := settings(); after != before {
			t.Errorf("%s: before\n%s\nafter it was undone\n%s", line, before, after)
		}
		if last := ask[entries](i, "audit", "--limit", "1")[0]; !last.CanUndo && last.Action != "domain add" {
			t.Errorf("%s: that it was undone cannot be undone: %+v", line, last)
		}
	}
}

func TestS5_20WhoHasZonesIsUndone(t *testing.T) {
	t.Parallel()
	i := twoDomains(t)
	settings := func() string {
		return i.run("transfer", "list") + i.run("secondary", "list") + i.run("catalog", "list")
	}
	for _, c := range []struct{ line, action string }{
		{"transfer allow there.example --from 192.0.2.0/24", "transfer add"},
		{"transfer notify there.example 192.0.2.53", "transfer add"},
		{"secondary set there.example 192.0.2.53", "secondary add"},
		{"catalog on all.invalid", "catalog add"},
	} {
		before := settings()
		i.run(append(strings.Fields(c.line), "--yes")...)
		if settings() == before {
			t.Errorf("%s: nothing has changed", c.line)
		}
		last := ask[entries](i, "audit", "--limit", "1")[0]
		if last.Action != c.action || !last.CanUndo {
			t.Errorf("%s: the newest entry is %+v", c.line, last)
		}
		i.run("undo", fmt.Sprint(last.ID), "--yes")
		if after := settings(); after != before {
			t.Errorf("%s: before\n%s\nafter it was undone\n%s", c.line, before, after)
		}
		i.run("undo", fmt.Sprint(ask[entries](i, "audit", "--limit", "1")[0].ID), "--yes") // and that in turn
		if after := settings(); after == before {
			t.Errorf("%s: it does not come back", c.line)
		}
		i.run("undo", fmt.Sprint(ask[entries](i, "audit", "--limit", "1")[0].ID), "--yes")
	}
}

func TestS5_20WhatHasChangedSinceIsNotUndone(t *testing.T) {
	t.Parallel()
	i := twoDomains(t)
	refused := func(id int64, why string) {
		t.Helper()
		if _, errs, code := i.try("undo", fmt.Sprint(id), "--yes"); code != 1 || !strings.Contains(errs, why) {
			t.Errorf("exit %d, not %q: %s", code, why, errs)
		}
	}
	i.run("domain", "set", "here.example", "--hold", "2d", "--yes")
	first := ask[entries](i, "audit", "--limit", "1")[0].ID
	i.run("domain", "set", "here.example", "--hold", "3d", "--yes")
	refused(first, "the domain here.example has changed since")
	if e := ask[entries](i, "audit", "--limit", "2"); e[1].ID != first || e[1].CanUndo || !e[0].CanUndo {
		t.Errorf("the audit log tells otherwise: %+v", e)
	}
	i.run("mailbox", "remove", "ann@here.example", "--yes")
	gone := ask[entries](i, "audit", "--limit", "1")[0].ID
	if out, _, _ := i.try("undo", fmt.Sprint(gone)); !strings.Contains(out, "do not come back") || !strings.Contains(out, "ann@here.example is newly received") {
		t.Errorf("the plan to bring a mailbox back says too little:\n%s", out)
	}
	i.run("domain", "remove", "here.example", "--yes")
	refused(gone, "the domain here.example is gone")
	refused(1<<40, "no such change")
	if _, _, code := i.try("undo", "x"); code != 2 {
		t.Errorf("undo x: exit %d", code)
	}
}

func TestS5_20SigningAndIdentitiesAreUndone(t *testing.T) {
	t.Parallel()
	i := twoDomains(t)
	i.run("domain", "add", "sign.example", "--proved") // nobody sends as it, so that the program itself changes nothing of it
	settings := func() string {
		var b strings.Builder
		for _, d := range ask[[]struct {
			Domain     string
			On         bool
			Algorithms string
			Rotate     int `json:"rotate_days"`
			Keys       []struct{ Selector, State string }
		}](i, "dkim", "list") {
			if d.Domain == "sign.example" {
				fmt.Fprintf(&b, "%+v\n", d)
			}
		}
		return b.String() + i.run("identity", "list")
	}
	newest := func(domain, line string) entry {
		kind, _, _ := strings.Cut(line, " ")
		return ask[entries](i, "audit", "--domain", domain).newest(kind)
	}
	selector := func() string {
		for _, k := range ask[struct{ Keys []struct{ Selector string } }](i, "dkim", "show", "sign.example").Keys {
			return k.Selector
		}
		return ""
	}
	for _, c := range []struct{ line, domain, action string }{
		{"dkim on sign.example", "sign.example", "dkim add"},
		{"dkim on sign.example --rotate 90", "sign.example", "dkim set"},
		{"dkim on sign.example --algorithms ed25519", "sign.example", "dkim set"},
		{"dkim remove sign.example SELECTOR", "sign.example", "dkim remove"},
		{"dkim off sign.example", "sign.example", "dkim set"},
		{"identity add ann@here.example ann@sign.example", "here.example", "identity add"},
		{"identity remove ann@here.example ann@sign.example", "here.example", "identity remove"},
	} {
		before := settings()
		c.line = strings.Replace(c.line, "SELECTOR", selector(), 1)
		i.run(append(strings.Fields(c.line), "--yes")...)
		done := settings()
		e := newest(c.domain, c.line)
		if done == before || e.Action != c.action || !e.CanUndo {
			t.Errorf("%s: the newest entry is %+v", c.line, e)
		}
		i.run("undo", fmt.Sprint(e.ID), "--yes")
		if after := settings(); c.action == "dkim add" && strings.Contains(after, "published") || c.action != "dkim add" && after != before {
			t.Errorf("%s: before\n%s\nafter it was undone\n%s", c.line, before, after)
		}
		i.run("undo", fmt.Sprint(newest(c.domain, c.line).ID), "--yes")
		if again := settings(); again != done {
			t.Errorf("%s: done\n%s\ndone again\n%s", c.line, done, again)
		}
	}
}
