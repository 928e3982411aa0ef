package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/config"
	"postroad/internal/proto/dns"
	"postroad/internal/server"
	"postroad/internal/sim"
)

// apiOf sends requests to the socket in a data folder.
func apiOf(b *testing.B, data string) func(method, path string, body any) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(data, "postroad.sock"))
	}}}
	return func(method, path string, body any) {
		text, err := json.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		r, err := http.NewRequestWithContext(b.Context(), method, "http://postroad/api/v1"+path, bytes.NewReader(text))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			b.Fatalf("%s %s: %d %.500s %v", method, path, resp.StatusCode, answer, err)
		}
	}
}

// question is a query for the MX records of a name.
func question(b *testing.B, name string) []byte {
	b.Helper()
	q := []byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	q, err := dns.AppendName(q, name)
	if err != nil {
		b.Fatal(err)
	}
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(q, uint16(dns.TypeMX)), 1)
}

// BenchmarkAChangeIsInTheAnswer replaces the exchangers of one zone among 10,000 through the API, durably, and asks our
// name server by UDP until it says so. The bars: at most 3 ms for half of the changes, 10 ms for 99 of 100.
func BenchmarkAChangeIsInTheAnswer(b *testing.B) {
	const zones, batch = 10_000, 500
	data, err := os.MkdirTemp("", "pr") // a socket's path must be short
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(data) })
	at := sim.FreeAddress(b)
	cfg := config.Config{DataDir: data, Listen: config.Listen{
		SMTP: []string{}, Submission: []string{}, Submissions: []string{}, HTTP: []string{}, IMAP: []string{}, IMAPS: []string{}, DNS: []string{at},
	}}
	s, err := server.Start(b.Context(), cfg.WithDefaults("mx.test.example"), server.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Stop)
	send := apiOf(b, data)
	type text struct {
		Domain string `json:"domain"`
		Text   string `json:"text"`
	}
	var list []text
	for i := range zones {
		list = append(list, text{fmt.Sprintf("z%d.example", i), "$TTL 3600\n@ SOA ns1.far.example. a.far.example. 1 7200 900 1209600 300\n@ NS ns1.far.example.\n@ NS ns2.far.example.\n" +
			"@ MX 10 mx1.far.example.\n@ MX 20 mx2.far.example.\n@ A 192.0.2.1\nwww A 192.0.2.1\n@ TXT \"v=spf1 mx -all\"\n_dmarc TXT \"v=DMARC1; p=none\"\n"})
	}
	for part := range slices.Chunk(list, batch) {
		send(http.MethodPost, "/zones/import", map[string]any{"proved": true, "zones": part})
	}
	conn, err := net.Dial("udp", at)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // only read from
	var took []time.Duration
	answer := make([]byte, 4096)
	for b.Loop() {
		n := len(took)
		host, domain := fmt.Sprintf("new%d.far.example", n), fmt.Sprintf("z%d.example", n*7919%zones)
		ask := question(b, domain+".")
		begun := time.Now()
		send(http.MethodPut, "/domains/"+domain+"/exchangers?confirm=true", map[string]any{"exchangers": []any{map[string]any{"host": host, "preference": 10}}})
		for label, _, _ := strings.Cut(host, "."); ; {
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err := conn.Write(ask); err != nil {
				b.Fatal(err)
			}
			size, err := conn.Read(answer)
			if err != nil {
				b.Fatal(err)
			}
			if bytes.Contains(answer[:size], append([]byte{byte(len(label))}, label...)) {
				break
			}
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
