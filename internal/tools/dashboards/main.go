// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Command dashboards writes the Grafana dashboards of deploy/grafana: dashboards FOLDER.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("usage: dashboards FOLDER")
	}
	for name, builder := range map[string]*dashboard.DashboardBuilder{
		"engineering": engineering(), "organization": organization(), "copilot": copilot(), "exporter": exporter(),
	} {
		text, err := encode(builder)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		file := filepath.Join(arguments[0], name+".json")
		if err := os.WriteFile(file, text, 0o644); err != nil { //nolint:gosec // anyone may read it
			return err
		}
	}
	return nil
}

// encode returns a dashboard as JSON.
func encode(builder *dashboard.DashboardBuilder) ([]byte, error) {
	built, err := builder.Build()
	if err != nil {
		return nil, err
	}
	arrange(built.Panels)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(built); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
