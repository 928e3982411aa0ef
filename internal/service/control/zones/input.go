package zones

import (
	"errors"
	"slices"
	"strings"

	"postroad/internal/core/zone"
	"postroad/internal/proto/dns"
	"postroad/internal/proto/idna"
	"postroad/internal/service/control/words"
)

// owner shows a name of the zone as people write it.
func owner(name, apex string) string {
	if name == apex {
		return "@"
	}
	if apex == "." {
		return name
	}
	return strings.TrimSuffix(name, "."+apex)
}

// readOwner reads the owner of a record: relative to the zone, "@" for its own name, absolute with the last dot.
func readOwner(text, apex string) (string, error) {
	if text == "" {
		text = "@"
	}
	ascii := text
	if !idna.IsASCII(text) {
		var err error
		if ascii, err = idna.ToASCIIService(strings.TrimSuffix(text, ".")); err != nil {
			return "", words.Invalid("The owner "+words.Quote(text)+" is no name.", "")
		}
		if strings.HasSuffix(text, ".") {
			ascii += "."
		}
	}
	name, err := dns.Name(ascii, apex)
	if err != nil {
		return "", words.Invalid("The owner "+words.Quote(text)+" is no name.", "write www, @ for the zone's own name, or an absolute name with its last dot")
	}
	if !strings.HasSuffix(ascii, ".") && dns.Below(strings.ToLower(ascii)+".", apex) {
		return "", words.Invalid("The owner "+words.Quote(text)+" would become "+name+".", "write "+owner(strings.ToLower(ascii)+".", apex)+", or "+text+". with its last dot")
	}
	if !dns.Below(name, apex) {
		return "", words.Invalid("The name "+name+" does not lie in the zone "+apex, "a record's owner is the zone's name or one below it")
	}
	return name, nil
}

// readType reads the type of a record that people may write.
func readType(text string) (dns.Type, error) {
	t, err := dns.ParseType(text)
	switch {
	case err != nil:
		return 0, words.Invalid("There is no record type "+words.Quote(text)+".", "A, AAAA, MX, TXT, CNAME, NS, SRV, CAA or another one; TYPE65280 for one without a name")
	case t.Meta():
		return 0, words.Invalid(t.String()+" is no type of stored records.", "")
	case t.DNSSEC():
		return 0, words.Invalid(t.String()+" records are made by signing.", "postroad dnssec on signs a zone")
	}
	return t, nil
}

// nameField tells which word of a type's data is a name, from 0; -1 if none is.
func nameField(t dns.Type) int {
	switch t {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeDNAME:
		return 0
	case dns.TypeMX, dns.TypeSVCB, dns.TypeHTTPS:
		return 1
	case dns.TypeSRV:
		return 3
	case dns.TypeNAPTR:
		return 5
	}
	return -1
}

// readData reads the data of a record. A name in it that has a dot is taken as whole although its last dot is missing, as
// people mean it; one without any dot is completed by the zone's name. TXT is taken as it is: it need not be quoted.
func readData(t dns.Type, text string, z *zone.Zone) ([]byte, error) {
	text = strings.TrimSpace(text)
	if list := strings.Fields(text); t == dns.TypeMX && len(list) == 2 && list[0] != `\#` && list[1] != "." {
		typing := zone.Typing{Zone: z}
		x, err := typing.List([]string{list[1] + ":" + list[0]})
		if err != nil {
			return nil, fault(err)
		}
		text = list[0] + " " + x[0].Host + "."
	}
	if t == dns.TypeTXT && !strings.HasPrefix(text, `"`) && !strings.HasPrefix(text, `\#`) {
		text = quoteText(text)
	}
	if i := nameField(t); i >= 0 && !strings.HasPrefix(text, `\#`) {
		list := strings.Fields(text)
		if i < len(list) {
			name, err := readTarget(list[i])
			if err != nil {
				return nil, err
			}
			list[i] = name
			text = strings.Join(list, " ")
		}
	}
	data, err := dns.Data(t, text, z.Apex())
	if err != nil {
		return nil, words.Invalid("This is no data of a "+t.String()+" record: "+words.Quote(text)+".", example(t))
	}
	return data, nil
}

// fault refuses what people typed.
func fault(err error) error {
	var told *zone.FaultError
	if errors.As(err, &told) {
		return &words.RefusedError{Err: words.ErrInvalid, Sentence: told.Sentence, Hint: told.Hint, Finding: told.Finding}
	}
	return err
}

func readTarget(text string) (string, error) {
	if !idna.IsASCII(text) {
		ascii, err := idna.ToASCIIService(strings.TrimSuffix(text, "."))
		if err != nil {
			return "", words.Invalid(words.Quote(text)+" is no name.", "")
		}
		text = ascii
	}
	if strings.Contains(text, ".") && !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text, nil
}

// maxString is the longest character-string, in octets (RFC 1035 §3.3).
const maxString = 255

// quoteText gives a text as quoted character-strings, each as long as one may be.
func quoteText(text string) string {
	var b strings.Builder
	for part := range slices.Chunk([]byte(text), maxString) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte('"')
		for _, c := range part {
			if c == '"' || c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
		b.WriteByte('"')
	}
	if b.Len() == 0 {
		return `""`
	}
	return b.String()
}

// example shows how data of a type are written.
func example(t dns.Type) string {
	text, ok := map[dns.Type]string{
		dns.TypeA: "192.0.2.1", dns.TypeAAAA: "2001:db8::1", dns.TypeMX: "10 mail.example.net.", dns.TypeNS: "ns1.example.net.", dns.TypeCNAME: "www.example.net.",
		dns.TypeTXT: "v=spf1 mx -all", dns.TypeSRV: "0 5 443 host.example.net.", dns.TypeCAA: `0 issue "ca.example.net"`, dns.TypeTLSA: "3 1 1 HEX",
		dns.TypeSSHFP: "4 2 HEX", dns.TypePTR: "host.example.net.", dns.TypeSOA: "ns1.example.net. hostmaster.example.net. 1 7200 900 1209600 300",
		dns.TypeDS: "12345 13 2 HEX", dns.TypeHTTPS: "1 . alpn=h2", dns.TypeSVCB: "1 host.example.net. port=443",
	}[t]
	if !ok {
		return `as in a zone file, or \# LENGTH HEX`
	}
	return "such as " + text
}

// readTTL reads a TTL; empty for that of the records that are there, or the usual one.
func readTTL(text string, set []dns.Record) (uint32, error) {
	if text == "" {
		if len(set) > 0 {
			return set[0].TTL, nil
		}
		return zone.DefaultTTL, nil
	}
	ttl, err := zone.ParseTTL(text)
	if err != nil {
		return 0, words.Invalid(words.Quote(text)+" is no TTL.", "seconds such as 3600, or 1h, 1h30m, 2d")
	}
	if ttl < zone.MinTTL {
		return 0, words.Invalid("A TTL is at least "+zone.FormatTTL(zone.MinTTL)+" long.", "shorter ones cost every resolver a question for each use")
	}
	return ttl, nil
}
