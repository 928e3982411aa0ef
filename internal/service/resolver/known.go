package resolver

import (
	"context"
	"net/netip"

	"github.com/miekg/dns"

	"postroad/internal/core/facts"
)

// Known answers by the cache alone: nobody is asked and nothing waits. What is not there, or has expired, is Temporary, as
// is a failure that is remembered.
type Known struct{ service *Service }

// Known gives what is known without asking.
func (s *Service) Known() Known { return Known{s} }

// MX gives the exchangers of a name, an A-label.
func (k Known) MX(_ context.Context, name string) facts.MXAnswer {
	name = plainName(name)
	return mxAnswer(name, k.lookUp(name, dns.TypeMX))
}

// TXT gives the texts of a name, an A-label.
func (k Known) TXT(_ context.Context, name string) facts.TXTAnswer {
	name = plainName(name)
	return txtAnswer(name, k.lookUp(name, dns.TypeTXT))
}

// Family gives the addresses of a host in one family.
func (k Known) Family(_ context.Context, host string, six bool) facts.AddrAnswer {
	name := plainName(host)
	return familyAnswer(name, k.lookUp(name, addressType(six)))
}

// Names gives the names that an address leads to.
func (k Known) Names(_ context.Context, addr netip.Addr) facts.NamesAnswer {
	name, ok := reverseName(addr)
	if !ok {
		return noReverse(addr)
	}
	return namesAnswer(addr, k.lookUp(name, dns.TypePTR))
}

// lookUp answers one question from the cache. Only what was asked for lies there, so that a name which nobody can have is
// looked at after it.
func (k Known) lookUp(name string, kind uint16) result {
	q := question{name, kind}
	if r, ok := k.service.cached(q); ok {
		k.service.counts.hits.Add(1)
		return r
	}
	if r, ok := unasked(q); ok {
		return r
	}
	return result{outcome: temporary("not known")}
}
