package obs

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Kind is the kind of a metric.
type Kind string

// The kinds.
const (
	Counter   Kind = "counter"   // only grows
	Gauge     Kind = "gauge"     // a state
	Histogram Kind = "histogram" // durations in seconds, sizes in octets, counts
)

// Definition is one metric as it is documented.
type Definition struct {
	Name    string
	Kind    Kind
	Labels  []string
	Help    string // unit included; one sentence
	buckets []float64
}

// Metrics is every metric of the program. Fields may be used by any goroutine. Vectors with the labels in the order
// of Definitions.
type Metrics struct {
	registry *prometheus.Registry

	BuildInfo *prometheus.GaugeVec

	SMTPSessions        *prometheus.GaugeVec
	SMTPSessionsTotal   *prometheus.CounterVec
	SMTPSessionsRefused *prometheus.CounterVec
	SMTPReplies         *prometheus.CounterVec
	SMTPTLSHandshakes   *prometheus.CounterVec
	SMTPLogins          *prometheus.CounterVec
	SMTPPanics          prometheus.Counter

	IMAPSessions        *prometheus.GaugeVec
	IMAPSessionsTotal   *prometheus.CounterVec
	IMAPSessionsRefused *prometheus.CounterVec
	IMAPCommands        *prometheus.CounterVec
	IMAPTLSHandshakes   *prometheus.CounterVec
	IMAPLogins          *prometheus.CounterVec
	IMAPPanics          prometheus.Counter

	MessagesReceived *prometheus.CounterVec
	BytesReceived    *prometheus.CounterVec
	MessagesRefused  *prometheus.CounterVec
	AcceptSeconds    prometheus.Histogram
	DecisionsByClass *prometheus.CounterVec

	JudgeResults *prometheus.CounterVec
	JudgeActions *prometheus.CounterVec
	JudgeSeconds prometheus.Histogram

	ForwardProbes *prometheus.CounterVec

	QueueMessages   prometheus.Gauge
	QueueRecipients prometheus.Gauge
	QueueDue        prometheus.Gauge
	QueueHeld       prometheus.Gauge
	QueueLanes      prometheus.Gauge
	QueueOutcomes   *prometheus.CounterVec
	QueueReports    *prometheus.CounterVec
	LanesDown       *prometheus.CounterVec

	DeliverConnections *prometheus.GaugeVec
	DeliverDials       *prometheus.CounterVec
	DeliverSeconds     *prometheus.HistogramVec

	DNSQueries     *prometheus.CounterVec
	DNSAnswers     *prometheus.CounterVec
	DNSDropped     *prometheus.CounterVec
	DNSTruncated   *prometheus.CounterVec
	DNSSlipped     prometheus.Counter
	DNSZones       prometheus.Gauge
	DNSConnections prometheus.Gauge
	DNSPanics      prometheus.Counter

	VerifyProbes *prometheus.CounterVec
	VerifySyncs  *prometheus.CounterVec

	MailboxDeliveries *prometheus.CounterVec
	MailboxBytes      prometheus.Counter

	StoreFreeBytes prometheus.Gauge
	TraceDropped   *prometheus.CounterVec

	ControlChanges *prometheus.CounterVec
	ControlVersion prometheus.Gauge

	DNSTransfers   *prometheus.CounterVec
	DNSNotifies    *prometheus.CounterVec
	SignerZones    prometheus.Gauge
	SignerFailures prometheus.Counter
	SignerClockOff prometheus.Gauge

	Certificates    *prometheus.GaugeVec
	CertificateDays *prometheus.GaugeVec

	APIRequests *prometheus.CounterVec
	APISeconds  *prometheus.HistogramVec
}

func fast() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}
}

func slow() []float64 {
	return []float64{.001, .005, .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 600}
}

// Definitions is the table of all metrics, in the order of the reference page.
func Definitions() []Definition {
	return []Definition{
		{Name: "postroad_build_info", Kind: Gauge, Labels: []string{"version"}, Help: "Always 1; the label is the program's version."},

		{Name: "postroad_smtp_sessions", Kind: Gauge, Labels: []string{"listener"}, Help: "SMTP sessions that are open."},
		{Name: "postroad_smtp_sessions_total", Kind: Counter, Labels: []string{"listener"}, Help: "SMTP sessions begun."},
		{Name: "postroad_smtp_sessions_refused_total", Kind: Counter, Labels: []string{"listener", "reason"}, Help: "Connections turned away before or instead of a greeting."},
		{Name: "postroad_smtp_replies_total", Kind: Counter, Labels: []string{"class"}, Help: "Replies sent, by first digit: 2, 3, 4 or 5."},
		{Name: "postroad_smtp_tls_handshakes_total", Kind: Counter, Labels: []string{"result"}, Help: "TLS handshakes with clients: ok or failed."},
		{Name: "postroad_smtp_logins_total", Kind: Counter, Labels: []string{"mechanism", "result"}, Help: "AUTH attempts: ok, failed or busy."},
		{Name: "postroad_smtp_panics_total", Kind: Counter, Help: "Sessions ended by a fault in the program; anything but 0 deserves a report."},

		{Name: "postroad_imap_sessions", Kind: Gauge, Labels: []string{"listener"}, Help: "IMAP sessions that are open."},
		{Name: "postroad_imap_sessions_total", Kind: Counter, Labels: []string{"listener"}, Help: "IMAP sessions begun."},
		{Name: "postroad_imap_sessions_refused_total", Kind: Counter, Labels: []string{"listener", "reason"}, Help: "IMAP connections turned away: limit or stopping."},
		{Name: "postroad_imap_commands_total", Kind: Counter, Labels: []string{"command"}, Help: "IMAP commands that were understood."},
		{Name: "postroad_imap_tls_handshakes_total", Kind: Counter, Labels: []string{"result"}, Help: "TLS handshakes of IMAP clients: ok or failed."},
		{Name: "postroad_imap_logins_total", Kind: Counter, Labels: []string{"mechanism", "result"}, Help: "IMAP logins: ok, failed, busy, or limit (too many sessions of one mailbox)."},
		{Name: "postroad_imap_panics_total", Kind: Counter, Help: "IMAP sessions ended by a fault in the program; anything but 0 deserves a report."},

		{Name: "postroad_messages_received_total", Kind: Counter, Labels: []string{"listener"}, Help: "Messages acknowledged with 250."},
		{Name: "postroad_received_bytes_total", Kind: Counter, Labels: []string{"listener"}, Help: "Octets of the messages acknowledged."},
		{Name: "postroad_messages_refused_total", Kind: Counter, Labels: []string{"reason"}, Help: "Transactions refused at MAIL, at RCPT for every recipient, or after the data."},
		{Name: "postroad_accept_seconds", Kind: Histogram, buckets: fast(), Help: "Seconds from the final dot to the durable acknowledgement."},
		{Name: "postroad_decisions_total", Kind: Counter, Labels: []string{"class"}, Help: "Route decisions at RCPT, by class."},

		{Name: "postroad_judge_results_total", Kind: Counter, Labels: []string{"method", "result"}, Help: "Results of checking who sent a message: spf, dkim per signature, dmarc per author domain."},
		{Name: "postroad_judge_actions_total", Kind: Counter, Labels: []string{"action"}, Help: "Decisions per recipient about strangers' mail: accept, quarantine, reject or defer."},
		{Name: "postroad_judge_seconds", Kind: Histogram, buckets: slow(), Help: "Seconds that a message waited after its end for its checks."},
		{Name: "postroad_forward_probes_total", Kind: Counter, Labels: []string{"result"}, Help: "Test messages of forwards at primaries: sent, and what they told: intact, rewritten, refused or missing."},

		{Name: "postroad_queue_messages", Kind: Gauge, Help: "Messages in the queue."},
		{Name: "postroad_queue_recipients", Kind: Gauge, Help: "Rows in the queue."},
		{Name: "postroad_queue_due", Kind: Gauge, Help: "Rows whose time has come."},
		{Name: "postroad_queue_held", Kind: Gauge, Help: "Held, quarantined and dead rows."},
		{Name: "postroad_queue_lanes", Kind: Gauge, Help: "Destinations being delivered to at the moment."},
		{Name: "postroad_queue_outcomes_total", Kind: Counter, Labels: []string{"transport", "result"}, Help: "Attempts per row: delivered, deferred, failed or held."},
		{Name: "postroad_queue_reports_total", Kind: Counter, Labels: []string{"kind"}, Help: "Delivery status notifications made: failed, delayed or relayed."},
		{Name: "postroad_queue_lanes_down_total", Kind: Counter, Labels: []string{"transport"}, Help: "Times that a destination as a whole could not be reached."},

		{Name: "postroad_deliver_connections", Kind: Gauge, Labels: []string{"transport"}, Help: "Connections to next hops that are open."},
		{Name: "postroad_deliver_dials_total", Kind: Counter, Labels: []string{"transport", "result"}, Help: "Connections tried: ok, failed or forbidden (a private or loopback target)."},
		{Name: "postroad_deliver_seconds", Kind: Histogram, Labels: []string{"transport"}, buckets: slow(), Help: "Seconds of one delivery, connection included when it was opened for it."},

		{Name: "postroad_dns_queries_total", Kind: Counter, Labels: []string{"transport", "type"}, Help: "Questions read, by record type; rare types are one."},
		{Name: "postroad_dns_answers_total", Kind: Counter, Labels: []string{"transport", "rcode"}, Help: "Answers sent, by response code."},
		{Name: "postroad_dns_dropped_total", Kind: Counter, Labels: []string{"transport", "reason"}, Help: "Packets without an answer: malformed (answers to nobody's question among them), or limited."},
		{Name: "postroad_dns_truncated_total", Kind: Counter, Labels: []string{"transport"}, Help: "Answers that had no room or were limited, and say to come by TCP."},
		{Name: "postroad_dns_slipped_total", Kind: Counter, Help: "Empty answers that the rate limit let through, which say to come by TCP."},
		{Name: "postroad_dns_zones", Kind: Gauge, Help: "Zones that are answered for."},
		{Name: "postroad_dns_connections", Kind: Gauge, Help: "TCP connections of DNS clients that are open."},
		{Name: "postroad_dns_panics_total", Kind: Counter, Help: "Questions dropped by a fault in the program; anything but 0 deserves a report."},

		{Name: "postroad_verify_probes_total", Kind: Counter, Labels: []string{"result"}, Help: "Questions about recipients to domains' real servers: present, absent, deferred, objected (the server does not want to be asked), unreachable, or limited (not asked, as there was too much to ask)."},
		{Name: "postroad_verify_syncs_total", Kind: Counter, Labels: []string{"result"}, Help: "Lists of recipients fetched from other installations: changed, same or failed."},

		{Name: "postroad_mailbox_deliveries_total", Kind: Counter, Labels: []string{"result"}, Help: "Messages for mailboxes here: stored, repeated, full or failed."},
		{Name: "postroad_mailbox_bytes_total", Kind: Counter, Help: "Octets stored in mailboxes."},

		{Name: "postroad_store_free_bytes", Kind: Gauge, Help: "Free octets on the disk of the data folder."},
		{Name: "postroad_trace_dropped_total", Kind: Counter, Labels: []string{"reason"}, Help: "Steps of messages' traces that were not recorded: busy, refusals (strangers cause too many), space, store or stopped."},

		{Name: "postroad_control_changes_total", Kind: Counter, Labels: []string{"action"}, Help: "Changes applied, by command words."},
		{Name: "postroad_control_version", Kind: Gauge, Help: "Version of the configuration that decisions are made by."},

		{Name: "postroad_dns_transfers_total", Kind: Counter, Labels: []string{"direction", "kind", "result"}, Help: "Zones moved: out (axfr, ixfr, or a question signed wrongly: done, refused or failed) and in (axfr, ixfr, or refresh when only the primary's version was asked for: done or failed)."},
		{Name: "postroad_dns_notifies_total", Kind: Counter, Labels: []string{"direction", "result"}, Help: "Messages that a zone has changed: out (done, refused, silent, or failed after an hour) and in (done or refused)."},
		{Name: "postroad_signer_zones", Kind: Gauge, Help: "Zones that are signed here."},
		{Name: "postroad_signer_failures_total", Kind: Counter, Help: "Zones that were due and could not be signed; each is tried again."},
		{Name: "postroad_signer_clock_off_seconds", Kind: Gauge, Help: "By how many seconds the system's clock is off from what zones are signed by; 0 while it is believed."},
		{Name: "postroad_certificates", Kind: Gauge, Labels: []string{"state"}, Help: "Names that are to have a certificate: valid, expiring (runs out soon and was not renewed), wanted (none yet), failing (none, and the last attempt failed)."},
		{Name: "postroad_certificate_days_left", Kind: Gauge, Labels: []string{"name"}, Help: "Days until the certificate of a name of the server runs out; file is the configured one."},

		{Name: "postroad_api_requests_total", Kind: Counter, Labels: []string{"operation", "status"}, Help: "API requests answered, by HTTP status."},
		{Name: "postroad_api_seconds", Kind: Histogram, Labels: []string{"operation"}, buckets: fast(), Help: "Seconds of an API request."},
	}
}

// NewMetrics makes the metrics with a registry of their own, together with those of the Go runtime and the process.
func NewMetrics() *Metrics {
	b := &builder{registry: prometheus.NewRegistry(), left: Definitions()}
	m := &Metrics{
		registry:  b.registry,
		BuildInfo: b.gauges("postroad_build_info"),

		SMTPSessions:        b.gauges("postroad_smtp_sessions"),
		SMTPSessionsTotal:   b.counters("postroad_smtp_sessions_total"),
		SMTPSessionsRefused: b.counters("postroad_smtp_sessions_refused_total"),
		SMTPReplies:         b.counters("postroad_smtp_replies_total"),
		SMTPTLSHandshakes:   b.counters("postroad_smtp_tls_handshakes_total"),
		SMTPLogins:          b.counters("postroad_smtp_logins_total"),
		SMTPPanics:          b.counters("postroad_smtp_panics_total").WithLabelValues(),

		IMAPSessions:        b.gauges("postroad_imap_sessions"),
		IMAPSessionsTotal:   b.counters("postroad_imap_sessions_total"),
		IMAPSessionsRefused: b.counters("postroad_imap_sessions_refused_total"),
		IMAPCommands:        b.counters("postroad_imap_commands_total"),
		IMAPTLSHandshakes:   b.counters("postroad_imap_tls_handshakes_total"),
		IMAPLogins:          b.counters("postroad_imap_logins_total"),
		IMAPPanics:          b.counters("postroad_imap_panics_total").WithLabelValues(),

		MessagesReceived: b.counters("postroad_messages_received_total"),
		BytesReceived:    b.counters("postroad_received_bytes_total"),
		MessagesRefused:  b.counters("postroad_messages_refused_total"),
		AcceptSeconds:    b.histogram("postroad_accept_seconds"),
		DecisionsByClass: b.counters("postroad_decisions_total"),

		JudgeResults: b.counters("postroad_judge_results_total"),
		JudgeActions: b.counters("postroad_judge_actions_total"),
		JudgeSeconds: b.histogram("postroad_judge_seconds"),

		ForwardProbes: b.counters("postroad_forward_probes_total"),

		QueueMessages:   b.gauges("postroad_queue_messages").WithLabelValues(),
		QueueRecipients: b.gauges("postroad_queue_recipients").WithLabelValues(),
		QueueDue:        b.gauges("postroad_queue_due").WithLabelValues(),
		QueueHeld:       b.gauges("postroad_queue_held").WithLabelValues(),
		QueueLanes:      b.gauges("postroad_queue_lanes").WithLabelValues(),
		QueueOutcomes:   b.counters("postroad_queue_outcomes_total"),
		QueueReports:    b.counters("postroad_queue_reports_total"),
		LanesDown:       b.counters("postroad_queue_lanes_down_total"),

		DeliverConnections: b.gauges("postroad_deliver_connections"),
		DeliverDials:       b.counters("postroad_deliver_dials_total"),
		DeliverSeconds:     b.histograms("postroad_deliver_seconds"),

		DNSQueries:     b.counters("postroad_dns_queries_total"),
		DNSAnswers:     b.counters("postroad_dns_answers_total"),
		DNSDropped:     b.counters("postroad_dns_dropped_total"),
		DNSTruncated:   b.counters("postroad_dns_truncated_total"),
		DNSSlipped:     b.counters("postroad_dns_slipped_total").WithLabelValues(),
		DNSZones:       b.gauges("postroad_dns_zones").WithLabelValues(),
		DNSConnections: b.gauges("postroad_dns_connections").WithLabelValues(),
		DNSPanics:      b.counters("postroad_dns_panics_total").WithLabelValues(),

		VerifyProbes: b.counters("postroad_verify_probes_total"),
		VerifySyncs:  b.counters("postroad_verify_syncs_total"),

		MailboxDeliveries: b.counters("postroad_mailbox_deliveries_total"),
		MailboxBytes:      b.counters("postroad_mailbox_bytes_total").WithLabelValues(),

		StoreFreeBytes: b.gauges("postroad_store_free_bytes").WithLabelValues(),
		TraceDropped:   b.counters("postroad_trace_dropped_total"),

		ControlChanges: b.counters("postroad_control_changes_total"),
		ControlVersion: b.gauges("postroad_control_version").WithLabelValues(),

		DNSTransfers:   b.counters("postroad_dns_transfers_total"),
		DNSNotifies:    b.counters("postroad_dns_notifies_total"),
		SignerZones:    b.gauges("postroad_signer_zones").WithLabelValues(),
		SignerFailures: b.counters("postroad_signer_failures_total").WithLabelValues(),
		SignerClockOff: b.gauges("postroad_signer_clock_off_seconds").WithLabelValues(),

		Certificates:    b.gauges("postroad_certificates"),
		CertificateDays: b.gauges("postroad_certificate_days_left"),

		APIRequests: b.counters("postroad_api_requests_total"),
		APISeconds:  b.histograms("postroad_api_seconds"),
	}
	if len(b.left) > 0 {
		panic(fmt.Sprintf("metric %s is documented and not made", b.left[0].Name))
	}
	b.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics in the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Gather gives the metrics by name with their values summed over all labels (of histograms: the count), for tests.
func (m *Metrics) Gather() (map[string]float64, error) {
	families, err := m.registry.Gather()
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, v := range f.GetMetric() {
			out[f.GetName()] += v.GetCounter().GetValue() + v.GetGauge().GetValue() + float64(v.GetHistogram().GetSampleCount())
		}
	}
	return out, nil
}

// builder makes metrics by the table and notices what is missing in it or left over.
type builder struct {
	registry *prometheus.Registry
	left     []Definition
}

func (b *builder) take(name string, k Kind) Definition {
	i := slices.IndexFunc(b.left, func(d Definition) bool { return d.Name == name })
	if i < 0 || b.left[i].Kind != k {
		panic(fmt.Sprintf("metric %s is made and not documented as a %s", name, k))
	}
	d := b.left[i]
	b.left = slices.Delete(b.left, i, i+1)
	return d
}

func (b *builder) counters(name string) *prometheus.CounterVec {
	d := b.take(name, Counter)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, d.Labels)
	b.registry.MustRegister(v)
	return v
}

func (b *builder) gauges(name string) *prometheus.GaugeVec {
	d := b.take(name, Gauge)
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: d.Name, Help: d.Help}, d.Labels)
	b.registry.MustRegister(v)
	return v
}

func (b *builder) histograms(name string) *prometheus.HistogramVec {
	d := b.take(name, Histogram)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.Name, Help: d.Help, Buckets: d.buckets}, d.Labels)
	b.registry.MustRegister(v)
	return v
}

func (b *builder) histogram(name string) prometheus.Histogram {
	d := b.take(name, Histogram)
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: d.Name, Help: d.Help, Buckets: d.buckets})
	b.registry.MustRegister(h)
	return h
}

// Reference is the reference page of all metrics as Markdown: docs/reference/metrics.md is this text.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Metrics

Served at ` + "`/metrics`" + ` of the http and https listeners in the Prometheus text format. Beside these there are those of
the Go runtime (` + "`go_…`" + `) and of the process (` + "`process_…`" + `).

| metric | kind | labels | meaning |
|---|---|---|---|
`)
	for _, d := range Definitions() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.Name, d.Kind, strings.Join(d.Labels, ", "), d.Help)
	}
	return b.String()
}
