// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package rabbitqueue_test

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
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill/queuetest"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
)

// authority makes certificates of a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", true)
	return a
}

// issue makes a certificate with its key, both in PEM files, signed by the authority or, for its own, by itself.
func (a *authority) issue(name string, own bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(
			-time.Hour,
		),
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
		IsCA:                  own,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{
			x509.ExtKeyUsageServerAuth,
			x509.ExtKeyUsageClientAuth,
		},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signer := template, key
	if !own {
		template.ExtKeyUsage = append(template.ExtKeyUsage[:0:0], template.ExtKeyUsage...)
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	a.write(name+".crt", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", private)
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// client is the settings of a client, with a certificate of the given name or none.
func (a *authority) client(name string) *tls.Config {
	a.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	settings := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if name != "" {
		cert, err := tls.LoadX509KeyPair(a.path(name+".crt"), a.path(name+".key"))
		require.NoError(a.t, err)
		settings.Certificates = []tls.Certificate{cert}
	}
	return settings
}

// TestTLS: with a password, with the client's certificate alone, and refused without either.
func TestTLS(t *testing.T) {
	a := newAuthority(t)
	a.issue("server", false)
	a.issue("githubexporter", false)
	stranger := newAuthority(t)
	address := proctest.FreeAddress(t)
	s := rabbittest.Start(
		t,
		"listeners.ssl.1 = "+address,
		"ssl_options.cacertfile = "+a.path("ca.crt"),
		"ssl_options.certfile = "+a.path("server.crt"),
		"ssl_options.keyfile = "+a.path(
			"server.key",
		),
		"ssl_options.verify = verify_peer",
		"ssl_options.fail_if_no_peer_cert = false",
		"auth_mechanisms.1 = PLAIN",
		"auth_mechanisms.2 = EXTERNAL",
		"ssl_cert_login_from = common_name",
	)
	s.Rabbitmqctl("add_user", "githubexporter", "unused")
	s.Rabbitmqctl("clear_password", "githubexporter")
	s.Rabbitmqctl("set_permissions", "githubexporter", ".*", ".*", ".*")
	secure := func(settings *rabbitqueue.Settings) {
		settings.URL = "amqps://" + address + "/"
		settings.TLS = a.client("")
	}
	t.Run("password", func(t *testing.T) {
		f := startQueue(t, s, secure).awaitConnected(t)
		publish(t, f, queuetest.NewJobs(3)...)
	})
	t.Run("certificate", func(t *testing.T) {
		f := startQueue(t, s, secure, func(settings *rabbitqueue.Settings) {
			settings.TLS, settings.Auth = a.client("githubexporter"), rabbitqueue.ExternalAuth()
		}).awaitConnected(t)
		publish(t, f, queuetest.NewJobs(3)...)
		require.Contains(t, s.Rabbitmqctl("list_connections", "user", "auth_mechanism"), "githubexporter\tEXTERNAL")
	})
	refused := func(want string, change ...func(*rabbitqueue.Settings)) {
		t.Helper()
		f := startQueue(t, s, append([]func(*rabbitqueue.Settings){secure}, change...)...)
		eventually(
			t,
			want,
			func() bool { return f.connError() != nil && strings.Contains(f.connError().Error(), want) },
		)
	}
	t.Run("no certificate", func(*testing.T) {
		refused("connect:", func(settings *rabbitqueue.Settings) { settings.Auth = rabbitqueue.ExternalAuth() })
	})
	t.Run("another authority", func(*testing.T) {
		refused(
			"certificate signed by unknown authority",
			func(settings *rabbitqueue.Settings) { settings.TLS = stranger.client("") },
		)
	})
}
