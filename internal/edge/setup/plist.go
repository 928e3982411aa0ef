package setup

import (
	"encoding/xml"
	"strconv"
	"strings"
)

// plist is a dictionary of a property list. A value is a string, an int, a bool or a list of dictionaries.
type plist []entry

type entry struct {
	key   string
	value any
}

// document is the dictionary as a property list in XML.
func (p plist) document() string {
	var b strings.Builder
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n<plist version=\"1.0\">\n")
	p.write(&b)
	b.WriteString("</plist>\n")
	return b.String()
}

func (p plist) write(b *strings.Builder) {
	b.WriteString("<dict>\n")
	for _, e := range p {
		element(b, "key", e.key)
		switch v := e.value.(type) {
		case string:
			element(b, "string", v)
		case int:
			element(b, "integer", strconv.Itoa(v))
		case bool:
			b.WriteString("<" + strconv.FormatBool(v) + "/>\n")
		case []plist:
			b.WriteString("<array>\n")
			for _, d := range v {
				d.write(b)
			}
			b.WriteString("</array>\n")
		}
	}
	b.WriteString("</dict>\n")
}

func element(b *strings.Builder, name, text string) {
	b.WriteString("<" + name + ">")
	_ = xml.EscapeText(b, []byte(text)) // a Builder takes everything
	b.WriteString("</" + name + ">\n")
}
