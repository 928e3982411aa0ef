package lookup

import (
	"net/netip"
	"slices"
	"strings"

	"postroad/internal/core/facts"
	"postroad/internal/core/finding"
	"postroad/internal/service/control/words"
)

// Verdict says whether DNS is right for a domain's mail. Its steps stand in the order in which causes are looked for; the
// first that is wrong ends it.
type DNSVerdict struct {
	Right    string    `json:"right" doc:"yes, no, or unknown when somebody did not answer"`
	Sentence string    `json:"sentence"`
	Steps    []DNSStep `json:"steps" nullable:"false"`
}

// DNSStep is one thing that was looked at.
type DNSStep struct {
	Step     string       `json:"step" doc:"mx, name or address"`
	Right    string       `json:"right" doc:"yes, no or unknown"`
	Sentence string       `json:"sentence"`
	Finding  finding.Name `json:"finding,omitempty"`
}

// The outcomes of a step.
const (
	yes     = "yes"
	no      = "no"
	unknown = "unknown"
)

// judge looks first for MX records, then at their names, then at the addresses of these.
func (l *Access) judge(out *Found, asked *facts.Answer, h Home) *DNSVerdict {
	v := &DNSVerdict{Right: yes, Steps: []DNSStep{}}
	for _, step := range []func() DNSStep{
		func() DNSStep { return mxStep(out, asked) },
		func() DNSStep { return nameStep(out, h) },
		func() DNSStep { return l.addressStep(out, h) },
	} {
		s := step()
		v.Steps = append(v.Steps, s)
		if s.Right != yes {
			v.Right = s.Right
			break
		}
	}
	switch name := words.Show(out.Name); {
	case v.Right == no:
		v.Sentence = "DNS is not right for mail to " + name + ": mend this first."
	case v.Right == unknown:
		v.Sentence = "Whether DNS is right for mail to " + name + " could not be learned just now."
	case h.Here:
		v.Sentence = "DNS is right. If mail does not arrive, look at how mail for " + name + " is set up here: postroad explain tells what would happen to it."
	default:
		v.Sentence = "DNS is right. If mail does not arrive, the server that gets it is the place to look."
	}
	return v
}

func mxStep(out *Found, asked *facts.Answer) DNSStep {
	s := DNSStep{Step: "mx", Right: no}
	switch {
	case asked.Status == facts.Temporary:
		s.Right, s.Sentence = unknown, "The MX records could not be learned: "+asked.Detail+"."
	case asked.Status == facts.NXDomain:
		s.Sentence = "The domain does not exist: " + asked.Detail + "."
	case out.NullMX:
		s.Finding, s.Sentence = finding.NullMX, finding.NullMX.Sentence()
	case asked.Status == facts.NoData || len(out.Exchangers) == 0:
		s.Finding, s.Sentence = finding.MXNone, finding.MXNone.Sentence()
	default:
		s.Right, s.Sentence = yes, words.Plural(int64(len(out.Exchangers)), "MX record is", "MX records are")+" there."
	}
	return s
}

func nameStep(out *Found, h Home) DNSStep {
	s := DNSStep{Step: "name", Right: yes}
	var good []string
	for _, e := range out.Exchangers {
		switch {
		case e.Fault != "":
			return DNSStep{Step: "name", Right: no, Finding: e.Fault, Sentence: quoted(e.Host) + ": " + e.Fault.Sentence()}
		case e.Status == facts.Temporary.String():
			s = DNSStep{Step: "name", Right: unknown, Sentence: "The addresses of " + quoted(e.Host) + " could not be learned."}
		}
		good = append(good, e.Host)
	}
	if s.Right == unknown {
		return s
	}
	if h.Local && len(h.Hosts) > 0 && !slices.ContainsFunc(best(out), func(e LookedUpExchanger) bool { return slices.Contains(h.Hosts, e.Host) }) {
		s.Right, s.Sentence = no, "The best exchanger is "+strings.Join(hosts(best(out)), ", ")+"; for this domain it is to be "+strings.Join(h.Hosts, " or ")+"."
		return s
	}
	s.Sentence = "Each of them names a host that exists: " + strings.Join(good, ", ") + "."
	return s
}

func (l *Access) addressStep(out *Found, h Home) DNSStep {
	s := DNSStep{Step: "address", Right: yes}
	var all []string
	for _, e := range out.Exchangers {
		for _, text := range e.Addresses {
			if a, err := netip.ParseAddr(text); err == nil && !e.Ours && l.Resolver.Barred(a) != "" {
				s.Right, s.Sentence = no, e.Host+" has the address "+text+", which nobody on the public Internet reaches."
				return s
			}
		}
		all = append(all, e.Host+" at "+strings.Join(e.Addresses, ", "))
	}
	if h.Local && !slices.ContainsFunc(best(out), func(e LookedUpExchanger) bool { return e.Ours }) {
		s.Right, s.Sentence = no, "The domain's mail is delivered here, and its best exchanger is another server: "+all[0]+"."
		return s
	}
	s.Sentence = strings.Join(all, "; ") + "."
	if h.Local {
		s.Sentence = "The best exchanger is this installation: " + s.Sentence
	}
	return s
}

// best are the exchangers with the lowest number.
func best(out *Found) []LookedUpExchanger {
	var list []LookedUpExchanger
	for _, e := range out.Exchangers {
		if e.Preference == out.Exchangers[0].Preference {
			list = append(list, e)
		}
	}
	return list
}

func hosts(list []LookedUpExchanger) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.Host)
	}
	return out
}

func quoted(host string) string {
	if host == "" {
		return "\".\""
	}
	return host
}
