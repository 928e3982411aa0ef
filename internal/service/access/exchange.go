package access

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"

	"postroad/internal/core/account"
	"postroad/internal/proto/sasl"
	"postroad/internal/proto/smtp"
)

// Exchange is one SASL exchange (RFC 4422) with one client. It serves one goroutine.
type Exchange struct {
	logins *Logins
	client netip.Addr
	server sasl.Server
	who    claimant
	done   bool
	// prove takes the client's proof in mechanisms that do not show the password; nil while none is awaited.
	prove func(response []byte) (challenge []byte, done bool, err error)
}

// Begin starts an exchange with a client; ok is false for a mechanism that is not offered. PLAIN and LOGIN show the
// password: the caller offers them under TLS only. When ctx ends, whatever the exchange waits for ends too.
func (l *Logins) Begin(ctx context.Context, client netip.Addr, mechanism string) (x *Exchange, ok bool) {
	x = &Exchange{logins: l, client: client}
	check := func(user, password string) (err error) {
		x.who, err = l.password(ctx, client, l.claim(user), password)
		return err
	}
	switch mechanism {
	case sasl.Plain:
		x.server = sasl.NewPlainServer(check)
	case sasl.Login:
		x.server = sasl.NewLoginServer(check)
	case sasl.ScramSHA256:
		x.server = sasl.NewScramServer(func(user string) (v sasl.Verifier, err error) {
			c := l.claim(user)
			x.prove = func(response []byte) ([]byte, bool, error) { return x.proof(ctx, c, response) }
			x.who, err = l.identify(ctx, c)
			return x.who.verifier, err
		}, nil)
	default:
		return nil, false
	}
	return x, true
}

// Next takes the client's response, nil when there was no initial one, and gives the next challenge, which may be
// empty. done says that the login has succeeded; there is no challenge then. It may take as long as the client's
// penalty and the queue of checks say, up to a minute.
//
// An error is a *smtp.ReplyError: 535 5.7.8 for a wrong login whatever is wrong with it, 501 5.5.2 for a message
// that breaks the mechanism's rules, 454 4.7.0 when nobody could tell now. The exchange is over then.
func (x *Exchange) Next(response []byte) (challenge []byte, done bool, err error) {
	step := x.server.Next
	if x.prove != nil {
		step, x.prove = x.prove, nil
	}
	if challenge, done, err = step(response); err != nil {
		return nil, false, x.refusal(err)
	}
	x.done = done
	return challenge, done, nil
}

// proof judges the proof of SCRAM. What was looked up when the exchange began may have changed since.
func (x *Exchange) proof(ctx context.Context, c claimant, response []byte) (challenge []byte, done bool, err error) {
	var now claimant
	err = x.logins.guarded(ctx, x.client, c.login, 0, func() (right bool, err error) {
		now, err = x.logins.identify(ctx, c)
		return false, err
	}, func() (err error) {
		if challenge, done, err = x.server.Next(response); err == nil && (now.stored == "" || now.stored != x.who.stored) {
			return sasl.ErrAuthFailed
		}
		return err
	})
	return challenge, done, err
}

// Login gives the address and the account of who it was, once done was true. Before, and after a failure, it gives
// the address that was claimed, for the log only, and no account; nothing when what was claimed is no address.
func (x *Exchange) Login() (address string, owner account.ID) {
	switch {
	case x.done:
		return x.who.login, x.who.owner
	case x.who.address:
		return x.who.login, ""
	}
	return "", ""
}

// User is who has logged in, so that it can be asked for later whether that still holds.
type User struct {
	Address string
	Account account.ID
	Mailbox string // the mailbox's id
	Stamp   string // tells one password from another one; of no use to guess it
}

// User tells who it was, once done was true; before, and after a failure, the address that was claimed alone, as Login
// does.
func (x *Exchange) User() User {
	address, owner := x.Login()
	if !x.done {
		return User{Address: address}
	}
	return User{Address: address, Account: owner, Mailbox: x.who.mailbox, Stamp: stamp(x.who.stored)}
}

// stamp is a short text that another password changes. A stored password has a salt of its own.
func stamp(stored string) string {
	sum := sha256.Sum256([]byte(stored))
	return string(sum[:16])
}

// Holds reports whether a user would log in still: the mailbox is there, its domain is proved, and the password is
// the same. An error says that nobody can tell now.
func (l *Logins) Holds(ctx context.Context, who User) (bool, error) {
	c, err := l.identify(ctx, l.claim(who.Address))
	if err != nil {
		return false, err
	}
	return c.stored != "" && c.mailbox == who.Mailbox && c.owner == who.Account && stamp(c.stored) == who.Stamp, nil
}

// refusal is what the client is told. The cause of trouble of our own goes no further, so it is logged here.
func (x *Exchange) refusal(err error) error {
	switch {
	case errors.Is(err, errRefused):
		return refuse(454, smtp.Enhanced{4, 7, 0}, "too many failed logins from your address, try again later")
	case errors.Is(err, sasl.ErrAuthFailed):
		return refuse(535, smtp.Enhanced{5, 7, 8}, "authentication failed")
	case errors.Is(err, sasl.ErrMalformed):
		return refuse(501, smtp.Enhanced{5, 5, 2}, "this is no message of the mechanism")
	case !errors.Is(err, errBusy) && !errors.Is(err, context.Canceled):
		x.logins.log.Error("login not checked", "client", x.client.String(), "error", err)
	}
	return refuse(454, smtp.Enhanced{4, 7, 0}, "the login cannot be checked now, try again later")
}

func refuse(code int, e smtp.Enhanced, text string) error {
	return &smtp.ReplyError{Reply: smtp.Reply{Code: code, Enhanced: e, Text: text}}
}
