// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilottest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Large is a users report of 28 days that is never in memory as a whole. Each user is active on the same number of
// days, spread over the window. The rows have the fields of GitHub's, and from 0.7 to 2 kB.
type Large struct {
	Users, DaysPerUser int
	// bodies are the rows of the variants without the day and the user.
	bodies [][]byte
}

// largeVariants is the number of different rows.
const largeVariants = 8

// windowDays is the number of days of a report of 28 days.
const windowDays = 28

// NewLarge makes a report of users who are active on days, at most 28.
func NewLarge(users, daysPerUser int) *Large {
	l := &Large{Users: users, DaysPerUser: daysPerUser}
	for variant := range largeVariants {
		body, err := json.Marshal(largeRow(variant))
		if err != nil {
			panic(err) // constants
		}
		l.bodies = append(l.bodies, append(body[1:], '\n'))
	}
	return l
}

// Rows is the number of rows.
func (l *Large) Rows() int { return l.Users * l.DaysPerUser }

// Total returns the sum of a field over all rows.
func (l *Large) Total(field string) float64 {
	var values [largeVariants]float64
	for variant := range values {
		switch value := largeRow(variant)[field].(type) {
		case int:
			values[variant] = float64(value)
		case float64:
			values[variant] = value
		}
	}
	total := 0.0
	for user := range l.Users {
		total += values[user%largeVariants] * float64(l.DaysPerUser)
	}
	return total
}

// largeRow returns a row of a variant without the day and the user. Higher variants use more features.
func largeRow(variant int) Row {
	chats, completions := variant, 20+variant
	row := counters(Row{
		"organization_id": "4711", "enterprise_id": "12", "used_agent": variant > 2, "used_chat": chats > 0,
		"used_cli": variant > 4, "used_copilot_coding_agent": false, "used_copilot_cloud_agent": false,
		"ai_credits_used": 0.25 * float64(variant), "totals_by_language_model": []Row{},
		"ai_adoption_phase": Row{"phase_number": 1, "phase": "Phase 1", "version": "v1"},
	}, chats, completions)
	ide := counters(Row{"ide": "vscode"}, chats, completions)
	ide["last_known_ide_version"] = Row{"sampled_at": "2026-10-07T08:12:00Z", "ide_version": "1.140.0"}
	ides := []Row{ide}[:min(1, variant)] // the first variant is on the command line alone
	row["totals_by_ide"] = ides
	features, languages, models := []Row{}, []Row{}, []Row{}
	for i, feature := range []string{"code_completion", "chat_panel_ask_mode", "agent_edit"}[:1+variant/5] {
		features = append(features, counters(Row{"feature": feature}, chats, completions/(i+1)))
	}
	for _, language := range []string{"go"}[:variant/4] {
		part := counters(Row{"language": language, "feature": "code_completion"}, 0, completions/2)
		delete(part, "user_initiated_interaction_count")
		languages = append(languages, part)
	}
	if variant > 5 {
		models = append(models, counters(Row{"model": "auto", "feature": "chat_panel_ask_mode"}, chats, 0))
	}
	row["totals_by_feature"], row["totals_by_language_feature"], row["totals_by_model_feature"] = features, languages,
		models
	return row
}

// largePart is one of the files of a large report, which are cut by time.
type largePart struct {
	*Large

	first       string // day of the report
	part, parts int
}

// serve sends the rows and returns how many bytes they had.
func (p *largePart) serve(w http.ResponseWriter) int64 {
	w.Header().Set("Content-Type", "application/octet-stream")
	out := bufio.NewWriterSize(w, 256<<10)
	size := p.write(out)
	_ = out.Flush()
	return size
}

// write writes the rows of the part's days, and returns their size. It ends when the reader is gone.
func (p *largePart) write(out io.Writer) int64 {
	size := int64(0)
	first, _ := time.Parse(time.DateOnly, p.first)
	var row bytes.Buffer
	for day := p.part * windowDays / p.parts; day < (p.part+1)*windowDays/p.parts; day++ {
		start := fmt.Sprintf(`{"day":%q,"user_id":9`, first.AddDate(0, 0, day).Format(time.DateOnly))
		for user := range p.Users {
			if (user+day)%windowDays >= p.DaysPerUser {
				continue
			}
			row.Reset()
			row.WriteString(start)
			number := strconv.Itoa(1_000_000 + user)
			row.WriteString(number)
			row.WriteString(`,"user_login":"developer-`)
			row.WriteString(number)
			row.WriteString(`",`)
			row.Write(p.bodies[user%largeVariants])
			size += int64(row.Len())
			if _, err := out.Write(row.Bytes()); err != nil {
				return size
			}
		}
	}
	return size
}
