// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// codeBlock is a fenced block of a document.
type codeBlock struct{ file, language, text string }

// fencedBlock matches a fenced block.
var fencedBlock = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// documents returns the texts of the tree's documents by name. Decisions, the changelog and generated documents are
// left out.
func documents(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join("..", "..")
	found := make(map[string]string)
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		if entry.IsDir() &&
			(slices.Contains([]string{"_build", "bin", "data", "decisions"}, name) ||
				(name[0] == '.' && len(name) > 2)) {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(name) != ".md" || name == "CHANGELOG.md" || name == "documentation.md" {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ = filepath.Rel(root, path)
		found[name] = string(text)
		return err
	}))
	require.Contains(t, found, filepath.Join("receiver", "githubexporter", "README.md"))
	return found
}

// codeBlocks returns the fenced blocks of a language.
func codeBlocks(t *testing.T, language string) []codeBlock {
	t.Helper()
	var list []codeBlock
	for file, text := range documents(t) {
		for _, found := range fencedBlock.FindAllStringSubmatch(text, -1) {
			if found[1] == language {
				list = append(list, codeBlock{file, found[1], found[2]})
			}
		}
	}
	require.NotEmpty(t, list)
	return list
}

// exampleFrame makes a whole configuration of a part of one.
const exampleFrame = `
receivers: {githubexporter: {orgs: [{name: acme, auth: {token: abc}}]}}
exporters: {debug: {}}
service: {pipelines: {metrics: {receivers: [githubexporter], exporters: [debug]}}}
`

// TestYAMLOfDocuments: a whole configuration runs as it is written, with addresses replaced, and a part of one is
// valid.
func TestYAMLOfDocuments(t *testing.T) {
	t.Parallel()
	for _, b := range codeBlocks(t, "yaml") {
		t.Run(b.file, func(t *testing.T) {
			t.Parallel()
			retrieved, err := confmap.NewRetrievedFromYAML([]byte(b.text))
			require.NoError(t, err)
			conf, err := retrieved.AsConf()
			require.NoError(t, err)
			if conf.IsSet("apiVersion") {
				return // internal/tools/manifests builds it
			}
			config := writeConfig(t, b.text)
			if conf.IsSet("service::pipelines") {
				runDocumentedConfig(t, proctest.ProgramPath(t, "GX_COLLECTOR"), conf, config)
				return
			}
			cmd := exec.CommandContext(t.Context(), proctest.ProgramPath(t, "GX_COLLECTOR"), "validate",
				"--config", writeConfig(t, exampleFrame), "--config", config)
			cmd.Env = append(os.Environ(), "GITHUB_TOKEN=abc")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
		})
	}
}

// runDocumentedConfig runs a whole configuration with addresses and folders of the test until it has read the scripted
// GitHub.
func runDocumentedConfig(t *testing.T, program string, conf *confmap.Conf, config string) {
	t.Helper()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits})
	args := []string{"--config", config}
	health := proctest.FreeAddress(t)
	for path, value := range map[string]string{
		"exporters::prometheus::endpoint":      proctest.FreeAddress(t),
		"extensions::replica_health::endpoint": health,
		"extensions::file_storage::directory":  filepath.Join(t.TempDir(), "var", "lib"),
		"receivers::githubexporter::github":    fmt.Sprintf("{endpoint: %q}", server.URL),
		"service::telemetry::metrics::level":   "none",
	} {
		part, _, _ := strings.Cut(path, "::")
		if part != "extensions" || conf.IsSet(path) {
			args = append(args, "--config", "yaml:"+path+": "+value)
		}
	}
	gx := proctest.New(t, program, args...)
	gx.Env = append(os.Environ(), "GITHUB_TOKEN="+githubtest.DefaultToken)
	gx.Run()
	eventually(t, 30*time.Second, func() error {
		if gx.HasExited() {
			require.Fail(t, "the collector has ended", gx.Output())
		}
		if !strings.Contains(gx.Output(), "Backfill in progress.") {
			return errors.New("no pass has ended")
		}
		if !conf.IsSet("extensions::replica_health") {
			return nil
		}
		_, err := getBody(t.Context(), "http://"+health+"/readyz")
		return err
	})
	gx.Stop()
}

// TestOtherBlocksOfDocuments: blocks of JSON and Go are syntactically valid.
func TestOtherBlocksOfDocuments(t *testing.T) {
	t.Parallel()
	for _, b := range codeBlocks(t, "json") {
		decoder := json.NewDecoder(strings.NewReader(b.text))
		for value := json.RawMessage(nil); ; {
			err := decoder.Decode(&value)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, b.file)
			if bytes.Contains(value, []byte(`"attempt"`)) {
				_, err = backfill.Decode(value)
				require.NoError(t, err, b.file)
			}
		}
	}
	for _, b := range codeBlocks(t, "go") {
		_, err := parser.ParseFile(token.NewFileSet(), b.file, "package p\ntype t interface {\n"+b.text+"}\n", 0)
		require.NoError(t, err, b.file)
	}
}

var (
	makeTarget = regexp.MustCompile("(?m)(?:^|`|^    )make ([a-z][a-z0-9-]*)")
	comment    = regexp.MustCompile(`(?:^|\s)#\s.*`)
	continued  = regexp.MustCompile(`\\\n\s*`)
)

// TestCommandsOfDocuments: documented targets of make exist, and other documented commands run.
func TestCommandsOfDocuments(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	require.NoError(t, err)
	for file, text := range documents(t) {
		for _, target := range makeTarget.FindAllStringSubmatch(text, -1) {
			require.Regexp(t, "(?m)^"+target[1]+":", string(makefile), "make %s in %s", target[1], file)
		}
		require.NotContains(t, text, "@latest", "%s: no version of the module is published", file)
	}
	var commands []string
	for _, b := range codeBlocks(t, "sh") {
		out, err := bash(t, "set -n\n"+b.text)
		require.NoError(t, err, "%s: %s", b.file, out)
		if b.file == backupDocument || b.file == privacyDocument {
			continue // TestBackup and TestErasePerson run them
		}
		for line := range strings.Lines(continued.ReplaceAllString(b.text, "")) {
			last := len(commands) - 1
			switch line = strings.TrimSpace(comment.ReplaceAllString(line, "")); {
			case last >= 0 && strings.Count(commands[last], "'")%2 == 1:
				commands[last] += " " + line // a quoted text of several lines
			case line != "":
				commands = append(commands, line)
			}
		}
	}
	control := startDocumentedGitHub(t, commands)
	for _, command := range commands {
		switch name, _, _ := strings.Cut(command, " "); name {
		case "make", "go", "export": // looked at above
		case "kubectl": // internal/tools/manifests builds the overlays, and the tests of Kubernetes apply them
		case "gxctl":
			runDocumentedGxctl(t, command)
		case "curl":
			out, err := bash(
				t,
				"curl() { command curl -sSf \"$@\"; }\n"+strings.ReplaceAll(command, "127.0.0.1:18080", control),
			)
			require.NoError(t, err, "%s: %s", command, out)
		default:
			require.Fail(t, "a command that the test does not know", command)
		}
	}
}

// startDocumentedGitHub runs the scripted GitHub with the documented arguments at another address, which it returns.
func startDocumentedGitHub(t *testing.T, commands []string) string {
	t.Helper()
	const run = "go run ./internal/github/githubtest/cmd/githubtest "
	i := slices.IndexFunc(commands, func(c string) bool { return strings.HasPrefix(c, run) })
	require.GreaterOrEqual(t, i, 0)
	program, address := filepath.Join(t.TempDir(), "githubtest"), proctest.FreeAddress(t)
	out, err := bash(t, "go build -o "+program+" ./internal/github/githubtest/cmd/githubtest")
	require.NoError(t, err, out)
	args := strings.ReplaceAll(strings.TrimPrefix(commands[i], run), "127.0.0.1:18080", address)
	args = strings.ReplaceAll(args, "=testdata/", "="+filepath.Join("..", "..", "testdata")+"/")
	server := proctest.New(t, program, strings.Fields(args)...)
	server.Run()
	awaitLog(t, server, "listening on ")
	return address
}
