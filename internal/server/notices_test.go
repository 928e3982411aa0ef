package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postroad/internal/sim"
)

// told is what a mailbox of the world's far side was sent, by subject, each on one line.
func told(p *sim.Peer, address string) map[string]string {
	out := map[string]string{}
	for _, m := range p.Messages() {
		for _, to := range m.Accepted() {
			if to == address {
				_, rest, _ := strings.Cut(string(m.Body), "Subject: ")
				subject, _, _ := strings.Cut(rest, "\r\nMessage-ID:")
				out[strings.ReplaceAll(subject, "\r\n ", " ")] = strings.Join(strings.Fields(string(m.Body)), " ")
			}
		}
	}
	return out
}

// TestS5_5EachSwitchOfModeAutoIsTold: the domain's account at once, the operator once a day.
func TestS5_5EachSwitchOfModeAutoIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		zone := func(exchangers string) {
			w.dns.SetZone("acme.example", "$TTL 300\n@ SOA ns x 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n"+exchangers+"primary A "+primaryAddr+"\nus A "+serverAddr+"\n")
		}
		zone("@ MX 10 us\n")
		w.dns.SetZone("far.example", "$TTL 300\n@ SOA ns x 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n@ MX 10 mx\nmx A "+senderAddr+"\n")
		far := sim.NewPeer(t, sim.Script{})
		w.net.Peer(senderAddr+":25", far)
		w.api(http.MethodPost, "/accounts", map[string]any{"name": "acme"})
		w.api(http.MethodPatch, "/accounts/acme", map[string]any{"notices": []string{"it@far.example"}})
		w.api(http.MethodPatch, "/accounts/operator", map[string]any{"notices": []string{"ops@far.example"}})
		w.api(http.MethodPost, "/domains?confirm=true", map[string]any{"name": "acme.example", "account": "acme", "mode": "auto", "proved": true})
		time.Sleep(10 * time.Minute)
		if got := told(far, "it@far.example"); len(got) != 0 {
			t.Fatalf("nothing has happened, and the customer was told %v", got)
		}
		zone("@ MX 10 primary\n@ MX 20 us\n")
		time.Sleep(20 * time.Minute)
		const subject = "acme.example: the routing mode follows public DNS"
		got := told(far, "it@far.example")
		if text := got[subject]; len(got) != 1 || !strings.Contains(text, "from local to backup") || !strings.Contains(text, "MX records of acme.example: 10 primary.acme.example (198.51.100.1), 20") {
			t.Fatalf("the customer was told %v", got)
		}
		if got := told(far, "ops@far.example"); len(got) != 0 {
			t.Errorf("the operator was told at once: %v", got)
		}
		zone("@ MX 10 primary\n")
		time.Sleep(24 * time.Hour)
		if text := told(far, "it@far.example")[subject]; !strings.Contains(text, "from backup to remote") {
			t.Errorf("the customer was not told of the second switch:\n%s", text)
		}
		digest := told(far, "ops@far.example")
		if len(digest) == 0 || len(digest) > 2 {
			t.Errorf("the operator's digests: %v", digest)
		}
		for subject, text := range digest {
			if !strings.Contains(text, " 06:00:") || !strings.Contains(text, "acme.example") {
				t.Errorf("a digest %q:\n%s", subject, text)
			}
		}
	})
}

// TestNoticesOfAPrimaryThatComesAndGoesDoNotStorm: down is told once in an interval, back always, over restarts of the
// peer every quarter of an hour for a day.
func TestNoticesOfAPrimaryThatComesAndGoesDoNotStorm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dns.SetZone("acme.example", "$TTL 300\n@ SOA ns x 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n@ MX 10 primary\n@ MX 20 backup\nprimary A "+primaryAddr+"\nbackup A "+serverAddr+"\n")
		w.dns.SetZone("far.example", "$TTL 300\n@ SOA ns x 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n@ MX 10 mx\nmx A "+senderAddr+"\n")
		far := sim.NewPeer(t, sim.Script{})
		w.net.Peer(senderAddr+":25", far)
		w.api(http.MethodPost, "/accounts", map[string]any{"name": "acme"})
		w.api(http.MethodPatch, "/accounts/acme", map[string]any{"notices": []string{"it@far.example", "it@acme.example"}})
		w.api(http.MethodPost, "/domains?confirm=true", map[string]any{"name": "acme.example", "account": "acme", "mode": "backup", "recipients": "accept", "proved": true})
		primary := sim.NewPeer(t, sim.Script{})
		for round := range 48 {
			w.net.Refuse(primaryAddr + ":25")
			if reply := w.mail("x@far.example", "ann@acme.example", fmt.Sprint(round)); reply != "250" {
				t.Fatal(reply)
			}
			time.Sleep(20 * time.Minute)
			w.net.Peer(primaryAddr+":25", primary)
			time.Sleep(10 * time.Minute)
		}
		begun, ended := 0, 0
		for _, m := range far.Messages() {
			switch text := string(m.Body); {
			case strings.Contains(text, "takes no mail, one message held"):
				begun++
			case strings.Contains(text, "nothing is held"):
				ended++
			}
		}
		if begun < 4 || begun > 5 || ended != begun {
			t.Errorf("in 24 hours of coming and going: told %d times that it is down, %d times that it is back", begun, ended)
		}
		for subject := range told(primary, "it@acme.example") {
			t.Errorf("a notice about the domain went to the domain: %s", subject)
		}
		var list struct {
			Items []struct{ State, Account string }
		}
		if err := json.Unmarshal(w.get("/notices?limit=1000"), &list); err != nil || len(list.Items) != 4*begun {
			t.Errorf("%d notices are listed, %v", len(list.Items), err)
		}
	})
}
