// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

// Counters are the seven counts that a row has for everything in it, and again in each of its arrays. Lines are lines
// of code.
type Counters struct {
	// Interactions counts the prompts that users sent. It is absent in the arrays by language.
	Interactions Count `json:"user_initiated_interaction_count,omitzero"`
	// Generations counts what was generated: completions shown, code blocks, edits of agents.
	Generations Count `json:"code_generation_activity_count,omitzero"`
	// Acceptances counts what was accepted with a built-in action. Agents' edits have none, so that a rate makes sense
	// within the feature code_completion alone.
	Acceptances            Count `json:"code_acceptance_activity_count,omitzero"`
	LinesSuggestedToAdd    Count `json:"loc_suggested_to_add_sum,omitzero"`
	LinesSuggestedToDelete Count `json:"loc_suggested_to_delete_sum,omitzero"`
	// LinesAdded may exceed LinesSuggestedToAdd: agents add without a suggestion.
	LinesAdded   Count `json:"loc_added_sum,omitzero"`
	LinesDeleted Count `json:"loc_deleted_sum,omitzero"`
}

// Totals are the counters of one value of a dimension, or of a pair of values. The array decides which dimensions are
// set.
type Totals struct {
	Counters
	IDE      string `json:"ide,omitempty"`
	Feature  string `json:"feature,omitempty"`
	Language string `json:"language,omitempty"`
	Model    string `json:"model,omitempty"`
}

// Breakdowns are the arrays that split the counters of a row. A missing array is an empty one.
//
//	array            sums up to the row's counters
//	ByFeature        yes
//	ByLanguage       yes, without Interactions
//	ByIDE            no: the command line is in no IDE
//	ByLanguageModel  no: completions mostly have no model; without Interactions
//	ByModel          no: completions mostly have no model
type Breakdowns struct {
	ByIDE           []Totals `json:"totals_by_ide,omitempty"`
	ByFeature       []Totals `json:"totals_by_feature,omitempty"`
	ByLanguage      []Totals `json:"totals_by_language_feature,omitempty"` // language and feature
	ByLanguageModel []Totals `json:"totals_by_language_model,omitempty"`   // language and model
	ByModel         []Totals `json:"totals_by_model_feature,omitempty"`    // model and feature
}

// CLI is the use of Copilot on the command line, or of the Copilot app.
type CLI struct {
	Sessions   Count      `json:"session_count,omitzero"`
	Requests   Count      `json:"request_count,omitzero"`
	Prompts    Count      `json:"prompt_count,omitzero"`
	TokenUsage TokenUsage `json:"token_usage,omitzero"`
}

// TokenUsage counts the tokens of models.
type TokenUsage struct {
	PromptTokens Count `json:"prompt_tokens_sum,omitzero"`
	OutputTokens Count `json:"output_tokens_sum,omitzero"`
}

// Phase is the adoption phase of a user.
type Phase struct {
	Number Count  `json:"phase_number,omitzero"` // 0 to 3
	Name   string `json:"phase,omitempty"`       // "No Cohort", "Phase 1", ...
}

// Owner names the organization or enterprise that a row is about.
type Owner struct {
	Organization ID `json:"organization_id,omitempty"` // in organization reports only
	Enterprise   ID `json:"enterprise_id,omitempty"`
}

// User is a row of a users report: one user on one day of activity. A report has no rows for idle days, and a user with
// activity on several days has several rows, in any of the report's files.
type User struct {
	Owner
	Day   Day    `json:"day,omitzero"`
	ID    ID     `json:"user_id,omitempty"`
	Login string `json:"user_login,omitempty"`
	Counters
	Breakdowns
	UsedAgent      Flag `json:"used_agent,omitzero"`
	UsedChat       Flag `json:"used_chat,omitzero"`
	UsedCLI        Flag `json:"used_cli,omitzero"`
	UsedCloudAgent Flag `json:"used_copilot_cloud_agent,omitzero"`
	// CreditsUsed is in AI credits of 0.01 USD. It is a signal of use, not the bill.
	CreditsUsed Amount `json:"ai_credits_used,omitzero"`
	Phase       *Phase `json:"ai_adoption_phase,omitempty"`
	CLI         *CLI   `json:"totals_by_cli,omitempty"`
	App         *CLI   `json:"totals_by_copilot_app,omitempty"`
}

// TeamMember is a row of a user-teams report: one user in one team on one day. It is joined with the users report of
// the same day. Teams with fewer than five seats are left out by GitHub.
type TeamMember struct {
	Owner
	Day    Day    `json:"day,omitzero"`
	UserID ID     `json:"user_id,omitempty"`
	Login  string `json:"user_login,omitempty"`
	TeamID ID     `json:"team_id,omitempty"`
	Slug   string `json:"slug,omitempty"`
}

// Repository is a row of a repos report: the pull requests of one repository on one day.
type Repository struct {
	Owner
	Day          Day          `json:"day,omitzero"`
	ID           ID           `json:"repo_id,omitempty"`
	OwnerName    string       `json:"repo_owner_name,omitempty"`
	Name         string       `json:"repo_name,omitempty"`
	Visibility   string       `json:"repo_visibility,omitempty"` // PUBLIC, PRIVATE, INTERNAL
	PullRequests PullRequests `json:"pull_requests,omitzero"`
	ReviewTimes  []ReviewTime `json:"pull_request_review_times,omitempty"`
}

// ReviewTime has the time that merged pull requests of an author and a reviewer spent in each stage, in minutes.
type ReviewTime struct {
	AuthoredBy               string `json:"authored_by,omitempty"`
	ReviewedBy               string `json:"reviewed_by,omitempty"`
	Merged                   Count  `json:"total_merged,omitzero"`
	MedianReadyToFirstReview Amount `json:"median_minutes_ready_to_first_review,omitzero"`
	MedianFirstToFinalReview Amount `json:"median_minutes_first_to_final_review,omitzero"`
	MedianFinalReviewToMerge Amount `json:"median_minutes_final_review_to_merge,omitzero"`
	P90ReadyToFirstReview    Amount `json:"p90_minutes_ready_to_first_review,omitzero"`
	P90FirstToFinalReview    Amount `json:"p90_minutes_first_to_final_review,omitzero"`
	P90FinalReviewToMerge    Amount `json:"p90_minutes_final_review_to_merge,omitzero"`
}

// PullRequests counts the pull requests of repositories on a day, also those of people without Copilot.
type PullRequests struct {
	Created                   Count `json:"total_created,omitzero"`
	Reviewed                  Count `json:"total_reviewed,omitzero"`
	Merged                    Count `json:"total_merged,omitzero"`
	Suggestions               Count `json:"total_suggestions,omitzero"`
	AppliedSuggestions        Count `json:"total_applied_suggestions,omitzero"`
	CreatedByCopilot          Count `json:"total_created_by_copilot,omitzero"`
	ReviewedByCopilot         Count `json:"total_reviewed_by_copilot,omitzero"`
	MergedCreatedByCopilot    Count `json:"total_merged_created_by_copilot,omitzero"`
	MergedReviewedByCopilot   Count `json:"total_merged_reviewed_by_copilot,omitzero"`
	CopilotSuggestions        Count `json:"total_copilot_suggestions,omitzero"`
	CopilotAppliedSuggestions Count `json:"total_copilot_applied_suggestions,omitzero"`
	// The medians of the day, absent without merges.
	MinutesToMerge                Amount `json:"median_minutes_to_merge,omitzero"`
	MinutesToMergeCopilotAuthored Amount `json:"median_minutes_to_merge_copilot_authored,omitzero"`
	MinutesToMergeCopilotReviewed Amount `json:"median_minutes_to_merge_copilot_reviewed,omitzero"`
}

// ActiveUsers are numbers of distinct users over the 1, 7 and 28 days that end with a day. They cannot be added up over
// days, nor over organizations.
type ActiveUsers struct {
	Daily                Count `json:"daily_active_users,omitzero"`
	Weekly               Count `json:"weekly_active_users,omitzero"`
	Monthly              Count `json:"monthly_active_users,omitzero"`
	MonthlyChat          Count `json:"monthly_active_chat_users,omitzero"`
	MonthlyAgent         Count `json:"monthly_active_agent_users,omitzero"`
	DailyCloudAgent      Count `json:"daily_active_copilot_cloud_agent_users,omitzero"`
	WeeklyCloudAgent     Count `json:"weekly_active_copilot_cloud_agent_users,omitzero"`
	MonthlyCloudAgent    Count `json:"monthly_active_copilot_cloud_agent_users,omitzero"`
	DailyReviewActive    Count `json:"daily_active_copilot_code_review_users,omitzero"`
	WeeklyReviewActive   Count `json:"weekly_active_copilot_code_review_users,omitzero"`
	MonthlyReviewActive  Count `json:"monthly_active_copilot_code_review_users,omitzero"`
	DailyReviewPassive   Count `json:"daily_passive_copilot_code_review_users,omitzero"`
	WeeklyReviewPassive  Count `json:"weekly_passive_copilot_code_review_users,omitzero"`
	MonthlyReviewPassive Count `json:"monthly_passive_copilot_code_review_users,omitzero"`
	DailyCLI             Count `json:"daily_active_cli_users,omitzero"`
	WeeklyCLI            Count `json:"weekly_active_cli_users,omitzero"`
	MonthlyCLI           Count `json:"monthly_active_cli_users,omitzero"`
	DailyApp             Count `json:"daily_active_copilot_app_users,omitzero"`
	WeeklyApp            Count `json:"weekly_active_copilot_app_users,omitzero"`
	MonthlyApp           Count `json:"monthly_active_copilot_app_users,omitzero"`
}

// PhaseTotals has the users of an adoption phase on a day. The averages per user beside them are left out: an average
// cannot be combined with others.
type PhaseTotals struct {
	Phase
	EngagedUsers Count `json:"total_engaged_users,omitzero"`
	UsersIn28d   Count `json:"users_in_phase_28d,omitzero"`
}

// Aggregate is one day of an organization or enterprise. A report of 28 days is a list of them: it has no totals of
// its own.
type Aggregate struct {
	Owner
	Day Day `json:"day,omitzero"`
	ActiveUsers
	Counters
	Breakdowns
	CLI          *CLI          `json:"totals_by_cli,omitempty"`
	App          *CLI          `json:"totals_by_copilot_app,omitempty"`
	Phases       []PhaseTotals `json:"totals_by_ai_adoption_phase,omitempty"`
	PullRequests PullRequests  `json:"pull_requests,omitzero"`
}

// aggregateFile is the content of an aggregate report, in either of its shapes: the flat one of a day, or the wrapped
// one with the days of a window, in no order.
type aggregateFile struct {
	Aggregate
	Start     Day          `json:"report_start_day,omitzero"`
	End       Day          `json:"report_end_day,omitzero"`
	CreatedAt Timestamp    `json:"created_at,omitzero"`
	DayTotals *[]Aggregate `json:"day_totals,omitempty"`
}
