// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	usagereport "github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter"
)

// checkGitHub checks the organizations of a configuration, and its enterprise.
func checkGitHub(ctx context.Context, results *report, config *githubexporter.Config) {
	rules := config.CopilotRules()
	for i := range config.Orgs {
		org := &config.Orgs[i]
		o := newOwner(ctx, results, config, &org.Auth, org.Name)
		if o == nil || !o.checkCredential(ctx) || !o.checkOrganization(ctx) {
			continue
		}
		o.checkScopes()
		o.checkFeatures(ctx, o.checkRepositories(ctx))
		o.checkTeams(ctx)
		o.checkGraphQL(ctx)
		if config.ReadsCopilotOf(org.Name) {
			o.checkCopilot(ctx, rules[usagereport.ScopeOrganization])
		}
	}
	if of, ok := rules[usagereport.ScopeEnterprise]; ok {
		auth := githubexporter.AuthConfig(config.Copilot.Enterprise.Auth)
		o := newOwner(ctx, results, config, &auth, config.Copilot.Enterprise.Slug)
		if o != nil && o.checkCredential(ctx) {
			o.checkCopilot(ctx, of)
		}
	}
}

// checkOrganization checks that the organization exists for the credential.
func (o *owner) checkOrganization(ctx context.Context) bool {
	received, err := o.get(ctx, "/orgs/{org}", "orgs/"+url.PathEscape(o.name), 1)
	var org struct{ Login string }
	if err == nil {
		err = json.Unmarshal(received.Body, &org)
	}
	if err != nil {
		reason, action := explain(err)
		o.add("organization", StatusFail, reason, action)
		return false
	}
	o.add("organization", StatusOK, fmt.Sprintf("it exists as %q", org.Login), "")
	return true
}

// repository is what a list says of a repository.
type repository struct {
	Name     string `json:"name"`
	Private  bool   `json:"private"`
	Archived bool   `json:"archived"`
}

// maxSamples bounds the repositories that a feature is tried with.
const maxSamples = 5

// checkRepositories checks what is visible of the organization, and returns repositories to try the features with, the
// private ones first: the public ones can be read without a permission.
func (o *owner) checkRepositories(ctx context.Context) []repository {
	const endpoint, check = "/orgs/{org}/repos", "permission metadata"
	path := "orgs/" + url.PathEscape(o.name) + "/repos?type=all&per_page="
	one, err := o.get(ctx, endpoint, path+"1", 1)
	var newest transport.Received
	if err == nil {
		newest, err = o.get(ctx, endpoint, path+"100&sort=pushed&direction=desc", 1)
	}
	var list []repository
	if err == nil {
		err = json.Unmarshal(newest.Body, &list)
	}
	if err != nil {
		reason, action := explainFeature("the list of repositories", "metadata", err)
		o.add(check, StatusFail, reason, action)
		return nil
	}
	if len(list) == 0 {
		o.add(check, StatusFail, "the list of repositories is empty", "give the credential access to repositories")
		return nil
	}
	private := 0
	for i := range list {
		if list[i].Private {
			private++
		}
	}
	o.add(check, StatusOK, fmt.Sprintf("%d repositories are visible; of the %d newest, %d are private", countPages(one,
		len(list)), len(list), private), "")
	slices.SortStableFunc(list, func(a, b repository) int {
		return boolOrder(b.Private && !b.Archived) - boolOrder(a.Private && !a.Archived)
	})
	return list[:min(len(list), maxSamples)]
}

// boolOrder returns 1 for true.
func boolOrder(is bool) int {
	if is {
		return 1
	}
	return 0
}

// lastPage matches the number of the last page in a Link header.
var lastPage = regexp.MustCompile(`[?&]page=(\d+)[^>]*>; rel="last"`)

// countPages returns the number of the last page of a list; otherwise when it has one page.
func countPages(received transport.Received, otherwise int) int {
	match := lastPage.FindStringSubmatch(received.Header.Get("Link"))
	if match == nil {
		return otherwise
	}
	pages, err := strconv.Atoi(match[1])
	if err != nil {
		return otherwise
	}
	return pages
}

// feature is something that is read of a repository.
type feature struct {
	what string
	// permission is what a fine-grained token and an App need.
	permission, endpoint, path string
}

// features returns what the configuration reads of each repository.
func (o *owner) features() []feature {
	list := []feature{
		{"commits", "contents", "/commits", "/commits?per_page=1"},
		{"pull requests", "pull_requests", "/pulls", "/pulls?state=all&per_page=1"},
		{"reviews", "pull_requests", "/pulls/{pull_number}/reviews", ""},
		{"comments", "issues", "/issues/comments", "/issues/comments?per_page=1"},
		{"issues", "issues", "/issues", "/issues?state=all&per_page=1"},
	}
	if o.config.UsesStatistics() {
		list = append(list, feature{"weekly lines", "metadata", "/stats/contributors", "/stats/contributors"})
	}
	return list
}

// checkFeatures reads a little of everything that is read of each repository.
func (o *owner) checkFeatures(ctx context.Context, samples []repository) {
	pull := 0 // of the first sample with pull requests
	var pullRepo []repository
	for _, f := range o.features() {
		candidates := samples
		if f.what == "reviews" {
			candidates, f.path = pullRepo, fmt.Sprintf("/pulls/%d/reviews?per_page=1", pull)
		}
		received, sample, err := o.tryFeature(ctx, &f, candidates)
		var pulls []struct{ Number int }
		if err == nil && f.what == "pull requests" && json.Unmarshal(received.Body, &pulls) == nil && len(pulls) > 0 {
			pull, pullRepo = pulls[0].Number, []repository{*sample}
		}
		o.reportFeature(&f, sample, err)
	}
}

// tryFeature reads a feature of the first repository that has it. It returns no repository when none has it.
func (o *owner) tryFeature(
	ctx context.Context, f *feature, samples []repository,
) (received transport.Received, sample *repository, err error) {
	for i := range samples {
		sample = &samples[i]
		path := "repos/" + url.PathEscape(o.name) + "/" + url.PathEscape(sample.Name)
		received, err = o.get(ctx, "/repos/{owner}/{repo}"+f.endpoint, path+f.path, 1)
		if !errors.As(err, new(*transport.NotFoundError)) { // an empty repository, or one with the feature disabled
			return received, sample, err
		}
	}
	return transport.Received{}, nil, nil
}

// reportFeature adds the result of a feature.
func (o *owner) reportFeature(f *feature, sample *repository, err error) {
	check := "permission " + f.permission + " for " + f.what
	granted := o.installation.Permissions[f.permission] != ""
	switch {
	case err != nil:
		reason, action := explainFeature(f.what, f.permission, err)
		o.add(check, StatusFail, reason, action)
	case o.isApp && !granted:
		o.add(check, StatusWarn, "the App's installation lacks it: public repositories alone can be read",
			"give the App the permission "+readOnly([]string{f.permission}))
	case sample == nil && o.isApp:
		o.add(check, StatusOK, "the App's installation has it", "")
	case sample == nil:
		o.add(check, StatusSkip, "no repository that was tried has any", "")
	case sample.Private:
		o.add(check, StatusOK, "read of the private repository "+sample.Name, "")
	default:
		o.add(check, StatusOK, "read of the public repository "+sample.Name, "")
	}
}

// checkTeams reads the list of teams, and the members of one, where teams are read.
func (o *owner) checkTeams(ctx context.Context) {
	if !o.config.Teams.Enabled {
		return
	}
	const endpoint, check, permission = "/orgs/{org}/teams", "permission members for teams", "members"
	base := "orgs/" + url.PathEscape(o.name) + "/teams"
	one, err := o.get(ctx, endpoint, base+"?per_page=1", 1)
	var list []struct{ Slug string }
	if err == nil {
		err = json.Unmarshal(one.Body, &list)
	}
	if err == nil && len(list) > 0 {
		path := base + "/" + url.PathEscape(list[0].Slug) + "/members?per_page=1"
		_, err = o.get(ctx, endpoint+"/{team_slug}/members", path, 1)
	}
	switch {
	case err != nil:
		reason, action := explainFeature("teams", permission, err)
		o.add(check, StatusFail, reason, action)
	case o.isApp && o.installation.Permissions[permission] == "":
		o.add(check, StatusFail, "the App's installation lacks it: teams cannot be read",
			"give the App the permission "+readOnly([]string{permission}))
	case len(list) == 0:
		o.add(check, StatusWarn, "the credential sees no team", "check that the organization has teams, and that a "+
			"token's user is a member of the organization; a classic token needs the scope read:org")
	default:
		o.add(check, StatusOK, fmt.Sprintf("%d teams are visible", countPages(one, len(list))), "")
	}
}

// explainFeature returns what the error of a feature means.
func explainFeature(what, permission string, err error) (reason, action string) {
	if forbidden, ok := errors.AsType[*transport.ForbiddenError](err); ok {
		if missing, lacks := forbidden.LacksPermission(permission); lacks {
			return "the credential lacks it: " + what + " cannot be read",
				"give it the permission " + readOnly(missing)
		}
	}
	return explain(err)
}

// checkGraphQL checks that the credential may use GraphQL, where the configuration does.
func (o *owner) checkGraphQL(ctx context.Context) {
	if o.config.GitHub.API != string(github.APIGraphQL) {
		return
	}
	body, err := json.Marshal(map[string]any{
		"query":     "query Check($org: String!) { organization(login: $org) { login } }",
		"variables": map[string]any{"org": o.name},
	})
	var answer struct {
		Data   struct{ Organization *struct{ Login string } }
		Errors []struct{ Message string }
	}
	if err == nil {
		_, err = o.client.Send(ctx, &transport.Call{
			Endpoint: "Check", Resource: budget.ResourceGraphQL, Price: 1, Body: body,
			Decode: func(r transport.Received) (transport.BodyInfo, error) {
				return transport.BodyInfo{Points: 1}, transport.DecodeJSON(r.Body, &answer)
			},
		})
	}
	switch {
	case err != nil:
		reason, action := explain(err)
		o.add("graphql", StatusFail, reason, action)
	case len(answer.Errors) > 0:
		var messages []string
		for _, e := range answer.Errors {
			messages = append(messages, transport.Printable(e.Message))
		}
		o.add("graphql", StatusFail, strings.Join(messages, "; "), "give the credential access to the organization")
	case answer.Data.Organization == nil:
		o.add("graphql", StatusFail, "the organization is not visible", "give the credential access to it")
	default:
		o.add("graphql", StatusOK, "the organization can be queried", "")
	}
}
