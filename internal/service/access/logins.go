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

// queueTime is how long a login waits for its password to be checked while others are.
const queueTime = 10 * time.Second

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
	// Checks is how many passwords are checked at once, 0: one per processor. Each takes a tenth of a second of one.
	Checks int
}

// Logins checks mailbox users' logins by SASL. A login is the full address of a mailbox of a proved domain; an
// alias is none. Checking is bounded, and slowed for who fails: see penalties.
type Logins struct {
	verifiers Verifiers
	dir       Directory
	log       *slog.Logger
	secret    []byte
	slots     chan struct{}
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
		verifiers: verifiers, dir: dir, log: log, secret: cfg.Secret, slots: make(chan struct{}, cfg.Checks),
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

// guarded has one password judged: after the delay that the client has earned, and noting the outcome. judge gives
// sasl.ErrAuthFailed for a wrong one.
func (l *Logins) guarded(ctx context.Context, client netip.Addr, login string, mark uint64, judge func() error) error {
	a, ok := l.penalties.begin(time.Now(), client, login, mark)
	if !ok {
		return errRefused
	}
	r := undecided
	defer func() { l.penalties.end(time.Now(), a, r) }()
	if err := pause(ctx, a.delay); err != nil {
		return err
	}
	err := judge()
	switch {
	case err == nil:
		r = right
	case errors.Is(err, sasl.ErrAuthFailed):
		r = wrong
	}
	return err
}

// password checks a password that came in clear, and gives who it was.
func (l *Logins) password(ctx context.Context, client netip.Addr, c claimant, password string) (claimant, error) {
	err := l.guarded(ctx, client, c.login, l.verified.mark(c.login, password), func() (err error) {
		if c, err = l.identify(ctx, c); err != nil {
			return err
		}
		return l.matches(ctx, c, password)
	})
	return c, err
}

// matches is nil for the right password, sasl.ErrAuthFailed for a wrong one. For who does not exist it costs the same.
func (l *Logins) matches(ctx context.Context, c claimant, password string) error {
	known := func() bool { return c.stored != "" && l.verified.knows(time.Now(), c.login, password, c.stored) }
	if known() {
		return nil
	}
	if err := l.acquire(ctx); err != nil {
		return err
	}
	defer func() { <-l.slots }()
	if known() { // a client's second connection, waiting beside the first
		return nil
	}
	if !l.check(c.verifier, password) || c.stored == "" {
		return sasl.ErrAuthFailed
	}
	l.verified.remember(time.Now(), c.login, password, c.stored)
	return nil
}

// acquire waits for a slot in which to check a password.
func (l *Logins) acquire(ctx context.Context) error {
	timer := time.NewTimer(queueTime)
	defer timer.Stop()
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
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
