// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/seed-358c4d9d/githubexporter"

// Packages the cases import. Each becomes an empty package in the scratch tree, so that no real dependency is needed;
// those of this module are leaves, so that no case makes an import cycle.
const (
	activity   = module + "/internal/activity/leaf"
	ledger     = module + "/internal/ledger"
	ledgerview = module + "/internal/ledger/ledgerview"
	local      = module + "/internal/ledger/local/leaf"
	memstore   = module + "/internal/ledger/memstore/leaf"
	github     = module + "/internal/github/leaf"
	transport  = module + "/internal/github/transport/leaf"
	collect    = module + "/internal/collect/leaf"
	flow       = module + "/internal/flow"
	loc        = module + "/internal/loc"
	varint     = module + "/internal/varint/leaf"
	wakeup     = module + "/internal/wakeup/leaf"
	rediskeys  = module + "/internal/rediskeys/leaf"
	schedule   = module + "/internal/schedule/leaf"
	receiver   = module + "/receiver/githubexporter/leaf"
	extension  = module + "/extension/leaderelector/leaf"
	cbor       = "github.com/fxamacker/cbor/v2"
	collector  = "go.opentelemetry.io/collector/component"
	contrib    = "github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	redis      = "github.com/redis/go-redis/v9"
	amqp       = "github.com/rabbitmq/amqp091-go"
	kubernetes = "k8s.io/client-go/kubernetes"
	gogithub   = "github.com/google/go-github/v66/github"
	assert     = "github.com/stretchr/testify/assert"
	require    = "github.com/stretchr/testify/require"
	rapid      = "pgregory.net/rapid"
	zap        = "go.uber.org/zap"
)

// imports says which import is refused in which folder.
var imports = []struct {
	dir     string
	path    string
	refused bool
}{
	{"internal/activity", "time", false},
	{"internal/activity", zap, true},
	{"internal/activity", ledger, true},

	{"internal/ledger", activity, false},
	{"internal/ledger", zap, true},
	{"internal/ledger", collect, true},
	{"internal/ledger", memstore, true},
	{"internal/ledger", cbor, true},
	{"internal/ledger/ledgerview", ledger, false},
	{"internal/ledger/ledgerview", local, true},
	{"internal/ledger/ledgerview", wakeup, true},
	{"internal/ledger/local", ledger, false},
	{"internal/ledger/local", wakeup, false},
	{"internal/ledger/local", memstore, true},
	{"internal/ledger/local", collector, true},

	{"internal/varint", activity, true},
	{"internal/wakeup", activity, true},
	{"internal/rediskeys", redis, true},
	{"internal/notify", activity, true},
	{"internal/pattern", "regexp", false},
	{"internal/pattern", activity, true},
	{"internal/ledger", varint, false},
	{"internal/ledger", wakeup, true},
	{"internal/copilot", module + "/internal/copilot/report/leaf", false},
	{"internal/copilot", wakeup, false},
	{"internal/copilot", ledger, true},
	{"internal/copilot", github, true},
	{"internal/copilot", collector, true},
	{"internal/copilot/copilotapi", transport, false},
	{"internal/copilot/copilotapi", ledger, true},
	{"internal/copilot/copilotapi", gogithub, true},
	{"internal/copilot/copilotapi", collect, true},
	{"internal/copilot/copilotstore", ledger, false},
	{"internal/copilot/copilotstore", github, true},
	{"internal/copilot/copilotstore", memstore, true},
	{"internal/copilot/report", "net/http", false},
	{"internal/copilot/report", activity, true},
	{"internal/copilot/report", zap, true},
	{"internal/copilot/usage", varint, false},
	{"internal/copilot/usage", activity, true},
	{"internal/copilot/usage", ledger, true},
	{"internal/copilot/download", "net/http", false},
	{"internal/copilot/download", github, true},
	{"internal/copilot/copilottest", module + "/internal/copilot/report/leaf", true},
	{"internal/flow", activity, false},
	{"internal/flow", ledger, true},
	{"internal/flow", github, true},
	{"internal/github", flow, false},
	{"internal/loc", varint, false},
	{"internal/loc", activity, false},
	{"internal/loc", ledger, true},
	{"internal/loc", github, true},
	{"internal/loc/rounds", loc, false},
	{"internal/loc/rounds", github, false},
	{"internal/loc/rounds", collect, true},
	{"internal/teams", github, false},
	{"internal/teams", ledger, false},
	{"internal/teams", collect, true},
	{"internal/teams", ledgerview, true},
	{"internal/teams", collector, true},

	{"internal/ledger/memstore", ledger, false},
	{"internal/ledger/memstore", local, false},
	{"internal/ledger/memstore", redis, true},
	{"internal/ledger/extstore", local, false},
	{"internal/ledger/extstore", collector, false},
	{"internal/ledger/extstore", memstore, true},
	{"internal/ledger/redisstore", redis, false},
	{"internal/ledger/redisstore", rediskeys, false},
	{"internal/ledger/redisstore", wakeup, false},
	{"internal/ledger/redisstore", collector, true},
	{"internal/ledger/fallback", ledger, false},
	{"internal/ledger/fallback", redis, true},
	{"internal/ledger/fallback", collector, true},
	{"internal/redisconn", redis, false},
	{"internal/redisconn", collector, false},
	{"internal/configcheck", collector, false},
	{"internal/configcheck", redis, true},
	{"internal/ledger/storetest", require, false},
	{"internal/ledger/storetest", rapid, false},
	{"internal/ledger/storetest", ledgerview, false},
	{"internal/ledger/storetest", memstore, true},

	{"internal/schedule", activity, true},
	{"internal/schedule", zap, false},
	{"internal/collect", ledger, false},
	{"internal/collect", github, false},
	{"internal/collect", schedule, true},
	{"internal/collect", loc, true},
	{"internal/collect", collector, true},
	{"internal/collect", receiver, true},
	{"internal/collect", gogithub, true},
	{"internal/github", gogithub, false},
	{"internal/github", activity, false},
	{"internal/github", collect, true},
	{"internal/github", redis, true},
	{"internal/github/budget", github, true},
	{"internal/github/budget", zap, true},
	{"internal/github/budget", transport, true},
	{"internal/github/transport", gogithub, false},
	{"internal/github/transport", activity, true},
	{"internal/github/transport", github, true},
	{"internal/github/transport", zap, true},
	{"internal/github", transport, false},
	{"internal/github/budget/redisbudget", redis, false},
	{"internal/github/budget/redisbudget", github, true},
	{"internal/github/budget/budgettest", github, true},
	{"internal/github/budget/redisbudget", rediskeys, false},
	{"internal/github/githubtest", gogithub, true},
	{"internal/github/githubtest", activity, false},

	{"internal/backfill", amqp, true},
	{"internal/backfill", ledger, false},
	{"internal/backfill", collect, true},
	{"internal/backfill", github, true},
	{"internal/backfill/memqueue", amqp, true},
	{"internal/backfill/memqueue", ledger, true},
	{"internal/backfill/redisclaims", redis, false},
	{"internal/backfill/redisclaims", rediskeys, false},
	{"internal/backfill/redisclaims", amqp, true},
	{"internal/backfill/rabbitqueue", amqp, false},
	{"internal/backfill/rabbitqueue", wakeup, false},
	{"internal/backfill/rabbitqueue", redis, true},
	{"internal/election", kubernetes, true},
	{"internal/election", extension, true},
	{"internal/election/kubelease", kubernetes, false},
	{"internal/election/redislease", redis, false},
	{"internal/election/redislease", kubernetes, true},

	{"receiver/githubexporter/internal/emit", ledger, false},
	{"receiver/githubexporter/internal/emit", ledgerview, false},
	{"receiver/githubexporter/internal/emit", memstore, true},
	{"receiver/githubexporter/internal/emit", schedule, true},
	{"receiver/githubexporter", collector, false},
	{"receiver/githubexporter", collect, false},
	{"receiver/githubexporter", contrib, false},
	{"receiver/githubexporter", redis, true},
	{"receiver/githubexporter", extension, true},
	{"extension/leaderelector", collector, false},
	{"extension/leaderelector", receiver, true},
	{"extension/leaderelector", redis, true},
	{"extension/leaderelector", kubernetes, true},
	{"extension/replicahealth", collector, false},
	{"extension/replicahealth", receiver, true},

	{"cmd/gxctl", receiver, false},
	{"cmd/gxctl", collector, true},
	{"cmd/gxctl/internal/collectorconfig", collector, false},
	{"cmd/gxctl/internal/validate", redis, true},
	{"cmd/gxctl/internal/validate", amqp, true},

	{"internal/health", collector, true},
	{"internal/health", contrib, true},
	{"internal/health", assert, true},
	{"internal/health", require, false},
	{"receiver/githubexporter", assert, true},
}

// calls says which call is refused in which file.
var calls = []struct {
	file    string
	imports string
	call    string
	refused bool
}{
	{"internal/activity/clock.go", "time", "time.Now()", true},
	{"internal/activity/clock_test.go", "time", "time.Now()", false},
	{"internal/ledger/clock.go", "time", "time.Now()", true},
	{"internal/loc/clock.go", "time", "time.Now()", true},
	{"internal/flow/clock.go", "time", "time.Now()", true},
	{"internal/collect/clock.go", "time", "time.Since(time.Time{})", true},
	{"internal/copilot/report/clock.go", "time", "time.Now()", true},
	{"internal/schedule/clock.go", "time", "time.Now()", false},
	{"internal/github/clock.go", "time", "time.Now()", false},
	{"internal/github/sleep.go", "time", "time.Sleep(1)", true},
	{"internal/github/sleep_test.go", "time", "time.Sleep(1)", true},
	{"internal/github/print.go", "fmt", "fmt.Println()", true},
	{"internal/github/printf.go", "fmt", "fmt.Printf(\"\")", true},
	{"receiver/githubexporter/clock.go", "time", "time.Now()", false},
	{"receiver/githubexporter/builtin.go", "time", "println(time.Second)", true},
}

// TestArchitectureRulesFire lints a scratch tree of small violations, and of things that are allowed, with the real
// rules.
func TestArchitectureRulesFire(t *testing.T) {
	tree := newScratch(t)
	want := map[string]string{}
	for i, c := range imports {
		name := fmt.Sprintf("%s/case%d.go", c.dir, i)
		tree.write(name, fmt.Sprintf("package p\n\nimport _ %q\n", c.path))
		tree.stub(c.path)
		if c.refused {
			want[name] = "depguard"
		}
	}
	for i, c := range calls {
		tree.write(c.file, fmt.Sprintf("package p\n\nimport %q\n\nfunc call%d() { %s }\n", c.imports, i, c.call))
		if c.refused {
			want[c.file] = "forbidigo"
		}
	}
	tree.writeGoMod()
	tree.copyRules()

	got := tree.lint()
	for name, linter := range want {
		if got[name] != linter {
			t.Errorf("%s: found by %q, want %q:\n%s", name, got[name], linter, tree.read(name))
		}
	}
	for name, linter := range got {
		if want[name] == "" {
			t.Errorf("%s: found by %s, want nothing:\n%s", name, linter, tree.read(name))
		}
	}
}

// scratch is a module with the repository's path and layout, and an empty package for everything it imports.
type scratch struct {
	t       *testing.T
	root    string
	modules map[string]bool
}

// newScratch returns an empty scratch tree.
func newScratch(t *testing.T) *scratch {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &scratch{t: t, root: root, modules: map[string]bool{}}
}

// write writes a file of the scratch tree.
func (s *scratch) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// read returns a file of the scratch tree.
func (s *scratch) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// stub makes the package at an import path: in this module, or in a module of its own that go.mod points to.
func (s *scratch) stub(path string) {
	s.t.Helper()
	if dir, ours := strings.CutPrefix(path, module+"/"); ours {
		s.write(dir+"/stub.go", "package p\n")
		return
	}
	if host, _, _ := strings.Cut(path, "/"); !strings.Contains(host, ".") {
		return // the standard library
	}
	s.modules[path] = true
	s.write("stubs/"+path+"/stub.go", "package p\n")
	s.write("stubs/"+path+"/go.mod", "module "+path+"\n\ngo 1.26.0\n")
}

var majorSuffix = regexp.MustCompile(`/v([0-9]+)$`)

// writeGoMod writes a go.mod that points to the stubs.
func (s *scratch) writeGoMod() {
	s.t.Helper()
	text := "module " + module + "\n\ngo 1.26.0\n"
	for path := range s.modules {
		version := "v0.0.0"
		if major := majorSuffix.FindStringSubmatch(path); major != nil {
			version = "v" + major[1] + ".0.0"
		}
		text += fmt.Sprintf("\nrequire %s %s\n\nreplace %s => ./stubs/%s\n", path, version, path, path)
	}
	s.write("go.mod", text)
}

// copyRules copies the rules of the repository into the scratch tree.
func (s *scratch) copyRules() {
	s.t.Helper()
	rules, err := os.ReadFile(filepath.Join("..", "..", ".golangci.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(".golangci.yaml", string(rules))
}

// lint returns which linter found something in which file.
func (s *scratch) lint() map[string]string {
	s.t.Helper()
	linter, err := exec.CommandContext(s.t.Context(), "go", "tool", "-n", "golangci-lint").Output()
	if err != nil {
		s.t.Fatalf("find golangci-lint: %v", err)
	}
	cmd := exec.CommandContext(s.t.Context(), strings.TrimSpace(string(linter)), "run",
		"--enable-only=depguard,forbidigo", "--allow-parallel-runners", "--show-stats=false",
		"--output.json.path=stdout")
	cmd.Dir = s.root
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		s.t.Fatalf("run golangci-lint: %v\n%s", err, exit.Stderr)
	}

	var report struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct{ Filename string }
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		s.t.Fatalf("read the report: %v\n%s", err, out)
	}
	found := map[string]string{}
	for _, issue := range report.Issues {
		found[issue.Pos.Filename] = issue.FromLinter
		s.t.Logf("%s: %s: %s", issue.Pos.Filename, issue.FromLinter, issue.Text)
	}
	return found
}
