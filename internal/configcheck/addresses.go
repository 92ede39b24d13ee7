// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package configcheck

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hostName matches names of hosts, internationalized ones included.
var hostName = regexp.MustCompile(`^[\pL\pN_](?:[\pL\pN._-]*[\pL\pN_.])?$`)

// HostPort returns an error for a value that is not host:port. The error never has the value, which may contain a
// password. remedy names the settings for a password and other parts of a URL.
func HostPort(field, value, remedy string) error {
	const want = "want host:port"
	host, port, err := net.SplitHostPort(value)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	switch {
	case value == "":
		return fmt.Errorf("%s: empty, %s (is the environment variable set?)", field, want)
	case strings.Contains(value, "://"):
		return fmt.Errorf("%s: a URL, %s: %s", field, want, remedy)
	case strings.Contains(value, "@"):
		return fmt.Errorf("%s: with a user name or a password in it, %s: %s", field, want, remedy)
	case strings.ContainsAny(value, ",;= "):
		return fmt.Errorf(
			"%s: with something behind the address, or several of them, %s, each in an entry of its own: %s",
			field, want, remedy)
	case err != nil && !strings.Contains(value, ":"):
		return fmt.Errorf("%s: without a port, %s", field, want)
	case err != nil || !isHost(host):
		return fmt.Errorf("%s: not an address, %s", field, want)
	case notNumber != nil || number == 0:
		return fmt.Errorf("%s: the port is no number from 1 to 65535, %s", field, want)
	}
	return nil
}

// isHost reports whether a text is an IP address or the name of a host.
func isHost(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || hostName.MatchString(host)
}

// URLs are the URLs that a setting allows.
type URLs struct {
	// Schemes are the allowed ones, the usual one first.
	Schemes []string
	// Want describes an allowed URL, for errors.
	Want string
	// Remedy names the settings for a user name and a password, for errors.
	Remedy string
}

// Parse returns the URL, or an error for any other value and for one with user information, a query or a fragment. The
// error never has the value.
func (r URLs) Parse(field, value string) (*url.URL, error) {
	refuse := func(what string) (*url.URL, error) { return nil, errors.New(field + ": " + what) }
	u, err := url.Parse(value)
	switch {
	case value == "":
		return refuse("empty, " + r.Want + " (is the environment variable set?)")
	case (err == nil && u.User != nil) || strings.Contains(authority(value), "@"):
		return refuse("with a user name or a password in it, " + r.Want + ": " + r.Remedy)
	case err != nil:
		return refuse("not a URL, " + r.Want)
	case !slices.Contains(r.Schemes, u.Scheme):
		return refuse("does not begin with " + strings.Join(r.Schemes, ":// or ") + "://, " + r.Want)
	case u.Opaque != "" || !isHost(u.Hostname()):
		return refuse("a URL without a host, " + r.Want)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return refuse("a URL with a query or a fragment, " + r.Want + ": " + r.Remedy)
	}
	return u, nil
}

// authority returns the part before the path of a value that may be an invalid URL.
func authority(value string) string {
	if _, rest, ok := strings.Cut(value, "://"); ok {
		value = rest
	}
	before, _, _ := strings.Cut(value, "/")
	return before
}

// QuoteUnlessSecret returns a value in quotes for an error, or a note in its place when it may contain a password, as a
// URL may.
func QuoteUnlessSecret(value string) string {
	if strings.ContainsAny(value, "@=") || len(value) > maxQuoted {
		return "a value that is not shown because it may hold a password"
	}
	return strconv.Quote(value)
}

// maxQuoted is the most bytes of a value that an error shows.
const maxQuoted = 200
