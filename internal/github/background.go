package github

import "context"

type backgroundKey struct{}

// Background marks requests that can wait: they leave a quarter of every primary limit to the others, and meet a LimitError
// where they would need it.
func Background(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

func inBackground(ctx context.Context) bool {
	is, _ := ctx.Value(backgroundKey{}).(bool)
	return is
}
