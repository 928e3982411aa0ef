package dnsd

import (
	"github.com/prometheus/client_golang/prometheus"

	"postroad/internal/obs"
	"postroad/internal/service/dnsd/answer"
)

// meter is the service's metrics, their labels looked up beforehand.
type meter struct {
	transports [2]transport // UDP, TCP
	panics     prometheus.Counter
	zones      prometheus.Gauge
	streams    prometheus.Gauge
}

type transport struct {
	types                       []prometheus.Counter
	codes                       []prometheus.Counter // nil where there is no such code
	malformed, limited, slipped prometheus.Counter
	truncated                   prometheus.Counter
}

func newMeter(m *obs.Metrics) *meter {
	out := &meter{panics: m.DNSPanics, zones: m.DNSZones, streams: m.DNSConnections}
	for i, name := range []string{"udp", "tcp"} {
		t := &out.transports[i]
		for _, kind := range answer.TypeNames() {
			t.types = append(t.types, m.DNSQueries.WithLabelValues(name, kind))
		}
		for _, code := range answer.CodeNames() {
			var c prometheus.Counter
			if code != "" {
				c = m.DNSAnswers.WithLabelValues(name, code)
			}
			t.codes = append(t.codes, c)
		}
		t.malformed = m.DNSDropped.WithLabelValues(name, "malformed")
		t.limited = m.DNSDropped.WithLabelValues(name, "limited")
		t.truncated = m.DNSTruncated.WithLabelValues(name)
	}
	out.transports[0].slipped = m.DNSSlipped
	return out
}

// add takes over what a responder has counted.
func (t *transport) add(c *answer.Counts) {
	for i, n := range c.Types {
		addTo(t.types[i], n)
	}
	for i, n := range c.Codes {
		if n > 0 {
			t.codes[i].Add(float64(n))
		}
	}
	addTo(t.malformed, c.Dropped)
	addTo(t.limited, c.Limited)
	addTo(t.truncated, c.Truncated)
	addTo(t.slipped, c.Slipped)
	*c = answer.Counts{}
}

func addTo(c prometheus.Counter, n uint32) {
	if n > 0 {
		c.Add(float64(n))
	}
}
