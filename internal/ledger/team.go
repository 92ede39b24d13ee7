// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// Team is a team of the organization as it was read last.
type Team struct {
	// ID is GitHub's id of the team, which renames do not change.
	ID int64
	// Slug is the name of the team in addresses.
	Slug string
	// Secret says that only its members can see the team on GitHub.
	Secret bool
	// Nested says that the members of its child teams are among Members.
	Nested bool
	// Members are accounts with ids, by id.
	Members []activity.Actor
}

const (
	teamVersion = 1
	teamSecret  = 1
	teamNested  = 2
	// maxTeamParts bounds the entries of a team.
	maxTeamParts = 256
	// maxTeamSlug bounds the length of a slug, in bytes.
	maxTeamSlug = 255
)

// ErrTeam is returned for data that are no team, or no state of reading the teams.
var ErrTeam = errors.New("not a team")

// TeamKey returns the key of a part of a team: the first one has the head of the team, each has members.
func TeamKey(id int64, part int) EntryKey {
	sub := strconv.FormatInt(id, 10)
	if part > 0 {
		sub += "/" + strconv.Itoa(part)
	}
	return EntryKey{Name: EntryTeam, Sub: sub}
}

// ParseTeamKey returns the id of the team whose first part has a key; false for another key.
func ParseTeamKey(key EntryKey) (id int64, ok bool) {
	if key.Name != EntryTeam || strings.Contains(key.Sub, "/") {
		return 0, false
	}
	id, err := strconv.ParseInt(key.Sub, 10, 64)
	return id, err == nil && id > 0
}

// ValidateTeam refuses a team that cannot be stored.
func ValidateTeam(id int64, slug string) error {
	if id <= 0 || slug == "" || len(slug) > maxTeamSlug || !activity.IsPrintable(slug) {
		return ErrTeam
	}
	return nil
}

// Encode returns the data of the team's parts, at least one:
//
//	first   version, flags (1 byte each) │ number of parts │ slug │ members
//	others  version (1 byte) │ members
//
// A member is an id and a login. Numbers are varints, texts follow their length.
func (t *Team) Encode() [][]byte {
	members := slices.Clone(t.Members)
	slices.SortFunc(members, func(a, b activity.Actor) int { return cmp.Compare(a.ID, b.ID) })
	head := appendText(nil, t.Slug)
	limit := MaxEntry - len(head) - 16 // room for the version, the flags and the number of parts
	var parts [][]byte
	var part []byte
	for i := range members {
		member := appendText(binary.AppendUvarint(nil, uint64(max(0, members[i].ID))), members[i].Login)
		if len(part)+len(member) > limit {
			parts, part = append(parts, part), nil
		}
		part = append(part, member...)
	}
	parts = append(parts, part)
	flags := byte(0)
	if t.Secret {
		flags |= teamSecret
	}
	if t.Nested {
		flags |= teamNested
	}
	first := append(binary.AppendUvarint([]byte{teamVersion, flags}, uint64(len(parts))), head...)
	parts[0] = append(first, parts[0]...)
	for i := 1; i < len(parts); i++ {
		parts[i] = append([]byte{teamVersion}, parts[i]...)
	}
	return parts
}

// DecodeTeam decodes the parts that Encode returned. load returns the data of a part, nil for none. It returns ErrTeam
// for other data, and for a team that was removed, whose first part is empty.
func DecodeTeam(id int64, load func(part int) []byte) (Team, error) {
	first := load(0)
	if len(first) < 2 || len(first) > MaxEntry || first[0] != teamVersion || first[1]&^(teamSecret|teamNested) != 0 {
		return Team{}, ErrTeam
	}
	t := Team{ID: id, Secret: first[1]&teamSecret != 0, Nested: first[1]&teamNested != 0}
	in := varint.NewReader(first[2:])
	parts := int(in.ReadUvarint(maxTeamParts)) //nolint:gosec // at most maxTeamParts
	t.Slug = in.ReadString()
	if parts < 1 || ValidateTeam(id, t.Slug) != nil || !t.decodeMembers(in) {
		return Team{}, ErrTeam
	}
	for part := 1; part < parts; part++ {
		data := load(part)
		isPart := len(data) > 0 && len(data) <= MaxEntry && data[0] == teamVersion
		if !isPart || !t.decodeMembers(varint.NewReader(data[1:])) {
			return Team{}, ErrTeam
		}
	}
	return t, nil
}

// decodeMembers adds the members of a part, and reports whether they are valid.
func (t *Team) decodeMembers(in *varint.Reader) bool {
	for in.HasMore() {
		id := int64(in.ReadUvarint(math.MaxInt64)) //nolint:gosec // 63 bits
		member := activity.Actor{ID: id, Login: in.ReadString()}
		if id == 0 || member.Validate() != nil {
			in.Invalidate()
		}
		t.Members = append(t.Members, member)
	}
	return in.IsComplete()
}

// TeamsState is the state of reading the teams of an organization.
type TeamsState struct {
	// ReadAt is when all teams were last listed, and the members read of all but the failed ones.
	ReadAt time.Time
	// Selection identifies the settings of that reading.
	Selection uint64
	// Failed are the teams whose members could not be read then, with the time since when.
	Failed []FailedTeam
}

// FailedTeam is a team whose entry is older than the state.
type FailedTeam struct {
	ID    int64
	Since time.Time
}

// MaxFailedTeams bounds TeamsState.Failed.
const MaxFailedTeams = 1000

// TeamsStateKey returns the key of the entry with the state of reading the teams.
func TeamsStateKey() EntryKey { return EntryKey{Name: EntryTeamsState} }

// Encode returns the data of an entry:
//
//	version (1 byte) │ selection │ time of the reading in seconds │ for each failed team: id, since when in seconds
//
// Numbers are varints.
func (s *TeamsState) Encode() []byte {
	data := binary.AppendUvarint([]byte{teamVersion}, s.Selection)
	data = binary.AppendUvarint(data, unixSeconds(s.ReadAt))
	for i := range s.Failed[:min(len(s.Failed), MaxFailedTeams)] {
		data = binary.AppendUvarint(data, uint64(max(0, s.Failed[i].ID)))
		data = binary.AppendUvarint(data, unixSeconds(s.Failed[i].Since))
	}
	return data
}

func unixSeconds(t time.Time) uint64 { return uint64(max(0, t.Unix())) }

// DecodeTeamsState decodes what Encode encoded. It returns ErrTeam for other data.
func DecodeTeamsState(data []byte) (TeamsState, error) {
	if len(data) < 1 || len(data) > MaxEntry || data[0] != teamVersion {
		return TeamsState{}, ErrTeam
	}
	in := varint.NewReader(data[1:])
	s := TeamsState{Selection: in.ReadUvarint(math.MaxUint64)}
	seconds := func() time.Time {
		return time.Unix(int64(in.ReadUvarint(4*math.MaxInt32)), 0).UTC() //nolint:gosec // 33 bits
	}
	s.ReadAt = seconds()
	for in.HasMore() && len(s.Failed) <= MaxFailedTeams {
		id := int64(in.ReadUvarint(math.MaxInt64)) //nolint:gosec // 63 bits
		s.Failed = append(s.Failed, FailedTeam{ID: id, Since: seconds()})
	}
	if !in.IsComplete() || len(s.Failed) > MaxFailedTeams {
		return TeamsState{}, ErrTeam
	}
	return s, nil
}
