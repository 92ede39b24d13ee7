// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // packagers register themselves
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
	"github.com/sassoftware/go-rpmutils"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	packageName = "otelcol-githubexporter"
	configDir   = "/etc/otelcol-githubexporter"
	commitDate  = "2026-01-02T03:04:05Z"
)

// releaseConfig is what the tests read of .goreleaser.yaml. goreleaser has the fields of nfpm.
type releaseConfig struct {
	NFPMs []struct {
		nfpm.Info `yaml:",inline"`

		PackageName string `yaml:"package_name"`
		Formats     []string
		Bindir      string
	}
}

// makePackage makes a package as .goreleaser.yaml describes it, of programs that it names by their files.
func makePackage(t *testing.T, format, version string, programs map[string]string) []byte {
	t.Helper()
	var release releaseConfig
	text := strings.ReplaceAll(readFile(t, ".goreleaser.yaml"), "{{ .CommitDate }}", commitDate)
	require.NoError(t, yaml.Unmarshal([]byte(text), &release))
	require.Len(t, release.NFPMs, 1)
	described := release.NFPMs[0]
	require.Contains(t, described.Formats, format)
	info := &described.Info
	info.Name, info.Version, info.Arch, info.Platform = described.PackageName, version, "amd64", "linux"
	for _, content := range info.Contents {
		content.Source = filepath.Join(tree(t), content.Source)
	}
	for _, script := range []*string{&info.Scripts.PostInstall, &info.Scripts.PreRemove, &info.Scripts.PostRemove} {
		require.NotEmpty(t, *script)
		*script = filepath.Join(tree(t), *script)
	}
	for name, path := range programs {
		info.Contents = append(info.Contents, &files.Content{
			Source: path, Destination: filepath.Join(described.Bindir, name),
			FileInfo: &files.ContentFileInfo{Mode: 0o755, MTime: info.MTime},
		})
	}
	info.Deb.Compression = "none" // half a minute less
	info = nfpm.WithDefaults(info)
	require.NoError(t, nfpm.PrepareForPackager(info, format))
	packager, err := nfpm.Get(format)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, packager.Package(info, &out))
	return out.Bytes()
}

// machine is a root folder into which dpkg installs packages.
type machine struct{ *sandbox }

// newMachine makes a root folder with the database of dpkg.
func newMachine(t *testing.T) machine {
	t.Helper()
	m := machine{newSandbox(t)}
	require.NoError(t, os.RemoveAll(m.path("/var/lib/otelcol-githubexporter"))) // the unit makes it
	for _, folder := range []string{"info", "parts", "triggers", "updates"} {
		require.NoError(t, os.MkdirAll(m.path("/var/lib/dpkg", folder), 0o755))
	}
	require.NoError(t, os.WriteFile(m.path("/var/lib/dpkg/status"), nil, 0o600))
	return m
}

// path returns the path of a file of the machine.
func (m machine) path(parts ...string) string {
	return filepath.Join(m.root, filepath.Join(parts...))
}

// dpkg runs dpkg for the machine, in a user namespace as its root.
func (m machine) dpkg(t *testing.T, args ...string) {
	t.Helper()
	runCommand(t, m.root, nil, append([]string{
		"unshare", "--map-root-user", "dpkg", "--root=" + m.root, "--force-script-chrootless",
		"--force-confold", "--log=/dev/null",
	}, args...)...)
}

// install installs a version of the package.
func (m machine) install(t *testing.T, version string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "package.deb")
	require.NoError(t, os.WriteFile(file, makePackage(t, "deb", version, programs(t)), 0o600))
	m.dpkg(t, "--install", file)
}

// TestDebianPackage installs, runs, upgrades, removes and purges the package with dpkg.
func TestDebianPackage(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.install(t, "0.1.0")
	require.Contains(t, readFileAt(t, m.path("/var/lib/dpkg/status")), "\nStatus: install ok installed\n")
	m.runUnit(t)

	config := m.path(configDir, "config.yaml")
	changed := readFileAt(t, config) + "# changed\n"
	require.NoError(t, os.WriteFile(config, []byte(changed), 0o600))
	m.install(t, "0.1.1")
	require.Contains(t, readFileAt(t, m.path("/var/lib/dpkg/status")), "\nVersion: 0.1.1\n")
	require.Equal(t, changed, readFileAt(t, config), "an upgrade keeps a changed configuration")

	m.dpkg(t, "--remove", packageName)
	require.NoFileExists(t, m.path("/usr/bin/gxctl"))
	require.FileExists(t, config)
	require.DirExists(t, m.path(stateFolder), "what was recorded stays")
	m.dpkg(t, "--purge", packageName)
	require.NoDirExists(t, m.path(configDir))
	require.NoDirExists(t, m.path(stateFolder))
}

// runUnit runs the command line of the installed unit as systemd would: with its environment, its credential and its
// state folder, everything else read-only.
func (m machine) runUnit(t *testing.T) {
	t.Helper()
	unit := readUnit(t, m.path("/usr/lib/systemd/system", unitName))
	require.Equal(t, stateFolder, filepath.Join("/var/lib", unit.one(t, "StateDirectory")))
	require.NoError(t, os.MkdirAll(m.path(stateFolder), 0o700))
	name, source, _ := strings.Cut(unit.one(t, "LoadCredential"), ":")
	require.Equal(t, configDir, filepath.Dir(source))
	require.NoError(t, os.WriteFile(m.path(source), []byte(defaultToken+"\n"), 0o600))
	copyFile(t, m.path(source), m.path("/run/credentials", unitName, name))

	env, health, metrics := serveGitHub(t)
	m.env = slices.Concat(readEnvironment(t, m.path(unit.one(t, "EnvironmentFile"))), env, []string{
		"STATE_DIRECTORY=" + stateFolder, "CREDENTIALS_DIRECTORY=/run/credentials/" + unitName,
	})
	command := strings.Fields(strings.ReplaceAll(unit.one(t, "ExecStart"), "$OTELCOL_OPTIONS", quiet))
	collector := m.prepare(t, command...)
	collector.Run()
	awaitMetrics(t, collector, metrics)
	require.Equal(t, "ready\n", m.run(t, "/usr/bin/gxctl", "health", "--url", "http://"+health+"/readyz"))
	require.NotContains(t, collector.Output(), defaultToken)
	collector.Stop()
	recorded, err := os.ReadDir(m.path(stateFolder, "storage"))
	require.NoError(t, err)
	require.NotEmpty(t, recorded)
}

// readEnvironment returns the assignments of an environment file.
func readEnvironment(t *testing.T, path string) []string {
	t.Helper()
	var list []string
	for line := range strings.Lines(readFileAt(t, path)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			require.Contains(t, line, "=")
			list = append(list, line)
		}
	}
	return list
}

// readFileAt returns a file.
func readFileAt(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// TestRPMPackage: the package has the files of the .deb, with root as the owner; configuration is marked as such.
func TestRPMPackage(t *testing.T) {
	t.Parallel()
	pkg, err := rpmutils.ReadRpm(bytes.NewReader(makePackage(t, "rpm", "0.1.0", small(t))))
	require.NoError(t, err)
	identity, err := pkg.Header.GetNEVRA()
	require.NoError(t, err)
	require.Equal(t, packageName+"-0:0.1.0-1.x86_64.rpm", identity.String())
	list, err := pkg.Header.GetFiles()
	require.NoError(t, err)
	flags := make(map[string]int)
	for _, file := range list {
		require.Equal(t, "root", file.UserName(), file.Name())
		require.Zero(t, file.Mode()&0o022, "%s: %o", file.Name(), file.Mode())
		flags[file.Name()] = file.Flags()
	}
	const noReplace = 1<<0 | 1<<4 // RPMFILE_CONFIG, RPMFILE_NOREPLACE
	require.Equal(t, map[string]int{
		"/usr/bin/otelcol-githubexporter":               0,
		"/usr/bin/gxctl":                                0,
		"/usr/lib/systemd/system/" + unitName:           0,
		configDir + "/config.yaml":                      noReplace,
		configDir + "/otelcol-githubexporter.conf":      noReplace,
		"/usr/share/doc/otelcol-githubexporter/LICENSE": 0,
	}, flags)
}

// TestTwoPackages: two packages of the same files are the same bytes.
func TestTwoPackages(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"deb", "rpm"} {
		first := makePackage(t, format, "0.1.0", small(t))
		require.True(t, bytes.Equal(first, makePackage(t, format, "0.1.0", small(t))), format)
		require.False(t, bytes.Equal(first, makePackage(t, format, "0.1.1", small(t))), format)
	}
}

// small returns files in place of the programs, which take a minute to compress.
func small(t *testing.T) map[string]string {
	t.Helper()
	list := make(map[string]string)
	for name := range programs(t) {
		list[name] = filepath.Join(t.TempDir(), name)
		writeFile(t, list[name], "the program "+name)
	}
	return list
}
