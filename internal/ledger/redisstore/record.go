package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// A record of an event in the log, one after the other without anything between:
//
//	key    kind (1 byte) │ repository (uvarint) │ length of the id (1 byte) │ id without leading zeros
//	body   time (4 bytes, big endian, Unix seconds) │ additions (uvarint) │ deletions (uvarint)
//	actor  account (zigzag varint) │ length of the login (1 byte) │ login
//
// The key is the member of the set "seen"; a repository (uvarint) and an actor are the field of a series.

func appendKey(b []byte, e *activity.Event) []byte {
	b = append(b, byte(e.Kind))
	b = binary.AppendUvarint(b, uint64(e.Repo)) //nolint:gosec // valid events have positive ones
	id := e.ID[:]
	for len(id) > 0 && id[0] == 0 {
		id = id[1:]
	}
	b = append(b, byte(len(id))) //nolint:gosec // at most 20
	return append(b, id...)
}

func appendBody(b []byte, e *activity.Event) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(e.Time.Unix())) //nolint:gosec // valid events fit
	b = binary.AppendUvarint(b, uint64(e.Additions))
	return binary.AppendUvarint(b, uint64(e.Deletions))
}

func appendActor(b []byte, a activity.Actor) []byte {
	b = binary.AppendVarint(b, a.ID)
	b = append(b, byte(len(a.Login))) //nolint:gosec // valid actors have at most 255
	return append(b, a.Login...)
}

func appendRepo(b []byte, repo int64) []byte {
	return binary.AppendUvarint(b, uint64(repo)) //nolint:gosec // valid events have positive ones
}

var errShort = errors.New("the record is cut off")

// reader takes records apart. Its zero value is ready; it keeps the actors that it has met.
type reader struct {
	actors map[string]activity.Actor
}

// events appends the events of a log entry. What comes after a damaged record cannot be told apart and is left out.
func (r *reader) events(list []activity.Event, data string) ([]activity.Event, error) {
	for data != "" {
		e, rest, err := r.event(data)
		if err != nil {
			return list, fmt.Errorf("%w: %w", ledger.ErrCorrupt, err)
		}
		list, data = append(list, e), rest
	}
	return list, nil
}

func (r *reader) event(data string) (e activity.Event, rest string, err error) {
	e.Kind = activity.Kind(data[0])
	repo, data, err := uvarint(data[1:])
	if err != nil || data == "" {
		return e, "", errShort
	}
	n := int(data[0])
	if n > len(e.ID) || len(data) < 1+n+4 {
		return e, "", errShort
	}
	copy(e.ID[len(e.ID)-n:], data[1:1+n])
	data = data[1+n:]
	e.Repo = int64(repo) //nolint:gosec // checked by Validate
	e.Time = time.Unix(int64(data[0])<<24|int64(data[1])<<16|int64(data[2])<<8|int64(data[3]), 0).UTC()
	additions, data, err1 := uvarint(data[4:])
	deletions, data, err2 := uvarint(data)
	if err1 != nil || err2 != nil || additions>>32 != 0 || deletions>>32 != 0 {
		return e, "", errShort
	}
	e.Additions, e.Deletions = uint32(additions), uint32(deletions)
	e.Actor, rest, err = r.actor(data)
	if err != nil {
		return e, "", err
	}
	return e, rest, e.Validate()
}

// actor takes an actor from the beginning of data.
func (r *reader) actor(data string) (actor activity.Actor, rest string, err error) {
	id, after, err := varint(data)
	if err != nil || after == "" {
		return actor, "", errShort
	}
	n := 1 + int(after[0])
	if len(after) < n {
		return actor, "", errShort
	}
	whole := data[:len(data)-len(after)+n]
	if known, ok := r.actors[whole]; ok {
		return known, after[n:], nil
	}
	actor = activity.Actor{ID: id, Login: strings.Clone(after[1:n])}
	if r.actors == nil {
		r.actors = make(map[string]activity.Actor)
	}
	r.actors[strings.Clone(whole)] = actor
	return actor, after[n:], nil
}

func uvarint(data string) (uint64, string, error) {
	var v uint64
	for i := 0; i < len(data) && i < binary.MaxVarintLen64; i++ {
		c := data[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v, data[i+1:], nil
		}
	}
	return 0, "", errShort
}

func varint(data string) (int64, string, error) {
	v, rest, err := uvarint(data)
	return int64(v>>1) ^ -int64(v&1), rest, err
}

// seriesField is the field of a series.
func seriesField(repo int64, actor activity.Actor) string {
	return string(appendActor(appendRepo(nil, repo), actor))
}

// repoOfSeries is the repository of a series' field.
func repoOfSeries(field string) (int64, bool) {
	repo, _, err := uvarint(field)
	return int64(repo), err == nil && repo > 0 && repo <= math.MaxInt64 //nolint:gosec // checked
}

// carried reads a field of the hash "carried".
func (r *reader) carried(field, value string) (c ledger.Carried, err error) {
	repo, rest, err := uvarint(field)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ledger.ErrCorrupt, err)
	}
	c.Repo = int64(repo) //nolint:gosec // checked below
	c.Actor, rest, err = r.actor(rest)
	totals := strings.Fields(value)
	if err != nil || rest != "" || c.Repo <= 0 || len(totals) != len(c.Totals) || c.Actor.Validate() != nil {
		return c, fmt.Errorf("%w: carried totals of a series", ledger.ErrCorrupt)
	}
	for i, total := range totals {
		if c.Totals[i], err = strconv.ParseUint(total, 10, 64); err != nil {
			return c, fmt.Errorf("%w: %w", ledger.ErrCorrupt, err)
		}
	}
	return c, nil
}

// Names with labels are one field: the parts are separated by a character that no metric's label has.
const separator = "\x1f"

func joinName(name string, labels [2]string) string {
	return name + separator + labels[0] + separator + labels[1]
}

func splitName(field string) (name string, labels [2]string, err error) {
	parts := strings.Split(field, separator)
	if len(parts) != 3 {
		return "", labels, fmt.Errorf("%w: a name with %d parts", ledger.ErrCorrupt, len(parts))
	}
	return parts[0], [2]string{parts[1], parts[2]}, nil
}
