// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"strconv"
	"time"
)

// The names of the entries. They are stored; the package of an entry's codec interprets its data.
//
//	name                   key             data                                                         codec
//	account_login          account in Sub  the account's present login                                  this package
//	weekly_lines           repository      WeeklyLines                                                  this package
//	commits_without_lines  organization    none: its time is what counts                                this package
//	lines_state            repository      the state of reading a repository's weekly lines             loc
//	lines_part             repository      WeeklyLines of a week whose commits are not all read         this package
//	lines_allowance        organization    what was used of the hour's commits that are read for lines  collect
//	branch_rewound         repository      none: its time is what counts                                collect
//	pulls_scan             repository      the progress of an interrupted scan of pull requests         collect
//	validator              repository and  the validators of conditional requests                       collect
//	                       stream in Sub
//	copilot                owner and       a document of Copilot reports, empty when it was removed            copilot
//	                       document in Sub
//	team                   team, and the   Team; empty when it is gone or not selected                  this package
//	                       part in Sub
//	teams_state            organization    TeamsState                                                   this package
//	leader                 organization    the lease that leads, as JSON                                the receiver
//	repo_facts             repository      what listings tell of the repository                         this package
//	repo_counts            repository      counts of the repository that are read with its activity     this package
//	repo_last_event        repository      none: its time is what counts                                this package
//	repo_totals            organization    the number of repositories by visibility and state           this package
//	open_pulls             repository      the open pull requests                                       this package
//	open_issues            repository      the number of open issues                                    this package
//	stock_due              repository and  none: its time is what counts                                this package
//	                       stream in Sub
//	vcs                    repository and  a part of what the metrics vcs.* need, with its signal       this package
//	                       part in Sub
//
// A store keeps entries of other names, which a newer version may have written.
const (
	// EntryLogin has an account's present login, if it differs from that of its newest event.
	EntryLogin = "account_login"
	// EntryWeeklyLines has a repository's weekly lines if commits are read without theirs.
	EntryWeeklyLines = "weekly_lines"
	// EntryCommitsWithoutLines has the time until which commits were read without lines.
	EntryCommitsWithoutLines = "commits_without_lines"
	// EntryLinesState has the state of reading a repository's weekly lines.
	EntryLinesState = "lines_state"
	// EntryLinesPart has what was read of a week whose commits are not all read. It is complete as long as it fits.
	EntryLinesPart = "lines_part"
	// EntryLinesAllowance has how many commits were requested with their lines in the present hour of the clock.
	EntryLinesAllowance = "lines_allowance"
	// EntryBranchRewound has the time at which the default branch of a repository was last found to lack commits that
	// it had.
	EntryBranchRewound = "branch_rewound"
	// EntryPullsScan has the progress of an interrupted scan of a repository's pull requests.
	EntryPullsScan = "pulls_scan"
	// EntryValidator has the validators with which a repository's stream is requested conditionally.
	EntryValidator = "validator"
	// EntryCopilot has a document of the Copilot reports of the organization, or of an enterprise.
	EntryCopilot = "copilot"
	// EntryTeam has a team with its members, in as many parts as they need.
	EntryTeam = "team"
	// EntryTeamsState has when the teams were read.
	EntryTeamsState = "teams_state"
	// EntryLeader has the lease that leads the organization.
	EntryLeader = "leader"
	// EntryRepoFacts has what listings tell of a repository.
	EntryRepoFacts = "repo_facts"
	// EntryRepoCounts has the counts of a repository that are read with its activity.
	EntryRepoCounts = "repo_counts"
	// EntryLastEvent has the time of the newest event of a repository, of anybody, which outlives the event.
	EntryLastEvent = "repo_last_event"
	// EntryRepoTotals has the number of all repositories that the credential sees, by visibility and state.
	EntryRepoTotals = "repo_totals"
	// EntryOpenPulls has the open pull requests of a repository.
	EntryOpenPulls = "open_pulls"
	// EntryOpenIssues has the number of open issues of a repository, and the oldest of them.
	EntryOpenIssues = "open_issues"
	// EntryStockDue has the time since which the stock of a stream has to be read again: an older one may be outdated.
	EntryStockDue = "stock_due"
	// EntryVCS has a part of what the metrics of the semantic conventions for version control systems need.
	EntryVCS = "vcs"
)

// EntryKey identifies an entry.
type EntryKey struct {
	Name string
	// Repo is the id of the repository with which the entry is purged; 0 for an entry of the organization.
	Repo int64
	// Sub distinguishes the entries of a name and repository: an account's id, or a stream.
	Sub string
}

// LoginKey returns the key of the entry with an account's present login.
func LoginKey(account int64) EntryKey {
	return EntryKey{Name: EntryLogin, Sub: strconv.FormatInt(account, 10)}
}

// WeeklyLinesKey returns the key of the entry with a repository's weekly lines.
func WeeklyLinesKey(repo int64) EntryKey { return EntryKey{Name: EntryWeeklyLines, Repo: repo} }

// CopilotOwner is whose Copilot reports are stored: the organization of the ledger, or an enterprise whose reports are
// stored in its ledger.
type CopilotOwner struct {
	// Enterprise is the slug of an enterprise, in lower case; empty for the organization.
	Enterprise string
}

// CopilotKey returns the key of the entry with a document of an owner's Copilot reports.
func CopilotKey(owner CopilotOwner, document string) EntryKey {
	if owner.Enterprise == "" {
		return EntryKey{Name: EntryCopilot, Sub: "org/" + document}
	}
	return EntryKey{Name: EntryCopilot, Sub: "enterprise/" + owner.Enterprise + "/" + document}
}

// Labels returns the two texts with which a key is stored beside its name: the repository's id in decimal, empty
// without a repository, and Sub.
func (k EntryKey) Labels() [2]string {
	if k.Repo == 0 {
		return [2]string{"", k.Sub}
	}
	return [2]string{strconv.FormatInt(k.Repo, 10), k.Sub}
}

// ParseEntryKey returns the key that is stored with a name and labels. It returns ErrCorrupt for labels that Labels
// does not return.
func ParseEntryKey(name string, labels [2]string) (EntryKey, error) {
	key := EntryKey{Name: name, Sub: labels[1]}
	if labels[0] != "" {
		key.Repo, _ = strconv.ParseInt(labels[0], 10, 64)
	}
	if key.Repo < 0 || key.Labels() != labels {
		return EntryKey{}, fmt.Errorf("%w: entry %.64q of repository %.64q", ErrCorrupt, name, labels[0])
	}
	return key, nil
}

// Entry is a key with a value. The newest observation wins; of equally old ones the last committed does.
type Entry struct {
	EntryKey
	// Data has at most MaxEntry bytes.
	Data     []byte
	Observed time.Time
}

// MaxEntry is the largest size of an entry's data, in bytes.
const MaxEntry = 64 << 10
