package github

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// busyWait is how long a request waits for a place that another replica has, before it looks again.
	busyWait = 50 * time.Millisecond
	// overdue is how long after its time-out a request that nobody has ended has no place any more.
	overdue = time.Minute
	// burst is how much of a minute's points may be used at once.
	burst = 10 * time.Second
)

// perMinute are four fifths of the points of a minute, each of which is a request for something
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits).
var perMinute = map[Resource]int{ResourceREST: 900 * 4 / 5, ResourceGraphQL: 2000 * 4 / 5, resourceApp: 900 * 4 / 5}

// resourceApp is that of requests with an App's own token, whose primary limit is not the installation's.
const resourceApp Resource = "app"

// drains is the resource whose limits count for a request.
func (x *exchange) drains() Resource {
	if x.bare {
		return resourceApp
	}
	return x.resource
}

// enter takes a place for a request, of this client's and of the credential's, or says why it must not be sent now: a limit, or a
// pause of all requests. For a place and for the points of a minute it waits, at most some seconds when the system keeps still, and
// never longer than ctx; it holds nothing meanwhile.
func (c *Client) enter(ctx context.Context, x *exchange) error {
	began := time.Now()
	defer func() { x.waited += time.Since(began) }()
	for {
		if err := c.places.Acquire(ctx, 1); err != nil {
			return err
		}
		again, err := c.take(ctx, x)
		if err == nil && again == 0 {
			return nil
		}
		c.places.Release(1)
		if err != nil {
			return err
		}
		if err := c.settings.Sleep(ctx, again); err != nil {
			return err
		}
	}
}

// take takes one of the credential's places, or says after which wait to try again.
func (c *Client) take(ctx context.Context, x *exchange) (again time.Duration, err error) {
	x.place = ""
	if x.probe {
		return 0, nil
	}
	if err := c.settings.CheckPaused(); err != nil {
		x.paused = true
		return 0, backoff.Permanent(&UnavailableError{Response: Response{Endpoint: x.endpoint}, Err: err})
	}
	dated := c.dated.Load() // before the time is asked for: an answer may come in between
	q := Reservation{
		ID: strconv.FormatUint(rand.Uint64(), 36), Resource: x.drains(), Now: c.githubNow(), UnsyncedClock: !dated, //nolint:gosec // a name, no secret
		MaxInFlight: c.settings.RateLimit.MaxConcurrentRequests, Interval: time.Minute / time.Duration(perMinute[x.drains()]), Burst: burst,
	}
	q.ExpiresAt = q.Now.Add(c.settings.Timeout + overdue)
	known, err := c.settings.Budget.Reserve(ctx, q)
	if err != nil {
		return 0, err
	}
	taken := known.IsReserved(q.Resource, q.Now)
	if limit := c.settings.RateLimit.refused(&known, q.Resource, x.price, inBackground(ctx), q.Now); limit != nil {
		if taken {
			_, _ = c.settings.Budget.Settle(context.WithoutCancel(ctx), Settlement{ID: q.ID, Resource: q.Resource, Now: q.Now})
		}
		limit.Endpoint, limit.Resource = x.endpoint, x.resource
		limit.RetryAt = c.ours(limit.RetryAt)
		return 0, limit
	}
	if taken {
		x.place = q.ID
		return 0, nil
	}
	return max(known.PacedUntil.Sub(q.Now), busyWait/2+rand.N(busyWait)), nil //nolint:gosec // no secret
}

// leave gives a request's place back with what was learned, and completes a limit that did not say when it ends.
func (c *Client) leave(ctx context.Context, x *exchange, q Quota, err error) {
	if x.place == "" {
		return
	}
	o := Settlement{
		ID: x.place, Resource: x.drains(), Now: c.githubNow(), Quota: q, Success: err == nil, InitialBackoff: c.settings.RateLimit.SecondaryBackoff,
	}
	limit, limited := errors.AsType[*LimitError](err)
	if limited {
		o.Limited, o.Secondary, o.LimitEnd = true, limit.Secondary, limit.RetryAt
	}
	until, err := c.settings.Budget.Settle(context.WithoutCancel(ctx), o)
	if err != nil {
		until = later(o.LimitEnd, o.Now.Add(o.InitialBackoff))
	}
	if limited {
		limit.RetryAt = c.ours(until)
	}
}

// githubNow is the time by GitHub's clock as far as it is known. The budget goes by it, because resets do, and because it is
// the same one for all replicas.
func (c *Client) githubNow() time.Time { return c.settings.Now().Add(c.Skew()) }

// ours is a time of GitHub's by our clock.
func (c *Client) ours(t time.Time) time.Time { return t.Add(-c.Skew()) }
