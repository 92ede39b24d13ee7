// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package download

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Settings configure a client. The zero value is usable.
type Settings struct {
	// Hosts are the hosts that a link may have: names with `*` for a part of a label, and addresses, which may be
	// private ones. Empty is DefaultHosts.
	Hosts []string
	// Timeout bounds a file, from the request to its last byte. The default is 90s.
	Timeout time.Duration
	// MaxBytes bounds a file, after the decompression that HTTP knows. The default is 16 GiB.
	MaxBytes int64
	// TLS is used for the connections; nil is the default of the system.
	TLS *tls.Config
	// Proxy returns the proxy of a request, nil for none; a nil function is none. With a proxy the address of the host
	// is not known here, and not checked.
	Proxy func(*http.Request) (*url.URL, error)
	// UserAgent is sent with each request.
	UserAgent string
}

const (
	defaultTimeout  = 90 * time.Second
	defaultMaxBytes = 16 << 30
	dialTimeout     = 10 * time.Second
	keepAlive       = 30 * time.Second
	maxHeader       = 64 << 10
	// maxRedirects bounds the redirects of a link. GitHub's hosts redirect to the storage behind them, if at all.
	maxRedirects = 3
)

// Client reads files. It is safe for concurrent use.
type Client struct {
	settings Settings
	hosts    hostList
	http     *http.Client
}

// New makes a client. Its error is that of a host.
func New(settings Settings) (*Client, error) {
	if len(settings.Hosts) == 0 {
		settings.Hosts = DefaultHosts()
	}
	if settings.Timeout <= 0 {
		settings.Timeout = defaultTimeout
	}
	if settings.MaxBytes <= 0 {
		settings.MaxBytes = defaultMaxBytes
	}
	hosts, err := newHostList(settings.Hosts)
	if err != nil {
		return nil, err
	}
	c := &Client{settings: settings, hosts: hosts}
	c.http = &http.Client{Transport: c.newTransport(nil), CheckRedirect: c.checkRedirect}
	if proxy := settings.Proxy; proxy != nil {
		c.http.Transport = &router{proxy: proxy, direct: c.newTransport(nil), proxied: c.newTransport(proxy)}
	}
	return c, nil
}

// newTransport returns a transport whose connections pass checkAddress, or go to a proxy.
func (c *Client) newTransport(proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	if proxy == nil {
		dialer.Control = c.checkAddress
	}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: c.settings.TLS.Clone(), ForceAttemptHTTP2: true, Proxy: proxy,
		TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: keepAlive, MaxResponseHeaderBytes: maxHeader,
	}
}

// router sends requests directly or through a proxy.
type router struct {
	proxy           func(*http.Request) (*url.URL, error)
	direct, proxied *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (r *router) RoundTrip(request *http.Request) (*http.Response, error) {
	switch proxy, err := r.proxy(request); {
	case err != nil:
		return nil, err
	case proxy != nil:
		return r.proxied.RoundTrip(request)
	default:
		return r.direct.RoundTrip(request)
	}
}

// CloseIdleConnections closes the connections that are not in use.
func (r *router) CloseIdleConnections() {
	r.direct.CloseIdleConnections()
	r.proxied.CloseIdleConnections()
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Read calls use with the content of the file behind a link. Its error is an *Error, that of use, or the cause of ctx;
// so is that of the reader, except for io.EOF and io.ErrUnexpectedEOF. The content ends with Read.
func (c *Client) Read(ctx context.Context, link string, use func(io.Reader) error) error {
	target, err := c.parse(link)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, c.settings.Timeout)
	defer cancel()
	response, err := c.send(limited, target)
	if err != nil {
		return causeOr(ctx, failure(limited, target.Hostname(), err))
	}
	defer response.Body.Close()
	host := response.Request.URL.Hostname()
	if response.StatusCode != http.StatusOK {
		return &Error{Reason: statusReason(response.StatusCode), Host: host, Status: response.StatusCode}
	}
	body := &body{ctx: ctx, limited: limited, host: host, source: response.Body, left: c.settings.MaxBytes}
	return use(body)
}

// parse returns the URL of a link if it may be requested.
func (c *Client) parse(link string) (*url.URL, error) {
	target, err := url.Parse(link)
	if err != nil {
		return nil, &Error{Reason: ReasonLink}
	}
	return target, c.check(target)
}

func (c *Client) check(target *url.URL) error {
	host := target.Hostname()
	switch {
	case target.Scheme != "https" || host == "" || target.User != nil || target.Opaque != "":
		return &Error{Reason: ReasonLink, Host: host}
	case !c.hosts.match(host):
		return &Error{Reason: ReasonHost, Host: host}
	}
	return nil
}

func (c *Client) send(ctx context.Context, target *url.URL) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return nil, &Error{Reason: ReasonLink, Host: target.Hostname()}
	}
	request.Header.Set("User-Agent", c.settings.UserAgent)
	return c.http.Do(request)
}

// checkRedirect follows redirects within the list. The address of the page before is not sent: it is a signed link.
func (c *Client) checkRedirect(request *http.Request, via []*http.Request) error {
	request.Header.Del("Referer")
	if len(via) > maxRedirects || c.check(request.URL) != nil {
		return &Error{Reason: ReasonRedirect, Host: request.URL.Hostname()}
	}
	return nil
}

// checkAddress refuses connections to addresses that are not public. It runs after the name of the host was resolved.
func (c *Client) checkAddress(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil || !c.hosts.mayConnect(target.Addr()) {
		return &Error{Reason: ReasonAddress, Host: target.Addr().String()}
	}
	return nil
}

// causeOr returns the cause of a context that has ended, and err otherwise.
func causeOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// body is the content of a file within its bounds.
type body struct {
	ctx     context.Context // io.Reader has none
	limited context.Context // ctx with the time limit of the file
	host    string
	source  io.Reader
	left    int64
}

// Read implements io.Reader.
func (b *body) Read(into []byte) (int, error) {
	size, err := b.source.Read(into)
	b.left -= int64(size)
	switch {
	case b.left < 0:
		return 0, &Error{Reason: ReasonSize, Host: b.host}
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && b.limited.Err() == nil:
		return size, err
	default:
		return size, causeOr(b.ctx, failure(b.limited, b.host, err))
	}
}
