// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

// User is an account that differs from what follows from its login.
type User struct {
	// Login is the login in the other rows.
	Login string `json:"login"`
	ID    int64  `json:"id,omitempty"`
	// Type is User, Bot, Organization, Mannequin or EnterpriseUserAccount; empty means Bot for "name[bot]", else User.
	Type string `json:"type,omitempty"`
	// RenamedTo is the login that is served; empty means Login.
	RenamedTo string `json:"renamed_to,omitempty"`
	// Deleted accounts are served as null.
	Deleted bool `json:"deleted,omitempty"`
	// Slug is the login of a Bot in GraphQL; empty means the login without "[bot]".
	Slug string `json:"slug,omitempty"`
	// UserInCommits serves a Bot as a User where it is the author of a commit, in both APIs.
	UserInCommits bool `json:"user_in_commits,omitempty"`
}

// CodingAgent returns the account of GitHub's coding agent as GitHub serves it: "Copilot" in REST, "copilot-swe-agent"
// in GraphQL, and "Copilot" without a mark of a bot as the author of a commit. Its commits have the address
// CodingAgentAddress, whether that is linked to the account or not.
func CodingAgent() User {
	return User{Login: "Copilot", ID: 198982749, Type: "Bot", Slug: "copilot-swe-agent", UserInCommits: true}
}

// CodingAgentAddress is the address of the coding agent's commits.
const CodingAgentAddress = "198982749+Copilot@users.noreply.github.com"
