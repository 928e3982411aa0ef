package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// CA issues certificates. They hold from 1990 to 2100, so that they are good under a synctest clock, which
// begins in 2000, as well as under the real one.
type CA struct {
	tb          testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewCA makes an authority with a fresh key.
func NewCA(tb testing.TB) *CA {
	tb.Helper()
	ca := &CA{tb: tb, key: newKey(tb)}
	template := template("Test Authority", year(1990), year(2100))
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, ca.key.Public(), ca.key)
	if err != nil {
		tb.Fatalf("certificate of the test authority: %v", err)
	}
	if ca.certificate, err = x509.ParseCertificate(der); err != nil {
		tb.Fatalf("certificate of the test authority: %v", err)
	}
	return ca
}

// Pool holds the authority's certificate, for a client that trusts it.
func (c *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.certificate)
	return pool
}

// PEM is the authority's certificate as text, for programs that read it from a file.
func (c *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.certificate.Raw})
}

// TLS is a server's configuration with a good certificate for the names (or IP addresses). A certificate for the
// wrong name is one for another name.
func (c *CA) TLS(names ...string) *tls.Config {
	c.tb.Helper()
	return serverConfig(c.issue(year(1990), year(2100), names))
}

// Expired is like TLS with a certificate that ended in 1999.
func (c *CA) Expired(names ...string) *tls.Config {
	c.tb.Helper()
	return serverConfig(c.issue(year(1990), year(1999), names))
}

// OldTLS is like TLS, but speaks only TLS 1.0.
func (c *CA) OldTLS(names ...string) *tls.Config {
	c.tb.Helper()
	config := c.TLS(names...)
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	return config
}

// Files is a good certificate and its key as PEM text.
func (c *CA) Files(names ...string) (certificate, key []byte) {
	c.tb.Helper()
	issued := c.issue(year(1990), year(2100), names)
	der, err := x509.MarshalPKCS8PrivateKey(issued.PrivateKey)
	if err != nil {
		c.tb.Fatalf("key of a test certificate: %v", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (c *CA) issue(from, until time.Time, names []string) tls.Certificate {
	c.tb.Helper()
	key := newKey(c.tb)
	template := template("Test Server", from, until)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.certificate, key.Public(), c.key)
	if err != nil {
		c.tb.Fatalf("test certificate: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serverConfig(certificate tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
}

func template(name string, from, until time.Time) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		serial = big.NewInt(1)
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("key of a test certificate: %v", err)
	}
	return key
}

func year(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
