// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package configcheck

import "strings"

// TrimLineEnds removes the line ends behind texts that were read from files, as with ${file:/run/secrets/password}:
// editors and `echo` add one, and no name or password ends with it.
func TrimLineEnds[T ~string](texts ...*T) {
	for _, text := range texts {
		*text = T(strings.TrimRight(string(*text), "\r\n"))
	}
}
