package idna

import (
	"errors"
	"strings"
	"testing"
)

func TestToASCII(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	name253 := strings.Join([]string{label63, label63, label63, strings.Repeat("b", 61)}, ".")
	tests := []struct{ in, want string }{
		{"example.com", "example.com"},
		{"EXAMPLE.Com", "example.com"},
		{"localhost", "localhost"},
		{"1.2.3.4", "1.2.3.4"},
		{"a-b.example", "a-b.example"},
		{"r3---sn.example", "r3---sn.example"},
		{"bücher.example", "xn--bcher-kva.example"},
		{"BÜCHER.Example", "xn--bcher-kva.example"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"XN--Bcher-KVA.example", "xn--bcher-kva.example"},
		{"straße.de", "xn--strae-oqa.de"},
		{"пример。рф", "xn--e1afmkfd.xn--p1ai"},
		{"ｅｘａｍｐｌｅ.com", "example.com"},
		{label63 + ".example", label63 + ".example"},
		{name253, name253},

		{"", ""},
		{".", ""},
		{"example.com.", ""},
		{"bücher.example.", ""},
		{"bücher.example。", ""},
		{".example.com", ""},
		{"a..b", ""},
		{"a_b.example", ""},
		{"ü_b.example", ""},
		{"-a.example", ""},
		{"a-.example", ""},
		{"a.example-", ""},
		{"ü-.example", ""},
		{"a b.example", ""},
		{"a\x00b.example", ""},
		{"a\r\n.example", ""},
		{"％.example", ""},
		{"a％b.example", ""},
		{"xn--.example", ""},
		{"xn--a.example", ""},
		{"xn--abc-.example", ""},
		{"xn--99999999.example", ""},
		{"a\xff.example", ""},
		{"a\u200d.example", ""},
		{"אa.example", ""},
		{label63 + "a.example", ""},
		{"ü" + label63 + ".example", ""},
		{name253 + "b", ""},
		{strings.Repeat("ü.", 2000) + "example", ""},
		{strings.Repeat("ü", 100000), ""},
	}
	for _, tt := range tests {
		got, err := ToASCII(tt.in)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("ToASCII(%.60q) = %q, %v; want %q", tt.in, got, err, tt.want)
		}
		if err != nil && !errors.Is(err, ErrName) {
			t.Errorf("ToASCII(%.60q): error %v does not wrap ErrName", tt.in, err)
		}
	}
}

func TestToASCIIService(t *testing.T) {
	tests := []struct{ in, want string }{
		{"_dmarc.example.com", "_dmarc.example.com"},
		{"S1._DomainKey.Example.com", "s1._domainkey.example.com"},
		{"mail_2024._domainkey.bücher.example", "mail_2024._domainkey.xn--bcher-kva.example"},
		{"_25._tcp.mx.example", "_25._tcp.mx.example"},
		{"_tcp", "_tcp"},
		{"example.com", "example.com"},
		{"_dmarc.", ""},
		{"._dmarc.example", ""},
		{"_dmarc..example", ""},
		{"_dmarc.example.", ""},
		{"_d marc.example", ""},
		{"_dü.example", ""},
		{"_" + strings.Repeat("a", 63) + ".example", ""},
		{strings.Repeat("_a.", 120) + "example.com", ""},
	}
	for _, tt := range tests {
		got, err := ToASCIIService(tt.in)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("ToASCIIService(%.60q) = %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestToUnicode(t *testing.T) {
	tests := []struct{ in, want string }{
		{"xn--bcher-kva.example", "bücher.example"},
		{"mail.XN--bcher-kva.example", "mail.bücher.example"},
		{"example.com", "example.com"},
		{"xn--99999999.example", "xn--99999999.example"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := ToUnicode(tt.in); got != tt.want {
			t.Errorf("ToUnicode(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestReadyNameCostsNoAllocation(t *testing.T) {
	for _, name := range []string{"mx1.example.com", "_dmarc.example.com"} {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := ToASCIIService(name); err != nil {
				t.Fatal(err)
			}
		}); n > 1 || n > 0 && name[0] != '_' {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzToASCII(f *testing.F) {
	for _, s := range []string{"example.com", "bücher.example", "xn--bcher-kva.example", "a。b", "אב.example", "xn--a-ecp.ru"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ToASCII(s)
		if err != nil {
			return
		}
		if again, err := ToASCII(a); err != nil || again != a {
			t.Errorf("ToASCII(%q) = %q, and of that %q, %v", s, a, again, err)
		}
		if !IsASCII(a) || len(a) > MaxName || strings.ToLower(a) != a || strings.HasSuffix(a, ".") {
			t.Errorf("ToASCII(%q) = %q", s, a)
		}
	})
}
