package replicahealth

//go:generate go tool -modfile=../../internal/tools/mdatagen/go.mod mdatagen metadata.yaml
