package acceptance

import (
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postroad/internal/sim"
)

// named is an installation mx.test.example at 127.0.0.12 that answers in DNS.
type named struct {
	*instance
	dns string // host:port
}

func (o *outside) naming(env ...string) *named {
	o.t.Helper()
	i := prepareInstance(o.t, o.t.TempDir(), fmt.Sprintf("addresses = [\"127.0.0.12\"]\n[resolver]\nservers = [%q]\n[deliver]\nport = %s\nallow = [\"127.0.0.0/8\"]\n[receive]\ntrusted_networks = [\"127.0.0.2/32\"]\n", o.dns.Addr(), o.port))
	n := &named{instance: i, dns: sim.FreeAddress(o.t)}
	i.env = append(append(i.env, "POSTROAD_LISTEN_DNS="+n.dns), env...)
	i.start()
	return n
}

// answer asks our name server with dig and gives the data of the answer, sorted.
func (n *named) answer(name, kind string) string {
	n.t.Helper()
	host, port, err := net.SplitHostPort(n.dns)
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := exec.Command("dig", "@"+host, "-p", port, "+norecurse", "+short", "+time=2", "+tries=2", name, kind).CombinedOutput()
	if err != nil {
		n.t.Fatalf("dig %s %s: %v\n%s", name, kind, err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// serial is that of a zone's SOA record.
func (n *named) serial(domain string) int {
	n.t.Helper()
	fields := strings.Fields(n.answer(domain, "SOA"))
	if len(fields) != 7 {
		n.t.Fatalf("SOA of %s: %q", domain, fields)
	}
	serial, err := strconv.Atoi(fields[2])
	if err != nil {
		n.t.Fatal(err)
	}
	return serial
}

// answers wants data of our name server.
func (n *named) wants(name, kind, want string) {
	n.t.Helper()
	if got := n.answer(name, kind); got != want {
		n.t.Errorf("%s %s: %q, want %q", name, kind, got, want)
	}
}

// refuses wants a command to be refused, with all of these texts.
func (i *instance) refuses(words []string, texts ...string) {
	i.t.Helper()
	out, errs, code := i.try(words...)
	if code != 1 {
		i.t.Errorf("postroad %s: exit %d, want 1", strings.Join(words, " "), code)
	}
	for _, want := range texts {
		if !strings.Contains(out+errs, want) {
			i.t.Errorf("postroad %s does not say %q:\n%s%s", strings.Join(words, " "), want, out, errs)
		}
	}
}

func TestS1_9ExchangersAreThereWithTheZone(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--proved")
	n.run("domain", "set", "acme.example", "--zone", "hosted", "--yes")
	n.wants("acme.example", "MX", "10 mx.test.example.")
	n.wants("acme.example", "NS", "mx.test.example.")
	n.wants("acme.example", "TXT", `"v=spf1 mx ~all"`)
}

func TestS4_3ANewDomainHasWorkingDefaults(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	out := n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	if !strings.Contains(out, "mx.test.example (10, primary)") || !strings.Contains(out, "Enter at the registrar") {
		t.Errorf("%s", out)
	}
	n.run("mailbox", "add", "ann@acme.example")
	n.wants("acme.example", "MX", "10 mx.test.example.")
	n.says("domain show acme.example", "name servers    mx.test.example", "exchanger set   direct")
	// The exchanger that DNS names takes the mail.
	n.from(stranger).send("x@far.example", text("first"), "ann@acme.example")
	n.await("ann@acme.example", 1)
}

func TestS1_10TheFilterIsSwitchedAsOneChange(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	n := o.naming()
	n.run("exchanger-set", "add", "filtered", "mx1.filter.example", "mx2.filter.example", "--gateway", "127.0.0.4/32")
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("mailbox", "add", "ann@acme.example")
	n.replies(stranger, map[string]string{"ann@acme.example": "250"})
	before := n.serial("acme.example")

	n.refuses([]string{"domain", "set", "acme.example", "--exchanger-set", "filtered"}, "Only 127.0.0.4/32 may deliver for it", "The exchangers before: mx.test.example (10, primary)")
	n.wants("acme.example", "MX", "10 mx.test.example.")
	n.run("domain", "set", "acme.example", "--exchanger-set", "filtered", "--yes")
	n.wants("acme.example", "MX", "10 mx1.filter.example., 20 mx2.filter.example.")
	n.wants("acme.example", "TXT", `"v=spf1 mx a:mx.test.example ~all"`)
	n.replies(stranger, map[string]string{"ann@acme.example": "450 4.7.1"})
	n.replies("127.0.0.4", map[string]string{"ann@acme.example": "250"})
	if got := n.serial("acme.example"); got != before+1 {
		t.Errorf("serial %d after %d", got, before)
	}

	n.run("domain", "set", "acme.example", "--exchanger-set", "direct", "--yes")
	n.wants("acme.example", "MX", "10 mx.test.example.")
	n.wants("acme.example", "TXT", `"v=spf1 mx ~all"`)
	n.replies(stranger, map[string]string{"ann@acme.example": "250"})
	if got := n.serial("acme.example"); got != before+2 {
		t.Errorf("serial %d after %d", got, before)
	}
}

func TestS1_10AChangedSetChangesAllThatFollowIt(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	for _, name := range []string{"a.example", "b.example", "c.example"} {
		n.run("domain", "add", name, "--zone", "hosted", "--proved")
	}
	n.run("mx", "replace", "c.example", "mail.far.example", "--yes")
	n.refuses([]string{"exchanger-set", "set", "direct", "mx.test.example", "mx2.test.example"}, "2 domains follow it, and 2 zones here change with it at once")
	n.run("exchanger-set", "set", "direct", "mx.test.example", "mx2.test.example", "--yes")
	for name, want := range map[string]string{"a.example": "10 mx.test.example., 20 mx2.test.example.", "b.example": "10 mx.test.example., 20 mx2.test.example.", "c.example": "10 mail.far.example."} {
		n.wants(name, "MX", want)
	}
}

func TestS1_28NamesAreThoseOfTheBrand(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("account", "add", "reseller")
	token := ask[struct{ Secret string }](n.instance, "token", "add", "theirs", "--account", "reseller").Secret
	as := func(args ...string) string {
		t.Helper()
		return n.run(append([]string{"--server", "http://" + n.http, "--token", token}, args...)...)
	}
	as("exchanger-set", "add", "direct", "mx.brand.example")
	as("nameserver-set", "add", "default", "ns1.brand.example", "ns2.brand.example")
	as("domain", "add", "theirs.example", "--zone", "hosted")
	n.run("domain", "set", "theirs.example", "--proved", "--yes")
	n.wants("theirs.example", "MX", "10 mx.brand.example.")
	n.wants("theirs.example", "NS", "ns1.brand.example., ns2.brand.example.")
	// The operator's names are others, and can be changed.
	n.run("nameserver-set", "set", "default", "ns1.host.example", "ns2.host.example", "--yes")
	n.run("domain", "add", "ours.example", "--zone", "hosted", "--proved")
	n.wants("ours.example", "NS", "ns1.host.example., ns2.host.example.")
	n.wants("theirs.example", "NS", "ns1.brand.example., ns2.brand.example.")
	if out := as("exchanger-set", "list"); !strings.Contains(out, "mx.brand.example:10") || !strings.Contains(out, "mx.test.example:10") {
		t.Errorf("%s", out)
	}
	n.refuses([]string{"--server", "http://" + n.http, "--token", token, "nameserver-set", "remove", "default", "--account", "operator", "--yes"}, "There is no account")
}

func TestS1_10RecordsByHandEndTheFollowing(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("record", "add", "acme.example", "www", "A", "192.0.2.1", "--yes")
	n.says("domain show acme.example", "exchanger set   direct", "nameserver set  default")
	n.refuses([]string{"record", "add", "acme.example", "@", "MX", "20 mail.far.example."}, "no longer follows the exchanger set direct")
	n.run("record", "add", "acme.example", "@", "MX", "20 mail.far.example.", "--yes")
	n.run("exchanger-set", "set", "direct", "mx.other.example", "--yes")
	n.wants("acme.example", "MX", "10 mx.test.example., 20 mail.far.example.")
	if out := n.run("domain", "show", "acme.example"); strings.Contains(out, "exchanger set") || !strings.Contains(out, "nameserver set  default") {
		t.Errorf("%s", out)
	}
}

func TestS2_1AnExchangerIsStoredAndServedAsEntered(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("mx", "add", "acme.example", "Backup.Far.Example.", "--preference", "25", "--yes")
	n.run("mx", "add", "acme.example", "bücher.example", "--preference", "30", "--yes")
	n.wants("acme.example", "MX", "10 mx.test.example., 25 backup.far.example., 30 xn--bcher-kva.example.")
	n.says("mx list acme.example", "25          backup.far.example")
	n.kill9AndStart()
	n.wants("acme.example", "MX", "10 mx.test.example., 25 backup.far.example., 30 xn--bcher-kva.example.")
}

// kill9AndStart ends the program without warning and starts it again.
func (n *named) kill9AndStart() {
	n.t.Helper()
	if err := n.cmd.Process.Kill(); err != nil {
		n.t.Fatal(err)
	}
	err := <-n.ended
	n.ended <- err
	n.start()
}

func TestS2_2TheTargetIsShownReadyToCopy(t *testing.T) {
	t.Parallel()
	i := newOutside(t).strict()
	i.run("domain", "add", "acme.example", "--proved")
	i.says("mx list acme.example",
		"owner       @   (panels that want the full name: acme.example)", "preference  10 ", "target      mx.test.example ",
		"acme.example. 3600 IN MX 10 mx.test.example.")
	got := ask[struct {
		Zone  string
		Enter []struct {
			Type, Owner, Name, Target, Line string
			Preference                      int
		}
	}](i, "mx", "list", "acme.example")
	if got.Zone != "external" || len(got.Enter) != 2 || got.Enter[0].Target != "mx.test.example" || got.Enter[0].Preference != 10 || got.Enter[0].Owner != "@" || got.Enter[0].Name != "acme.example" {
		t.Errorf("%+v", got)
	}
	// The commands that would change a zone say the same of one that is elsewhere.
	i.says("mx add acme.example mail.far.example", "not hosted here", "acme.example. 3600 IN MX 10 mx.test.example.", "Nothing changes.")
}

func TestS3_2OurValuesAreShownToTheCustomer(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx.elsewhere.example.\n")
	i := o.strict()
	i.run("account", "add", "acme")
	i.run("domain", "add", "acme.example", "--proved", "--account", "acme")
	token := ask[struct{ Secret string }](i, "token", "add", "acme's", "--account", "acme").Secret
	out := i.run("--server", "http://"+i.http, "--token", token, "mx", "list", "acme.example")
	for _, want := range []string{"target      mx.test.example ", "preference  10 ", "mx.elsewhere.example"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

func TestS3_6TheRecordOfASecondaryDomainIsShownAndChecked(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.zone("acme.example", "@ MX 10 mx.primary.example.\ncrm MX 10 mx.test.example.\n")
	o.zone("test.example", "mx A 127.0.0.12\n")
	i := o.strict()
	i.run("domain", "add", "crm.acme.example", "--proved")
	i.says("mx list crm.acme.example",
		"owner       @   (panels that want the full name: crm.acme.example; in the zone acme.example: crm)", "type        MX", "preference  10 ", "target      mx.test.example ",
		"crm.acme.example. 3600 IN MX 10 mx.test.example.", "Public DNS shows these exchangers and no others.")
	o.dns.Script("crm.acme.example", "MX", sim.DNSServFail)
	i.run("domain", "add", "erp.acme.example", "--proved")
	if got := ask[struct{ Matches bool }](i, "mx", "list", "erp.acme.example"); got.Matches {
		t.Error("a name without MX records counts as right by its parent's")
	}
}

func TestS2_9TheOnlyExchangerInOneStep(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("mx", "replace", "acme.example", "a.old.example:5", "b.old.example:5", "c.old.example:20", "--yes")
	n.wants("acme.example", "MX", "20 c.old.example., 5 a.old.example., 5 b.old.example.")
	before := n.serial("acme.example")
	n.refuses([]string{"mx", "replace", "acme.example", "mx.test.example"}, "Before: a.old.example (5, primary), b.old.example (5, primary), c.old.example (20, backup)")
	n.run("mx", "replace", "acme.example", "mx.test.example", "--yes")
	n.wants("acme.example", "MX", "10 mx.test.example.")
	if got := n.serial("acme.example"); got != before+1 {
		t.Errorf("serial %d after %d", got, before)
	}
	// To show the plan changes nothing.
	n.says("mx replace acme.example other.example --plan", "other.example (10, primary)", "Nothing is done yet.")
	n.wants("acme.example", "MX", "10 mx.test.example.")
}

func TestS2_16FaultsOfTypingAreRecognised(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.refuses([]string{"mx", "add", "acme.example", "mx.test.example.acme.example"}, "MX_TARGET_APPENDED_ORIGIN", "write mx.test.example")
	n.refuses([]string{"mx", "add", "acme.example", "aspmx.l.other.com.acme.example."}, "MX_TARGET_APPENDED_ORIGIN", "write aspmx.l.other.com")
	n.refuses([]string{"mx", "add", "www.acme.example", "mail.far.example"}, "MX_WRONG_OWNER", "the owner is @, that is acme.example itself")
	n.refuses([]string{"mx", "add", "acme.example", "10 mail.far.example"}, "the host is mail.far.example and the preference 10", "--preference 10")
	n.refuses([]string{"mx", "replace", "acme.example", "10:mail.far.example", "--yes"}, "the host is mail.far.example and the preference 10")
	n.run("mx", "add", "acme.example", "mail.far.example.", "--yes") // a last dot is right
	n.wants("acme.example", "MX", "10 mail.far.example., 10 mx.test.example.")
}

func TestS4_2ATargetIsAWholeName(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	for _, address := range []string{"192.0.2.1", "[192.0.2.1]", "2001:db8::1", "192.0.2.1.acme.example"} {
		n.refuses([]string{"mx", "replace", "acme.example", address, "--yes"}, "MX_TARGET_IS_IP")
	}
	n.says("mx add acme.example mail --yes", "The name is completed to mail.acme.example.", "MX_TARGET_NXDOMAIN")
	n.wants("acme.example", "MX", "10 mail.acme.example., 10 mx.test.example.")
}

func TestS4_5SeveralExchangersInAnyOrder(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	for domain, order := range map[string][]string{"a.example": {"x.far.example:30", "y.far.example:10", "z.far.example:20"}, "b.example": {"y.far.example:10", "z.far.example:20", "x.far.example:30"}} {
		n.run("domain", "add", domain, "--zone", "hosted", "--proved")
		n.run(append(append([]string{"mx", "replace", domain}, order...), "--yes")...)
		n.wants(domain, "MX", "10 y.far.example., 20 z.far.example., 30 x.far.example.")
		out := n.run("mx", "list", domain)
		if y, z, x := strings.Index(out, "y.far"), strings.Index(out, "z.far"), strings.Index(out, "x.far"); y > z || z > x {
			t.Errorf("%s", out)
		}
	}
}

func TestS4_21PreferenceZeroIsTheBest(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("mx", "add", "acme.example", "best.far.example", "--preference", "0", "--yes")
	n.wants("acme.example", "MX", "0 best.far.example., 10 mx.test.example.")
	n.says("mx list acme.example", "0           best.far.example  primary", "10          mx.test.example   backup")
}

func TestS5_2AChangeIsInTheAnswerAtOnce(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	for k := range 5 {
		before := n.serial("acme.example")
		host := fmt.Sprintf("mx%d.far.example", k)
		out := n.run("mx", "replace", "acme.example", host, "--yes")
		n.wants("acme.example", "MX", "10 "+host+".")
		after := n.serial("acme.example")
		if after <= before {
			t.Errorf("serial %d after %d", after, before)
		}
		if shown := regexp.MustCompile(`answers for acme\.example with serial (\d+), [0-9.]+ ms after`).FindStringSubmatch(out); shown == nil || shown[1] != strconv.Itoa(after) {
			t.Errorf("the time is not shown, or not of serial %d:\n%s", after, out)
		}
	}
}

func TestS5_15PreferencesAreWholeNumbersShownInOrder(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	for _, bad := range []string{"-1", "65536", "10.5", "ten", ""} {
		_, errs, code := n.try("mx", "add", "acme.example", "mail.far.example", "--preference="+bad)
		if code != 2 || !strings.Contains(errs, "a whole number from 0 to 65535; the lower one is tried first") {
			t.Errorf("%q: exit %d, %s", bad, code, errs)
		}
	}
	n.run("mx", "replace", "acme.example", "last.far.example:65535", "one.far.example:1", "two.far.example:1", "--yes")
	n.says("mx list acme.example", "1           one.far.example   primary\n1           two.far.example   primary\n65535       last.far.example  backup")
}

func TestS5_17AnAddressIsRefusedWithReasonAndFix(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.refuses([]string{"mx", "add", "acme.example", "192.0.2.7"},
		"MX_TARGET_IS_IP", "an MX record can name a host only", "make an A record, such as mail.acme.example with 192.0.2.7, and name mail.acme.example here")
	n.refuses([]string{"mx", "edit", "acme.example", "mx.test.example", "--to", "2001:db8::7", "--yes"}, "MX_TARGET_IS_IP", "make an AAAA record")
	n.wants("acme.example", "MX", "10 mx.test.example.")
}

func TestS5_18AddEditAndDelete(t *testing.T) {
	t.Parallel()
	n := newOutside(t).naming()
	n.run("domain", "add", "acme.example", "--zone", "hosted", "--proved")
	n.run("mx", "add", "acme.example", "two.far.example", "--preference", "20", "--yes")
	n.run("mx", "edit", "acme.example", "two.far.example", "--preference", "5", "--yes")
	n.wants("acme.example", "MX", "10 mx.test.example., 5 two.far.example.")
	n.run("mx", "edit", "acme.example", "two.far.example", "--to", "three.far.example", "--yes")
	n.wants("acme.example", "MX", "10 mx.test.example., 5 three.far.example.")

	n.refuses([]string{"mx", "remove", "acme.example", "three.far.example"}, "the plan wants a yes")
	n.wants("acme.example", "MX", "10 mx.test.example., 5 three.far.example.")
	n.run("mx", "remove", "acme.example", "three.far.example", "--yes")

	n.refuses([]string{"mx", "remove", "acme.example", "mx.test.example"}, "MX_NONE", "implicit rule", "postroad mx replace acme.example none")
	n.run("mx", "remove", "acme.example", "mx.test.example", "--yes")
	n.wants("acme.example", "MX", "")
	n.run("mx", "replace", "acme.example", "none", "--yes")
	n.wants("acme.example", "MX", "0 .")
	n.run("mx", "replace", "acme.example", "mx.test.example", "--yes")
	n.run("mx", "replace", "acme.example", "--null", "--yes")
	n.wants("acme.example", "MX", "0 .")

	// Each step can be taken back.
	last := ask[[]struct {
		ID     int64
		Action string
	}](n.instance, "audit", "--domain", "acme.example")[0]
	if last.Action != "mx set" {
		t.Fatalf("%+v", last)
	}
	n.run("undo", strconv.FormatInt(last.ID, 10), "--yes")
	n.wants("acme.example", "MX", "10 mx.test.example.")
}
