// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// defaultToken is a credential that the scripted GitHub accepts.
const defaultToken = githubtest.DefaultToken

// programs returns the paths of the built programs by name.
func programs(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"otelcol-githubexporter": proctest.ProgramPath(t, "GX_COLLECTOR"),
		"gxctl":                  proctest.ProgramPath(t, "GX_CTL"),
	}
}

// hash returns the hash of a file.
func hash(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// TestProgramsAreStatic: the programs need no loader and no library, and name no folder of the machine.
func TestProgramsAreStatic(t *testing.T) {
	t.Parallel()
	for name, path := range programs(t) {
		file, err := elf.Open(path)
		require.NoError(t, err)
		for _, segment := range file.Progs {
			require.NotContains(t, []elf.ProgType{elf.PT_INTERP, elf.PT_DYNAMIC}, segment.Type, name)
		}
		require.NoError(t, file.Close())
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotContains(t, string(data), tree(t), name)
	}
}

// TestTwoBuilds: two builds of the same sources in different folders are the same bytes.
func TestTwoBuilds(t *testing.T) {
	t.Parallel()
	files := strings.Fields(runCommand(t, tree(t), nil, "git", "ls-files", "-co", "--exclude-standard",
		"--", ":!testdata", ":!docs", ":!internal/e2e"))
	build := func(folder string) map[string]string {
		for _, file := range files {
			if info, err := os.Stat(filepath.Join(tree(t), file)); err == nil && info.Mode().IsRegular() {
				copyFile(t, filepath.Join(tree(t), file), filepath.Join(folder, file))
			}
		}
		out := filepath.Join(folder, "out")
		runCommand(t, folder, []string{"REVISION=0123456789abcdef"}, "scripts/build-programs", out)
		hashes := make(map[string]string)
		for name := range programs(t) {
			hashes[name] = hash(t, filepath.Join(out, name))
		}
		return hashes
	}
	first := build(filepath.Join(t.TempDir(), "a"))
	require.Len(t, first, 2)
	require.Equal(t, first, build(filepath.Join(t.TempDir(), "another", "folder")))
}

// TestBillsOfMaterials: the bill of each program has every module in it, and is the same each time.
func TestBillsOfMaterials(t *testing.T) {
	t.Parallel()
	for name, path := range programs(t) {
		folder := t.TempDir()
		first, second := filepath.Join(folder, "first.json"), filepath.Join(folder, "second.json")
		runCommand(t, tree(t), nil, "scripts/write-sbom", path, first)
		runCommand(t, tree(t), nil, "scripts/write-sbom", path, second)
		require.Equal(t, hash(t, first), hash(t, second))

		var bill struct {
			BOMFormat  string
			Components []struct{ Name, Version string }
		}
		text, err := os.ReadFile(first)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &bill))
		require.Equal(t, "CycloneDX", bill.BOMFormat)
		versions := make(map[string]string)
		for _, component := range bill.Components {
			versions[component.Name] = component.Version
		}
		info, err := buildinfo.ReadFile(path)
		require.NoError(t, err)
		require.NotEmpty(t, info.Deps)
		for _, module := range info.Deps {
			if module.Replace == nil {
				require.Equal(t, module.Version, versions[module.Path], "%s in %s", module.Path, name)
			}
		}
		require.Contains(t, versions, "std", name)
	}
}
