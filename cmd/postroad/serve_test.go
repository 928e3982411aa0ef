package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"postroad/internal/service/control"
	"postroad/internal/sim"
)

// serving runs "postroad serve" until the test or stop ends it, and waits for words that it prints.
func serving(t *testing.T, data, wants string, args ...string) (out *sim.Output, stop func() int) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "postroad.toml")
	text := fmt.Sprintf("data_dir = %q\nhostname = \"mx.test.example\"\n[listen]\nsmtp = [\"127.0.0.1:0\"]\nsubmission = []\nsubmissions = []\nimap = []\nimaps = []\ndns = []\nhttp = []\n[resolver]\nservers = [\"127.0.0.1:9\"]\nroots = [\"127.0.0.1:9\"]\n", data)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs := &sim.Output{}, &sim.Output{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"serve", "--config", config}, args...), strings.NewReader(""), out, errs)
	}()
	once := sync.OnceValue(func() int {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { once() })
	select {
	case <-out.Said(wants):
	case code := <-ended:
		ended <- code
		t.Fatalf("the server ended with %d\n%s%s", code, out, errs)
	case <-time.After(time.Minute):
		t.Fatalf("the server does not say %q\n%s%s", wants, out, errs)
	}
	return out, once
}

func TestServeDemoThenTheSameFolderAgain(t *testing.T) {
	t.Parallel()
	data, err := os.MkdirTemp("", "pr") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(data) })
	out, stop := serving(t, data, "What to try next", "--demo")
	if secrets := regexp.MustCompile(`pr_[a-z0-9]{52}`).FindAllString(out.String(), -1); len(secrets) != 1 {
		t.Errorf("%d tokens shown\n%s", len(secrets), out)
	}
	ok := func(line string) string {
		t.Helper()
		r := execute(t, "", append([]string{"--data", data}, strings.Fields(line)...)...)
		if r.code != 0 {
			t.Fatalf("%s: exit %d\n%s%s", line, r.code, r.out, r.err)
		}
		return r.out
	}
	var list []control.MessageInfo
	if err := json.Unmarshal([]byte(ok("mailbox messages anna@demo.example --json")), &list); err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	body := ok(fmt.Sprintf("mailbox message anna@demo.example %d", list[0].UID))
	if int64(len(body)) != list[0].Size || !strings.Contains(body, "\r\nSubject: ") {
		t.Errorf("%d octets listed, %q", list[0].Size, body)
	}
	ok("domain add relay.example --mode relay --next-hop 192.0.2.1:25 --recipients accept --proved")
	ok("mailbox add new@demo.example --quota 1MiB")
	if x := ok("explain x@relay.example --json"); !strings.Contains(x, `"host": "192.0.2.1"`) {
		t.Error(x)
	}
	if c := ok("queue count --json"); !strings.Contains(c, `"messages": 0`) {
		t.Error(c)
	}
	if r := execute(t, "", "--data", data, "domain", "remove", "demo.example"); r.code != 1 || !strings.Contains(r.out, "3 mailboxes with 1 message") {
		t.Errorf("%+v", r)
	}
	if code := stop(); code != 0 {
		t.Errorf("an orderly end gave %d", code)
	}
	if r := execute(t, "", "--data", data, "domain", "list"); r.code != 3 {
		t.Errorf("%+v", r)
	}
	again, stop := serving(t, data, "data ")
	if strings.Contains(again.String(), "pr_") {
		t.Error("the first token is shown twice")
	}
	if l := ok("mailbox list --domain demo.example"); !strings.Contains(l, "new@demo.example") {
		t.Error(l)
	}
	ok("domain remove demo.example --yes")
	if a := ok("audit --json"); !strings.Contains(a, `"domain remove"`) {
		t.Error(a)
	}
	if code := stop(); code != 0 {
		t.Errorf("an orderly end gave %d", code)
	}
}
