// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package pattern

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for text, test := range map[string]struct{ matches, others []string }{
		"dependabot[bot]": {
			[]string{"dependabot[bot]", "Dependabot[Bot]"},
			[]string{"dependabotb", "dependabot", "dependabot[bot]x"},
		},
		"*[bot]": {[]string{"renovate[bot]", "[bot]"}, []string{"renovateb", "renovate[bot", "[bot]x"}},
		"lib-core": {
			[]string{"lib-core", "Lib-Core", "LIB-CORE"},
			[]string{"lib-core2", "my-lib-core", "lib_core"},
		},
		"{api,web}":         {[]string{"{api,web}", "{API,web}"}, []string{"api", "web"}},
		"app-?":             {[]string{"app-1", "APP-x"}, []string{"app-", "app-12", "app-1\n"}},
		"*":                 {[]string{"a", "", "a.b-c_d", "a\nb"}, nil},
		"a*b*c":             {[]string{"abc", "axxbyyc", "AbbC"}, []string{"acb", "abcd", "xabc"}},
		".github":           {[]string{".github", ".GitHub"}, []string{"xgithub"}},
		`a\b`:               {[]string{`a\b`, `A\B`}, []string{"ab", "a"}},
		`a\*b`:              {[]string{`a\b`, `a\xb`}, []string{"a*b", "ab"}},
		"a\\Q":              {[]string{`a\q`}, []string{"a"}},
		"(?i:x)|^$":         {[]string{"(Ai:x)|^$"}, []string{"x", ""}},
		"name_with+plus...": {[]string{"name_with+plus..."}, []string{"name_withhplus..."}},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			p, err := Compile(text)
			require.NoError(t, err)
			require.Equal(t, text, p.String())
			for _, name := range test.matches {
				require.True(t, p.Match(name), name)
			}
			for _, name := range test.others {
				require.False(t, p.Match(name), name)
			}
		})
	}
	_, err := Compile("")
	require.ErrorIs(t, err, ErrEmpty)
	_, err = Compile("a\xff")
	require.Error(t, err)
	require.False(t, Pattern{}.Match(""))
}

func TestList(t *testing.T) {
	t.Parallel()
	list, err := CompileList([]string{"api-*", "Web"})
	require.NoError(t, err)
	for name, want := range map[string]bool{"API-1": true, "web": true, "app": false, "": false} {
		require.Equal(t, want, list.Match(name), name)
	}
	require.False(t, List(nil).Match("a"))
	_, err = CompileList([]string{"a", ""})
	require.ErrorIs(t, err, ErrEmpty)
}

// matchSlowly matches a name by the definition of patterns.
func matchSlowly(pattern, name []rune) bool {
	if len(pattern) == 0 {
		return len(name) == 0
	}
	if pattern[0] == '*' {
		return matchSlowly(pattern[1:], name) || (len(name) > 0 && matchSlowly(pattern, name[1:]))
	}
	return len(name) > 0 && (pattern[0] == '?' || strings.EqualFold(string(pattern[0]), string(name[0]))) &&
		matchSlowly(pattern[1:], name[1:])
}

// FuzzMatch compares Match with matchSlowly.
func FuzzMatch(f *testing.F) {
	for _, seed := range [][2]string{
		{"dependabot[bot]", "Dependabot[bot]"},
		{"*[bot]", "b"},
		{"a?c", "abc"},
		{`\*`, `\x`},
		{"{a,b}", "a"},
		{"**", "x"},
		{"ſ", "S"},
		{"K", "\u212a"},
		{".+^$|()", ".+^$|()"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		if len(text) > 12 || len(name) > 24 || !utf8.ValidString(name) {
			return // it takes the definition too long, or is no name
		}
		p, err := Compile(text)
		if err != nil {
			require.True(t, text == "" || !utf8.ValidString(text),
				"only the empty text and what is no UTF-8 is refused: %v", err)
			return
		}
		require.Equal(t, matchSlowly([]rune(text), []rune(name)), p.Match(name), "%q %q", text, name)
	})
}
