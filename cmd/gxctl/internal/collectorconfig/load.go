// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package collectorconfig reads the configuration of a collector as the collector does, and of it the components of
// this project.
package collectorconfig

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/seed-358c4d9d/githubexporter/extension/leaderelector"
	"github.com/seed-358c4d9d/githubexporter/extension/replicahealth"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter"
)

// Collector is what a configuration has of the components of this project.
type Collector struct {
	// Components are all of them, sorted by path.
	Components []Component
	Receivers  []Receiver
	Electors   []Elector
	// Extensions are the ids of the extensions that are configured and run, PipelineReceivers those of the receivers
	// of all pipelines.
	Extensions, PipelineReceivers []string
	// AbsentFiles are the files that settings are read from and that do not exist; empty but for LoadElsewhere.
	AbsentFiles []string
	// conf is the whole configuration.
	conf *confmap.Conf
}

// Component is a component and what is wrong with its settings.
type Component struct {
	// Path is where it is configured, such as receivers::githubexporter.
	Path       string
	IsReceiver bool
	Problems   []string
}

// Receiver is a receiver githubexporter.
type Receiver struct {
	ID     string
	Config *githubexporter.Config
}

// Elector is an extension leader_elector.
type Elector struct {
	ID     string
	Config *leaderelector.Config
}

// Load reads the configuration that the URIs make together. Its error is that of a file that cannot be read, or of a
// text that is no configuration; wrong settings are problems of their components.
func Load(ctx context.Context, uris []string) (*Collector, error) {
	return load(ctx, uris, fileprovider.NewFactory(), &Collector{})
}

// LoadElsewhere is Load on another machine than the collector's: the files with settings, as in ${file:PATH}, may be
// absent.
func LoadElsewhere(ctx context.Context, uris []string) (*Collector, error) {
	c := &Collector{}
	return load(ctx, uris, newAbsentFiles(uris, &c.AbsentFiles), c)
}

// load reads the configuration with a provider of files.
func load(ctx context.Context, uris []string, files confmap.ProviderFactory, c *Collector) (*Collector, error) {
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: uris, DefaultScheme: "env", ProviderFactories: []confmap.ProviderFactory{
			files, envprovider.NewFactory(), yamlprovider.NewFactory(),
		},
	})
	if err != nil {
		return nil, err
	}
	conf, err := resolver.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	c.conf = conf
	slices.Sort(c.AbsentFiles)
	running := c.strings("service::extensions")
	for _, id := range slices.Sorted(maps.Keys(c.section("extensions"))) {
		if slices.Contains(running, id) {
			c.Extensions = append(c.Extensions, id)
		}
	}
	for name := range c.section("service::pipelines") {
		c.PipelineReceivers = append(c.PipelineReceivers, c.strings("service::pipelines::"+name+"::receivers")...)
	}
	c.addReceivers()
	c.addExtensions()
	return c, nil
}

// Text returns a setting of any component, by its path; empty when there is none.
func (c *Collector) Text(path string) string {
	if value := c.conf.Get(path); value != nil {
		return fmt.Sprint(value)
	}
	return ""
}

// section returns a part of the configuration that is a map; empty where it is none.
func (c *Collector) section(path string) map[string]any {
	values, _ := c.conf.Get(path).(map[string]any)
	return values
}

// strings returns a part of the configuration that is a list of texts.
func (c *Collector) strings(path string) []string {
	values, _ := c.conf.Get(path).([]any)
	var list []string
	for _, value := range values {
		list = append(list, fmt.Sprint(value))
	}
	return list
}

// ids returns the ids in a section of components of a type, sorted.
func (c *Collector) ids(section, kind string) []string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(c.section(section))) {
		if name, _, _ := strings.Cut(id, "/"); name == kind {
			list = append(list, id)
		}
	}
	return list
}

func (c *Collector) addReceivers() {
	factory := githubexporter.NewFactory()
	for _, id := range c.ids("receivers", factory.Type().String()) {
		config := factory.CreateDefaultConfig()
		if c.addComponent("receivers", id, config) {
			c.Receivers = append(c.Receivers, Receiver{ID: id, Config: config.(*githubexporter.Config)})
		}
	}
}

func (c *Collector) addExtensions() {
	elector, health := leaderelector.NewFactory(), replicahealth.NewFactory()
	for _, id := range c.ids("extensions", elector.Type().String()) {
		config := elector.CreateDefaultConfig()
		if c.addComponent("extensions", id, config) {
			c.Electors = append(c.Electors, Elector{ID: id, Config: config.(*leaderelector.Config)})
		}
	}
	for _, id := range c.ids("extensions", health.Type().String()) {
		c.addComponent("extensions", id, health.CreateDefaultConfig())
	}
}

// addComponent reads the settings of a component into its defaults, and validates them. It reports whether they could
// be read.
func (c *Collector) addComponent(section, id string, config component.Config) bool {
	found := Component{Path: section + "::" + id, IsReceiver: section == "receivers"}
	settings, err := c.conf.Sub(found.Path) // with the texts of variables: a password of digits stays a text
	if err == nil {
		err = settings.Unmarshal(config)
	}
	read := err == nil
	if read {
		err = xconfmap.Validate(config)
	}
	if err != nil {
		found.Problems = problemsOf(err)
	}
	c.Components = append(c.Components, found)
	return read
}

// problemsOf returns the single problems of an error, which joins them as lines. The collector's decoder has a heading
// above its own, and the empty path of the whole component in front of each.
func problemsOf(err error) []string {
	var problems []string
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "'' ")
		if line != "" && !strings.HasPrefix(line, "decoding failed due to") {
			problems = append(problems, line)
		}
	}
	if len(problems) == 0 {
		return []string{err.Error()}
	}
	return problems
}
