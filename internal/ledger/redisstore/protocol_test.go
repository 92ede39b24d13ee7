// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// protocolTable returns the names of the table at the head of a script.
func protocolTable(source string) (keys, values []string) {
	head, _, _ := strings.Cut(source, "\nlocal ")
	before, after, _ := strings.Cut(head, "-- ARGV,")
	for line := range strings.Lines(before) {
		if names, ok := strings.CutPrefix(line, "--   "); ok {
			keys = append(keys, strings.Fields(names)...)
		}
	}
	after, _, _ = strings.Cut(after, "\n--\n")
	for _, match := range regexp.MustCompile(`(?m)^--   (\w+(?:\[\])?)  `).FindAllStringSubmatch(after, -1) {
		values = append(values, match[1])
	}
	return keys, values
}

// protocolReads returns the names of the keys and of the arguments in the order in which a script reads them.
func protocolReads(source string) (keys, values []string) {
	keys = strings.Split(regexp.MustCompile(`(?m)^local (.*) = unpack\(KEYS\)$`).FindStringSubmatch(source)[1], ", ")
	for _, match := range regexp.MustCompile(`\b(value|list)\('(\w+)'\)`).FindAllStringSubmatch(source, -1) {
		name := match[2]
		if match[1] == "list" {
			name += "[]"
		}
		values = append(values, name)
	}
	return keys, values
}

// TestProtocols: the table of a script, the script and its caller have the same keys and arguments in the same order.
func TestProtocols(t *testing.T) {
	t.Parallel()
	facts := orgFacts{since: map[int64]time.Time{}}
	plan, err := newCommitPlan(1, &ledger.Batch{Org: "acme"}, &facts)
	require.NoError(t, err)
	prune := &pruning{}
	for name, test := range map[string]struct {
		source    string
		arguments *scriptArguments
	}{
		"commit": {commitSource, plan.arguments(&orgKeys{}, 1, &facts, seriesUnlimited, seriesGrant{})},
		"prune":  {pruneSource, prune.pruneArguments(time.Time{}, nil, &purgeSet{})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, values := protocolTable(test.source)
			t.Logf("KEYS %s\nARGV %s", strings.Join(keys, " "), strings.Join(values, " "))
			require.Len(t, keys, 9)
			require.Equal(t, keys, test.arguments.keyNames)
			require.Equal(t, values, test.arguments.valueNames)
			readKeys, readValues := protocolReads(test.source)
			require.Equal(t, keys, readKeys)
			require.Equal(t, values, readValues)
		})
	}
}
