package signing

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"postroad/internal/core/account"
	"postroad/internal/core/dnssec"
	"postroad/internal/core/finding"
	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// SigningStatus is how a domain's zone is signed, and what is to be done about it.
type SigningStatus struct {
	Domain string `json:"domain"`
	Signed bool   `json:"signed"`
	Info
	Keys       []ZoneKeyStatus `json:"keys" nullable:"false"`
	DS         []DSSubmission  `json:"ds" nullable:"false" doc:"What is to stand at the parent, in the forms in which registrars ask for it"`
	SubmitFrom *time.Time      `json:"submit_from,omitempty" doc:"When the DS may be entered at the earliest; absent: now"`
	ValidUntil *time.Time      `json:"valid_until,omitempty" doc:"When the first signature runs out; signatures are renewed days before"`
	RenewedAt  *time.Time      `json:"renewed_at,omitempty" doc:"When the zone is signed again at the latest"`
	Parent     ParentStatus    `json:"parent"`
	Next       string          `json:"next" doc:"What happens next, and who has to do it"`
}

// ZoneKeyStatus is one key.
type ZoneKeyStatus struct {
	Tag       uint16     `json:"tag"`
	Role      string     `json:"role" enum:"csk,ksk,zsk"`
	Algorithm string     `json:"algorithm"`
	State     string     `json:"state" enum:"generated,published,active,retired,removed"`
	Since     time.Time  `json:"since"`
	Seen      *time.Time `json:"seen,omitempty" doc:"Since when the parent has its DS"`
}

// DSSubmission is one key for the registrar.
type DSSubmission struct {
	Record     string `json:"record" doc:"DS record as a line of a zone file"`
	KeyTag     uint16 `json:"key_tag"`
	Algorithm  uint8  `json:"algorithm"`
	DigestType uint8  `json:"digest_type"`
	Digest     string `json:"digest"`
	DNSKEY     string `json:"dnskey" doc:"DNSKEY record as a line of a zone file, for registrars that ask for the key"`
	PublicKey  string `json:"public_key" doc:"The last field of the DNSKEY record"`
}

// ParentStatus is what the zone above says.
type ParentStatus struct {
	State   string       `json:"state" enum:"unknown,none,matches,stale" doc:"matches: a DS record there leads to the zone; stale: none of those there does"`
	DS      []string     `json:"ds,omitempty" doc:"Data of the DS records there"`
	Seen    *time.Time   `json:"seen,omitempty" doc:"When it was asked"`
	Source  string       `json:"source,omitempty" doc:"Who was asked"`
	Problem string       `json:"problem,omitempty" doc:"Why it is not known"`
	Finding finding.Name `json:"finding,omitempty"`
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Show tells how a domain's zone is signed. It asks the parent.
func (a *Access) Show(ctx context.Context, actor rights.Actor, st *rights.State, name string) (SigningStatus, error) {
	d, err := actor.Domain(st, name)
	if err != nil {
		return SigningStatus{}, err
	}
	out := SigningStatus{Domain: d.Name, Keys: []ZoneKeyStatus{}, DS: []DSSubmission{}, Parent: ParentStatus{State: "unknown", Problem: "nobody is asked here"}}
	z, err := a.Zones.Zone(ctx, account.System(), d.Name)
	if err != nil && !errors.Is(err, words.ErrNotFound) {
		return SigningStatus{}, err
	}
	z.Domain = d.Name
	now := time.Now()
	var look dnssec.Look
	if a.Parents != nil {
		now = a.Parents.Now()
		if look, err = a.Parents.Look(ctx, d.Name); err == nil {
			out.Parent = parentStatus(&z, look, now)
		} else {
			out.Parent.Problem = err.Error()
		}
	}
	if z.Signing == nil {
		out.Next = "The zone is not signed: postroad dnssec on " + words.Show(d.Name) + " signs it."
		if out.Parent.State == "stale" {
			out.Next = "The zone is not signed, and the zone above says that it is: have the DS removed at the registrar before the name servers are these, or nobody who checks signatures reaches the domain."
		}
		return out, nil
	}
	s := z.Signing.Clone()
	if out.Parent.State != "unknown" {
		s.Observe(z.Apex(), look)
	}
	out.Signed, out.Info = true, *info(s)
	if err := out.keys(&z, s, now); err != nil {
		return SigningStatus{}, err
	}
	end := dnssec.Expiry(z.Signatures, now)
	due := s.Due(z.Signatures)
	out.ValidUntil, out.RenewedAt = moment(end), moment(due)
	out.Next = next(&out, s, now)
	return out, nil
}

// keys fills in the keys and what belongs at the parent.
func (out *SigningStatus) keys(z *zone.Zone, s *dnssec.Signing, now time.Time) error {
	for i := range s.Keys {
		k := &s.Keys[i]
		if k.State == dnssec.Removed {
			continue
		}
		out.Keys = append(out.Keys, ZoneKeyStatus{Tag: k.Tag(), Role: k.Role.String(), Algorithm: s.Algorithm.String(), State: k.State.String(), Since: k.Since.UTC(), Seen: moment(k.Seen)})
		if k.State != dnssec.Active || k.Submit.IsZero() || s.Withdrawn {
			continue
		}
		if now.Before(k.Submit) {
			out.SubmitFrom = moment(k.Submit)
		}
		for _, digest := range []uint8{dns.DigestSHA256, dns.DigestSHA384} {
			data, err := dns.DS(z.Apex(), k.DNSKEY, digest)
			if err != nil {
				return err
			}
			ttl := uint32(dnssec.KeyTTL / time.Second)
			key := dns.Record{Name: z.Apex(), Type: dns.TypeDNSKEY, TTL: ttl, Data: k.DNSKEY}
			fields := strings.Fields(key.Text())
			out.DS = append(out.DS, DSSubmission{
				Record: line(dns.Record{Name: z.Apex(), Type: dns.TypeDS, TTL: ttl, Data: data}), KeyTag: k.Tag(), Algorithm: uint8(s.Algorithm), DigestType: digest,
				Digest: strings.ToUpper(hex.EncodeToString(data[4:])), DNSKEY: line(key), PublicKey: fields[len(fields)-1],
			})
		}
	}
	return nil
}

// line is a record as a line of a zone file that survives being copied.
func line(r dns.Record) string { return strings.ReplaceAll(r.String(), "\t", " ") }

func parentStatus(z *zone.Zone, look dnssec.Look, now time.Time) ParentStatus {
	out := ParentStatus{State: "none", Seen: moment(look.At), Source: look.Source}
	for _, d := range look.DS {
		out.DS = append(out.DS, dns.Record{Name: z.Apex(), Type: dns.TypeDS, Data: d}.Text())
	}
	if len(look.DS) > 0 {
		if out.State = "matches"; !leads(z, look, now) {
			out.State, out.Finding = "stale", finding.DNSSECDSStale
		}
	}
	return out
}

// next tells what happens next.
func next(out *SigningStatus, s *dnssec.Signing, now time.Time) string {
	switch {
	case out.Parent.State == "stale":
		return "The DS at the parent is of none of the zone's keys: replace it at the registrar by the one above, or nobody who checks signatures reaches the domain."
	case s.Withdrawn && s.Parent.Gone(now):
		return "No cache has the DS any more: postroad dnssec off may be given."
	case s.Withdrawn && out.Parent.State == "none":
		return fmt.Sprintf("The DS is gone from the parent, and from all caches %s; then postroad dnssec off may be given.", words.When(s.Parent.Since.Add(s.Parent.Left)))
	case s.Withdrawn:
		return "The DS is to be removed at the parent; registries that look for CDS records do it, at others it is done at the registrar."
	}
	for i := range s.Keys {
		k := &s.Keys[i]
		switch {
		case k.State == dnssec.Published:
			return fmt.Sprintf("Key %d takes over %s.", k.Tag(), words.When(k.Due))
		case k.State == dnssec.Retired && k.Role == dnssec.ZSK:
			return fmt.Sprintf("Key %d leaves the zone %s.", k.Tag(), words.When(k.Needed))
		case k.State == dnssec.Retired && waits(s, k.Role):
			return fmt.Sprintf("Key %d waits until the DS of its successor stands at the parent: enter the one above at the registrar, in the place of the old one.", k.Tag())
		case k.State == dnssec.Retired:
			return fmt.Sprintf("Key %d leaves the zone when no cache has its DS any more, %s at the earliest.", k.Tag(), words.When(s.Next()))
		case k.State == dnssec.Active && k.Role != dnssec.ZSK && now.Before(k.Submit):
			return fmt.Sprintf("The DS may be entered at the registrar from %s on; before, caches have the zone without signatures.", words.When(k.Submit))
		case k.State == dnssec.Active && k.Role != dnssec.ZSK && k.Seen.IsZero() && out.Parent.State == "none":
			return "Enter the DS at the registrar: until it stands at the parent, nobody goes by the signatures."
		}
	}
	return fmt.Sprintf("Nothing is to be done. Signatures are renewed %s at the latest.", words.When(*out.RenewedAt))
}

// waits reports whether the active key of a role has not been seen at the parent.
func waits(s *dnssec.Signing, role dnssec.Role) bool {
	for i := range s.Keys {
		if k := &s.Keys[i]; k.Role == role && k.State == dnssec.Active {
			return k.Seen.IsZero()
		}
	}
	return false
}
