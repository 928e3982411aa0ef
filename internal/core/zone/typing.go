package zone

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/core/finding"
	"postroad/internal/proto/dns"
	"postroad/internal/proto/idna"
)

// FaultError is a fault in what people typed, told in words for them.
type FaultError struct {
	Finding  finding.Name // the diagnosis by name; empty when it has none
	Sentence string       // what is wrong
	Hint     string       // what to do instead; may be empty
}

// Error is the sentence with the hint.
func (e *FaultError) Error() string {
	if e.Hint == "" {
		return e.Sentence
	}
	return e.Sentence + " (" + e.Hint + ")"
}

// Typing is what is known of the place where people type exchangers.
type Typing struct {
	// Zone completes relative names and knows its own; of one that is not hosted here only Domain is set. Without a Domain
	// names must be whole.
	Zone *Zone
	// Known are hosts that are exchangers for certain, such as our own: A-labels without the last dot.
	Known []string
}

// ExchangerTyped is an exchanger as it was read.
type ExchangerTyped struct {
	Exchanger
	Completed bool // the zone's name was added to the host
}

// None is the word for the null MX where a host is typed.
const None = "none"

// List reads hosts with preferences as "HOST" or "HOST:PREFERENCE". One without a preference is ten behind the one
// before it, the first 10. None alone is the null MX. What comes back is in the order in which it was typed.
func (t *Typing) List(texts []string) ([]ExchangerTyped, error) {
	if len(texts) == 1 && strings.TrimSpace(texts[0]) == None {
		return []ExchangerTyped{{Exchanger: Exchanger{Host: NullHost}}}, nil
	}
	if len(texts) > MaxExchangers {
		return nil, &FaultError{Sentence: "There are " + strconv.Itoa(len(texts)) + " exchangers.", Hint: "at most " + strconv.Itoa(MaxExchangers)}
	}
	out := make([]ExchangerTyped, 0, len(texts))
	next := DefaultPreference
	for _, text := range texts {
		if strings.TrimSpace(text) == None {
			return nil, &FaultError{Sentence: "The word none says that the domain takes no mail, and stands alone (RFC 7505).", Hint: "leave out none, or everything else"}
		}
		host, preference, err := SplitPreference(text)
		if err != nil {
			return nil, err
		}
		if preference == nil {
			preference = &next
		}
		x, err := t.Exchanger(host, *preference)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(out, func(other ExchangerTyped) bool { return other.Host == x.Host }) {
			return nil, &FaultError{Sentence: "The exchanger " + x.Host + " is named twice.", Hint: "once is enough: senders use the lower number"}
		}
		out = append(out, x)
		next = min(int(x.Preference)+DefaultPreference, 65535)
	}
	return out, nil
}

// SplitPreference parts "HOST:PREFERENCE"; the preference is nil where there is none. An IPv6 address stays whole, to be
// refused as what it is.
func SplitPreference(text string) (host string, preference *int, err error) {
	text = strings.TrimSpace(text)
	i := strings.LastIndexByte(text, ':')
	if i < 0 || address(text).IsValid() || strings.ContainsAny(text, " \t") {
		return text, nil, nil
	}
	before, after := text[:i], text[i+1:]
	if number(before) && !number(after) {
		return "", nil, preferenceInHost(text, before, after)
	}
	if !number(strings.TrimPrefix(after, "-")) || strings.Contains(before, ":") {
		return text, nil, nil
	}
	n, err := ReadPreference(after)
	if err != nil {
		return "", nil, err
	}
	value := int(n)
	return before, &value, nil
}

// ReadPreference reads a preference as people type it.
func ReadPreference(text string) (uint16, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil || strings.HasPrefix(text, "+") {
		return 0, badPreference(text)
	}
	return uint16(n), nil
}

func badPreference(text string) error {
	return &FaultError{Sentence: "The preference is " + quoted(text) + ".", Hint: "a whole number from 0 to 65535; the lower one is tried first, equal ones share the mail"}
}

// Exchanger reads the host of an exchanger as people type it, with its preference. Names are absolute with and without
// the last dot; one that has no dot at all is completed by the zone's name. The error is a *FaultError.
func (t *Typing) Exchanger(host string, preference int) (ExchangerTyped, error) {
	if preference < 0 || preference > 65535 {
		return ExchangerTyped{}, badPreference(strconv.Itoa(preference))
	}
	text := strings.TrimSpace(host)
	if err := t.malformed(text); err != nil {
		return ExchangerTyped{}, err
	}
	out := ExchangerTyped{Exchanger: Exchanger{Preference: uint16(preference)}}
	name, absolute := strings.CutSuffix(text, ".")
	switch {
	case text == "@":
		name, out.Completed = t.Zone.Domain, true
	case !absolute && !strings.Contains(name, "."):
		name, out.Completed = name+"."+t.Zone.Domain, true
	}
	ascii, err := idna.ToASCII(name)
	if err != nil {
		return ExchangerTyped{}, noHost(text)
	}
	if ascii == "localhost" || strings.HasSuffix(ascii, ".localhost") || text == "localhost" {
		return ExchangerTyped{}, &FaultError{Sentence: "The name localhost means the sender's own machine (RFC 6761).", Hint: "name the server that takes the mail, as the whole world knows it"}
	}
	if last := ascii[strings.LastIndexByte(ascii, '.')+1:]; number(last) {
		return ExchangerTyped{}, noHost(text)
	}
	out.Host = ascii
	if !absolute && !out.Completed {
		if err := t.ambiguous(ascii); err != nil {
			return ExchangerTyped{}, err
		}
	}
	if err := t.appended(ascii); err != nil {
		return ExchangerTyped{}, err
	}
	return out, nil
}

// malformed finds what is typed in place of a host name.
func (t *Typing) malformed(text string) error {
	trimmed := strings.TrimSuffix(text, ".")
	inZone, below := strings.CutSuffix(strings.ToLower(trimmed), "."+t.Zone.Domain)
	switch {
	case text == "":
		return &FaultError{Sentence: "The host of the exchanger is empty.", Hint: "name the server that takes the mail, as in mail.example.org"}
	case (text == NullHost || text == None) && t.Zone.Domain != "":
		return &FaultError{Sentence: "A domain that takes no mail has that one entry alone (RFC 7505).", Hint: "postroad mx replace " + t.Zone.Domain + " " + None}
	case strings.ContainsAny(text, " \t,;"):
		return pasted(text)
	case number(text):
		return &FaultError{Sentence: quoted(text) + " is a number, and no name of a host.", Hint: "name the server that takes the mail; a preference is typed apart"}
	case address(trimmed).IsValid():
		return isAddress(address(trimmed), trimmed, t.Zone.Domain)
	case below && address(inZone).IsValid():
		return isAddress(address(inZone), trimmed, t.Zone.Domain)
	case strings.Contains(trimmed, ".") && strings.Trim(trimmed, "0123456789.") == "":
		return &FaultError{
			Finding: finding.MXTargetIsIP, Sentence: quoted(text) + " is no host name but part of an IP address, and an MX record can name a host only.",
			Hint: "name the host that has the address",
		}
	case strings.Contains(text, "/"):
		return &FaultError{Sentence: quoted(text) + " is the address of a page.", Hint: "only the name of the server, without what stands before and behind it"}
	case strings.Contains(text, "@") && text != "@":
		return &FaultError{Sentence: quoted(text) + " is a mail address.", Hint: "the exchanger is the server that takes the mail, as in mail.example.org"}
	case strings.Contains(text, ":"):
		return &FaultError{Sentence: quoted(text) + " has a port: an MX record has none, senders come to port 25.", Hint: "only the name of the server; the preference is typed apart"}
	case strings.Contains(text, "*"):
		return &FaultError{Sentence: quoted(text) + " is a wildcard, which names no server.", Hint: "name one server"}
	case strings.Contains(text, "_"):
		return &FaultError{Sentence: quoted(text) + " has an underscore, which no name of a host has (RFC 952).", Hint: "letters, digits and hyphens in parts joined by dots"}
	}
	return nil
}

// address reads an IP address as it is typed in place of a host: in brackets, with a port or a mask too.
func address(text string) netip.Addr {
	text = strings.TrimPrefix(strings.TrimSuffix(strings.ToLower(text), "."), "ipv6:")
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Addr()
	}
	if p, err := netip.ParseAddrPort(text); err == nil {
		return p.Addr()
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		text = strings.TrimPrefix(strings.TrimSuffix(inner, "]"), "ipv6:")
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

func isAddress(a netip.Addr, typed, domain string) error {
	record := "A"
	if a.Is6() && !a.Is4In6() {
		record = "AAAA"
	}
	hint := "name the host that has the address"
	if domain != "" {
		hint = "make an " + record + " record, such as mail." + domain + " with " + a.Unmap().String() + ", and name mail." + domain + " here"
	}
	sentence := "The destination " + quoted(typed) + " is an IP address, and an MX record can name a host only (RFC 1035 §3.3.9): senders would look for a host of that name and find none."
	return &FaultError{
		Finding: finding.MXTargetIsIP, Sentence: sentence,
		Hint: hint,
	}
}

// pasted refuses a host with something else before or behind it, and offers what was probably meant.
func pasted(text string) error {
	fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t,;", r) })
	for i, f := range fields {
		if strings.EqualFold(f, "MX") {
			fields = fields[i+1:] // what stands before it in a zone file: owner, TTL, class
			break
		}
	}
	if len(fields) == 2 {
		switch {
		case number(fields[0]) && !number(fields[1]):
			return preferenceInHost(text, fields[0], fields[1])
		case number(fields[1]) && !number(fields[0]):
			return preferenceInHost(text, fields[1], fields[0])
		}
	}
	return &FaultError{Sentence: quoted(text) + " is more than the name of one host.", Hint: "one host at a time, as in mail.example.org"}
}

func preferenceInHost(text, preference, host string) error {
	return &FaultError{
		Sentence: "The preference is typed into the field of the host: " + quoted(text) + ".",
		Hint:     "the host is " + host + " and the preference " + preference + ": " + host + " --preference " + preference + ", or " + host + ":" + preference + " where several are named",
	}
}

// ambiguous refuses a name that the zone has relative to itself, typed without the last dot.
func (t *Typing) ambiguous(name string) error {
	inside := name + "." + t.Zone.Domain
	if slices.Contains(t.Known, name) || dns.Below(name+".", t.Zone.Apex()) || !t.Zone.exists(inside+".") {
		return nil
	}
	return &FaultError{
		Sentence: "The name " + name + " can be read in two ways, as there is " + inside + ".",
		Hint:     "write " + inside + " for that one, or " + name + ". with the last dot for the other",
	}
}

// appended refuses a name of elsewhere to which somebody has added the zone's name. One that the zone has is meant.
func (t *Typing) appended(name string) error {
	rest, below := strings.CutSuffix(name, "."+t.Zone.Domain)
	if !below || !strings.Contains(rest, ".") {
		return nil
	}
	if _, there := t.Zone.covering(name + "."); there {
		return nil
	}
	top := rest[strings.LastIndexByte(rest, '.')+1:]
	ends := dns.Below(rest+".", t.Zone.Apex()) || slices.Contains(usualTops, top) || top == t.Zone.Domain[strings.LastIndexByte(t.Zone.Domain, '.')+1:]
	if !slices.Contains(t.Known, rest) && !ends {
		return nil
	}
	return &FaultError{
		Finding: finding.MXTargetAppendedOrigin, Sentence: "The name " + name + " looks like " + rest + " with the name of the zone added, and the zone has no such host.",
		Hint: "write " + rest + "; if " + name + " is really meant, make its A record first",
	}
}

// usualTops are the top-level domains that names of mail hosts most often end in.
var usualTops = []string{"com", "net", "org", "info", "biz", "eu", "de", "at", "ch", "uk", "fr", "nl", "be", "it", "es", "pl", "cz", "se", "dk", "no", "fi", "us", "ca", "au", "in", "jp", "br", "io", "cloud", "email"}

// Owner refuses owners of MX records that are of no use: www and the like, an alias, a name that is delegated.
func (z *Zone) Owner(owner string) error {
	name, apex := bare(owner), z.Domain
	if label := dns.Labels(owner)[0]; owner != z.Apex() && label == "www" {
		return &FaultError{
			Finding:  finding.MXWrongOwner,
			Sentence: "An MX record of " + name + " counts for addresses such as ann@" + name + " alone: senders to ann@" + apex + " never look at it.",
			Hint:     "the owner is @, that is " + apex + " itself: postroad mx add " + apex + " HOST",
		}
	}
	for above := owner; above != z.Apex(); above = dns.Parent(above) {
		for _, r := range z.at(above) {
			switch {
			case r.Type == dns.TypeNS:
				return &FaultError{Sentence: "The name " + bare(above) + " is delegated to other name servers, which answer for " + name + ".", Hint: "write the record there"}
			case r.Type == dns.TypeCNAME && above == owner:
				return &FaultError{Sentence: "The name " + name + " is an alias, and an alias has no other records (RFC 2181 §10.1).", Hint: "remove the CNAME record first"}
			}
		}
	}
	return nil
}

// NameServer reads the name of a name server as people type it: a whole name, with or without the last dot.
func NameServer(text string) (string, error) {
	name := strings.TrimSuffix(strings.TrimSpace(text), ".")
	switch {
	case address(name).IsValid():
		return "", &FaultError{Sentence: "A name server is entered by its name, and " + quoted(text) + " is an IP address.", Hint: "name the host that has the address; at the registrar the address may be wanted beside the name"}
	case !strings.Contains(name, "."):
		return "", &FaultError{Sentence: quoted(text) + " is no whole name.", Hint: "as in ns1.example.org"}
	}
	ascii, err := idna.ToASCII(name)
	if err != nil || number(ascii[strings.LastIndexByte(ascii, '.')+1:]) {
		return "", noHost(text)
	}
	return ascii, nil
}

// TargetFault tells of an exchanger's host what Target or public DNS has found.
func TargetFault(fault finding.Name, host string) *FaultError {
	told := map[finding.Name][2]string{
		finding.MXTargetNXDomain:  {"The exchanger " + host + " does not exist: there is no such name.", "make its A or AAAA record, or name another host"},
		finding.MXTargetNoAddress: {"The exchanger " + host + " has no address.", "make its A or AAAA record, or name another host"},
		finding.MXTargetCNAME:     {"The exchanger " + host + " is an alias, which not all senders follow (RFC 2181 §10.3).", "name the host that it stands for, or give it an A or AAAA record in place of the CNAME"},
	}[fault]
	return &FaultError{Finding: fault, Sentence: told[0], Hint: told[1]}
}

func noHost(text string) error {
	return &FaultError{Sentence: quoted(text) + " is no name of a host.", Hint: "letters, digits and hyphens in parts joined by dots, as in mail.example.org"}
}

// number reports whether a text is digits alone.
func number(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// quoted shows what somebody typed, cut and without controls.
func quoted(text string) string {
	if len(text) > 100 {
		text = text[:100]
	}
	return strconv.Quote(text)
}
