// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package configcheck_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/configcheck"
)

func TestTrimLineEnds(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "abc": "abc", "abc\n": "abc", "abc\r\n\n": "abc", "\na b \n": "\na b ", "\n": "",
	} {
		other := text
		configcheck.TrimLineEnds(&text, &other)
		require.Equal(t, want, text)
		require.Equal(t, want, other)
	}
}
