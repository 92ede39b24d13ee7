// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package kubelease

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// LeaseName returns the name of the Lease object for the election called name: that of the settings for the one without
// a name, else followed by a hyphen and the name. A name that Kubernetes does not allow is replaced by one with a hash
// of it.
func (e *Elector) LeaseName(name string) string {
	if name == "" {
		return e.settings.LeaseName
	}
	if full := e.settings.LeaseName + "-" + name; len(validation.IsDNS1123Subdomain(full)) == 0 {
		return full
	}
	sum := sha256.Sum256([]byte(name))
	suffix := "-" + hex.EncodeToString(sum[:5])
	full := e.settings.LeaseName + "-" + strings.Map(replaceDisallowed, strings.ToLower(name))
	full = full[:min(len(full), validation.DNS1123SubdomainMaxLength-len(suffix))]
	return strings.TrimRight(full, ".-") + suffix // a part of the name must not end with a dot before the hyphen
}

// CheckLeaseName returns an error for a name that a Lease cannot have. See
// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names.
func CheckLeaseName(name string) error {
	if len(validation.IsDNS1123Subdomain(name)) == 0 {
		return nil
	}
	return fmt.Errorf("%q, want at most %d characters: small letters, digits, hyphens and dots, "+
		"with a letter or digit at both ends and beside each dot", truncate(name), validation.DNS1123SubdomainMaxLength)
}

// maxShownBytes bounds a value in an error.
const maxShownBytes = 64

// truncate shortens a name to maxShownBytes for an error.
func truncate(name string) string {
	if len(name) > maxShownBytes {
		return name[:maxShownBytes] + "..."
	}
	return name
}

// replaceDisallowed returns a hyphen for a character that a name of Kubernetes may not have.
func replaceDisallowed(r rune) rune {
	if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
		return r
	}
	return '-'
}
