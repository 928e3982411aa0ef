package sasl

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// onlyTim lets in "tim" with the password of the example in RFC 4616 §4.
func onlyTim(user, password string) error {
	if user == "tim" && password == "tanstaaftanstaaf" {
		return nil
	}
	return ErrAuthFailed
}

func TestPlainServer(t *testing.T) {
	for _, tt := range []struct {
		name, message string
		want          error
	}{
		{"RFC 4616 example", "\x00tim\x00tanstaaftanstaaf", nil},
		{"authzid is authcid", "tim\x00tim\x00tanstaaftanstaaf", nil},
		{"authzid of another", "root\x00tim\x00tanstaaftanstaaf", ErrAuthFailed},
		{"authzid differs in case", "Tim\x00tim\x00tanstaaftanstaaf", ErrAuthFailed},
		{"wrong password", "\x00tim\x00x", ErrAuthFailed},
		{"unknown user", "\x00tom\x00tanstaaftanstaaf", ErrAuthFailed},
		{"long password", "\x00tim\x00" + strings.Repeat("x", MaxPassword+1), ErrAuthFailed},
		{"nothing", "", ErrMalformed},
		{"no NUL", "tim", ErrMalformed},
		{"one NUL", "tim\x00tanstaaftanstaaf", ErrMalformed},
		{"three NULs", "\x00tim\x00tanstaaftanstaaf\x00", ErrMalformed},
		{"NUL in the user", "\x00ti\x00m\x00tanstaaftanstaaf", ErrMalformed},
		{"no user", "\x00\x00tanstaaftanstaaf", ErrMalformed},
		{"no password", "\x00tim\x00", ErrMalformed},
		{"line end in the user", "\x00tim\r\n\x00tanstaaftanstaaf", ErrMalformed},
		{"user not UTF-8", "\x00t\xffm\x00tanstaaftanstaaf", ErrMalformed},
		{"long user", "\x00" + strings.Repeat("x", MaxUser+1) + "\x00x", ErrMalformed},
		{"long message", "\x00tim\x00" + strings.Repeat("x", maxMessage), ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewPlainServer(onlyTim)
			if challenge, done, err := s.Next(nil); challenge == nil || len(challenge) != 0 || done || err != nil {
				t.Fatalf("Next(nil) = %v, %v, %v", challenge, done, err)
			}
			challenge, done, err := s.Next([]byte(tt.message))
			if challenge != nil || done != (tt.want == nil) || !errors.Is(err, tt.want) {
				t.Errorf("%q, %v, %v, want %v", challenge, done, err, tt.want)
			}
			if (s.Identity() == "tim") != (tt.want == nil) {
				t.Errorf("identity %q", s.Identity())
			}
			if _, done, err := s.Next([]byte("\x00tim\x00tanstaaftanstaaf")); done || !errors.Is(err, ErrMalformed) {
				t.Errorf("second try in one exchange: %v, %v", done, err)
			}
		})
	}
}

func TestLoginServer(t *testing.T) {
	const password = "tanstaaftanstaaf"
	for _, tt := range []struct {
		name      string
		responses []string
		want      error
	}{
		{"usual", []string{"-", "tim", password}, nil},
		{"initial response", []string{"tim", password}, nil},
		{"wrong password", []string{"-", "tim", "x"}, ErrAuthFailed},
		{"empty initial response", []string{""}, ErrMalformed},
		{"no user", []string{"-", ""}, ErrMalformed},
		{"no user at all", []string{"-", "-"}, ErrMalformed},
		{"no password", []string{"-", "tim", ""}, ErrMalformed},
		{"NUL in the user", []string{"-", "tim\x00x", password}, ErrMalformed},
		{"NUL in the password", []string{"-", "tim", password + "\x00"}, ErrMalformed},
		{"long user", []string{"-", strings.Repeat("x", MaxUser+1)}, ErrMalformed},
		{"long password", []string{"-", "tim", strings.Repeat("x", MaxPassword+1)}, ErrAuthFailed},
		{"second try", []string{"-", "tim", password, password}, ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := NewLoginServer(onlyTim)
			var challenges []string
			var err error
			var done bool
			for i, r := range tt.responses {
				if err != nil {
					t.Fatalf("fails before response %d: %v", i, err)
				}
				response := []byte(r)
				if r == "-" {
					response = nil
				}
				var challenge []byte
				challenge, done, err = s.Next(response)
				challenges = append(challenges, string(challenge))
			}
			if done != (tt.want == nil) || !errors.Is(err, tt.want) {
				t.Errorf("%v, %v, want %v", done, err, tt.want)
			}
			if tt.want == nil && (s.Identity() != "tim" || !strings.HasSuffix("Username: Password: ", strings.Join(challenges, " "))) {
				t.Errorf("identity %q, challenges %q", s.Identity(), challenges)
			}
		})
	}
}

func TestCheckErrorsPass(t *testing.T) {
	disk := errors.New("disk")
	for _, tt := range []struct{ err, want error }{
		{ErrAuthFailed, ErrAuthFailed},
		{ErrUnavailable, ErrUnavailable},
		{disk, ErrUnavailable},
		{disk, disk},
	} {
		s := NewPlainServer(func(string, string) error { return tt.err })
		_, done, err := s.Next([]byte("\x00a\x00b"))
		if done || !errors.Is(err, tt.want) || s.Identity() != "" {
			t.Errorf("check %v: %v, %v", tt.err, done, err)
		}
		if errors.Is(err, ErrAuthFailed) != errors.Is(tt.err, ErrAuthFailed) {
			t.Errorf("check %v is told as %v", tt.err, err)
		}
	}
}

func TestClientsRefuseWhatTheyCannotSend(t *testing.T) {
	for _, client := range []func(user, password string) Client{NewPlainClient, NewLoginClient, NewScramClient} {
		for _, tt := range []struct {
			user, password string
			want           error
		}{
			{"", "x", ErrMalformed},
			{"a\x00b", "x", ErrMalformed},
			{strings.Repeat("a", MaxUser+1), "x", ErrMalformed},
			{"a", "", ErrPassword},
			{"a", "x\x00y", ErrPassword},
			{"a", strings.Repeat("x", MaxPassword+1), ErrPassword},
		} {
			c := client(tt.user, tt.password)
			if name, _, err := c.Start(); !errors.Is(err, tt.want) || c.Done() {
				t.Errorf("%s with %.20q, %.20q: %v", name, tt.user, tt.password, err)
			}
			if _, err := c.Next([]byte("Username:")); err == nil {
				t.Errorf("goes on with %.20q, %.20q", tt.user, tt.password)
			}
		}
	}
}

func TestPasswordClients(t *testing.T) {
	c := NewPlainClient("tim", "x")
	if _, initial, err := c.Start(); string(initial) != "\x00tim\x00x" || err != nil || !c.Done() {
		t.Errorf("%q, %v", initial, err)
	}
	if _, err := c.Next(nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("challenge in PLAIN: %v", err)
	}
	c = NewLoginClient("tim", "x")
	if _, initial, err := c.Start(); initial != nil || err != nil {
		t.Errorf("%q, %v", initial, err)
	}
	for i, want := range []string{"tim", "x"} {
		if c.Done() {
			t.Errorf("done before challenge %d", i)
		}
		if response, err := c.Next([]byte("?")); string(response) != want || err != nil {
			t.Errorf("%q, %v", response, err)
		}
	}
	if !c.Done() {
		t.Error("not done")
	}
	if _, err := c.Next(nil); !errors.Is(err, ErrMalformed) || c.Done() {
		t.Errorf("third challenge: %v, done %v", err, c.Done())
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"\x00tim\x00x", "tim\x00tim\x00x", "a\x00b\x00c", "\x00\x00\x00", "\x00ü\x00\xff", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		called := false
		s := NewPlainServer(func(user, password string) error {
			called = true
			if user == "" || password == "" || len(user) > MaxUser || len(password) > MaxPassword || strings.ContainsAny(user+password, "\x00") {
				t.Fatalf("%q asks for %q, %q", message, user, password)
			}
			if !bytes.HasSuffix(message, []byte("\x00"+password)) {
				t.Fatalf("%q is read as password %q", message, password)
			}
			return nil
		})
		_, done, err := s.Next(append([]byte{}, message...))
		if done != (err == nil) || done != called || done != (s.Identity() != "") || done && bytes.Count(message, []byte{0}) != 2 {
			t.Fatalf("%q: %v, %v, identity %q", message, done, err, s.Identity())
		}
	})
}
