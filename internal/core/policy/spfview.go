package policy

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"postroad/internal/proto/idna"
	"postroad/internal/proto/spf"
)

// SPFQuestion is what people ask of a domain's SPF record.
type SPFQuestion struct {
	// Domain is whose record is looked at; empty: that of Sender, or Helo.
	Domain string
	// Client is who sends; invalid: nobody, and only the record is looked at.
	Client netip.Addr
	// Helo and Sender are as in a session; without Sender it is postmaster of Domain.
	Helo, Sender string
}

// AskSPF makes a question of what people write; the error is a sentence.
func AskSPF(domain, ip, helo, sender string) (SPFQuestion, error) {
	q := SPFQuestion{Domain: domain, Helo: helo, Sender: sender}
	if ip != "" {
		a, err := netip.ParseAddr(ip)
		if err != nil || a.Zone() != "" {
			return q, fmt.Errorf("%q is no IP address", ip)
		}
		q.Client = a.Unmap()
	}
	for _, name := range []*string{&q.Domain, &q.Sender} {
		local, host, _ := strings.Cut(*name, "@")
		if host == "" {
			local, host = "", local
		} else {
			local += "@"
		}
		if ascii, err := idna.ToASCIIService(host); err == nil {
			*name = local + ascii
		}
	}
	return q, nil
}

// SPFView is a domain's record in plain words, with what each term of it costs.
type SPFView struct {
	Domain string `json:"domain"`
	// Result is the word of RFC 7208 for the client asked about; without one it is none, temperror or permerror where every
	// client gets that, else empty.
	Result string `json:"result,omitempty" doc:"For the client asked about; without one what every client gets, absent when that differs"`
	Record string `json:"record,omitempty" doc:"The SPF record as it stands in DNS"`
	// Match is the term that decided for the client.
	Match       string    `json:"match,omitempty" doc:"Term that decided for the client"`
	Explanation string    `json:"explanation,omitempty" doc:"What the domain says to those who fail"`
	Lookups     int       `json:"lookups" doc:"Look-ups: of the evaluation, or of the record at worst"`
	MaxLookups  int       `json:"max_lookups" doc:"Look-ups that are allowed (RFC 7208 §4.6.4)"`
	Voids       int       `json:"voids" doc:"Terms that ask for what does not exist"`
	MaxVoids    int       `json:"max_voids"`
	Problems    []string  `json:"problems" doc:"What is wrong, in sentences"`
	Terms       []SPFTerm `json:"terms" doc:"Terms in the order of evaluation"`
}

// SPFTerm is one mechanism or modifier with what it costs.
type SPFTerm struct {
	spf.Term
}

// ViewSPF looks at a domain's record: for a client, or for what it costs whoever sends.
func ViewSPF(ctx context.Context, dns DNS, q SPFQuestion) SPFView {
	sender := q.Sender
	domain := cmp.Or(q.Domain, sender[strings.LastIndexByte(sender, '@')+1:], q.Helo)
	if sender == "" && q.Domain != "" {
		sender = "postmaster@" + q.Domain
	}
	cost := spf.Survey(ctx, SPF(dns), domain)
	v := SPFView{
		Domain: cost.Domain, Result: string(cost.Result), Record: cost.Record, Lookups: cost.Lookups, Voids: cost.Voids,
		MaxLookups: spf.MaxLookups, MaxVoids: spf.MaxVoids, Problems: []string{}, Terms: []SPFTerm{},
	}
	for _, p := range cost.Problems {
		v.Problems = append(v.Problems, sentence(p))
	}
	terms := cost.Terms
	if q.Client.IsValid() {
		o := spf.Check(ctx, SPF(dns), spf.Query{Addr: q.Client, Helo: q.Helo, Sender: sender, At: time.Time{}})
		v.Domain, v.Result, v.Match, v.Explanation = o.Domain, string(o.Result), o.Mechanism, o.Explanation
		v.Lookups, v.Voids, terms = o.Lookups, o.Voids, o.Terms
		if o.Problem != "" && !strings.Contains(strings.Join(v.Problems, "\n"), sentence(o.Problem)) {
			v.Problems = append([]string{sentence(o.Problem)}, v.Problems...)
		}
	}
	for _, t := range terms {
		v.Terms = append(v.Terms, SPFTerm{t})
	}
	return v
}

// Lines are the view for people and for suites: the result alone on the first line, what it says of it indented.
func (v *SPFView) Lines() []string {
	out := []string{cmp.Or(v.Result, "usable")}
	say := func(format string, args ...any) { out = append(out, "  "+fmt.Sprintf(format, args...)) }
	if v.Record != "" {
		say("%s has the record %s", v.Domain, v.Record)
	}
	if v.Match != "" {
		say("decided by %s", v.Match)
	}
	if v.Explanation != "" {
		say("%s explains: %s", v.Domain, v.Explanation)
	}
	say("%d of %d look-ups, %d of %d for what does not exist", v.Lookups, v.MaxLookups, v.Voids, v.MaxVoids)
	for i := range v.Terms {
		t := &v.Terms[i]
		line := strings.Repeat("  ", t.Depth) + t.Text
		if t.Lookups > 0 {
			line += fmt.Sprintf("  costs %d", t.Lookups)
		}
		if t.Target != "" && !strings.HasSuffix(t.Text, t.Target) {
			line += ", asks for " + t.Target
		}
		if t.Found != "" {
			line += ": " + t.Found
		}
		if t.Match {
			line += "  <- decides"
		}
		say("  %s", line)
	}
	for _, p := range v.Problems {
		say("%s", p)
	}
	return out
}
