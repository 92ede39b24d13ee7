// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package tools

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// documentedRequests returns the endpoints of the table of docs/github-app.md, sorted.
func documentedRequests(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, row := range table(t, "github-app.md", "| permission | requests |") {
		for _, found := range regexp.MustCompile("`(/[^`]+)`").FindAllStringSubmatch(row[1], -1) {
			list = append(list, found[1])
		}
	}
	slices.Sort(list)
	return list
}

// endpoint is a template of a path, or the end of one.
var endpoint = regexp.MustCompile(`^/((orgs|repos|repositories)/\{|app/|rate_limit|copilot/)[^?]*$`)

// requestsIn returns the endpoints in the Go code of a folder, without tests: its constants and literals.
func requestsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	constants := make(map[string]ast.Expr)
	var expressions []ast.Expr
	eachGoFile(t, folder, func(file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, value := range n.Values {
					constants[n.Names[i].Name] = value
				}
			case *ast.BinaryExpr:
				expressions = append(expressions, n)
			case *ast.BasicLit:
				expressions = append(expressions, n)
			}
			return true
		})
	})
	found := make(map[string]bool)
	for _, expression := range expressions {
		if text := textOf(expression, constants); endpoint.MatchString(text) {
			found[text] = true
		}
	}
	return found
}

// eachGoFile calls handle for each Go file below a folder that is no test and in no package for tests.
func eachGoFile(t *testing.T, folder string, handle func(*ast.File)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasSuffix(entry.Name(), "test"):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err == nil {
			handle(file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// textOf returns the value of a constant expression; without the parts that are not constant.
func textOf(e ast.Expr, constants map[string]ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.Ident:
		value, ok := constants[e.Name].(*ast.BasicLit)
		if ok {
			return textOf(value, constants)
		}
	case *ast.BinaryExpr:
		return textOf(e.X, constants) + textOf(e.Y, constants)
	}
	return ""
}

// TestDocumentedRequests compares the table of requests and permissions with the endpoints in the code.
func TestDocumentedRequests(t *testing.T) {
	var want []string
	for path := range requestsIn(t, filepath.Join("internal", "github")) {
		if path != "/repositories/{id}" { // the same as /repos/{owner}/{repo}, by its id
			want = append(want, path)
		}
	}
	want = append(want, "/repos/{owner}/{repo}")
	for path := range requestsIn(t, filepath.Join("internal", "copilot")) {
		switch path {
		case "/orgs/{org}": // the beginning of one
		case "/copilot/metrics/reports/":
			want = append(want, "/orgs/{org}"+path+"{report}", "/enterprises/{enterprise}"+path+"{report}")
		case "/copilot/billing":
			want = append(want, "/orgs/{org}"+path)
		case "/copilot/billing/seats":
			want = append(want, "/orgs/{org}"+path, "/enterprises/{enterprise}"+path)
		default:
			t.Errorf("the endpoint %q of the Copilot reports: add it here and to docs/github-app.md", path)
		}
	}
	slices.Sort(want)
	if documented := documentedRequests(t); !slices.Equal(documented, want) {
		t.Errorf("docs/github-app.md has the requests\n%s\nand the code\n%s", strings.Join(documented, "\n"),
			strings.Join(want, "\n"))
	}
}
