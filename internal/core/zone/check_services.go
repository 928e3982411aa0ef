package zone

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"postroad/internal/proto/dns"
)

// checkServices looks at CAA, SVCB and HTTPS records.
func (c *checker) checkServices(name string, set []dns.Record) {
	for _, r := range of(set, dns.TypeCAA) {
		c.checkCAA(r)
	}
	for _, t := range []dns.Type{dns.TypeSVCB, dns.TypeHTTPS} {
		c.checkSVCB(name, of(set, t))
	}
}

// checkCAA looks at one CAA record (RFC 8659 §4).
func (c *checker) checkCAA(r dns.Record) {
	if len(r.Data) < 2 || len(r.Data) < 2+int(r.Data[1]) {
		return // DataInvalid says so
	}
	critical, tag, value := r.Data[0]&0x80 != 0, string(r.Data[2:2+int(r.Data[1])]), string(r.Data[2+int(r.Data[1]):])
	evidence := []dns.Record{r}
	if tag == "" || strings.Trim(strings.ToLower(tag), "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		c.add(CAATag, evidence, fmt.Sprintf("The CAA record of %s has the tag %.40q; tags are made of letters and digits.", Show(r.Name), tag), `write a tag such as issue: 0 issue "ca.example"`)
		return
	}
	switch strings.ToLower(tag) {
	case "issue", "issuewild", "issuemail", "issuevmc":
		issuer, _, _ := strings.Cut(value, ";")
		if issuer = strings.Trim(issuer, " \t"); issuer != "" && !hostName(strings.ToLower(issuer)+".") {
			c.add(CAAValue, evidence, fmt.Sprintf("The CAA record of %s names %.80q, which is no domain: no authority may issue a certificate because of it.", Show(r.Name), issuer),
				`write the authority's domain, such as 0 issue "ca.example", or ";" for none`)
		}
	case "iodef":
		if lower := strings.ToLower(value); !strings.HasPrefix(lower, "mailto:") && !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") {
			c.add(CAAValue, evidence, fmt.Sprintf("The CAA record of %s wants reports sent to %.80q, which is no URL.", Show(r.Name), value), "write mailto: and an address, or the https URL of a report service")
		}
	case "contactemail", "contactphone":
	default:
		if critical {
			c.add(CAACritical, evidence, fmt.Sprintf("The CAA record of %s is critical and has the tag %.40q: authorities that do not know it may not issue a certificate.", Show(r.Name), tag), "write flags 0, or a tag that is known, such as issue")
		}
	}
}

// checkSVCB looks at the SVCB or HTTPS records of a name (RFC 9460 §2.4, §8).
func (c *checker) checkSVCB(name string, set []dns.Record) {
	var aliases []dns.Record
	for _, r := range set {
		to, ok := target(r)
		if !ok {
			continue
		}
		_, n, err := dns.ReadName(r.Data[2:])
		if err != nil {
			continue
		}
		parameters := r.Data[2+n:]
		if binary.BigEndian.Uint16(r.Data) != 0 {
			c.checkMandatory(r, parameters)
			continue
		}
		aliases = append(aliases, r)
		if len(parameters) > 0 {
			c.add(SVCBAliasParameters, []dns.Record{r}, fmt.Sprintf("%s of %s has priority 0, so it is an alias, and its parameters mean nothing.", r.Type, Show(name)), "leave out the parameters, or write priority 1")
		}
		if to == name {
			c.add(SVCBAliasToItself, []dns.Record{r}, fmt.Sprintf("%s of %s has priority 0, so it is an alias, and it leads to itself.", r.Type, Show(name)), `name another host, or write priority 1 and "."`)
		}
	}
	if len(aliases) > 0 && len(set) > 1 {
		c.add(SVCBAliasNotAlone, set, fmt.Sprintf("%s of %s is an alias by a record of priority 0, and programs leave out the others beside it.", set[0].Type, Show(name)), "leave one record of priority 0, or none")
	}
}

// checkMandatory looks at the parameter by which a record says which others must be understood.
func (c *checker) checkMandatory(r dns.Record, parameters []byte) {
	present := map[uint16]bool{}
	var mandatory []byte
	for len(parameters) >= 4 {
		key, n := binary.BigEndian.Uint16(parameters), int(binary.BigEndian.Uint16(parameters[2:]))
		if n > len(parameters)-4 {
			return
		}
		present[key] = true
		if key == 0 {
			mandatory = parameters[4 : 4+n]
		}
		parameters = parameters[4+n:]
	}
	for pair := range slices.Chunk(mandatory, 2) {
		if len(pair) == 2 && !present[binary.BigEndian.Uint16(pair)] {
			c.add(SVCBMandatoryParameter, []dns.Record{r}, fmt.Sprintf("%s of %s calls a parameter mandatory that it does not have, so programs discard it.", r.Type, Show(r.Name)), "add the parameter, or leave it out of mandatory")
			return
		}
	}
}
