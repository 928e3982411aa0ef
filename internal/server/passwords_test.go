package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/core/seal"
	"postroad/internal/proto/sasl"
	"postroad/internal/service/access"
	"postroad/internal/service/control"
)

const (
	anns       = "ann@acme.example"
	annsSecret = "correct horse"
)

// safe gives passwords under a secret of equal octets.
func safe(t *testing.T, octet byte) passwords {
	t.Helper()
	box, err := seal.New(bytes.Repeat([]byte{octet}, seal.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	return passwords{box}
}

// oneBox is a directory and a store with the mailbox ann@acme.example, and with what is stored of its password.
type oneBox string

func (b oneBox) Verifier(_ context.Context, _ account.Scope, address string) (string, string, error) {
	if address != anns {
		return "", "", control.ErrNotFound
	}
	return "box", string(b), nil
}

func (b oneBox) View() routing.View {
	return routing.View{Directory: directory.NewSnapshot(1,
		[]directory.Domain{{Name: "acme.example", Account: "acme", Proved: true, Mode: directory.ModeLocal}},
		[]directory.Mailbox{{ID: "box", Account: "acme", Domain: "acme.example", Local: "ann"}}, nil, nil)}
}

// login tries a password by PLAIN against what is stored, and gives what the client is told and the log.
func (b oneBox) login(t *testing.T, p passwords, user, password string) (reply, log string) {
	t.Helper()
	var lines strings.Builder
	logins := access.NewLogins(access.LoginConfig{}, p.lookUp(b), b, slog.New(slog.NewTextHandler(&lines, nil)))
	x, ok := logins.Begin(t.Context(), netip.MustParseAddr("192.0.2.1"), sasl.Plain)
	if !ok {
		t.Fatal("no PLAIN")
	}
	_, done, err := x.Next([]byte("\x00" + user + "\x00" + password))
	switch {
	case err != nil:
		reply = err.Error()
	case done:
		reply = "logged in"
	}
	return reply, lines.String()
}

func TestPasswordsAreStoredSealed(t *testing.T) {
	t.Parallel()
	p := safe(t, 1)
	stored, err := p.verifier(annsSecret)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stored, sealedPassword) || strings.Contains(stored, sasl.ScramSHA256) {
		t.Errorf("stored: %s", stored)
	}
	octets, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(stored, sealedPassword))
	if err != nil || bytes.Contains(octets, []byte(sasl.ScramSHA256)) {
		t.Errorf("stored: %q, %v", octets, err)
	}
	text, err := p.open(stored)
	if err != nil {
		t.Fatal(err)
	}
	v, err := sasl.ParseVerifier(text)
	if err != nil || v.Iterations != sasl.DefaultIterations || !v.Check(annsSecret) {
		t.Errorf("opened: %v", err)
	}
	for name, other := range map[string]string{
		"sealed for something else": sealedPassword + base64.StdEncoding.EncodeToString(p.box.Seal([]byte(text), "dkim-key")),
		"cut":                       stored[:len(stored)-8],
		"empty":                     sealedPassword,
		"no base64":                 sealedPassword + text,
	} {
		if text, err := p.open(other); err == nil {
			t.Errorf("%s: opens as %q", name, text)
		}
	}
	if text, err := safe(t, 2).open(stored); !errors.Is(err, seal.ErrSealed) || text != "" {
		t.Errorf("under another secret: %q, %v", text, err)
	}
}

func TestWhatIsStoredOfAPasswordLetsItsUserIn(t *testing.T) {
	t.Parallel()
	p := safe(t, 1)
	sealed, err := p.verifier(annsSecret)
	if err != nil {
		t.Fatal(err)
	}
	before, err := sasl.NewVerifier(annsSecret, []byte("salt of the test"), 600_000)
	if err != nil {
		t.Fatal(err)
	}
	for name, stored := range map[string]string{"sealed": sealed, "open, of more rounds": before.String()} {
		for password, want := range map[string]string{annsSecret: "logged in", "guess": "535 5.7.8"} {
			if reply, log := oneBox(stored).login(t, p, anns, password); !strings.Contains(reply, want) || log != "" {
				t.Errorf("%s, %s: %q, log %s", name, password, reply, log)
			}
		}
	}
	if reply, log := oneBox(sealed).login(t, p, "nobody@acme.example", annsSecret); !strings.Contains(reply, "535 5.7.8") || log != "" {
		t.Errorf("nobody: %q, log %s", reply, log)
	}
	reply, log := oneBox(sealed).login(t, safe(t, 2), anns, annsSecret)
	if !strings.Contains(reply, "454 4.7.0") || !strings.Contains(log, "the password of ann@acme.example cannot be read: set it again, or bring back keys.secret") {
		t.Errorf("under another secret: %q, log %s", reply, log)
	}
}
