package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/config"
	"postroad/internal/core/account"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/edge/api"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// place is a server over memory with its socket in a data folder.
type place struct {
	t   *testing.T
	m   *controltest.Memory
	dir string
	url string // of the same API on TCP, where a token is wanted
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := os.MkdirTemp("", "pr") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &place{t: t, m: controltest.NewMemory(), dir: dir}
	svc := control.New(controltest.Options(p.m))
	if err := svc.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h, err := api.Handler(api.Options{Control: svc, Access: p.m.Access()})
	if err != nil {
		t.Fatal(err)
	}
	p.serve("unix", filepath.Join(dir, config.SocketName), &http.Server{Handler: h, ConnContext: api.ConnContext, ReadHeaderTimeout: time.Minute})
	p.url = "http://" + p.serve("tcp", "127.0.0.1:0", &http.Server{Handler: h, ReadHeaderTimeout: time.Minute})
	return p
}

func (p *place) serve(network, address string, s *http.Server) string {
	p.t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		p.t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	p.t.Cleanup(func() { _ = s.Close() })
	return l.Addr().String()
}

// result is what a run of the program gave.
type result struct {
	code     int
	out, err string
}

// do runs the program against the place, with what stdin says.
func (p *place) do(stdin string, args ...string) result {
	p.t.Helper()
	return execute(p.t, stdin, append([]string{"--data", p.dir}, args...)...)
}

func execute(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(stdin), &out, &errs)
	return result{code, out.String(), errs.String()}
}

// ok runs a command line that must succeed and gives its answer.
func (p *place) ok(line string) string {
	p.t.Helper()
	r := p.do("", strings.Fields(line)...)
	if r.code != 0 || r.err != "" {
		p.t.Fatalf("%s: exit %d\n%s%s", line, r.code, r.out, r.err)
	}
	return r.out
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ok("domain add a.example --proved")
	p.ok("mailbox add box@a.example")
	for _, tt := range []struct {
		line string
		code int
		says string // part of stderr
	}{
		{"domain list", 0, ""},
		{"domain add a.example", 1, "is here already"},
		{"domain add a_b.example", 1, "is no domain name"},
		{"domain add r.example --mode relay", 1, "--next-hop"},
		{"domain add r.example --mode relay", 1, "--next-hop HOST:PORT"},
		{"domain add r.example --mode both", 1, "split delivers here"},
		{"domain add r.example --mode remote --gateway 192.0.2.1", 1, "gateways are for"},
		{"domain show b.example", 1, "There is no domain b.example."},
		{"mailbox remove box@a.example", 1, "say --yes"},
		{"mailbox message box@a.example 7", 1, "no message with UID 7"},
		{"mailbox message box@a.example x", 2, "is no UID"},
		{"mailbox messages box@a.example --folder None", 1, `has no folder "None"`},
		{"mailbox message box@a.example 7 --folder Junk", 1, `The folder "Junk" of the mailbox box@a.example has no message with UID 7.`},
		{"", 0, ""},
		{"help", 0, ""},
		{"nonsense", 2, "unknown command"},
		{"domain", 2, "needs one of add, set, show, list, choose, prove, remove"},
		{"domain nonsense", 2, "unknown command \"nonsense\""},
		{"domain add", 2, "arg"},
		{"domain add a b", 2, "arg"},
		{"domain add x.example --mod relay", 2, "unknown flag"},
		{"domain add x.example --hold soon", 2, "5d"},
		{"domain set a.example", 2, "nothing to set"},
		{"mailbox set box@a.example --quota big", 2, "1GiB"},
		{"mailbox set box@a.example", 2, "nothing to set"},
		{"alias add x@a.example", 2, "arg"},
		{"queue drop", 2, "needs ids"},
		{"queue hold --yes", 2, "needs ids"},
		{"queue drop 01j00000000000000000000000 --yes", 1, "no such message"},
		{"domain remove a.example --yes --plan", 2, "yes"},
		{"outbound set h:25 --user u", 2, "password-stdin"},
		{"audit --limit -1", 2, "negative"},
		{"explain x", 1, "is no address"},
		{"--server ftp://x domain list", 2, "no URL"},
		{"--server http://127.0.0.1:1 domain list", 3, "cannot be reached"},
		{"--server " + p.url + " domain list", 1, "A token"},
		{"--server " + p.url + " --token pr_nothing domain list", 1, "A token"},
	} {
		r := p.do("", strings.Fields(tt.line)...)
		if r.code != tt.code || !strings.Contains(r.err, tt.says) || (r.code == 0) != (r.err == "") {
			t.Errorf("%q: exit %d, want %d with %q: %s", tt.line, r.code, tt.code, tt.says, r.err)
		}
	}
	if r := execute(t, "", "--data", filepath.Join(p.dir, "nothing"), "queue", "count", "--json"); r.code != 3 || !strings.Contains(r.err, "is the server running?") || r.out != "" {
		t.Errorf("%+v", r)
	}
}

func TestASocketWithALongPathIsReached(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := execute(t, "", "--data", dir, "domain", "list")
	if r.code != 3 || strings.Contains(r.err, "invalid argument") {
		t.Errorf("%+v", r)
	}
}

func TestPlansThatAskNeedAYes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ok("domain add a.example --proved")
	p.ok("mailbox add box@a.example")
	r := p.do("y\n", "mailbox", "remove", "box@a.example")
	if r.code != 1 || !strings.Contains(r.out, "Removes the mailbox box@a.example.") || len(p.m.Boxes) != 1 {
		t.Errorf("without a terminal nobody can say yes: %+v", r)
	}
	r = p.do("", "mailbox", "remove", "box@a.example", "--json")
	var plan control.Plan
	if err := json.Unmarshal([]byte(r.out), &plan); err != nil || r.code != 1 || len(plan.Changes) != 1 || !plan.Asks {
		t.Errorf("%+v %v", r, err)
	}
	if out := p.ok("mailbox remove box@a.example --plan"); !strings.Contains(out, "Nothing is done yet.") || len(p.m.Boxes) != 1 {
		t.Error(out)
	}
	if out := p.ok("mailbox remove box@a.example --yes"); !strings.Contains(out, "Removes the mailbox") || len(p.m.Boxes) != 0 {
		t.Error(out)
	}
	p.ok("domain remove a.example --yes")
	if out := p.ok("domain list --json"); out != "[]\n" {
		t.Errorf("%q", out)
	}
}

func TestEveryCommandOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.m.Queued = []mail.Listed{{
		Message: mail.Message{ID: "01j00000000000000000000000", Account: account.Operator, Sender: "box@a.example", Received: time.Now().Add(-time.Hour)},
		Rows:    []mail.Recipient{{Row: mail.Row{ID: "01j00000000000000000000000"}, Account: account.Operator, Destination: "x@away.example", Lane: "remote/away.example", State: mail.StateDeferred, LastReply: "450 \x1b[31mlater"}},
	}}
	for _, step := range []struct{ line, says string }{
		{"account add acme", "Adds the account acme."},
		{"account set acme --name corp", "Renames the account acme to corp."},
		{"account list", "corp"},
		{"domain add a.example --account corp --proved", "its mail is delivered here"},
		{"domain add r.example --mode relay --next-hop 192.0.2.1:25 --next-hop mail.r.example --recipients accept --hold 10d --proved", "192.0.2.1:25, then mail.r.example:25"},
		{"domain set r.example --hold 30d", "720h0m0s"},
		{"domain set r.example --mode remote --yes", "received elsewhere"},
		{"domain show a.example", "arrangement     EMAIL"},
		{"domain list", "r.example  remote  remote"},
		{"mailbox add box@a.example --quota 1GiB", "Nobody can log in"},
		{"mailbox add ben@a.example", ""},
		{"mailbox set box@a.example --quota 2GiB --yes", "2147483648 octets"},
		{"mailbox list", "box@a.example  0         0      2147483648  0%"},
		{"mailbox show box@a.example", "INBOX   0         0       0      yes         -\n"},
		{"mailbox show box@a.example", "Junk    0         0       0      no          \\Junk\n"},
		{"mailbox messages box@a.example --folder Junk", "UID"},
		{"mailbox messages box@a.example", "UID"},
		{"alias add al@a.example box@a.example", "Mail for al@a.example goes to box@a.example."},
		{"alias set al@a.example ben@a.example --yes", "ben@a.example"},
		{"alias list", "al@a.example  ben@a.example"},
		{"forward add box@a.example far@away.example --keep", "is kept and also sent on"},
		{"forward list --domain a.example", "yes"},
		{"forward remove box@a.example --yes", "Removes the forward"},
		{"group add team@a.example box@a.example ben@a.example far@away.example", "the group"},
		{"group list", "team@a.example"},
		{"group set team@a.example box@a.example --yes", ""},
		{"catch-all set @a.example box@a.example", "that is nothing else"},
		{"catch-all list", "@a.example"},
		{"catch-all remove a.example --yes", "Removes the catch-all"},
		{"outbound set smart.example:587 --yes", "leaves through smart.example:587"},
		{"outbound list", "(all)"},
		{"outbound set --source 192.0.2.7 --yes", "This machine does not have the address 192.0.2.7 now"},
		{"outbound list", "smart.example:587  192.0.2.7"},
		{"outbound remove --keep-source --yes", "it leaves from 192.0.2.7 as before"},
		{"outbound remove --yes", "no longer leaves"},
		{"explain al@a.example", "accepted, 250 2.1.5"},
		{"explain x@away.example --as box@a.example --sender box@a.example --client 192.0.2.9", "There is no domain away.example in DNS"},
		{"queue list", "450  [31mlater"},
		{"queue count", "1 messages for 1 recipients, 1 due, 0 held"},
		{"queue show 01j00000000000000000000000", "remote/away.example"},
		{"queue show 01j00000000000000000000000 --content", "Subject: queued\r\n\r\nhi\r\n"},
		{"queue hold --domain away.example", "Holds 1 message for 1 recipient"},
		{"queue release --to away.example", "Lets go"},
		{"queue retry", "Tries 1 message"},
		{"queue retry --yes", "Tries 1 message"},
		{"queue drop --older 30m --yes", "Removes 1 message"},
		{"queue retry --yes", "Nothing in the queue is selected."},
		{"token add script --account corp", "pr_"},
		{"token list", "script"},
		{"audit --domain a.example", "group set"},
		{"audit --limit 0", "account add"},
		{"domain remove a.example --yes", "2 mailboxes"},
		{"account remove corp --yes", "Removes the account corp and 1 token."},
		{"config check", "right"},
		{"config reference", "# Configuration"},
		{"version", "postroad "},
	} {
		if out := p.ok(step.line); !strings.Contains(out, step.says) {
			t.Errorf("%s: %q, want %q", step.line, out, step.says)
		}
	}
}

func TestSecretsOfOutboundAndMailboxesComeFromStdin(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ok("domain add a.example --proved")
	if r := p.do("hunter two\r\nmore\n", "mailbox", "add", "box@a.example", "--password-stdin"); r.code != 0 || strings.Contains(r.out, "hunter") {
		t.Errorf("%+v", r)
	}
	if !slices.Contains(values(p.m.Verifiers), "verifier of hunter two") {
		t.Errorf("%v", p.m.Verifiers)
	}
	if r := p.do("", "mailbox", "set", "box@a.example", "--password-stdin", "--yes"); r.code != 1 || !strings.Contains(r.err, "empty") {
		t.Errorf("%+v", r)
	}
	if r := p.do("smart\n", "outbound", "set", "h.example:587", "--user", "u", "--password-stdin", "--yes"); r.code != 0 || strings.Contains(r.out, "smart\n") {
		t.Errorf("%+v", r)
	}
	for _, o := range p.m.Outbounds {
		if o.Sealed != "smart" || o.Password != "" {
			t.Errorf("%+v", o)
		}
	}
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func TestJSONHasTheKeysOfTheInterface(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ok("domain add a.example --proved")
	p.ok("mailbox add box@a.example --quota 100")
	if out := p.ok("queue count --json"); !regexp.MustCompile(`"messages": 0,\n.*"recipients": 0,\n.*"due": 0,\n.*"held": 0\n`).MatchString(out) {
		t.Error(out)
	}
	keys := func(line string) []string {
		var list []map[string]any
		if err := json.Unmarshal([]byte(p.ok(line)), &list); err != nil || len(list) == 0 {
			t.Fatal(line, list, err)
		}
		var names []string
		for k := range list[0] {
			names = append(names, k)
		}
		slices.Sort(names)
		return names
	}
	if got := keys("mailbox list --json"); !slices.Equal(got, []string{"address", "bytes", "messages", "quota", "routing_address"}) {
		t.Errorf("%v", got)
	}
	if out := p.ok("mailbox list --json"); !strings.Contains(out, `"messages": 0`) || !strings.Contains(out, `"quota": 100`) {
		t.Error(out)
	}
	if out := p.ok("mailbox messages box@a.example --json"); out != "[]\n" {
		t.Errorf("%q", out)
	}
	p.fill("box@a.example", 1)
	if got := keys("mailbox messages box@a.example --json"); !slices.Equal(got, []string{"date", "flags", "from", "size", "subject", "uid"}) {
		t.Errorf("%v", got)
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(p.ok("explain nobody@a.example --json")), &e); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"effective_mode", "class", "reply", "deliver_here", "next_hops", "reasons"} {
		if _, ok := e[k]; !ok {
			t.Errorf("explain has no %q", k)
		}
	}
	if reply := e["reply"].(map[string]any); reply["code"] != 550.0 || reply["enhanced"] != "5.1.1" || e["deliver_here"] != false {
		t.Errorf("%v", e)
	}
}

// fill puts n messages into a mailbox.
func (p *place) fill(address string, n int) {
	p.m.Lock()
	defer p.m.Unlock()
	for id, b := range p.m.Mailboxes {
		if b.Address() == address {
			for i := range n {
				p.m.Stored[id] = append(p.m.Stored[id], mailbox.Message{UID: uint32(2*i + 1), Subject: "s\x1b]0;x\x07", Size: 3}) //nolint:gosec // small
			}
			p.m.Bodies[id+"/1"] = "\x00\xff\r\n."
		}
	}
}

func TestListingsAreNeverCut(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ok("domain add a.example --proved")
	p.ok("mailbox add box@a.example")
	p.fill("box@a.example", 2*messagesPage+1)
	var list []control.MessageInfo
	if err := json.Unmarshal([]byte(p.ok("mailbox messages box@a.example --json")), &list); err != nil || len(list) != 2*messagesPage+1 {
		t.Errorf("%d messages, %v", len(list), err)
	}
	if out := p.ok("mailbox messages box@a.example"); strings.ContainsRune(out, '\x1b') || strings.ContainsRune(out, '\x07') {
		t.Error("a subject speaks to the terminal")
	}
	if out := p.ok("mailbox message box@a.example 1"); out != "\x00\xff\r\n." {
		t.Errorf("%q", out)
	}
	for i := range queuePage + 1 {
		id := mail.NewID(time.Unix(1_800_000_000, 0), 0, 1, uint64(i))
		p.m.Queued = append(p.m.Queued, mail.Listed{Message: mail.Message{ID: id}, Rows: []mail.Recipient{{Row: mail.Row{ID: id}}}})
	}
	var queued []control.QueuedMessage
	if err := json.Unmarshal([]byte(p.ok("queue list --json")), &queued); err != nil || len(queued) != queuePage+1 {
		t.Errorf("%d queued, %v", len(queued), err)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ok("domain add a.example --proved")
	file := filepath.Join(p.dir, "users.csv")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	b.WriteString("\ufeffaddress,password\n")
	for i := range importBatch + 5 {
		fmt.Fprintf(&b, "user%d@a.example,bench password\n", i)
	}
	b.WriteString("quoted@a.example,\"with, comma \"\"x\"\"\"\r\nnone@a.example\n")
	write(b.String())
	if out := p.ok("mailbox import " + file + " --plan"); !strings.Contains(out, "Would add 207") || len(p.m.Boxes) != 0 {
		t.Error(out)
	}
	if out := p.ok("mailbox import " + file + " --yes"); !strings.Contains(out, "Added 207 mailboxes.") || len(p.m.Boxes) != 207 || len(p.m.Verifiers) != 206 {
		t.Errorf("%s: %d boxes, %d verifiers", out, len(p.m.Boxes), len(p.m.Verifiers))
	}
	if !slices.Contains(values(p.m.Verifiers), `verifier of with, comma "x"`) {
		t.Error("the quoted password is not what was written")
	}
	for name, tt := range map[string]struct{ text, says string }{
		"known already":        {"new@a.example,12345678\nuser1@a.example,12345678\n", "line 2: There is a mailbox user1@a.example already."},
		"one line":             {"user1@a.example,12345678\n", "line 1: There is a mailbox"},
		"in the second batch":  {strings.Replace(strings.ReplaceAll(b.String(), "user", "fresh"), "fresh202@a.example", "bad address", 1), "line 204: "},
		"twice":                {"n@a.example,x\nN@a.example,y\n", "line 2: \"N@a.example\" stands in line 1"},
		"too many fields":      {"n@a.example,x,y\n", "line 1: there are 3 fields"},
		"no CSV":               {"n@a.example,\"x\n", "line"},
		"nothing":              {"address,password\n", "no mailbox in the file"},
		"domain of somebody's": {"n@b.example,x\n", "There is no domain b.example."},
	} {
		write(tt.text)
		r := p.do("", "mailbox", "import", file, "--yes")
		if r.code != 1 || !strings.Contains(r.err, tt.says) || len(p.m.Boxes) != 207 {
			t.Errorf("%s: %+v, %d boxes", name, r, len(p.m.Boxes))
		}
	}
	if r := p.do("stdin@a.example,x\n", "mailbox", "import", "-", "--json"); r.code != 0 || !strings.Contains(r.out, `"added": 1`) {
		t.Errorf("%+v", r)
	}
	if r := p.do("", "mailbox", "import", "/no/such/file"); r.code != 1 {
		t.Errorf("%+v", r)
	}
}

func TestFromAfarWithAToken(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.ok("account add acme")
	p.ok("domain add a.example --account acme --proved")
	p.ok("domain add b.example --proved")
	secret := regexp.MustCompile(`pr_[a-z0-9]+`).FindString(p.ok("token add script --account acme"))
	r := execute(t, "", "--server", p.url, "--token", secret, "domain", "list", "--json")
	if r.code != 0 || !strings.Contains(r.out, "a.example") || strings.Contains(r.out, "b.example") {
		t.Errorf("%+v", r)
	}
	r = execute(t, "", "--server", p.url, "--token", secret, "domain", "show", "b.example")
	if r.code != 1 || !strings.Contains(r.err, "There is no domain b.example.") {
		t.Errorf("%+v", r)
	}
	r = execute(t, "", "--server", p.url, "--token", secret, "domain", "set", "a.example", "--proved=false")
	if r.code != 1 || !strings.Contains(r.err, "Only the operator") {
		t.Errorf("%+v", r)
	}
}

func TestConfigCheckTellsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "p.toml")
	if err := os.WriteFile(file, []byte("hostnam = 1\n[queue]\nhold = \"x\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := execute(t, "", "config", "check", "--config", file)
	if r.code != 1 || !strings.Contains(r.err, ":1: hostnam: unknown key (did you mean hostname?)") || !strings.Contains(r.err, ":3: queue.hold") {
		t.Errorf("%+v", r)
	}
	r = execute(t, "", "config", "check", "--config", file, "--json")
	var got struct {
		OK       bool
		Problems []string
	}
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.code != 1 || got.OK || len(got.Problems) != 2 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestAServerThatIsNoPostroadIsTold(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for name, answer := range map[string]string{"html": "<html>", "half": `{"items":[`, "other": `{"status":"x"}`} {
		status := map[bool]int{true: 200, false: 502}[name == "half"]
		at := p.serve("tcp", "127.0.0.1:0", &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(answer))
		})})
		if r := execute(t, "", "--server", "http://"+at, "domain", "list"); r.code != 1 || r.err == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestDataFolderFromTheEnvironment(t *testing.T) {
	p := newPlace(t)
	t.Setenv("POSTROAD_DATA_DIR", p.dir)
	if r := execute(t, "", "domain", "list", "--json"); r.code != 0 {
		t.Errorf("%+v", r)
	}
	t.Setenv("POSTROAD_DATA_DIR", "/nonexistent")
	t.Setenv("POSTROAD_SERVER", p.url)
	if r := execute(t, "", "domain", "list", "--json"); r.code != 1 || !strings.Contains(r.err, "A token") {
		t.Errorf("POSTROAD_SERVER: %+v", r)
	}
	if r := p.do("", "domain", "list", "--json"); r.code != 0 {
		t.Errorf("--data goes before POSTROAD_SERVER: %+v", r)
	}
}
