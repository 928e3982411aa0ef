package acceptance

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"postroad/internal/sim"
)

// tree is a public name space on loopback: a root, the top-level zone "example", and name servers at addresses of their
// own, all at one port, beside the resolver of outside.
type tree struct {
	*outside

	dnsPort string
	top     *sim.DNS // of "example"
	topText string
	servers map[string]*sim.DNS // by address
}

// Addresses of the tree.
const (
	treeRoot = "127.1.0.1"
	treeTop  = "127.1.0.2"
)

func newTree(t *testing.T) *tree {
	t.Helper()
	_, port, err := net.SplitHostPort(sim.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	w := &tree{outside: newOutside(t), dnsPort: port, servers: map[string]*sim.DNS{}}
	w.server(treeRoot).SetZone(".", "@ NS a.root.\na.root. A "+treeRoot+"\nexample. NS a.top.example.\na.top.example. A "+treeTop+"\n")
	w.topText = "@ NS a.top\na.top A " + treeTop + "\n"
	w.top = w.server(treeTop)
	w.top.SetZone("example", w.topText)
	return w
}

// server gives the name server at an address, and starts it at first.
func (w *tree) server(address string) *sim.DNS {
	w.t.Helper()
	if d, ok := w.servers[address]; ok {
		return d
	}
	d := sim.NewAuthority(w.t, nil)
	d.Listen(net.JoinHostPort(address, w.dnsPort))
	w.servers[address] = d
	return d
}

// hand writes the delegation of a zone of "example": pairs of a name server and its address ("" without glue).
func (w *tree) hand(zone string, servers ...[2]string) {
	w.t.Helper()
	var kept []string
	for line := range strings.Lines(w.topText) {
		if !strings.HasPrefix(line, zone+". NS ") {
			kept = append(kept, line)
		}
	}
	w.topText = strings.Join(kept, "")
	for _, s := range servers {
		w.topText += fmt.Sprintf("%s. NS %s.\n", zone, s[0])
		if glue := s[0] + ". A " + s[1] + "\n"; s[1] != "" && !strings.Contains(w.topText, glue) {
			w.topText += glue
		}
	}
	w.top.SetZone("example", w.topText)
}

// hosted puts a zone on its name servers, hands it to them, and tells the resolver. Records of its NS set come with it.
func (w *tree) hosted(zone, records string, servers ...[2]string) {
	w.t.Helper()
	var lines []string
	for _, s := range servers {
		lines = append(lines, "@ NS "+s[0]+".")
		if strings.HasSuffix(s[0], "."+zone) {
			lines = append(lines, s[0]+". A "+s[1])
		}
	}
	text := "$TTL 60\n@ SOA ns x 1 60 60 60 60\n" + strings.Join(lines, "\n") + "\n" + records
	for _, s := range servers {
		if s[1] != "" {
			w.server(s[1]).SetZone(zone, text)
		}
	}
	w.hand(zone, servers...)
	w.dns.SetZone(zone, text)
}

// config is that of a server in this Internet; further tables follow it.
func (w *tree) config(resolvers ...string) string {
	servers := `"` + strings.Join(append([]string{w.dns.Addr()}, resolvers...), `", "`) + `"`
	return fmt.Sprintf("[resolver]\nservers = [%s]\nroots = [%q]\nport = %s\nallow = [\"127.0.0.0/8\"]\n[deliver]\nport = %s\nallow = [\"127.0.0.0/8\"]\n[receive]\ntrusted_networks = [\"127.0.0.0/8\"]\n",
		servers, net.JoinHostPort(treeRoot, w.dnsPort), w.dnsPort, w.port)
}
