// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package kubelease

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// namespaceFile contains the namespace of the pod.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// Connection names the API server, the account and the namespace.
type Connection struct {
	// Kubeconfig is a path; empty for the service account of the pod of this process.
	Kubeconfig string
	// Namespace is that of the leases; empty for the pod's own, or that of the kubeconfig's current context.
	Namespace string
	// RenewDeadline is the Elector's: a request times out after a third of it, in time for another one.
	RenewDeadline time.Duration
}

// Connect returns a client and the namespace to use. It sends no request. After an error there is no election: no
// replica leads.
func Connect(c Connection) (client kubernetes.Interface, namespace string, err error) {
	config, err := c.restConfig()
	if err != nil {
		return nil, "", err
	}
	namespace, err = c.resolveNamespace()
	if err != nil {
		return nil, "", err
	}
	client, err = kubernetes.NewForConfig(config)
	if err != nil {
		return nil, "", fmt.Errorf("make a Kubernetes client: %w", err)
	}
	return client, namespace, nil
}

// restConfig returns the client's configuration: account, time-out, no client-side limit.
func (c Connection) restConfig() (*rest.Config, error) {
	config, err := c.loadConfig()
	if err != nil {
		return nil, err
	}
	config.UserAgent = "githubexporter"
	config.Timeout = c.RenewDeadline / 3
	// Every election sends a request each retry period: waiting here could cost a lease. The API server has limits of
	// its own.
	config.QPS = -1
	// HTTP/1.1 abandons a dead connection with the first request that times out on it, HTTP/2 after a minute.
	config.NextProtos = []string{"http/1.1"}
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

// loadConfig loads the kubeconfig, or the service account of the pod.
func (c Connection) loadConfig() (*rest.Config, error) {
	if c.Kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("use the pod's service account: %w", err)
		}
		return config, nil
	}
	config, err := c.kubeconfigLoader().ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("use the kubeconfig %s: %w", c.Kubeconfig, err)
	}
	return config, nil
}

// kubeconfigLoader returns the loader of the kubeconfig's current context.
func (c Connection) kubeconfigLoader() clientcmd.ClientConfig {
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig}, nil,
	)
}

// resolveNamespace returns the configured namespace, or that of the kubeconfig or the pod.
func (c Connection) resolveNamespace() (string, error) {
	if c.Namespace != "" {
		return c.Namespace, nil
	}
	if c.Kubeconfig != "" {
		namespace, _, err := c.kubeconfigLoader().Namespace()
		return namespace, err
	}
	text, err := os.ReadFile(namespaceFile)
	if err != nil {
		return "", fmt.Errorf("find the pod's namespace: %w", err)
	}
	if namespace := strings.TrimSpace(string(text)); namespace != "" {
		return namespace, nil
	}
	return "", errors.New("find the pod's namespace: the file of the service account is empty")
}
