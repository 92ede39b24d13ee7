// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"cmp"
	"fmt"
	"time"
)

// WebURL is the base of all addresses of web pages.
const WebURL = "https://github.com"

// AvatarURL returns the address of the picture of an account or an organization.
func AvatarURL(id int64) string {
	return fmt.Sprintf("https://avatars.githubusercontent.com/u/%d?v=4", id)
}

// WebURL returns the address of the web page of a repository.
func (r *Repo) WebURL() string { return WebURL + "/" + r.FullName() }

// Message returns the message of a commit: the data has none.
func (c *Commit) Message() string { return "Change " + c.SHA[:min(8, len(c.SHA))] }

// Title returns the title of a pull request: the data has none.
func (p *Pull) Title() string { return fmt.Sprintf("Pull request %d", p.Number) }

// HeadBranch returns the name of the branch that a pull request merges.
func (p *Pull) HeadBranch() string { return cmp.Or(p.Head, fmt.Sprintf("change-%d", p.Number)) }

// Merger returns the login of the account that merged a pull request, if it is merged.
func (p *Pull) Merger() *string {
	if p.MergedBy != nil {
		return p.MergedBy
	}
	return p.Login
}

// WebURL returns the address of the web page of a comment.
func (c *Comment) WebURL() string {
	kind := "issues"
	if c.OfPull != nil {
		kind = "pull"
	}
	return fmt.Sprintf("%s/%s/%d#issuecomment-%d", c.Repository.WebURL(), kind, c.Issue, c.ID)
}

// SSOMessage is GitHub's error for a credential without the authorization for single sign-on.
const SSOMessage = "Resource protected by organization SAML enforcement. " +
	"You must grant your Personal Access token access to this organization."

// FormatTime returns a time as GitHub writes it in JSON.
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// FormatOptionalTime returns a time as FormatTime does, nil for nil.
func FormatOptionalTime(t *time.Time) any {
	if t == nil {
		return nil
	}
	return FormatTime(*t)
}
