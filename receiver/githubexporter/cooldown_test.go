// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// TestAskers: the trouble of one organization stops no other one, unless this replica reads no other one.
func TestAskers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		orgs, leads []string
		want        int
	}{
		"one":                     {[]string{"a"}, []string{"a"}, 1},
		"one that another leads":  {[]string{"a"}, nil, 1},
		"several":                 {[]string{"a", "b", "c"}, []string{"a", "b", "c"}, 2},
		"several of the others":   {[]string{"a", "b", "c"}, nil, 2},
		"several, leading one":    {[]string{"a", "b", "c"}, []string{"b"}, 1},
		"several, leading a part": {[]string{"a", "b", "c"}, []string{"b", "c"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := &Config{}
			for _, org := range test.orgs {
				config.Orgs = append(config.Orgs, OrgConfig{Name: org})
			}
			monitor := health.NewMonitor(test.orgs, nil, time.Now, func(health.Report) {})
			for _, org := range test.leads {
				monitor.SetLeader(org, true)
			}
			require.Equal(t, test.want, minAffectedOrgs(config, monitor))
		})
	}
}
