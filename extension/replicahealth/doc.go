// Package replicahealth is a collector extension that serves /livez, /readyz and /healthz on one port. It reads the
// component status of the collector, and the reports of health that components put among its attributes.
package replicahealth
