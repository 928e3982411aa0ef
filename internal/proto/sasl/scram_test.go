package sasl

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
)

// The exchange of RFC 7677 §3.
const (
	rfcClientNonce = "rOprNGfwEbeRWgbNEkqO"
	rfcServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	rfcSalt        = "W22ZaJ0SNY7soEsUEjb6gQ=="
	rfcClientFirst = "n,,n=user,r=" + rfcClientNonce
	rfcServerFirst = "r=" + rfcClientNonce + rfcServerNonce + ",s=" + rfcSalt + ",i=4096"
	rfcClientFinal = "c=biws,r=" + rfcClientNonce + rfcServerNonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	rfcServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
)

func rfcVerifier(tb testing.TB) Verifier {
	tb.Helper()
	salt, err := base64.StdEncoding.DecodeString(rfcSalt)
	if err != nil {
		tb.Fatal(err)
	}
	v, err := NewVerifier("pencil", salt, 4096)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func rfcServer(tb testing.TB) Server {
	tb.Helper()
	v := rfcVerifier(tb)
	return NewScramServer(func(user string) (Verifier, error) {
		if user != "user" {
			return FakeVerifier(user, []byte("secret")), nil
		}
		return v, nil
	}, func() string { return rfcServerNonce })
}

func TestScramServerRFC7677(t *testing.T) {
	s := rfcServer(t)
	for _, step := range []struct {
		response, challenge string
		done                bool
	}{
		{rfcClientFirst, rfcServerFirst, false},
		{rfcClientFinal, rfcServerFinal, false},
		{"", "", true},
	} {
		if s.Identity() != "" {
			t.Fatalf("identity %q before the end", s.Identity())
		}
		challenge, done, err := s.Next([]byte(step.response))
		if err != nil || string(challenge) != step.challenge || done != step.done {
			t.Fatalf("Next(%q) = %q, %v, %v", step.response, challenge, done, err)
		}
	}
	if s.Identity() != "user" {
		t.Errorf("identity %q", s.Identity())
	}
	if _, done, err := s.Next([]byte(rfcClientFirst)); done || !errors.Is(err, ErrMalformed) {
		t.Errorf("after the end: %v, %v", done, err)
	}
}

func TestScramClientRFC7677(t *testing.T) {
	c := &scramClient{user: "user", password: "pencil", nonce: rfcClientNonce}
	mechanism, initial, err := c.Start()
	if mechanism != "SCRAM-SHA-256" || string(initial) != rfcClientFirst || err != nil {
		t.Fatalf("Start() = %s, %q, %v", mechanism, initial, err)
	}
	response, err := c.Next([]byte(rfcServerFirst))
	if err != nil || string(response) != rfcClientFinal || c.Done() {
		t.Fatalf("Next = %q, %v, done %v", response, err, c.Done())
	}
	response, err = c.Next([]byte(rfcServerFinal))
	if err != nil || len(response) != 0 || !c.Done() {
		t.Fatalf("Next = %q, %v, done %v", response, err, c.Done())
	}
}

// converse lets both sides talk until one of them is done or fails.
func converse(c Client, s Server) (done bool, err error) {
	_, response, err := c.Start()
	for err == nil {
		var challenge []byte
		if challenge, done, err = s.Next(response); err != nil || done {
			return done && c.Done(), err
		}
		response, err = c.Next(challenge)
	}
	return false, err
}

func TestExchanges(t *testing.T) {
	const odd = "a=b,c ü\u00ad@example.org"
	verifier, err := NewVerifier("pass\u00a0wörd", []byte("0123456789abcdef"), MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(user string) (Verifier, error) {
		if user == "" {
			return Verifier{}, errors.New("no user")
		}
		if user != "a=b,c ü@example.org" {
			return FakeVerifier(user, []byte("s")), nil
		}
		return verifier, nil
	}
	check := func(user, password string) error {
		v, err := lookup(user)
		if err == nil && (v.Iterations != MinIterations || !v.Check(password)) {
			err = ErrAuthFailed
		}
		return err
	}
	for _, mechanism := range []struct {
		name   string
		client func(user, password string) Client
		server func() Server
	}{
		{Plain, NewPlainClient, func() Server { return NewPlainServer(check) }},
		{Login, NewLoginClient, func() Server { return NewLoginServer(check) }},
		{ScramSHA256, NewScramClient, func() Server { return NewScramServer(lookup, nil) }},
	} {
		s := mechanism.server()
		done, err := converse(mechanism.client(odd, "pass wo\u0308rd"), s)
		if !done || err != nil || s.Identity() != "a=b,c ü@example.org" {
			t.Errorf("%s: %v, %v, %q", mechanism.name, done, err, s.Identity())
		}
		s = mechanism.server()
		if done, err := converse(mechanism.client(odd, "pass word"), s); done || !errors.Is(err, ErrAuthFailed) || s.Identity() != "" {
			t.Errorf("%s, wrong password: %v, %v, %q", mechanism.name, done, err, s.Identity())
		}
		if name, _, _ := mechanism.client("a", "b").Start(); name != mechanism.name {
			t.Errorf("name %s", name)
		}
	}
}

func TestScramUnknownUserFailsOnlyAtTheEnd(t *testing.T) {
	fake := FakeVerifier("nobody", []byte("secret"))
	fake.Iterations = MinIterations
	s := NewScramServer(func(string) (Verifier, error) { return fake, nil }, nil)
	c := NewScramClient("nobody", "pencil")
	_, initial, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	challenge, _, err := s.Next(initial)
	if err != nil {
		t.Fatalf("server-first: %v", err)
	}
	response, err := c.Next(challenge)
	if err != nil {
		t.Fatal(err)
	}
	if _, done, err := s.Next(response); done || !errors.Is(err, ErrAuthFailed) {
		t.Errorf("%v, %v", done, err)
	}
}

func TestScramServerFirstMessage(t *testing.T) {
	long := strings.Repeat("x", maxMessage)
	for _, tt := range []struct {
		message string
		want    error
	}{
		{"y,,n=user,r=abc", nil},
		{"n,a=user,n=user,r=abc", nil},
		{"n,,n=user,r=abc,x=ext", nil},
		{"n,,n=other,r=abc", nil},
		{"n,a=root,n=user,r=abc", ErrAuthFailed},
		{"", ErrMalformed},
		{"p=tls-exporter,,n=user,r=abc", ErrMalformed},
		{"z,,n=user,r=abc", ErrMalformed},
		{"n", ErrMalformed},
		{"n,", ErrMalformed},
		{"n,,n=user", ErrMalformed},
		{"n,,r=abc,n=user", ErrMalformed},
		{"n,,m=x,n=user,r=abc", ErrMalformed},
		{"n,,n=user,r=abc,m=x", ErrMalformed},
		{"n,,n=user,r=abc,", ErrMalformed},
		{"n,,n=user,r=abc,x=", ErrMalformed},
		{"n,,n=user,r=", ErrMalformed},
		{"n,,n=user,r=a c", ErrMalformed},
		{"n,,n=user,r=ä", ErrMalformed},
		{"n,,n=user,r=" + strings.Repeat("x", maxNonce+1), ErrMalformed},
		{"n,,n=,r=abc", ErrMalformed},
		{"n,,n=us=er,r=abc", ErrMalformed},
		{"n,,n=us=2cer,r=abc", ErrMalformed},
		{"n,,n=us\x00er,r=abc", ErrMalformed},
		{"n,,n=us\ter,r=abc", ErrMalformed},
		{"n,,n=us\xffer,r=abc", ErrMalformed},
		{"n,,n=\u00ad,r=abc", ErrMalformed},
		{"n,,n=" + strings.Repeat("x", MaxUser+1) + ",r=abc", ErrMalformed},
		{"n,user,n=user,r=abc", ErrMalformed},
		{"n,a=,n=user,r=abc", ErrMalformed},
		{"n,,n=user,r=abc,x=" + long, ErrMalformed},
	} {
		s := rfcServer(t)
		_, done, err := s.Next([]byte(tt.message))
		if done || !errors.Is(err, tt.want) {
			t.Errorf("Next(%.80q) = %v, %v, want %v", tt.message, done, err, tt.want)
		}
		if err == nil {
			continue
		}
		if _, done, err := s.Next([]byte(rfcClientFirst)); done || !errors.Is(err, ErrMalformed) {
			t.Errorf("goes on after %.80q: %v, %v", tt.message, done, err)
		}
	}
}

func TestScramServerFinalMessage(t *testing.T) {
	const nonce = rfcClientNonce + rfcServerNonce
	_, proof, _ := strings.Cut(rfcClientFinal, ",p=")
	for _, tt := range []struct {
		message string
		want    error
	}{
		{"c=biws,r=" + nonce + ",p=" + strings.Replace(proof, "d", "e", 1), ErrAuthFailed},
		{"c=biws,r=" + nonce + ",x=1,p=" + proof, ErrAuthFailed},
		{"c=eSws,r=" + nonce + ",p=" + proof, ErrMalformed},
		{"c=biws,r=" + rfcClientNonce + ",p=" + proof, ErrMalformed},
		{"c=biws,r=" + nonce + "x,p=" + proof, ErrMalformed},
		{"c=biws,r=" + nonce + ",m=1,p=" + proof, ErrMalformed},
		{"r=" + nonce + ",c=biws,p=" + proof, ErrMalformed},
		{"c=biws,r=" + nonce, ErrMalformed},
		{"c=biws,r=" + nonce + ",p=", ErrMalformed},
		{"c=biws,r=" + nonce + ",p=AAAA", ErrMalformed},
		{"c=biws,r=" + nonce + ",p=" + proof + ",x=1", ErrMalformed},
		{"c=biws,r=" + nonce + ",p=" + proof[:10] + "\n" + proof[10:], ErrMalformed},
		{"c=biws,p=" + proof, ErrMalformed},
		{"", ErrMalformed},
		{rfcClientFirst, ErrMalformed},
	} {
		s := rfcServer(t)
		if _, _, err := s.Next([]byte(rfcClientFirst)); err != nil {
			t.Fatal(err)
		}
		if challenge, done, err := s.Next([]byte(tt.message)); done || challenge != nil || !errors.Is(err, tt.want) {
			t.Errorf("Next(%q) = %q, %v, %v, want %v", tt.message, challenge, done, err, tt.want)
		}
	}
	s := rfcServer(t)
	for _, m := range []string{rfcClientFirst, rfcClientFinal} {
		if _, _, err := s.Next([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	if _, done, err := s.Next([]byte("x")); done || !errors.Is(err, ErrMalformed) || s.Identity() != "" {
		t.Errorf("text after the proof: %v, %v", done, err)
	}
}

func TestScramServerWithoutInitialResponse(t *testing.T) {
	s := rfcServer(t)
	if challenge, done, err := s.Next(nil); challenge == nil || len(challenge) != 0 || done || err != nil {
		t.Errorf("Next(nil) = %v, %v, %v", challenge, done, err)
	}
	if challenge, _, err := s.Next([]byte(rfcClientFirst)); string(challenge) != rfcServerFirst || err != nil {
		t.Errorf("%q, %v", challenge, err)
	}
}

func TestScramServerLookupFails(t *testing.T) {
	disk := errors.New("disk")
	for _, tt := range []struct{ err, want error }{
		{ErrAuthFailed, ErrAuthFailed},
		{ErrUnavailable, ErrUnavailable},
		{disk, ErrUnavailable},
		{disk, disk},
		{nil, ErrUnavailable}, // a zero Verifier
	} {
		s := NewScramServer(func(string) (Verifier, error) { return Verifier{}, tt.err }, nil)
		if _, done, err := s.Next([]byte(rfcClientFirst)); done || !errors.Is(err, tt.want) {
			t.Errorf("lookup %v: %v, %v", tt.err, done, err)
		}
	}
}

func TestScramClientDistrustsServer(t *testing.T) {
	const nonce = "r=" + rfcClientNonce + rfcServerNonce
	const salt = ",s=" + rfcSalt
	for _, tt := range []struct {
		challenges []string
		want       error
	}{
		{[]string{""}, ErrMalformed},
		{[]string{"r=other" + salt + ",i=4096"}, ErrMalformed},
		{[]string{"r=" + rfcClientNonce + salt + ",i=4096"}, ErrMalformed},
		{[]string{nonce + salt + ",i=1"}, ErrMalformed},
		{[]string{nonce + salt + ",i=2000000000"}, ErrMalformed},
		{[]string{nonce + salt + ",i=99999999999999999999"}, ErrMalformed},
		{[]string{nonce + salt + ",i=-4096"}, ErrMalformed},
		{[]string{nonce + ",s=,i=4096"}, ErrMalformed},
		{[]string{nonce + ",s=!,i=4096"}, ErrMalformed},
		{[]string{"m=x," + nonce + salt + ",i=4096"}, ErrMalformed},
		{[]string{nonce + salt + ",i=4096,m=x"}, ErrMalformed},
		{[]string{strings.Repeat("x", maxMessage+1)}, ErrMalformed},
		{[]string{rfcServerFirst, ""}, ErrMalformed},
		{[]string{rfcServerFirst, "v=!"}, ErrMalformed},
		{[]string{rfcServerFirst, "v="}, ErrAuthFailed},
		{[]string{rfcServerFirst, strings.Replace(rfcServerFinal, "6", "7", 1)}, ErrAuthFailed},
		{[]string{rfcServerFirst, "e=invalid-proof"}, ErrAuthFailed},
		{[]string{rfcServerFirst, rfcServerFinal, ""}, ErrMalformed},
	} {
		c := &scramClient{user: "user", password: "pencil", nonce: rfcClientNonce}
		_, _, err := c.Start()
		for i, challenge := range tt.challenges {
			if err != nil {
				t.Fatalf("%q fails before %d: %v", tt.challenges, i, err)
			}
			_, err = c.Next([]byte(challenge))
		}
		if !errors.Is(err, tt.want) || c.Done() {
			t.Errorf("%.80q: %v, want %v, done %v", tt.challenges, err, tt.want, c.Done())
		}
	}
	c := NewScramClient("user", "pencil")
	if _, err := c.Next([]byte(rfcServerFirst)); !errors.Is(err, ErrMalformed) {
		t.Errorf("before Start: %v", err)
	}
}

func TestScramClientNoncesDiffer(t *testing.T) {
	var seen []string
	for range 20 {
		_, initial, err := NewScramClient("user", "pencil").Start()
		if err != nil || slices.Contains(seen, string(initial)) {
			t.Fatalf("%q, %v", initial, err)
		}
		seen = append(seen, string(initial))
	}
}

func FuzzScramServer(f *testing.F) {
	f.Add([]byte(rfcClientFirst), []byte(rfcClientFinal))
	f.Add([]byte("y,a=user,n=user,r=x,y=z"), []byte("c=eSxhPXVzZXIs,r=x,p=AAAA"))
	f.Add([]byte("p=x,,n=a=2C,r=,"), []byte(",p="))
	v := rfcVerifier(f)
	f.Fuzz(func(t *testing.T, first, final []byte) {
		s := NewScramServer(func(string) (Verifier, error) { return v, nil }, func() string { return rfcServerNonce })
		for _, response := range [][]byte{first, final, {}} {
			_, done, err := s.Next(response)
			if err != nil {
				if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrAuthFailed) || done || s.Identity() != "" {
					t.Fatalf("%v, %v, %q", done, err, s.Identity())
				}
				return
			}
			if done != (s.Identity() != "") {
				t.Fatalf("done %v, identity %q", done, s.Identity())
			}
			// Only the password makes this proof for this nonce.
			if done && (string(final) != rfcClientFinal || string(first) != rfcClientFirst) {
				t.Fatalf("%q and %q log in", first, final)
			}
		}
	})
}

func FuzzScramClient(f *testing.F) {
	f.Add([]byte(rfcServerFirst), []byte(rfcServerFinal))
	f.Add([]byte("r=x,s=AAAA,i=4096"), []byte("e=other-error"))
	f.Fuzz(func(t *testing.T, first, final []byte) {
		if i := strings.Index(string(first), "i="); i >= 0 && len(first) > i+6 {
			t.Skip("many iterations are slow")
		}
		c := &scramClient{user: "user", password: "pencil", nonce: rfcClientNonce}
		_, _, err := c.Start()
		for _, challenge := range [][]byte{first, final} {
			if err == nil {
				_, err = c.Next(challenge)
			}
		}
		// Extensions after the signature are allowed.
		if c.Done() != (err == nil) || c.Done() && string(first) == rfcServerFirst && !strings.HasPrefix(string(final), rfcServerFinal) {
			t.Fatalf("%q, %q: done %v, %v", first, final, c.Done(), err)
		}
	})
}
