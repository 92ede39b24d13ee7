// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"testing"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget/budgettest"
)

func TestLocalBudgetConforms(t *testing.T) {
	t.Parallel()
	budgettest.Run(t, func(*testing.T) (a, b budget.Budget) {
		local := &budget.Local{}
		return local, local
	})
}
