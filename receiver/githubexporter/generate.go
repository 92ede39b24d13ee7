package githubexporter

//go:generate go tool mdatagen metadata.yaml
