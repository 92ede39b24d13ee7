package github

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const (
	commitsPageSize   = 100
	pullsPageSize     = 25 // beside commits: one point together
	pullsNextPageSize = 50
	minPullsPageSize  = 5
)

// activityData is an answer of the query Activity.
type activityData struct {
	ByID   *repositoryActivity `json:"byId"`
	ByName *repositoryActivity `json:"byName"`
}

func (d *activityData) repository() *repositoryActivity {
	if d.ByID != nil {
		return d.ByID
	}
	return d.ByName
}

type repositoryActivity struct {
	DatabaseID int64 `json:"databaseId"`
	// HasPulls is the flag that pull requests are switched on, as it was answered; empty where the server does not know
	// it.
	HasPulls json.RawMessage `json:"hasPullRequestsEnabled"`
	Branch   *struct {
		Target *commitTarget `json:"target"`
	} `json:"defaultBranchRef"`
	Object *commitTarget `json:"object"`
	Pulls  *struct {
		PageInfo pageInfo    `json:"pageInfo"`
		Nodes    []*pullNode `json:"nodes"`
	} `json:"pullRequests"`
}

type commitTarget struct {
	OID     string `json:"oid"`
	History *struct {
		PageInfo pageInfo      `json:"pageInfo"`
		Nodes    []*commitNode `json:"nodes"`
	} `json:"history"`
}

func (a *repositoryActivity) target() *commitTarget {
	if a.Object != nil {
		return a.Object
	}
	if a.Branch != nil {
		return a.Branch.Target
	}
	return nil
}

type pullNode struct {
	ID        string            `json:"id"`
	Number    int64             `json:"number"`
	CreatedAt time.Time         `json:"createdAt"`
	MergedAt  *time.Time        `json:"mergedAt"`
	UpdatedAt time.Time         `json:"updatedAt"`
	Author    *account          `json:"author"`
	Reviews   *reviewConnection `json:"reviews"`

	// invalid are the fields that cannot be decoded; the others are there.
	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *pullNode) UnmarshalJSON(raw []byte) (err error) {
	type plain pullNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

type reviewConnection struct {
	PageInfo pageInfo      `json:"pageInfo"`
	Nodes    []*reviewNode `json:"nodes"`
}

type reviewNode struct {
	FullDatabaseID json.Number `json:"fullDatabaseId"`
	SubmittedAt    *time.Time  `json:"submittedAt"`
	Author         *account    `json:"author"`

	// invalid are the fields that cannot be decoded; the others are there.
	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *reviewNode) UnmarshalJSON(raw []byte) (err error) {
	type plain reviewNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// readGraphQL reads commits and pull requests.
func (r *reader) readGraphQL(ctx context.Context) {
	commits, pulls := r.wants(activity.StreamCommits), r.wants(activity.StreamPulls)
	if commits || pulls {
		r.readActivity(ctx, commits, pulls)
	}
}

// readActivity reads one or both. The first page of both is one query; where the credential may not read one of them
// that made the whole repository null, or the query fails at every size, they are read one by one.
func (r *reader) readActivity(ctx context.Context, commits, pulls bool) {
	if commits && pulls && r.request.Minimal {
		r.readActivityApart(ctx)
		return
	}
	data, errs, err := r.requestFirstPage(ctx, commits, pulls)
	if commits && pulls && (errors.As(err, new(*ForbiddenError)) || canSplit(err)) {
		r.readActivityApart(ctx)
		return
	}
	if err != nil {
		r.failActivity(commits, pulls, err)
		return
	}
	if commits {
		r.result.setFailed(activity.StreamCommits, r.resolveHeads(ctx, r.readCommitsGraphQL(ctx, data, errs)))
	}
	if pulls {
		r.result.setFailed(activity.StreamPulls, r.readPullsGraphQL(ctx, data, errs))
	}
}

// readActivityApart reads pull requests and commits with queries of their own. Commits, which may need more than one, come
// last.
func (r *reader) readActivityApart(ctx context.Context) {
	r.readActivity(ctx, false, true)
	r.readActivity(ctx, true, false)
}

// canSplit reports whether the parts of a question that failed may be answered: GitHub has answered, or run out
// of time.
func canSplit(err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	return ok && (unavailable.tooMuch || unavailable.Status != 0)
}

func (r *reader) failActivity(commits, pulls bool, err error) {
	if commits {
		r.result.setFailed(activity.StreamCommits, err)
	}
	if pulls {
		r.result.setFailed(activity.StreamPulls, err)
	}
}

// requestFirstPage is the first page, asked for together with others or alone.
func (r *reader) requestFirstPage(ctx context.Context, commits, pulls bool) (*repositoryActivity, []graphqlError, error) {
	if data, errs := r.request.prefetched.consume(); data != nil {
		return data, errs, nil // by its id
	}
	v := r.variables()
	v.Head, v.Pulls = commits, pulls
	if at := r.request.AtCommit; commits && at != "" {
		v.selectCommit(at)
	}
	return r.requestActivity(ctx, &v)
}

// variables are those of the Activity query, with neither commits nor pull requests selected.
func (r *reader) variables() activityVariables {
	repo := &r.request.Repo
	return activityVariables{
		repositoryVariables: repositoryVariables{
			ID: repo.NodeID, Owner: r.request.Org, Name: repo.Name, ByID: repo.NodeID != "", ByName: repo.NodeID == "",
		},
		commitVariables: commitVariables{
			Lines: !r.request.SkipLines && !r.linesApart, CommitsFirst: commitsPageSize,
			Since: r.request.commitsSince(), Until: r.request.commitsUntil(),
		},
		pullVariables: pullVariables{PullsFirst: pullsPageSize},
	}
}

// activityVariables are the variables of the Activity query.
type activityVariables struct {
	repositoryVariables
	commitVariables
	pullVariables
}

func (*activityVariables) document() document { return activityQuery }

// repositoryVariables select the repository, by its id or by its name.
type repositoryVariables struct {
	ID     string `json:"id"`
	Owner  string `json:"owner"`
	Name   string `json:"name"`
	ByID   bool   `json:"byId"`
	ByName bool   `json:"byName"`
}

// commitVariables select a page of commits: of the default branch's head, or of the commit with the object name OID.
type commitVariables struct {
	Head         bool    `json:"head"`
	Pinned       bool    `json:"pinned"`
	OID          *string `json:"oid"`
	Lines        bool    `json:"lines"`
	CommitsFirst int     `json:"commitsFirst"`
	CommitsAfter *string `json:"commitsAfter"`
	Since        *string `json:"since"`
	Until        *string `json:"until"`
}

// selectCommit selects the commits that a commit reaches, instead of those of the default branch.
func (v *commitVariables) selectCommit(oid string) { v.Head, v.Pinned, v.OID = false, true, &oid }

func (v *commitVariables) selectsCommits() bool { return v.Head || v.Pinned }

// nextPage selects the page after a cursor. It reports whether the cursor is a new one.
func (v *commitVariables) nextPage(cursor string) bool {
	if v.CommitsAfter != nil && *v.CommitsAfter == cursor {
		return false
	}
	v.CommitsAfter = &cursor
	return true
}

// pullVariables select a page of pull requests.
type pullVariables struct {
	Pulls      bool    `json:"pulls"`
	PullsFirst int     `json:"pullsFirst"`
	PullsAfter *string `json:"pullsAfter"`
}

// commitsSince is the time from which commits are listed; nil for a walk from head to head, which has none.
func (r *ReadRequest) commitsSince() *string {
	if r.ReadHead != "" {
		return nil
	}
	since := stamp(r.Since[activity.StreamCommits])
	return &since
}

// commitsUntil is the time up to which commits are listed; nil for no bound.
func (r *ReadRequest) commitsUntil() *string {
	end := r.Until[activity.StreamCommits]
	if r.ReadHead != "" || end.IsZero() {
		return nil
	}
	until := stamp(end)
	return &until
}

// requestActivity asks for pages, and for commits without their lines where those with lines fail at every size.
func (r *reader) requestActivity(ctx context.Context, full *activityVariables) (*repositoryActivity, []graphqlError, error) {
	data, errs, err := r.requestActivityPage(ctx, full)
	if !canSplit(err) || !full.selectsCommits() || full.Pulls || !full.Lines {
		return data, errs, err
	}
	full.Lines = false
	data, errs, err = r.requestActivityPage(ctx, full)
	if err == nil {
		r.linesApart = true
		r.client.repos.setLinesApart(r.request.Repo.ID, r.client.settings.Now())
	}
	return data, errs, err
}

// requestActivityPage asks for pages of the size that works for the repository, and for smaller ones when that was too much.
func (r *reader) requestActivityPage(ctx context.Context, full *activityVariables) (*repositoryActivity, []graphqlError, error) {
	repo, memory := r.request.Repo.ID, &r.client.repos
	sizes := memory.size(repo)
	size, shrank := sizes.now(), false
	if r.request.Minimal {
		size = sizes.least()
	}
	q := question{split: full.selectsCommits() && (full.Pulls || full.Lines)}
	for {
		q.smaller = size > sizes.least()
		data, errs, err := ask[activityData](ctx, r.client, q, full.withPageSize(size))
		if next, ok := sizes.below(size, err); ok {
			size, shrank = next, true
			continue
		}
		if err != nil {
			r.request.Minimal = r.request.Minimal || errors.As(err, new(*UnavailableError)) // its parts are asked for in small pages
			return nil, nil, err
		}
		memory.worked(repo, sizes, size, shrank)
		r.request.Minimal = false // it is answered again
		if data.repository() == nil {
			return nil, nil, missing(activityQuery, repositoryErrors(errs), "repository")
		}
		return data.repository(), errs, r.checkIdentity(data.repository())
	}
}

// checkIdentity refuses another repository: one that was asked for by its name may have lost it to that.
func (r *reader) checkIdentity(data *repositoryActivity) error {
	if r.request.Repo.NodeID != "" || data.DatabaseID == r.request.Repo.ID {
		return nil
	}
	return &NotFoundError{Response{Endpoint: activityQuery.name, Status: http.StatusOK, Message: "the name is another repository's"}}
}

// withPageSize are the variables with pages of a size in percent.
func (v *activityVariables) withPageSize(percent int) *activityVariables {
	sized := *v
	sized.CommitsFirst = v.CommitsFirst * percent / 100
	sized.PullsFirst = max(minPullsPageSize, v.PullsFirst*percent/100)
	return &sized
}

func repositoryErrors(errs []graphqlError) []graphqlError {
	if list := under(errs, "byId"); list != nil {
		return list
	}
	return under(errs, "byName")
}
