// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// propertyValuesEndpoint lists the values of the custom properties of all repositories
// (https://docs.github.com/rest/orgs/custom-properties#list-custom-property-values-for-organization-repositories).
// The published GraphQL schema does not have them.
const propertyValuesEndpoint = "/orgs/{org}/properties/values"

// propertyRow is a repository with the values of its custom properties.
type propertyRow struct {
	RepositoryID *int64 `json:"repository_id"`
	Properties   []struct {
		Name  string          `json:"property_name"`
		Value json.RawMessage `json:"value"`
	} `json:"properties"`
}

// propertyRows is the format of a page of repositories with their custom properties.
var propertyRows = listFormat(func(r *propertyRow, _ fieldErrors) bool { return r.RepositoryID != nil })

// propertyValues are the values of custom properties by repository; unknown before they were read. Its zero value is
// ready, and it is safe for concurrent use.
type propertyValues struct {
	mu      sync.Mutex
	isKnown bool
	byRepo  map[int64][]activity.Property
}

// set sets the properties of a repository.
func (p *propertyValues) set(f *activity.RepoFacts, repo int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.Properties, f.PropertiesKnown = p.byRepo[repo], p.isKnown
}

// replace replaces the properties of all repositories.
func (p *propertyValues) replace(byRepo map[int64][]activity.Property) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byRepo, p.isKnown = byRepo, true
}

// readProperties reads the configured custom properties of all repositories, a request for each hundred. When that
// fails, those that were read before stay.
func (c *Client) readProperties(ctx context.Context, org string) {
	if len(c.settings.Properties) == 0 {
		return
	}
	byRepo := make(map[int64][]activity.Property)
	for number := 1; number <= maxPages; number++ {
		rows, info, err := requestREST(ctx, c, restRequest{
			endpoint: propertyValuesEndpoint, path: "orgs/" + org + "/properties/values", noRefusalRetry: true,
			query: queryValues("per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
		}, propertyRows)
		if err != nil {
			return
		}
		for _, row := range rows {
			byRepo[*row.RepositoryID] = c.propertiesOf(row)
		}
		if !info.next {
			c.properties.replace(byRepo)
			return
		}
	}
}

// propertiesOf returns those of the configured properties that have a value, sorted by name.
func (c *Client) propertiesOf(row *propertyRow) []activity.Property {
	var list []activity.Property
	for _, p := range row.Properties {
		value := propertyText(p.Value)
		if value != "" && slices.Contains(c.settings.Properties, p.Name) {
			list = append(list, activity.Property{Name: p.Name, Value: value})
		}
	}
	slices.SortFunc(list, func(a, b activity.Property) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// propertyText returns a value as a text: the values of a property with several are sorted and joined by commas. It is
// empty for none.
func propertyText(raw json.RawMessage) string {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return transport.Printable(one)
	}
	var several []string
	if json.Unmarshal(raw, &several) != nil {
		return ""
	}
	slices.Sort(several)
	return transport.Printable(strings.Join(several, ","))
}
