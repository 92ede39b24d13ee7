// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package tlstest makes certificates for the servers and clients of tests.
package tlstest

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
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Authority makes certificates of a test, as PEM files: its own is ca.crt.
type Authority struct {
	tb   testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority returns an authority whose files end with the test.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{tb: tb, dir: tb.TempDir()}
	a.cert, a.key = a.issue("ca", true)
	return a
}

// Issue makes a certificate for 127.0.0.1 with a common name, as the files NAME.crt and NAME.key.
func (a *Authority) Issue(name string) {
	a.tb.Helper()
	a.issue(name, false)
}

// issue makes a certificate with its key, signed by the authority or, for its own, by itself.
func (a *Authority) issue(name string, isAuthority bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: isAuthority,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := template, key
	if !isAuthority {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a.tb, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.tb, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.tb, err)
	a.write(name+".crt", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", private)
	return cert, key
}

// write writes a PEM file.
func (a *Authority) write(name, kind string, der []byte) {
	a.tb.Helper()
	require.NoError(a.tb, os.WriteFile(a.Path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// Path returns the path of a file, such as ca.crt or NAME.key.
func (a *Authority) Path(name string) string { return filepath.Join(a.dir, name) }

// Client returns the settings of a client that trusts the authority, with the certificate of a name, or with none.
func (a *Authority) Client(name string) *tls.Config {
	a.tb.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	settings := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if name != "" {
		cert, err := tls.LoadX509KeyPair(a.Path(name+".crt"), a.Path(name+".key"))
		require.NoError(a.tb, err)
		settings.Certificates = []tls.Certificate{cert}
	}
	return settings
}
