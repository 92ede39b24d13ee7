// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package tools

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// table returns the rows of the table in a document whose header begins with a text, as cells without emphasis.
func table(t *testing.T, document, header string) [][]string {
	t.Helper()
	_, rest, found := strings.Cut(readFile(t, "docs", document), "\n"+header)
	if !found {
		t.Fatalf("docs/%s has no table %q", document, header)
	}
	lines := strings.Split(rest, "\n")
	var rows [][]string
	for _, line := range lines[2:] {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) == 0 {
		t.Fatalf("docs/%s: the table %q has no row", document, header)
	}
	return rows
}

// integer returns the first number of a text.
func integer(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.ReplaceAll(regexp.MustCompile(`[\d,]*\d`).FindString(text), ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// over returns a quotient, rounded up.
func over(a, b int) int { return (a + b - 1) / b }

// pass is what a pass costs by the formulas of docs/sizing.md.
type pass struct{ requests, graphQLPoints, restPoints int }

func passOf(repositories, changed int) (graphQL, rest pass) {
	return pass{
			over(repositories, 100) + changed + over(changed, 10),
			2*over(repositories, 100) + over(repositories, 200) + over(changed, 5), changed,
		},
		pass{4*repositories + over(repositories, 100) + 3*changed, 0, over(repositories, 100) + 6*changed}
}

// TestSizingFormulasOfPasses compares the formulas of docs/sizing.md with the measured passes of docs/benchmarks.md.
func TestSizingFormulasOfPasses(t *testing.T) {
	rows := table(t, "benchmarks.md", "| R | changed | `graphql`: requests")
	for _, row := range rows {
		repositories := integer(t, row[0])
		graphQL, rest := passOf(repositories, repositories*integer(t, row[1])/100)
		measuredGraphQL := pass{integer(t, row[2]), integer(t, row[3]), integer(t, row[4])}
		measuredREST := pass{requests: integer(t, row[5]), restPoints: integer(t, row[6])}
		if graphQL != measuredGraphQL || rest != measuredREST {
			t.Errorf("R = %s, %s changed: computed %v and %v, measured %v and %v", row[0], row[1], graphQL, rest,
				measuredGraphQL, measuredREST)
		}
	}
	text := readFile(t, "docs", "sizing.md")
	for _, formula := range []string{
		"requests       = R/100 + C + C/10 ", "GraphQL points = 2 × R/100 + R/200 + C/5\n", "REST points    = C\n",
		"requests       = 4 × R + R/100 + 3 × C\n", "REST points    = R/100 + 6 × C\n",
	} {
		if !strings.Contains(text, formula) {
			t.Errorf("docs/sizing.md lacks the formula %q", formula)
		}
	}
}

// sizes are the constants of docs/sizing.md in bytes.
func sizes(t *testing.T) map[string]int {
	t.Helper()
	constants := map[string]int{}
	for _, row := range table(t, "sizing.md", "| constant | bytes |") {
		constants[row[0]] = integer(t, row[1])
	}
	return constants
}

// TestSizingConstants compares the constants of docs/sizing.md with what docs/benchmarks.md measured.
func TestSizingConstants(t *testing.T) {
	constants := sizes(t)
	memory := table(t, "benchmarks.md", "| what | bytes | target |")
	for i, name := range []string{"view, pair", "view, event", "store, event"} {
		if measured := integer(t, memory[i][1]); constants[name] != measured {
			t.Errorf("%s: %d, measured %d", name, constants[name], measured)
		}
	}
	held := table(t, "benchmarks.md", "| what | R = 1,000 | R = 10,000 |")
	if measured := integer(t, held[0][1]) + integer(t, held[1][1]); constants["pass, repository"] < measured {
		t.Errorf("a pass: %d, measured %d", constants["pass, repository"], measured)
	}
	for _, row := range table(t, "benchmarks.md", "| size | view | by hand |") {
		points := regexp.MustCompile(`([\d,]+) points`).FindStringSubmatch(row[0])
		megabytes := regexp.MustCompile(`, (\d+) MB`).FindStringSubmatch(row[1])
		measured := integer(t, megabytes[1]) * 1_000_000 / integer(t, points[1])
		if planned := constants["emission, point"]; planned < measured || planned > measured*11/10 {
			t.Errorf("a point: %d, measured %d", planned, measured)
		}
	}
	redis := integer(t, regexp.MustCompile(`bytes = (\d+) × E`).FindStringSubmatch(readFile(t, "docs", "sizing.md"))[1])
	for _, row := range table(t, "benchmarks.md", "| events there | events a second |") {
		if measured := integer(t, row[3]); redis < measured || redis > 2*measured {
			t.Errorf("an event in Redis: %d, measured %d", redis, measured)
		}
	}
}

// TestSizingPoints computes the table of organizations in docs/sizing.md.
func TestSizingPoints(t *testing.T) {
	constants := sizes(t)
	for _, row := range table(t, "sizing.md", "| R | P | requests an hour |") {
		repositories, people := integer(t, row[0]), integer(t, row[1])
		cost, _ := passOf(repositories, over(3*repositories, 100))
		pairs, events := 5*people, 180*people
		series := 10 * pairs
		shared := constants["base"] + constants["view, pair"]*pairs + constants["view, event"]*events +
			constants["emission, point"]*series + constants["pass, repository"]*repositories
		want := []int{
			12 * cost.requests, 12 * cost.graphQLPoints, 12 * cost.restPoints, series,
			over(shared+constants["store, event"]*events, 1_000_000), over(shared, 1_000_000), over(160*events, 1_000_000),
		}
		for i, value := range want {
			if got := integer(t, row[i+2]); got != value {
				t.Errorf("R = %s, P = %s, column %d: %d, computed %d", row[0], row[1], i+3, got, value)
			}
		}
	}
}

// TestSizingSeries compares the number of series of a pair with the metrics that are enabled by default.
func TestSizingSeries(t *testing.T) {
	enabled := regexp.MustCompile(`(?m)^  gh\.activity\.\S+:\n(?:    .*\n)*?    enabled: true`).
		FindAllString(readFile(t, "metadata.yaml"), -1)
	most := integer(t, regexp.MustCompile(`at most (\d+)\. Most people`).
		FindStringSubmatch(readFile(t, "docs", "sizing.md"))[1])
	if len(enabled) != most {
		t.Errorf("a pair has at most %d series, docs/sizing.md says %d", len(enabled), most)
	}
}

// TestSizingKubernetes computes the memory that docs/sizing.md requests and allows in Kubernetes, and compares it with
// the manifests.
func TestSizingKubernetes(t *testing.T) {
	constants := sizes(t)
	page := integer(t, regexp.MustCompile(`bytes = (\d+) × series`).FindStringSubmatch(
		readFile(t, "docs", "sizing.md"))[1])
	manifests := [][]string{
		{"deploy/helm/githubexporter/values.yaml", "deploy/kustomize/base/deployment.yaml"},
		{"deploy/helm/githubexporter/examples/production.yaml", "deploy/kustomize/overlays/prod/deployment.yaml"},
	}
	for i, row := range table(t, "sizing.md", "| R | P | series | state |") {
		repositories, people := integer(t, row[0]), integer(t, row[1])
		pairs, events := 5*people, 180*people
		series := 10 * pairs
		shared := constants["base"] + constants["view, pair"]*pairs + constants["view, event"]*events +
			constants["emission, point"]*series + constants["pass, repository"]*repositories
		if row[3] == "`storage`" {
			shared += constants["store, event"] * events
		}
		needed, most := over(shared+page*series, 1_000_000), over(2*(shared+page*series), 1_000_000)
		if series != integer(t, row[2]) || needed != integer(t, row[4]) || most != integer(t, row[5]) {
			t.Errorf("row %d: computed %d series, %d MB and %d MB", i, series, needed, most)
		}
		if memory(t, row[6]) < needed*1_000_000 || memory(t, row[7]) < most*1_000_000 {
			t.Errorf("row %d: %s and %s are too small", i, row[6], row[7])
		}
		for _, file := range manifests[i] {
			text := readFile(t, file)
			if !regexp.MustCompile(`requests: {cpu: \d+m, memory: ` + row[6] + `}\s+limits: {memory: ` + row[7] + `}`).MatchString(
				text) {
				t.Errorf("%s: want %s and %s", file, row[6], row[7])
			}
		}
	}
}

// memory returns the bytes of a quantity such as 512Mi.
func memory(t *testing.T, quantity string) int {
	t.Helper()
	if strings.HasSuffix(quantity, "Gi") {
		return integer(t, quantity) << 30
	}
	return integer(t, quantity) << 20
}
