package github_test

import (
	"testing"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budgettest"
)

func TestLocalBudget(t *testing.T) {
	t.Parallel()
	budgettest.Run(t, func(*testing.T) (a, b github.Budget) {
		budget := &github.LocalBudget{}
		return budget, budget
	})
}
