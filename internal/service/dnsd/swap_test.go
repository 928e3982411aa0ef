package dnsd

import (
	"net"
	"sync"
	"testing"
	"time"

	codec "github.com/miekg/dns"

	"postroad/internal/core/zone"
)

// While zones are replaced, withdrawn and published beside it, a zone is answered for by one version or the other.
func TestZonesAreReplacedWhileQuestionsAreAnswered(t *testing.T) {
	r := start(t, Config{}, "127.0.0.1")
	versions := []*zone.Zone{small(t, "example.test", "192.0.2.1"), small(t, "example.test", "192.0.2.2")}
	others := []*zone.Zone{small(t, "a.test", "192.0.2.3"), small(t, "b.example.test", "192.0.2.4"), small(t, "test", "192.0.2.5")}
	r.publish(t, versions[0])
	end := make(chan struct{})
	var changing, asking sync.WaitGroup
	changing.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			r.publish(t, versions[i%2], others[i%3])
			r.Withdraw(others[(i+1)%3].Domain)
			r.Expire(others[(i+2)%3].Domain)
			r.Statistics("example.test")
		}
	})
	for _, network := range []string{"udp", "tcp"} {
		asking.Go(func() {
			conn, err := codec.DialTimeout(network, r.addr, 5*time.Second)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for range 500 {
				m := new(codec.Msg)
				m.SetQuestion("mx1.example.test.", codec.TypeA)
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				if err := conn.WriteMsg(m); err != nil {
					t.Error(err)
					return
				}
				a, err := conn.ReadMsg()
				if err != nil || len(a.Answer) != 1 || len(a.Ns) != 1 || len(a.Extra) != 1 {
					t.Errorf("%v, %v", a, err)
					return
				}
				mail, _ := a.Answer[0].(*codec.A)
				server, _ := a.Extra[0].(*codec.A)
				if mail == nil || server == nil || !mail.A.Equal(server.A) || !mail.A.Equal(net.IPv4(192, 0, 2, 1)) && !mail.A.Equal(net.IPv4(192, 0, 2, 2)) {
					t.Errorf("of two versions: %v", a)
					return
				}
			}
		})
	}
	asking.Wait()
	close(end)
	changing.Wait()
}
