// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// protocol is what a script and its caller agree on: the names of the keys and of the arguments in their order, and the
// results in any order.
type protocol struct{ keys, values, results []string }

// tableOf returns the protocol in the table at the head of a script.
func tableOf(source string) (p protocol) {
	head, _, _ := strings.Cut(source, "\nlocal ")
	keys, after, _ := strings.Cut(head, "-- ARGV,")
	for line := range strings.Lines(keys) {
		if names, ok := strings.CutPrefix(line, "--   "); ok {
			p.keys = append(p.keys, strings.Fields(names)...)
		}
	}
	values, results, _ := strings.Cut(after, "\n--\n-- Returns ")
	p.values = firstGroups(`(?m)^--   (\w+(?:\[\]|\.\.\.)?)  `, values)
	if list, ok := strings.CutPrefix(results, "one of\n"); ok {
		p.results = firstGroups(`(?m)^--   ([A-Z]+) `, list)
	} else {
		p.results = append(firstGroups(`^(\w+),`, results), firstGroups(`^\w+, or (\w+)`, results)...)
	}
	return p
}

// readsOf returns the keys and the arguments that a script reads, and the results that it returns.
func readsOf(source string) (p protocol) {
	names := func(list string) []string {
		if list == "" {
			return nil
		}
		return strings.Split(list, ", ")
	}
	p.keys = names(firstGroups(`(?m)^local (.*) = unpack\(KEYS\)$`, source)[0])
	for _, list := range firstGroups(`(?m)^local (.*) = unpack\(ARGV(?:, 1, \d+)?\)$`, source) {
		p.values = names(list)
	}
	for _, match := range regexp.MustCompile(`\b(value|list)\('(\w+)'\)`).FindAllStringSubmatch(source, -1) {
		p.values = append(p.values, map[string]string{"value": match[2], "list": match[2] + "[]"}[match[1]])
	}
	remaining := fmt.Sprintf(`for i = %d, #ARGV, \d+ do -- (\w+\.\.\.)`, len(p.values)+1)
	p.values = append(p.values, firstGroups(remaining, source)...)
	p.results = append(firstGroups(`return \{ '([A-Z]+)'`, source), firstGroups(`return (0|1|granted)\b`, source)...)
	slices.Sort(p.results)
	p.results = slices.Compact(p.results)
	return p
}

// firstGroups returns the first group of each match.
func firstGroups(pattern, text string) []string {
	var list []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		list = append(list, match[1])
	}
	return list
}

// TestProtocols checks that the table of a script, the script and its caller have the same keys and arguments in the
// same order, and the same results.
func TestProtocols(t *testing.T) {
	t.Parallel()
	facts := orgFacts{since: map[int64]time.Time{}}
	plan, err := newCommitPlan(1, &ledger.Batch{Org: "acme"}, &facts)
	require.NoError(t, err)
	prune, applied := &pruning{}, []string{"1", "0"}
	carry := map[string]*ledger.CarriedTotals{"field": {Totals: ledger.Totals{1}}}
	verdicts := []string{verdictOK, verdictFenced, verdictStale, verdictRoom, verdictDamaged, verdictLost}
	scripts, err := filepath.Glob("scripts/*.lua")
	require.NoError(t, err)
	tests := map[string]struct {
		source    string
		arguments *scriptArguments
		results   []string
	}{
		"commit":  {commitSource, plan.arguments(&orgKeys{}, 1, &facts, seriesUnlimited, seriesGrant{}), verdicts},
		"prune":   {pruneSource, prune.pruneArguments(time.Time{}, nil, &purgeSet{}), applied},
		"carry":   {carrySource, prune.carryArguments(time.Time{}, carry), applied},
		"declare": {declareSource, (&follower{}).declareArguments("2-0", "1-0"), applied},
		"grant":   {grantSource, (&Store{}).grantArguments("acme", 1), []string{"granted"}},
	}
	require.Len(t, scripts, len(tests)+1, "all but integrity.lua, which is a part of others")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, reads := tableOf(test.source), readsOf(test.source)
			t.Logf("KEYS %s\nARGV %s\nresults %s", strings.Join(table.keys, " "), strings.Join(table.values, " "),
				strings.Join(table.results, " "))
			require.NotEmpty(t, table.keys)
			require.Equal(t, table.keys, test.arguments.keyNames)
			require.Equal(t, table.values, test.arguments.valueNames)
			require.ElementsMatch(t, table.results, test.results)
			require.Equal(t, table.keys, reads.keys)
			require.Equal(t, table.values, reads.values)
			require.ElementsMatch(t, table.results, reads.results)
		})
	}
}
