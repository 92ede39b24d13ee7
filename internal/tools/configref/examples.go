// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.yaml.in/yaml/v3"
)

// examples are configurations of one component, in the order of the file.
type examples []map[string]any

// readExamples returns the configurations of a file by receivers::TYPE and extensions::TYPE.
func readExamples(path string) (map[string]examples, error) {
	text, err := os.ReadFile(path) //nolint:gosec // a file of this tree
	if err != nil {
		return nil, err
	}
	var document map[string]yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	found := map[string]examples{}
	for kind, node := range document {
		for i := 0; i+1 < len(node.Content); i += 2 {
			name, _, _ := strings.Cut(node.Content[i].Value, "/")
			var config map[string]any
			if err := node.Content[i+1].Decode(&config); err != nil {
				return nil, err
			}
			found[kind+"::"+name] = append(found[kind+"::"+name], config)
		}
	}
	return found, nil
}

// check returns an error for an example that the component refuses.
func (e examples) check(factory component.Factory) error {
	for i, raw := range e {
		config := factory.CreateDefaultConfig()
		err := confmap.NewFromStringMap(raw).Unmarshal(config)
		if err == nil {
			err = xconfmap.Validate(config)
		}
		if err != nil {
			return fmt.Errorf("example %d: %w", i, err)
		}
	}
	return nil
}

// find returns the first example of a setting, in YAML on one line. The item 0 of a list in the path is any item.
func (e examples) find(path string) (string, bool) {
	for _, config := range e {
		if value, ok := lookUp(config, strings.Split(path, "::")); ok {
			return flow(value), true
		}
	}
	return "", false
}

func lookUp(value any, path []string) (any, bool) {
	if len(path) == 0 {
		return value, true
	}
	switch v := value.(type) {
	case map[string]any:
		if inner, ok := v[path[0]]; ok {
			return lookUp(inner, path[1:])
		}
	case []any:
		for _, item := range v {
			if found, ok := lookUp(item, path[1:]); ok {
				return found, true
			}
		}
	}
	return nil, false
}

// flow returns a value in YAML on one line.
func flow(value any) string {
	switch v := value.(type) {
	case map[string]any, []any:
		var node yaml.Node
		if err := node.Encode(v); err == nil {
			node.Style = yaml.FlowStyle
			text, err := yaml.Marshal(&node)
			if err == nil {
				return strings.Join(strings.Fields(string(text)), " ")
			}
		}
		text, _ := json.Marshal(v)
		return string(text)
	case string:
		first, _, more := strings.Cut(v, "\n")
		if more {
			return first + " ..."
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}
