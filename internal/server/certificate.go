package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// selfSigned gives a self-signed certificate that is made once and kept in the data folder: good enough against
// listeners, and for clients that are told to trust it. It is needed where nothing is configured, and until a certificate
// has been fetched.
func (s *Server) selfSigned() (tls.Certificate, error) {
	certFile, keyFile := filepath.Join(s.cfg.DataDir, "self-signed.crt"), filepath.Join(s.cfg.DataDir, "self-signed.key")
	err := makeSelfSigned(certFile, keyFile, s.cfg.Hostname)
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: %w", err)
	}
	return pair, nil
}

// selfSignedYears is how long a self-signed certificate is good for. Nobody checks it against a list of issuers.
const selfSignedYears = 10

// makeSelfSigned makes certificate and key unless both are there already for this name.
func makeSelfSigned(certFile, keyFile, name string) error {
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil && pair.Leaf.VerifyHostname(name) == nil {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(selfSignedYears, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}
