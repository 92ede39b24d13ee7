// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package rabbittest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
)

func TestServerStartsStopsAndWipes(t *testing.T) {
	a := time.Now()
	s := rabbittest.Start(t)
	t.Log("start", time.Since(a))
	a = time.Now()
	require.Contains(t, s.Rabbitmqctl("list_vhosts"), "/")
	t.Log("ctl", time.Since(a))
	a = time.Now()
	s.SetMemoryAlarm(true)
	s.SetMemoryAlarm(false)
	t.Log("alarms", time.Since(a))
	a = time.Now()
	s.Kill()
	s.Run()
	t.Log("restart", time.Since(a))
	s.Wipe()
	s.Run()
}
