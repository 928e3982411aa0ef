package cert_test

import (
	"slices"
	"testing"
	"time"

	"postroad/internal/core/cert"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// lasting is a certificate that began at begin.
func lasting(d time.Duration) cert.Certificate {
	return cert.Certificate{Name: cert.Name{Name: "mail.example.net", Source: cert.Added}, Status: cert.Status{NotBefore: begin, NotAfter: begin.Add(d), Tried: begin}}
}

func TestACertificateIsRenewedWhenAThirdIsLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		life, due, alarm time.Duration
	}{
		{90 * day, 60 * day, 76 * day},
		{47 * day, 47 * day * 2 / 3, 47*day - 47*day/4},
		{6 * day, 4 * day, 6*day - 36*time.Hour},
	} {
		x := lasting(c.life)
		if x.Due(begin.Add(c.due-time.Minute)) || !x.Due(begin.Add(c.due)) {
			t.Errorf("of a life of %s: due at %s", c.life, x.RenewAt().Sub(begin))
		}
		if x.Expiring(begin.Add(c.alarm)) || !x.Expiring(begin.Add(c.alarm+time.Minute)) {
			t.Errorf("of a life of %s: the alarm is %s before its end", c.life, x.Alarm())
		}
		if !x.There(begin.Add(c.life-1)) || x.There(begin.Add(c.life)) {
			t.Errorf("of a life of %s: it holds until %s", c.life, x.NotAfter.Sub(begin))
		}
	}
}

func TestWhatIsDue(t *testing.T) {
	t.Parallel()
	now := begin.Add(day)
	fresh := cert.Certificate{Name: cert.Name{Source: cert.Server}}
	waits := fresh
	waits.Next = now.Add(time.Minute)
	asked := lasting(90 * day)
	asked.Asked = now
	refused := cert.Certificate{Name: cert.Name{Source: cert.Refused}}
	for name, c := range map[string]struct {
		c   cert.Certificate
		due bool
	}{
		"a new name":                 {fresh, true},
		"one that failed just now":   {waits, false},
		"one that is there":          {lasting(90 * day), false},
		"one that a person asks for": {asked, true},
		"one that is not wanted":     {refused, false},
	} {
		if c.c.Due(now) != c.due {
			t.Errorf("%s: due is %v", name, !c.due)
		}
	}
}

func TestWaitsGrow(t *testing.T) {
	t.Parallel()
	waits := func(asked bool) []time.Duration {
		var s cert.Status
		var out []time.Duration
		for range 8 {
			s = s.Failed(cert.WrongAnswer, "no", asked, begin, time.Time{})
			out = append(out, s.Next.Sub(begin))
		}
		return out
	}
	if want := []time.Duration{15 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, day, day}; !slices.Equal(waits(true), want) {
		t.Errorf("after asking the authority: %v", waits(true))
	}
	if want := []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute, 320 * time.Minute, 320 * time.Minute, 320 * time.Minute}; !slices.Equal(waits(false), want) {
		t.Errorf("after a look at DNS: %v", waits(false))
	}
	limited := (cert.Status{Failures: 5}).Failed(cert.RateLimited, "", true, begin, begin.Add(2*time.Hour))
	if limited.Next.Sub(begin) != 2*time.Hour {
		t.Errorf("where the authority says until when: %s", limited.Next.Sub(begin))
	}
	later := (cert.Status{}).Failed(cert.Authority, "", true, begin, begin.Add(2*time.Hour))
	if later.Next.Sub(begin) != 2*time.Hour {
		t.Errorf("where the authority wants to be left alone: %s", later.Next.Sub(begin))
	}
}

func TestWhomCAARecordsPermit(t *testing.T) {
	t.Parallel()
	us := []string{"ca.example", "other.example"}
	for name, c := range map[string]struct {
		records []cert.CAA
		ok      bool
	}{
		"nothing about names":       {[]cert.CAA{{Tag: "iodef", Value: "mailto:x@example.net"}}, true},
		"us":                        {[]cert.CAA{{Tag: "issue", Value: "CA.example"}}, true},
		"us with a parameter":       {[]cert.CAA{{Tag: "issue", Value: " other.example ; validationmethods=dns-01"}}, true},
		"others":                    {[]cert.CAA{{Tag: "issue", Value: "somebody.example"}}, false},
		"others and us":             {[]cert.CAA{{Tag: "issue", Value: "somebody.example"}, {Tag: "issue", Value: "ca.example"}}, true},
		"nobody":                    {[]cert.CAA{{Tag: "issue", Value: ";"}}, false},
		"wildcards only":            {[]cert.CAA{{Tag: "issuewild", Value: "somebody.example"}}, true},
		"what nobody knows":         {[]cert.CAA{{Tag: "issue", Value: "ca.example"}, {Tag: "new", Critical: true}}, false},
		"what nobody needs to know": {[]cert.CAA{{Tag: "issue", Value: "ca.example"}, {Tag: "new"}}, true},
	} {
		if ok, _ := cert.Permits(c.records, us); ok != c.ok {
			t.Errorf("%s: permitted is %v", name, ok)
		}
	}
	if _, others := cert.Permits([]cert.CAA{{Tag: "issue", Value: "a.example"}, {Tag: "issue", Value: "b.example; x=y"}}, us); !slices.Equal(others, []string{"a.example", "b.example"}) {
		t.Errorf("others are %q", others)
	}
}

func TestCAARecordsAreRead(t *testing.T) {
	t.Parallel()
	c, ok := cert.ReadCAA(append([]byte{128, 5}, "ISSUEca.example"...))
	if want := (cert.CAA{Critical: true, Tag: "issue", Value: "ca.example"}); !ok || c != want {
		t.Errorf("read %+v", c)
	}
	for _, bad := range [][]byte{nil, {0}, {0, 0}, {0, 5, 'i'}} {
		if _, ok := cert.ReadCAA(bad); ok {
			t.Errorf("% x was read", bad)
		}
	}
}

func TestNamesUnderADomain(t *testing.T) {
	t.Parallel()
	for name, under := range map[string]bool{"example.net": true, "a.example.net": true, "badexample.net": false, "net": false} {
		if cert.Under(name, "example.net") != under {
			t.Errorf("%s under example.net: %v", name, !under)
		}
	}
}

// RFC 9773 §4.3.
func TestACertificateIsRenewedWhenItsAuthorityWouldLikeThat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, until        time.Duration // of the window, from the beginning of a life of 90 days
		earliest, latest   time.Duration // of the renewal
		due, afterFourDays bool          // a day after it came
	}{
		"a window later on":            {58 * day, 60 * day, 58 * day, 60 * day, false, false},
		"one that has passed":          {-day, -time.Hour, 6 * time.Hour, 6 * time.Hour, true, true},
		"one that is open":             {2 * day, 4 * day, 2 * day, 4 * day, false, true},
		"one when people are told":     {85 * day, 89 * day, 76*day - 84*time.Hour, 76*day - 84*time.Hour, false, false},
		"one behind the end":           {100 * day, 200 * day, 72 * day, 73 * day, false, false},
		"one that is as long as a era": {-1000 * day, 80000 * day, 6 * time.Hour, 73 * day, false, false},
	} {
		x := lasting(90 * day)
		x.Given = begin
		x.Advice = cert.Advice{From: begin.Add(c.from), Until: begin.Add(c.until)}
		at := x.RenewAt().Sub(begin)
		if at < c.earliest || at > c.latest {
			t.Errorf("%s: renewed after %s", name, at)
		}
		if name != "one that is as long as a era" && (x.Due(begin.Add(day)) != c.due || x.Due(begin.Add(4*day)) != c.afterFourDays) {
			t.Errorf("%s: renewed after %s", name, at)
		}
	}
	times := map[time.Duration]bool{}
	for i := range 50 {
		x := lasting(90 * day)
		x.Given = begin.Add(time.Duration(i) * time.Second)
		x.Advice = cert.Advice{From: begin.Add(50 * day), Until: begin.Add(60 * day)}
		times[x.RenewAt().Sub(begin).Truncate(day)] = true
		if again := x; !again.RenewAt().Equal(x.RenewAt()) {
			t.Error("the time in the window is another one for each who looks")
		}
	}
	if len(times) < 8 {
		t.Errorf("many certificates are renewed on %d days of ten", len(times))
	}
	short := lasting(6 * day)
	short.Given, short.Advice = begin, cert.Advice{From: begin.Add(-day), Until: begin}
	if at := short.RenewAt().Sub(begin); at != 6*time.Hour {
		t.Errorf("a short life is renewed after %s", at)
	}
}
