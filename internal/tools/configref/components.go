// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"reflect"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/extension/leaderelector"
	"github.com/seed-358c4d9d/githubexporter/extension/replicahealth"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter"
)

// module is the path of the components' module: the blocks of its types are described, others are linked to.
const module = "github.com/seed-358c4d9d/githubexporter"

// described is a component whose settings are in the document.
type described struct {
	kind    string
	factory component.Factory
	folder  string
}

// components are all components of the tree. A test compares them with the folders.
func components() []described {
	return []described{
		{"receivers", githubexporter.NewFactory(), "receiver/githubexporter"},
		{"extensions", leaderelector.NewFactory(), "extension/leaderelector"},
		{"extensions", replicahealth.NewFactory(), "extension/replicahealth"},
	}
}

// section is where the component stands in a configuration, such as receivers::githubexporter.
func (c described) section() string { return c.kind + "::" + c.factory.Type().String() }

// newConfig returns the configuration in which every optional block is present, with its defaults.
func (c described) newConfig() (any, error) {
	config := c.factory.CreateDefaultConfig()
	conf := confmap.NewFromStringMap(emptyBlocks(reflect.TypeOf(config).Elem()))
	if err := conf.Unmarshal(config); err != nil {
		return nil, fmt.Errorf("a configuration with empty blocks: %w", err)
	}
	return config, nil
}

// emptyBlocks returns a configuration without values in which each optional block, and one item of each list of blocks,
// is present.
func emptyBlocks(t reflect.Type) map[string]any {
	blocks := map[string]any{}
	for field := range t.Fields() {
		key, options, _ := strings.Cut(field.Tag.Get("mapstructure"), ",")
		kind := field.Type
		for kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		switch {
		case !isOwn(kind) && (kind.Kind() != reflect.Slice || !isOwn(kind.Elem())):
		case options == "squash":
			for name, block := range emptyBlocks(kind) {
				blocks[name] = block
			}
		case kind.Kind() == reflect.Slice:
			blocks[key] = []any{emptyBlocks(kind.Elem())}
		case key != "":
			if inner := emptyBlocks(kind); len(inner) > 0 || field.Type.Kind() == reflect.Pointer {
				blocks[key] = inner
			}
		}
	}
	return blocks
}

// isOwn reports whether a type is a block of this module that is described. The metrics' settings, which mdatagen
// generates, are not.
func isOwn(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && strings.HasPrefix(t.PkgPath(), module) &&
		!strings.HasSuffix(t.PkgPath(), "/metadata")
}
