package seal

import (
	"bytes"
	"errors"
	"testing"
)

func TestWhatIsSealedOpensForTheSameOnly(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, SecretSize)
	box, err := New(secret)
	if err != nil {
		t.Fatal(err)
	}
	other, err := New(bytes.Repeat([]byte{8}, SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"", "a key", string(bytes.Repeat([]byte("x"), 5000))} {
		sealed := box.Seal([]byte(plain), "tsig-key one")
		if plain != "" && bytes.Contains(sealed, []byte(plain)) {
			t.Error("readable")
		}
		if got, err := box.Open(sealed, "tsig-key one"); err != nil || string(got) != plain {
			t.Errorf("%q, %v", got, err)
		}
		if bytes.Equal(sealed, box.Seal([]byte(plain), "tsig-key one")) {
			t.Error("sealed twice it is the same")
		}
		if _, err := box.Open(sealed, "tsig-key two"); !errors.Is(err, ErrSealed) {
			t.Errorf("for something else: %v", err)
		}
		if _, err := other.Open(sealed, "tsig-key one"); !errors.Is(err, ErrSealed) {
			t.Errorf("under another secret: %v", err)
		}
		for i := range min(len(sealed), 100) {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			if _, err := box.Open(changed, "tsig-key one"); !errors.Is(err, ErrSealed) {
				t.Fatalf("octet %d changed: %v", i, err)
			}
			if _, err := box.Open(sealed[:i], "tsig-key one"); !errors.Is(err, ErrSealed) {
				t.Fatalf("%d octets: %v", i, err)
			}
		}
	}
	if _, err := New(secret[1:]); err == nil {
		t.Error("a short secret was taken")
	}
}

func TestDerivedSecretsAreForOnePurpose(t *testing.T) {
	box, err := New(bytes.Repeat([]byte{1}, SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	other, err := New(bytes.Repeat([]byte{2}, SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	one := box.Derive("srs a.example")
	if len(one) != SecretSize || !bytes.Equal(one, box.Derive("srs a.example")) {
		t.Errorf("%x is not the same again", one)
	}
	if bytes.Equal(one, box.Derive("srs b.example")) || bytes.Equal(one, other.Derive("srs a.example")) {
		t.Error("another purpose or installation has the same secret")
	}
}
