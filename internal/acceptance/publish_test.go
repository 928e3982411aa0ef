package acceptance

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postroad/internal/sim"
)

const updateSecret = "c2VjcmV0IG9mIGEga2V5IHRoYXQgdHdvIHNoYXJlIQ=="

// bind runs BIND as the primary of acme.example, which somebody else runs, and gives its address.
func bind(t *testing.T) string {
	t.Helper()
	const path = "/usr/sbin/named"
	if _, err := os.Stat(path); err != nil {
		missing(t, "this needs: apt-get install bind9")
	}
	dir, address := t.TempDir(), sim.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	zone := "$TTL 3600\n@ SOA ns h 1 7200 900 1209600 300\n@ NS ns\nns A 127.0.0.1\nwww 300 A 192.0.2.7\n@ 600 MX 10 old.far.example.\n@ TXT \"v=spf1 ip4:192.0.2.1 -all\"\n@ TXT \"verification=1\"\n"
	conf := "options { directory \"" + dir + "\"; listen-on port " + port + " { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion no; session-keyfile none; };\ncontrols { };\n" +
		"key postroad { algorithm hmac-sha256; secret \"" + updateSecret + "\"; };\n" +
		"zone acme.example { type primary; file \"" + dir + "/acme.zone\"; update-policy { grant postroad zonesub MX TXT; }; allow-transfer { 127.0.0.1; }; };\n"
	for name, text := range map[string]string{"acme.zone": zone, "named.conf": conf} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), path, "-g", "-c", filepath.Join(dir, "named.conf"))
	var log output
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("named:\n%s", tail(log.String(), 4000))
		}
	})
	eventually(t, "named to answer", func() bool { return strings.Contains(whole(address), "verification=1") })
	return address
}

// whole is the zone acme.example as a server has it, without SOA, a line for each record.
func whole(address string) string {
	host, port, _ := net.SplitHostPort(address)
	out, err := exec.Command("dig", "@"+host, "-p", port, "+noall", "+answer", "+time=1", "+tries=1", "acme.example", "AXFR").Output() //nolint:gosec // an address
	if err != nil {
		return ""
	}
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 4 && f[3] != "SOA" {
			b.WriteString(strings.Join(f, " ") + "\n")
		}
	}
	return b.String()
}

// provide says how the zone of a domain is written to.
func (i *instance) provide(secret string, args ...string) string {
	i.t.Helper()
	cmd := exec.Command(i.path(), append([]string{"--data", i.data, "provider", "set", "--secret-stdin", "--yes"}, args...)...)
	cmd.Stdin = strings.NewReader(secret + "\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		i.t.Fatalf("provider set: %v\n%s", err, out)
	}
	return string(out)
}

func TestS5_20WhatIsWrittenIntoSomebodyElsesZoneIsShownAndUndone(t *testing.T) {
	t.Parallel()
	address := bind(t)
	i := newInstance(t, "")
	token := i.customer("acme", "acme.example")
	other := i.customer("other", "other.example")
	i.run("exchanger-set", "add", "ours", "mx1.host.example:10", "mx2.host.example:20", "--spf", "v=spf1 mx ~all")
	i.run("domain", "set", "acme.example", "--exchanger-set", "ours", "--yes")
	if _, errs, code := i.try("publish", "acme.example"); code != 1 || !strings.Contains(errs, "provider set") || !strings.Contains(errs, "mx list acme.example") {
		t.Errorf("without a provider: %d %s", code, errs)
	}
	i.provide(updateSecret, "acme.example", "rfc2136", "--server", address, "--key", "postroad")
	before := whole(address)

	out, _, code := i.try("publish", "acme.example")
	for _, want := range []string{"mx1.host.example", "old.far.example", "no longer to those that are named now"} {
		if !strings.Contains(out, want) || code != 1 {
			t.Errorf("the plan lacks %q (exit %d):\n%s", want, code, out)
		}
	}
	if whole(address) != before {
		t.Error("the plan has written something")
	}
	i.run("publish", "acme.example", "--yes")
	after := whole(address)
	for line := range strings.Lines(before) {
		if changed := strings.Contains(line, " MX ") || strings.Contains(line, "spf1"); changed == strings.Contains(after, line) {
			t.Errorf("the line %q of before: %v in\n%s", line, !changed, after)
		}
	}
	for _, want := range []string{"acme.example. 600 IN MX 10 mx1.host.example.", "acme.example. 600 IN MX 20 mx2.host.example.", `"v=spf1 ip4:192.0.2.1 mx -all"`, `"verification=1"`} {
		if !strings.Contains(after, want) {
			t.Errorf("the zone lacks %q:\n%s", want, after)
		}
	}
	if out := i.run("publish", "acme.example"); !strings.Contains(out, "has it all already") {
		t.Errorf("a second time: %s", out)
	}

	entries := ask[[]struct {
		ID            int64
		Action, Actor string
		Before, After json.RawMessage
		CanUndo       bool `json:"can_undo"`
	}](i, "audit", "--domain", "acme.example")
	if e := entries[0]; e.Action != "publish set" || !strings.Contains(string(e.Before), "old.far.example.") || !strings.Contains(string(e.After), "mx2.host.example.") || !e.CanUndo {
		t.Errorf("the audit log has %+v", e)
	}
	if all := i.run("audit", "--json") + i.run("provider", "list", "--json") + i.log.String(); strings.Contains(all, updateSecret) {
		t.Error("the secret is shown")
	}
	files, err := filepath.Glob(filepath.Join(i.data, "control.db*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || strings.Contains(string(b), updateSecret) || strings.Contains(string(b), "secret of a key") {
			t.Errorf("the secret lies open in %s: %v", f, err)
		}
	}
	i.run("undo", strconv.FormatInt(entries[0].ID, 10), "--yes")
	if back := whole(address); sortedLines(back) != sortedLines(before) {
		t.Errorf("undone the zone is\n%s\nbefore\n%s", back, before)
	}

	// What customers may not: a port of their choice, and another account's zone.
	if status, body := i.call(other, "/providers"); status != http.StatusOK || strings.Contains(body, "acme") {
		t.Errorf("another account reads %d %s", status, body)
	}
	if status, body := i.call(token, "/providers"); status != http.StatusOK || !strings.Contains(body, `"key":"postroad"`) || strings.Contains(body, updateSecret) {
		t.Errorf("the account reads %d %s", status, body)
	}
}

func sortedLines(s string) string {
	list := strings.Split(strings.TrimSpace(s), "\n")
	slices.Sort(list)
	return strings.Join(list, "\n")
}
