// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collectorconfig

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
)

// AbsentText stands for the content of an absent file. It is a valid token, user name, password and private key for
// the checks of the settings, which parse none of them.
const AbsentText = "-----BEGIN-absent-file"

// absentFiles is the provider of files, with AbsentText in place of files that do not exist.
type absentFiles struct {
	confmap.Provider
	// uris are those of the configuration itself, which must exist.
	uris   []string
	absent *[]string
}

// newAbsentFiles returns a factory of the provider, which adds the paths of absent files to a list.
func newAbsentFiles(uris []string, absent *[]string) confmap.ProviderFactory {
	return confmap.NewProviderFactory(func(settings confmap.ProviderSettings) confmap.Provider {
		return &absentFiles{fileprovider.NewFactory().Create(settings), uris, absent}
	})
}

// Retrieve implements confmap.Provider.
func (f *absentFiles) Retrieve(
	ctx context.Context, uri string, watcher confmap.WatcherFunc,
) (*confmap.Retrieved, error) {
	retrieved, err := f.Provider.Retrieve(ctx, uri, watcher)
	path := strings.TrimPrefix(uri, "file:")
	if !errors.Is(err, fs.ErrNotExist) || slices.Contains(f.uris, uri) || slices.Contains(f.uris, path) {
		return retrieved, err
	}
	if !slices.Contains(*f.absent, path) {
		*f.absent = append(*f.absent, path)
	}
	return confmap.NewRetrieved(AbsentText)
}
