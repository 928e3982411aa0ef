package access_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/proto/sasl"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/access"
)

const (
	ann      = "ann@local.example"
	secret   = "correct horse"
	failed   = "535 5.7.8 authentication failed"
	idnLogin = "zoë@xn--mller-kva.example"
)

var (
	home    = netip.MustParseAddr("192.0.2.1")
	evil    = netip.MustParseAddr("203.0.113.66")
	evilSix = netip.MustParseAddr("2001:db8:6:6::1")
)

// cheap makes a verifier that costs little, once per password.
func cheap(t *testing.T, password string) string {
	t.Helper()
	if v, ok := cheapOnes.Load(password); ok {
		return v.(string)
	}
	v, err := sasl.NewVerifier(password, []byte("salt of the test"), sasl.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	cheapOnes.Store(password, v.String())
	return v.String()
}

var cheapOnes sync.Map // verifiers by password

// office is a directory and a store of verifiers, with logins over both.
type office struct {
	*access.Logins
	mu        sync.Mutex
	verifiers map[string][2]string // address → mailbox id, verifier
	trouble   error
	asked     int
	checks    []sasl.Verifier
	cost      time.Duration // of a check
	staff     []directory.Mailbox
	log       bytes.Buffer
}

func newOffice(t *testing.T, cfg access.LoginConfig) *office {
	t.Helper()
	v := cheap(t, secret)
	o := &office{verifiers: map[string][2]string{
		ann: {"box", v}, "bob@local.example": {"box2", v}, "eve@inert.example": {"box3", v}, idnLogin: {"box4", v},
		"new@local.example": {"another", v}, "none@local.example": {"box6", ""}, "bad@local.example": {"box7", "SCRAM-SHA-256$1:x$y:z"},
	}}
	cfg.Secret = []byte("secret of the test")
	o.Logins = access.NewLogins(cfg, o, o, slog.New(slog.NewTextHandler(&o.log, nil)))
	o.SetCheck(func(v sasl.Verifier, password string) bool {
		o.mu.Lock()
		o.checks = append(o.checks, v)
		o.mu.Unlock()
		if o.cost > 0 {
			<-time.After(o.cost)
		}
		of, ok := cheapOnes.Load(password)
		return ok && of == v.String()
	})
	return o
}

func (o *office) Verifier(_ context.Context, _ account.Scope, address string) (string, string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked++
	if o.trouble != nil {
		return "", "", o.trouble
	}
	v, ok := o.verifiers[address]
	if !ok {
		return "", "", fmt.Errorf("mailbox %s: %w", address, access.ErrNoMailbox)
	}
	return v[0], v[1], nil
}

func (o *office) View() routing.View {
	box := func(id, at string) directory.Mailbox {
		local, domain, _ := strings.Cut(at, "@")
		return directory.Mailbox{ID: id, Account: "acme", Domain: domain, Local: local}
	}
	return routing.View{Directory: directory.NewSnapshot(1,
		[]directory.Domain{
			{Name: "local.example", Account: "acme", Proved: true, Mode: directory.ModeLocal},
			{Name: "xn--mller-kva.example", Account: "acme", Proved: true, Mode: directory.ModeLocal},
			{Name: "inert.example", Account: "acme", Mode: directory.ModeLocal},
		},
		append([]directory.Mailbox{
			box("box", ann), box("box2", "bob@local.example"), box("box3", "eve@inert.example"), box("box4", idnLogin),
			box("box5", "new@local.example"), box("box6", "none@local.example"), box("box7", "bad@local.example"),
		}, o.staff...),
		[]directory.Rule{{ID: "r", Account: "acme", Domain: "local.example", Local: "info", Kind: directory.RuleAlias, Targets: []string{ann}}}, nil)}
}

// hire gives mailboxes with the same password to so many people.
func (o *office) hire(t *testing.T, n int) []string {
	t.Helper()
	var logins []string
	for i := range n {
		local := fmt.Sprintf("phone%d", i)
		o.staff = append(o.staff, directory.Mailbox{ID: local, Account: "acme", Domain: "local.example", Local: local})
		o.verifiers[local+"@local.example"] = [2]string{local, cheap(t, secret)}
		logins = append(logins, local+"@local.example")
	}
	return logins
}

// login makes a whole exchange and gives who it was, or the refusal in one line.
func (o *office) login(t *testing.T, from netip.Addr, mechanism, user, password string) string {
	t.Helper()
	client := map[string]func(user, password string) sasl.Client{
		sasl.Plain: sasl.NewPlainClient, sasl.Login: sasl.NewLoginClient, sasl.ScramSHA256: sasl.NewScramClient,
	}[mechanism](user, password)
	x, ok := o.Begin(t.Context(), from, mechanism)
	if !ok {
		t.Fatalf("%s is not offered", mechanism)
	}
	_, response, err := client.Start()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		challenge, done, err := x.Next(response)
		switch {
		case err != nil:
			var reply *smtp.ReplyError
			if !errors.As(err, &reply) {
				t.Fatalf("%v is no reply", err)
			}
			if _, owner := x.Login(); owner != "" {
				t.Fatalf("a failed login belongs to %s", owner)
			}
			return reply.Reply.String()
		case done:
			if !client.Done() {
				t.Fatal("the server is done and the client is not")
			}
			address, owner := x.Login()
			return address + " of " + string(owner)
		}
		if _, owner := x.Login(); owner != "" {
			t.Fatalf("a login under way belongs to %s", owner)
		}
		if response, err = client.Next(challenge); err != nil {
			t.Fatalf("client: %v", err)
		}
	}
	t.Fatal("no end")
	return ""
}

// guessProof has a client guess the proof of SCRAM, which spares it the rounds.
func (o *office) guessProof(t *testing.T, user string) string {
	t.Helper()
	x, _ := o.Begin(t.Context(), evil, sasl.ScramSHA256)
	challenge, _, err := x.Next([]byte("n,,n=" + user + ",r=abc"))
	if err == nil {
		nonce, _, _ := strings.Cut(string(challenge), ",")
		proof := base64.StdEncoding.EncodeToString(make([]byte, 32))
		_, _, err = x.Next([]byte("c=biws," + nonce + ",p=" + proof))
	}
	r, _ := smtp.ReplyOf(err)
	return r.String()
}

var mechanisms = []string{sasl.Plain, sasl.Login, sasl.ScramSHA256}

func TestLogin(t *testing.T) {
	t.Parallel()
	for _, mechanism := range mechanisms {
		o := newOffice(t, access.LoginConfig{})
		o.SetCheck(sasl.Verifier.Check)
		for user, want := range map[string]string{
			ann: ann, "ANN@Local.EXAMPLE": ann, "bob@local.example": "bob@local.example",
			"zoë@müller.example": idnLogin, "ZOË@XN--MLLER-KVA.example": idnLogin,
		} {
			if got := o.login(t, home, mechanism, user, secret); got != want+" of acme" {
				t.Errorf("%s %s: %q", mechanism, user, got)
			}
		}
	}
}

func TestWhoMayNotLogInHearsTheSame(t *testing.T) {
	t.Parallel()
	for _, mechanism := range mechanisms {
		for name, user := range map[string]string{
			"unknown user": "nobody@local.example", "unknown domain": "ann@elsewhere.example", "inert domain": "eve@inert.example",
			"alias": "info@local.example", "plus-address": "ann+x@local.example", "no address": "ann", "no domain": "ann@",
			"literal": "ann@[192.0.2.1]", "mailbox made anew": "new@local.example", "no password": "none@local.example",
			"trailing dot": "ann@local.example.", "operator": "operator", "catch-all": "@local.example", "space": "ann @local.example",
		} {
			t.Run(mechanism+" "+name, func(t *testing.T) {
				t.Parallel()
				o := newOffice(t, access.LoginConfig{})
				if mechanism == sasl.ScramSHA256 {
					if got := o.guessProof(t, user); got != failed {
						t.Errorf("%q", got)
					}
					return
				}
				if got := o.login(t, evil, mechanism, user, secret); got != failed {
					t.Errorf("%q", got)
				}
			})
		}
		t.Run(mechanism+" wrong password", func(t *testing.T) {
			t.Parallel()
			for _, password := range []string{"x", secret + " ", strings.ToUpper(secret), strings.Repeat("p", 1024)} {
				if got := newOffice(t, access.LoginConfig{}).login(t, evil, mechanism, ann, password); got != failed {
					t.Errorf("%q: %q", password, got)
				}
			}
		})
	}
}

// TestAnUnknownUserCostsTheSame looks at what decides the time of an answer: one question to the store, one check
// with as many rounds as a real password's.
func TestAnUnknownUserCostsTheSame(t *testing.T) {
	t.Parallel()
	for _, user := range []string{ann, "nobody@local.example", "eve@inert.example", "info@local.example", "ann@elsewhere.example"} {
		o := newOffice(t, access.LoginConfig{})
		v, _ := sasl.ParseVerifier(cheap(t, secret))
		v.Iterations = sasl.DefaultIterations
		o.verifiers[ann] = [2]string{"box", v.String()}
		if got := o.login(t, evil, sasl.Plain, user, "wrong"); got != failed {
			t.Errorf("%s: %q", user, got)
		}
		if o.asked != 1 || len(o.checks) != 1 || o.checks[0].Iterations != sasl.DefaultIterations {
			t.Errorf("%s: %d questions, %d checks", user, o.asked, len(o.checks))
		}
	}
}

func TestAnUnknownUserKeepsItsSalt(t *testing.T) {
	t.Parallel()
	salt := func(user string) string {
		x, _ := newOffice(t, access.LoginConfig{}).Begin(t.Context(), evil, sasl.ScramSHA256)
		challenge, _, err := x.Next([]byte("n,,n=" + user + ",r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(challenge), ",")
		return rest
	}
	first := salt("nobody@local.example")
	if !strings.HasSuffix(first, ",i=65536") || first != salt("NObody@LOCAL.example") || first == salt("nobody2@local.example") {
		t.Errorf("%q", first)
	}
}

func TestBrokenExchanges(t *testing.T) {
	t.Parallel()
	const malformed = "501 5.5.2"
	for _, tt := range []struct {
		name, mechanism string
		responses       []string
		want            string
	}{
		{"no NUL", sasl.Plain, []string{"ann"}, malformed},
		{"one NUL", sasl.Plain, []string{ann + "\x00" + secret}, malformed},
		{"NUL behind the password", sasl.Plain, []string{"\x00" + ann + "\x00" + secret + "\x00"}, malformed},
		{"NUL in the password", sasl.Plain, []string{"\x00" + ann + "\x00correct\x00horse"}, malformed},
		{"two identities", sasl.Plain, []string{"\x00" + ann + "\x00" + secret + "\x00bob@local.example\x00x"}, malformed},
		{"empty", sasl.Plain, []string{""}, malformed},
		{"only NULs", sasl.Plain, []string{"\x00\x00"}, malformed},
		{"acting as another", sasl.Plain, []string{"bob@local.example\x00" + ann + "\x00" + secret}, failed},
		{"password over 1,024 octets", sasl.Plain, []string{"\x00" + ann + "\x00" + strings.Repeat("x", 1025)}, failed},
		{"not UTF-8", sasl.Plain, []string{"\x00\xff@local.example\x00" + secret}, malformed},
		{"NUL in the user", sasl.Login, []string{ann + "\x00", secret}, malformed},
		{"NUL in the password", sasl.Login, []string{ann, secret + "\x00"}, malformed},
		{"empty user", sasl.Login, []string{""}, malformed},
		{"channel binding", sasl.ScramSHA256, []string{"p=tls-unique,,n=" + ann + ",r=abc"}, malformed},
		{"acting as another", sasl.ScramSHA256, []string{"n,a=bob@local.example,n=" + ann + ",r=abc"}, failed},
		{"proof of nothing", sasl.ScramSHA256, []string{"n,,n=" + ann + ",r=abc", "c=biws,r=abc,p=AAAA"}, malformed},
	} {
		o := newOffice(t, access.LoginConfig{})
		x, _ := o.Begin(t.Context(), evil, tt.mechanism)
		var err error
		for _, response := range tt.responses {
			if _, _, err = x.Next([]byte(response)); err != nil {
				break
			}
		}
		if r, ok := smtp.ReplyOf(err); !ok || !strings.HasPrefix(r.String(), tt.want) {
			t.Errorf("%s %s: %v", tt.mechanism, tt.name, err)
		}
		if _, done, err := x.Next([]byte("\x00" + ann + "\x00" + secret)); done || err == nil {
			t.Errorf("%s %s: the exchange goes on", tt.mechanism, tt.name)
		}
		if len(o.checks) != 0 {
			t.Errorf("%s %s: a password was checked", tt.mechanism, tt.name)
		}
	}
}

func TestUnknownMechanism(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"", "plain", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "EXTERNAL", "ANONYMOUS"} {
		if _, ok := newOffice(t, access.LoginConfig{}).Begin(t.Context(), home, mechanism); ok {
			t.Errorf("%q is offered", mechanism)
		}
	}
}

func TestALoginIsRememberedForFiveMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		login := func(password, want string, checks int) {
			t.Helper()
			if got := o.login(t, home, sasl.Plain, ann, password); got != want || len(o.checks) != checks {
				t.Fatalf("%q after %d checks, want %q after %d", got, len(o.checks), want, checks)
			}
		}
		right := ann + " of acme"
		login(secret, right, 1)
		login(secret, right, 1)
		login("wrong", failed, 2)
		time.Sleep(5*time.Minute - time.Second)
		login(secret, right, 2)
		time.Sleep(2 * time.Second)
		login(secret, right, 3)
		o.verifiers[ann] = [2]string{"box", cheap(t, "another")}
		login(secret, failed, 4)
		login("another", right, 5)
		delete(o.verifiers, ann)
		login("another", failed, 6)
	})
}

func TestAPasswordChangedDuringTheExchange(t *testing.T) {
	t.Parallel()
	o := newOffice(t, access.LoginConfig{})
	client := sasl.NewScramClient(ann, secret)
	x, _ := o.Begin(t.Context(), home, sasl.ScramSHA256)
	_, first, _ := client.Start()
	challenge, _, err := x.Next(first)
	if err != nil {
		t.Fatal(err)
	}
	final, _ := client.Next(challenge)
	o.verifiers[ann] = [2]string{"box", cheap(t, "another")}
	if _, _, err := x.Next(final); err == nil || !strings.HasPrefix(err.Error(), "535") {
		t.Errorf("%v", err)
	}
}

func TestTroubleIsTemporaryAndCostsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		o.trouble = errors.New("database is away")
		begun := time.Now()
		for range 20 {
			for _, user := range []string{ann, "nobody@local.example"} {
				if got := o.login(t, home, sasl.Plain, user, secret); !strings.HasPrefix(got, "454 4.7.0") {
					t.Fatalf("%q", got)
				}
			}
		}
		o.trouble = nil
		if got := o.login(t, home, sasl.Plain, "bad@local.example", secret); !strings.HasPrefix(got, "454 4.7.0") {
			t.Errorf("a damaged verifier: %q", got)
		}
		if got := o.login(t, home, sasl.Plain, ann, secret); got != ann+" of acme" || time.Since(begun) > 0 {
			t.Errorf("%q after %v", got, time.Since(begun))
		}
		if log := o.log.String(); !strings.Contains(log, "database is away") || strings.Contains(log, "horse") {
			t.Errorf("log: %s", log)
		}
	})
}

// TestChecksAreBounded lets a check hang: others wait half a minute for a slot, then hear that it is temporary.
func TestChecksAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{Checks: 1})
		release := make(chan struct{})
		o.SetCheck(func(_ sasl.Verifier, password string) bool { <-release; return password == secret })
		results := make(chan string, 1)
		go func() { results <- o.login(t, home, sasl.Plain, ann, secret) }()
		synctest.Wait()
		begun := time.Now()
		for _, user := range []string{"bob@local.example", "nobody@local.example"} {
			if got := o.login(t, home, sasl.Plain, user, secret); !strings.HasPrefix(got, "454 4.7.0") {
				t.Errorf("%q", got)
			}
		}
		if waited := time.Since(begun); waited != time.Minute {
			t.Errorf("waited %v", waited)
		}
		close(release)
		if got := <-results; got != ann+" of acme" {
			t.Errorf("%q", got)
		}
	})
}

func TestAnExchangeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, access.LoginConfig{})
		for i := range 7 {
			o.login(t, evil, sasl.Plain, ann, fmt.Sprint(i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		x, _ := o.Begin(ctx, evil, sasl.Plain)
		if _, _, err := x.Next([]byte("\x00" + ann + "\x00" + secret)); err == nil || !strings.HasPrefix(err.Error(), "454") {
			t.Errorf("%v", err)
		}
		if time.Since(begun) != time.Second {
			t.Errorf("waited %v", time.Since(begun))
		}
	})
}
