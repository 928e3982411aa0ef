package resolver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Config says whom to ask. The zero value works.
type Config struct {
	// Servers are the recursive servers to ask, as address or address:port (IPv6 in brackets when there is a
	// port; port 53 when there is none). Default: empty, which means the nameserver lines of /etc/resolv.conf,
	// read again when that file changes, and 127.0.0.1:53 when it has none. All are used in turn; one that does
	// not answer is left for last during 30 seconds. Host names are refused: nobody could look them up.
	Servers []string `toml:"servers" json:"servers"`

	// Roots are the servers at which the delegation of a domain is followed from, as address or address:port. Default:
	// empty, which means those of the public root.
	Roots []string `toml:"roots" json:"roots"`

	// Port is the port of name servers that a delegation leads to. Default 53. Anything else is for tests.
	Port uint16 `toml:"port" json:"port"`

	// Allow are networks in which name servers may be asked although they are private or loopback. Default: none.
	// Whoever may delegate a domain can then have questions sent there. Servers and Roots need no mention.
	Allow []netip.Prefix `toml:"allow" json:"allow"`

	// Timeout is how long one server is waited for before the next one is asked. Default 2 s. Not a key of the
	// configuration file: it is for tests and for programs that embed the service.
	Timeout time.Duration `toml:"-" json:"-"`

	// Total ends a look-up with all its repetitions, whatever the caller's context allows. Default 10 s. Not a
	// key of the configuration file.
	Total time.Duration `toml:"-" json:"-"`
}

const (
	defaultTimeout = 2 * time.Second
	defaultTotal   = 10 * time.Second
	dnsPort        = "53"
)

// ErrServer is wrapped by every complaint of Validate about an entry of Servers or Roots.
var ErrServer = errors.New("not the address of a DNS server")

// Validate reports all problems at once, nil for none.
func (c Config) Validate() error {
	var problems []error
	for _, list := range []struct {
		name    string
		entries []string
	}{{"servers", c.Servers}, {"roots", c.Roots}} {
		for i, entry := range list.entries {
			if _, err := serverAddress(entry); err != nil {
				problems = append(problems, fmt.Errorf("%s[%d]: %w", list.name, i, err))
			}
		}
	}
	return errors.Join(problems...)
}

// serverAddress completes an entry of Servers to address:port.
func serverAddress(entry string) (string, error) {
	if addr, err := netip.ParseAddr(entry); err == nil {
		return net.JoinHostPort(addr.String(), dnsPort), nil
	}
	host, port, err := net.SplitHostPort(entry)
	if err != nil {
		return "", fmt.Errorf("%w: %q (write 192.0.2.53 or 192.0.2.53:53)", ErrServer, entry)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "", fmt.Errorf("%w: %q (an IP address is needed, not a name)", ErrServer, entry)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", fmt.Errorf("%w: %q (the port is 1 to 65535)", ErrServer, entry)
	}
	return net.JoinHostPort(addr.String(), strconv.FormatUint(number, 10)), nil
}
