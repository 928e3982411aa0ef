package sim

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"
)

func TestCertificatesAsFiles(t *testing.T) {
	ca := NewCA(t)
	pair, err := tls.X509KeyPair(ca.Files("mx.example.net", "192.0.2.25"))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bytes.Clone(ca.PEM())) {
		t.Fatal("the authority's text has no certificate")
	}
	check := func(t *testing.T) {
		t.Helper()
		for _, name := range []string{"mx.example.net", "192.0.2.25"} {
			if _, err := certificate.Verify(x509.VerifyOptions{DNSName: name, Roots: pool, CurrentTime: time.Now()}); err != nil {
				t.Errorf("%s in %d: %v", name, time.Now().Year(), err)
			}
		}
	}
	check(t)
	synctest.Test(t, check) // whose clock begins in 2000
}
