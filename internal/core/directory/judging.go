package directory

import (
	"net/netip"
	"strings"
)

// JudgeMode says what is done with what is found out about strangers' mail.
type JudgeMode string

// The modes. The zero value is enforce.
const (
	JudgeEnforce JudgeMode = "enforce" // mail is refused or put aside as its author's domain asks
	JudgeNote    JudgeMode = "note"    // it is written above the message and in its trace, and nothing else
	JudgeOff     JudgeMode = "off"     // nothing is found out
)

// Severity is what is done with mail of one kind.
type Severity string

// The severities of a failed SPF check, and of checks that cannot be made. The zero value is accept.
const (
	SeverityAccept     Severity = "accept"
	SeverityQuarantine Severity = "quarantine" // it goes to the folder for junk
	SeverityReject     Severity = "reject"     // refused for good
	SeverityDefer      Severity = "450"        // refused for now
)

// Judging says how mail from strangers is judged for a domain. The zero value is the default.
type Judging struct {
	Mode      JudgeMode
	SPFFail   Severity // accept, quarantine or reject: SPF says that the sender may not, and DMARC does not stand for it
	Unchecked Severity // accept or 450: DNS does not say for now whether the mail would be refused
}

// Effective fills in the defaults.
func (j Judging) Effective() Judging {
	if j.Mode == "" {
		j.Mode = JudgeEnforce
	}
	if j.SPFFail == "" {
		j.SPFFail = SeverityAccept
	}
	if j.Unchecked == "" {
		j.Unchecked = SeverityAccept
	}
	return j
}

// Forwarder is a server of the customer that forwards mail to us: a host by name, or an address or network.
type Forwarder struct {
	Name    string       // A-label, lower case; empty for a network
	Network netip.Prefix // invalid for a name
}

// String is the forwarder as people name it: a single address without its length.
func (f Forwarder) String() string {
	switch {
	case f.Name != "":
		return f.Name
	case f.Network.IsSingleIP():
		return f.Network.Addr().String()
	}
	return f.Network.String()
}

// Is reports whether a client is the forwarder: by its address, or by one of its names that lead from the address to the
// name and back (forward-confirmed). What a client calls itself is no name.
func (f Forwarder) Is(client netip.Addr, confirmed []string) bool {
	if f.Name == "" {
		return f.Network.Contains(client.Unmap())
	}
	for _, name := range confirmed {
		if strings.EqualFold(strings.TrimSuffix(name, "."), f.Name) {
			return true
		}
	}
	return false
}

// Trusts finds the trusted forwarder that a client is; confirmed are its forward-confirmed names.
func (d *Domain) Trusts(client netip.Addr, confirmed []string) (Forwarder, bool) {
	for _, f := range d.Forwarders {
		if f.Is(client, confirmed) {
			return f, true
		}
	}
	return Forwarder{}, false
}

// Filters reports whether a client is one of the domain's gateways.
func (d *Domain) Filters(client netip.Addr) bool { return len(d.Gateways) > 0 && d.Admits(client) }
