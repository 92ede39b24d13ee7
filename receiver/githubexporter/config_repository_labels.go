// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
)

// RepositoryLabelsConfig selects the topics and the custom properties that are labels of gh_repo_info.
type RepositoryLabelsConfig struct {
	// Topics are topics of repositories. Each is a label, topic_<topic>, with the value true or false.
	Topics []string `mapstructure:"topics"`
	// Properties are names of custom properties. Each is a label, property_<name>, with the property's value. Needs
	// the permission to read the custom properties of the organization.
	Properties []string `mapstructure:"properties"`

	_ struct{}
}

// maxRepositoryLabels bounds the topics, and the properties.
const maxRepositoryLabels = 50

var (
	// topicName matches what GitHub allows as a topic
	// (https://docs.github.com/repositories/classifying-your-repository-with-topics).
	topicName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,49}$`)
	// propertyName matches what GitHub allows as the name of a custom property
	// (https://docs.github.com/organizations/managing-organization-settings/managing-custom-properties-for-repositories-in-your-organization).
	propertyName = regexp.MustCompile(`^[A-Za-z0-9_$#.-]{1,75}$`)
)

// validate refuses names that GitHub does not allow, and names whose labels are the same.
func (c *RepositoryLabelsConfig) validate() error {
	return errors.Join(
		validateLabelNames("repository_labels::topics", "topic_", c.Topics, topicName),
		validateLabelNames("repository_labels::properties", "property_", c.Properties, propertyName))
}

// validateLabelNames checks a list of names that become labels with a prefix.
func validateLabelNames(path, prefix string, names []string, allowed *regexp.Regexp) error {
	if len(names) > maxRepositoryLabels {
		return fmt.Errorf("%s: %d names, want at most %d", path, len(names), maxRepositoryLabels)
	}
	var errs []error
	first := make(map[string]string)
	for i, name := range names {
		label := emit.LabelName(prefix, name)
		switch other, isTwice := first[label]; {
		case !allowed.MatchString(name):
			errs = append(errs, fmt.Errorf("%s::%d: %q, want a name that GitHub allows: %s", path, i, name, allowed))
		case isTwice:
			errs = append(errs, fmt.Errorf("%s::%d: %q has the label %s of %q, want another name", path, i, name, label,
				other))
		default:
			first[label] = name
		}
	}
	return errors.Join(errs...)
}
