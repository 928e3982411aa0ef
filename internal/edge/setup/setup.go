// Package setup tells mail programs how to reach the servers of a domain's users: the autoconfig of Thunderbird and
// others, the Autodiscover of Microsoft's programs (POX, and JSON v2 that leads to it), and a configuration profile for
// Apple's.
//
// Everybody may ask. An answer depends on the domain of an address alone: it is the same for one that exists and one that
// does not.
//
// # Failure
//
// 404 for a domain whose users have no mailboxes here, 400 for what is no address. Nothing is asked of the store.
package setup

import (
	"crypto/sha256"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"postroad/internal/core/clientsetup"
)

const (
	maxRequest = 64 << 10 // octets of a request's body
	maxAddress = 320      // octets of an address
)

// Options are what the handler is made of.
type Options struct {
	Service clientsetup.Service
	// Domain gives the A-label of a domain whose users have their mailboxes here, as people write it.
	Domain func(text string) (name string, served bool)
}

type handler struct {
	Options
}

// Register has a mux answer mail programs, where the service can be offered.
func Register(mux *http.ServeMux, o Options) {
	if !o.Service.Offered() {
		return
	}
	h := &handler{Options: o}
	mux.HandleFunc("GET /mail/config-v1.1.xml", h.autoconfig)
	mux.HandleFunc("GET /.well-known/autoconfig/mail/config-v1.1.xml", h.autoconfig)
	mux.HandleFunc("GET /mail/profile.mobileconfig", h.profile)
	for _, spelling := range []string{"autodiscover", "Autodiscover", "AutoDiscover"} {
		mux.HandleFunc("/"+spelling+"/{file...}", h.autodiscover)
	}
}

// user is whom a program asks for.
type user struct {
	address string // empty where only the domain is known
	domain  string // A-label
}

// find finds the domain of an address, or of a request's host where no address is given. It answers where there is none.
func (h *handler) find(w http.ResponseWriter, r *http.Request, address string) (user, bool) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	name := host(r)
	if address != "" {
		at := strings.LastIndexByte(address, '@')
		if at < 1 || len(address) > maxAddress || !utf8.ValidString(address) || strings.ContainsFunc(address, unicode.IsControl) {
			http.Error(w, "This is no address of mail.", http.StatusBadRequest)
			return user{}, false
		}
		name = address[at+1:]
	}
	domain, served := h.Domain(name)
	if !served {
		http.Error(w, "Users of this domain have no mailboxes here.", http.StatusNotFound)
		return user{}, false
	}
	return user{address: address, domain: domain}, true
}

// host is the domain that a request's host stands for.
func host(r *http.Request) string {
	name := r.Host
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	name = strings.ToLower(name)
	for _, label := range []string{"autoconfig.", "autodiscover."} {
		name = strings.TrimPrefix(name, label)
	}
	return name
}

// server is one way to reach a server.
type server struct {
	port uint16
	tls  bool // from the first octet; else STARTTLS
}

func offered(tls, starttls uint16) []server {
	var out []server
	if tls != 0 {
		out = append(out, server{tls, true})
	}
	if starttls != 0 {
		out = append(out, server{starttls, false})
	}
	return out
}

func (h *handler) incoming() []server { return offered(h.Service.IMAPS, h.Service.IMAP) }

func (h *handler) outgoing() []server { return offered(h.Service.Submissions, h.Service.Submission) }

// clientConfig is the answer of autoconfig.
type clientConfig struct {
	XMLName  xml.Name `xml:"clientConfig"`
	Version  string   `xml:"version,attr"`
	Provider struct {
		ID        string       `xml:"id,attr"`
		Domain    string       `xml:"domain"`
		Name      string       `xml:"displayName"`
		ShortName string       `xml:"displayShortName"`
		Incoming  []mailServer `xml:"incomingServer"`
		Outgoing  []mailServer `xml:"outgoingServer"`
	} `xml:"emailProvider"`
}

type mailServer struct {
	Type           string `xml:"type,attr"`
	Host           string `xml:"hostname"`
	Port           uint16 `xml:"port"`
	Socket         string `xml:"socketType"`
	User           string `xml:"username"`
	Authentication string `xml:"authentication"`
}

func (h *handler) autoconfig(w http.ResponseWriter, r *http.Request) {
	u, ok := h.find(w, r, r.FormValue("emailaddress"))
	if !ok {
		return
	}
	c := clientConfig{Version: "1.1"}
	c.Provider.ID, c.Provider.Domain, c.Provider.Name, c.Provider.ShortName = u.domain, u.domain, u.domain, u.domain
	list := func(kind string, servers []server) []mailServer {
		out := make([]mailServer, 0, len(servers))
		for _, s := range servers {
			m := mailServer{Type: kind, Host: h.Service.Host, Port: s.port, Socket: "STARTTLS", User: "%EMAILADDRESS%", Authentication: "password-cleartext"}
			if s.tls {
				m.Socket = "SSL"
			}
			out = append(out, m)
		}
		return out
	}
	c.Provider.Incoming, c.Provider.Outgoing = list("imap", h.incoming()), list("smtp", h.outgoing())
	answerXML(w, c)
}

func answerXML(w http.ResponseWriter, v any) {
	text, err := xml.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "The answer cannot be written.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/xml; charset=utf-8")
	_, _ = io.WriteString(w, xml.Header+string(text)+"\n")
}

// autodiscover answers what lies in the folder of that name, whatever the case of a file's name.
func (h *handler) autodiscover(w http.ResponseWriter, r *http.Request) {
	file := strings.ToLower(r.PathValue("file"))
	address, isJSON := strings.CutPrefix(file, "autodiscover.json")
	switch {
	case file == "autodiscover.xml" && (r.Method == http.MethodPost || r.Method == http.MethodGet):
		h.pox(w, r)
	case isJSON && r.Method == http.MethodGet:
		h.json(w, r, strings.TrimPrefix(address, "/v1.0/"))
	default:
		http.NotFound(w, r)
	}
}

// asked is a request of POX Autodiscover.
type asked struct {
	Request struct {
		Address string `xml:"EMailAddress"`
		Schema  string `xml:"AcceptableResponseSchema"`
	} `xml:"Request"`
}

// Namespaces of POX Autodiscover.
const (
	poxSpace     = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
	outlookSpace = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
)

type pox struct {
	XMLName  xml.Name `xml:"Autodiscover"`
	Space    string   `xml:"xmlns,attr"`
	Response struct {
		Space   string      `xml:"xmlns,attr"`
		User    *poxUser    `xml:"User"`
		Account *poxAccount `xml:"Account"`
		Error   *poxError   `xml:"Error"`
	} `xml:"Response"`
}

type poxUser struct {
	Name string `xml:"DisplayName"`
}

type poxAccount struct {
	Type      string        `xml:"AccountType"`
	Action    string        `xml:"Action"`
	Protocols []poxProtocol `xml:"Protocol"`
}

type poxProtocol struct {
	Type           string `xml:"Type"`
	Server         string `xml:"Server"`
	Port           uint16 `xml:"Port"`
	DomainRequired string `xml:"DomainRequired"`
	Login          string `xml:"LoginName"`
	SPA            string `xml:"SPA"`
	SSL            string `xml:"SSL"`
	Encryption     string `xml:"Encryption"`
	AuthRequired   string `xml:"AuthRequired"`
}

type poxError struct {
	Code    int    `xml:"ErrorCode"`
	Message string `xml:"Message"`
}

func (h *handler) pox(w http.ResponseWriter, r *http.Request) {
	var in asked
	if r.Method == http.MethodPost {
		if err := xml.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&in); err != nil {
			http.Error(w, "This is no request of Autodiscover.", http.StatusBadRequest)
			return
		}
	} else {
		in.Request.Address = r.FormValue("email")
	}
	u, ok := h.find(w, r, strings.TrimSpace(in.Request.Address))
	if !ok {
		return
	}
	out := pox{Space: poxSpace}
	if s := strings.TrimSpace(in.Request.Schema); s != "" && s != outlookSpace { // such as that of ActiveSync
		out.Response.Space = poxSpace
		out.Response.Error = &poxError{Code: 601, Message: "Only IMAP and SMTP are spoken here."}
		answerXML(w, out)
		return
	}
	out.Response.Space = outlookSpace
	out.Response.User = &poxUser{Name: u.address}
	account := &poxAccount{Type: "email", Action: "settings"}
	for _, p := range []struct {
		kind    string
		servers []server
	}{{"IMAP", h.incoming()}, {"SMTP", h.outgoing()}} {
		encryption := "TLS"
		if p.servers[0].tls {
			encryption = "SSL"
		}
		account.Protocols = append(account.Protocols, poxProtocol{
			Type: p.kind, Server: h.Service.Host, Port: p.servers[0].port, DomainRequired: "off", Login: u.address, SPA: "off", SSL: "on",
			Encryption: encryption, AuthRequired: "on",
		})
	}
	out.Response.Account = account
	answerXML(w, out)
}

// json leads to POX Autodiscover, the only protocol of it that is spoken here.
func (h *handler) json(w http.ResponseWriter, r *http.Request, address string) {
	if address == "" {
		address = r.FormValue("Email")
	}
	if _, ok := h.find(w, r, address); !ok {
		return
	}
	if !strings.EqualFold(r.FormValue("Protocol"), "AutodiscoverV1") || h.Service.HTTPS == 0 {
		answerJSON(w, http.StatusBadRequest, map[string]string{"ErrorCode": "InvalidProtocol", "ErrorMessage": "Only AutodiscoverV1 is spoken here."})
		return
	}
	to := url.URL{Scheme: "https", Host: h.Service.Host, Path: "/autodiscover/autodiscover.xml"}
	if h.Service.HTTPS != 443 {
		to.Host = net.JoinHostPort(h.Service.Host, strconv.Itoa(int(h.Service.HTTPS)))
	}
	answerJSON(w, http.StatusOK, map[string]string{"Protocol": "AutodiscoverV1", "Url": to.String()})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// profile gives a configuration profile for an address.
func (h *handler) profile(w http.ResponseWriter, r *http.Request) {
	address := r.FormValue("email")
	if address == "" {
		http.Error(w, "Name an address: ?email=ADDRESS", http.StatusBadRequest)
		return
	}
	u, ok := h.find(w, r, address)
	if !ok {
		return
	}
	in, out := h.incoming()[0], h.outgoing()[0]
	mail := plist{
		{"PayloadType", "com.apple.mail.managed"},
		{"PayloadVersion", 1},
		{"PayloadIdentifier", identifier(u.domain) + ".mail"},
		{"PayloadUUID", uuid("mail", u.address)},
		{"PayloadDisplayName", u.address},
		{"EmailAccountType", "EmailTypeIMAP"},
		{"EmailAccountDescription", u.address},
		{"EmailAddress", u.address},
		{"IncomingMailServerAuthentication", "EmailAuthPassword"},
		{"IncomingMailServerHostName", h.Service.Host},
		{"IncomingMailServerPortNumber", int(in.port)},
		{"IncomingMailServerUseSSL", true},
		{"IncomingMailServerUsername", u.address},
		{"OutgoingMailServerAuthentication", "EmailAuthPassword"},
		{"OutgoingMailServerHostName", h.Service.Host},
		{"OutgoingMailServerPortNumber", int(out.port)},
		{"OutgoingMailServerUseSSL", true},
		{"OutgoingMailServerUsername", u.address},
		{"OutgoingPasswordSameAsIncomingPassword", true},
	}
	whole := plist{
		{"PayloadType", "Configuration"},
		{"PayloadVersion", 1},
		{"PayloadIdentifier", identifier(u.domain)},
		{"PayloadUUID", uuid("profile", u.address)},
		{"PayloadDisplayName", u.address},
		{"PayloadDescription", "Mail for " + u.address},
		{"PayloadContent", []plist{mail}},
	}
	w.Header().Set("Content-Type", "application/x-apple-aspen-config; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+u.domain+`.mobileconfig"`)
	_, _ = io.WriteString(w, whole.document())
}

// identifier is a domain from its end, as Apple names payloads.
func identifier(domain string) string {
	labels := strings.Split(domain, ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".") + ".postroad"
}

// uuid is the same for the same address, so that a profile that is fetched again takes the place of the one before
// (RFC 9562 §5.8).
func uuid(what, address string) string {
	h := sha256.Sum256([]byte(what + " " + address))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
