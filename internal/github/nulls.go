// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// nullable are the fields of our queries that may be null, as "field" or "object.field": no account, not merged, not
// closed, not submitted, no review any more, never pushed to, no branch, no such commit, no limits.
// A fact of a repository that is null is unknown, and so is a comparison.
var nullable = map[string]bool{
	"author": true, "author.user": true, "author.name": true, "author.email": true, "mergedAt": true,
	"submittedAt": true, "pushedAt": true, "defaultBranchRef": true, "object": true,
	"databaseId": true, "rateLimit": true, "closedAt": true, "nodes.review": true, "review": true,
	"visibility": true, "isTemplate": true, "stargazerCount": true, "forkCount": true, "diskUsage": true,
	"primaryLanguage": true, "repositoryTopics": true, "watchers": true, "branches": true, "tags": true,
	"releases": true, "latestRelease": true, "latestRelease.publishedAt": true,
	"ref": true, "compare": true,
}

// latestUpdateDepth is the depth down to which a latest update may be null: a stream without a signal is read each
// time.
const latestUpdateDepth = 5 // pulls.repositories.nodes.0.pullRequests

// checkNulls returns the error of a null for which there is neither a reason nor an error: it would be taken for an
// empty value.
func checkNulls(data []byte, errs []graphqlError) error {
	if !bytes.Contains(data, []byte("null")) {
		return nil
	}
	var all any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // one that is too large is a matter of its row
	if err := decoder.Decode(&all); err != nil {
		return fmt.Errorf("not the data that was expected: %w", err)
	}
	return checkValue(all, nil, pathsOfErrors(errs))
}

// maxDepth bounds the depth of a value in the response of one of our queries.
const maxDepth = 32

// pathsOfErrors returns the paths of the errors, and their parents: a null there is explained.
func pathsOfErrors(errs []graphqlError) map[string]bool {
	explained := make(map[string]bool)
	for i := range errs {
		for n := range min(len(errs[i].Path), maxDepth) {
			explained[pathString(errs[i].Path[:n+1])] = true
		}
	}
	return explained
}

// checkValue is checkNulls for a value at a path and everything below it.
func checkValue(value any, path []any, explained map[string]bool) error {
	if len(path) > maxDepth {
		return fmt.Errorf("a value that is nested too deeply at %s", pathString(path))
	}
	switch value := value.(type) {
	case nil:
		if !canBeNull(path) && !explained[pathString(path)] {
			return fmt.Errorf("unexpected null at %s", pathString(path))
		}
	case map[string]any:
		for key, below := range value {
			if key == "endCursor" && below == nil && value["hasNextPage"] == false {
				continue // an empty page
			}
			if err := checkValue(below, append(slices.Clip(path), key), explained); err != nil {
				return err
			}
		}
	case []any:
		for i, below := range value {
			if err := checkValue(below, append(slices.Clip(path), float64(i)), explained); err != nil {
				return err
			}
		}
	}
	return nil
}

// canBeNull reports whether the value at a path may be null without an error.
func canBeNull(path []any) bool {
	name, _ := path[len(path)-1].(string)
	isLatestUpdate := (path[0] == "pulls" || path[0] == "issues") && len(path) <= latestUpdateDepth
	if nullable[name] || isLatestUpdate || isListRow(path) {
		return true
	}
	if len(path) == 1 {
		return false
	}
	object, _ := path[len(path)-2].(string)
	return nullable[object+"."+name]
}

// isListRow reports whether a path is that of a row of a listing of repositories, or of a repository that was
// requested by its id: the reader handles a missing one.
func isListRow(path []any) bool {
	switch path[0] {
	case "organization":
		return len(path) == 4 // organization.repositories.nodes.0
	case "nodes", "contents":
		return len(path) == 2
	}
	return false
}

// pathString formats a path as in "nodes.0.author".
func pathString(path []any) string {
	parts := make([]string, len(path))
	for i, element := range path {
		parts[i] = fmt.Sprintf("%.40v", element)
	}
	return strings.Join(parts, ".")
}
