package dns

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

const (
	// ownerColumn is how wide the column of owners becomes at most.
	ownerColumn = 32
	// textColumn is from how many octets on the data of a record with several strings is written on several lines.
	textColumn = 80
)

// WriteZone gives records as a zone file of the zone origin, for people to read and for ReadZone, which gives the same
// records: $ORIGIN and $TTL, one record to a line in columns, SOA and NS of the apex first and all others in the order of
// Compare, names in data whole, long texts on several lines. The same records always give the same octets, and the line
// of a record does not depend on others, but for the $TTL and the width of columns.
func WriteZone(origin string, records []Record) []byte {
	records = slices.Clone(records)
	rank := func(r Record) int {
		switch {
		case r.Name == origin && r.Type == TypeSOA:
			return 0
		case r.Name == origin && r.Type == TypeNS:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(records, func(a, b Record) int {
		if c := rank(a) - rank(b); c != 0 {
			return c
		}
		return Compare(a, b)
	})
	w := zoneWriter{origin: origin, ttl: commonTTL(records)}
	for _, r := range records {
		w.owner = max(w.owner, len(w.relative(r.Name)))
		if r.TTL != w.ttl {
			w.number = max(w.number, len(fmt.Sprint(r.TTL)))
		}
		w.kind = max(w.kind, len(r.Type.String()))
	}
	w.owner = min(w.owner, ownerColumn)
	fmt.Fprintf(&w.out, "$ORIGIN %s\n$TTL %d\n", origin, w.ttl)
	for _, r := range records {
		w.record(r)
	}
	return w.out.Bytes()
}

// commonTTL is the TTL that most records have, of several the least; 3600 if there are no records.
func commonTTL(records []Record) uint32 {
	counts := map[uint32]int{}
	for _, r := range records {
		counts[r.TTL]++
	}
	var best uint32 = 3600
	for ttl, n := range counts {
		if m := counts[best]; n > m || n == m && ttl < best {
			best = ttl
		}
	}
	return best
}

// zoneWriter writes one zone file.
type zoneWriter struct {
	out                 bytes.Buffer
	origin              string
	ttl                 uint32
	owner, number, kind int // widths
}

// relative gives a name as it is written before a record.
func (w *zoneWriter) relative(name string) string {
	if name == w.origin {
		return "@"
	}
	short := strings.TrimSuffix(name, "."+w.origin)
	if w.origin == "." || short == name || strings.HasSuffix(short, `\`) {
		short = name
	}
	if short[0] == '$' { // no directive
		return `\` + short
	}
	return short
}

// record writes one record.
func (w *zoneWriter) record(r Record) {
	ttl := ""
	if r.TTL != w.ttl {
		ttl = fmt.Sprint(r.TTL)
	}
	line := fmt.Sprintf("%-*s ", w.owner, w.relative(r.Name))
	if w.number > 0 {
		line += fmt.Sprintf("%*s ", w.number, ttl)
	}
	line += fmt.Sprintf("IN %-*s ", w.kind, r.Type)
	w.out.WriteString(line)
	text := r.Text()
	if data, err := Data(r.Type, text, "."); err != nil || !bytes.Equal(data, r.Data) {
		text = r.generic()
	}
	indent := "\n" + strings.Repeat(" ", len(line)+2)
	switch {
	case r.Type == TypeSOA:
		w.out.WriteString(soaLines(r, text, indent))
	case r.Type == TypeTXT && len(text) > textColumn && strings.Contains(text, `" "`):
		w.out.WriteString("(" + indent + strings.Join(txtTexts(r.Data), indent) + " )")
	default:
		w.out.WriteString(text)
	}
	w.out.WriteByte('\n')
}

// soaLines writes the data of a SOA record with a number to a line.
func soaLines(r Record, text, indent string) string {
	fields := strings.Fields(text)
	numbers, err := soaNumbers(&r)
	if err != nil || len(fields) != 7 {
		return text
	}
	var out strings.Builder
	out.WriteString(fields[0] + " " + fields[1] + " (")
	for i, what := range []string{"; serial", "; refresh", "; retry", "; expire", ") ; negative TTL"} {
		out.WriteString(indent + fmt.Sprintf("%-10d %s", numbers[i], what))
	}
	return out.String()
}

// txtTexts gives the character-strings of a TXT record, each in quotation marks.
func txtTexts(data []byte) []string {
	var out []string
	for len(data) > 0 {
		n := min(1+int(data[0]), len(data))
		out = append(out, Record{Name: ".", Type: TypeTXT, Data: data[:n]}.Text())
		data = data[n:]
	}
	return out
}
