package replicahealth

//go:generate go tool mdatagen metadata.yaml
