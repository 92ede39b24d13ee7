// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// peer is another end of a connection: a pod, or an address outside of the cluster.
type peer struct {
	namespace string
	labels    labels.Set
	address   string
}

// podPeer returns a pod of a namespace with one label.
func podPeer(namespace, label, value string) peer {
	return peer{namespace: namespace, labels: labels.Set{label: value}}
}

// outside returns an address that is no pod.
func outside(address string) peer { return peer{address: address} }

// matches reports whether a peer of a policy selects another end.
func (p peer) matches(t *testing.T, rule networking.NetworkPolicyPeer) bool {
	t.Helper()
	if rule.IPBlock != nil {
		return p.address != "" && inBlock(t, p.address, rule.IPBlock)
	}
	if p.address != "" {
		return false
	}
	if rule.NamespaceSelector == nil && p.namespace != testNamespace {
		return false
	}
	return selects(t, rule.NamespaceSelector, labels.Set{"kubernetes.io/metadata.name": p.namespace}) &&
		selects(t, rule.PodSelector, p.labels)
}

// selects reports whether a selector selects labels; none selects all.
func selects(t *testing.T, selector *meta.LabelSelector, set labels.Set) bool {
	t.Helper()
	if selector == nil {
		return true
	}
	s, err := meta.LabelSelectorAsSelector(selector)
	require.NoError(t, err)
	return s.Matches(set)
}

// inBlock reports whether an address is in a block and in none of its exceptions.
func inBlock(t *testing.T, address string, block *networking.IPBlock) bool {
	t.Helper()
	ip := netip.MustParseAddr(address)
	if !netip.MustParsePrefix(block.CIDR).Contains(ip) {
		return false
	}
	for _, except := range block.Except {
		if netip.MustParsePrefix(except).Contains(ip) {
			return false
		}
	}
	return true
}

// rule is a rule of ingress or egress. Kubernetes: no peers are all peers, and no ports are all ports.
type rule struct {
	peers []networking.NetworkPolicyPeer
	ports []networking.NetworkPolicyPort
}

// allows reports whether a rule allows a connection.
func (r rule) allows(t *testing.T, p peer, protocol core.Protocol, port int) bool {
	t.Helper()
	isPeer, isPort := len(r.peers) == 0, len(r.ports) == 0
	for _, candidate := range r.peers {
		isPeer = isPeer || p.matches(t, candidate)
	}
	for _, candidate := range r.ports {
		isPort = isPort || *candidate.Protocol == protocol && candidate.Port.IntValue() == port
	}
	return isPeer && isPort
}

// policy is the NetworkPolicy of a source.
type policy struct {
	networking.NetworkPolicySpec
}

// loadPolicy returns the NetworkPolicy of a source, which selects its pods and both directions.
func loadPolicy(t *testing.T, s source) policy {
	t.Helper()
	typed := decode[networking.NetworkPolicy](t, s, "NetworkPolicy")
	require.True(t, selects(t, &typed.Spec.PodSelector, podLabels(t, s)))
	require.Len(t, typed.Spec.PolicyTypes, 2)
	return policy{typed.Spec}
}

// canReach reports whether the pods may open a connection.
func (p policy) canReach(t *testing.T, to peer, protocol core.Protocol, port int) bool {
	t.Helper()
	for _, r := range p.Egress {
		if (rule{r.To, r.Ports}).allows(t, to, protocol, port) {
			return true
		}
	}
	return false
}

// accepts reports whether the pods accept a connection.
func (p policy) accepts(t *testing.T, from peer, port int) bool {
	t.Helper()
	for _, r := range p.Ingress {
		if (rule{r.From, r.Ports}).allows(t, from, core.ProtocolTCP, port) {
			return true
		}
	}
	return false
}

var (
	github     = outside("140.82.121.6")
	metadata   = outside("169.254.169.254") // of a cloud: it gives credentials
	private    = outside("10.0.0.7")
	prometheus = podPeer("monitoring", "app.kubernetes.io/name", "prometheus")
	neighbour  = podPeer(testNamespace, "app", "redis")
	stranger   = podPeer("default", "app", "redis")
)

// TestEveryPolicy: what holds for every source.
func TestEveryPolicy(t *testing.T) {
	dns := podPeer("kube-system", "k8s-app", "kube-dns")
	for _, s := range loadSources(t) {
		t.Run(s.name, func(t *testing.T) {
			p := loadPolicy(t, s)
			require.True(t, p.canReach(t, dns, core.ProtocolUDP, 53))
			require.True(t, p.canReach(t, dns, core.ProtocolTCP, 53))
			require.False(t, p.canReach(t, stranger, core.ProtocolUDP, 53))
			require.True(t, p.accepts(t, prometheus, 9464))
			require.False(t, p.accepts(t, prometheus, 13133))
			require.False(t, p.accepts(t, neighbour, 9464))
			require.False(t, p.accepts(t, podPeer("monitoring", "app.kubernetes.io/name", "grafana"), 9464))
			for _, to := range []peer{github, metadata, private, neighbour, stranger} {
				for _, port := range []int{22, 25, 80} {
					require.False(t, p.canReach(t, to, core.ProtocolTCP, port), "%v %d", to, port)
				}
			}
		})
	}
}

// connection is one that a source must be able to open, or must not.
type connection struct {
	to      peer
	port    int
	allowed bool
}

// TestPolicies: each source reaches what its configuration uses, and not what another one uses.
func TestPolicies(t *testing.T) {
	sentinel, managedRabbitMQ := outside("10.20.0.4"), outside("10.20.1.4")
	server := outside("10.30.0.5")
	single := []connection{
		{github, 443, true},
		{metadata, 443, false},
		{private, 443, false},
		{private, 6443, false},
		{neighbour, 6379, false},
		{neighbour, 5672, false},
		{neighbour, 443, false},
	}
	ha := []connection{
		{github, 443, true},
		{neighbour, 6379, true},
		{neighbour, 5672, true},
		{private, 6443, true},
		{stranger, 6379, false},
		{stranger, 5672, false},
		{private, 6379, false},
		{neighbour, 26379, false},
	}
	production := []connection{
		{github, 443, true},
		{outside("10.20.0.9"), 6380, true},
		{managedRabbitMQ, 5671, true},
		{outside("10.40.0.1"), 443, true},
		{outside("10.40.0.1"), 6443, false},
		{private, 443, false},
		{private, 6443, false},
		{outside("10.20.0.9"), 6379, false},
		{managedRabbitMQ, 5672, false},
		{neighbour, 6380, false},
	}
	tests := map[string][]connection{
		"overlay single": single, "overlay nonprod": single, "example minimal": single, "example single": single,
		"example github-app": single, "example copilot": single, "example external-secret": single,
		"example two-organizations": single, "overlay ha": ha, "overlay prod": ha, "example ha": ha,
		"example ha-managed-services": {
			{github, 443, true},
			{sentinel, 26379, true},
			{sentinel, 6379, true},
			{managedRabbitMQ, 5671, true},
			{sentinel, 5671, false},
			{managedRabbitMQ, 6379, false},
			{neighbour, 6379, false},
			{private, 443, false},
			{private, 6443, false},
		},
		"example production": production, "overlay production": production,
		"example github-enterprise-server": {
			{server, 443, true}, {outside("10.30.0.6"), 443, false}, {github, 443, false},
		},
		"example proxy": {
			{podPeer("network", "app", "proxy"), 3128, true},
			{github, 3128, false},
			{stranger, 3128, false},
			{podPeer("databases", "app", "redis"), 6379, true},
			{neighbour, 6379, false},
			{private, 6443, true},
		},
		"example otlp": {
			{podPeer("observability", "app", "collector"), 4318, true},
			{stranger, 4318, false},
			{neighbour, 6379, true},
			{neighbour, 5672, false},
			{github, 443, true},
		},
	}
	listed := listedSources(t)
	for _, s := range loadSources(t) {
		require.Equal(t, listed[s.name], len(tests[s.name]) > 0, s.name)
		p := loadPolicy(t, s)
		for _, c := range tests[s.name] {
			require.Equal(t, c.allowed, p.canReach(t, c.to, core.ProtocolTCP, c.port), "%s: %v port %d", s.name, c.to,
				c.port)
		}
	}
}

// TestEndpoints: every source, also an overlay that the tree does not have, reaches the servers of its configuration.
func TestEndpoints(t *testing.T) {
	for _, s := range loadSources(t) {
		t.Run(s.name, func(t *testing.T) { checkEndpoints(t, s) })
	}
}

// checkEndpoints: the policy of a source lets out to the hosts and ports of its configuration.
func checkEndpoints(t *testing.T, s source) {
	t.Helper()
	p := loadPolicy(t, s)
	endpoints := serverEndpoints(t, s)
	require.NotEmpty(t, endpoints)
	for _, endpoint := range endpoints {
		require.True(t, p.reachesHost(t, endpoint.Hostname(), endpoint.Port()), "%s cannot be reached", endpoint.Host)
	}
}

// serverEndpoints returns what the configuration of a source connects to, each with its port.
func serverEndpoints(t *testing.T, s source) []*url.URL {
	t.Helper()
	config := parseConfig(t, expand(collectorConfig(t, s), environment(t, s)))
	receiver, found, err := unstructured.NestedMap(config, "receivers", "githubexporter")
	require.NoError(t, err)
	require.True(t, found)
	texts := []string{"https://api.github.com"}
	if endpoint, found, _ := unstructured.NestedString(receiver, "github", "endpoint"); found {
		texts[0] = endpoint
	}
	if proxy, found := environment(t, s)["HTTPS_PROXY"]; found {
		texts[0] = proxy
	}
	redis, _, err := unstructured.NestedStringSlice(receiver, "redis", "endpoints")
	require.NoError(t, err)
	for _, endpoint := range redis {
		texts = append(texts, "redis://"+endpoint)
	}
	if endpoint, found, _ := unstructured.NestedString(receiver, "rabbitmq", "endpoint"); found {
		texts = append(texts, endpoint)
	}
	var endpoints []*url.URL
	for _, text := range texts {
		endpoint, err := url.Parse(text)
		require.NoError(t, err)
		if endpoint.Port() == "" {
			endpoint.Host += ":" + map[string]string{"https": "443", "amqp": "5672", "amqps": "5671"}[endpoint.Scheme]
		}
		endpoints = append(endpoints, endpoint)
	}
	return endpoints
}

// reachesHost reports whether the pods may open a connection to a host: a Service by its name in the cluster, or an
// address outside of it. No policy knows the address behind a name outside.
func (p policy) reachesHost(t *testing.T, host, port string) bool {
	t.Helper()
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	name, namespace, _ := strings.Cut(strings.TrimSuffix(host, ".cluster.local"), ".")
	namespace, inCluster := strings.CutSuffix(namespace, ".svc")
	switch {
	case namespace == "":
		return p.canReach(t, podPeer(testNamespace, "app", name), core.ProtocolTCP, number)
	case inCluster:
		return p.canReach(t, podPeer(namespace, "app", name), core.ProtocolTCP, number)
	}
	for _, r := range p.Egress {
		isOutside := slices.ContainsFunc(r.To, func(to networking.NetworkPolicyPeer) bool { return to.IPBlock != nil })
		if isOutside && (rule{nil, r.Ports}).allows(t, outside("192.0.2.1"), core.ProtocolTCP, number) {
			return true
		}
	}
	return false
}

// TestPeers: what follows from the host of an endpoint.
func TestPeers(t *testing.T) {
	database := podPeer("databases", "app", "redis")
	for endpoint, connections := range map[string][]connection{
		"redis:6380":               {{neighbour, 6380, true}, {database, 6380, false}},
		"redis.databases.svc:6379": {{database, 6379, true}, {neighbour, 6379, false}},
		"redis-0.redis.databases.svc.cluster.local:637": {{database, 637, true}, {neighbour, 637, false}},
		"10.1.2.3:6379":            {{outside("10.1.2.3"), 6379, true}, {outside("10.1.2.4"), 6379, false}},
		"[2001:db8::1]:6379":       {{outside("2001:db8::1"), 6379, true}, {outside("2001:db8::2"), 6379, false}},
		"redis.example.com:6379":   {{private, 6379, true}, {github, 6379, true}, {neighbour, 6379, false}},
		"a.example.com.:6379":      {{private, 6379, true}, {metadata, 6380, false}},
		"redis.svc.example.org:63": {{private, 63, true}, {neighbour, 63, false}},
	} {
		values := merge(t, exampleValues(t, "ha"), `redis: {endpoints: ["`+endpoint+`"]}`)
		p := loadPolicy(t, source{endpoint, render(t, values).Objects})
		for _, c := range connections {
			require.Equal(t, c.allowed, p.canReach(t, c.to, core.ProtocolTCP, c.port), "%s: %v", endpoint, c.to)
		}
	}
}

// TestGitHubHosts: GitHub's hosts are public ones; a server, with Copilot's files beside it, is wherever it is.
func TestGitHubHosts(t *testing.T) {
	for settings, connections := range map[string][]connection{
		`{github: {endpoint: "https://api.octo.ghe.com"}}`: {{github, 443, true}, {private, 443, false}},
		`{github: {endpoint: "https://ghe.corp:8443/api/v3"}}`: {
			{private, 8443, true}, {github, 443, false}, {private, 443, false},
		},
		`{github: {endpoint: "https://10.9.9.9/api/v3"}, copilot: {enabled: true}}`: {
			{outside("10.9.9.9"), 443, true}, {github, 443, true}, {private, 443, false},
		},
		`{github: {proxy_url: "http://10.0.0.7:3128"}}`: {{private, 3128, true}, {github, 443, false}},
	} {
		values := merge(t, exampleValues(t, "minimal"), "receiver: "+settings)
		p := loadPolicy(t, source{settings, render(t, values).Objects})
		for _, c := range connections {
			require.Equal(t, c.allowed, p.canReach(t, c.to, core.ProtocolTCP, c.port), "%s: %v", settings, c.to)
		}
	}
}
