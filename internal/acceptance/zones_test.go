package acceptance

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// zoneFile is a zone with records of the common types.
func zoneFile(serial int, more ...string) string {
	return fmt.Sprintf(`$TTL 3600
@ IN SOA mx.test.example. hostmaster.test.example. (
        %d 7200 900 1209600 300 )
@ NS mx.test.example.
@ NS ns2.far.example.
@ MX 10 mx.test.example.
@ A 192.0.2.7
www AAAA 2001:db8::7
@ TXT "v=spf1 mx -all"
%s
`, serial, strings.Join(more, "\n"))
}

// file writes a file into the folder of the instance.
func (i *instance) file(name, text string) string {
	i.t.Helper()
	path := filepath.Join(i.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		i.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		i.t.Fatal(err)
	}
	return path
}

func TestS1_3OurNameServersAnswerForTheZone(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("zone", "import", "acme.example", n.file("acme", zoneFile(4_000_000_000)), "--yes")
	for _, transport := range []string{"+notcp", "+tcp"} {
		for _, c := range []struct{ name, kind, data string }{
			{"acme.example", "SOA", "mx.test.example. hostmaster.test.example. 4000000000 7200 900 1209600 300"},
			{"acme.example", "NS", "ns2.far.example."},
			{"acme.example", "MX", "10 mx.test.example."},
			{"acme.example", "A", "192.0.2.7"},
			{"www.acme.example", "AAAA", "2001:db8::7"},
			{"acme.example", "TXT", `"v=spf1 mx -all"`},
		} {
			out := n.dig(transport, c.name, c.kind)
			header, _, _ := strings.Cut(strings.SplitAfter(out+"flags: ;", "flags: ")[1], ";")
			if !strings.Contains(out, "status: NOERROR") || !strings.Contains(" "+header+" ", " aa ") || !strings.Contains(out, c.data+"\n") {
				t.Errorf("%s %s %s, flags %q:\n%s", transport, c.name, c.kind, header, out)
			}
		}
	}
	if out := n.dig("far.example", "MX"); !strings.Contains(out, "status: REFUSED") {
		t.Errorf("a stranger's domain is answered:\n%s", out)
	}
}

// What is answered is the same after an orderly end and after kill -9, and a change that was told is never lost.
func TestZonesAreAnsweredAfterRestartAndKill(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("zone", "import", "acme.example", n.file("acme", zoneFile(4_000_000_000)), "--yes")
	for round, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		n.run("record", "add", "acme.example", fmt.Sprintf("host%d", round), "A", "192.0.2.9")
		before := n.run("zone", "export", "acme.example") + n.dig("+short", "acme.example", "SOA") + n.dig("+short", "acme.example", "MX")
		_ = n.kill(sig) // it ends by a signal
		n.start()
		after := n.run("zone", "export", "acme.example") + n.dig("+short", "acme.example", "SOA") + n.dig("+short", "acme.example", "MX")
		if before != after || !strings.Contains(n.dig("+short", "acme.example", "SOA"), fmt.Sprint(4_000_000_001+round)) {
			t.Errorf("%v: before\n%s\nafter\n%s", sig, before, after)
		}
		n.wants(fmt.Sprintf("host%d.acme.example", round), "A", "192.0.2.9")
	}
}

// A disk that lies damages the row of one zone.
func TestADamagedZoneCostsNoOtherItsAnswers(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	for _, name := range []string{"one.example", "broken.example", "two.example"} {
		n.run("domain", "add", name, "--zone", "hosted", "--proved")
	}
	if err := n.kill(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(n.data, "control.db")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("\x01\x04\x00\x06broken\x07example\x00")) // version, number of records, marks, owner
	if at < 0 {
		t.Fatal("the zone is not stored as this test thinks")
	}
	b[at] = 0xFF
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	n.wants("one.example", "MX", "10 mx.test.example.")
	n.wants("two.example", "MX", "10 mx.test.example.")
	if out := n.dig("broken.example", "MX"); strings.Contains(out, "status: NXDOMAIN") || strings.Contains(out, "status: NOERROR") {
		t.Errorf("the damaged zone is answered:\n%s", out)
	}
	n.says("domain show broken.example", "ZONE_NOT_SERVED")
	n.run("record", "add", "two.example", "www", "A", "192.0.2.1")
	n.wants("www.two.example", "A", "192.0.2.1")

	// It is told what is wrong, and a zone file mends it.
	n.refuses([]string{"zone", "show", "broken.example"}, "ZONE_NOT_SERVED", "postroad zone import")
	n.run("zone", "import", "broken.example", n.file("broken", zoneFile(4_000_000_000)), "--yes")
	n.wants("broken.example", "A", "192.0.2.7")
	if out := n.run("domain", "show", "broken.example"); strings.Contains(out, "ZONE_NOT_SERVED") {
		t.Errorf("the finding stays:\n%s", out)
	}
}

// TestAnswersGoOnWhileNothingCanBeStored lets fsync fail for one change.
func TestAnswersGoOnWhileNothingCanBeStored(t *testing.T) {
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("record", "add", "acme.example", "www", "A", "192.0.2.1")
	serial := n.serial("acme.example")
	detach := n.attach("-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	_, errs, code := n.try("record", "add", "acme.example", "www", "A", "192.0.2.2")
	if code != 1 || !strings.Contains(errs, "The server could not do it") {
		t.Errorf("exit %d, %s", code, errs)
	}
	n.wants("www.acme.example", "A", "192.0.2.1")
	detach()
	if now := n.serial("acme.example"); now != serial {
		t.Errorf("serial %d, was %d", now, serial)
	}
	n.run("record", "add", "acme.example", "www", "A", "192.0.2.3")
	n.wants("www.acme.example", "A", "192.0.2.1, 192.0.2.3")
}

func TestAZoneIsNobodyElses(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	for _, name := range []string{"ann", "bob"} {
		n.run("account", "add", name)
		n.run("domain", "add", name+".example", "--account", name, "--zone", "hosted", "--proved")
	}
	token := ask[struct {
		Secret string `json:"secret"`
	}](n.instance, "token", "add", "bob's", "--account", "bob").Secret
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/zone", ""},
		{"GET", "/zone/file", ""},
		{"GET", "/zone/check", ""},
		{"PUT", "/zone?confirm=true", `{"text":"@ 3600 NS ns.bob.example.\n"}`},
		{"POST", "/zone/records?confirm=true", `{"owner":"www","type":"A","data":"192.0.2.1"}`},
		{"PATCH", "/zone/records?confirm=true", `{"type":"NS","data":"ns.bob.example"}`},
		{"DELETE", "/zone/records?type=NS&confirm=true", ""},
	} {
		for domain, want := range map[string]bool{"ann.example": false, "bob.example": true} {
			r, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+n.http+"/api/v1/domains/"+domain+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token)
			if c.body != "" {
				r.Header.Set("Content-Type", "application/json")
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if (resp.StatusCode == http.StatusNotFound) == want {
				t.Errorf("%s %s%s: %d", c.method, domain, c.path, resp.StatusCode)
			}
		}
	}
	n.wants("www.ann.example", "A", "")
	n.wants("ann.example", "NS", "mx.test.example.")
}

func TestAFolderOfZonesIsImported(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	for k := range 30 {
		n.file(fmt.Sprintf("zones/d%d.example.zone", k), zoneFile(7, fmt.Sprintf("host A 192.0.2.%d", k)))
	}
	n.file("zones/bad.example.zone", zoneFile(7, "www A 192.0.2.300"))
	n.file("zones/include.example.zone", "$INCLUDE "+filepath.Join(n.dir, "postroad.toml")+"\n")
	n.file("zones/readme.txt", "no zone")
	out, errs, code := n.try("zone", "import", "--all", filepath.Join(n.dir, "zones"), "--proved")
	if code != 1 || !strings.Contains(out, "Imported 30 of 32 zones, 30 of them with a new domain.") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for _, want := range []string{"bad.example.zone:10: ", "include.example.zone:1: ", "2 of 32 zones were refused"} {
		if !strings.Contains(errs, want) {
			t.Errorf("nothing is said of %q:\n%s", want, errs)
		}
	}
	if strings.Contains(out+errs, "hostname") {
		t.Errorf("a file of the server is shown:\n%s%s", out, errs)
	}
	for _, k := range []int{0, 15, 29} {
		n.wants(fmt.Sprintf("host.d%d.example", k), "A", fmt.Sprintf("192.0.2.%d", k))
	}
	n.says("domain show d3.example", "mode            local", "proved          yes", "zone            hosted")
	if out := n.dig("bad.example", "SOA"); !strings.Contains(out, "status: REFUSED") {
		t.Errorf("%s", out)
	}
	// Again: what has changed is replaced, after a yes.
	n.file("zones/d3.example.zone", zoneFile(6, "host A 192.0.2.99"))
	if out, _, code = n.try("zone", "import", "--all", filepath.Join(n.dir, "zones")); code != 1 || !strings.Contains(out, "is replaced") {
		t.Errorf("exit %d\n%s", code, out)
	}
	n.wants("host.d3.example", "A", "192.0.2.3")
	if out, _, _ = n.try("zone", "import", "--all", filepath.Join(n.dir, "zones"), "--yes"); !strings.Contains(out, "Imported 1 of 32 zones, 0 of them") {
		t.Errorf("%s", out)
	}
	n.wants("host.d3.example", "A", "192.0.2.99")
	if serial := n.serial("d3.example"); serial != 8 {
		t.Errorf("serial %d after one of 6 was imported over 7", serial)
	}
}

func TestWhatIsExportedIsAZoneFile(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("zone", "import", "acme.example", n.file("acme", zoneFile(4_000_000_000, `t TXT "a;b" "\"q\""`, "*.x CNAME www", `u TYPE65280 \# 2 00FF`, "_sip._tcp SRV 0 1 5060 sip.far.example.")), "--yes")
	path := n.file("exported", n.run("zone", "export", "acme.example"))
	if out, err := exec.Command("named-checkzone", "-i", "local", "acme.example", path).CombinedOutput(); err != nil || !strings.Contains(string(out), "loaded serial 4000000000") {
		t.Errorf("%v\n%s", err, out)
	}
	if out := n.run("zone", "import", "acme.example", path); !strings.Contains(out, "Nothing changes.") {
		t.Errorf("%s", out)
	}
	n.says("zone check acme.example", "Nothing is wrong with the zone.")
	n.refuses([]string{"zone", "check", "acme.example", n.file("wrong", zoneFile(1, "www CNAME far.example."))}, "CNAME", "line 10", "such a zone is not published")
}

func TestS5_20ChangesOfRecordsAreShownFirstAndUndone(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("record", "add", "acme.example", "www", "A", "192.0.2.1", "--ttl", "10m")
	serial := n.serial("acme.example")
	if out := n.run("record", "edit", "acme.example", "www", "A", "192.0.2.1", "192.0.2.2", "--plan"); !strings.Contains(out, "from 192.0.2.1 to 192.0.2.2") {
		t.Errorf("%s", out)
	}
	n.refuses([]string{"record", "edit", "acme.example", "www", "A", "192.0.2.1", "192.0.2.2"}, "say --yes")
	n.wants("www.acme.example", "A", "192.0.2.1")
	n.run("record", "edit", "acme.example", "www", "A", "192.0.2.1", "192.0.2.2", "--yes")
	n.wants("www.acme.example", "A", "192.0.2.2")
	list := ask[[]struct {
		ID      int    `json:"id"`
		Action  string `json:"action"`
		CanUndo bool   `json:"can_undo"`
	}](n.instance, "audit", "--domain", "acme.example")
	if list[0].Action != "record set" || !list[0].CanUndo {
		t.Fatalf("%+v", list)
	}
	n.run("undo", fmt.Sprint(list[0].ID), "--yes")
	n.wants("www.acme.example", "A", "192.0.2.1")
	if now := n.serial("acme.example"); now != serial+2 {
		t.Errorf("serial %d, was %d", now, serial)
	}
	n.run("record", "remove", "acme.example", "www", "A", "--yes")
	n.wants("www.acme.example", "A", "")
	n.run("record", "add", "acme.example", "k._domainkey", "TXT", "v=DKIM1; p="+strings.Repeat("A", 300))
	n.wants("k._domainkey.acme.example", "TXT", `"v=DKIM1; p=`+strings.Repeat("A", 244)+`" "`+strings.Repeat("A", 56)+`"`)
	n.refuses([]string{"record", "add", "acme.example", "www.acme.example", "A", "192.0.2.1"}, "would become www.acme.example.acme.example.", "write www")
}
