package acceptance

import (
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"postroad/internal/sim"
)

// again ends the server and starts it with other roles, and waits for its socket.
func (i *instance) again(roles string) {
	i.t.Helper()
	if err := i.kill(syscall.SIGTERM); err != nil {
		i.t.Errorf("SIGTERM: %v", err)
	}
	i.args = []string{"--roles", roles}
	i.launch()
	eventually(i.t, "the socket of a node with the roles "+roles, func() bool {
		_, _, code := i.try("queue", "count")
		return code == 0
	})
}

// status is what the http listener answers for a path.
func (i *instance) status(path string) int {
	i.t.Helper()
	answer, err := http.Get("http://" + i.http + path)
	if err != nil {
		i.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func TestRolesSayWhatANodeRuns(t *testing.T) {
	t.Parallel()
	next := sim.FreeAddress(t)
	hop := sim.NewPeer(t, sim.Script{})
	i := newInstance(t, "[deliver]\nallow = [\"127.0.0.0/8\"]\n")
	i.run("domain", "add", "relay.example", "--mode", "relay", "--next-hop", next, "--recipients", "accept", "--proved")
	c := dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.send("a@far.example", text("waits"), "x@relay.example")
	eventually(t, "an attempt", func() bool { return strings.Contains(i.log.String(), "destination is down") })
	hop.Listen(next)
	deaf := func() {
		t.Helper()
		for _, address := range []string{i.smtp, i.submit, i.secure} {
			if conn, err := net.Dial("tcp", address); err == nil {
				_ = conn.Close()
				t.Errorf("a node without the role receive listens on %s", address)
			}
		}
	}

	i.again("panel,dns,imap")
	deaf()
	i.run("queue", "retry", "--yes")
	<-time.After(500 * time.Millisecond)
	if n := hop.Connections(); n != 0 || ask[counts](i, "queue", "count").Messages != 1 {
		t.Errorf("a node without the role deliver tried %d times", n)
	}
	if got := i.status("/api/v1/domains"); got != http.StatusUnauthorized {
		t.Errorf("the API of a node with a panel answers %d to a stranger", got)
	}

	i.again("deliver")
	deaf()
	hop.Await(1)
	eventually(t, "an empty queue", func() bool { return ask[counts](i, "queue", "count").Messages == 0 })
	if api, metrics, health := i.status("/api/v1/domains"), i.status("/metrics"), i.status("/readyz"); api != 404 || metrics != 200 || health != 200 {
		t.Errorf("without a panel: API %d, metrics %d, health %d", api, metrics, health)
	}

	i.again("receive,deliver")
	if err := i.up(); err != nil {
		t.Fatal(err)
	}
	c = dialSMTP(t, i.smtp)
	c.say("EHLO far.example", "250")
	c.send("a@far.example", text("goes"), "x@relay.example")
	hop.Await(2)
}

func TestRolesThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	i := &instance{t: t, data: t.TempDir()}
	for _, c := range []struct{ roles, says string }{
		{"receive,smtp", `"smtp" is no role; there are receive, deliver, dns, imap, panel`},
		{"receive,panel", "the role receive needs the role deliver beside it"},
		{"", "no role is given"},
	} {
		_, errs, code := i.try("serve", "--roles", c.roles)
		if code != 2 || !strings.Contains(errs, c.says) {
			t.Errorf("--roles %q: exit %d, %s", c.roles, code, errs)
		}
	}
	_, errs, code := i.try("serve", "--roles", "deliver,panel", "--demo")
	if code != 1 || !strings.Contains(errs, "the demo needs the roles receive and deliver") {
		t.Errorf("--demo: exit %d, %s", code, errs)
	}
}
