// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/collectorconfig"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter"
)

// What is said of absent files.
const (
	absentHere    = "the file does not exist here"
	makeThere     = "make it where the collector runs"
	elsewhereHint = "; on another machine than the collector's, use --allow-missing-files"
)

// checkFiles checks the private keys of Apps, and names the files with settings that do not exist.
func (o *options) checkFiles(results *report, collector *collectorconfig.Collector) {
	for _, path := range collector.AbsentFiles {
		results.add("configuration", path, StatusWarn, absentHere, makeThere)
	}
	for _, receiver := range collector.Receivers {
		for _, app := range receiver.Config.Apps() {
			status, reason, action := o.describeKey(app.AppConfig)
			if status != "" {
				results.add("private key", app.Owner, status, reason, action)
			}
		}
	}
}

// describeKey returns whether the collector can use the key of an App; no status when the key is not known here, or
// missing in the settings. No result has a part of the key.
func (o *options) describeKey(app *githubexporter.AppConfig) (status Status, reason, action string) {
	const ofGitHub = "use the file that GitHub made for the App, as it is"
	var text []byte
	from := "private_key"
	switch {
	case app.PrivateKey != nil && *app.PrivateKey != collectorconfig.AbsentText:
		text = []byte(*app.PrivateKey)
	case app.PrivateKey == nil && app.PrivateKeyFile != "":
		from = app.PrivateKeyFile
		var err error
		text, err = os.ReadFile(from)
		switch {
		case errors.Is(err, fs.ErrNotExist) && o.elsewhere:
			return StatusWarn, from + ": " + absentHere, makeThere
		case errors.Is(err, fs.ErrNotExist):
			return StatusFail, from + ": the file does not exist",
				"make it, or correct private_key_file" + elsewhereHint
		case err != nil:
			return StatusFail, oneLine(err.Error()), "let the user of the collector read the file"
		}
	default:
		return "", "", ""
	}
	bits, err := transport.CheckPrivateKey(text)
	if err != nil {
		return StatusFail, from + ": " + oneLine(err.Error()), ofGitHub
	}
	return StatusOK, fmt.Sprintf("%s: an RSA key of %d bits", from, bits), ""
}
