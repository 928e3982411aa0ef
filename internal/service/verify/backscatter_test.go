package verify_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"postroad/internal/core/directory"
	"postroad/internal/core/routing"
	"postroad/internal/proto/smtp"
	"postroad/internal/service/verify"
)

// Nothing is taken that a list or an answer could have told, however the real server, its recipients and the list come
// and go: whoever is refused for good does not exist, or did not an hour ago; whoever is taken and does not exist was
// not known to be missing.
func TestNothingIsTakenThatWasKnownToBeMissing(t *testing.T) {
	for _, policy := range []directory.RecipientPolicy{directory.RecipientsProbe, directory.RecipientsList} {
		t.Run(string(policy), func(t *testing.T) {
			play(t, knows(), func(w *world) {
				w.dom.Mode, w.dom.Unreachable, w.dom.Recipients = directory.ModeBackup, directory.UnreachableQueue, policy
				w.dom.NextHops = []directory.NextHop{{Host: "192.0.2.25", Port: 25}}
				random := rand.New(rand.NewPCG(5, 11)) //nolint:gosec // a scenario, not a secret
				exists := map[string]bool{}
				missing := map[string]time.Time{} // when the server last said so
				down := false
				var taken, refused, putOff int
				for range 4000 {
					who := fmt.Sprintf("u%d@d.example", random.IntN(12))
					switch random.IntN(12) {
					case 0:
						if exists[who] {
							delete(exists, who)
						} else {
							exists[who] = true
						}
						var all []string
						for a := range exists {
							all = append(all, a)
						}
						w.peer.SetScript(knows(all...))
						w.peer.Drop()
					case 1:
						if down = !down; down {
							w.down()
						} else {
							w.up()
						}
					case 2:
						pass(time.Duration(random.Int64N(int64(3 * time.Hour))))
					case 3:
						pass(time.Duration(random.Int64N(int64(2 * 24 * time.Hour))))
					case 4:
						if policy == directory.RecipientsList && random.IntN(6) > 0 {
							continue // so that lists grow old
						}
						w.mu.Lock()
						w.version++
						w.list, w.listed = verify.List{There: true, Source: "upload", Learned: time.Now()}, nil
						for a := range exists {
							l, _, _ := strings.Cut(a, "@")
							w.listed = append(w.listed, l)
						}
						w.mu.Unlock()
					default:
						before := w.asked(who)
						reply := w.decide(who)
						there := exists[who]
						if w.asked(who) > before && !down && !there {
							missing[who] = time.Now()
						} else if w.asked(who) > before && there {
							delete(missing, who)
						}
						at, known := missing[who]
						l, _, _ := strings.Cut(who, "@")
						switch {
						case reply.Code == 250:
							taken++
							if !there && policy == directory.RecipientsProbe && known && time.Since(at) < 7*24*time.Hour {
								t.Fatalf("%s was taken, %v after it was known to be missing", who, time.Since(at))
							}
							if policy == directory.RecipientsList && !slices.Contains(w.listed, l) {
								t.Fatalf("%s was taken and is not on the list", who)
							}
						case reply.Permanent():
							refused++
							if policy == directory.RecipientsProbe && (!known || time.Since(at) >= time.Hour) {
								t.Fatalf("%s was refused for good by what is %v old: %v", who, time.Since(at), reply)
							}
							if policy == directory.RecipientsList && (slices.Contains(w.listed, l) || time.Since(w.list.Learned) >= 7*24*time.Hour) {
								t.Fatalf("%s was refused by the list: %v", who, reply)
							}
						default:
							putOff++
						}
					}
				}
				if taken < 100 || refused < 100 || putOff < 20 {
					t.Errorf("%d taken, %d refused, %d put off: the scenario shows little", taken, refused, putOff)
				}
			})
		})
	}
}

// decide answers RCPT as receive does.
func (w *world) decide(address string) smtp.Reply {
	local, domain, _ := strings.Cut(address, "@")
	to := smtp.Address{Local: local, Domain: domain}
	view := func() routing.View {
		v := w.View()
		v.Facts = w.service
		return v
	}
	fetch := func(n routing.Need) { w.service.Fetch(w.t.Context(), n) }
	d := routing.Ask(view, fetch, routing.Session{Kind: routing.Stranger}, to)
	return d.Reply
}
