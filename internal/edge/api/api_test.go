package api_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/dkimkey"
	"postroad/internal/core/mail"
	"postroad/internal/core/mailbox"
	"postroad/internal/core/notice"
	"postroad/internal/core/publish"
	"postroad/internal/core/trace"
	"postroad/internal/edge/api"
	"postroad/internal/service/control"
	"postroad/internal/service/control/controltest"
)

// house is the API over memory with two customers, whose tokens it knows.
type house struct {
	t        *testing.T
	m        *controltest.Memory
	control  *control.Service
	handler  http.Handler
	ann, bob string // secrets
	operator string
	annID    account.ID
}

func newHouse(t *testing.T) *house {
	t.Helper()
	m := controltest.NewMemory()
	o := controltest.Options(m)
	o.Verifier = func(p string) (string, error) {
		if strings.ContainsRune(p, '\x07') {
			return "", errors.New("control characters")
		}
		return "verifier of " + p, nil
	}
	svc := control.New(o)
	if err := svc.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	handler, err := api.Handler(api.Options{Control: svc, Access: m.Access(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, m: m, control: svc, handler: handler}
	h.operator = h.must("", http.MethodPost, "/tokens", `{"name":"op"}`)["secret"].(string)
	for _, name := range []string{"ann", "bob"} {
		h.must("", http.MethodPost, "/accounts", `{"name":"`+name+`"}`)
		h.must("", http.MethodPost, "/domains", `{"name":"`+name+`.example","account":"`+name+`","proved":true}`)
		h.must("", http.MethodPost, "/mailboxes", `{"address":"box@`+name+`.example","password":"a password"}`)
		secret := h.must("", http.MethodPost, "/tokens", `{"name":"`+name+`'s","account":"`+name+`"}`)["secret"].(string)
		if name == "ann" {
			h.ann = secret
		} else {
			h.bob = secret
		}
	}
	for _, a := range m.Accounts {
		if a.Name == "ann" {
			h.annID = a.ID
		}
	}
	return h
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

// ask sends a request: with a token, or through the socket when it is empty.
func (h *house) ask(token, method, path, body string, headers ...string) answer {
	h.t.Helper()
	r := httptest.NewRequest(method, api.Prefix+path, strings.NewReader(body))
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	if token == "" {
		r = r.WithContext(api.ConnContext(r.Context(), nil))
	} else if token != "none" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	a := answer{status: w.Code, header: w.Header(), text: w.Body.String()}
	if strings.Contains(a.header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &a.json); err != nil {
			h.t.Fatalf("%s %s: %q: %v", method, path, a.text, err)
		}
	}
	return a
}

func (h *house) must(token, method, path, body string) map[string]any {
	h.t.Helper()
	a := h.ask(token, method, path, body)
	if a.status != http.StatusOK {
		h.t.Fatalf("%s %s: %d %s", method, path, a.status, a.text)
	}
	return a.json
}

// problem checks the shape of a refusal (RFC 9457).
func (h *house) problem(a answer, status int, typ string) map[string]any {
	h.t.Helper()
	got, _ := a.json["type"].(string)
	if a.status != status || a.json["status"] != float64(status) || got != typ || a.json["title"] == "" || a.json["detail"] == "" ||
		a.header.Get("Content-Type") != "application/problem+json" {
		h.t.Errorf("want %d %s, got %d %s %s", status, typ, a.status, a.header.Get("Content-Type"), a.text)
	}
	return a.json
}

func TestStrangersGetNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, token := range []string{"none", "pr_", "pr_" + strings.Repeat("x", 52), h.ann + "x", strings.ToUpper(h.ann)} {
		a := h.ask(token, http.MethodGet, "/domains", "")
		h.problem(a, http.StatusUnauthorized, "")
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Error("no WWW-Authenticate")
		}
	}
	h.problem(h.ask("none", http.MethodGet, "/domains", "", "Authorization", "Basic b3A6b3A="), http.StatusUnauthorized, "")
	h.problem(h.ask("none", http.MethodPost, "/no-such-thing", "{}"), http.StatusUnauthorized, "")
	// A wrong token is refused even through the socket: who shows one means to be that one.
	h.problem(h.ask("", http.MethodGet, "/domains", "", "Authorization", "Bearer pr_wrong"), http.StatusUnauthorized, "")
}

func TestATokenThatIsRevokedIsUnknown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for id, tok := range h.m.Given {
		if tok.Account == h.annID {
			h.must("", http.MethodDelete, "/tokens/"+id+"?confirm=true", "")
		}
	}
	h.problem(h.ask(h.ann, http.MethodGet, "/domains", ""), http.StatusUnauthorized, "")
}

func TestPlanThenConfirm(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dry := h.must("", http.MethodDelete, "/mailboxes/box@ann.example?dry_run=true", "")
	if dry["applied"] != false || dry["plan"].(map[string]any)["asks"] != true {
		t.Errorf("%v", dry)
	}
	refused := h.problem(h.ask("", http.MethodDelete, "/mailboxes/box@ann.example", ""), http.StatusConflict, api.TypeConfirm)
	plan := refused["plan"].(map[string]any)
	change := plan["changes"].([]any)[0].(map[string]any)
	if change["kind"] != "mailbox" || change["verb"] != "remove" || change["subject"] != "box@ann.example" || len(plan["sentences"].([]any)) == 0 {
		t.Errorf("%v", plan)
	}
	if len(h.m.Boxes) != 2 {
		t.Fatal("removed without a yes")
	}
	h.must("", http.MethodPost, "/mailboxes", `{"address":"other@bob.example"}`)
	h.problem(h.ask("", http.MethodDelete, "/mailboxes/box@ann.example?confirm=true&version=1", ""), http.StatusConflict, api.TypeVersion)
	done := h.must("", http.MethodDelete, "/mailboxes/box@ann.example?confirm=true", "")
	if done["applied"] != true || len(h.m.Boxes) != 2 {
		t.Errorf("%v", done)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.must("", http.MethodPost, "/forwards", `{"address":"a@ann.example","targets":["b@ann.example"]}`)
	for _, tt := range []struct {
		name, token, method, path, body string
		status                          int
		typ                             string
	}{
		{"unknown", "", "GET", "/domains/nowhere.example", "", 404, ""},
		{"nothing here", "", "GET", "/nothing", "", 404, ""},
		{"taken", "", "POST", "/domains", `{"name":"ann.example"}`, 409, api.TypeExists},
		{"in use", "", "DELETE", "/accounts/ann?confirm=true", "", 409, api.TypeInUse},
		{"no name", "", "POST", "/domains", `{"name":"a b"}`, 422, api.TypeInvalid},
		{"mode of another release", "", "POST", "/domains", `{"name":"n.example","mode":"both"}`, 422, api.TypeInvalid},
		{"loop", "", "POST", "/forwards", `{"address":"b@ann.example","targets":["a@ann.example"]}`, 422, api.TypeInvalid},
		{"not the operator", h.ann, "POST", "/accounts", `{"name":"x"}`, 403, ""},
		{"proved by oneself", h.ann, "POST", "/domains", `{"name":"n.example","proved":true}`, 403, ""},
		{"a bad password", "", "POST", "/mailboxes", `{"address":"n@ann.example","password":"a\u0007"}`, 422, api.TypeInvalid},
		{"all of the queue", "", "POST", "/queue/drop?confirm=true", "", 422, api.TypeInvalid},
	} {
		a := h.ask(tt.token, tt.method, tt.path, tt.body)
		if tt.name == "nothing here" && a.status == 404 {
			continue
		}
		p := h.problem(a, tt.status, tt.typ)
		if tt.name == "loop" && (p["finding"] != "ALIAS_LOOP" || len(p["path"].([]any)) != 3) {
			t.Errorf("%v", p)
		}
	}
}

func TestBodiesThatAreNotWhatIsAskedForAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	deep := strings.Repeat(`{"name":`, 5000) + "1" + strings.Repeat("}", 5000)
	for name, body := range map[string]string{
		"unknown field":       `{"name":"n.example","owner":"bob"}`,
		"mass assignment":     `{"name":"n.example","id":"x","account_id":"operator","created":"2000-01-01T00:00:00Z"}`,
		"field in other case": `{"name":"n.example","Proved":true}`,
		"wrong kind":          `{"name":7}`,
		"list for object":     `["n.example"]`,
		"no name":             `{}`,
		"nothing":             ``,
		"not JSON":            `name=n.example`,
		"half":                `{"name":"n.example"`,
		"deep":                deep,
		"too large":           `{"name":"` + strings.Repeat("a", 1<<20) + `"}`,
		"null":                `null`,
		"negative hold":       `{"name":"n.example","hold_seconds":-1}`,
	} {
		a := h.ask(h.ann, http.MethodPost, "/domains", body)
		if a.status < 400 || a.status >= 500 || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %.200s", name, a.status, a.text)
		}
	}
	for _, q := range []string{"?confirm=maybe", "?confrim=true", "?version=-1", "?dry_run=true&x=1"} {
		if a := h.ask("", http.MethodPost, "/domains"+q, `{"name":"n.example"}`); a.status != 422 {
			t.Errorf("%s: %d %s", q, a.status, a.text)
		}
	}
	if len(h.m.Domains) != 2 {
		t.Error("something was added")
	}
}

func TestPagesOfOtherOriginsChangeNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, headers := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		h.problem(h.ask("", http.MethodPost, "/domains", `{"name":"n.example"}`, headers...), http.StatusForbidden, "")
	}
	if a := h.ask("", http.MethodPost, "/domains", `{"name":"n.example"}`, "Sec-Fetch-Site", "same-origin"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.text)
	}
}

func TestInternalErrorsTellNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.m.FailUpdate = errors.New("disk /dev/sda1 is full")
	a := h.ask("", http.MethodPost, "/domains", `{"name":"n.example"}`)
	h.problem(a, http.StatusInternalServerError, "")
	if strings.Contains(a.text, "sda1") {
		t.Error(a.text)
	}
}

func TestMessagesComeByteForByte(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const body = "Subject: <script>\r\n\r\n\x00\xff bytes\r\n.\r\n"
	for id, b := range h.m.Mailboxes {
		if b.Address() == "box@ann.example" {
			h.m.Stored[id] = []mailbox.Message{{UID: 1, Subject: "<script>", Size: int64(len(body))}}
			h.m.Bodies[id+"/1"] = body
		}
	}
	a := h.ask(h.ann, http.MethodGet, "/mailboxes/"+url.PathEscape("box@ann.example")+"/messages/1", "")
	if a.status != 200 || a.text != body || a.header.Get("Content-Type") != "message/rfc822" || a.header.Get("Content-Disposition") != "attachment" ||
		a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %q %v", a.status, a.text, a.header)
	}
	list := h.must(h.ann, http.MethodGet, "/mailboxes/box@ann.example/messages", "")
	if m := list["items"].([]any)[0].(map[string]any); len(m) != 6 || m["subject"] != "<script>" {
		t.Errorf("%v", m)
	}
	h.problem(h.ask(h.ann, http.MethodGet, "/mailboxes/box@ann.example/messages/2", ""), 404, "")
}

func TestChangesAtTheSameTimeAllSucceed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			a := h.ask(h.ann, http.MethodPost, "/mailboxes", `{"address":"`+strings.Repeat("x", i+1)+`@ann.example","password":"12345678"}`)
			if a.status != 200 {
				t.Errorf("%d %s", a.status, a.text)
			}
		})
	}
	wg.Wait()
	if len(h.m.Boxes) != 14 {
		t.Errorf("%d mailboxes", len(h.m.Boxes))
	}
}

// More of them than a change is tried: each is about a zone of its own, and all come through.
func TestChangesOfManyZonesAtTheSameTimeAllSucceed(t *testing.T) {
	t.Parallel()
	const n = 120
	h := newHouse(t)
	for i := range n {
		h.must("", http.MethodPost, "/domains", `{"name":"z`+strconv.Itoa(i)+`.example","account":"ann","proved":true,"zone":"hosted"}`)
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a := h.ask(h.ann, http.MethodPost, "/domains/z"+strconv.Itoa(i)+".example/zone/records", `{"owner":"www","type":"A","data":"192.0.2.1"}`)
			if a.status != 200 {
				t.Errorf("%d %s", a.status, a.text)
			}
		})
	}
	wg.Wait()
	for i := range n {
		if z := h.m.Answered["z"+strconv.Itoa(i)+".example"]; len(z.Records) != 5 {
			t.Errorf("%s has %d records", z.Domain, len(z.Records))
		}
	}
}

func TestSigningAllIsAllInScope(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, name := range []string{"ann", "bob"} {
		h.must("", "PATCH", "/domains/"+name+".example?confirm=true", `{"zone":"hosted"}`)
	}
	h.must(h.ann, http.MethodPost, "/dnssec", `{}`)
	if h.m.Hosted["ann.example"].Signing == nil || h.m.Hosted["bob.example"].Signing != nil {
		t.Errorf("signed: %+v", h.m.Hosted)
	}
	status := h.must(h.ann, http.MethodGet, "/domains/ann.example/dnssec", "")
	if status["signed"] != true || status["parent"].(map[string]any)["state"] != "none" {
		t.Errorf("%v", status)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ok := h.must(h.ann, http.MethodPost, "/mailboxes/import", `{"mailboxes":[{"address":"a@ann.example","password":"12345678"},{"address":"b@ann.example","quota":1000}]}`)
	if ok["applied"] != true || len(h.m.Boxes) != 4 {
		t.Errorf("%v", ok)
	}
	p := h.problem(h.ask(h.ann, http.MethodPost, "/mailboxes/import", `{"mailboxes":[{"address":"c@ann.example"},{"address":"a@ann.example"}]}`), 409, api.TypeExists)
	if !strings.Contains(p["detail"].(string), "entry 2") || len(h.m.Boxes) != 4 {
		t.Errorf("%v", p)
	}
}

// privateKey is a private key in PEM.
func privateKey(t *testing.T) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// calls gives for each operation a request that touches something of ann's. An operation that is not in it fails the
// test, so that a new one is tried too.
func calls(h *house) map[string][3]string {
	return map[string][3]string{
		"account-list":      {"", "", ""}, // listings show what is in scope: see the other test
		"account-add":       {"POST", "/accounts", `{"name":"x"}`},
		"account-set":       {"PATCH", "/accounts/" + string(h.annID), `{"name":"x"}`},
		"account-remove":    {"DELETE", "/accounts/" + string(h.annID), ""},
		"provider-list":     {"", "", ""},
		"provider-set":      {"PUT", "/domains/two.ann.example/provider", `{"kind":"rfc2136","server":"ns.away.example","key":"k","secret":"YWFhYWFhYWFhYWFhYWFhYQ=="}`},
		"provider-remove":   {"DELETE", "/domains/two.ann.example/provider", ""},
		"client-setup-show": {"GET", "/domains/ann.example/client-setup", ""},

		"client-setup-publish": {"POST", "/domains/ann.example/client-setup", ""},

		"publish":           {"POST", "/domains/two.ann.example/publish", ""},
		"identity-list":     {"GET", "/identities?mailbox=box@ann.example", ""},
		"identity-add":      {"POST", "/mailboxes/box@ann.example/identities", `{"address":"ann@two.ann.example"}`},
		"identity-confirm":  {"POST", "/mailboxes/box@ann.example/identities/ann@far.example/confirm", `{"code":"abcd-efgh-ijkl"}`},
		"identity-remove":   {"DELETE", "/mailboxes/box@ann.example/identities/ann@far.example", ""},
		"primary-show":      {"GET", "/domains/ann.example/primary", ""},
		"primary-export":    {"GET", "/domains/ann.example/primary/forwards?format=csv", ""},
		"primary-probe":     {"POST", "/domains/ann.example/primary/probe", `{"addresses":["box@ann.example"]}`},
		"dkim-list":         {"", "", ""},
		"dkim-show":         {"GET", "/domains/ann.example/dkim", ""},
		"dkim-on":           {"PUT", "/domains/ann.example/dkim", `{"rotate_days":90}`},
		"dkim-off":          {"DELETE", "/domains/ann.example/dkim", ""},
		"dkim-rotate":       {"POST", "/domains/ann.example/dkim/rotate", ""},
		"dkim-activate":     {"POST", "/domains/ann.example/dkim/activate", ""},
		"dkim-import":       {"POST", "/domains/ann.example/dkim/keys", `{"selector":"old","key":` + strconv.Quote(privateKey(h.t)) + `}`},
		"dkim-remove":       {"DELETE", "/domains/ann.example/dkim/keys/pr20261128e", ""},
		"cert-list":         {"", "", ""},
		"cert-show":         {"GET", "/certificates/mail.ann.example", ""},
		"cert-add":          {"POST", "/certificates", `{"name":"imap.ann.example"}`},
		"cert-renew":        {"POST", "/certificates/mail.ann.example/renew", ""},
		"cert-remove":       {"DELETE", "/certificates/mail.ann.example", ""},
		"notice-list":       {"", "", ""}, // as above
		"sending-list":      {"", "", ""},
		"sending-set":       {"PATCH", "/sending/login/box@ann.example", `{"hour":10}`},
		"sending-pause":     {"POST", "/sending/domain/ann.example/pause", `{"reason":"stolen"}`},
		"sending-resume":    {"POST", "/sending/account/" + string(h.annID) + "/resume", ""},
		"domain-list":       {"", "", ""},
		"domain-show":       {"GET", "/domains/ann.example", ""},
		"domain-choose":     {"GET", "/domains/ann.example/choose", ""},
		"domain-proof":      {"GET", "/domains/ann.example/proof", ""},
		"domain-prove":      {"POST", "/domains/ann.example/prove", ""},
		"domain-add":        {"POST", "/domains", `{"name":"x.example","account":"ann"}`},
		"domain-set":        {"PATCH", "/domains/ann.example", `{"mode":"remote"}`},
		"domain-remove":     {"DELETE", "/domains/ann.example", ""},
		"mailbox-list":      {"GET", "/mailboxes?domain=ann.example", ""},
		"mailbox-show":      {"GET", "/mailboxes/box@ann.example", ""},
		"mailbox-add":       {"POST", "/mailboxes", `{"address":"x@ann.example"}`},
		"mailbox-import":    {"POST", "/mailboxes/import", `{"mailboxes":[{"address":"x@ann.example"}]}`},
		"mailbox-pause":     {"POST", "/mailboxes/box@ann.example/pause", `{"reason":"stolen"}`},
		"mailbox-resume":    {"POST", "/mailboxes/box@ann.example/resume", ""},
		"mailbox-set":       {"PATCH", "/mailboxes/box@ann.example", `{"password":"12345678"}`},
		"mailbox-remove":    {"DELETE", "/mailboxes/box@ann.example", ""},
		"mailbox-messages":  {"GET", "/mailboxes/box@ann.example/messages", ""},
		"mailbox-message":   {"GET", "/mailboxes/box@ann.example/messages/1", ""},
		"alias-list":        {"GET", "/aliases?domain=ann.example", ""},
		"alias-add":         {"POST", "/aliases", `{"address":"x@ann.example","targets":["box@ann.example"]}`},
		"alias-set":         {"PATCH", "/aliases/al@ann.example", `{"targets":["box@ann.example"]}`},
		"alias-remove":      {"DELETE", "/aliases/al@ann.example", ""},
		"forward-list":      {"GET", "/forwards?domain=ann.example", ""},
		"forward-show":      {"GET", "/forwards/fw@ann.example", ""},
		"forward-add":       {"POST", "/forwards", `{"address":"x@ann.example","targets":["box@bob.example"]}`},
		"forward-set":       {"PATCH", "/forwards/fw@ann.example", `{"targets":["box@bob.example"]}`},
		"forward-remove":    {"DELETE", "/forwards/fw@ann.example", ""},
		"group-list":        {"GET", "/groups?domain=ann.example", ""},
		"group-add":         {"POST", "/groups", `{"address":"x@ann.example","targets":["box@bob.example"]}`},
		"group-set":         {"PATCH", "/groups/gr@ann.example", `{"targets":["box@bob.example"]}`},
		"group-remove":      {"DELETE", "/groups/gr@ann.example", ""},
		"catch-all-list":    {"GET", "/catch-alls?domain=ann.example", ""},
		"catch-all-set":     {"PUT", "/catch-alls/ann.example", `{"targets":["box@bob.example"]}`},
		"catch-all-remove":  {"DELETE", "/catch-alls/ann.example", ""},
		"outbound-list":     {"", "", ""},
		"outbound-set":      {"PUT", "/outbound", `{"hop":"smart.example:587","domain":"ann.example"}`},
		"outbound-remove":   {"DELETE", "/outbound?domain=ann.example", ""},
		"token-list":        {"", "", ""},
		"token-add":         {"POST", "/tokens", `{"name":"x","account":"ann"}`},
		"token-remove":      {"DELETE", "/tokens/" + h.token(), ""},
		"audit":             {"", "", ""},
		"undo":              {"POST", "/audit/" + strconv.FormatInt(h.aliasChange(), 10) + "/undo", ""},
		"explain-change":    {"POST", "/explain", `{"address":"box@ann.example","change":{"method":"PATCH","path":"/domains/ann.example","body":{"mode":"remote"}}}`},
		"explain":           {"GET", "/explain?address=box@ann.example", ""},
		"zone-fetch":        {"GET", "/domains/ann.example/zone/from-dns", ""},
		"look-up":           {"", "", ""}, // public DNS is everybody's
		"tool-dkim":         {"", "", ""}, // and so are the keys in it
		"tool-spf":          {"", "", ""},
		"trace-list":        {"", "", ""},
		"trace-show":        {"GET", "/traces/" + string(queuedID), ""},
		"trace-replay":      {"GET", "/traces/" + string(queuedID) + "/replay", ""},
		"queue-list":        {"", "", ""},
		"queue-count":       {"", "", ""},
		"queue-show":        {"GET", "/queue/" + string(queuedID), ""},
		"queue-content":     {"GET", "/queue/" + string(queuedID) + "/content", ""},
		"queue-retry":       {"POST", "/queue/retry?id=" + string(queuedID), ""},
		"queue-hold":        {"POST", "/queue/hold?id=" + string(queuedID), ""},
		"queue-release":     {"POST", "/queue/release?id=" + string(queuedID), ""},
		"queue-drop":        {"POST", "/queue/drop?id=" + string(queuedID), ""},
		"domain-addresses":  {"GET", "/domains/ann.example/addresses", ""},
		"zone-show":         {"GET", "/domains/ann.example/zone", ""},
		"zone-export":       {"GET", "/domains/ann.example/zone/file", ""},
		"zone-check":        {"GET", "/domains/ann.example/zone/check", ""},
		"zone-check-file":   {"POST", "/domains/ann.example/zone/check", `{"text":"@ NS ns.away.example."}`},
		"zone-import":       {"PUT", "/domains/ann.example/zone", `{"text":"@ 3600 NS ns1.away.example.\n@ 3600 NS ns2.away.example.\n"}`},
		"zone-import-all":   {"POST", "/zones/import", `{"account":"ann","zones":[{"domain":"x.example","text":"@ 3600 SOA ns.away.example. a.away.example. 1 7200 900 1209600 300\n@ 3600 NS ns.away.example.\n"}]}`},
		"record-add":        {"POST", "/domains/ann.example/zone/records", `{"owner":"www","type":"A","data":"192.0.2.1"}`},
		"record-edit":       {"PATCH", "/domains/ann.example/zone/records", `{"type":"NS","data":"ns.away.example"}`},
		"record-remove":     {"DELETE", "/domains/ann.example/zone/records?type=TXT", ""},
		"dnssec-show":       {"GET", "/domains/ann.example/dnssec", ""},
		"dnssec-on":         {"PUT", "/domains/ann.example/dnssec", `{"denial":"nsec3"}`},
		"dnssec-on-all":     {"", "", ""}, // changes what is in scope: see the other test
		"dnssec-off":        {"DELETE", "/domains/ann.example/dnssec", ""},
		"dnssec-roll":       {"POST", "/domains/ann.example/dnssec/roll", "{}"},
		"forwarder-list":    {"GET", "/domains/ann.example/forwarders", ""},
		"forwarder-add":     {"POST", "/domains/ann.example/forwarders", `{"forwarder":"192.0.2.25"}`},
		"forwarder-remove":  {"DELETE", "/domains/ann.example/forwarders?forwarder=192.0.2.26", ""},
		"gateway-list":      {"GET", "/domains/sec.ann.example/gateways", ""},
		"gateway-show":      {"GET", "/domains/sec.ann.example/gateways/report", ""},
		"gateway-add":       {"POST", "/domains/sec.ann.example/gateways", `{"gateway":"192.0.2.25"}`},
		"gateway-remove":    {"DELETE", "/domains/sec.ann.example/gateways?gateway=192.0.2.26", ""},
		"recipients-list":   {"GET", "/domains/ann.example/recipients", ""},
		"recipients-import": {"PUT", "/domains/ann.example/recipients", `{"addresses":["x@ann.example"]}`},
		"recipients-sync":   {"POST", "/domains/ann.example/recipients/sync", `{"from":"https://mx.ann.example","token":"x"}`},
		"tsig-key-list":     {"", "", ""},
		"tsig-key-add":      {"POST", "/tsig-keys", `{"name":"x","account":"ann"}`},
		"tsig-key-remove":   {"DELETE", "/tsig-keys/free.ann", ""},
		"transfer-list":     {"", "", ""},
		"transfer-allow":    {"POST", "/transfers", `{"zone":"ann.example","key":"ns2.ann","from":["192.0.2.0/24"]}`},
		"transfer-notify":   {"POST", "/transfers/notify", `{"zone":"ann.example","notify":"192.5.6.30","key":"ns2.ann"}`},
		"transfer-deny":     {"DELETE", "/transfers?zone=ann.example&key=ns2.ann", ""},
		"secondary-list":    {"", "", ""},
		"secondary-set":     {"PUT", "/secondaries/sec.ann.example", `{"primary":"192.5.6.30"}`},
		"secondary-remove":  {"DELETE", "/secondaries/sec.ann.example", ""},
		"catalog-list":      {"", "", ""},
		"catalog-on":        {"PUT", "/catalogs/more.ann.example", `{}`},
		"catalog-off":       {"DELETE", "/catalogs/all.ann.example", ""},
		"recipients-remove": {"DELETE", "/domains/ann.example/recipients", ""},

		"mx-list":               {"GET", "/domains/ann.example/exchangers", ""},
		"mx-add":                {"POST", "/domains/ann.example/exchangers", `{"host":"mail.ann.example","preference":20}`},
		"mx-edit":               {"PATCH", "/domains/ann.example/exchangers/mx.host.example", `{"preference":20}`},
		"mx-remove":             {"DELETE", "/domains/ann.example/exchangers/mx.host.example", ""},
		"mx-replace":            {"PUT", "/domains/ann.example/exchangers", `{"exchangers":[{"host":"mail.ann.example"}]}`},
		"exchanger-set-list":    {"", "", ""},
		"exchanger-set-add":     {"POST", "/exchanger-sets", `{"name":"x","account":"ann","exchangers":[{"host":"mx.ann.example"}]}`},
		"exchanger-set-set":     {"PATCH", "/exchanger-sets/brand", `{"exchangers":[{"host":"mx2.ann.example"}]}`},
		"exchanger-set-remove":  {"DELETE", "/exchanger-sets/brand", ""},
		"nameserver-set-list":   {"", "", ""},
		"nameserver-set-add":    {"POST", "/nameserver-sets", `{"name":"x","account":"ann","hosts":["ns1.ann.example"]}`},
		"nameserver-set-set":    {"PATCH", "/nameserver-sets/brand", `{"hosts":["ns2.ann.example"]}`},
		"nameserver-set-remove": {"DELETE", "/nameserver-sets/brand", ""},
	}
}

// asking are operations that change nothing, although they are asked with a body.
var asking = map[string]bool{"explain-change": true, "zone-check-file": true}

const queuedID = mail.ID("01j00000000000000000000000")

// aliasChange is the entry of the change that made the alias.
func (h *house) aliasChange() int64 {
	for _, e := range h.m.Entries {
		if e.Action == "alias add" {
			return e.ID
		}
	}
	return 0
}

func (h *house) token() string {
	for id, tok := range h.m.Given {
		if tok.Account == h.annID {
			return id
		}
	}
	return ""
}

func (h *house) furnish() {
	h.t.Helper()
	h.must("", "POST", "/aliases", `{"address":"al@ann.example","targets":["box@ann.example"]}`)
	h.must("", "POST", "/forwards", `{"address":"fw@ann.example","targets":["x@away.example"]}`)
	h.must("", "POST", "/groups", `{"address":"gr@ann.example","targets":["box@ann.example"]}`)
	h.must("", "PUT", "/catch-alls/ann.example", `{"targets":["x@away.example"]}`)
	h.must("", "PUT", "/domains/ann.example/recipients", `{"addresses":["x@ann.example"]}`)
	h.must("", "POST", "/exchanger-sets", `{"name":"brand","account":"ann","exchangers":[{"host":"mx.ann.example"}]}`)
	h.must("", "POST", "/exchanger-sets", `{"name":"two","account":"ann","exchangers":[{"host":"mx.ann.example"}]}`)
	h.must("", "POST", "/domains?confirm=true", `{"name":"two.ann.example","account":"ann","zone":"external","exchanger_set":"two"}`)
	h.must("", "POST", "/nameserver-sets", `{"name":"brand","account":"ann","hosts":["ns1.ann.example","ns2.ann.example"]}`)
	h.must("", "PATCH", "/domains/ann.example?confirm=true", `{"zone":"hosted"}`)
	h.must("", "POST", "/domains/ann.example/zone/records", `{"type":"TXT","data":"hello"}`)
	h.must("", "PUT", "/domains/ann.example/dnssec", `{}`)
	h.must("", "POST", "/domains/ann.example/forwarders", `{"forwarder":"192.0.2.26"}`)
	h.must("", "PUT", "/outbound?confirm=true", `{"hop":"old.example:587","domain":"ann.example","user":"u","password":"smart secret"}`)
	h.must("", "POST", "/tsig-keys", `{"name":"ns2.ann","account":"ann"}`)
	h.must("", "POST", "/tsig-keys", `{"name":"free.ann","account":"ann","secret":"`+strings.Repeat("c21hcnQgc2VjcmV0", 4)+`"}`)
	h.must("", "POST", "/transfers", `{"zone":"ann.example","key":"ns2.ann"}`)
	h.must("", "POST", "/domains", `{"name":"sec.ann.example","account":"ann","proved":true}`)
	h.must("", "POST", "/domains/sec.ann.example/gateways?confirm=true", `{"gateway":"192.0.2.26"}`)
	h.must("", "PUT", "/secondaries/sec.ann.example", `{"primary":"192.5.6.31","key":"ns2.ann"}`)
	h.must("", "PUT", "/catalogs/all.ann.example", `{"account":"ann"}`)
	h.m.Queued = []mail.Listed{{
		Message: mail.Message{ID: queuedID, Account: h.annID, Sender: "box@ann.example"},
		Rows:    []mail.Recipient{{Row: mail.Row{ID: queuedID}, Account: h.annID, Destination: "x@away.example", Lane: "remote/away.example", State: mail.StateDeferred}},
	}}
	h.m.Traced = []trace.Row{{ID: queuedID, Account: h.annID, Recipient: "box@ann.example", Sender: "x@away.example", Steps: []trace.Step{
		{Kind: trace.Accepted, Client: mail.Client{Helo: "mx.away.example"}}, {Kind: trace.Decided, N: 1, Recipient: "box@ann.example"},
	}}}
	h.m.Providing["two.ann.example"] = publish.Provider{Domain: "two.ann.example", Account: h.annID, Kind: "rfc2136", Zone: "ann.example", Sealed: []byte("seal of a dns secret")}
	h.m.Keys["ann.example"] = dkimkey.Domain{Name: "ann.example", Account: h.annID, Algorithms: []dkimkey.Algorithm{dkimkey.Ed25519}, Keys: []dkimkey.Key{
		{Selector: "pr20261128e", Algorithm: dkimkey.Ed25519, Record: "v=DKIM1; k=ed25519; p=x", Sealed: []byte("seal of a private key"), State: dkimkey.Active},
	}}
	h.must(h.ann, "POST", "/certificates", `{"name":"mail.ann.example"}`)
	h.m.Told = []notice.Notice{{ID: "n", Account: h.annID, Domain: "ann.example", Event: notice.PrimaryDown, Subject: "ann.example: held"}}
	for id, b := range h.m.Mailboxes {
		if b.Address() == "box@ann.example" {
			h.identity(id)
			h.m.Stored[id], h.m.Bodies[id+"/1"] = []mailbox.Message{{UID: 1}}, "x"
		}
	}
}

// identity has a mailbox wait for the code of an identity, which is abcdefghijkl.
func (h *house) identity(box string) {
	h.t.Helper()
	sum := sha256.Sum256([]byte("identity abcdefghijkl"))
	h.m.Identities["identity"] = directory.Identity{
		ID: "identity", Account: h.annID, Domain: "ann.example", Mailbox: box, Address: "ann@far.example", Code: sum[:], Sent: time.Now(), Created: time.Now(),
	}
	if err := h.control.Start(h.t.Context()); err != nil { // it reads everything again
		h.t.Fatal(err)
	}
}

type document struct {
	OpenAPI string `json:"openapi"`
	Paths   map[string]map[string]struct {
		ID         string `json:"operationId"`
		Parameters []struct {
			Name string `json:"name"`
		} `json:"parameters"`
	} `json:"paths"`
}

func (h *house) document() document {
	h.t.Helper()
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/openapi.json", nil))
	var d document
	if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(&d); err != nil || w.Code != 200 {
		h.t.Fatal(w.Code, err)
	}
	if bytes.Contains(w.Body.Bytes(), []byte("$schema")) || bytes.Contains(w.Body.Bytes(), []byte("unpkg")) {
		h.t.Error("the document names pages of others")
	}
	return d
}

func TestEveryOperationKeepsAccountsApart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.furnish()
	table := calls(h)
	seen := 0
	for path, methods := range h.document().Paths {
		for method, op := range methods {
			call, ok := table[op.ID]
			if !ok {
				t.Errorf("%s %s: operation %q is not in the table of this test", method, path, op.ID)
				continue
			}
			seen++
			if call[0] == "" {
				continue
			}
			dry, confirm := call[1], call[1]
			if method != "get" && !asking[op.ID] {
				join := map[bool]string{true: "&", false: "?"}[strings.Contains(call[1], "?")]
				dry += join + "dry_run=true"
				confirm += join + "confirm=true"
			}
			operatorOnly := []string{"account-add", "account-set", "account-remove"}
			if slices.Contains(operatorOnly, op.ID) {
				if a := h.ask(h.ann, call[0], dry, call[2]); a.status != 403 {
					t.Errorf("%s by the owner: %d %s", op.ID, a.status, a.text)
				}
			} else if a := h.ask(h.ann, call[0], dry, call[2]); op.ID == "zone-fetch" && a.status != 422 || op.ID != "zone-fetch" && a.status != 200 { // there is no DNS here
				t.Errorf("%s by the owner: %d %s", op.ID, a.status, a.text)
			}
			before, entries := h.m.Version, len(h.m.Entries)
			want := map[bool]int{true: 403, false: 404}[op.ID == "account-add"]
			if a := h.ask(h.bob, call[0], confirm, call[2]); a.status != want || strings.Contains(a.text, "box@ann") && !strings.Contains(call[1]+call[2], "box@ann") {
				t.Errorf("%s by another customer: %d %s", op.ID, a.status, a.text)
			}
			if h.m.Version != before || len(h.m.Entries) != entries {
				t.Errorf("%s by another customer changed something", op.ID)
			}
		}
	}
	if seen != len(table) {
		t.Errorf("%d operations, %d in the table", seen, len(table))
	}
}

func TestListingsShowOnlyWhatIsInScope(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.furnish()
	for _, path := range []string{"/accounts", "/domains", "/mailboxes", "/aliases", "/forwards", "/groups", "/catch-alls", "/outbound", "/tokens", "/tsig-keys", "/transfers", "/secondaries", "/catalogs", "/audit", "/queue", "/queue/count", "/traces?sender=x@away.example", "/notices", "/providers", "/dkim", "/identities", "/certificates"} {
		mine, others := h.ask(h.ann, "GET", path, ""), h.ask(h.bob, "GET", path, "")
		if mine.status != 200 || others.status != 200 {
			t.Errorf("%s: %d %d %s", path, mine.status, others.status, mine.text)
		}
		if path != "/queue/count" && !strings.Contains(mine.text, "ann") {
			t.Errorf("%s shows ann nothing: %s", path, mine.text)
		}
		if strings.Contains(others.text, "ann.example") || strings.Contains(others.text, string(h.annID)) || strings.Contains(others.text, `"messages":1,`) && path == "/queue/count" {
			t.Errorf("%s shows bob: %s", path, others.text)
		}
		if strings.Contains(mine.text, "smart secret") || strings.Contains(mine.text, "a password") || strings.Contains(mine.text, "verifier") {
			t.Errorf("%s shows a secret: %s", path, mine.text)
		}
	}
}

func TestTheDocumentIsOpenAPI31AndEveryChangeCanBeTriedFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d := h.document()
	if !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s", d.OpenAPI)
	}
	for path, methods := range d.Paths {
		if !strings.HasPrefix(path, "/api/v1/") {
			t.Errorf("path %s", path)
		}
		for method, op := range methods {
			var names []string
			for _, p := range op.Parameters {
				names = append(names, p.Name)
			}
			for _, want := range []string{"dry_run", "confirm", "version"} {
				if has := slices.Contains(names, want); has != (method != "get" && !asking[op.ID]) {
					t.Errorf("%s: %s is %v among %v", op.ID, want, has, names)
				}
			}
		}
	}
}

func TestAProposedChangeIsExplainedAndNotMade(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.furnish()
	version := h.m.Version
	ask := func(change string) answer {
		return h.ask(h.ann, "POST", "/explain", `{"address":"al@ann.example","change":`+change+`}`)
	}
	a := ask(`{"method":"DELETE","path":"/mailboxes/box@ann.example"}`)
	for _, want := range []string{`"before":{"address":"al@ann.example"`, `"harm":"goes elsewhere"`, `"stops":1`, `"sentences":["Removes the mailbox box@ann.example."`} {
		if a.status != 200 || !strings.Contains(a.text, want) {
			t.Errorf("%d, without %s: %s", a.status, want, a.text)
		}
	}
	for change, status := range map[string]int{
		`{"method":"DELETE","path":"/mailboxes/none@ann.example"}`:                    404,
		`{"method":"PATCH","path":"/domains/ann.example","body":{"mode":"sideways"}}`: 422,
		`{"method":"PATCH","path":"/domains/ann.example","body":{"nothing":1}}`:       422,
		`{"method":"POST","path":"/explain","body":{}}`:                               422,
		`{"method":"POST","path":"/nowhere"}`:                                         422,
		`{"method":"POST","path":"//domains"}`:                                        422,
		`{"method":"DELETE","path":"/domains/bob.example"}`:                           404,
		`{"method":"GET","path":"/domains"}`:                                          422,
	} {
		if a := ask(change); a.status != status {
			t.Errorf("%s: %d %s", change, a.status, a.text)
		}
	}
	if h.m.Version != version {
		t.Error("explaining changed something")
	}
}

func TestAddressesAreGivenOnceForEachState(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	get := func(etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, api.Prefix+"/domains/ann.example/addresses", nil)
		r.Header.Set("Authorization", "Bearer "+h.ann)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, r)
		return w
	}
	first := get("")
	etag := first.Header().Get("ETag")
	if first.Code != http.StatusOK || etag == "" || !strings.Contains(first.Body.String(), `"locals":["box","postmaster"]`) {
		t.Fatalf("%d %s: %s", first.Code, etag, first.Body)
	}
	if again := get(etag); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("%d: %s", again.Code, again.Body)
	}
	h.must(h.ann, http.MethodPost, "/mailboxes", `{"address":"carol@ann.example"}`)
	if changed := get(etag); changed.Code != http.StatusOK || !strings.Contains(changed.Body.String(), "carol") {
		t.Errorf("%d: %s", changed.Code, changed.Body)
	}
	h.must(h.ann, http.MethodPatch, "/domains/ann.example?confirm=true", `{"mode":"relay","next_hops":["mx.away.example:25"]}`)
	if elsewhere := get(""); elsewhere.Code != http.StatusUnprocessableEntity {
		t.Errorf("%d: %s", elsewhere.Code, elsewhere.Body)
	}
}
