package primary

import (
	"encoding/csv"
	"encoding/json"
	"strings"
)

// Format is how a list of forwards is written.
type Format string

// The formats.
const (
	FormatText Format = "text" // for people, with what to do in common mail systems
	FormatCSV  Format = "csv"  // from,to: RFC 4180
	FormatJSON Format = "json"
)

// Formats lists them.
func Formats() []Format { return []Format{FormatText, FormatCSV, FormatJSON} }

// MediaType is a format's, for HTTP.
func (f Format) MediaType() string {
	switch f {
	case FormatCSV:
		return "text/csv; charset=utf-8; header=present"
	case FormatJSON:
		return "application/json"
	case FormatText:
	}
	return "text/plain; charset=utf-8"
}

// Export is the list of forwards as the primary's administrator gets it.
type Export struct {
	Domain   string     `json:"domain" doc:"Here"`
	Primary  string     `json:"primary" doc:"Where the forwards are to be set up"`
	Forwards []Exported `json:"forwards" nullable:"false"`
}

// Exported is one forward of it.
type Exported struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Write gives the list in a format.
func (e *Export) Write(f Format) ([]byte, error) {
	switch f {
	case FormatCSV:
		return e.csv()
	case FormatJSON:
		b, err := json.MarshalIndent(e, "", "  ")
		return append(b, '\n'), err
	case FormatText:
	}
	return []byte(e.text()), nil
}

// csv gives two columns with a line of their names, lines ended by CRLF (RFC 4180).
func (e *Export) csv() ([]byte, error) {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	_ = w.Write([]string{"from", "to"}) // a builder takes everything
	for _, f := range e.Forwards {
		_ = w.Write([]string{harmless(f.From), harmless(f.To)})
	}
	w.Flush()
	return []byte(b.String()), w.Error()
}

// harmless is an address that no spreadsheet takes for a formula: one that begins with =, + or - as a quoted string, which is
// the same address (RFC 5321 §4.1.2).
func harmless(address string) string {
	if i := strings.LastIndexByte(address, '@'); i > 0 && strings.IndexByte("=+-@|%", address[0]) >= 0 {
		return `"` + address[:i] + `"` + address[i:]
	}
	return address
}

// text is for a person who has never heard of this server: what to do, the list, and how it is done in common systems.
func (e *Export) text() string {
	var b strings.Builder
	p := func(lines ...string) {
		for _, l := range lines {
			b.WriteString(l + "\n")
		}
	}
	p("Forwards that the mail system of "+e.Primary+" is asked to make", "",
		"For each line below: send a copy of all mail that comes for the address on the left to the address on the right. The mail",
		"has to stay as it is: redirected, and not forwarded as a new message; nothing written below it, no mark in its subject, no",
		"address in it rewritten. Otherwise the signatures of its senders (DKIM) break, and it is taken for a forgery.", "")
	width := 0
	for _, f := range e.Forwards {
		width = max(width, len(f.From))
	}
	for _, f := range e.Forwards {
		p("    " + f.From + strings.Repeat(" ", width-len(f.From)) + "  " + f.To)
	}
	if len(e.Forwards) == 0 {
		p("    (none: there are no mailboxes or other addresses of " + e.Domain + " yet)")
		return b.String()
	}
	first := e.Forwards[0]
	p("", "The same list as a file forwards.csv with the columns \"from\" and \"to\":", "",
		"    postroad primary export "+e.Domain+" --format csv > forwards.csv", "",
		"Exchange and Microsoft 365, in PowerShell (automatic forwards to outside have to be allowed in the outbound spam policy):", "",
		"    Import-Csv forwards.csv | ForEach-Object { Set-Mailbox -Identity $_.from -ForwardingSmtpAddress $_.to -DeliverToMailboxAndForward $true }", "",
		"Google Workspace: Admin console, Gmail, Routing, \"Email forwarding using recipient address map\", Bulk add: the lines of",
		"forwards.csv but the first, with \"Also route to original destination\".", "",
		"cPanel and others that import forwarders: forwards.csv has the source in its first column and the destination in its second.", "",
		"Postfix, in virtual_alias_maps, one line for each:", "",
		"    "+first.From+"  "+first.From+", "+first.To, "",
		"Exim and Sendmail, in the file of aliases of "+e.Primary+":", "",
		"    "+local(first.From)+": \\"+local(first.From)+", "+first.To)
	return b.String()
}

func local(address string) string { return address[:max(0, strings.LastIndexByte(address, '@'))] }

// ExportOf makes the list of some forwards.
func ExportOf(domain, primary string, list []Forward) Export {
	e := Export{Domain: domain, Primary: primary, Forwards: make([]Exported, 0, len(list))}
	for _, f := range list {
		e.Forwards = append(e.Forwards, Exported{From: f.From, To: f.To})
	}
	return e
}
