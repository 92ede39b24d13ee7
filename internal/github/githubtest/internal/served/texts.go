// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"fmt"
	"time"
)

// WebURL is the web address of everything; it need not exist.
const WebURL = "https://github.com"

func AvatarURL(id int64) string {
	return fmt.Sprintf("https://avatars.githubusercontent.com/u/%d?v=4", id)
}

func RepoWebURL(r *Repo) string { return WebURL + "/" + r.FullName() }

func (c *Commit) Message() string { return "Change " + c.SHA[:min(8, len(c.SHA))] }

func (p *Pull) Title() string { return fmt.Sprintf("Pull request %d", p.Number) }

func (p *Pull) HeadBranch() string { return fmt.Sprintf("change-%d", p.Number) }

func (p *Pull) Merger() *string {
	if p.MergedBy != nil {
		return p.MergedBy
	}
	return p.Login
}

func (c *Comment) WebURL() string {
	kind := "issues"
	if c.OfPull != nil {
		kind = "pull"
	}
	return fmt.Sprintf("%s/%s/%d#issuecomment-%d", RepoWebURL(c.Repository), kind, c.Issue, c.ID)
}

// SSOMessage is GitHub's for what needs an authorization for single sign-on.
const SSOMessage = "Resource protected by organization SAML enforcement. " +
	"You must grant your Personal Access token access to this organization."

// FormatTime renders a time as GitHub does.
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func FormatOptionalTime(t *time.Time) any {
	if t == nil {
		return nil
	}
	return FormatTime(*t)
}
