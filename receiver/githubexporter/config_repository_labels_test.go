// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRepositoryLabelsConfig(t *testing.T) {
	t.Parallel()
	valid := RepositoryLabelsConfig{Topics: []string{"go", "team-a"}, Properties: []string{"tier", "Cost.Center"}}
	require.NoError(t, valid.validate())
	for want, labels := range map[string]RepositoryLabelsConfig{
		`repository_labels::topics::1: "Go", want a name that GitHub allows`: {Topics: []string{"a", "Go"}},
		`repository_labels::topics::0: ""`:                                   {Topics: []string{""}},
		`"a.b" has the label property_a_b of "a-b"`:                          {Properties: []string{"a-b", "a.b"}},
		`"go" has the label topic_go of "go"`:                                {Topics: []string{"go", "go"}},
		"repository_labels::topics: 51 names, want at most 50":               {Topics: make([]string, 51)},
		`repository_labels::properties::0: "a b"`:                            {Properties: []string{"a b"}},
	} {
		require.ErrorContains(t, labels.validate(), want)
	}
}
