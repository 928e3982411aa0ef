package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/directory"
	"postroad/internal/proto/sasl"
	"postroad/internal/proto/smtp"
)

// queueTime is how long a login waits for its password to be checked while others are: all of an office's phones come at
// once after a restart, and clients wait for longer.
const queueTime = 30 * time.Second

// checksEach is how many passwords of one client are looked at at a time at most. So many guesses more than its failures
// allow a client has by making them at once.
const checksEach = 8

var (
	// errBusy says that too many passwords are being checked.
	errBusy = errors.New("too many logins at once")
	// errRefused says that an address has failed too often to be listened to.
	errRefused = errors.New("too many failed logins")
)

// LoginConfig says how logins are checked. The zero value works.
type LoginConfig struct {
	// Secret shapes what is said of users that do not exist. It must be the same after a restart, and on every
	// node: from changing SCRAM salts a stranger would see who does not exist. Empty: a random one.
	Secret []byte
	// Checks is how many passwords are checked at once, 0: one per processor. Each takes a hundredth of a second of one.
	Checks int
}

// Logins checks mailbox users' logins by SASL. A login is the full address of a mailbox of a proved domain; an
// alias is none. Checking is bounded, and slowed for who fails: see penalties.
type Logins struct {
	verifiers Verifiers
	dir       Directory
	log       *slog.Logger
	secret    []byte
	turns     *turns
	penalties *penalties
	verified  *verified
	check     func(v sasl.Verifier, password string) bool // the costly part
}

// NewLogins makes Logins over the verifiers' store and the directory.
func NewLogins(cfg LoginConfig, verifiers Verifiers, dir Directory, log *slog.Logger) *Logins {
	if len(cfg.Secret) == 0 {
		cfg.Secret = []byte(rand.Text())
	}
	if cfg.Checks <= 0 {
		cfg.Checks = runtime.GOMAXPROCS(0)
	}
	return &Logins{
		verifiers: verifiers, dir: dir, log: log, secret: cfg.Secret, turns: newTurns(cfg.Checks, min(cfg.Checks, checksEach)),
		penalties: newPenalties(), verified: newVerified([]byte(rand.Text())), check: sasl.Verifier.Check,
	}
}

// claimant is who somebody says to be.
type claimant struct {
	login    string // the address, canonical; what was said, in lower case, when it is no address
	address  bool
	owner    account.ID    // of the mailbox; empty when there is none
	mailbox  string        // its id
	verifier sasl.Verifier // one that no password fits when there is no mailbox
	stored   string        // the verifier's stored form; empty when there is no mailbox
}

// claim reads a user name. It asks nobody.
func (l *Logins) claim(user string) claimant {
	c := claimant{login: strings.ToLower(user)}
	if a, err := smtp.ParseAddress(user, true); err == nil && !a.IsLiteral() {
		c.login, c.address = directory.FoldLocal(a.Local)+"@"+a.Domain, true
	}
	c.verifier = sasl.FakeVerifier(c.login, l.secret)
	return c
}

// identify looks the claimant up. The store is asked whatever the directory says, so that the time it takes tells
// nothing. An error is temporary.
func (l *Logins) identify(ctx context.Context, c claimant) (claimant, error) {
	if !c.address {
		return c, nil
	}
	id, stored, err := l.verifiers.Verifier(ctx, account.System(), c.login)
	if errors.Is(err, ErrNoMailbox) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("verifier: %w", err)
	}
	at := strings.LastIndexByte(c.login, '@')
	dir := l.dir.View().Directory
	domain, ok := dir.Domain(c.login[at+1:])
	if !ok || !domain.Proved {
		return c, nil
	}
	box, ok := dir.Mailbox(domain.Name, c.login[:at])
	if !ok || box.ID != id || stored == "" {
		return c, nil
	}
	v, err := sasl.ParseVerifier(stored)
	if err != nil {
		return c, fmt.Errorf("verifier of mailbox %s: %w", id, err)
	}
	c.verifier, c.stored, c.owner, c.mailbox = v, stored, box.Account, box.ID
	return c, nil
}

// password checks a password that came in clear, and gives who it was. For who does not exist it costs the same.
func (l *Logins) password(ctx context.Context, client netip.Addr, c claimant, password string) (claimant, error) {
	claimed := c
	remembered := func() bool { return c.stored != "" && l.verified.knows(time.Now(), c.login, password, c.stored) }
	err := l.guarded(ctx, client, c.login, l.verified.mark(c.login, password), func() (right bool, err error) {
		if c, err = l.identify(ctx, claimed); err != nil {
			return false, err
		}
		return remembered(), nil
	}, func() error {
		switch {
		case remembered(): // a client's second connection, waiting beside the first
			return nil
		case !l.check(c.verifier, password) || c.stored == "":
			return sasl.ErrAuthFailed
		}
		l.verified.remember(time.Now(), c.login, password, c.stored)
		return nil
	})
	return c, err
}

// guarded has one password judged, in its turn and not before the client's failures let it: those that were found while it
// waited count too. Before it waits for a turn, look looks the login up, and may know already that it is right. judge gives
// sasl.ErrAuthFailed for a wrong one, and what it says is noted before the next one is looked at.
func (l *Logins) guarded(ctx context.Context, client netip.Addr, login string, mark uint64, look func() (right bool, err error), judge func() error) error {
	came, queued, at := time.Now(), time.Duration(0), pairOf(client, login)
	for {
		known, err := l.pay(ctx, came, at)
		if err != nil {
			return err
		}
		ready, err := look()
		if err != nil {
			return err
		}
		if ready {
			l.penalties.note(time.Now(), at, mark, right)
			return nil
		}
		from := time.Now()
		done, err := l.turns.take(ctx, at.addr, known, queueTime-queued)
		if err != nil {
			return err
		}
		queued += time.Since(from)
		if delay, _, ok := l.penalties.owes(time.Now(), at); ok && delay <= time.Since(came) {
			return l.judged(at, mark, judge, done)
		}
		done()
	}
}

// pay waits until what a client's failures cost is paid.
func (l *Logins) pay(ctx context.Context, came time.Time, at pair) (known bool, err error) {
	for {
		delay, known, ok := l.penalties.owes(time.Now(), at)
		rest := delay - time.Since(came)
		switch {
		case !ok:
			return false, errRefused
		case rest <= 0:
			return known, ctx.Err()
		}
		if err := pause(ctx, rest); err != nil {
			return false, err
		}
	}
}

// judged has judge called and its outcome noted within a turn.
func (l *Logins) judged(at pair, mark uint64, judge func() error, done func()) error {
	r := undecided
	defer func() {
		l.penalties.note(time.Now(), at, mark, r)
		done()
	}()
	err := judge()
	switch {
	case err == nil:
		r = right
	case errors.Is(err, sasl.ErrAuthFailed):
		r = wrong
	}
	return err
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
