package policy

import (
	"strconv"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/proto/authres"
	"postroad/internal/proto/dkim"
	"postroad/internal/proto/dmarc"
	"postroad/internal/proto/spf"
)

// Limits of the field that is written: it shares mail.MaxHead with others.
const (
	maxResults = 6 << 10 // octets
	maxAuthors = 3       // author domains that have a result of their own
	maxComment = 200     // octets of a comment
)

// noAnswer is the comment of what could not be looked up. The cause may name servers inside; the trace has it.
const noAnswer = "no answer from DNS"

// Results gives the Authentication-Results field (RFC 8601) for a recipient, by the name id; nil where nothing was checked.
func Results(id string, e *Evidence, j directory.Judging, t Trust, v *Verdict) []byte {
	if j.Effective().Mode == directory.JudgeOff {
		return nil
	}
	r := authres.Results{ID: id, Methods: append(make([]authres.Method, 0, 3+len(e.DKIM)), spfResult(e, t))}
	for i := range e.DKIM {
		r.Methods = append(r.Methods, dkimResult(&e.DKIM[i]))
	}
	if len(e.DKIM) == 0 {
		r.Methods = append(r.Methods, authres.Method{Name: "dkim", Result: "none"})
	}
	for i := range e.Authors[:min(len(e.Authors), maxAuthors)] {
		r.Methods = append(r.Methods, dmarcResult(&e.Authors[i], t, v))
	}
	if len(e.Authors) == 0 {
		m := authres.Method{Name: "dmarc", Result: "none"}
		if e.AuthorProblem != "" {
			m.Result, m.Comment = "permerror", comment(e.AuthorProblem)
		}
		r.Methods = append(r.Methods, m)
	}
	for {
		b := r.AppendTo(nil)
		if len(b) <= maxResults || len(r.Methods) == 1 {
			return b
		}
		// What matters most stands at both ends.
		middle := len(r.Methods) / 2
		r.Methods = append(r.Methods[:middle], r.Methods[middle+1:]...)
	}
}

func spfResult(e *Evidence, t Trust) authres.Method {
	m := authres.Method{Name: "spf", Result: string(e.SPF.Result)}
	if m.Result == "" {
		m.Result = string(spf.None)
	}
	switch {
	case t.Relation != Stranger && t.Known:
		m.Reason = "judged at the hop before " + t.Name
	case t.Relation != Stranger:
		m.Reason = "not judged at the hop before " + t.Name + ": " + t.Problem
	}
	switch e.SPF.Result {
	case spf.Fail, spf.SoftFail, spf.Pass, spf.Neutral:
		m.Comment = e.SPF.Mechanism
	case spf.None, spf.PermError:
		m.Comment = e.SPF.Problem
	case spf.TempError:
		m.Comment = noAnswer
	}
	m.Comment = comment(m.Comment)
	if e.Sender != "" {
		m.Properties = append(m.Properties, authres.Property{Type: "smtp", Name: "mailfrom", Value: e.Sender})
	} else {
		m.Properties = append(m.Properties, authres.Property{Type: "smtp", Name: "helo", Value: e.Helo})
	}
	if e.Client.IsValid() {
		m.Properties = append(m.Properties, authres.Property{Type: "smtp", Name: "remote-ip", Value: e.Client.String()})
	}
	return m
}

func dkimResult(r *dkim.Result) authres.Method {
	m := authres.Method{Name: "dkim", Result: string(r.Word)}
	switch r.Word {
	case dkim.Pass:
	case dkim.TempError:
		m.Comment = noAnswer
	default:
		m.Comment = comment(r.Reason)
	}
	m.Properties = []authres.Property{
		{Type: "header", Name: "d", Value: r.Domain},
		{Type: "header", Name: "s", Value: r.Selector},
		{Type: "header", Name: "a", Value: string(r.Algorithm)},
		{Type: "header", Name: "b", Value: r.Value}, // RFC 6008
	}
	return m
}

func dmarcResult(o *dmarc.Outcome, t Trust, v *Verdict) authres.Method {
	m := authres.Method{Name: "dmarc", Result: string(o.Result)}
	switch o.Result {
	case dmarc.Fail:
		m.Reason = v.Override
	case dmarc.Pass:
		if o.By.Method == dmarc.SPF {
			m.Reason = v.Override
		}
	case dmarc.None, dmarc.PermError:
		m.Comment = comment(o.Problem)
	case dmarc.TempError:
		m.Comment = noAnswer
	}
	if m.Reason != "" && t.Relation != Stranger {
		m.Reason = "type=" + string(t.Relation) + ": " + m.Reason
	}
	m.Properties = []authres.Property{{Type: "header", Name: "from", Value: o.Domain}}
	if o.Record != nil {
		m.Properties = append(m.Properties, authres.Property{Type: "polrec", Name: "p", Value: string(o.Record.P)})
		if o.At != o.Domain {
			m.Properties = append(m.Properties, authres.Property{Type: "polrec", Name: "domain", Value: o.At})
		}
	}
	return m
}

// comment makes a text fit to stand in parentheses.
func comment(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '(' || r == ')' || r == '\\':
			return '/'
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), maxComment)]
}

// Check is what one check said, as traces keep it.
type Check struct {
	Method   string // spf, dkim or dmarc
	Result   string // its word
	Sentence string
}

// Checks tells of each check with its facts.
func Checks(e *Evidence, t Trust) []Check {
	out := append(make([]Check, 0, 3+len(e.DKIM)), spfCheck(e, t))
	for i := range e.DKIM {
		r := &e.DKIM[i]
		key := ""
		if r.Domain != "" {
			key = " for " + r.Domain + ", key " + r.Selector
		}
		out = append(out, Check{Method: "dkim", Result: string(r.Word), Sentence: sentence("DKIM " + string(r.Word) + key + ": " + r.Reason)})
	}
	if len(e.DKIM) == 0 {
		out = append(out, Check{Method: "dkim", Result: "none", Sentence: "There is no DKIM signature."})
	}
	for i := range e.Authors {
		out = append(out, dmarcCheck(&e.Authors[i]))
	}
	if e.AuthorProblem != "" {
		out = append(out, Check{Method: "dmarc", Result: "permerror", Sentence: sentence(e.AuthorProblem)})
	}
	return out
}

func spfCheck(e *Evidence, t Trust) Check {
	text := "SPF " + string(e.SPF.Result)
	if e.SPF.Domain != "" {
		text += " for " + e.SPF.Domain + " from " + e.Client.String()
	}
	if t.Relation != Stranger && t.Known {
		text += ", who brought it to " + t.Name
	}
	switch {
	case e.SPF.Problem != "":
		text += ": " + e.SPF.Problem
	case e.SPF.Mechanism != "":
		text += ", by " + e.SPF.Mechanism
	}
	if e.SPF.Lookups > 0 {
		text += " (" + strconv.Itoa(e.SPF.Lookups) + " of " + strconv.Itoa(spf.MaxLookups) + " look-ups)"
	}
	return Check{Method: "spf", Result: string(e.SPF.Result), Sentence: sentence(text)}
}

func dmarcCheck(o *dmarc.Outcome) Check {
	text := "DMARC " + string(o.Result) + " for " + o.Domain
	switch {
	case o.Problem != "":
		text += ": " + o.Problem
	case o.Result == dmarc.Pass:
		text += ", by " + strings.ToUpper(string(o.By.Method)) + " of " + o.By.Domain
	case o.Record != nil:
		text += ": " + o.Tag + "=" + string(o.Policy)
		if o.Applied != o.Policy {
			text += ", tested, so that " + string(o.Applied) + " is applied"
		}
	}
	if o.Record != nil && o.At != o.Domain {
		text += ", by the record of " + o.At
	}
	return Check{Method: "dmarc", Result: string(o.Result), Sentence: sentence(text)}
}
