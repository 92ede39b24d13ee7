package github

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// API says how GitHub is asked.
type API string

// The ways to ask.
const (
	APIGraphQL API = "graphql" // with REST where REST is the better question
	APIREST    API = "rest"    // REST alone
)

// Settings are a client's.
type Settings struct {
	// HTTP is the base client: TLS, proxy, tracing. It may authenticate by itself. Its redirect policy is replaced.
	HTTP *http.Client
	// Endpoint is the REST base URL: https://api.github.com, https://HOST/api/v3 (Enterprise Server) or
	// https://api.SUB.ghe.com (data residency), with a trailing slash or without. GraphQLEndpoint follows from it when
	// it is empty.
	Endpoint, GraphQLEndpoint string
	API                       API
	// Credential authenticates requests; nil when HTTP does.
	Credential Credential
	// Timeout is for one attempt of a request, body included; 0 for none.
	Timeout   time.Duration
	Retry     RetrySettings
	RateLimit budget.Policy
	// Concurrency is how many requests of this client may be on their way: after a limit was met no more than that are still sent.
	// 0 for RateLimit's.
	Concurrency int
	// Budget is shared by everybody who uses the credential; nil for one of this client alone.
	Budget budget.Budget
	// OnResult is called when a question has ended that was sent, with all its repeats. It must not block.
	OnResult func(RequestResult)
	// OnAttempt is told of each request that left, once. It must not block.
	OnAttempt func(Attempt)
	// CheckPaused says why no request may be sent now; nil when requests may. Probes are sent all the same.
	CheckPaused func() error
	// OnSchemaError is called with each query that the server's GraphQL schema does not take, once an hour for each.
	OnSchemaError func(*SchemaError)
	// OnInvalidValue is told of values that no honest answer has; they are left out.
	OnInvalidValue func(error)
	Now            func() time.Time
	// Sleep waits for a while by the clock of Now, no longer than ctx; nil for a timer.
	Sleep     func(ctx context.Context, d time.Duration) error
	UserAgent string
}

// RetrySettings say how failed requests are repeated: after exponential waits with full jitter.
type RetrySettings struct {
	MaxAttempts                  int
	InitialInterval, MaxInterval time.Duration
}

// RequestResult is the outcome of a question: of a request, its repeats, and the smaller requests in place of it.
type RequestResult struct {
	Resource budget.Resource
	// RepoID is the repository that it was about; 0 for the organization as a whole.
	RepoID int64
	// Err is why there was no usable answer; nil when there was one. A refusal and a limit are answers.
	Err error
}

// Attempt is what is known of a request that left.
type Attempt struct {
	// Endpoint is the route template or the name of the query.
	Endpoint string
	// StatusClass is 2xx to 5xx, or "error" when there was no answer.
	StatusClass string
	Resource    budget.Resource
	// Points is what it cost of the primary limit.
	Points int
	// PredictedPoints is what it was predicted to cost, Mispriced that a good answer told another price.
	PredictedPoints int
	Mispriced       bool
	// Err is why this attempt had no usable answer; nil when it had one, or when the caller ended it. It may be repeated.
	Err error
	// IsProbe says that the request was one of IsProbe's.
	IsProbe bool
	// SecondaryLimit says that a secondary limit was met.
	SecondaryLimit bool
	// CredentialExpires is when the credential ends, as the answer says; zero when it does not, as of an App's
	// installation.
	CredentialExpires time.Time
	// Deprecation is what the answer announced of the end of what was asked for; empty when it announced nothing.
	Deprecation string
	// Remaining and Limit are of the primary limit; Reset is zero when the answer did not tell them.
	Remaining, Limit int
	Reset            time.Time
}

// withDefaults fills in what may be left out and refuses what cannot work.
func (s Settings) withDefaults() (Settings, *url.URL, *url.URL, error) {
	if s.HTTP == nil {
		s.HTTP = &http.Client{}
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Sleep == nil {
		s.Sleep = wakeup.Sleep
	}
	if s.OnAttempt == nil {
		s.OnAttempt = func(Attempt) {}
	}
	if s.OnResult == nil {
		s.OnResult = func(RequestResult) {}
	}
	if s.Budget == nil {
		s.Budget = &budget.Local{}
	}
	if s.CheckPaused == nil {
		s.CheckPaused = func() error { return nil }
	}
	if s.OnInvalidValue == nil {
		s.OnInvalidValue = func(error) {}
	}
	if s.OnSchemaError == nil {
		s.OnSchemaError = func(*SchemaError) {}
	}
	s.RateLimit.MaxConcurrentRequests = max(1, s.RateLimit.MaxConcurrentRequests)
	if s.Concurrency <= 0 {
		s.Concurrency = s.RateLimit.MaxConcurrentRequests
	}
	s.Retry.MaxAttempts = max(1, s.Retry.MaxAttempts)
	rest, err := url.Parse(strings.TrimRight(s.Endpoint, "/") + "/")
	if err != nil || rest.Host == "" {
		return s, nil, nil, errors.New("endpoint: not an absolute URL")
	}
	graphql, err := graphqlURL(rest, s.GraphQLEndpoint)
	return s, rest, graphql, err
}

// graphqlURL derives the GraphQL endpoint
// (https://docs.github.com/enterprise-server/graphql/guides/forming-calls-with-graphql#the-graphql-endpoint).
func graphqlURL(rest *url.URL, given string) (*url.URL, error) {
	if given != "" {
		u, err := url.Parse(given)
		if err != nil || u.Host == "" {
			return nil, errors.New("graphql_endpoint: not an absolute URL")
		}
		return u, nil
	}
	u := *rest
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/v3") + "/graphql"
	return &u, nil
}
