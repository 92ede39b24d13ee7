// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// LacksPermission reports whether the credential lacks a permission, which excludes refusals that no permission would
// change: those of an organization's owner, and those for legal reasons. Missing are the permissions that the response
// names: of several alternatives the one that contains wanted, otherwise the first; wanted alone where it names none.
func (e *ForbiddenError) LacksPermission(wanted string) (missing []string, ok bool) {
	if e.Legal || e.ownerRule || isOtherRefusal(e.Message) {
		return nil, false
	}
	for _, alternative := range e.Permissions {
		if slices.Contains(alternative, wanted) {
			return alternative, true
		}
	}
	if len(e.Permissions) > 0 {
		return e.Permissions[0], true
	}
	if wanted == "" || (e.Status == http.StatusForbidden && !strings.Contains(e.Message, notAccessible)) {
		return nil, false // REST names the permissions where it is about them
	}
	return []string{wanted}, true
}

// permissionName matches the name of a permission in a header.
var permissionName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// maxAlternatives bounds the alternatives that are read from a header, and the permissions of each.
const maxAlternatives = 16

// acceptedPermissions returns the alternatives that a header names, such as "contents=read" or "issues=read;
// pull_requests=read"
// (https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#insufficient-permissions). Alternatives
// are separated by semicolons, the permissions of one by commas.
func acceptedPermissions(header http.Header) [][]string {
	var alternatives [][]string
	for text := range strings.SplitSeq(header.Get("X-Accepted-Github-Permissions"), ";") {
		var needed []string
		for permission := range strings.SplitSeq(text, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(permission), "=")
			if permissionName.MatchString(name) {
				needed = append(needed, name)
			}
		}
		if len(needed) > 0 && len(alternatives) < maxAlternatives {
			alternatives = append(alternatives, needed[:min(len(needed), maxAlternatives)])
		}
	}
	return alternatives
}

// notAccessible is part of GitHub's message where a permission is missing.
const notAccessible = "Resource not accessible"

// otherRefusals are parts of GitHub's messages about refusals that no permission of the credential would change.
var otherRefusals = []string{"SAML", "single sign-on", "IP allow list", "suspended", "access blocked", "forbids access"}

// isOtherRefusal reports whether a message is that of a refusal that no permission would change.
func isOtherRefusal(message string) bool {
	for _, part := range otherRefusals {
		if strings.Contains(message, part) {
			return true
		}
	}
	return false
}
