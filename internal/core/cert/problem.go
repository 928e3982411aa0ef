package cert

import "strings"

// Problem is what keeps a certificate from being given.
type Problem string

// The problems.
const (
	NoAddress   Problem = "no-address"   // the name does not exist, or has no address
	Elsewhere   Problem = "elsewhere"    // the name points to somebody else
	DNSFails    Problem = "dns-fails"    // DNS does not answer for now
	CAAForbids  Problem = "caa-forbids"  // CAA records let others issue, and not this authority (RFC 8659)
	NoWay       Problem = "no-way"       // nothing that the authority would look at is served here
	Unreachable Problem = "unreachable"  // the authority did not reach us
	WrongAnswer Problem = "wrong-answer" // the authority reached somebody who does not know its question
	RateLimited Problem = "rate-limited" // the authority wants to be left alone for a while
	NotIssued   Problem = "not-issued"   // the authority gives no certificates for such a name
	Account     Problem = "account"      // the authority does not take our account
	Authority   Problem = "authority"    // the authority itself is not reached, or has a fault
	Unusable    Problem = "unusable"     // what the authority gave is no certificate for the name
	Failed      Problem = "failed"       // something here went wrong
)

// Remedy says in plain words what to do. addresses are those of this server, authority is the name that CAA records know
// the certificate authority by; either may be missing.
func (p Problem) Remedy(name, authority string, addresses []string) string {
	here := "this server"
	if len(addresses) > 0 {
		here = strings.Join(addresses, ", ")
	}
	switch p {
	case NoAddress:
		return "Give " + name + " an A or AAAA record with the address of " + here + ". It is looked at again by itself."
	case Elsewhere:
		return "Have all A and AAAA records of " + name + " name " + here + ", or remove the certificate of this name. It is looked at again by itself."
	case DNSFails:
		return "See that the name servers of " + name + " answer. It is looked at again by itself."
	case CAAForbids:
		if authority == "" {
			authority = "the authority's name"
		}
		return `Add the record CAA 0 issue "` + authority + `" at the name or the domain whose CAA records forbid it.`
	case NoWay:
		return "The operator has to open port 80 ([listen] http) or port 443 ([listen] https) to the world, or the domain's zone has to be hosted here (acme.challenges)."
	case Unreachable:
		return "See that port 80 (for http-01) or port 443 (for tls-alpn-01) of " + name + " can be reached from everywhere, by IPv4 and IPv6 where it has both."
	case WrongAnswer:
		return "See that port 80 and port 443 of " + name + " lead to Postroad, and to no other server or proxy, and that every address of the name does."
	case RateLimited:
		return "Nothing: it is asked again when the authority allows it."
	case NotIssued:
		return "This authority gives no certificate for this name: remove it, or use another authority (acme.directory)."
	case Account:
		return "The operator has to see to the account at the authority: acme.email and acme.directory, and acme.eab_key_id with acme.eab_key where the authority wants to know a customer."
	case Authority:
		return "Nothing, if it passes; else see that this server reaches the authority (acme.directory)."
	case Unusable:
		return "The operator has to look at the authority (acme.directory): it gave something that cannot be used."
	case Failed:
		return "Look into the log of the server."
	}
	return ""
}
