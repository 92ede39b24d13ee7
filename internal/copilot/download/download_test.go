// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package download

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

// secret is the part of each link that no error may have.
const secret = "sig=TOPSECRET"

// serve starts a host for files and returns a client that trusts it, with the host's address on its list.
func serve(t *testing.T, handler http.HandlerFunc, change ...func(*Settings)) (*Client, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	settings := Settings{
		Hosts: []string{"127.0.0.1", "localhost"}, TLS: server.Client().Transport.(*http.Transport).TLSClientConfig,
		UserAgent: "test", Timeout: 5 * time.Second,
	}
	settings.TLS.ServerName = "example.com"
	for _, apply := range change {
		apply(&settings)
	}
	client, err := New(settings)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client, server.URL
}

// read returns the content behind a link. An error must not have the link in it, in any form.
func read(t *testing.T, c *Client, link string) (string, error) {
	t.Helper()
	var content []byte
	err := c.Read(t.Context(), link, func(file io.Reader) error {
		var err error
		content, err = io.ReadAll(file)
		return err
	})
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", cause, cause, cause), secret)
	}
	return string(content), err
}

func requireReason(t *testing.T, want Reason, err error) *Error {
	t.Helper()
	failure, ok := errors.AsType[*Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, want.String(), failure.Reason.String(), err)
	require.NotEmpty(t, failure.Error())
	return failure
}

// TestRead checks the content, and that nothing is sent that the host should not see.
func TestRead(t *testing.T) {
	t.Parallel()
	var received *http.Request
	c, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		received = r.Clone(context.Background())
		w.Header().Set("Content-Encoding", "gzip")
		out := gzip.NewWriter(w)
		_, _ = out.Write([]byte("{}\n"))
		_ = out.Close()
	})
	content, err := read(t, c, host+"/v0/a%2Fb.json?se=2026&"+secret)
	require.NoError(t, err)
	require.Equal(t, "{}\n", content)
	require.Equal(t, "/v0/a%2Fb.json?se=2026&"+secret, received.URL.RequestURI())
	require.Equal(t, http.Header{"User-Agent": {"test"}, "Accept-Encoding": {"gzip"}}, received.Header)

	own := errors.New("not a report")
	require.Equal(t, own, c.Read(t.Context(), host, func(io.Reader) error { return own }))
}

func TestRefusedLinks(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	c, host := serve(t, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(host, "https://"))
	require.NoError(t, err)
	for link, want := range map[string]Reason{
		"http://127.0.0.1:" + port + "/?" + secret:               ReasonLink,
		"file:///etc/passwd?" + secret:                           ReasonLink,
		"https:opaque?" + secret:                                 ReasonLink,
		"https://user:" + secret + "@127.0.0.1:" + port:          ReasonLink,
		"https:///path?" + secret:                                ReasonLink,
		"\x7f" + secret:                                          ReasonLink,
		"/path?" + secret:                                        ReasonLink,
		"https://example.org/?" + secret:                         ReasonHost,
		"https://127.0.0.2/?" + secret:                           ReasonHost,
		"https://[::1]:" + port + "/?" + secret:                  ReasonHost,
		"https://127.0.0.1.example.org/?" + secret:               ReasonHost,
		"https://localhost:" + port + "/?" + secret + "&private": 0, // resolves to an address that the list names
	} {
		_, err := read(t, c, link)
		if want == 0 && strings.HasSuffix(link, "private") {
			require.NoError(t, err)
			continue
		}
		_ = requireReason(t, want, err)
	}
	require.Equal(t, int64(1), requests.Load())
}

// TestPrivateAddressOfAListedName is what a name server of another could answer for a name that is on the list.
func TestPrivateAddressOfAListedName(t *testing.T) {
	t.Parallel()
	c, host := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") },
		func(s *Settings) { s.Hosts = []string{"localhost"} })
	_, err := read(t, c, strings.Replace(host, "127.0.0.1", "localhost", 1)+"/?"+secret)
	require.NotNil(t, requireReason(t, ReasonAddress, err))
	require.False(t, IsExpired(err))
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	targets := map[string]string{}
	c, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if referer := r.Header.Get("Referer"); referer != "" {
			t.Errorf("the page before was sent: %s", referer)
		}
		if target, ok := targets[r.URL.Path]; ok {
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "found")
	})
	targets["/here"] = "/end?" + secret
	targets["/twice"] = host + "/here?" + secret
	targets["/loop"] = "/loop?" + secret
	targets["/off"] = "https://example.org/?" + secret
	targets["/plain"] = strings.Replace(host, "https", "http", 1) + "/?" + secret
	targets["/user"] = strings.Replace(host, "https://", "https://a:b@", 1) + "/?" + secret
	targets["/private"] = "https://10.0.0.1/?" + secret
	targets["/invalid"] = "https://[::" + secret
	for path, want := range map[string]Reason{
		"/loop": ReasonRedirect, "/off": ReasonRedirect, "/plain": ReasonRedirect, "/user": ReasonRedirect,
		"/private": ReasonRedirect, "/invalid": ReasonNetwork,
	} {
		_, err := read(t, c, host+path+"?"+secret)
		_ = requireReason(t, want, err)
	}
	for _, path := range []string{"/here", "/twice"} {
		content, err := read(t, c, host+path)
		require.NoError(t, err)
		require.Equal(t, "found", content)
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	status := 0
	c, host := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		if status != http.StatusNotModified && status != http.StatusNoContent {
			_, _ = io.WriteString(w, "<Error><Code>AuthenticationFailed</Code>"+secret)
		}
	})
	for status = range 600 {
		want, isTransient := ReasonStatus, status == 429 || status >= 500
		switch status {
		case 200:
			continue
		case 401, 403:
			want = ReasonExpired
		case 404, 410:
			want = ReasonMissing
		}
		if status < 201 {
			continue
		}
		_, err := read(t, c, host+"/?"+secret)
		failure := requireReason(t, want, err)
		require.Equal(t, status, failure.Status)
		require.Equal(t, isTransient, failure.IsTransient(), status)
		require.Equal(t, want == ReasonExpired, IsExpired(err))
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	blocked := make(chan struct{})
	defer close(blocked)
	c, host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat("x", 2000))
		case "/fits":
			_, _ = io.WriteString(w, strings.Repeat("x", 1000))
		case "/slow":
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			<-blocked
		case "/silent":
			<-blocked
		case "/short":
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "x")
		case "/reset":
			panic(http.ErrAbortHandler)
		}
	}, func(s *Settings) { s.MaxBytes, s.Timeout = 1000, 300*time.Millisecond })
	for path, want := range map[string]Reason{
		"/large": ReasonSize, "/slow": ReasonTimeout, "/silent": ReasonTimeout, "/reset": ReasonNetwork,
	} {
		_, err := read(t, c, host+path+"?"+secret)
		failure := requireReason(t, want, err)
		require.Equal(t, want != ReasonSize, failure.IsTransient())
	}
	content, err := read(t, c, host+"/fits")
	require.NoError(t, err)
	require.Len(t, content, 1000)
	_, err = read(t, c, host+"/short")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)

	reason := errors.New("the term is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	require.Equal(t, reason, c.Read(ctx, host+"/fits", func(io.Reader) error { return nil }))
}

func TestConnections(t *testing.T) {
	t.Parallel()
	_, host := serve(t, func(http.ResponseWriter, *http.Request) {})
	stranger, err := New(Settings{Hosts: []string{"127.0.0.1"}, TLS: &tls.Config{MinVersion: tls.VersionTLS12}})
	require.NoError(t, err)
	_, err = read(t, stranger, host+"/?"+secret)
	require.ErrorAs(t, requireReason(t, ReasonNetwork, err), new(*tls.CertificateVerificationError))
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	_, err = read(t, stranger, "https://"+listener.Addr().String()+"/?"+secret)
	require.ErrorContains(t, requireReason(t, ReasonNetwork, err), "refused")
}

// TestProxy reads through a proxy, which has a private address and resolves the names of hosts.
func TestProxy(t *testing.T) {
	t.Parallel()
	target, asked := "", ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.Host
		upstream, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", target)
		if err != nil {
			t.Error(err)
			return
		}
		w.WriteHeader(http.StatusOK)
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			_, _ = io.Copy(upstream, client)
			_ = upstream.Close()
		}()
		_, _ = io.Copy(client, upstream)
		_ = client.Close()
	}))
	t.Cleanup(proxy.Close)
	address, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	c, host := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "found") },
		func(s *Settings) { s.Proxy, s.Hosts = http.ProxyURL(address), nil })
	target = strings.TrimPrefix(host, "https://")
	content, err := read(t, c, "https://copilot-reports.github.com/file?"+secret)
	require.NoError(t, err)
	require.Equal(t, "found", content)
	require.Equal(t, "CONNECT copilot-reports.github.com:443", asked)
	c.Close()
}

func TestHosts(t *testing.T) {
	t.Parallel()
	list, err := newHostList(append(DefaultHosts(), "Files.Example.com", "10.1.2.3", "[::1]"))
	require.NoError(t, err)
	for host, want := range map[string]bool{
		"copilot-reports.github.com": true, "COPILOT-reports.github.com": true, "copilot-reports.github.com.": true,
		"copilot-reports.acme.ghe.com": true, "copilot-reports-prod.b01.azurefd.net": true,
		"usagereports.blob.core.windows.net": true, "usagereports7.blob.core.windows.net": true,
		"files.example.com": true, "10.1.2.3": true, "::1": true, "::ffff:10.1.2.3": true,
		"github.com": false, "xcopilot-reports.github.com": false, "copilot-reports.github.com.evil.example": false,
		"copilot-reports.a.b.ghe.com": false, "copilot-reports.ghe.com": false,
		"usagereports.evil.blob.core.windows.net": false,
		"usagereports/.blob.core.windows.net":     false, "10.1.2.4": false, "": false, ".": false, "*": false,
	} {
		require.Equal(t, want, list.match(host), host)
	}
	for _, text := range []string{
		"", "https://a.example", "a.example:443", "a..b", "a b", ".a", "a.", "a/b", "[a]", "a?b",
		"ä.example",
	} {
		require.Error(t, CheckHost(text), text)
	}
	_, err = New(Settings{Hosts: []string{"a:1"}})
	require.ErrorContains(t, err, "a:1")
	for _, text := range []string{"*", "a*b.*.example", "127.0.0.1", "::1"} {
		require.NoError(t, CheckHost(text), text)
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"140.82.112.3": true, "2606:50c0:8000::154": true, "::ffff:140.82.112.3": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "::ffff:127.0.0.1": false, "::127.0.0.1": false,
		"10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "fd00::1": false,
		"169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "::ffff:169.254.169.254": false,
		"0.0.0.0": false, "0.1.2.3": false, "::": false, "100.100.100.200": false, "224.0.0.1": false, "ff02::1": false,
		"255.255.255.255": false, "240.0.0.1": false, "64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false,
		"198.18.0.1": false, "192.0.2.1": false, "fec0::1": false, "2001:db8::1": false,
	} {
		require.Equal(t, want, isPublic(netip.MustParseAddr(text)), text)
	}
	require.False(t, isPublic(netip.Addr{}))
}

// FuzzLink reads any link from a list without hosts that answer: none may be requested, and no error may have the
// link's query.
func FuzzLink(f *testing.F) {
	for _, link := range []string{
		"https://a.example/?x", "http://127.0.0.1", "https://[::1%25lo]/", "https://a@b/", "//x", "https://%41/",
	} {
		f.Add(link)
	}
	c, err := New(Settings{Hosts: []string{"never.invalid"}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, link string) {
		target, err := c.parse(link + "?" + secret)
		if err == nil {
			require.Equal(t, "never.invalid", strings.TrimSuffix(strings.ToLower(target.Hostname()), "."))
			return
		}
		failure, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		require.Contains(t, []Reason{ReasonLink, ReasonHost}, failure.Reason)
		require.NotContains(t, err.Error(), secret)
	})
}

// TestClosedByTimeout checks a read that sees the closed connection in place of the time limit that closed it.
func TestClosedByTimeout(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	<-over.Done()
	read := func(limited context.Context, failure error) error {
		b := &body{ctx: t.Context(), limited: limited, host: "a", source: iotest.ErrReader(failure), left: 1}
		_, err := b.Read(make([]byte, 1))
		return err
	}
	closed := &net.OpError{Op: "read", Err: net.ErrClosed}
	for _, failure := range []error{closed, io.ErrUnexpectedEOF} {
		failed, ok := errors.AsType[*Error](read(over, failure))
		require.True(t, ok)
		require.Equal(t, ReasonTimeout, failed.Reason)
	}
	failed, ok := errors.AsType[*Error](read(t.Context(), closed))
	require.True(t, ok)
	require.Equal(t, ReasonNetwork, failed.Reason)
	require.Equal(t, io.ErrUnexpectedEOF, read(t.Context(), io.ErrUnexpectedEOF), "a file that was cut off")
}
