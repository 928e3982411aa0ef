package settings

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"postroad/internal/core/directory"
	"postroad/internal/proto/idna"
	"postroad/internal/service/control/rights"
	"postroad/internal/service/control/words"
)

// maxForwarders bounds the trusted forwarders of a domain.
const maxForwarders = 50

// The shortest lengths of a trusted network, for the operator and for others: trust is narrow.
const (
	operatorBits4, operatorBits6 = 16, 32
	ownerBits4, ownerBits6       = 24, 48
)

// settleJudging writes how strangers' mail is judged, and whom a domain trusts to forward to it.
func settleJudging(actor rights.Actor, d *directory.Domain, set Domain) error {
	if set.Judge != nil {
		switch m := directory.JudgeMode(*set.Judge); m {
		case directory.JudgeEnforce, directory.JudgeNote, directory.JudgeOff:
			d.Judging.Mode = m
		default:
			return words.Invalid("Mail is judged by "+words.Quote(*set.Judge)+".", "enforce refuses and puts aside what its author's domain asks to be refused, note only writes it into the header, off checks nothing")
		}
	}
	if set.SPFFail != nil {
		switch s := directory.Severity(*set.SPFFail); s {
		case directory.SeverityAccept, directory.SeverityQuarantine, directory.SeverityReject:
			d.Judging.SPFFail = s
		default:
			return words.Invalid("What fails SPF is to be "+words.Quote(*set.SPFFail)+".", "accept notes it, quarantine puts it into the folder for junk, reject refuses it (550 5.7.23)")
		}
	}
	if set.Unchecked != nil {
		switch s := directory.Severity(*set.Unchecked); s {
		case directory.SeverityAccept, directory.SeverityDefer:
			d.Judging.Unchecked = s
		default:
			return words.Invalid("What cannot be checked for now is to be "+words.Quote(*set.Unchecked)+".", "accept takes it, 450 refuses it for now")
		}
	}
	if j := d.Judging.Effective(); j.Mode != directory.JudgeEnforce && (set.SPFFail != nil && j.SPFFail != directory.SeverityAccept || set.Unchecked != nil && j.Unchecked != directory.SeverityAccept) {
		return words.Invalid("Nothing is refused or put aside while judging is "+string(j.Mode)+".", "say --judge enforce with it")
	}
	if set.Forwarders != nil {
		list, err := Forwarders(actor, d, *set.Forwarders)
		if err != nil {
			return err
		}
		d.Forwarders = list
	}
	return nil
}

// Forwarders reads a list of trusted forwarders. Those that the domain has already are let pass.
func Forwarders(actor rights.Actor, d *directory.Domain, list []string) ([]directory.Forwarder, error) {
	if len(list) > maxForwarders {
		return nil, words.Invalid("There are "+strconv.Itoa(len(list))+" trusted forwarders.", "at most "+strconv.Itoa(maxForwarders))
	}
	var out []directory.Forwarder
	for _, text := range list {
		f, err := ParseForwarder(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(d.Forwarders, f) {
			if err := narrow(actor, f); err != nil {
				return nil, err
			}
		}
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out, nil
}

// ParseForwarder reads the name of a host, an address or a network.
func ParseForwarder(text string) (directory.Forwarder, error) {
	bad := func() (directory.Forwarder, error) {
		return directory.Forwarder{}, words.Invalid(words.Quote(text)+" is no host, address or network.", "write mail.acme.com, 192.0.2.25, 2001:db8::25 or 192.0.2.0/28")
	}
	if a, err := netip.ParseAddr(text); err == nil {
		if a.Zone() != "" {
			return bad()
		}
		a = a.Unmap()
		return directory.Forwarder{Network: netip.PrefixFrom(a, a.BitLen())}, nil
	}
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Addr().Is4In6() {
			return bad()
		}
		return directory.Forwarder{Network: p.Masked()}, nil
	}
	name, err := idna.ToASCII(strings.TrimSuffix(text, "."))
	if err != nil || !strings.Contains(name, ".") || endsInNumber(name) {
		return bad()
	}
	return directory.Forwarder{Name: name}, nil
}

// narrow refuses trust in a network that is too wide.
func narrow(actor rights.Actor, f directory.Forwarder) error {
	if f.Name != "" {
		return nil
	}
	least := ownerBits6
	switch four := f.Network.Addr().Is4(); {
	case four && actor.Operator:
		least = operatorBits4
	case four:
		least = ownerBits4
	case actor.Operator:
		least = operatorBits6
	}
	if f.Network.Bits() >= least {
		return nil
	}
	return words.Invalid("The network "+f.String()+" is too wide to be trusted: everybody in it could send as anybody.", "name the server's own address, or a network of at least /"+strconv.Itoa(least))
}

// ShowForwarders writes trusted forwarders as people name them.
func ShowForwarders(list []directory.Forwarder) []string {
	var out []string
	for _, f := range list {
		out = append(out, f.String())
	}
	return out
}

// changedJudging tells what differs in how mail is judged.
func changedJudging(a, b *directory.Domain) []string {
	var out []string
	name := words.Show(b.Name)
	was, is := a.Judging.Effective(), b.Judging.Effective()
	if was.Mode != is.Mode {
		switch is.Mode {
		case directory.JudgeEnforce:
			out = append(out, "Mail for "+name+" from strangers is refused or put aside as the domain that it names as its author's asks (DMARC).")
		case directory.JudgeNote:
			out = append(out, "What is found out about mail for "+name+" from strangers is written above it, and none is refused or put aside for it.")
		case directory.JudgeOff:
			out = append(out, "Nothing is found out any more about who sent mail for "+name+": forged mail looks like any other.")
		}
	}
	if was.SPFFail != is.SPFFail {
		switch is.SPFFail {
		case directory.SeverityReject:
			out = append(out, "Mail for "+name+" that fails SPF is refused, unless DMARC stands for it.")
		case directory.SeverityQuarantine:
			out = append(out, "Mail for "+name+" that fails SPF is put aside, unless DMARC stands for it.")
		case directory.SeverityAccept, directory.SeverityDefer:
			out = append(out, "That mail for "+name+" fails SPF is noted, and no reason to refuse it.")
		}
	}
	if was.Unchecked != is.Unchecked {
		if is.Unchecked == directory.SeverityDefer {
			out = append(out, "Mail for "+name+" that cannot be checked while DNS does not answer is refused for now (451).")
		} else {
			out = append(out, "Mail for "+name+" that cannot be checked while DNS does not answer is taken.")
		}
	}
	for _, f := range b.Forwarders {
		if !slices.Contains(a.Forwarders, f) {
			out = append(out, f.String()+" may forward mail for "+name+": who sent it is judged by where "+f.String()+" had it from.")
		}
	}
	for _, f := range a.Forwarders {
		if !slices.Contains(b.Forwarders, f) {
			out = append(out, f.String()+" is a stranger like any other to "+name+" again.")
		}
	}
	return out
}
