// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	gogithub "github.com/google/go-github/v66/github"
	"github.com/stretchr/testify/require"
)

func TestListLength(t *testing.T) {
	t.Parallel()
	list := func(n int) string { return "[" + strings.Repeat("null,", n-1) + "null]" }
	for text, tooLong := range map[string]bool{
		list(100): false,
		list(101): true,
		fmt.Sprintf(`{"a": {"b": %s}, "c": %s}`, list(100), list(100)):                     false,
		fmt.Sprintf(`{"a": {"b": %s}}`, list(101)):                                         true,
		fmt.Sprintf(`[%s, 1, %s]`, list(1), list(101)):                                     true,
		`{"text": "[` + strings.Repeat(",", 200) + `\"` + strings.Repeat(",", 200) + `]"}`: false,
		`{` + strings.TrimSuffix(strings.Repeat(`"a": 1, `, 200), ", ") + `}`:              false,
		strings.Repeat("[", 1000) + list(101):                                              false,
		"]]," + list(101):                                                                  true,
		"":                                                                                 false,
	} {
		err := checkListLength([]byte(text), perPage, maxDepth)
		require.Equal(t, tooLong, err != nil, "%.80s: %v", text, err)
	}
	require.NoError(t, checkListLength([]byte(`[`+list(101)+`]`), perPage, 1), "lists in rows have other lengths")
	require.Error(t, checkListLength([]byte(list(101)), perPage, 1))
}

// TestLongListsCostLittle: the memory that a response of a million elements costs is not a multiple of its text.
func TestLongListsCostLittle(t *testing.T) { //nolint:paralleltest // it measures the allocations of the process
	nulls := "null" + strings.Repeat(",null", 1_000_000)
	rows := listFormat(func(*gogithub.Repository, fieldErrors) bool { return true })
	for name, decode := range map[string]func(body []byte) error{
		"REST": func(body []byte) error {
			_, _, err := rows.decode(body)
			return err
		},
		"GraphQL": func(body []byte) error {
			_, err := decodeGraphQL(body, &discoverData{}, &rateLimitData{})
			return err
		},
	} {
		body := []byte("[" + nulls + "]")
		if name == "GraphQL" {
			body = []byte(`{"data":{"organization":{"repositories":{"nodes":[` + nulls + `]}}}}`)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.ErrorContains(t, decode(body), "a list of more than")
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(len(body)/10), "%s: bytes", name)
		require.Less(t, after.Mallocs-before.Mallocs, uint64(1000), "%s: allocations", name)
	}
}
