// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package download

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"
)

// DefaultHosts are the hosts that GitHub documents for reports, with those of data residency and the storage behind
// them (https://docs.github.com/copilot/reference/copilot-allowlist-reference).
func DefaultHosts() []string {
	return []string{
		"copilot-reports.github.com", "copilot-reports.*.ghe.com", "copilot-reports-*.b01.azurefd.net",
		"usagereports*.blob.core.windows.net",
	}
}

// hostList matches the names of hosts. `*` stands for any number of characters within a label of the name: a dot is
// none of them.
type hostList struct {
	patterns []string // with slashes for dots
	// addresses are those that the list names. They may be private ones.
	addresses map[netip.Addr]bool
}

var hostPattern = regexp.MustCompile(`^[a-z0-9*]([a-z0-9*.-]*[a-z0-9*])?$`)

// CheckHost returns an error if a text is neither an address, nor the name of a host with wildcards. A port is not part
// of it.
func CheckHost(text string) error {
	_, err := newHostList([]string{text})
	return err
}

func newHostList(texts []string) (hostList, error) {
	list := hostList{addresses: make(map[netip.Addr]bool)}
	for _, text := range texts {
		if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
			list.addresses[address.Unmap().WithZone("")] = true
			continue
		}
		name := strings.ToLower(text)
		if !hostPattern.MatchString(name) || strings.Contains(name, "..") {
			return hostList{}, fmt.Errorf("%.100q is not the name of a host, with * for a part of it", text)
		}
		list.patterns = append(list.patterns, labels(name))
	}
	return list, nil
}

// labels returns a name with slashes for dots: the wildcard of package path does not match a slash.
func labels(name string) string { return strings.ReplaceAll(name, ".", "/") }

// match reports whether a host is on the list.
func (l *hostList) match(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return l.addresses[address.Unmap().WithZone("")]
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, pattern := range l.patterns {
		if ok, err := path.Match(pattern, labels(host)); ok && err == nil && !strings.Contains(host, "/") {
			return true
		}
	}
	return false
}

// reserved are addresses that are public by their form, and lead to no public host, or carry another address that may
// be private (https://www.iana.org/assignments/iana-ipv4-special-registry,
// https://www.iana.org/assignments/iana-ipv6-special-registry).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

// isPublic reports whether an address is that of a host on the internet.
func isPublic(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if !address.IsGlobalUnicast() || address.IsPrivate() {
		return false
	}
	for _, prefix := range reserved {
		if prefix.Contains(address) {
			return false
		}
	}
	return true
}

// mayConnect reports whether a connection may be made to an address: a public one, or one that the list names.
func (l *hostList) mayConnect(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	return isPublic(address) || l.addresses[address]
}
