package leaderelector

//go:generate go tool mdatagen metadata.yaml
