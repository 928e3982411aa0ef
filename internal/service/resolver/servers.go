package resolver

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	resolvConf      = "/etc/resolv.conf"
	resolvConfCheck = time.Second      // how often the file is looked at
	resolvConfMax   = 64 << 10         // octets of it that are read
	serversMax      = 8                // servers of it that are used
	silentFor       = 30 * time.Second // how long a server that did not answer is left for last
)

// servers keeps the list of servers and which of them were silent lately.
type servers struct {
	fixed []string
	path  string
	log   *slog.Logger

	mu      sync.Mutex
	turn    int
	checked time.Time
	stamp   fileStamp
	listed  []string
	silent  map[string]time.Time
}

type fileStamp struct {
	modified time.Time
	size     int64
}

func newServers(entries []string, path string, log *slog.Logger) *servers {
	s := &servers{path: path, log: log, silent: map[string]time.Time{}}
	for _, entry := range entries {
		address, err := serverAddress(entry)
		if err != nil {
			address = entry // Validate has complained; asking it fails and says so
		}
		s.fixed = append(s.fixed, address)
	}
	return s
}

// order gives the servers in the order in which to ask them now.
func (s *servers) order(now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.fixed
	if len(list) == 0 {
		s.reread(now)
		list = s.listed
	}
	s.turn++
	first := s.turn % len(list)
	order := slices.Concat(list[first:], list[:first])
	slices.SortStableFunc(order, func(a, b string) int {
		return rank(s.silent[a], now) - rank(s.silent[b], now)
	})
	return order
}

// all gives the servers as they are configured.
func (s *servers) all(now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fixed) > 0 {
		return slices.Clone(s.fixed)
	}
	s.reread(now)
	return slices.Clone(s.listed)
}

func rank(silent, now time.Time) int {
	if age := now.Sub(silent); age >= 0 && age < silentFor {
		return 1
	}
	return 0
}

// heard notes whether a server answered at all.
func (s *servers) heard(server string, answered bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if answered {
		delete(s.silent, server)
		return
	}
	s.silent[server] = now
}

// reread takes the file again when it has changed. A file that cannot be read leaves the last list standing.
func (s *servers) reread(now time.Time) {
	if s.listed != nil && now.Sub(s.checked) < resolvConfCheck && !now.Before(s.checked) {
		return
	}
	s.checked = now
	if s.listed == nil {
		s.listed = []string{net.JoinHostPort("127.0.0.1", dnsPort)}
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return
	}
	stamp := fileStamp{info.ModTime(), info.Size()}
	if stamp == s.stamp {
		return
	}
	list, err := readResolvConf(s.path)
	if err != nil {
		s.log.Warn("resolver configuration not readable, keeping the last one", "path", s.path, "error", err)
		return
	}
	s.stamp = stamp
	if len(list) == 0 {
		list = []string{net.JoinHostPort("127.0.0.1", dnsPort)}
	}
	if !slices.Equal(list, s.listed) {
		s.log.Info("dns servers read", "path", s.path, "servers", list)
		s.listed = list
		clear(s.silent)
	}
}

// readResolvConf reads the nameserver lines of a resolv.conf(5).
func readResolvConf(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	return parseResolvConf(io.LimitReader(file, resolvConfMax))
}

func parseResolvConf(r io.Reader) ([]string, error) {
	var list []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" || len(list) == serversMax {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			list = append(list, net.JoinHostPort(addr.String(), dnsPort))
		}
	}
	return list, lines.Err()
}
