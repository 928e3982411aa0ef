package dns

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	codec "github.com/miekg/dns"
)

// line reads one line of a zone text.
func line(t testing.TB, text string) Record {
	t.Helper()
	rr, err := codec.NewRR(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	data, err := wireData(rr)
	if err != nil {
		t.Fatal(err)
	}
	return Record{Name: codec.CanonicalName(rr.Header().Name), Type: Type(rr.Header().Rrtype), TTL: rr.Header().Ttl, Data: data}
}

func lines(t testing.TB, text string) []Record {
	t.Helper()
	var out []Record
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, line(t, l))
		}
	}
	return out
}

func TestSignaturesOfTheStandardsHold(t *testing.T) {
	for _, c := range []struct{ name, key, sets string }{
		{
			"RFC 6605 §6.1", "example.net. 3600 IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
			`www.example.net. 3600 IN A 192.0.2.1
			 www.example.net. 3600 IN RRSIG A 13 3 3600 20100909100439 20100812100439 55648 example.net. qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==`,
		},
		{
			"RFC 8080 §6", "example.com. 3600 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
			`example.com. 3600 IN MX 10 mail.example.com.
			 example.com. 3600 IN RRSIG MX 15 2 3600 1440021600 1438207200 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==`,
		},
	} {
		records := lines(t, c.sets)
		key := line(t, c.key)
		if err := Verify(records[1], records[:1], key.Data); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for i := range records[1].Data {
			damaged := records[1]
			damaged.Data = bytes.Clone(damaged.Data)
			damaged.Data[i] ^= 1
			if err := Verify(damaged, records[:1], key.Data); !errors.Is(err, ErrSignature) && !errors.Is(err, ErrSyntax) {
				t.Errorf("%s: octet %d of the signature damaged: %v", c.name, i, err)
			}
		}
	}
}

func TestDelegationSignersOfTheStandards(t *testing.T) {
	for _, c := range [][2]string{
		{
			"example.net. 3600 IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
			"example.net. 3600 IN DS 55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
		},
		{
			"example.com. 3600 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
			"example.com. 3600 IN DS 3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b",
		},
	} {
		key, want := line(t, c[0]), line(t, c[1])
		if got, err := DS(key.Name, key.Data, DigestSHA256); err != nil || !bytes.Equal(got, want.Data) || !Matches(want.Data, key.Name, key.Data) {
			t.Errorf("DS %x, %v; want %x", got, err, want.Data)
		}
		long, err := DS(key.Name, key.Data, DigestSHA384)
		rr, _ := key.library()
		theirs, _ := wireData(rr.(*codec.DNSKEY).ToDS(codec.SHA384))
		if err != nil || !bytes.Equal(long, theirs) {
			t.Errorf("DS by SHA-384 %x, %v; want %x", long, err, theirs)
		}
		if Matches(want.Data, "other.example.", key.Data) || Matches(want.Data[:4], key.Name, key.Data) {
			t.Error("a DS matches where it must not")
		}
		if _, err := DS(key.Name, key.Data, 1); !errors.Is(err, ErrKey) {
			t.Errorf("SHA-1: %v", err)
		}
	}
}

// setsToSign are sets of every type whose canonical form is special, and of some others.
const setsToSign = `www.example.net. 300 IN A 192.0.2.7
www.example.net. 300 IN A 192.0.2.1
example.net. 300 IN NS NS2.Example.NET.
example.net. 300 IN NS ns1.example.net.
example.net. 300 IN SOA NS1.example.net. Host\.Master.example.net. 1 2 3 4 5
example.net. 300 IN MX 10 Mail.Example.NET.
example.net. 300 IN TXT "Some Text" "AND more"
a.example.net. 300 IN CNAME B.example.net.
d.example.net. 300 IN DNAME B.example.ORG.
p.example.net. 300 IN PTR B.example.ORG.
_imap._tcp.example.net. 300 IN SRV 0 1 143 Imap.example.net.
n.example.net. 300 IN NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:Info@Example.com!" Foo.example.net.
r.example.net. 300 IN RP Me.example.net. Txt.example.net.
f.example.net. 300 IN AFSDB 1 Fs.example.net.
k.example.net. 300 IN KX 1 Kx.example.net.
x.example.net. 300 IN PX 1 Map.example.net. X400.example.net.
t.example.net. 300 IN RT 1 Rt.example.net.
m.example.net. 300 IN MINFO Rm.example.net. Em.example.net.
h.example.net. 300 IN HTTPS 1 Svc.example.net. alpn="h2"
h.example.net. 300 IN HINFO "CPU" "OS"
*.w.example.net. 300 IN TXT "any"
u.example.net. 300 IN TYPE65400 \# 3 0A0B4C
s.example.net. 300 IN DS 55648 13 2 B4C8C1FE2E7477127B27115656AD6256F424625BF5C1E2770CE6D6E37DF61D17
o\.dd.example.net. 300 IN CAA 0 issue "CA.example"
l.example.net. 300 IN LP 10 L64.Example.net.`

func TestSignaturesHoldForTheLibraryToo(t *testing.T) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for _, a := range []Algorithm{ECDSAP256SHA256, Ed25519} {
		key, err := GenerateKey(a, FlagZone|FlagSEP)
		if err != nil {
			t.Fatal(err)
		}
		pkcs8, err := key.PKCS8()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseKey(key.Flags, pkcs8)
		if err != nil || !bytes.Equal(again.DNSKEY(), key.DNSKEY()) {
			t.Fatalf("%s: read again: %v, %v", a, again, err)
		}
		public := Record{Name: "example.net.", Type: TypeDNSKEY, TTL: 300, Data: key.DNSKEY()}
		theirs, err := public.library()
		if err != nil {
			t.Fatal(err)
		}
		if tag := theirs.(*codec.DNSKEY).KeyTag(); tag != key.Tag() {
			t.Errorf("%s: tag %d, want %d", a, key.Tag(), tag)
		}
		sets := map[string][]Record{}
		for _, r := range append(lines(t, setsToSign), public) {
			sets[r.Name+r.Type.String()] = append(sets[r.Name+r.Type.String()], r)
		}
		for name, set := range sets {
			sig, err := key.Sign(set, "example.net.", at, at.Add(24*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if same, err := again.Sign(set, "example.net.", at, at.Add(24*time.Hour)); err != nil || !bytes.Equal(same.Data, sig.Data) {
				t.Errorf("%s %s: another signature the second time, %v", a, name, err)
			}
			rr, err := sig.library()
			if err != nil {
				t.Fatal(err)
			}
			var rrs []codec.RR
			for _, r := range set {
				member, err := r.library()
				if err != nil {
					t.Fatal(err)
				}
				rrs = append(rrs, member)
			}
			if err := rr.(*codec.RRSIG).Verify(theirs.(*codec.DNSKEY), rrs); err != nil {
				t.Errorf("%s %s: the library: %v", a, name, err)
			}
			if err := Verify(sig, set, key.DNSKEY()); err != nil {
				t.Errorf("%s %s: %v", a, name, err)
			}
			doubled := append(slices.Clone(set), set[0])
			if err := Verify(sig, doubled, key.DNSKEY()); err != nil {
				t.Errorf("%s %s: a record twice: %v", a, name, err)
			}
			changed := slices.Clone(set)
			changed[0].Data = append(bytes.Clone(changed[0].Data), 0)
			if err := Verify(sig, changed, key.DNSKEY()); err == nil {
				t.Errorf("%s %s: holds for other records", a, name)
			}
		}
	}
}

func TestSignatureOfAWildcardHoldsForNamesMadeFromIt(t *testing.T) {
	key, err := GenerateKey(ECDSAP256SHA256, FlagZone|FlagSEP)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	set := lines(t, "*.w.example.net. 300 IN A 192.0.2.1")
	sig, err := key.Sign(set, "example.net.", at, at.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"a.w.example.net.": true, "b.a.w.example.net.": true, "a.v.example.net.": false, "w.example.net.": false} {
		made, of := slices.Clone(set), sig
		made[0].Name, of.Name = name, name
		if err := Verify(of, made, key.DNSKEY()); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := ReadSignature(sig.Data)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]bool{-time.Second: false, 0: true, time.Hour: true, time.Hour + time.Second: false} {
		if s.Valid(at.Add(after)) != want {
			t.Errorf("%v after its inception: valid is %v", after, !want)
		}
	}
	if end := s.Expires(at.Add(-1000 * time.Hour)); !end.Equal(at.Add(time.Hour)) {
		t.Errorf("it expires %v", end)
	}
	if err := Verify(sig, set, Key{Flags: 0, Algorithm: key.Algorithm, Public: key.Public}.DNSKEY()); !errors.Is(err, ErrSignature) {
		t.Errorf("by a key that is no zone key: %v", err)
	}
}

func TestAKeyDoesNotShowItsPrivatePart(t *testing.T) {
	key, err := GenerateKey(Ed25519, FlagZone)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("ED25519 key %d", key.Tag())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, key); got != want {
			t.Errorf("%s shows %q", verb, got)
		}
	}
	if _, err := ParseKey(FlagZone, []byte("no key")); !errors.Is(err, ErrKey) {
		t.Errorf("%v", err)
	}
	if _, err := GenerateKey(8, FlagZone); !errors.Is(err, ErrKey) {
		t.Errorf("%v", err)
	}
	if _, err := (Key{}).Sign(lines(t, "a. 1 IN A 192.0.2.1"), ".", time.Time{}, time.Time{}); !errors.Is(err, ErrKey) {
		t.Errorf("%v", err)
	}
}

func TestHashedNames(t *testing.T) {
	salt, _ := hex.DecodeString("aabbccdd") // RFC 5155 appendix A
	for name, want := range map[string]string{
		"example.": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "a.example.": "35mthgpgcu1qg68fab165klnsnk3dpvl", "*.w.example.": "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
		"xx.example.": "t644ebqk9bibcna874givr6joj62mlhv",
	} {
		hash, err := HashName(name, salt, 12)
		if err != nil || HashLabel(hash) != want {
			t.Errorf("%s: %s, %v; want %s", name, HashLabel(hash), err, want)
		}
	}
	hash, err := HashName("www.example.net.", nil, 0)
	if theirs := codec.HashName("www.example.net.", codec.SHA1, 0, ""); err != nil || !strings.EqualFold(theirs, HashLabel(hash)) {
		t.Errorf("%s, %v; want %s", HashLabel(hash), err, theirs)
	}
}

func TestBitmaps(t *testing.T) {
	want, _ := hex.DecodeString("000640010000000304" + "1b" + strings.Repeat("00", 26) + "20") // RFC 4034 §4.3
	types := []Type{1234, TypeNSEC, TypeA, TypeRRSIG, TypeMX}
	got := AppendBitmap(nil, types)
	if !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	for range 200 {
		set := map[Type]bool{}
		for range rand.IntN(20) {
			set[Type(rand.IntN(1<<16))] = true
		}
		var in []Type
		for k := range set {
			in = append(in, k)
		}
		out, err := ReadBitmap(AppendBitmap(nil, in))
		slices.Sort(in)
		if err != nil || !slices.Equal(in, out) {
			t.Fatalf("%v read as %v, %v", in, out, err)
		}
	}
}

func FuzzSignatureData(f *testing.F) {
	f.Add(uint16(46), []byte("\x00\x01\x0d\x03\x00\x00\x0e\x10\x00\x00\x00\x00\x00\x00\x00\x00\x12\x34\x01A\x00xyz"))
	f.Add(uint16(35), []byte("\x00\x00\x00\x00\x01A\x01B\x01C\x01D\x00"))
	f.Add(uint16(47), []byte("\x01a\x00\x00\x01\x40"))
	f.Fuzz(func(t *testing.T, kind uint16, data []byte) {
		r := Record{Name: "a.example.", Type: Type(kind), TTL: 1, Data: data}
		before := bytes.Clone(data)
		c := r.CanonicalData()
		if again := (Record{Name: r.Name, Type: r.Type, Data: c}).CanonicalData(); !bytes.Equal(again, c) || len(c) != len(data) {
			t.Errorf("%x is canonical as %x, then as %x", data, c, again)
		}
		_ = Verify(Record{Name: "a.example.", Type: TypeRRSIG, Data: data}, []Record{r}, data)
		if types, err := ReadBitmap(data); err == nil && len(AppendBitmap(nil, types)) > len(data) {
			t.Errorf("bitmap %x is written longer", data)
		}
		if !bytes.Equal(before, data) {
			t.Error("it was written to")
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for _, a := range []Algorithm{ECDSAP256SHA256, Ed25519} {
		key, _ := GenerateKey(a, FlagZone)
		set := lines(b, "www.example.net. 300 IN A 192.0.2.1")
		at := time.Unix(1.8e9, 0)
		sig, err := key.Sign(set, "example.net.", at, at)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(a.String()+"/sign", func(b *testing.B) {
			for b.Loop() {
				_, _ = key.Sign(set, "example.net.", at, at)
			}
		})
		b.Run(a.String()+"/verify", func(b *testing.B) {
			for b.Loop() {
				_ = Verify(sig, set, key.DNSKEY())
			}
		})
	}
}
