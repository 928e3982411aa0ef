package setup_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"postroad/internal/core/clientsetup"
	"postroad/internal/edge/setup"
)

func handler(s clientsetup.Service) http.Handler {
	mux := http.NewServeMux()
	setup.Register(mux, setup.Options{Service: s, Domain: func(text string) (string, bool) {
		name := strings.ToLower(text)
		return name, name == "acme.example"
	}})
	return mux
}

func whole() clientsetup.Service {
	return clientsetup.Service{Host: "mail.host.example", IMAPS: 993, IMAP: 143, Submissions: 465, Submission: 587, HTTPS: 443}
}

func ask(t *testing.T, h http.Handler, method, target, body string) (status int, header http.Header, answer string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body)))
	return w.Code, w.Result().Header, w.Body.String()
}

const wanted = `<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
<Request><EMailAddress>ann@acme.example</EMailAddress>
<AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
</Request></Autodiscover>`

func TestAutoconfig(t *testing.T) {
	h := handler(whole())
	for _, target := range []string{
		"http://autoconfig.acme.example/mail/config-v1.1.xml?emailaddress=ann%40acme.example",
		"http://acme.example/.well-known/autoconfig/mail/config-v1.1.xml",
		"http://autoconfig.acme.example:8080/mail/config-v1.1.xml",
		"http://whoever.example/mail/config-v1.1.xml?emailaddress=ann@ACME.example",
	} {
		status, header, body := ask(t, h, http.MethodGet, target, "")
		var got struct {
			Provider struct {
				ID       string `xml:"id,attr"`
				Incoming []struct {
					Host   string `xml:"hostname"`
					Port   int    `xml:"port"`
					Socket string `xml:"socketType"`
					User   string `xml:"username"`
				} `xml:"incomingServer"`
				Outgoing []struct {
					Port int `xml:"port"`
				} `xml:"outgoingServer"`
			} `xml:"emailProvider"`
		}
		if err := xml.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "application/xml") {
			t.Fatalf("%s: %d %v %s", target, status, err, body)
		}
		p := got.Provider
		if p.ID != "acme.example" || len(p.Incoming) != 2 || len(p.Outgoing) != 2 || p.Incoming[0].Port != 993 || p.Incoming[0].Socket != "SSL" ||
			p.Incoming[1].Socket != "STARTTLS" || p.Incoming[0].Host != "mail.host.example" || p.Incoming[0].User != "%EMAILADDRESS%" || p.Outgoing[0].Port != 465 {
			t.Errorf("%s: %+v", target, p)
		}
	}
}

func TestAutodiscover(t *testing.T) {
	h := handler(whole())
	for _, target := range []string{"/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml", "/AutoDiscover/AutoDiscover.XML"} {
		status, _, body := ask(t, h, http.MethodPost, target, wanted)
		for _, part := range []string{
			"<Type>IMAP</Type>", "<Type>SMTP</Type>", "<Server>mail.host.example</Server>", "<Port>993</Port>", "<Port>465</Port>",
			"<LoginName>ann@acme.example</LoginName>", `<Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a">`,
		} {
			if status != http.StatusOK || !strings.Contains(body, part) {
				t.Fatalf("%s: %d lacks %s: %s", target, status, part, body)
			}
		}
	}
	mobile := strings.ReplaceAll(wanted, "outlook/responseschema/2006a", "mobilesync/responseschema/2006")
	if status, _, body := ask(t, h, http.MethodPost, "/autodiscover/autodiscover.xml", mobile); status != http.StatusOK || !strings.Contains(body, "<ErrorCode>601</ErrorCode>") || strings.Contains(body, "IMAP</Type>") {
		t.Errorf("ActiveSync: %d %s", status, body)
	}
	_, _, body := ask(t, handler(clientsetup.Service{Host: "h.example", IMAP: 143, Submission: 587}), http.MethodPost, "/autodiscover/autodiscover.xml", wanted)
	if !strings.Contains(body, "<Encryption>TLS</Encryption>") || strings.Contains(body, "<Encryption>SSL") {
		t.Errorf("STARTTLS alone: %s", body)
	}
}

func TestAutodiscoverJSON(t *testing.T) {
	h := handler(whole())
	for _, target := range []string{
		"/autodiscover/autodiscover.json?Email=ann%40acme.example&Protocol=AutodiscoverV1",
		"/autodiscover/autodiscover.json/v1.0/ann@acme.example?Protocol=Autodiscoverv1",
	} {
		status, _, body := ask(t, h, http.MethodGet, target, "")
		var got map[string]string
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != http.StatusOK || got["Url"] != "https://mail.host.example/autodiscover/autodiscover.xml" {
			t.Errorf("%s: %d %s", target, status, body)
		}
	}
	if status, _, body := ask(t, h, http.MethodGet, "/autodiscover/autodiscover.json?Email=ann@acme.example&Protocol=EWS", ""); status != http.StatusBadRequest || !strings.Contains(body, "InvalidProtocol") {
		t.Errorf("EWS: %d %s", status, body)
	}
}

func TestProfile(t *testing.T) {
	status, header, body := ask(t, handler(whole()), http.MethodGet, "/mail/profile.mobileconfig?email=ann%40acme.example", "")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "application/x-apple-aspen-config") || header.Get("Content-Disposition") != `attachment; filename="acme.example.mobileconfig"` {
		t.Fatalf("%d %v", status, header)
	}
	decoder, depth := xml.NewDecoder(strings.NewReader(body)), 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
	for _, part := range []string{"<key>IncomingMailServerPortNumber</key>\n<integer>993</integer>", "<key>OutgoingMailServerUsername</key>\n<string>ann@acme.example</string>", "<string>example.acme.postroad</string>"} {
		if depth != 0 || !strings.Contains(body, part) {
			t.Errorf("lacks %s: %s", part, body)
		}
	}
	if _, _, again := ask(t, handler(whole()), http.MethodGet, "/mail/profile.mobileconfig?email=ann%40acme.example", ""); again != body {
		t.Error("the same address has another profile")
	}
}

// The answer for an address that exists and one that does not is the same but for the address itself, and what is no
// domain of ours gets none.
func TestStrangers(t *testing.T) {
	h := handler(whole())
	evil := `"<script>&`
	for _, c := range []struct {
		method, target, body string
		status               int
	}{
		{"GET", "/mail/config-v1.1.xml?emailaddress=a@elsewhere.example", "", 404},
		{"GET", "http://elsewhere.example/mail/config-v1.1.xml", "", 404},
		{"GET", "/mail/config-v1.1.xml?emailaddress=nobody", "", 400},
		{"GET", "/mail/config-v1.1.xml?emailaddress=@acme.example", "", 400},
		{"GET", "/mail/profile.mobileconfig", "", 400},
		{"GET", "/mail/profile.mobileconfig?email=a%0Ab@acme.example", "", 400},
		{"GET", "/mail/profile.mobileconfig?email=" + strings.Repeat("a", 400) + "@acme.example", "", 400},
		{"POST", "/mail/config-v1.1.xml", "", 405},
		{"POST", "/autodiscover/autodiscover.xml", "no xml", 400},
		{"POST", "/autodiscover/autodiscover.xml", "<a>" + strings.Repeat("x", 70_000) + "</a>", 400},
		{"POST", "/autodiscover/autodiscover.xml", strings.ReplaceAll(wanted, "acme.example", "elsewhere.example"), 404},
		{"POST", "/autodiscover/autodiscover.json", "", 404},
		{"DELETE", "/autodiscover/autodiscover.xml", "", 404},
		{"GET", "/autodiscover/other.xml", "", 404},
	} {
		if status, _, body := ask(t, h, c.method, c.target, c.body); status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.target, status, body)
		}
	}
	_, _, body := ask(t, h, http.MethodGet, "/mail/profile.mobileconfig?email=%22%3Cscript%3E%26@acme.example", "")
	if strings.Contains(body, "<script>") || !strings.Contains(body, "&lt;script&gt;&amp;@acme.example") {
		t.Errorf("%s: %s", evil, body)
	}
	if status, _, _ := ask(t, handler(clientsetup.Service{Host: "h.example", IMAPS: 993}), http.MethodGet, "http://acme.example/mail/config-v1.1.xml", ""); status != http.StatusNotFound {
		t.Errorf("without a server to send by: %d", status)
	}
}
