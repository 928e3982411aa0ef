package access_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"postroad/internal/core/account"
	"postroad/internal/service/access"
)

const (
	good     = "pr_abcdefghijklmnopqrstuvwxyz"
	operator = "pr_zyxwvutsrqponmlkjihgfedcba"
)

func tokens(_ context.Context, hash []byte) (access.Token, error) {
	for secret, owner := range map[string]account.ID{good: "acme", operator: account.Operator} {
		if sum := sha256.Sum256([]byte(secret)); bytes.Equal(sum[:], hash) {
			return access.Token{Name: "t", Account: owner, Hash: sum[:]}, nil
		}
	}
	return access.Token{}, access.ErrUnknown
}

func TestBearer(t *testing.T) {
	t.Parallel()
	s := access.New(access.TokensFunc(tokens))
	if id, err := s.Bearer(t.Context(), good); err != nil || id != (access.Identity{Name: "token t", Account: "acme"}) {
		t.Errorf("%+v %v", id, err)
	}
	if id, err := s.Bearer(t.Context(), operator); err != nil || !id.Operator {
		t.Errorf("%+v %v", id, err)
	}
	for _, bad := range []string{"", "pr_", good + "x", good[:len(good)-1], strings.ToUpper(good), "xx_" + good[3:], "pr_" + strings.Repeat("a", 300), good + "\x00"} {
		if id, err := s.Bearer(t.Context(), bad); !errors.Is(err, access.ErrUnknown) {
			t.Errorf("%q: %+v %v", bad, id, err)
		}
	}
}

func TestBearerHoldsTheWholeHashAgainstTheStores(t *testing.T) {
	t.Parallel()
	wrong := access.TokensFunc(func(context.Context, []byte) (access.Token, error) {
		return access.Token{Name: "t", Account: account.Operator, Hash: make([]byte, 32)}, nil
	})
	if _, err := access.New(wrong).Bearer(t.Context(), good); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("a store that answers with another token's row was believed: %v", err)
	}
	nobody := access.TokensFunc(func(_ context.Context, hash []byte) (access.Token, error) {
		return access.Token{Name: "t", Hash: hash}, nil
	})
	if _, err := access.New(nobody).Bearer(t.Context(), good); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("a token of nobody was taken: %v", err)
	}
	down := errors.New("store is away")
	broken := access.TokensFunc(func(context.Context, []byte) (access.Token, error) { return access.Token{}, down })
	if _, err := access.New(broken).Bearer(t.Context(), good); !errors.Is(err, down) || errors.Is(err, access.ErrUnknown) {
		t.Errorf("a broken store made the token unknown: %v", err)
	}
}

func TestSocketIsTheOperator(t *testing.T) {
	t.Parallel()
	if id := access.Socket(); !id.Operator || id.Account != account.Operator || id.Name != "operator" {
		t.Errorf("%+v", id)
	}
}
