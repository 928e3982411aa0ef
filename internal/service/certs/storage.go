package certs

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"postroad/internal/core/account"
	"postroad/internal/obs"
)

// A lock that its holder does not prolong, because it has ended, is free after lease; whoever holds it prolongs it every
// prolong. Who waits for one asks every retryLock.
const (
	lease     = time.Minute
	prolong   = 15 * time.Second
	retryLock = 500 * time.Millisecond
)

// leaseOf begins the names of locks among what nodes lease.
const leaseOf = "certificates/"

// vault is the store as this service uses it: everything in it is sealed.
type vault struct {
	store  Vault
	box    Box
	holder string // who this process is among those that share the store
	log    *slog.Logger

	mu   sync.Mutex
	held map[string]bool // locks that keep prolongs
}

func newVault(store Vault, box Box, log *slog.Logger) *vault {
	return &vault{store: store, box: box, holder: rand.Text(), log: log, held: map[string]bool{}}
}

// sealedFor binds what is sealed to its place.
func sealedFor(key string) string { return "certificate asset " + key }

func (v *vault) load(ctx context.Context, key string) ([]byte, time.Time, error) {
	a, err := v.store.Asset(ctx, account.System(), key)
	if err != nil {
		return nil, time.Time{}, err
	}
	plain, err := v.box.Open(a.Value, sealedFor(key))
	return plain, a.Modified, err
}

// change keeps and drops in one transaction.
func (v *vault) change(ctx context.Context, put map[string][]byte, drop ...string) error {
	list := make([]Asset, 0, len(put))
	for key, plain := range put {
		list = append(list, Asset{Key: key, Value: v.box.Seal(plain, sealedFor(key)), Modified: time.Now().UTC()})
	}
	return v.store.ChangeAssets(ctx, account.System(), list, drop)
}

// try takes a lock if it is free.
func (v *vault) try(ctx context.Context, name string) (bool, error) {
	now := time.Now().UTC()
	taken, err := v.store.Lease(ctx, account.System(), leaseOf+name, v.holder, now, now.Add(lease))
	if taken {
		v.mu.Lock()
		v.held[name] = true
		v.mu.Unlock()
	}
	return taken, err
}

// free ends a lock.
func (v *vault) free(ctx context.Context, name string) error {
	v.mu.Lock()
	delete(v.held, name)
	v.mu.Unlock()
	return v.store.EndLease(context.WithoutCancel(ctx), account.System(), leaseOf+name, v.holder)
}

// keep prolongs the locks that are held until ctx ends, then frees them.
func (v *vault) keep(ctx context.Context) {
	tick := time.NewTicker(prolong)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			for _, name := range v.names() {
				if err := v.free(ctx, name); err != nil {
					v.log.WarnContext(ctx, "a lock was not freed; it ends by itself", slog.String("lock", name), slog.Any(obs.KeyError, err))
				}
			}
			return
		case <-tick.C:
		}
		for _, name := range v.names() {
			now := time.Now().UTC()
			if ok, err := v.store.Lease(ctx, account.System(), leaseOf+name, v.holder, now, now.Add(lease)); !ok && ctx.Err() == nil {
				v.mu.Lock()
				delete(v.held, name)
				v.mu.Unlock()
				v.log.WarnContext(ctx, "a lock was not prolonged", slog.String("lock", name), slog.Any(obs.KeyError, err))
			}
		}
	}
}

// has reports whether this process holds a lock.
func (v *vault) has(name string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.held[name]
}

func (v *vault) names() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]string, 0, len(v.held))
	for name := range v.held {
		out = append(out, name)
	}
	return out
}

// staged is the vault for one certificate to be got or renewed, as the library wants it. What is written becomes durable
// in one transaction, before the lock on the name is given back: a key never lies beside the certificate of another one.
type staged struct {
	*vault
	put  map[string][]byte
	lost error // of the transaction
}

var _ certmagic.Storage = (*staged)(nil)

// Lock implements certmagic.Locker. Only one holder per process may have a name at a time, which work sees to.
func (s *staged) Lock(ctx context.Context, name string) error {
	for {
		taken, err := s.try(ctx, "name/"+name)
		if taken || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryLock):
		}
	}
}

// Unlock implements certmagic.Locker.
func (s *staged) Unlock(ctx context.Context, name string) error {
	if len(s.put) > 0 {
		s.lost = s.change(context.WithoutCancel(ctx), s.put)
		s.put = nil
	}
	return errors.Join(s.lost, s.free(ctx, "name/"+name))
}

// Store implements certmagic.Storage.
func (s *staged) Store(_ context.Context, key string, value []byte) error {
	if s.put == nil {
		s.put = map[string][]byte{}
	}
	s.put[key] = value
	return nil
}

// Load implements certmagic.Storage.
func (s *staged) Load(ctx context.Context, key string) ([]byte, error) {
	if value, there := s.put[key]; there {
		return value, nil
	}
	value, _, err := s.load(ctx, key)
	if errors.Is(err, ErrMissing) {
		err = fs.ErrNotExist
	}
	return value, err
}

// Delete implements certmagic.Storage.
func (s *staged) Delete(ctx context.Context, key string) error {
	for k := range s.put {
		if k == key || strings.HasPrefix(k, key+"/") {
			delete(s.put, k)
		}
	}
	return s.change(ctx, nil, key)
}

// Exists implements certmagic.Storage.
func (s *staged) Exists(ctx context.Context, key string) bool {
	if _, there := s.put[key]; there {
		return true
	}
	if _, err := s.store.Asset(ctx, account.System(), key); err == nil {
		return true
	}
	list, err := s.store.Assets(ctx, account.System(), key+"/")
	return err == nil && len(list) > 0
}

// List implements certmagic.Storage.
func (s *staged) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	prefix := strings.TrimSuffix(path, "/") + "/"
	if path == "" {
		prefix = ""
	}
	list, err := s.store.Assets(ctx, account.System(), prefix)
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range list {
		key := list[i].Key
		if first, _, below := strings.Cut(strings.TrimPrefix(key, prefix), "/"); below && !recursive {
			key = prefix + first
		}
		if len(out) == 0 || out[len(out)-1] != key {
			out = append(out, key)
		}
	}
	return out, nil
}

// Stat implements certmagic.Storage.
func (s *staged) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, modified, err := s.load(ctx, key)
	if errors.Is(err, ErrMissing) {
		err = fs.ErrNotExist
	}
	return certmagic.KeyInfo{Key: key, Modified: modified, Size: int64(len(value)), IsTerminal: true}, err
}
