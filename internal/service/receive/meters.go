package receive

import (
	"postroad/internal/obs"
	"postroad/internal/proto/smtp"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are the metrics of this service, with those that every command touches at hand.
type meters struct {
	*obs.Metrics
	replies [6]prometheus.Counter // by first digit
}

func newMeters(m *obs.Metrics) *meters {
	if m == nil {
		m = obs.NewMetrics()
	}
	out := &meters{Metrics: m}
	for i, class := range []string{"0", "1", "2", "3", "4", "5"} {
		if i >= 2 {
			out.replies[i] = m.SMTPReplies.WithLabelValues(class)
		}
	}
	return out
}

// reply counts a reply that is sent.
func (m *meters) reply(r smtp.Reply) {
	if class := r.Code / 100; class >= 2 && class <= 5 {
		m.replies[class].Inc()
	}
}
