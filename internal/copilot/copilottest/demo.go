// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilottest

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// GenerateDemo returns invented data that look like those of a company: weekdays and weekends, people who use much and
// people who use nothing, every dimension. The same arguments give the same data.
func GenerateDemo(logins []string, days int, last time.Time) *Dataset {
	g := demoGenerator{data: &Dataset{}, seen: make(map[string][]int)}
	for back := days - 1; back >= 0; back-- {
		g.addDay(logins, last.UTC().AddDate(0, 0, -back))
	}
	g.addSeats(logins, last.UTC())
	return g.data
}

// demoGenerator makes the days in their order.
type demoGenerator struct {
	data *Dataset
	// seen has the days, as numbers, on which each user was active.
	seen map[string][]int
	// users are the rows of the present day.
	users []demoUser
}

// demoUser is a user's use of one day: parts, of which each has one value of every dimension.
type demoUser struct {
	login      string
	parts      []demoPart
	agent, cli bool
	credits    float64
	phase      int
	cliUse     [3]int // sessions, prompts, tokens
}

// demoPart counts what has one feature, language, IDE and model; an empty value is absent.
type demoPart struct {
	feature, language, ide, model string
	counts                        demoCounts
}

// demoCounts are the counters of a row.
type demoCounts struct{ prompts, generated, accepted, suggested, added, deleted int }

func (c *demoCounts) add(o demoCounts) {
	c.prompts += o.prompts
	c.generated += o.generated
	c.accepted += o.accepted
	c.suggested += o.suggested
	c.added += o.added
	c.deleted += o.deleted
}

func (c *demoCounts) set(row Row) Row {
	row["user_initiated_interaction_count"] = c.prompts
	row["code_generation_activity_count"] = c.generated
	row["code_acceptance_activity_count"] = c.accepted
	row["loc_suggested_to_add_sum"] = c.suggested
	row["loc_suggested_to_delete_sum"] = 0
	row["loc_added_sum"] = c.added
	row["loc_deleted_sum"] = c.deleted
	return row
}

// source returns random numbers that depend on names and nothing else.
func source(names ...string) *rand.Rand {
	h := fnv.New64a()
	for _, name := range names {
		_, _ = h.Write([]byte(name + "\n"))
	}
	return rand.New(rand.NewPCG(h.Sum64(), 42))
}

// addDay adds the rows of a day.
func (g *demoGenerator) addDay(logins []string, day time.Time) {
	g.users = nil
	number := int(day.Unix() / 86400)
	for _, login := range logins {
		user, ok := newDemoUser(login, day)
		if ok {
			g.seen[login] = append(g.seen[login], number)
			g.users = append(g.users, user)
		}
	}
	date := day.Format(time.DateOnly)
	for i := range g.users {
		g.addUser(&g.users[i], date)
	}
	g.addAggregate(day, date, number)
}

// newDemoUser invents what a user did on a day, and whether it was anything.
func newDemoUser(login string, day time.Time) (demoUser, bool) {
	person, today := source(login), source(login, day.Format(time.DateOnly))
	eagerness := person.Float64() // 0 to 1, for good
	chance := 0.25 + 0.7*eagerness
	if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
		chance /= 6
	}
	if eagerness < 0.12 || today.Float64() > chance {
		return demoUser{}, false
	}
	languages := []string{"go", "go", "go", "yaml", "markdown", "shell", "python"}
	ide := []string{"vscode", "vscode", "vscode", "intellij", "neovim"}[person.IntN(5)]
	user := demoUser{login: login, agent: eagerness > 0.55, cli: eagerness > 0.75}
	for range 1 + today.IntN(3) {
		shown := 8 + today.IntN(60)
		accepted := shown * (22 + today.IntN(16)) / 100
		user.parts = append(user.parts, demoPart{
			feature: "code_completion", language: languages[today.IntN(len(languages))], ide: ide,
			counts: demoCounts{generated: shown, accepted: accepted, suggested: shown * 2, added: accepted * 2},
		})
	}
	models := []string{"gpt-5-mini", "gpt-5", "claude-4.5-sonnet", "gemini-3-pro", "auto"}
	model := models[today.IntN(len(models))]
	if asked := today.IntN(9); asked > 0 {
		user.parts = append(user.parts, demoPart{
			feature: "chat_panel_ask_mode", language: "go", ide: ide, model: model,
			counts: demoCounts{
				prompts: asked, generated: asked, accepted: asked / 4, suggested: 9 * asked, added: 2 * asked,
			},
		})
		user.credits += float64(asked)
	}
	if user.agent {
		user.addAgent(languages[today.IntN(len(languages))], ide, model, 1+today.IntN(8))
	}
	if user.cli {
		user.cliUse = [3]int{1 + today.IntN(3), 2 + today.IntN(12), 4000 * (1 + today.IntN(9))}
	}
	user.phase = min(3, int(eagerness*4))
	return user, true
}

// addAgent adds the edits of an agent, which are added without being suggested or accepted.
func (u *demoUser) addAgent(language, ide, model string, prompts int) {
	u.parts = append(u.parts,
		demoPart{
			feature: "chat_panel_agent_mode", language: language, ide: ide, model: model,
			counts: demoCounts{prompts: prompts},
		},
		demoPart{
			feature: "agent_edit", language: language, ide: ide, model: model,
			counts: demoCounts{generated: 2 * prompts, added: 23 * prompts, deleted: 6 * prompts},
		})
	u.credits += 4 * float64(prompts)
}

// grouped adds up parts by a key; a part whose key is nil is left out.
func grouped(parts []demoPart, key func(demoPart) Row) []Row {
	sums, rows := make(map[string]*demoCounts), make(map[string]Row)
	for _, part := range parts {
		row := key(part)
		if row == nil {
			continue
		}
		name := fmt.Sprint(row)
		if sums[name] == nil {
			sums[name], rows[name] = &demoCounts{}, row
		}
		sums[name].add(part.counts)
	}
	list := []Row{}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		list = append(list, sums[name].set(rows[name]))
	}
	return list
}

// setBreakdowns sets the counters of a row and the arrays that split them.
func setBreakdowns(row Row, parts []demoPart) Row {
	var total demoCounts
	for _, part := range parts {
		total.add(part.counts)
	}
	row["totals_by_feature"] = grouped(parts, func(p demoPart) Row { return Row{"feature": p.feature} })
	row["totals_by_ide"] = grouped(parts, func(p demoPart) Row { return Row{"ide": p.ide} })
	languages := grouped(parts, func(p demoPart) Row { return Row{"language": p.language, "feature": p.feature} })
	for _, language := range languages {
		delete(language, "user_initiated_interaction_count") // GitHub has none by language
	}
	row["totals_by_language_feature"] = languages
	row["totals_by_model_feature"] = grouped(parts, func(p demoPart) Row {
		if p.model == "" {
			return nil // completions mostly have no model
		}
		return Row{"model": p.model, "feature": p.feature}
	})
	return total.set(row)
}

// addUser adds the rows of a user.
func (g *demoGenerator) addUser(u *demoUser, date string) {
	id := int(source(u.login).Uint32())
	row := setBreakdowns(Row{
		"day": date, "organization_id": "4711", "user_id": id, "user_login": u.login, "used_chat": u.credits > 0,
		"used_agent": u.agent, "used_cli": u.cli, "ai_credits_used": u.credits,
	}, u.parts)
	if u.cli {
		row["totals_by_cli"] = cliRow(u.cliUse)
	}
	g.data.Users = append(g.data.Users, row)
	g.data.Teams = append(g.data.Teams, Row{
		"day": date, "user_id": id, "user_login": u.login, "organization_id": "4711",
		"team_id": 1 + id%4, "slug": []string{"collector", "languages", "platform", "semantics"}[id%4],
	})
}

func cliRow(use [3]int) Row {
	return Row{
		"session_count": use[0], "request_count": 3 * use[1], "prompt_count": use[1],
		"token_usage": Row{"prompt_tokens_sum": use[2], "output_tokens_sum": use[2] / 5},
	}
}

// activeUsers counts the users of the days up to one.
func (g *demoGenerator) activeUsers(number, days int) int {
	count := 0
	for _, list := range g.seen {
		if list[len(list)-1] > number-days {
			count++
		}
	}
	return count
}

// addAggregate adds the row of a day for all users.
func (g *demoGenerator) addAggregate(day time.Time, date string, number int) {
	var parts []demoPart
	var cli [3]int
	agents, chats, phases := 0, 0, [4]int{}
	for i := range g.users {
		u := &g.users[i]
		parts = append(parts, u.parts...)
		phases[u.phase]++
		for k := range cli {
			cli[k] += u.cliUse[k]
		}
		if u.agent {
			agents++
		}
		if u.credits > 0 {
			chats++
		}
	}
	month := g.activeUsers(number, 28)
	row := setBreakdowns(Row{
		"day": date, "organization_id": "4711", "daily_active_users": len(g.users),
		"weekly_active_users": g.activeUsers(number, 7), "monthly_active_users": month,
		"monthly_active_chat_users": month * 9 / 10, "monthly_active_agent_users": month * 45 / 100,
		"daily_active_cli_users": agents / 2, "weekly_active_cli_users": month / 5,
		"monthly_active_cli_users": month / 4,
		"totals_by_cli":            cliRow(cli), "pull_requests": demoPulls(day, len(g.users)),
	}, parts)
	var list []Row
	for phase, users := range phases {
		name := "No Cohort"
		if phase > 0 {
			name = fmt.Sprintf("Phase %d", phase)
		}
		list = append(list, Row{"phase_number": phase, "phase": name, "total_engaged_users": users})
	}
	row["totals_by_ai_adoption_phase"] = list
	g.data.Aggregates = append(g.data.Aggregates, row)
}

// demoPulls invents the pull requests of a day with so many active users.
func demoPulls(day time.Time, users int) Row {
	today := source("pulls", day.Format(time.DateOnly))
	created := users/3 + today.IntN(6)
	merged, reviewed := created*4/5, created*9/10
	return Row{
		"total_created": created, "total_reviewed": reviewed, "total_merged": merged,
		"total_created_by_copilot": created / 6, "total_reviewed_by_copilot": created / 2,
		"total_merged_created_by_copilot": created / 9, "total_merged_reviewed_by_copilot": merged / 2,
		"total_suggestions": 4 * reviewed, "total_applied_suggestions": 3 * reviewed / 2,
		"total_copilot_suggestions": 2 * reviewed, "total_copilot_applied_suggestions": reviewed / 2,
		"median_minutes_to_merge":                  300 + float64(today.IntN(200)),
		"median_minutes_to_merge_copilot_authored": 180 + float64(today.IntN(150)),
		"median_minutes_to_merge_copilot_reviewed": 240 + float64(today.IntN(150)),
	}
}

// addSeats adds a seat for every user, with and without use.
func (g *demoGenerator) addSeats(logins []string, last time.Time) {
	active := 0
	for _, login := range logins {
		seat := Row{
			"assignee":         Row{"id": int(source(login).Uint32()), "login": login},
			"last_activity_at": nil, "created_at": "2026-01-05T09:00:00Z", "plan_type": "business",
		}
		if days := g.seen[login]; len(days) > 0 {
			active++
			seat["last_activity_at"] = last.Format(time.RFC3339)
		}
		g.data.Seats = append(g.data.Seats, seat)
	}
	g.data.Billing = Row{
		"seat_breakdown": Row{
			"total": len(logins), "active_this_cycle": active, "inactive_this_cycle": len(logins) - active,
			"pending_invitation": 2, "pending_cancellation": 0, "added_this_cycle": 3,
		},
		"plan_type": "business",
	}
}
