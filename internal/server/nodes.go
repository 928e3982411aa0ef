package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/obs"
)

const (
	settingNodeNames = "node_names" // of the nodes that share the store, a space between
	nodesEvery       = 2 * time.Second
	maxNodeNames     = 64
)

// nodeSettings is where nodes leave their names for each other.
type nodeSettings interface {
	Setting(ctx context.Context, scope account.Scope, name string) (string, error)
	SetSetting(ctx context.Context, scope account.Scope, name, value string) error
}

// nodes are the names in which this node and the others with its store write what they found out about mail. A name stays when
// its node has gone: mail may have results in it still.
type nodes struct {
	own      string
	settings nodeSettings
	known    atomic.Pointer[[]string] // own among them; what it leads to never changes
}

func newNodes(own string, settings nodeSettings) *nodes {
	n := &nodes{own: own, settings: settings}
	n.known.Store(&[]string{own})
	return n
}

// names are all that are known.
func (n *nodes) names() []string { return *n.known.Load() }

// meet learns the names of the other nodes, and writes down its own where it is missing. Of two nodes that write at the same time
// one is not heard; it writes again at its next look.
func (n *nodes) meet(ctx context.Context) error {
	text, err := n.settings.Setting(ctx, account.System(), settingNodeNames)
	if err != nil {
		return fmt.Errorf("%s: %w", settingNodeNames, err)
	}
	written := strings.Fields(text)
	missing := !slices.Contains(written, n.own)
	if missing {
		written = append(written, n.own)
		written = written[max(0, len(written)-maxNodeNames):] // the oldest go
	}
	known := slices.DeleteFunc(slices.Clone(n.names()), func(name string) bool { return slices.Contains(written, name) })
	known = append(known, written...)
	known = known[max(0, len(known)-maxNodeNames):]
	n.known.Store(&known)
	if !missing {
		return nil
	}
	if err := n.settings.SetSetting(ctx, account.System(), settingNodeNames, strings.Join(written, " ")); err != nil {
		return fmt.Errorf("%s: %w", settingNodeNames, err)
	}
	return nil
}

// follow meets new nodes until ctx ends.
func (n *nodes) follow(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(nodesEvery)
	defer tick.Stop()
	var failures obs.Rarely
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := n.meet(ctx); err != nil && ctx.Err() == nil {
			failures.Warn(ctx, log, "the names of other nodes are not known", slog.Any(obs.KeyError, err))
		}
	}
}

// joinNodes has this node known to the others with its store, where there may be some.
func (s *Server) joinNodes(ctx context.Context) (*nodes, error) {
	n := newNodes(s.cfg.Hostname, s.stores.control)
	if s.cfg.Store.DSN == "" {
		return n, nil
	}
	if err := n.meet(ctx); err != nil {
		return nil, err
	}
	s.meanwhile(func(ctx context.Context) { n.follow(ctx, s.log) })
	return n, nil
}
