// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	"context"
	"go/version"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
)

// dockerfile is what a test needs of the parsed Dockerfile.
type dockerfile struct {
	stages []instructions.Stage
	final  instructions.Stage
}

// parseDockerfile parses the Dockerfile as BuildKit does.
func parseDockerfile(t *testing.T) dockerfile {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(readFile(t, "Dockerfile")))
	require.NoError(t, err)
	stages, _, err := instructions.Parse(parsed.AST, nil)
	require.NoError(t, err)
	return dockerfile{stages, stages[len(stages)-1]}
}

// only returns the only command of a type in the final stage.
func only[T any](t *testing.T, stage instructions.Stage) T {
	t.Helper()
	var found []T
	for _, command := range stage.Commands {
		if c, ok := command.(T); ok {
			found = append(found, c)
		}
	}
	require.Len(t, found, 1)
	return found[0]
}

// TestDockerfileLint: BuildKit's own checks, as `docker build --check` runs them, have no findings.
func TestDockerfileLint(t *testing.T) {
	t.Parallel()
	require.Empty(t, findings(t, readFile(t, "Dockerfile")))
}

// TestDockerfileLintFires: the checks find a mistake.
func TestDockerfileLintFires(t *testing.T) {
	t.Parallel()
	require.Subset(t, findings(t, "FROM scratch as final\nENV GITHUB_TOKEN=abc\nCMD run\n"),
		[]string{"FromAsCasing", "SecretsUsedInArgOrEnv", "JSONArgsRecommended"})
}

// findings returns the rules that BuildKit's checks of a Dockerfile find to be broken.
func findings(t *testing.T, text string) []string {
	t.Helper()
	source := llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", []byte(text))
	source.Definition = &llb.Definition{}
	results, err := dockerfile2llb.DockerfileLint(t.Context(), []byte(text), dockerfile2llb.ConvertOpt{
		SourceMap: source, MetaResolver: noRegistry{},
	})
	require.NoError(t, err)
	require.Nil(t, results.Error)
	var rules []string
	for _, warning := range results.Warnings {
		rules = append(rules, warning.RuleName)
	}
	return rules
}

// noRegistry answers for base images without a registry: they have no configuration.
type noRegistry struct{}

// ResolveImageConfig implements llb.ImageMetaResolver.
func (noRegistry) ResolveImageConfig(
	_ context.Context, image string, _ sourceresolver.Opt,
) (name string, digested digest.Digest, config []byte, err error) {
	return image, digest.FromString(image), []byte("{}"), nil
}

// TestDockerfile: the final stage begins with nothing, runs as a user without a name, and needs no shell.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	d := parseDockerfile(t)
	require.Equal(t, "scratch", d.final.BaseName)
	require.Equal(t, userID+":"+userID, only[*instructions.UserCommand](t, d.final).User)
	require.Equal(t, []string{stateFolder}, only[*instructions.VolumeCommand](t, d.final).Volumes)
	require.False(t, only[*instructions.EntrypointCommand](t, d.final).PrependShell)
	require.False(t, only[*instructions.CmdCommand](t, d.final).PrependShell)
	require.Equal(t, "CMD", only[*instructions.HealthCheckCommand](t, d.final).Health.Test[0])

	goVersion := find(t, `(?m)^go (\S+)$`, "go.mod")
	image := find(t, `(?m)^FROM --platform=\S+ golang:([0-9.]+)-\S+ AS programs$`, "Dockerfile")
	require.GreaterOrEqual(t, version.Compare("go"+image, "go"+goVersion), 0, "%s is older than %s", image, goVersion)
}

// TestBuildContext: .dockerignore leaves out what is made, and nothing that the Dockerfile copies.
func TestBuildContext(t *testing.T) {
	t.Parallel()
	patterns, err := ignorefile.ReadAll(bytes.NewReader([]byte(readFile(t, ".dockerignore"))))
	require.NoError(t, err)
	matcher, err := patternmatcher.New(patterns)
	require.NoError(t, err)
	isIgnored := func(path string) bool {
		ignored, err := matcher.MatchesOrParentMatches(path)
		require.NoError(t, err)
		return ignored
	}
	for _, made := range []string{".git/config", ".cache/redis/redis-server", "_build/main.go", "bin/gxctl", "data/x"} {
		require.True(t, isIgnored(made), made)
	}
	for _, command := range parseDockerfile(t).final.Commands {
		if c, ok := command.(*instructions.CopyCommand); ok && c.From == "" {
			for _, path := range c.SourcePaths {
				require.FileExists(t, filepath.Join(tree(t), path))
				require.False(t, isIgnored(path), path)
			}
		}
	}
}

// TestImageRuns: the root file system of the image, read-only, runs the collector as the image's user, with the image's
// own command, configuration and health check.
func TestImageRuns(t *testing.T) {
	t.Parallel()
	d, s := parseDockerfile(t), newSandbox(t)
	for _, command := range d.final.Commands {
		if c, ok := command.(*instructions.CopyCommand); ok {
			s.copy(t, c)
		}
	}
	env, health, metrics := serveGitHub(t)
	s.env = slices.Concat(env, []string{"GITHUB_TOKEN=" + defaultToken})
	command := slices.Concat(only[*instructions.EntrypointCommand](t, d.final).CmdLine,
		only[*instructions.CmdCommand](t, d.final).CmdLine, []string{quiet})
	check := only[*instructions.HealthCheckCommand](t, d.final).Health.Test[1:]
	check = append(check, "--url", "http://"+health+"/readyz")

	require.Contains(t, s.run(t, check...), "connection refused")
	collector := s.prepare(t, command...)
	collector.Run()
	awaitMetrics(t, collector, metrics)
	require.Equal(t, "ready\n", s.run(t, check...))
	require.NotContains(t, collector.Output(), "read-only file system")
	require.NotContains(t, collector.Output(), defaultToken)
	collector.Stop()
}

// copy executes a COPY of the final stage.
func (s *sandbox) copy(t *testing.T, c *instructions.CopyCommand) {
	t.Helper()
	for _, source := range c.SourcePaths {
		target := filepath.Join(s.root, c.DestPath, filepath.Base(source))
		switch {
		case c.From == "":
			copyFile(t, filepath.Join(tree(t), source), target)
		case c.From == "files" && source == "/state/":
			require.Equal(t, userID+":"+userID, c.Chown)
			require.DirExists(t, filepath.Join(s.root, c.DestPath))
		case c.From == "files":
			copyFile(t, source, target)
		default:
			require.Equal(t, "programs", c.From)
			copyFile(t, programs(t)[filepath.Base(source)], target)
		}
	}
	require.True(t, strings.HasSuffix(c.DestPath, "/"), "%s is a folder", c.DestPath)
	_, err := os.Stat(filepath.Join(s.root, c.DestPath))
	require.NoError(t, err)
}
