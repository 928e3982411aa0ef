package smtp

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseExtensions(t *testing.T) {
	none := Extensions{Size: -1}
	tests := []struct {
		name, text string
		want       Extensions
	}{
		{"none", "mx.example.org", none},
		{"greeting is no extension", "PIPELINING", none},
		{
			"all", "mx\nPIPELINING\n8bitmime\nSMTPUTF8\nCHUNKING\nDSN\nSTARTTLS\nENHANCEDSTATUSCODES\nREQUIRETLS\nSIZE 1000\n" +
				"AUTH PLAIN login\nLIMITS RCPTMAX=10 MAILMAX=20 RCPTDOMAINMAX=1",
			Extensions{
				Pipelining: true, EightBitMIME: true, SMTPUTF8: true, Chunking: true, DSN: true, StartTLS: true, Enhanced: true,
				RequireTLS: true, Size: 1000, Auth: []string{"PLAIN", "LOGIN"}, RcptMax: 10, MailMax: 20,
			},
		},
		{"size without value", "mx\nSIZE", Extensions{}},
		{"size of nonsense", "mx\nSIZE lots", Extensions{}},
		{"old auth", "mx\nAUTH PLAIN\nAUTH=PLAIN CRAM-MD5", Extensions{Size: -1, Auth: []string{"PLAIN", "CRAM-MD5"}}},
		{"bad limits", "mx\nLIMITS RCPTMAX=-1 MAILMAX=99999999999 X", none},
		{"unknown", "mx\nPIPELININGX\nXFOO bar\n", none},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, parseExtensions(tt.text)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}
