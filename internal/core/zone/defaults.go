package zone

import (
	"fmt"

	"postroad/internal/core/account"
	"postroad/internal/proto/dns"
)

// The times of a new zone's SOA record, in seconds: secondaries look every two hours, try again after a quarter of one, and
// answer for two weeks without us (RFC 1912 §2.2); that a name does not exist is remembered for five minutes (RFC 2308
// §5), so that what is added is soon seen.
const (
	soaRefresh = 7200
	soaRetry   = 900
	soaExpire  = 1209600
	soaMinimum = 300
)

// Fresh gives a new zone with all that it needs to be delegated and to take mail: SOA, NS, and by the set that its
// domain follows MX and SPF. The set may be nil. At least one name server must be given; the first is the primary.
func Fresh(domain string, owner account.ID, servers []string, set *ExchangerSet, serial uint32) (Zone, error) {
	z := Zone{Domain: domain, Account: owner, Serial: serial}
	soa := SOA{
		MName: absolute(servers[0]), RName: "hostmaster." + z.Apex(), Serial: serial,
		Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minimum: soaMinimum,
	}
	r, err := soa.Record(z.Apex(), DefaultTTL)
	if err != nil { // no room for the label before a name of full length
		soa.RName = z.Apex()
		if r, err = soa.Record(z.Apex(), DefaultTTL); err != nil {
			return Zone{}, err
		}
	}
	z.Records = []dns.Record{r}
	if z, err = z.WithNameServers(servers); err != nil || set == nil {
		return z, err
	}
	if z, err = z.WithExchangers(z.Apex(), set.Exchangers); err != nil {
		return z, err
	}
	if set.SPF != "" {
		z = z.WithSPF(set.SPF)
	}
	return z, nil
}

// AsPending is what is answered of a zone before its domain's ownership is shown: its SOA record, and these name servers in
// the place of its own. Whoever adds a domain that is none of his must not lead the world to servers that he names: they are the
// operator's, or names that are shown to be the account's while nobody is led here yet.
func (z *Zone) AsPending(servers []string) (Zone, error) {
	out := Zone{Domain: z.Domain, Account: z.Account, Serial: z.Serial, Pending: true}
	soa, at := SOARecord(z.Records, z.Apex())
	if at < 0 {
		return Zone{}, fmt.Errorf("the zone %s has no SOA record", z.Domain)
	}
	out.Records = []dns.Record{soa}
	return out.WithNameServers(servers)
}
