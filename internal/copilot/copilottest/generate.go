// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilottest

import (
	"fmt"
	"time"
)

// Generate returns invented data of the days up to a last one, with users who are active on two of three days. The
// totals of a day are those of its users, so that each report can be computed from another one.
func Generate(users, days int, last time.Time) *Dataset {
	data := &Dataset{
		Billing: Row{
			"seat_breakdown": Row{
				"total": users + 2, "active_this_cycle": users, "inactive_this_cycle": 2, "pending_invitation": 1,
				"pending_cancellation": 0, "added_this_cycle": 1,
			},
			"plan_type": "business",
		},
	}
	for i := range users + 2 {
		seat := Row{
			"assignee": Row{"id": 900_000 + i, "login": fmt.Sprintf("user-%d", i)}, "last_activity_at": nil,
			"created_at": "2026-01-05T09:00:00Z", "plan_type": "business",
		}
		if i < users {
			seat["last_activity_at"] = last.UTC().Format(time.RFC3339)
		}
		data.Seats = append(data.Seats, seat)
	}
	for back := range days {
		data.addDay(users, last.AddDate(0, 0, -back).UTC().Format(time.DateOnly), back)
	}
	return data
}

// addDay adds the rows of a day; number distinguishes the days.
func (d *Dataset) addDay(users int, day string, number int) {
	total := Row{"day": day, "organization_id": "4711", "enterprise_id": "12"}
	features := []Row{}
	active := 0
	for i := range users {
		if (i+number)%3 == 0 {
			continue
		}
		active++
		completions, chats := i+1, number%5
		row := Row{
			"day": day, "organization_id": "4711", "enterprise_id": "12", "user_id": 900_000 + i,
			"user_login": fmt.Sprintf("user-%d", i), "used_agent": false, "used_chat": chats > 0,
			"ai_credits_used": float64(i) / 4, "totals_by_ide": []Row{},
			"totals_by_feature": []Row{
				counters(Row{"feature": "code_completion"}, 0, completions),
				counters(Row{"feature": "chat_panel_ask_mode"}, chats, 0),
			},
		}
		d.Users = append(d.Users, counters(row, chats, completions))
		features = append(features, row["totals_by_feature"].([]Row)...)
		d.Teams = append(d.Teams, Row{
			"day": day, "user_id": 900_000 + i, "user_login": row["user_login"], "organization_id": "4711",
			"team_id": 1 + i%2, "slug": fmt.Sprintf("team-%d", 1+i%2),
		})
	}
	chats, completions := 0, 0
	for _, row := range features {
		chats += row["user_initiated_interaction_count"].(int)
		completions += row["code_generation_activity_count"].(int)
	}
	total["totals_by_feature"] = []Row{
		counters(Row{"feature": "code_completion"}, 0, completions),
		counters(Row{"feature": "chat_panel_ask_mode"}, chats, 0),
	}
	total["daily_active_users"], total["weekly_active_users"], total["monthly_active_users"] = active, users, users
	total["pull_requests"] = Row{
		"total_created": 9, "total_reviewed": 7, "total_merged": 5, "total_created_by_copilot": 1,
		"total_reviewed_by_copilot": 3, "median_minutes_to_merge": 90.5 + float64(number),
	}
	d.Aggregates = append(d.Aggregates, counters(total, chats, completions))
	d.Repositories = append(d.Repositories, Row{
		"day": day, "organization_id": "4711", "repo_id": 77, "repo_owner_name": "acme", "repo_name": "web",
		"repo_visibility": "PRIVATE", "pull_requests": total["pull_requests"], "pull_request_review_times": []Row{},
	})
}

// counters sets the seven counters of a row: chats is the number of prompts, completions that of completions, of which
// every other one is accepted.
func counters(row Row, chats, completions int) Row {
	row["user_initiated_interaction_count"] = chats
	row["code_generation_activity_count"] = completions
	row["code_acceptance_activity_count"] = completions / 2
	row["loc_suggested_to_add_sum"] = 3 * completions
	row["loc_suggested_to_delete_sum"] = 0
	row["loc_added_sum"] = completions
	row["loc_deleted_sum"] = 0
	return row
}
